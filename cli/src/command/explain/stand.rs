//! Where a request is looked at from: a Gateway, or the Sidecar of a workload.

use std::sync::Arc;

use ringmain_config::{
    listener::Direction,
    node::{GatewayScope, Node},
};
use ringmain_controlplane::{registry::Workload, resource::gateway::Gateway, world::World};
use ringmain_core::snapshot::{Listener, Snapshot};

use super::request::Request;
use crate::fault::Fault;

/// The proxy that decides, and which of its listeners count.
#[derive(Debug)]
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
                let gateway = pick(world.gateways(), name, |gateway| {
                    (&gateway.metadata.namespace, &gateway.metadata.name)
                });
                gateway
                    .map(Self::gateway)
                    .ok_or_else(|| unknown("Gateway", name, world))
            }
            (None, None) => {
                let mut gateways = world.gateways();
                match (gateways.next(), gateways.next()) {
                    (Some(only), None) => Ok(Self::gateway(only)),
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

    /// The listener that the request comes in at: the one of its port, or, when the URL names no
    /// port, the only one.
    pub(super) fn listener<'a>(
        &self,
        snapshot: &'a Snapshot,
        request: &Request,
    ) -> Result<&'a Arc<Listener>, Fault> {
        let counts = |listener: &&Arc<Listener>| {
            let config = &listener.config;
            config.direction == self.direction
                && (self.ports.is_empty() || self.ports.contains(&config.address.port()))
        };
        let listeners: Vec<_> = snapshot.listeners().iter().filter(counts).collect();
        let port = request.port();
        let of_port = listeners
            .iter()
            .find(|listener| listener.config.address.port() == port);
        match (of_port, listeners.as_slice()) {
            (Some(listener), _) => Ok(listener),
            (None, [only]) if request.port.is_none() => Ok(only),
            (None, []) => Err(Fault::with(
                format!("{} listens nowhere for such requests", self.name()),
                match self.direction {
                    Direction::Gateway => "it needs a server of protocol HTTP",
                    Direction::Inbound | Direction::Outbound => {
                        "it needs a Sidecar with an egress listener for the port"
                    }
                },
            )),
            (None, several) => {
                let addresses: Vec<_> = several
                    .iter()
                    .map(|listener| listener.config.address.to_string())
                    .collect();
                Err(Fault::with(
                    format!("{} does not listen on port {port}", self.name()),
                    format!(
                        "name a port in the URL: it listens on {}",
                        addresses.join(", ")
                    ),
                ))
            }
        }
    }
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
    let gateways = world.gateways().map(|gateway| {
        format!(
            "--gateway {}/{}",
            gateway.metadata.namespace, gateway.metadata.name
        )
    });
    let workloads =
        workloads(world).map(|workload| format!("--from {}/{}", workload.namespace, workload.name));
    let choices: Vec<_> = gateways.chain(workloads).collect();
    match choices.as_slice() {
        [] => "no Gateway and no WorkloadEntry in these resources".to_owned(),
        some => some.join(", "),
    }
}
