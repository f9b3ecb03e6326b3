//! Where a workload reaches others: at each outbound port the services in scope that have it.
//!
//! The application connects to the listener and names the service in its `Host`. There is no
//! redirected connection, hence no destination the client chose otherwise: a host that nothing in
//! scope stands for is answered 502 in either mode of `outboundTrafficPolicy`, by the virtual host
//! `block_all`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ringmain_config::{
    listener::Direction,
    origin::Origin,
    problem::Severity,
    route::{Action, BLOCK_ALL, DirectResponse, VirtualHost},
};

use super::{
    Assembly, Wanted,
    domains::{VirtualHosts, aliases, with_port},
    gateway_api,
    routes::{Place, default_route, everything, routes},
    tcp,
};
use crate::{
    registry::Service,
    resource::{
        host::{ScopedHost, overlaps},
        port::Protocol,
        sidecar::{Capture, EgressListener, Sidecar},
        span::Spanned,
        virtual_service::{GatewayReference, VirtualService},
    },
};

/// Adds the outbound listeners of `sidecar`: those with a port whatever their capture mode, since
/// who connects to them can be served. One without a port and with capture mode NONE stands for the
/// ports of the services in its scope that no other names; with another mode it waits for a packet
/// filter and is not opened.
pub(super) fn assemble(assembly: &mut Assembly<'_>, sidecar: &Sidecar) {
    let mut named = BTreeSet::new();
    for (index, egress) in sidecar.egress.iter().enumerate() {
        let Some(port) = &egress.port else { continue };
        if port.protocol.is_http() {
            named.insert(port.number);
            open(assembly, sidecar, index, egress, port.number);
        } else if port.protocol.is_tcp() {
            named.insert(port.number);
            open_tcp(assembly, sidecar, index, egress, port.number);
        }
    }
    for (index, egress) in sidecar.egress.iter().enumerate() {
        if egress.port.is_some() || egress.capture != Capture::None {
            continue;
        }
        for port in ports_in_scope(assembly, egress, Protocol::is_http) {
            if named.insert(port) {
                open(assembly, sidecar, index, egress, port);
            }
        }
        for port in ports_in_scope(assembly, egress, Protocol::is_tcp) {
            if named.insert(port) {
                open_tcp(assembly, sidecar, index, egress, port);
            }
        }
    }
}

fn ports_in_scope(
    assembly: &Assembly<'_>,
    egress: &EgressListener,
    is_meant: fn(Protocol) -> bool,
) -> BTreeSet<u16> {
    let services = assembly.world.registry().services();
    services
        .filter(|service| in_scope(&egress.hosts, service))
        .flat_map(|service| &service.ports)
        .filter(|port| is_meant(port.protocol))
        .map(|port| port.number)
        .collect()
}

/// Nothing in a connection says which service is meant, so a TCP port leads to one: the first in
/// scope that has it.
fn open_tcp(
    assembly: &mut Assembly<'_>,
    sidecar: &Sidecar,
    index: usize,
    egress: &Spanned<EgressListener>,
    port: u16,
) {
    let world = assembly.world;
    let path = format!("spec.egress[{index}]");
    let has_port = |service: &&Service| {
        let port = service.port(port);
        port.is_some_and(|port| port.protocol.is_tcp()) && in_scope(&egress.hosts, service)
    };
    let mut services = world.registry().services().filter(has_port);
    let mut routes = Vec::new();
    if let Some(service) = services.next() {
        let visible =
            |rules: &VirtualService, host: &str| rules_in_scope(&egress.hosts, rules, host);
        if let Some((rules, _)) = world.mesh_rules_of(&service.host, visible) {
            let place = Place {
                node: assembly.node,
                gateway: &GatewayReference::Mesh,
                port,
            };
            routes = tcp::routes(&mut assembly.clusters, &place, rules);
        }
        // A connection that no rule is for goes to the service.
        let cluster = assembly.clusters.of_service(service, port);
        routes.push(tcp::everything_to(cluster, Some(service.origin.clone())));
        for other in services {
            let message = format!(
                "TCP port {port} leads to {}, so {} cannot be reached at it",
                service.host, other.host
            );
            let problem = sidecar
                .metadata
                .problem(Severity::Warning, egress.span, &path, message);
            assembly.warn(problem.hint(
                "give one of them an egress listener of its own with another `bind`, and name only \
                 its host there",
            ));
        }
    }
    let wanted = Wanted {
        address: SocketAddr::new(egress.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port),
        direction: Direction::Outbound,
        metadata: &sidecar.metadata,
        span: egress.span,
        path: &path,
    };
    assembly.listen_tcp(&wanted, routes);
}

