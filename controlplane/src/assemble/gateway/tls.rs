//! The servers of one address that speak TLS: a chain for the names of each, and in it the hosts or
//! the routes of that server alone. A client gets at nothing by a name that it did not ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use ringmain_config::{
    listener::{Direction, ListenerProtocol},
    problem::Severity,
    route::RouteTable,
    tcp::TcpRoute,
    tls::{ListenerTls, ServerTls, TlsAction, TlsChain},
};

use super::{Bound, add_hosts, tcp_routes};
use crate::{
    assemble::{
        Assembly, Wanted,
        domains::{VirtualHosts, intersection},
        retries,
        routes::Place,
        server_tls, tcp,
    },
    resource::{
        gateway::{Served, Server},
        span::Span,
        tls::ServerMode,
        virtual_service::{GatewayReference, VirtualService},
    },
};

/// One listener for the servers of an address.
pub(super) fn open(assembly: &mut Assembly<'_>, address: SocketAddr, servers: &[Bound<'_>]) {
    let Some(first) = servers.first() else {
        return;
    };
    let wanted = Wanted {
        address,
        direction: Direction::Gateway,
        metadata: &first.gateway.metadata,
        span: first.server.span,
        path: &first.path(),
    };
    if !assembly.is_free(&wanted) {
        return;
    }
    let mut taken = BTreeMap::new();
    let mut chains = Vec::new();
    for bound in servers {
        let names = names(assembly, bound, address.port(), &mut taken);
        if names.is_empty() {
            continue;
        }
        match bound.server.served() {
            Served::PassThrough => {
                chains.extend(pass_through(assembly, bound, address.port(), &names))
            }
            Served::Https | Served::Tls => {
                chains.extend(terminate(assembly, bound, address, &names))
            }
            Served::Http | Served::Redirect | Served::Tcp | Served::Not => {}
        }
    }
    if chains.is_empty() {
        return;
    }
    let tls = ListenerTls {
        accepts_plaintext: false,
        chains,
    };
    let nothing = ListenerProtocol::Tcp { routes: Vec::new() };
    assembly.open(&wanted, nothing, Some(tls));
}

/// The names of a server that no server before it has, as in a ClientHello; `*` for any.
fn names<'a>(
    assembly: &mut Assembly<'_>,
    bound: &Bound<'a>,
    port: u16,
    taken: &mut BTreeMap<&'a str, Bound<'a>>,
) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for host in &bound.server.hosts {
        let name = host.value.host.as_str();
        if names.contains(&name) {
            continue;
        }
        let Some(holder) = taken.get(name) else {
            taken.insert(name, *bound);
            names.push(name);
            continue;
        };
        let of = holder.gateway.metadata.origin_at(holder.server.span);
        let message =
            format!("{name} at port {port} has its TLS from {of}: this server's is not used");
        let metadata = &bound.gateway.metadata;
        let path = format!("{}.hosts", bound.path());
        let problem = metadata.problem(Severity::Warning, host.span, &path, message);
        assembly.warn(problem.hint("the first is served; remove the host from one of them"));
    }
    names
}

/// As a chain has them: empty for any.
fn server_names(names: &[&str]) -> Vec<String> {
    match names.contains(&"*") {
        true => Vec::new(),
        false => server_tls::texts(names),
    }
}

/// `https.443.web.edge.default`, as in Istio; unique among the servers of all Gateways.
fn chain_name(bound: &Bound<'_>, port: u16) -> String {
    let own = |server: &Server| match server.port.name.as_str() {
        "" => server.name.clone(),
        name => name.to_owned(),
    };
    let (gateway, server) = (&bound.gateway.metadata, &bound.server.value);
    let named = own(server);
    let name = format!(
        "https.{port}.{named}.{}.{}",
        gateway.name, gateway.namespace
    );
    let mut before = bound.gateway.servers.iter().take(bound.index);
    match before.any(|other| other.port.number == port && own(other) == named) {
        true => format!("{name}.{}", bound.index),
        false => name,
    }
}

