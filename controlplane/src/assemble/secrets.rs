//! The secrets of one Document: what the names in resources stand for, on this proxy's host.
//!
//! A credential is a Secret of the proxy's namespace, as in Istio, or of the one that it is written
//! with (`namespace/name`). What is no Secret is a directory of the proxy's host. Nothing gets
//! here but what a resource of this proxy names.

use std::{collections::BTreeMap, path::Path};

use ringmain_config::{
    node::{GatewayScope, Node},
    secret::{InlineSecret, Secret, SecretFiles, SecretSource},
};

use crate::{
    resource::{
        credential::{Credential, CredentialKind},
        metadata::Metadata,
        tls::{Authorities, KeyPair},
    },
    world::World,
};

/// Name of the secret that is the workload's identity.
pub(crate) const IDENTITY: &str = "default";

/// The secrets of one Document.
pub(super) struct Secrets<'a> {
    world: &'a World,
    node: &'a Node,
    by_name: BTreeMap<String, Secret>,
}

/// Why a credential cannot be used, as a sentence.
pub(super) type Unusable = String;

impl<'a> Secrets<'a> {
    pub(super) fn new(world: &'a World, node: &'a Node) -> Self {
        Self {
            world,
            node,
            by_name: BTreeMap::new(),
        }
    }

    /// In the order of their names.
    pub(super) fn finish(self) -> impl Iterator<Item = Secret> {
        self.by_name.into_values()
    }

    /// The workload's identity.
    pub(super) fn identity(&mut self) -> String {
        self.add(IDENTITY.to_owned(), SecretSource::Workload, None)
    }

    /// A secret that trusts nobody.
    pub(super) fn nobody(&mut self) -> String {
        let nothing = SecretSource::Inline(InlineSecret::default());
        self.add("nobody".to_owned(), nothing, None)
    }

    /// A certificate and its key, for a resource.
    pub(super) fn key_pair(
        &mut self,
        pair: &KeyPair,
        owner: &Metadata,
    ) -> Result<String, Unusable> {
        let name = match pair {
            KeyPair::Files { certificate, key } => {
                let name = format!("file-cert:{}~{}", certificate.display(), key.display());
                let files = SecretFiles {
                    certificate: Some(certificate.clone()),
                    key: Some(key.clone()),
                    ..SecretFiles::default()
                };
                return Ok(self.add(name, SecretSource::Files(files), Some(owner)));
            }
            KeyPair::Credential(name) => &name.value,
        };
        if let Some(found) = self.find(CredentialKind::Secret, name, owner) {
            if found.material.certificate.is_none() {
                let what = &found.metadata.origin;
                return Err(format!("{what} holds no certificate and key"));
            }
            return Ok(self.add_credential(found));
        }
        let directory = self.world.settings().credentials.join(name);
        let files = SecretFiles {
            certificate: Some(directory.join("tls.crt")),
            key: Some(directory.join("tls.key")),
            ..SecretFiles::default()
        };
        let name = format!("credential:{}", directory.display());
        Ok(self.add(name, SecretSource::Files(files), Some(owner)))
    }

    /// Authorities that are trusted, for a resource.
    pub(super) fn authorities(
        &mut self,
        authorities: &Authorities,
        revoked: Option<&Path>,
        owner: &Metadata,
    ) -> Result<Vec<String>, Unusable> {
        let name = match authorities {
            Authorities::File(path) => {
                let of_revoked = revoked.map(|path| format!("~{}", path.display()));
                let name = format!(
                    "file-root:{}{}",
                    path.display(),
                    of_revoked.unwrap_or_default()
                );
                let files = SecretFiles {
                    authorities: Some(path.clone()),
                    revoked: revoked.map(Path::to_owned),
                    ..SecretFiles::default()
                };
                return Ok(vec![self.add(
                    name,
                    SecretSource::Files(files),
                    Some(owner),
                )]);
            }
            Authorities::Credential(name) => &name.value,
        };
        let mut names = vec![self.named_authorities(name, owner)?];
        names.extend(revoked.map(|path| self.revoked(path, owner)));
        Ok(names)
    }

