//! Clusters and their endpoints, made when a route first leads to them.

use std::collections::{BTreeMap, BTreeSet};

use ringmain_config::{
    cluster::{Cluster, Protocol, Service as ServiceName, Transport},
    endpoint::{Endpoint, EndpointSet},
    node::Node,
    problem::{Problem, Severity},
    secret::Secret,
    tls::{ClientTls, PeerRules, Trust},
};

use super::{client_tls, mesh_tls, secrets::Secrets};

use crate::{
    registry::{Service, Workload, split_service_host},
    resource::{
        destination_rule::{DestinationRule, InForce, Subset},
        metadata::Labels,
        peer_authentication::MutualTls,
        port::Protocol as PortProtocol,
        span::Spanned,
        tls::ClientMode,
        virtual_service::Destination,
    },
    world::World,
};

/// The clusters of one Document.
pub(super) struct Clusters<'a> {
    world: &'a World,
    node: &'a Node,
    /// Stands at the edge of the mesh, where the client's protocol says nothing of the service's.
    is_gateway: bool,
    by_name: BTreeMap<String, (Cluster, EndpointSet)>,
    /// Of the whole Document.
    pub(super) secrets: Secrets<'a>,
    problems: BTreeSet<Problem>,
}

impl<'a> Clusters<'a> {
    pub(super) fn new(world: &'a World, node: &'a Node) -> Self {
        Self {
            world,
            node,
            is_gateway: world.is_gateway(node),
            by_name: BTreeMap::new(),
            secrets: Secrets::new(world, node),
            problems: BTreeSet::new(),
        }
    }

    /// The cluster that a VirtualService's destination means for requests that came in at
    /// `listener_port`. A service, port or subset that is not there gives a cluster without
    /// endpoints, so that only its own requests fail; [`analyze`](crate::analyze) names it.
    pub(super) fn of_destination(
        &mut self,
        destination: &Destination,
        listener_port: u16,
    ) -> String {
        let service = self.world.registry().service(&destination.host);
        let subset = destination.subset.as_ref().map(|subset| subset.as_str());
        let port = destination_port(destination, service, listener_port);
        self.named(&destination.host, subset.unwrap_or_default(), port)
    }

    /// The cluster of a whole service at one of its ports.
    pub(super) fn of_service(&mut self, service: &Service, port: u16) -> String {
        self.named(&service.host, "", port)
    }

    /// As [`Self::of_service`], for gRPC, which has no other protocol than HTTP/2. Where a port is
    /// spoken to in HTTP/1.1, that is a cluster of its own: the requests of others stay as they
    /// are.
    pub(super) fn of_grpc_service(&mut self, service: &Service, port: u16) -> String {
        let shared = cluster_name(&service.host, "", port);
        let own = own_of_grpc(&shared);
        if self.by_name.contains_key(&own) {
            return own;
        }
        let (mut cluster, mut endpoints) = match self.by_name.get(&shared) {
            Some((cluster, _)) if cluster.protocol != Protocol::Http1 => return shared,
            Some(made) => made.clone(),
            None => self.make(&shared, &service.host, "", port),
        };
        if cluster.protocol == Protocol::Http1 {
            cluster.protocol = Protocol::Http2;
            cluster.name.clone_from(&own);
            endpoints.cluster = own;
        }
        let name = cluster.name.clone();
        self.insert(cluster, endpoints);
        name
    }

    /// Each of these clusters chooses endpoints by hash.
    pub(super) fn choose_by_hash<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> bool {
        let mut names = names.into_iter();
        names.all(|name| {
            let found = self.by_name.get(name);
            found.is_some_and(|(cluster, _)| cluster.hash.is_some())
        })
    }

    /// A cluster that is not a service's, as it is.
    pub(super) fn insert(&mut self, cluster: Cluster, endpoints: EndpointSet) {
        self.by_name
            .insert(cluster.name.clone(), (cluster, endpoints));
    }

    /// Clusters and secrets in the order of their names, and what of them has no effect.
    pub(super) fn finish(
        self,
    ) -> (
        impl Iterator<Item = (Cluster, EndpointSet)>,
        impl Iterator<Item = Secret>,
        BTreeSet<Problem>,
    ) {
        (
            self.by_name.into_values(),
            self.secrets.finish(),
            self.problems,
        )
    }

    fn named(&mut self, host: &str, subset: &str, port: u16) -> String {
        let name = cluster_name(host, subset, port);
        if !self.by_name.contains_key(&name) {
            let made = self.make(&name, host, subset, port);
            self.by_name.insert(name.clone(), made);
        }
        name
    }

    /// What is spoken at a port that carries requests: what the client speaks when a
    /// DestinationRule wants that, else HTTP/2 when one wants that, else what the port says. A
    /// gateway speaks HTTP/1.1 to a port of which nothing is said: its clients may well begin with
    /// HTTP/2 whatever the service knows.
    fn protocol(&self, port: Option<PortProtocol>, in_force: &InForce) -> Protocol {
        let Some(port) = port.filter(|port| port.is_http() || *port == PortProtocol::Https) else {
            return Protocol::default();
        };
        if in_force.follows_client {
            return Protocol::AsClient;
        }
        if in_force.upgrades {
            return Protocol::Http2;
        }
        match self.is_gateway {
            true => spoken(port, Protocol::Http1),
            false => spoken(port, Protocol::AsClient),
        }
    }

