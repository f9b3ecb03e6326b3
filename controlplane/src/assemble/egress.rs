//! Where a workload reaches others: at each outbound port the services in scope that have it.
//!
//! The application connects to the listener and names the service in its `Host`. There is no
//! redirected connection, hence no destination the client chose otherwise: a host that nothing in
//! scope stands for is answered 502 in either mode of `outboundTrafficPolicy`, by the virtual host
//! `block_all`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ringmain_config::{
    listener::{Direction, ListenerProtocol},
    origin::Origin,
    problem::Severity,
    route::{Action, BLOCK_ALL, DirectResponse, RouteTable, VirtualHost},
    tcp::TcpRoute,
    tls::{ListenerTls, TlsAction, TlsChain},
};

use super::{
    Assembly, Wanted,
    domains::{VirtualHosts, aliases, with_port},
    gateway_api, retries,
    routes::{Place, default_route, everything, routes},
    tcp,
};
use crate::{
    registry::{Service, split_service_host},
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
    let outlets = || {
        let egress = sidecar.egress.iter().enumerate();
        egress.map(|(index, egress)| Outlet {
            sidecar,
            index,
            egress,
        })
    };
    for outlet in outlets() {
        if let Some(port) = &outlet.egress.port
            && let Some(carried) = carried(assembly, &outlet, port.number, port.protocol)
        {
            named.insert(port.number);
            open(assembly, &outlet, port.number, carried);
        }
    }
    for outlet in outlets() {
        if outlet.egress.port.is_some() || outlet.egress.capture != Capture::None {
            continue;
        }
        for port in ports_in_scope(assembly, outlet.egress) {
            if named.insert(port)
                && let Some(carried) = carried(assembly, &outlet, port, Protocol::Detect)
            {
                open(assembly, &outlet, port, carried);
            }
        }
    }
}

/// An egress listener of a Sidecar.
struct Outlet<'a> {
    sidecar: &'a Sidecar,
    /// Its place in the Sidecar.
    index: usize,
    egress: &'a Spanned<EgressListener>,
}

impl Outlet<'_> {
    fn path(&self) -> String {
        format!("spec.egress[{}]", self.index)
    }
}

/// What a listener carries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carried {
    Requests,
    Bytes,
    /// Each connection says by its first bytes which of the two.
    Either,
    /// TLS that clients speak with the services themselves: the name that they ask for leads there.
    Tls,
}

/// What the port's own protocol says, else those of the services in scope that have the port. None
/// for what is not carried yet.
fn carried(
    assembly: &Assembly<'_>,
    outlet: &Outlet<'_>,
    port: u16,
    declared: Protocol,
) -> Option<Carried> {
    if declared.is_tcp() {
        return Some(Carried::Bytes);
    }
    if declared.is_tls() {
        return Some(Carried::Tls);
    }
    if declared != Protocol::Detect {
        return declared.is_http().then_some(Carried::Requests);
    }
    let found = |is_meant| services_with(assembly, outlet.egress, port, is_meant).next();
    let (requests, bytes) = (found(Protocol::is_http), found(may_be_bytes));
    Some(match (requests, bytes) {
        (None, None) if found(Protocol::is_tls).is_some() => Carried::Tls,
        (_, None) => Carried::Requests,
        (None, Some(_)) => Carried::Bytes,
        (Some(_), Some(_)) => Carried::Either,
    })
}

fn may_be_bytes(protocol: Protocol) -> bool {
    protocol.is_tcp() || protocol == Protocol::Detect
}

/// The ports of services in scope that are carried.
fn ports_in_scope(assembly: &Assembly<'_>, egress: &EgressListener) -> BTreeSet<u16> {
    let services = assembly.world.registry().services();
    services
        .filter(|service| in_scope(&egress.hosts, service))
        .flat_map(|service| &service.ports)
        .filter(|port| port.protocol != Protocol::Udp)
        .map(|port| port.number)
        .collect()
}

/// The services in scope whose port of this number has such a protocol.
fn services_with<'a>(
    assembly: &Assembly<'a>,
    egress: &EgressListener,
    port: u16,
    is_meant: fn(Protocol) -> bool,
) -> impl Iterator<Item = &'a Service> {
    let services = assembly.world.registry().services();
    services.filter(move |service| {
        let port = service.port(port);
        port.is_some_and(|port| is_meant(port.protocol)) && in_scope(&egress.hosts, service)
    })
}

fn open(assembly: &mut Assembly<'_>, outlet: &Outlet<'_>, port: u16, carried: Carried) {
    let Outlet {
        sidecar, egress, ..
    } = outlet;
    let routes = match carried {
        Carried::Requests | Carried::Tls => Vec::new(),
        Carried::Bytes => tcp_routes(assembly, outlet, port, Protocol::is_tcp),
        Carried::Either => tcp_routes(assembly, outlet, port, may_be_bytes),
    };
    let wanted = Wanted {
        address: SocketAddr::new(egress.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), port),
        direction: Direction::Outbound,
        metadata: &sidecar.metadata,
        span: egress.span,
        path: &outlet.path(),
    };
    if assembly.listeners.contains_key(&wanted.address) {
        // Says which listener has the address.
        assembly.is_free(&wanted);
        return;
    }
    let chains = tls_chains(assembly, outlet, port);
    let tls = (!chains.is_empty() || carried == Carried::Tls).then_some(ListenerTls {
        accepts_plaintext: carried != Carried::Tls,
        chains,
    });
    if matches!(carried, Carried::Bytes | Carried::Tls) {
        let chains = with_bytes(tls, &routes);
        assembly.open(&wanted, ListenerProtocol::Tcp { routes }, chains);
        return;
    }
    let mut hosts = VirtualHosts::default();
    add_services(assembly, &egress.hosts, port, &mut hosts);
    add_rules_without_service(assembly, &egress.hosts, port, &mut hosts);
    let origin = sidecar.metadata.origin_at(egress.span);
    hosts.push(block_all(origin), Vec::new());
    let table = RouteTable {
        name: port.to_string(),
        retry: Some(retries::of_table()),
        virtual_hosts: hosts.finish(),
    };
    let tls = with_bytes(tls, &routes);
    assembly.listen(&wanted, table, routes);
    if let Some(listener) = assembly.listeners.get_mut(&wanted.address) {
        listener.tls = tls;
    }
}

