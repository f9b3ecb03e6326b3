//! Everything the control plane knows at one moment: what the files say and who registered itself.
//!
//! A world is a value. It is built whole, answers questions, and is replaced by the next; only
//! endpoints change in it ([`change`]). Where two resources claim the same, their order decides,
//! and the order is that of [`Registry::new`]: the older first.

pub(crate) mod change;
mod gateway_api;
mod security;
mod settings;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ringmain_config::{
    node::{GatewayScope, Node},
    problem::Problem,
};

use crate::{
    registry::{Registry, by_precedence},
    resource::{
        Resource,
        destination_rule::DestinationRule,
        gateway::Gateway,
        host::covers,
        metadata::selects,
        sidecar::Sidecar,
        virtual_service::{GatewayReference, VirtualService},
    },
};

pub use settings::{CREDENTIALS, MeshIdentity, MeshSettings};

/// What the files say and who registered itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// All of them, those that win a conflict first.
    resources: Vec<Arc<Resource>>,
    registry: Registry,
    /// What the registry could not take as written.
    conflicts: Vec<Problem>,
    /// Indices into `resources` of DestinationRules, by namespace and host.
    rules: BTreeMap<String, BTreeMap<String, Vec<usize>>>,
    /// Indices into `resources` of VirtualServices for the mesh, by host.
    mesh: BTreeMap<String, Vec<usize>>,
    gateway_api: gateway_api::Index,
    security: security::Index,
    settings: Arc<MeshSettings>,
    root_namespace: String,
}