    fn make(&mut self, name: &str, host: &str, subset: &str, port: u16) -> (Cluster, EndpointSet) {
        let service = self.world.registry().service(host);
        let named = name_of(host, service);
        let rules = self
            .world
            .rules_of(&self.node.namespace, &named.namespace, host);
        let found = find_subset(&rules, subset);
        let in_force = match rules.first() {
            Some(rule) => rule.settings(found.map(|(_, subset)| &subset.value), port),
            None => InForce::default(),
        };
        let origin = match (found, rules.first(), service) {
            (Some((rule, subset)), _, _) => Some(rule.metadata.origin_at(subset.span)),
            (None, Some(rule), _) => Some(rule.metadata.origin_at(rule.host.span)),
            (None, None, Some(service)) => Some(service.origin.clone()),
            (None, None, None) => None,
        };
        let port_protocol = service.and_then(|service| Some(service.port(port)?.protocol));
        let at = At {
            service,
            rule: rules.first().copied(),
            subset,
            port,
        };
        let transport = self.transport(&at, &in_force);
        let mut made = endpoints(self.world, service, &rules, subset, port);
        if is_istio_mutual(&in_force) && matches!(transport, Transport::Mesh(_)) {
            made.iter_mut()
                .for_each(|endpoint| endpoint.is_in_mesh = true);
        }
        let cluster = Cluster {
            name: name.to_owned(),
            service: named,
            subset: subset.to_owned(),
            protocol: self.protocol(port_protocol, &in_force),
            balancer: in_force.balancer.balancer,
            hash: in_force.balancer.hash,
            connections: in_force.connections,
            retry_budget: in_force.retry_budget,
            proxy_protocol: in_force.proxy_protocol,
            transport,
            origin,
        };
        let endpoints = EndpointSet {
            cluster: name.to_owned(),
            endpoints: made,
        };
        (cluster, endpoints)
    }
}

/// A port of a service, or of a part of it, and the DestinationRule that holds there.
struct At<'a> {
    service: Option<&'a Service>,
    rule: Option<&'a DestinationRule>,
    subset: &'a str,
    port: u16,
}

impl At<'_> {
    fn carries_requests(&self) -> bool {
        let port = self.service.and_then(|service| service.port(self.port));
        port.is_none_or(|port| port.protocol.is_http() || port.protocol == PortProtocol::Https)
    }
}

impl Clusters<'_> {
    /// How the cluster's connections are carried: as a DestinationRule says, else, in a mesh with
    /// identities, within the mesh's TLS to those endpoints that speak it.
    fn transport(&mut self, at: &At<'_>, in_force: &InForce) -> Transport {
        let settings = in_force.tls.as_deref();
        let identity = self.world.settings().identity.as_ref();
        let mode = settings.map(|settings| settings.mode);
        if let (None | Some(ClientMode::IstioMutual), Some(identity), Some(service)) =
            (mode, identity, at.service)
            && (mode.is_some() || is_of_mesh(service, at.port))
        {
            let of = [&at.port.to_string(), at.subset];
            let carries_requests = at.carries_requests();
            let tls =
                mesh_tls::outbound(&mut self.secrets, identity, service, of, carries_requests);
            return Transport::Mesh(tls);
        }
        let (Some(settings), Some(rule)) = (settings, at.rule) else {
            return Transport::Plaintext;
        };
        let (carries, owner) = (at.carries_requests(), &rule.metadata);
        let secrets = &mut self.secrets;
        let unusable = match client_tls::of_settings(secrets, settings, at.service, carries, owner)
        {
            Ok(Transport::Plaintext) if settings.mode == ClientMode::IstioMutual => {
                "the mesh gives its workloads no identities".to_owned()
            }
            Ok(transport) => return transport,
            Err(unusable) => unusable,
        };
        let message = format!("{unusable}: connections to the service are not made");
        let path = "spec.trafficPolicy.tls";
        let problem = owner.problem(Severity::Warning, settings.span, path, message);
        self.problems.insert(problem);
        // Nobody is believed: what was to be within TLS is not sent in plain text.
        let name = self.secrets.nobody();
        Transport::Tls(ClientTls {
            trust: Trust::Rules(PeerRules {
                authorities: vec![name],
                ..PeerRules::default()
            }),
            ..ClientTls::default()
        })
    }
}

/// Its endpoints may stand behind proxies of the mesh, and what is spoken to them is not TLS of
/// their own.
fn is_of_mesh(service: &Service, port: u16) -> bool {
    let port = service.port(port);
    !service.external && port.is_none_or(|port| !port.protocol.is_tls())
}