fn open(
    assembly: &mut Assembly<'_>,
    sidecar: &Sidecar,
    index: usize,
    egress: &Spanned<EgressListener>,
    port: u16,
) {
    let origin = sidecar.metadata.origin_at(egress.span);
    let mut hosts = VirtualHosts::default();
    add_services(assembly, &egress.hosts, port, &mut hosts);
    add_rules_without_service(assembly, &egress.hosts, port, &mut hosts);
    hosts.push(block_all(origin), Vec::new());
    let address = egress.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let wanted = Wanted {
        address: SocketAddr::new(address, port),
        direction: Direction::Outbound,
        metadata: &sidecar.metadata,
        span: egress.span,
        path: &format!("spec.egress[{index}]"),
    };
    assembly.listen(wanted, port.to_string(), hosts.finish());
}

/// A virtual host for each service in scope that has an HTTP port of this number.
fn add_services(
    assembly: &mut Assembly<'_>,
    scopes: &[Spanned<ScopedHost>],
    port: u16,
    hosts: &mut VirtualHosts,
) {
    let world = assembly.world;
    for service in world.registry().services() {
        let has_port = service
            .port(port)
            .is_some_and(|port| port.protocol.is_http());
        if !has_port || !in_scope(scopes, service) {
            continue;
        }
        let visible = |rules: &VirtualService, host: &str| rules_in_scope(scopes, rules, host);
        let mut origin = Some(service.origin.clone());
        let mut routes = gateway_api::mesh_routes(assembly, service, port);
        if let Some(first) = routes.first() {
            origin.clone_from(&first.origin);
        } else if let Some((rules, host)) = world.mesh_rules_of(&service.host, visible) {
            routes = rules_at(assembly, rules, port);
            if !routes.is_empty() {
                origin = origin_of(rules, host);
            }
        }
        // Rules none of which are for this port and workload leave the service as it is.
        if routes.is_empty() {
            let cluster = assembly.clusters.of_service(service, port);
            routes.push(default_route(cluster, origin.clone()));
        }
        let virtual_host = VirtualHost {
            name: format!("{}:{port}", service.host),
            domains: with_port(&service.host, port),
            routes,
            origin,
        };
        hosts.push(
            virtual_host,
            aliases(service, &assembly.node.namespace, port),
        );
    }
}

/// A virtual host for each host of a VirtualService that is no service's: rules may well be written
/// for a name that exists in them only.
fn add_rules_without_service(
    assembly: &mut Assembly<'_>,
    scopes: &[Spanned<ScopedHost>],
    port: u16,
    hosts: &mut VirtualHosts,
) {
    let world = assembly.world;
    for (host, candidates) in world.mesh_hosts() {
        if world.registry().service(host).is_some() {
            continue;
        }
        let mut candidates = candidates.into_iter();
        let Some(rules) = candidates.find(|rules| rules_in_scope(scopes, rules, host)) else {
            continue;
        };
        let routes = rules_at(assembly, rules, port);
        if routes.is_empty() {
            continue;
        }
        let virtual_host = VirtualHost {
            name: format!("{host}:{port}"),
            domains: with_port(host, port),
            routes,
            origin: origin_of(rules, host),
        };
        hosts.push(virtual_host, Vec::new());
    }
}

fn rules_at(
    assembly: &mut Assembly<'_>,
    rules: &VirtualService,
    port: u16,
) -> Vec<ringmain_config::route::Route> {
    let place = Place {
        node: assembly.node,
        gateway: &GatewayReference::Mesh,
        port,
    };
    routes(&mut assembly.clusters, &place, rules)
}

fn origin_of(rules: &VirtualService, host: &str) -> Option<Origin> {
    let written = rules.hosts.iter().find(|written| written.value == host)?;
    Some(rules.metadata.origin_at(written.span))
}

fn in_scope(scopes: &[Spanned<ScopedHost>], service: &Service) -> bool {
    scopes
        .iter()
        .any(|scope| scope.includes(&service.namespace, &service.host))
}

fn rules_in_scope(scopes: &[Spanned<ScopedHost>], rules: &VirtualService, host: &str) -> bool {
    scopes.iter().any(|scope| {
        scope.namespace.includes(&rules.metadata.namespace) && overlaps(&scope.host, host)
    })
}

fn block_all(origin: Origin) -> VirtualHost {
    let action = Action::Direct(DirectResponse {
        status: 502,
        body: Vec::new(),
    });
    VirtualHost {
        name: BLOCK_ALL.to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![everything(BLOCK_ALL, action, Some(origin.clone()))],
        origin: Some(origin),
    }
}
