//! Credentials by their names, and what PeerAuthentications say of workloads.

use std::collections::BTreeMap;

use super::World;
use crate::resource::{
    Resource,
    credential::{Credential, CredentialKind},
    metadata::{Labels, selects},
    peer_authentication::{MutualTls, PeerAuthentication},
};

/// Indices into a world's resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    /// By kind, namespace and name; of two the older.
    credentials: BTreeMap<(CredentialKind, String, String), usize>,
    /// In their order of precedence, by namespace.
    policies: BTreeMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn add(&mut self, index: usize, resource: &Resource) {
        let metadata = resource.metadata();
        match resource {
            Resource::Credential(credential) => {
                let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
                let key = (credential.kind, namespace, name);
                self.credentials.entry(key).or_insert(index);
            }
            Resource::PeerAuthentication(_) => {
                let of_namespace = self.policies.entry(metadata.namespace.clone());
                of_namespace.or_default().push(index);
            }
            _ => {}
        }
    }
}

impl World {
    /// The Secret or ConfigMap of this name.
    pub fn credential(
        &self,
        kind: CredentialKind,
        namespace: &str,
        name: &str,
    ) -> Option<&Credential> {
        let key = (kind, namespace.to_owned(), name.to_owned());
        let index = self.security.credentials.get(&key)?;
        match &*self.resources[*index] {
            Resource::Credential(credential) => Some(credential),
            _ => None,
        }
    }

    /// Every Secret and ConfigMap.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &Credential> {
        let indices = self.security.credentials.values();
        indices.filter_map(|index| match &*self.resources[*index] {
            Resource::Credential(credential) => Some(credential),
            _ => None,
        })
    }

    /// PeerAuthentications of a namespace, in their order of precedence.
    fn policies(&self, namespace: &str) -> impl Iterator<Item = &PeerAuthentication> {
        let indices = self.security.policies.get(namespace).into_iter().flatten();
        indices.filter_map(|index| match &*self.resources[*index] {
            Resource::PeerAuthentication(policy) => Some(policy),
            _ => None,
        })
    }

    /// Every PeerAuthentication.
    pub(crate) fn peer_authentications(&self) -> impl Iterator<Item = &PeerAuthentication> {
        let namespaces = self.security.policies.keys();
        namespaces.flat_map(|namespace| self.policies(namespace))
    }

    /// What the workload with these labels takes at its port `port`: what the policy that selects
    /// it says of the port, else of the workload; else what its namespace's says, else the mesh's;
    /// else both. Of several at one level the oldest counts.
    pub fn mutual_tls(&self, namespace: &str, labels: &Labels, port: u16) -> MutualTls {
        let own = self.policies(namespace).find(|policy| {
            let selector = policy.selector.as_ref();
            selector.is_some_and(|selector| selects(selector, labels))
        });
        let of_port = own.and_then(|policy| policy.ports.get(&port)?.value);
        let mode = |policy: &PeerAuthentication| Some(policy.mode.as_ref()?.value);
        let of_all = |namespace: &str| {
            let mut policies = self.policies(namespace);
            policies
                .find(|policy| policy.selector.is_none())
                .and_then(mode)
        };
        of_port
            .or_else(|| own.and_then(mode))
            .or_else(|| of_all(namespace))
            .or_else(|| of_all(&self.root_namespace))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use crate::resource::{self, peer_authentication::MutualTls};

    fn policy(namespace: &str, name: &str, created: &str, spec: &str) -> String {
        let created = match created {
            "" => String::new(),
            created => format!(", creationTimestamp: '{created}-01-01T00:00:00Z'"),
        };
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
             metadata: {{name: {name}, namespace: {namespace}{created}}}\nspec: {spec}\n"
        )
    }

    #[test]
    fn the_narrowest_policy_that_says_something_counts() {
        use MutualTls::{Disable, Permissive, Strict};
        let mesh = |mode: &str| {
            policy(
                "istio-system",
                "mesh",
                "",
                &format!("{{mtls: {{mode: {mode}}}}}"),
            )
        };
        let namespace = |mode: &str| policy("a", "all", "", &format!("{{mtls: {{mode: {mode}}}}}"));
        let own = |rest: &str| {
            policy(
                "a",
                "own",
                "",
                &format!("{{selector: {{matchLabels: {{app: x}}}}, {rest}}}"),
            )
        };
        for (policies, port, expected) in [
            (vec![], 80, Permissive),
            (vec![mesh("STRICT")], 80, Strict),
            (vec![mesh("STRICT"), namespace("UNSET")], 80, Strict),
            (vec![mesh("STRICT"), namespace("DISABLE")], 80, Disable),
            (
                vec![mesh("STRICT"), own("mtls: {mode: PERMISSIVE}")],
                80,
                Permissive,
            ),
            (
                vec![
                    namespace("STRICT"),
                    own("portLevelMtls: {80: {mode: DISABLE}}"),
                ],
                80,
                Disable,
            ),
            (
                vec![
                    namespace("STRICT"),
                    own("portLevelMtls: {80: {mode: DISABLE}}"),
                ],
                81,
                Strict,
            ),
            (
                vec![own("mtls: {mode: STRICT}, portLevelMtls: {80: {}}")],
                80,
                Strict,
            ),
            (
                vec![policy("b", "all", "", "{mtls: {mode: STRICT}}")],
                80,
                Permissive,
            ),
            (
                vec![
                    policy("a", "z", "2001", "{mtls: {mode: STRICT}}"),
                    policy("a", "b", "2002", "{mtls: {mode: DISABLE}}"),
                ],
                80,
                Strict,
            ),
            (
                vec![
                    policy("a", "z", "2001", "{mtls: {mode: STRICT}}"),
                    policy("a", "b", "2001", "{mtls: {mode: DISABLE}}"),
                ],
                80,
                Disable,
            ),
        ] {
            let text = policies.concat();
            let loaded = resource::parse("test.yaml", &text);
            assert!(!loaded.has_errors(), "{:#?}", loaded.problems);
            let world = World::new(&loaded.resources, []);
            let labels = [("app".to_owned(), "x".to_owned())].into();
            assert_eq!(world.mutual_tls("a", &labels, port), expected, "{text}");
        }
    }
}