fn is_istio_mutual(in_force: &InForce) -> bool {
    let settings = in_force.tls.as_deref();
    settings.is_some_and(|settings| settings.mode == ClientMode::IstioMutual)
}

/// A proxy stands before the workload, and takes the mesh's TLS at its port.
fn speaks_mesh_tls(world: &World, workload: &Workload, port: u16) -> bool {
    let mode = || world.mutual_tls(&workload.namespace, &workload.labels, port);
    workload.has_proxy && mode() != MutualTls::Disable
}

/// What the application of an inbound port is spoken to.
pub(super) fn inbound_protocol(port: PortProtocol) -> Protocol {
    spoken(port, Protocol::AsClient)
}

/// `undeclared`: where nothing is said of the port.
fn spoken(port: PortProtocol, undeclared: Protocol) -> Protocol {
    match port {
        PortProtocol::Http2 | PortProtocol::Grpc => Protocol::Http2,
        PortProtocol::GrpcWeb => Protocol::AsClient,
        PortProtocol::Detect => undeclared,
        PortProtocol::Http
        | PortProtocol::Https
        | PortProtocol::Tls
        | PortProtocol::Tcp
        | PortProtocol::Mongo
        | PortProtocol::Mysql
        | PortProtocol::Redis
        | PortProtocol::Udp => Protocol::Http1,
    }
}

/// The endpoint sets that clusters of the service of `host` have in `world`, of those clusters that
/// are `wanted`. A cluster for a port or subset that is not there has no endpoints, whatever
/// workloads there are, and is left out.
pub(super) fn endpoint_sets(
    world: &World,
    node: &Node,
    host: &str,
    wanted: impl Fn(&str) -> bool,
) -> Vec<EndpointSet> {
    let Some(service) = world.registry().service(host) else {
        return Vec::new();
    };
    let rules = world.rules_of(&node.namespace, &service.namespace, host);
    let named = rules.iter().flat_map(|rule| &rule.subsets);
    let named: BTreeSet<&str> = named.map(|subset| subset.name.as_str()).collect();
    let mut sets = Vec::new();
    for port in &service.ports {
        for subset in std::iter::once("").chain(named.iter().copied()) {
            let cluster = cluster_name(host, subset, port.number);
            let of_grpc = own_of_grpc(&cluster);
            for cluster in [cluster, of_grpc].into_iter().filter(|name| wanted(name)) {
                let mut endpoints = endpoints(world, Some(service), &rules, subset, port.number);
                let found = find_subset(&rules, subset).map(|(_, subset)| &subset.value);
                let in_force = rules.first().map(|rule| rule.settings(found, port.number));
                if world.settings().identity.is_some()
                    && in_force.as_ref().is_some_and(is_istio_mutual)
                {
                    endpoints
                        .iter_mut()
                        .for_each(|endpoint| endpoint.is_in_mesh = true);
                }
                sets.push(EndpointSet { cluster, endpoints });
            }
        }
    }
    sets
}

pub(super) fn cluster_name(host: &str, subset: &str, port: u16) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// The cluster beside the one of this `name` that GRPCRoutes lead to.
fn own_of_grpc(name: &str) -> String {
    format!("{name}|grpc")
}

/// Who answers for a subset of a service at a port; without a subset, for the service.
fn endpoints(
    world: &World,
    service: Option<&Service>,
    rules: &[&DestinationRule],
    subset: &str,
    port: u16,
) -> Vec<Endpoint> {
    let labels = match find_subset(rules, subset) {
        Some((_, subset)) => Some(&subset.labels),
        None if subset.is_empty() => Some(&EVERY_WORKLOAD),
        None => None,
    };
    let endpoints = service.zip(labels).and_then(|(service, labels)| {
        let port = service.port(port)?;
        let is_in_mesh = |workload: &Workload, number| {
            world.settings().identity.is_some() && speaks_mesh_tls(world, workload, number)
        };
        Some(service.endpoints(port, labels, is_in_mesh))
    });
    endpoints.unwrap_or_default()
}

/// The port written; else the only one of the service; else the one the request came in at.
fn destination_port(
    destination: &Destination,
    service: Option<&Service>,
    listener_port: u16,
) -> u16 {
    match (&destination.port, service.map(|service| &*service.ports)) {
        (Some(port), _) => port.value,
        (None, Some([only])) => only.number,
        (None, _) => listener_port,
    }
}

/// Service labels of metrics for a host that may not be in the registry.
pub(super) fn name_of(host: &str, service: Option<&Service>) -> ServiceName {
    let (name, namespace) = match (service, split_service_host(host)) {
        (Some(service), _) => (service.name.as_str(), service.namespace.as_str()),
        (None, Some(split)) => split,
        (None, None) => (host, ""),
    };
    ServiceName {
        host: host.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    }
}

fn find_subset<'r>(
    rules: &[&'r DestinationRule],
    name: &str,
) -> Option<(&'r DestinationRule, &'r Spanned<Subset>)> {
    rules
        .iter()
        .find_map(|rule| Some((*rule, rule.subset(name)?)))
}

static EVERY_WORKLOAD: Labels = Labels::new();
