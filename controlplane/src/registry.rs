//! Which services there are and who answers for them.
//!
//! Services come from v1 Service and ServiceEntry, workloads from WorkloadEntry and from the
//! proxies that registered themselves ([`registrations`]). Which workload answers for which service
//! is decided here, once for every proxy; which of it a proxy gets to see is decided by
//! [`assemble`](crate::assemble).

mod change;
pub mod registrations;
mod workload;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use ringmain_config::{
    endpoint::{self, Endpoint, EndpointAddress},
    node::Node,
    origin::Origin,
    problem::{Problem, Severity},
};

pub use self::workload::Workload;
use crate::resource::{
    Resource,
    host::SERVICE_DOMAIN,
    metadata::{Labels, Metadata, selects},
    port::{ServicePort, TargetPort},
    service::Service as KubernetesService,
    service_entry::{AddressBlock, Location, Resolution, ServiceEntry},
    span::Span,
    workload_entry::WorkloadAddress,
};

/// Every service and its workloads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// By host name.
    services: BTreeMap<String, Service>,
    /// In the order of namespace and name.
    workloads: Vec<Arc<Workload>>,
}

/// A host name that clients know, and who answers for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// `reviews.default.svc.cluster.local`, `api.example.com` or `*.example.com`; lower case.
    pub host: String,
    /// `reviews`; of a host outside of [`SERVICE_DOMAIN`], the host.
    pub name: String,
    /// Namespace of the resource.
    pub namespace: String,
    /// In the order written.
    pub ports: Vec<ServicePort>,
    /// Single addresses that also stand for it.
    pub addresses: Vec<std::net::IpAddr>,
    /// Not part of the mesh.
    pub external: bool,
    /// Where it was written.
    pub origin: Origin,
    /// One of these is in the certificate of whoever answers (`ServiceEntry.subjectAltNames`).
    /// Empty: nothing is said of it.
    pub names: Vec<String>,
    /// Which workloads of the namespace answer; absent: those that the resource lists, if any.
    selector: Option<Labels>,
    /// Who answers. With a selector, in the order of their names.
    workloads: Vec<Arc<Workload>>,
}

impl Registry {
    /// The services of `resources` with the workloads among them and those of `registered` proxies.
    /// A WorkloadEntry stands for the proxy of the same namespace and name. Of two services with
    /// one host the older is used, among those of one age a v1 Service, then the first by
    /// namespace and name; the problems name the others.
    pub fn new<'a>(
        resources: &[Arc<Resource>],
        registered: impl IntoIterator<Item = &'a Node>,
    ) -> (Self, Vec<Problem>) {
        let mut registry = Self {
            services: BTreeMap::new(),
            workloads: workloads(resources, registered),
        };
        let mut problems = Vec::new();
        for resource in by_precedence(resources) {
            match &*resource {
                Resource::Service(service) => {
                    let added = registry.service_of(service);
                    registry.insert(added, &service.metadata, Span::default(), &mut problems);
                }
                Resource::ServiceEntry(entry) => {
                    for host in &entry.hosts {
                        let added = registry.service_of_entry(entry, host);
                        registry.insert(added, &entry.metadata, host.span, &mut problems);
                    }
                }
                Resource::Gateway(_)
                | Resource::VirtualService(_)
                | Resource::DestinationRule(_)
                | Resource::WorkloadEntry(_)
                | Resource::Sidecar(_)
                | Resource::Credential(_)
                | Resource::PeerAuthentication(_)
                | Resource::ApiGateway(_)
                | Resource::ApiRoute(_) => {}
            }
        }
        (registry, problems)
    }

    /// The service of exactly this host.
    pub fn service(&self, host: &str) -> Option<&Service> {
        self.services.get(host)
    }

    /// In the order of their hosts.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// In the order of namespace and name.
    pub fn workloads(&self) -> &[Arc<Workload>] {
        &self.workloads
    }

    fn insert(
        &mut self,
        service: Service,
        metadata: &Metadata,
        span: Span,
        problems: &mut Vec<Problem>,
    ) {
        let Some(first) = self.services.get(&service.host) else {
            self.services.insert(service.host.clone(), service);
            return;
        };
        let span = if span == Span::default() {
            Span {
                line: metadata.origin.line,
                column: 1,
            }
        } else {
            span
        };
        let message = format!(
            "the host {} is already that of {}",
            first.host, first.origin
        );
        let problem = metadata.problem(Severity::Warning, span, "hosts", message);
        problems.push(problem.hint("the older resource is used; remove the host from one of them"));
    }

    fn service_of(&self, service: &KubernetesService) -> Service {
        let namespace = &service.metadata.namespace;
        let selector = Some(&service.selector).filter(|selector| !selector.is_empty());
        let workloads = selector.map(|selector| self.select(namespace, selector));
        Service {
            host: service.host(),
            name: service.metadata.name.clone(),
            namespace: namespace.clone(),
            ports: service
                .ports
                .iter()
                .map(|port| port.value.clone())
                .collect(),
            addresses: Vec::new(),
            external: false,
            origin: service.metadata.origin.clone(),
            names: Vec::new(),
            selector: selector.cloned(),
            workloads: workloads.unwrap_or_default(),
        }
    }

    fn service_of_entry(
        &self,
        entry: &ServiceEntry,
        host: &crate::resource::span::Spanned<String>,
    ) -> Service {
        let namespace = &entry.metadata.namespace;
        let workloads = match &entry.selector {
            Some(selector) => self.select(namespace, selector),
            None => entry_workloads(entry, host),
        };
        Service {
            host: host.value.clone(),
            name: short_name(host).to_owned(),
            namespace: namespace.clone(),
            ports: entry.ports.iter().map(|port| port.value.clone()).collect(),
            addresses: entry
                .addresses
                .iter()
                .filter_map(|block| single(block))
                .collect(),
            external: entry.location == Location::External,
            origin: entry.metadata.origin_at(host.span),
            names: entry.names.clone(),
            selector: entry.selector.clone(),
            workloads,
        }
    }

    fn select(&self, namespace: &str, selector: &Labels) -> Vec<Arc<Workload>> {
        self.workloads
            .iter()
            .filter(|workload| {
                workload.namespace == namespace && selects(selector, &workload.labels)
            })
            .cloned()
            .collect()
    }
}

