//! Where a request or connection is looked at from: a Gateway, or the Sidecar of a workload.

use std::net::IpAddr;

use ringmain_config::{
    listener::Direction,
    node::{GatewayScope, Node},
};
use ringmain_controlplane::{
    registry::Workload,
    resource::{
        gateway::Gateway,
        gateway_api::{GATEWAY_NAME_LABEL, Gateway as ApiGateway},
        host::full_name,
    },
    world::World,
};
use ringmain_core::{
    route::RouteTable,
    snapshot::{Listener, ListenerProtocol, Snapshot},
    tcp::{Incoming, TcpRoutes},
};

use super::{
    connection::{Connection, Target},
    request::Request,
};
use crate::fault::Fault;

/// The proxy that decides, and which of its listeners count.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) node: Node,
    kind: &'static str,
    direction: Direction,
    /// Ports of the Gateway; empty: any.
    ports: Vec<u16>,
}

impl Stand {
    /// The Gateway or workload that is named, or the only Gateway.
    pub(super) fn find(
        world: &World,
        gateway: Option<&str>,
        from: Option<&str>,
    ) -> Result<Self, Fault> {
        match (gateway, from) {
            (_, Some(name)) => {
                let workload = pick(workloads(world), name, |workload| {
                    (&workload.namespace, &workload.name)
                });
                workload
                    .map(Self::workload)
                    .ok_or_else(|| unknown("workload", name, world))
            }
            (Some(name), None) => {
                let gateways = Self::gateways(world);
                let gateway = pick(gateways.iter(), name, |stand| {
                    (&stand.node.namespace, &stand.node.name)
                });
                gateway
                    .cloned()
                    .ok_or_else(|| unknown("Gateway", name, world))
            }
            (None, None) => {
                let mut gateways = Self::gateways(world).into_iter();
                match (gateways.next(), gateways.next()) {
                    (Some(only), None) => Ok(only),
                    (None, _) => Err(Fault::Usage(format!(
                        "there is no Gateway; name the workload that makes the request with \
                         --from: {}",
                        choices(world)
                    ))),
                    (Some(_), Some(_)) => Err(Fault::Usage(format!(
                        "there are several Gateways; name where the request starts with \
                         --gateway or --from: {}",
                        choices(world)
                    ))),
                }
            }
        }
    }

    /// Those of both APIs.
    fn gateways(world: &World) -> Vec<Self> {
        let istio = world.gateways().map(Self::gateway);
        istio
            .chain(world.api_gateways().map(Self::api_gateway))
            .collect()
    }

    /// A proxy that has just the label that names this Gateway.
    fn api_gateway(gateway: &ApiGateway) -> Self {
        let (namespace, name) = (&gateway.metadata.namespace, &gateway.metadata.name);
        let ports = gateway.listeners.iter().map(|listener| listener.port);
        Self {
            node: Node {
                name: name.clone(),
                namespace: namespace.clone(),
                labels: [(GATEWAY_NAME_LABEL.to_owned(), name.clone())].into(),
                ..Node::default()
            },
            kind: "Gateway",
            direction: Direction::Gateway,
            ports: ports.collect(),
        }
    }

    /// A proxy that has just the labels that this Gateway selects.
    fn gateway(gateway: &Gateway) -> Self {
        let scope = if gateway.selector.is_empty() {
            GatewayScope::All
        } else {
            GatewayScope::Selected
        };
        let node = Node {
            name: gateway.metadata.name.clone(),
            namespace: gateway.metadata.namespace.clone(),
            labels: gateway.selector.clone(),
            gateways: scope,
            ..Node::default()
        };
        let ports = gateway
            .servers
            .iter()
            .map(|server| server.value.port.value.number);
        Self {
            node,
            kind: "Gateway",
            direction: Direction::Gateway,
            ports: ports.collect(),
        }
    }

    fn workload(workload: &Workload) -> Self {
        Self {
            node: workload.node(),
            kind: "workload",
            direction: Direction::Outbound,
            ports: Vec::new(),
        }
    }

