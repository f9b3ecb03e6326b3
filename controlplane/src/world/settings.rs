//! What holds for the whole mesh and stands in no resource.

use std::path::PathBuf;

/// What holds for the whole mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSettings {
    /// Who gives workloads their identities. Absent: nobody does, and no proxy speaks the mesh's
    /// TLS.
    pub identity: Option<MeshIdentity>,
    /// Directory of the proxies' hosts in which a `credentialName` that is no Secret is a
    /// directory, with `tls.crt`, `tls.key` and `ca.crt`.
    pub credentials: PathBuf,
}

/// Whose identities the mesh believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshIdentity {
    /// That of its own workloads: the host of their SPIFFE IDs.
    pub trust_domain: String,
    /// Others that are taken for it.
    pub aliases: Vec<String>,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            identity: None,
            credentials: PathBuf::from(CREDENTIALS),
        }
    }
}

/// Where credentials are when nothing is said.
pub const CREDENTIALS: &str = "/etc/ringmain/credentials";

impl MeshIdentity {
    /// The SPIFFE ID of a workload with this service account, in each of the trust domains, the
    /// mesh's own first.
    pub fn ids(&self, namespace: &str, account: &str) -> impl Iterator<Item = String> {
        let account = if account.is_empty() {
            "default"
        } else {
            account
        };
        let path = format!("ns/{namespace}/sa/{account}");
        self.trust_domains()
            .map(move |domain| format!("spiffe://{domain}/{path}"))
    }

    /// The mesh's own, and those that are taken for it.
    pub fn trust_domains(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.trust_domain)
            .chain(&self.aliases)
            .map(String::as_str)
    }
}
