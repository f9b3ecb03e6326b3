//! Gateway API beside Istio's kinds: HTTPRoutes and GRPCRoutes become routes of the same tables.
//!
//! [`attach`] decides which routes a listener or a service takes, [`precedence`] which match goes
//! first, [`rules`] what a rule does. A host at one place has rules of one API: where routes of the
//! Gateway API are attached, a VirtualService's rules for it are not used, and a warning says so.

pub(crate) mod attach;
pub(crate) mod precedence;
mod rules;

use std::{collections::BTreeMap, net::SocketAddr};

use ringmain_config::{
    listener::Direction,
    origin::Origin,
    problem::{Problem, Severity},
    route::{Route, RouteTable, VirtualHost},
};

use self::attach::{Attached, Bound, Rejected};
use super::{
    Assembly, Wanted,
    domains::{VirtualHosts, with_port},
    gateway::{self, EVERY_ADDRESS},
    retries,
};
use crate::{
    registry::Service,
    resource::{gateway_api::Gateway, span::Span, virtual_service::VirtualService},
    world::World,
};

/// The listeners of `gateways` by where they listen.
pub(crate) fn listeners<'a>(gateways: &[&'a Gateway]) -> BTreeMap<SocketAddr, Vec<Bound<'a>>> {
    let mut by_address: BTreeMap<SocketAddr, Vec<Bound<'a>>> = BTreeMap::new();
    for gateway in gateways {
        let every = [EVERY_ADDRESS];
        let addresses = match gateway.addresses.as_slice() {
            [] => &every,
            named => named,
        };
        for (index, listener) in gateway.listeners.iter().enumerate() {
            for address in addresses {
                let address = SocketAddr::new(*address, listener.port);
                by_address.entry(address).or_default().push(Bound {
                    gateway,
                    listener,
                    index,
                });
            }
        }
    }
    by_address
}

/// Opens listeners that no Istio Gateway has opened.
pub(super) fn assemble(
    assembly: &mut Assembly<'_>,
    listeners: BTreeMap<SocketAddr, Vec<Bound<'_>>>,
) {
    for (address, bounds) in listeners {
        let Some(first) = bounds.first() else {
            continue;
        };
        let port = address.port();
        let mut hosts = VirtualHosts::default();
        add_hosts(assembly, &bounds, port, &mut hosts);
        let wanted = Wanted {
            address,
            direction: Direction::Gateway,
            metadata: &first.gateway.metadata,
            span: first.listener.span,
            path: &format!("spec.listeners[{}]", first.index),
        };
        let table = RouteTable {
            name: gateway::table_name(address),
            retry: Some(retries::of_table()),
            virtual_hosts: hosts.finish(),
        };
        assembly.listen(&wanted, table, Vec::new());
    }
}

/// Adds a virtual host for each host that listeners of one address serve, and returns whose they
/// are. A listener's own hostname is one of them even when nothing is attached to it: its requests
/// are not for a listener with a wider hostname.
pub(super) fn add_hosts(
    assembly: &mut Assembly<'_>,
    bounds: &[Bound<'_>],
    port: u16,
    hosts: &mut VirtualHosts,
) -> BTreeMap<String, Option<Origin>> {
    let mut taken = BTreeMap::new();
    let mut add = |host: &str, routes: Vec<Route>, origin: Option<Origin>| {
        taken.insert(host.to_owned(), origin.clone());
        let virtual_host = VirtualHost {
            name: format!("{host}:{port}"),
            domains: with_port(host, port),
            routes,
            origin,
        };
        hosts.push(virtual_host, Vec::new());
    };
    let (by_host, rejected) = attach::by_host(assembly.world, bounds);
    for rejected in &rejected {
        assembly.warn(two_kinds(rejected));
    }
    let unused = bounds.iter().filter_map(|bound| {
        let host = bound.listener.hostname.as_ref()?;
        let is_unused = !by_host.contains_key(host.value.as_str());
        is_unused.then(|| (&host.value, bound.gateway.metadata.origin_at(host.span)))
    });
    let unused: BTreeMap<&String, Origin> = unused.collect();
    for (host, origin) in unused {
        add(host, Vec::new(), Some(origin));
    }
    for (host, attached) in by_host {
        let routes = rules::routes(assembly, &attached);
        add(host, routes, origin_of(&attached));
    }
    taken
}

/// The routes that the proxy's workload has for a service at one of its ports; empty when there are
/// none.
pub(super) fn mesh_routes(assembly: &mut Assembly<'_>, service: &Service, port: u16) -> Vec<Route> {
    let namespace = &assembly.node.namespace;
    let attached = attach::for_client(assembly.world, service, port, namespace);
    let (attached, rejected) = attach::of_one_kind(attached, &service.host);
    for rejected in &rejected {
        assembly.warn(two_kinds(rejected));
    }
    rules::routes(assembly, &attached)
}

pub(crate) fn origin_of(attached: &[Attached<'_>]) -> Option<Origin> {
    let first = attached.first()?;
    Some(first.route.metadata.origin_at(first.span))
}

/// Of a route that is left out because an older one is of the other kind.
pub(crate) fn two_kinds(rejected: &Rejected<'_>) -> Problem {
    let Rejected {
        route,
        span,
        host,
        first,
        first_host,
        place,
    } = rejected;
    let covered = match host == first_host {
        true => String::new(),
        false => format!(" (as {first_host})"),
    };
    let message = format!(
        "{host} is a host of {}{covered} already, and {place} takes routes of one kind for a host: \
         none of this {} is used there",
        first.metadata.origin,
        route.kind.name(),
    );
    let problem = route
        .metadata
        .problem(Severity::Warning, *span, "spec", message);
    problem.hint("give the two kinds hosts of their own")
}

/// Hosts of VirtualServices whose rules are not used where one proxy serves all Gateways of both
/// APIs.
pub(crate) fn contested(world: &World) -> Vec<Problem> {
    let gateways: Vec<_> = world.api_gateways().collect();
    let listeners = listeners(&gateways);
    let mut problems = Vec::new();
    for gateway in world.gateways() {
        for (index, server) in gateway.servers.iter().enumerate() {
            let address = server.bind.unwrap_or(EVERY_ADDRESS);
            let address = SocketAddr::new(address, server.port.number);
            let Some(bounds) = listeners.get(&address) else {
                continue;
            };
            let bound = gateway::Bound {
                gateway,
                server,
                index,
            };
            let mut bearers = BTreeMap::new();
            for service in world.virtual_services() {
                gateway::bind(&mut bearers, service, &bound);
            }
            for (host, attached) in attach::by_host(world, bounds).0 {
                let holder = origin_of(&attached);
                for bearer in bearers.get(host).into_iter().flatten() {
                    let (service, span) = (bearer.service, bearer.host.span);
                    problems.push(taken(service, span, host, address.port(), &holder));
                }
            }
        }
    }
    problems
}

/// Of a VirtualService's host that routes of the Gateway API have at a gateway's port.
pub(super) fn taken(
    service: &VirtualService,
    span: Span,
    host: &str,
    port: u16,
    holder: &Option<Origin>,
) -> Problem {
    let holder = holder.as_ref().map(Origin::to_string).unwrap_or_default();
    let message = format!(
        "{host} at port {port} has its rules from {holder}: those of this VirtualService are not \
         used"
    );
    let metadata = &service.metadata;
    let problem = metadata.problem(Severity::Warning, span, "spec.hosts", message);
    problem.hint("a host at a port takes its rules from one API: merge the two, or choose another")
}
