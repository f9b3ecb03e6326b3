//! One Document per proxy: what it listens on, how it routes, and whom it can reach. Pure.
//!
//! A proxy that some Gateway is meant for is a gateway ([`gateway`]); any other is a sidecar, and
//! its Sidecar resource says what it listens on ([`ingress`], [`egress`]). Both turn
//! VirtualServices into routes by [`routes`], HTTPRoutes and GRPCRoutes by [`gateway_api`], and the
//! services those lead to into clusters by [`clusters`]. Nothing else gets into the Document: a
//! proxy is told of what it can reach and of no more.
//!
//! The same world and node always give the same Document, part for part, so that versions of parts
//! are stable and a proxy is sent only what changed.

mod client_tls;
mod clusters;
mod domains;
mod egress;
pub(crate) mod gateway;
pub(crate) mod gateway_api;
mod ingress;
mod mesh_tls;
mod retries;
mod routes;
pub(crate) mod secrets;
mod server_tls;
mod tcp;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use ringmain_config::{
    document::{Document, Part},
    endpoint::EndpointSet,
    listener::{Direction, Listener, ListenerProtocol},
    node::Node,
    origin::Origin,
    problem::{Problem, Severity},
    route::RouteTable,
    tcp::TcpRoute,
    tls::ListenerTls,
};

use self::clusters::Clusters;
use crate::{
    resource::{metadata::Metadata, span::Span},
    world::World,
};

/// The Document of the proxy of `node`, and what in the world has no effect on this proxy although
/// it was meant to. Generation 0.
pub fn assemble(world: &World, node: &Node) -> (Document, Vec<Problem>) {
    let mut assembly = Assembly::new(world, node);
    let gateways = world.gateways_of(node);
    let api_gateways: Vec<_> = world.api_gateways_of(node).collect();
    if !gateways.is_empty() || !api_gateways.is_empty() {
        gateway::assemble(&mut assembly, &gateways, &api_gateways);
    } else if let Some(sidecar) = world.sidecar_of(node) {
        ingress::assemble(&mut assembly, sidecar);
        egress::assemble(&mut assembly, sidecar);
    } else {
        assembly.problems.insert(nothing_to_do(node));
    }
    assembly.finish()
}

/// The endpoint sets of `document`, which is [`assemble`]'s for `node`, that services of `hosts`
/// have in `world`, where nothing but endpoints differs from the world it was made of.
pub(crate) fn endpoint_sets(
    world: &World,
    node: &Node,
    document: &Document,
    hosts: &BTreeSet<String>,
) -> Vec<EndpointSet> {
    let held = |cluster: &str| document.endpoint_sets.contains_key(cluster);
    hosts
        .iter()
        .flat_map(|host| clusters::endpoint_sets(world, node, host, held))
        .collect()
}

/// A Document in the making.
struct Assembly<'a> {
    world: &'a World,
    node: &'a Node,
    clusters: Clusters<'a>,
    listeners: BTreeMap<SocketAddr, Listener>,
    route_tables: BTreeMap<String, RouteTable>,
    /// A set, since one cause may show at several places.
    problems: BTreeSet<Problem>,
}

impl<'a> Assembly<'a> {
    fn new(world: &'a World, node: &'a Node) -> Self {
        Self {
            world,
            node,
            clusters: Clusters::new(world, node),
            listeners: BTreeMap::new(),
            route_tables: BTreeMap::new(),
            problems: BTreeSet::new(),
        }
    }

    /// Opens a listener for HTTP with a route table of its own, and, when there are `routes` for
    /// bytes, for those as well: the first bytes of a connection then say which it is.
    fn listen(&mut self, wanted: &Wanted<'_>, mut table: RouteTable, routes: Vec<TcpRoute>) {
        if !self.is_free(wanted) {
            return;
        }
        // Two addresses may share a port, and the port alone names a sidecar's tables.
        if self.route_tables.contains_key(&table.name) {
            table.name = format!("{}.{}", table.name, wanted.address.ip());
        }
        let route_table = table.name.clone();
        let protocol = match routes.is_empty() {
            true => ListenerProtocol::Http { route_table },
            false => ListenerProtocol::Detect {
                route_table,
                routes,
            },
        };
        self.open(wanted, protocol, None);
        self.route_tables.insert(table.name.clone(), table);
    }

    /// Opens a TCP listener.
    fn listen_tcp(&mut self, wanted: &Wanted<'_>, routes: Vec<TcpRoute>) {
        if self.is_free(wanted) {
            self.open(wanted, ListenerProtocol::Tcp { routes }, None);
        }
    }

    fn open(&mut self, wanted: &Wanted<'_>, protocol: ListenerProtocol, tls: Option<ListenerTls>) {
        let address = wanted.address;
        let name = format!("{}_{}", address.ip(), address.port());
        let listener = Listener {
            tls,
            origin: Some(wanted.metadata.origin_at(wanted.span)),
            ..Listener::new(name, address, wanted.direction, protocol)
        };
        self.listeners.insert(address, listener);
    }

    /// Of two listeners that want one address the first gets it; the other becomes a problem at its
    /// place.
    fn is_free(&mut self, wanted: &Wanted<'_>) -> bool {
        let &Wanted {
            address,
            metadata,
            span,
            path,
            ..
        } = wanted;
        if let Some(first) = self.listeners.get(&address) {
            let holder = first.origin.as_ref().map(Origin::to_string);
            let message = format!(
                "{address} is already listened on for {}",
                holder.unwrap_or_default()
            );
            self.warn(
                metadata
                    .problem(Severity::Warning, span, path, message)
                    .hint("the first is served; give the other an address or a port of its own"),
            );
            return false;
        }
        true
    }

    fn warn(&mut self, problem: Problem) {
        self.problems.insert(problem);
    }

    fn finish(mut self) -> (Document, Vec<Problem>) {
        let mut document = Document::default();
        for listener in self.listeners.into_values() {
            document.upsert(Part::Listener(Arc::new(listener)));
        }
        for table in self.route_tables.into_values() {
            document.upsert(Part::RouteTable(Arc::new(table)));
        }
        let (clusters, secrets, problems) = self.clusters.finish();
        for secret in secrets {
            document.upsert(Part::Secret(Arc::new(secret)));
        }
        self.problems.extend(problems);
        for (cluster, endpoints) in clusters {
            document.upsert(Part::Cluster(Arc::new(cluster)));
            document.upsert(Part::EndpointSet(Arc::new(endpoints)));
        }
        (document, self.problems.into_iter().collect())
    }
}

/// A listener that a resource asks for.
struct Wanted<'a> {
    address: SocketAddr,
    direction: Direction,
    metadata: &'a Metadata,
    span: Span,
    /// Where in the resource, for example `spec.egress[0]`.
    path: &'a str,
}

fn nothing_to_do(node: &Node) -> Problem {
    let path = format!("proxy {}/{}", node.namespace, node.name);
    let message = "no Gateway selects its labels and no Sidecar applies to it: it listens nowhere";
    let problem = Problem {
        severity: Severity::Warning,
        ..Problem::error(path, message)
    };
    problem.hint(format!(
        "add a Sidecar to namespace {}, or the labels of a Gateway's selector to the proxy's \
         [workload]",
        node.namespace
    ))
}

#[cfg(test)]
mod tests;