fn terminate(
    assembly: &mut Assembly<'_>,
    bound: &Bound<'_>,
    address: SocketAddr,
    names: &[&str],
) -> Option<TlsChain> {
    let port = address.port();
    let carries_requests = bound.server.served() == Served::Https;
    let tls = settings(assembly, bound, carries_requests)?;
    let mut name = chain_name(bound, port);
    // One server may be opened at several addresses.
    if assembly.route_tables.contains_key(&name) {
        name = format!("{name}.{}", address.ip());
    }
    let protocol = match carries_requests {
        true => {
            let mut hosts = VirtualHosts::default();
            add_hosts(assembly, &[*bound], port, &BTreeMap::new(), &mut hosts);
            let table = RouteTable {
                name: name.clone(),
                retry: Some(retries::of_table()),
                virtual_hosts: hosts.finish(),
            };
            assembly.route_tables.insert(name.clone(), table);
            let route_table = name.clone();
            ListenerProtocol::Http { route_table }
        }
        false => {
            let routes = tcp_routes(assembly, port, &[*bound]);
            if routes.is_empty() {
                warn_without_rules(assembly, bound, "tcp");
            }
            ListenerProtocol::Tcp { routes }
        }
    };
    Some(TlsChain {
        name,
        server_names: server_names(names),
        offered: Vec::new(),
        action: TlsAction::Terminate { tls, protocol },
        origin: Some(bound.gateway.metadata.origin_at(bound.server.span)),
    })
}

/// What the server says of TLS; none when it cannot be used, which is reported: its hosts are not
/// served then.
fn settings(
    assembly: &mut Assembly<'_>,
    bound: &Bound<'_>,
    carries_requests: bool,
) -> Option<Arc<ServerTls>> {
    let written = bound.server.tls.as_deref()?;
    let alpn: &[&str] = match (written.mode, carries_requests) {
        (ServerMode::IstioMutual, true) => &super::super::mesh_tls::HTTP_SERVED,
        (ServerMode::IstioMutual, false) => &super::super::mesh_tls::BYTES_SERVED,
        (_, true) => &server_tls::HTTP,
        (_, false) => &[],
    };
    let identity = assembly.world.settings().identity.as_ref();
    let metadata = &bound.gateway.metadata;
    let secrets = &mut assembly.clusters.secrets;
    match server_tls::of_settings(secrets, identity, written, alpn, metadata) {
        Ok(tls) => Some(tls),
        Err(unusable) => {
            let message = format!("{unusable}: the server's hosts are not served");
            warn(assembly, bound, written.span, ".tls", message);
            None
        }
    }
}

fn warn(assembly: &mut Assembly<'_>, bound: &Bound<'_>, span: Span, below: &str, message: String) {
    let path = format!("{}{below}", bound.path());
    let problem = bound
        .gateway
        .metadata
        .problem(Severity::Warning, span, &path, message);
    assembly.warn(problem);
}

fn warn_without_rules(assembly: &mut Assembly<'_>, bound: &Bound<'_>, of: &str) {
    let message =
        format!("no VirtualService has a rule in `{of}` for the server: connections are closed");
    warn(assembly, bound, bound.server.span, "", message);
}

/// A chain for each name that rules of `tls` are for.
fn pass_through(
    assembly: &mut Assembly<'_>,
    bound: &Bound<'_>,
    port: u16,
    names: &[&str],
) -> Vec<TlsChain> {
    let world = assembly.world;
    let mut by_name: BTreeMap<&str, Vec<TcpRoute>> = BTreeMap::new();
    for service in world.virtual_services() {
        for gateway in bearers(service, bound) {
            let place = Place {
                node: assembly.node,
                gateway,
                port,
            };
            for (name, route) in tcp::tls_routes(&mut assembly.clusters, &place, service) {
                let common = names.iter().filter_map(|own| intersection(own, name));
                let common: BTreeSet<&str> = common.collect();
                for name in common {
                    by_name.entry(name).or_default().push(route.clone());
                }
            }
        }
    }
    if by_name.is_empty() {
        warn_without_rules(assembly, bound, "tls");
    }
    let own = chain_name(bound, port);
    let chains = by_name.into_iter().map(|(name, routes)| TlsChain {
        name: format!("{own}.{name}"),
        server_names: server_names(&[name]),
        offered: Vec::new(),
        origin: routes.first().and_then(|route| route.origin.clone()),
        action: TlsAction::PassThrough { routes },
    });
    chains.collect()
}

/// The Gateway as the VirtualService names it, when some host of it is the server's.
fn bearers<'a>(
    service: &'a VirtualService,
    bound: &Bound<'a>,
) -> impl Iterator<Item = &'a GatewayReference> {
    let mut by_host = BTreeMap::new();
    super::bind(&mut by_host, service, bound);
    let gateways: BTreeSet<_> = by_host
        .into_values()
        .flatten()
        .map(|bearer| bearer.gateway)
        .collect();
    gateways.into_iter()
}