impl Service {
    /// The port of this number.
    pub fn port(&self, number: u16) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.number == number)
    }

    /// Namespace and service account of each workload.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.workloads.iter().filter_map(|workload| {
            let account = &workload.described.service_account;
            let is_known = !workload.described.is_unknown();
            is_known.then_some((workload.namespace.as_str(), account.as_str()))
        })
    }

    /// Addresses that answer for a port of the service: of the workloads that have `labels`. In the
    /// order of the addresses, each once. A workload whose port cannot be told is left out.
    /// `is_in_mesh` says of a workload and its port whether the mesh's TLS is spoken there.
    pub fn endpoints(
        &self,
        port: &ServicePort,
        labels: &Labels,
        is_in_mesh: impl Fn(&Workload, u16) -> bool,
    ) -> Vec<Endpoint> {
        let mut endpoints: BTreeMap<EndpointAddress, Endpoint> = BTreeMap::new();
        for workload in &self.workloads {
            if !selects(labels, &workload.labels) {
                continue;
            }
            let Some(number) = workload.target(port) else {
                continue;
            };
            let address = match &workload.address {
                WorkloadAddress::Ip(address) => {
                    EndpointAddress::Socket(SocketAddr::new(*address, number))
                }
                WorkloadAddress::Dns(host) => EndpointAddress::Dns {
                    host: host.clone(),
                    port: number,
                },
            };
            endpoints
                .entry(address.clone())
                .or_insert_with(|| Endpoint {
                    address,
                    weight: workload.weight.max(1),
                    is_in_mesh: is_in_mesh(workload, number),
                    workload: workload.described.clone(),
                });
        }
        endpoints.into_values().collect()
    }

    /// Whether some workload has all of `labels`.
    pub fn has_workload(&self, labels: &Labels) -> bool {
        self.workloads
            .iter()
            .any(|workload| selects(labels, &workload.labels))
    }

    /// `workload` answers for it at `number`.
    pub fn is_served_by(&self, namespace: &str, name: &str, number: u16) -> bool {
        self.workloads
            .iter()
            .filter(|workload| workload.namespace == namespace && workload.name == name)
            .any(|workload| {
                self.ports
                    .iter()
                    .any(|port| workload.target(port) == Some(number))
            })
    }
}

/// Who answers for a host of an entry without a selector.
fn entry_workloads(entry: &ServiceEntry, host: &str) -> Vec<Arc<Workload>> {
    let namespace = &entry.metadata.namespace;
    let listed = entry.endpoints.iter();
    let mut workloads: Vec<_> = listed
        .map(|endpoint| Arc::new(Workload::from_endpoint(endpoint, namespace)))
        .collect();
    if workloads.is_empty() && resolves_itself(entry, host) {
        workloads.push(Arc::new(Workload::of_host(host)));
    }
    workloads
}