    /// `Gateway default/web`.
    pub(super) fn name(&self) -> String {
        format!("{} {}/{}", self.kind, self.node.namespace, self.node.name)
    }

    /// Its listeners of some protocol, and of that protocol what `part` takes out of each.
    fn listeners<'a, P>(
        &self,
        snapshot: &'a Snapshot,
        part: impl Fn(&'a ListenerProtocol) -> Option<P>,
    ) -> Vec<(&'a Listener, P)> {
        let counts = |listener: &&Listener| {
            let config = &listener.config;
            config.direction == self.direction
                && (self.ports.is_empty() || self.ports.contains(&config.address.port()))
        };
        let listeners = snapshot.listeners().iter().map(AsRef::as_ref);
        listeners
            .filter(counts)
            .filter_map(|listener| Some((listener, part(&listener.protocol)?)))
            .collect()
    }

    /// The listener that the request comes in at, and its routes: the one of its port, or, when the
    /// URL names no port, the only one.
    pub(super) fn listener_of_request<'a>(
        &self,
        snapshot: &'a Snapshot,
        request: &Request,
    ) -> Result<(&'a Listener, &'a RouteTable), Fault> {
        let listeners = self.listeners(snapshot, http);
        let port = request.port();
        let of_port = listeners
            .iter()
            .find(|(listener, _)| listener.config.address.port() == port);
        match (of_port, listeners.as_slice()) {
            (Some(listener), _) => Ok(*listener),
            (None, [only]) if request.port.is_none() => Ok(*only),
            (None, _) if on_port(&self.listeners(snapshot, tcp), port) => Err(Fault::with(
                format!(
                    "{} carries TCP on port {port} and sees no requests",
                    self.name()
                ),
                format!("ask for the connection: tcp://HOST:{port}"),
            )),
            (None, []) => Err(self.listens_nowhere("HTTP", "such requests")),
            (None, several) => Err(Fault::with(
                format!("{} does not listen on port {port}", self.name()),
                format!(
                    "name a port in the URL: it listens on {}",
                    addresses(several)
                ),
            )),
        }
    }

    /// The listener that the connection comes in at, its routes, and what they see of it.
    pub(super) fn listener_of_connection<'a>(
        &self,
        snapshot: &'a Snapshot,
        connection: &Connection,
    ) -> Result<(&'a Listener, &'a TcpRoutes, Incoming), Fault> {
        let listeners = self.listeners(snapshot, tcp);
        let port = connection.port;
        let takes = |listener: &Listener| {
            let address = listener.config.address;
            let is_there = match &connection.to {
                Target::Address(to) => address.ip() == *to || address.ip().is_unspecified(),
                Target::Host(_) => true,
            };
            is_there && address.port() == port
        };
        let candidates = || listeners.iter().filter(|(listener, _)| takes(listener));
        // A name is of use only to its client: of two addresses with one port, that of the service.
        let of_service = match &connection.to {
            Target::Address(_) => None,
            Target::Host(host) => {
                let host = full_name(host, &self.node.namespace);
                candidates().find(|(_, routes)| leads_to(snapshot, routes, &host))
            }
        };
        if let Some((listener, routes)) = of_service.or_else(|| candidates().next()) {
            let incoming = incoming(listener, routes, connection)?;
            return Ok((listener, routes, incoming));
        }
        if on_port(&self.listeners(snapshot, http), port) {
            return Err(Fault::with(
                format!("{} speaks HTTP on port {port}", self.name()),
                format!("ask for a request: GET http://HOST:{port}/"),
            ));
        }
        if listeners.is_empty() {
            return Err(self.listens_nowhere("TCP", "such connections"));
        }
        Err(Fault::with(
            format!("{} does not listen for {}", self.name(), connection.url),
            format!("it listens on {}", addresses(&listeners)),
        ))
    }

    fn listens_nowhere(&self, protocol: &str, what: &str) -> Fault {
        Fault::with(
            format!("{} listens nowhere for {what}", self.name()),
            match self.direction {
                Direction::Gateway => format!("it needs a server of protocol {protocol}"),
                Direction::Inbound | Direction::Outbound => {
                    "it needs a Sidecar with an egress listener for the port".to_owned()
                }
            },
        )
    }
}