    /// Those of the Secret `name-cacert`, of the Secret or the ConfigMap `name`, else of the
    /// directory.
    fn named_authorities(&mut self, name: &str, owner: &Metadata) -> Result<String, Unusable> {
        let candidates = [
            (CredentialKind::Secret, format!("{name}{CA_SUFFIX}")),
            (CredentialKind::Secret, name.to_owned()),
            (CredentialKind::ConfigMap, name.to_owned()),
        ];
        let mut without = None;
        for (kind, name) in &candidates {
            match self.find(*kind, name, owner) {
                Some(found) if found.material.authorities.is_some() => {
                    return Ok(self.add_credential(found));
                }
                Some(found) => without = without.or(Some(found)),
                None => {}
            }
        }
        if let Some(found) = without {
            let what = &found.metadata.origin;
            return Err(format!("{what} holds no authorities (`ca.crt`)"));
        }
        let directory = self.world.settings().credentials.join(name);
        let files = SecretFiles {
            authorities: Some(directory.join("ca.crt")),
            ..SecretFiles::default()
        };
        let name = format!("credential:{}{CA_SUFFIX}", directory.display());
        Ok(self.add(name, SecretSource::Files(files), Some(owner)))
    }

    /// Whether authorities come with a credential: those of a directory cannot be told.
    pub(super) fn has_authorities(&self, name: &str, owner: &Metadata) -> bool {
        let with_suffix = format!("{name}{CA_SUFFIX}");
        let mut found = [with_suffix.as_str(), name]
            .into_iter()
            .filter_map(|name| self.find(CredentialKind::Secret, name, owner));
        found.any(|found| found.material.authorities.is_some())
    }

    /// It is a document, and not a directory.
    pub(super) fn is_document(&self, name: &str, owner: &Metadata) -> bool {
        self.find(CredentialKind::Secret, name, owner).is_some()
    }

    fn revoked(&mut self, path: &Path, owner: &Metadata) -> String {
        let files = SecretFiles {
            revoked: Some(path.to_owned()),
            ..SecretFiles::default()
        };
        let name = format!("file-crl:{}", path.display());
        self.add(name, SecretSource::Files(files), Some(owner))
    }

    fn find(&self, kind: CredentialKind, name: &str, owner: &Metadata) -> Option<&'a Credential> {
        let world = self.world;
        if let Some((namespace, name)) = name.split_once('/') {
            return world.credential(kind, namespace, name);
        }
        let own = world.credential(kind, &self.node.namespace, name);
        // A proxy that serves every Gateway stands for those of all namespaces.
        own.or_else(|| match self.node.gateways {
            GatewayScope::All => world.credential(kind, &owner.namespace, name),
            GatewayScope::Selected => None,
        })
    }

    fn add_credential(&mut self, found: &Credential) -> String {
        let Metadata {
            namespace, name, ..
        } = &found.metadata;
        let scheme = match found.kind {
            CredentialKind::Secret => "kubernetes",
            CredentialKind::ConfigMap => "configmap",
        };
        let name = format!("{scheme}://{namespace}/{name}");
        let source = SecretSource::Inline(found.material.clone());
        self.add(name, source, Some(&found.metadata))
    }

    fn add(&mut self, name: String, source: SecretSource, of: Option<&Metadata>) -> String {
        let secret = Secret {
            name: name.clone(),
            source,
            origin: of.map(|metadata| metadata.origin.clone()),
        };
        // The first that asked for a file stays its origin.
        self.by_name.entry(name.clone()).or_insert(secret);
        name
    }
}

/// What Istio adds to a credential's name for a Secret of its own with the authorities.
const CA_SUFFIX: &str = "-cacert";