/// Workload entries and registered proxies, an entry before the proxy of its name.
fn workloads<'a>(
    resources: &[Arc<Resource>],
    registered: impl IntoIterator<Item = &'a Node>,
) -> Vec<Arc<Workload>> {
    let mut workloads = BTreeMap::new();
    for node in registered {
        let Some(workload) = Workload::from_node(node) else {
            continue;
        };
        workloads.insert((node.namespace.clone(), node.name.clone()), workload);
    }
    for resource in resources {
        let Resource::WorkloadEntry(entry) = &**resource else {
            continue;
        };
        let key = (
            entry.metadata.namespace.clone(),
            entry.metadata.name.clone(),
        );
        workloads.insert(key, Workload::from_entry(entry));
    }
    workloads.into_values().map(Arc::new).collect()
}

/// Resources that claim something which only one can have: the older first, then services, then by
/// namespace and name.
pub(crate) fn by_precedence(resources: &[Arc<Resource>]) -> Vec<Arc<Resource>> {
    let mut sorted = resources.to_vec();
    sorted.sort_by(|left, right| precedence(left).cmp(&precedence(right)));
    sorted
}

fn precedence(resource: &Resource) -> (bool, Option<&str>, bool, &str, &str) {
    let metadata = resource.metadata();
    let creation = metadata.creation.as_deref();
    (
        // Without a date it is a file of this host, newer than anything that has one.
        creation.is_none(),
        creation,
        !matches!(resource, Resource::Service(_)),
        &metadata.namespace,
        &metadata.name,
    )
}

/// The host is itself the name to resolve. With resolution NONE a redirected connection would be
/// sent on to the address the client chose; without redirection the client's choice is what the
/// name resolves to.
fn resolves_itself(entry: &ServiceEntry, host: &str) -> bool {
    match entry.resolution {
        Resolution::Dns | Resolution::None => !host.starts_with('*'),
        Resolution::Static => false,
    }
}

fn single(block: &AddressBlock) -> Option<std::net::IpAddr> {
    let bits = if block.address.is_ipv4() { 32 } else { 128 };
    (block.prefix_bits == bits).then_some(block.address)
}

/// `reviews` of `reviews.default.svc.cluster.local`; any other host whole.
fn short_name(host: &str) -> &str {
    match split_service_host(host) {
        Some((name, _)) => name,
        None => host,
    }
}

/// Name and namespace of a host in [`SERVICE_DOMAIN`].
pub(crate) fn split_service_host(host: &str) -> Option<(&str, &str)> {
    let (name, namespace) = host
        .strip_suffix(SERVICE_DOMAIN)?
        .strip_suffix('.')?
        .split_once('.')?;
    let whole = !name.is_empty() && !name.contains('*') && !namespace.contains('.');
    whole.then_some((name, namespace))
}

impl Workload {
    /// Where it listens for a port of a service: at its own port of that name, else at the
    /// service's target.
    pub fn target(&self, port: &ServicePort) -> Option<u16> {
        if let Some(number) = self.ports.get(&port.name) {
            return Some(*number);
        }
        match &port.target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => self.ports.get(name).copied(),
        }
    }
}

/// What metrics say of a workload with these labels.
fn describe(name: &str, namespace: &str, labels: &Labels, account: &str) -> endpoint::Workload {
    let first = |names: &[&str]| names.iter().find_map(|name| labels.get(*name)).cloned();
    let service = [CANONICAL_NAME, "app.kubernetes.io/name", "app"];
    let revision = [CANONICAL_REVISION, "app.kubernetes.io/version", "version"];
    endpoint::Workload {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        app: first(&["app"]).unwrap_or_default(),
        version: first(&["version"]).unwrap_or_default(),
        canonical_service: first(&service).unwrap_or_else(|| name.to_owned()),
        canonical_revision: first(&revision).unwrap_or_else(|| "latest".to_owned()),
        service_account: account.to_owned(),
    }
}

/// What metrics say of the workload that a proxy stands beside.
pub(crate) fn describe_node(node: &Node) -> Arc<endpoint::Workload> {
    let account = &node.service_account;
    Arc::new(describe(&node.name, &node.namespace, &node.labels, account))
}

const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";
#[cfg(test)]
mod tests;