fn http(protocol: &ListenerProtocol) -> Option<&RouteTable> {
    protocol.route_table().map(AsRef::as_ref)
}

fn tcp(protocol: &ListenerProtocol) -> Option<&TcpRoutes> {
    protocol.tcp_routes().map(AsRef::as_ref)
}

fn on_port<P>(listeners: &[(&Listener, P)], port: u16) -> bool {
    let mut ports = listeners.iter();
    ports.any(|(listener, _)| listener.config.address.port() == port)
}

fn addresses<P>(listeners: &[(&Listener, P)]) -> String {
    let addresses: Vec<_> = listeners
        .iter()
        .map(|(listener, _)| listener.config.address.to_string())
        .collect();
    addresses.join(", ")
}

/// Some route of the listener leads to a service of this full name.
fn leads_to(snapshot: &Snapshot, routes: &TcpRoutes, host: &str) -> bool {
    let mut destinations = routes.routes().iter().flat_map(|route| &route.destinations);
    destinations.any(|destination| {
        let entry = snapshot.cluster(destination.cluster);
        entry.is_some_and(|entry| entry.cluster.service.host == host)
    })
}

/// What the routes see of the connection. What they look at must be known.
fn incoming(
    listener: &Listener,
    routes: &TcpRoutes,
    connection: &Connection,
) -> Result<Incoming, Fault> {
    let config = &listener.config;
    let own = config.address.ip();
    let destination = match connection.to {
        Target::Address(address) => Some(address),
        Target::Host(_) => Some(own).filter(|own| !own.is_unspecified()),
    };
    if destination.is_none() && routes.needs_destination() {
        return Err(Fault::Usage(format!(
            "the rules of listener {} look at the address that was connected to; name it: \
             tcp://ADDRESS:{}",
            config.name, connection.port
        )));
    }
    let needs_source = |routes: &TcpRoutes| {
        let mut routes = routes.routes().iter();
        routes.any(|route| !route.matches.sources.is_empty())
    };
    if connection.source.is_none() && needs_source(routes) {
        return Err(Fault::Usage(format!(
            "the rules of listener {} look at the client's address; name it with --source ADDRESS",
            config.name
        )));
    }
    Ok(Incoming {
        source: connection.source.unwrap_or(IpAddr::from([0, 0, 0, 0])),
        destination,
    })
}

/// The one that `name` means, with its namespace or without. Without, `default` goes first.
fn pick<'a, T: 'a>(
    all: impl Iterator<Item = &'a T>,
    name: &str,
    key: impl Fn(&T) -> (&str, &str),
) -> Option<&'a T> {
    let named: Vec<_> = match name.split_once('/') {
        Some(wanted) => all.filter(|one| key(one) == wanted).collect(),
        None => all.filter(|one| key(one).1 == name).collect(),
    };
    let in_default = named.iter().find(|one| key(one).0 == "default");
    in_default.or_else(|| named.first()).copied()
}

/// Endpoints that a ServiceEntry lists have no name to call them by.
fn workloads(world: &World) -> impl Iterator<Item = &Workload> {
    let workloads = world.registry().workloads().iter().map(AsRef::as_ref);
    workloads.filter(|workload: &&Workload| !workload.name.is_empty())
}

fn unknown(what: &str, name: &str, world: &World) -> Fault {
    Fault::Usage(format!(
        "there is no {what} {name:?}; there are {}",
        choices(world)
    ))
}

fn choices(world: &World) -> String {
    let gateways = Stand::gateways(world).into_iter();
    let gateways =
        gateways.map(|stand| format!("--gateway {}/{}", stand.node.namespace, stand.node.name));
    let workloads =
        workloads(world).map(|workload| format!("--from {}/{}", workload.namespace, workload.name));
    let choices: Vec<_> = gateways.chain(workloads).collect();
    match choices.as_slice() {
        [] => "no Gateway and no WorkloadEntry in these resources".to_owned(),
        some => some.join(", "),
    }
}
