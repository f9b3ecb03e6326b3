//! The edge of the mesh: one listener for each address that Gateways open, and in it the hosts of
//! the VirtualServices that are bound to them.

mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ringmain_config::{
    listener::Direction,
    origin::Origin,
    problem::Severity,
    route::{Action, Redirect, RedirectPath, RedirectPort, RouteTable, VirtualHost},
    tcp::TcpRoute,
};

use super::{
    Assembly, Wanted,
    domains::{VirtualHosts, intersection, with_port},
    gateway_api, retries,
    routes::{Place, everything, matches_all, routes},
    tcp,
};
use crate::resource::{
    gateway::{Gateway, Served, Server},
    gateway_api::Gateway as ApiGateway,
    span::Spanned,
    virtual_service::{GatewayReference, VirtualService},
};

/// Adds the listeners of `gateways`, and of those of the Gateway API. HTTP servers with one address
/// share a listener, and so do TCP servers, and servers with TLS.
pub(super) fn assemble(
    assembly: &mut Assembly<'_>,
    gateways: &[&Gateway],
    api_gateways: &[&ApiGateway],
) {
    let mut api = gateway_api::listeners(api_gateways);
    let mut servers: BTreeMap<SocketAddr, Vec<Bound<'_>>> = BTreeMap::new();
    let mut tcp: BTreeMap<SocketAddr, Vec<Bound<'_>>> = BTreeMap::new();
    let mut within_tls: BTreeMap<SocketAddr, Vec<Bound<'_>>> = BTreeMap::new();
    for gateway in gateways {
        for (index, server) in gateway.servers.iter().enumerate() {
            let address = server.bind.unwrap_or(EVERY_ADDRESS);
            let bound = Bound {
                gateway,
                server,
                index,
            };
            let of_kind = match server.served() {
                Served::Http | Served::Redirect => &mut servers,
                Served::Tcp => &mut tcp,
                Served::Https | Served::Tls | Served::PassThrough => &mut within_tls,
                Served::Not => continue,
            };
            let address = SocketAddr::new(address, server.port.number);
            of_kind.entry(address).or_default().push(bound);
        }
    }
    for (address, servers) in servers {
        let Some(first) = servers.first() else {
            continue;
        };
        let mut hosts = VirtualHosts::default();
        let beside = api.remove(&address).unwrap_or_default();
        let taken = gateway_api::add_hosts(assembly, &beside, address.port(), &mut hosts);
        add_hosts(assembly, &servers, address.port(), &taken, &mut hosts);
        let wanted = Wanted {
            address,
            direction: Direction::Gateway,
            metadata: &first.gateway.metadata,
            span: first.server.span,
            path: &format!("spec.servers[{}]", first.index),
        };
        let table = RouteTable {
            name: table_name(address),
            retry: Some(retries::of_table()),
            virtual_hosts: hosts.finish(),
        };
        assembly.listen(&wanted, table, Vec::new());
    }
    gateway_api::assemble(assembly, api);
    for (address, servers) in tcp {
        open_tcp(assembly, address, &servers);
    }
    for (address, servers) in within_tls {
        tls::open(assembly, address, &servers);
    }
}

/// Of the route table at an address, whichever API's Gateway opens it.
pub(super) fn table_name(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    match ip.is_unspecified() {
        true => format!("http.{port}"),
        false => format!("http.{port}.{ip}"),
    }
}

/// One TCP listener, with the rules of all VirtualServices that are bound to its servers.
fn open_tcp(assembly: &mut Assembly<'_>, address: SocketAddr, servers: &[Bound<'_>]) {
    let Some(first) = servers.first() else {
        return;
    };
    let routes = tcp_routes(assembly, address.port(), servers);
    let (metadata, path) = (
        &first.gateway.metadata,
        format!("spec.servers[{}]", first.index),
    );
    if routes.is_empty() {
        let message =
            "no VirtualService has a rule in `tcp` for the server: connections are closed";
        let span = first.server.span;
        assembly.warn(metadata.problem(Severity::Warning, span, &path, message));
    }
    let wanted = Wanted {
        address,
        direction: Direction::Gateway,
        metadata,
        span: first.server.span,
        path: &path,
    };
    assembly.listen_tcp(&wanted, routes);
}

/// The rules of `tcp` of all VirtualServices that are bound to `servers`.
fn tcp_routes(assembly: &mut Assembly<'_>, port: u16, servers: &[Bound<'_>]) -> Vec<TcpRoute> {
    let mut routes = Vec::new();
    for service in assembly.world.virtual_services() {
        let mut by_host: BTreeMap<&str, Vec<Bearer<'_>>> = BTreeMap::new();
        for bound in servers {
            bind(&mut by_host, service, bound);
        }
        let bearers = by_host.into_values().flatten();
        let gateways: BTreeSet<_> = bearers.map(|bearer| bearer.gateway).collect();
        for gateway in gateways {
            let place = Place {
                node: assembly.node,
                gateway,
                port,
            };
            routes.extend(tcp::routes(&mut assembly.clusters, &place, service));
        }
    }
    routes
}