/// A connection of TLS to a name that is no service's goes where other bytes go.
fn with_bytes(tls: Option<ListenerTls>, routes: &[TcpRoute]) -> Option<ListenerTls> {
    let mut tls = tls?;
    let is_any = |chain: &TlsChain| chain.server_names.is_empty();
    if !routes.is_empty() && !tls.chains.iter().any(is_any) {
        let routes = routes.to_vec();
        tls.chains.push(passed_through("*", routes));
    }
    Some(tls)
}

/// A chain for each name of TLS that a client may ask for: those that rules of `tls` in scope are
/// for, and the hosts of services whose port speaks TLS.
fn tls_chains(assembly: &mut Assembly<'_>, outlet: &Outlet<'_>, port: u16) -> Vec<TlsChain> {
    let (world, egress) = (assembly.world, outlet.egress);
    let services: Vec<_> = services_with(assembly, egress, port, Protocol::is_tls).collect();
    let mut by_name: BTreeMap<String, Vec<TcpRoute>> = BTreeMap::new();
    for service in services {
        let mut own = vec![service.host.clone()];
        let visible =
            |rules: &VirtualService, host: &str| rules_in_scope(&egress.hosts, rules, host);
        if let Some((rules, _)) = world.mesh_rules_of(&service.host, visible) {
            let place = Place {
                node: assembly.node,
                gateway: &GatewayReference::Mesh,
                port,
            };
            for (name, route) in tcp::tls_routes(&mut assembly.clusters, &place, rules) {
                by_name.entry(name.to_owned()).or_default().push(route);
            }
        }
        if let Some((name, namespace)) = split_service_host(&service.host) {
            own.push(format!("{name}.{namespace}.svc"));
            own.push(format!("{name}.{namespace}"));
            own.extend((namespace == assembly.node.namespace).then(|| name.to_owned()));
        }
        let cluster = assembly.clusters.of_service(service, port);
        for name in own {
            // A connection that no rule is for goes to the service.
            let route = tcp::everything_to(cluster.clone(), Some(service.origin.clone()));
            by_name.entry(name).or_default().push(route);
        }
    }
    let chains = by_name.into_iter();
    chains
        .map(|(name, routes)| passed_through(&name, routes))
        .collect()
}

fn passed_through(name: &str, routes: Vec<TcpRoute>) -> TlsChain {
    TlsChain {
        name: format!("tls.{name}"),
        server_names: match name {
            "*" => Vec::new(),
            name => vec![name.to_owned()],
        },
        offered: Vec::new(),
        origin: routes.first().and_then(|route| route.origin.clone()),
        action: TlsAction::PassThrough { routes },
    }
}

/// Nothing in a connection of bytes says which service is meant, so a port leads to one: the first
/// in scope whose port is TCP, else the first that may be. The others are named.
fn tcp_routes(
    assembly: &mut Assembly<'_>,
    outlet: &Outlet<'_>,
    port: u16,
    is_meant: fn(Protocol) -> bool,
) -> Vec<TcpRoute> {
    let (world, egress) = (assembly.world, outlet.egress);
    let mut services: Vec<_> = services_with(assembly, egress, port, is_meant).collect();
    services.sort_by_key(|service| !is_tcp(service, port));
    let Some((service, others)) = services.split_first() else {
        return Vec::new();
    };
    let mut routes = Vec::new();
    let visible = |rules: &VirtualService, host: &str| rules_in_scope(&egress.hosts, rules, host);
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
    for other in others {
        warn_unreachable(assembly, outlet, port, [service, other]);
    }
    routes
}

fn is_tcp(service: &Service, port: u16) -> bool {
    let port = service.port(port);
    port.is_some_and(|port| port.protocol.is_tcp())
}

/// Of two services with one port, the bytes of a connection go to the first.
fn warn_unreachable(
    assembly: &mut Assembly<'_>,
    outlet: &Outlet<'_>,
    port: u16,
    [service, other]: [&Service; 2],
) {
    let (first, second) = (&service.host, &other.host);
    let separately = "give one of them an egress listener of its own with another `bind`, and name \
                      only its host there";
    let (message, hint) = match is_tcp(other, port) {
        true => (
            format!("TCP port {port} leads to {first}, so {second} cannot be reached at it"),
            separately.to_owned(),
        ),
        false => (
            format!(
                "what is not HTTP on port {port} leads to {first}, so {second} is reached with \
                 HTTP only"
            ),
            format!("name the port `http` if that is all it carries; else {separately}"),
        ),
    };
    let metadata = &outlet.sidecar.metadata;
    let span = outlet.egress.span;
    let problem = metadata.problem(Severity::Warning, span, &outlet.path(), message);
    assembly.warn(problem.hint(hint));
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
            let retry = retries::of_route(None, assembly.clusters.choose_by_hash([&*cluster]));
            routes.push(default_route(cluster, retry, origin.clone()));
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