impl World {
    /// The world of these resources and registered proxies.
    pub fn new<'a>(
        resources: &[Arc<Resource>],
        registered: impl IntoIterator<Item = &'a Node>,
    ) -> Self {
        let (registry, conflicts) = Registry::new(resources, registered);
        let mut world = Self {
            resources: by_precedence(resources),
            registry,
            conflicts,
            rules: BTreeMap::new(),
            mesh: BTreeMap::new(),
            gateway_api: gateway_api::Index::default(),
            security: security::Index::default(),
            settings: Arc::default(),
            root_namespace: ROOT_NAMESPACE.to_owned(),
        };
        world.index();
        world
    }

    /// It, in a mesh with these settings.
    #[must_use]
    pub fn with_settings(mut self, settings: Arc<MeshSettings>) -> Self {
        self.settings = settings;
        self
    }

    /// What holds for the whole mesh.
    pub fn settings(&self) -> &MeshSettings {
        &self.settings
    }

    fn index(&mut self) {
        self.gateway_api = gateway_api::Index::new(&self.resources);
        for (index, resource) in self.resources.iter().enumerate() {
            self.security.add(index, resource);
            match &**resource {
                Resource::DestinationRule(rule) => {
                    let of_namespace = self.rules.entry(rule.metadata.namespace.clone());
                    let of_host = of_namespace.or_default().entry(rule.host.value.clone());
                    of_host.or_default().push(index);
                }
                Resource::VirtualService(service) if is_for_mesh(service) => {
                    for host in &service.hosts {
                        let of_host = self.mesh.entry(host.value.clone()).or_default();
                        if !of_host.contains(&index) {
                            of_host.push(index);
                        }
                    }
                }
                Resource::VirtualService(_)
                | Resource::Gateway(_)
                | Resource::ServiceEntry(_)
                | Resource::WorkloadEntry(_)
                | Resource::Sidecar(_)
                | Resource::Service(_)
                | Resource::Credential(_)
                | Resource::PeerAuthentication(_)
                | Resource::ApiGateway(_)
                | Resource::ApiRoute(_) => {}
            }
        }
    }

    /// Those that win a conflict first.
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// Services and workloads.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Services that are not used because another has their host.
    pub fn conflicts(&self) -> &[Problem] {
        &self.conflicts
    }

    /// In their order of precedence.
    pub fn gateways(&self) -> impl Iterator<Item = &Gateway> {
        self.resources
            .iter()
            .filter_map(|resource| match &**resource {
                Resource::Gateway(gateway) => Some(gateway),
                _ => None,
            })
    }

    /// In their order of precedence.
    pub fn virtual_services(&self) -> impl Iterator<Item = &VirtualService> {
        self.resources
            .iter()
            .filter_map(|resource| virtual_service(resource))
    }

    /// In their order of precedence.
    pub fn sidecars(&self) -> impl Iterator<Item = &Sidecar> {
        self.resources
            .iter()
            .filter_map(|resource| match &**resource {
                Resource::Sidecar(sidecar) => Some(sidecar),
                _ => None,
            })
    }

    /// The Gateways that a proxy serves: all when its scope says so, else those that select its
    /// labels. A Gateway without a selector is for every gateway proxy, and a proxy is one when
    /// some other Gateway selects it: opening the mesh's edge on every sidecar is never meant.
    pub fn gateways_of(&self, node: &Node) -> Vec<&Gateway> {
        let selected = |gateway: &&Gateway| {
            !gateway.selector.is_empty() && selects(&gateway.selector, &node.labels)
        };
        let is_gateway = match node.gateways {
            GatewayScope::All => return self.gateways().collect(),
            GatewayScope::Selected => self.gateways().any(|gateway| selected(&gateway)),
        };
        self.gateways()
            .filter(|gateway| selected(gateway) || is_gateway && gateway.selector.is_empty())
            .collect()
    }

    /// The Sidecar of a workload: one of its namespace that selects its labels, else the one of its
    /// namespace without a selector, else the one of the root namespace without a selector.
    pub fn sidecar_of(&self, node: &Node) -> Option<&Sidecar> {
        let own = |sidecar: &&Sidecar| sidecar.metadata.namespace == node.namespace;
        self.sidecars()
            .filter(own)
            .find(|sidecar| {
                let selector = sidecar.selector.as_ref();
                selector.is_some_and(|selector| selects(selector, &node.labels))
            })
            .or_else(|| {
                self.sidecars()
                    .filter(own)
                    .find(|sidecar| sidecar.selector.is_none())
            })
            .or_else(|| {
                self.sidecars().find(|sidecar| {
                    sidecar.metadata.namespace == self.root_namespace && sidecar.selector.is_none()
                })
            })
    }

    /// VirtualServices for the mesh by host, in the order of the hosts; of those with one host the
    /// first is used.
    pub fn mesh_hosts(&self) -> impl Iterator<Item = (&str, Vec<&VirtualService>)> {
        self.mesh.iter().map(|(host, indices)| {
            let services = indices
                .iter()
                .filter_map(|index| virtual_service(&self.resources[*index]));
            (host.as_str(), services.collect())
        })
    }

    /// The VirtualService for the mesh with the most specific host that covers `host`, among those
    /// that `visible` lets pass; with the host as it wrote it.
    pub fn mesh_rules_of(
        &self,
        host: &str,
        visible: impl Fn(&VirtualService, &str) -> bool,
    ) -> Option<(&VirtualService, &str)> {
        patterns_of(host).find_map(|pattern| {
            let (pattern, indices) = self.mesh.get_key_value(pattern.as_str())?;
            indices
                .iter()
                .filter_map(|index| virtual_service(&self.resources[*index]))
                .find(|service| visible(service, pattern))
                .map(|service| (service, pattern.as_str()))
        })
    }

    /// The DestinationRules for `host`, whose service lives in `namespace`, as a client in
    /// `client` sees them: those of the client's namespace, else of the service's, else of the root
    /// namespace; of these the ones with the most specific host. The first one's policy counts, the
    /// subsets of all do.
    pub fn rules_of(&self, client: &str, namespace: &str, host: &str) -> Vec<&DestinationRule> {
        [client, namespace, &self.root_namespace]
            .into_iter()
            .filter_map(|namespace| self.rules.get(namespace))
            .find_map(|by_host| patterns_of(host).find_map(|pattern| by_host.get(&pattern)))
            .into_iter()
            .flatten()
            .filter_map(|index| match &*self.resources[*index] {
                Resource::DestinationRule(rule) => Some(rule),
                _ => None,
            })
            .collect()
    }

    /// Every DestinationRule that may apply to `host` for some client.
    pub fn rules_anywhere(&self, host: &str) -> impl Iterator<Item = &DestinationRule> {
        self.resources
            .iter()
            .filter_map(move |resource| match &**resource {
                Resource::DestinationRule(rule) if covers(&rule.host, host) => Some(rule),
                _ => None,
            })
    }

    /// Labels of proxies that anything in this world depends on: two proxies of one namespace that
    /// agree in them get the same Gateways, the same Sidecar and the same routes.
    pub fn label_names(&self) -> BTreeSet<&str> {
        let gateways = self.gateways().map(|gateway| &gateway.selector);
        let sidecars = self
            .sidecars()
            .filter_map(|sidecar| sidecar.selector.as_ref());
        let http = self.virtual_services().flat_map(|service| &service.http);
        let http = http
            .flat_map(|rule| &rule.matches)
            .map(|condition| &condition.source_labels);
        let tcp = self.virtual_services().flat_map(|service| &service.tcp);
        let tcp = tcp
            .flat_map(|rule| &rule.matches)
            .map(|condition| &condition.source_labels);
        let tls = self.virtual_services().flat_map(|service| &service.tls);
        let tls = tls
            .flat_map(|rule| &rule.matches)
            .map(|condition| &condition.connection.source_labels);
        let policies = self
            .peer_authentications()
            .filter_map(|policy| policy.selector.as_ref());
        let selectors = gateways.chain(sidecars).chain(http).chain(tcp);
        let selectors = selectors.chain(tls).chain(policies);
        let names = selectors.flat_map(|labels| labels.keys());
        names
            .map(String::as_str)
            .chain(self.gateway_api.label_name())
            .collect()
    }

    /// Proxies that this world is meant for: the mesh's edge, one for every workload, and one for
    /// every Sidecar. A world is fit to be used when all of their Documents compile.
    pub fn nodes(&self) -> Vec<Node> {
        let edge = Node {
            name: "gateway".to_owned(),
            namespace: self.root_namespace.clone(),
            gateways: GatewayScope::All,
            ..Node::default()
        };
        let mut nodes = vec![edge];
        nodes.extend(
            self.registry
                .workloads()
                .iter()
                .map(|workload| workload.node()),
        );
        nodes.extend(self.sidecars().map(|sidecar| Node {
            name: sidecar.metadata.name.clone(),
            namespace: sidecar.metadata.namespace.clone(),
            labels: sidecar.selector.clone().unwrap_or_default(),
            ..Node::default()
        }));
        nodes
    }
}