/// A server of a Gateway.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) server: &'a Spanned<Server>,
    /// Its place in the Gateway.
    pub(crate) index: usize,
}

impl Bound<'_> {
    /// Where in the Gateway it is.
    fn path(&self) -> String {
        format!("spec.servers[{}]", self.index)
    }
}

/// A VirtualService that answers for a host at a gateway.
pub(crate) struct Bearer<'a> {
    pub(crate) service: &'a VirtualService,
    gateway: &'a GatewayReference,
    pub(crate) host: &'a Spanned<String>,
}

/// A virtual host for each host of the VirtualServices that are bound to `servers`, but for those
/// that are `taken` by routes of the Gateway API.
fn add_hosts(
    assembly: &mut Assembly<'_>,
    servers: &[Bound<'_>],
    port: u16,
    taken: &BTreeMap<String, Option<Origin>>,
    hosts: &mut VirtualHosts,
) {
    let mut by_host: BTreeMap<&str, Vec<Bearer<'_>>> = BTreeMap::new();
    let redirects = |bound: &&Bound<'_>| bound.server.served() == Served::Redirect;
    for bound in servers.iter().filter(redirects) {
        add_redirects(bound, port, hosts);
    }
    for service in assembly.world.virtual_services() {
        for bound in servers.iter().filter(|bound| !redirects(bound)) {
            bind(&mut by_host, service, bound);
        }
    }
    for (host, bearers) in by_host {
        if let Some(holder) = taken.get(host) {
            for bearer in &bearers {
                let service = bearer.service;
                assembly.warn(gateway_api::taken(
                    service,
                    bearer.host.span,
                    host,
                    port,
                    holder,
                ));
            }
            continue;
        }
        let mut all = Vec::new();
        for bearer in &bearers {
            let place = Place {
                node: assembly.node,
                gateway: bearer.gateway,
                port,
            };
            let own = routes(&mut assembly.clusters, &place, bearer.service);
            // Nearly always there is one, with many.
            match all.is_empty() {
                true => all = own,
                false => all.extend(own),
            }
        }
        // Rules none of which are for this port or gateway leave the host to a wildcard.
        if all.is_empty() {
            continue;
        }
        // Stable: a rule for everything must not hide the rules of the services after it.
        all.sort_by_key(matches_all);
        let origin = bearers
            .first()
            .map(|bearer| bearer.service.metadata.origin_at(bearer.host.span));
        let virtual_host = VirtualHost {
            name: format!("{host}:{port}"),
            domains: with_port(host, port),
            routes: all,
            origin,
        };
        hosts.push(virtual_host, Vec::new());
    }
}

/// Every request for a host of the server is sent to `https` (`httpsRedirect`).
fn add_redirects(bound: &Bound<'_>, port: u16, hosts: &mut VirtualHosts) {
    for host in &bound.server.hosts {
        let origin = Some(bound.gateway.metadata.origin_at(host.span));
        let action = Action::Redirect(Redirect {
            status: 301,
            scheme: Some("https".to_owned()),
            authority: None,
            port: RedirectPort::FromProtocolDefault,
            path: RedirectPath::default(),
        });
        let name = &host.value.host;
        let virtual_host = VirtualHost {
            name: format!("{name}:{port}"),
            domains: with_port(name, port),
            routes: vec![everything("https-redirect", action, origin.clone())],
            origin,
        };
        hosts.push(virtual_host, Vec::new());
    }
}

/// Adds `service` to the hosts that it has in common with the server, each once.
pub(crate) fn bind<'a>(
    by_host: &mut BTreeMap<&'a str, Vec<Bearer<'a>>>,
    service: &'a VirtualService,
    bound: &Bound<'a>,
) {
    let metadata = &bound.gateway.metadata;
    let is_bound = |named: &&Spanned<GatewayReference>| match &named.value {
        GatewayReference::Gateway { namespace, name } => {
            *namespace == metadata.namespace && *name == metadata.name
        }
        GatewayReference::Mesh => false,
    };
    let Some(gateway) = service.gateways.iter().find(is_bound) else {
        return;
    };
    let gateway = &gateway.value;
    for scope in &bound.server.hosts {
        if !scope.namespace.includes(&service.metadata.namespace) {
            continue;
        }
        for host in &service.hosts {
            let Some(common) = intersection(&scope.host, host) else {
                continue;
            };
            let bearers = by_host.entry(common).or_default();
            // Those of one service come one after the other.
            let own = bearers.iter().rev();
            let mut own = own.take_while(|bearer| std::ptr::eq(bearer.service, service));
            let known = own.any(|bearer| bearer.gateway == gateway);
            if !known {
                bearers.push(Bearer {
                    service,
                    gateway,
                    host,
                });
            }
        }
    }
}

/// Where a server without `bind` listens.
pub(super) const EVERY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