/// Some of its rules are for sidecars.
pub(crate) fn is_for_mesh(service: &VirtualService) -> bool {
    let mut gateways = service.gateways.iter();
    gateways.any(|gateway| gateway.value == GatewayReference::Mesh)
}

fn virtual_service(resource: &Resource) -> Option<&VirtualService> {
    match resource {
        Resource::VirtualService(service) => Some(service),
        _ => None,
    }
}

/// What covers `host`, the most specific first: `a.b.c`, `*.b.c`, `*.c`, `*`.
fn patterns_of(host: &str) -> impl Iterator<Item = String> + '_ {
    let suffixes = host
        .match_indices('.')
        .map(|(dot, _)| format!("*{}", &host[dot..]));
    let exact = (host != "*").then(|| host.to_owned());
    exact
        .into_iter()
        .chain(suffixes.filter(move |pattern| pattern != host))
        .chain(std::iter::once("*".to_owned()))
}

/// Where Istio keeps what holds for the whole mesh.
pub const ROOT_NAMESPACE: &str = "istio-system";

#[cfg(test)]
mod tests {
    use super::{World, patterns_of};
    use crate::resource;

    /// Whatever a proxy's labels decide about, in each kind of resource that asks for them.
    #[test]
    fn labels_that_anything_depends_on() {
        let service = |rules: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                 metadata: {{name: s}}\nspec:\n  hosts: [s.test]\n  {rules}\n"
            )
        };
        let route = "route: [{destination: {host: s.test}}]";
        for (yaml, expected) in [
            (
                service(&format!(
                    "http: [{{match: [{{sourceLabels: {{a: '1'}}}}], {route}}}]"
                )),
                "a",
            ),
            (
                service(&format!(
                    "tcp: [{{match: [{{sourceLabels: {{b: '1'}}}}], {route}}}]"
                )),
                "b",
            ),
            (service(&format!("tcp: [{{{route}}}]")), ""),
            (
                "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\n\
                 spec: {workloadSelector: {labels: {c: '1'}}, egress: [{hosts: ['*/*']}]}\n"
                    .to_owned(),
                "c",
            ),
        ] {
            let loaded = resource::parse("test.yaml", &yaml);
            assert!(!loaded.has_errors(), "{yaml}: {:#?}", loaded.problems);
            let world = World::new(&loaded.resources, []);
            let names: Vec<_> = world.label_names().into_iter().collect();
            assert_eq!(names.join(" "), expected, "{yaml}");
        }
    }

    #[test]
    fn patterns_from_the_most_specific() {
        for (host, expected) in [
            ("a.b.c", &["a.b.c", "*.b.c", "*.c", "*"][..]),
            ("*.b.c", &["*.b.c", "*.c", "*"]),
            ("localhost", &["localhost", "*"]),
            ("*", &["*"]),
        ] {
            let patterns: Vec<String> = patterns_of(host).collect();
            assert_eq!(patterns, expected, "{host}");
        }
    }
}
