//! What would happen to a TCP connection, and who decided it.
//!
//! As for requests, the decision is the data plane's own, on a connection that is only described;
//! added are the routes that were passed over and all destinations rather than the drawn one.

use std::net::IpAddr;

use ringmain_config::{cluster::Service, origin::Origin, tcp::Subnet};
use serde::Serialize;

use super::{Compiled, EndpointPart, ListenerPart, PassedOver, endpoints};
use crate::{
    failure::Flag,
    snapshot::Listener,
    tcp::{Incoming, TcpDestination, TcpRoute, TcpRoutes},
};

/// What would happen to a connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TcpExplanation {
    /// Where it comes in.
    pub listener: ListenerPart,
    /// Routes before the deciding one, and why each is not it.
    pub passed_over: Vec<PassedOver>,
    /// The deciding one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<TcpRoutePart>,
    /// What is done with it.
    pub outcome: TcpOutcome,
}

/// The deciding route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TcpRoutePart {
    /// Its position among those of the listener, from 0.
    pub number: usize,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What is done with a connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TcpOutcome {
    /// Carried to one of these.
    Forward(Vec<TcpDestinationPart>),
    /// Closed at once.
    Refused {
        /// One sentence without a full stop.
        reason: String,
        /// Response flag of the access log.
        flag: &'static str,
    },
}

/// A cluster that the connection may go to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TcpDestinationPart {
    /// Name of the cluster.
    pub cluster: String,
    /// Of the connections, in percent.
    pub share: f64,
    /// It is part of.
    pub service: Service,
    /// Of the service; empty for all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// Who answers; when there is none, connections are closed with flag UH.
    pub endpoints: Vec<EndpointPart>,
    /// Who asked for the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What would happen to a connection at `listener`, which is one of the snapshot and has `routes`.
pub fn explain(
    compiled: Compiled<'_>,
    listener: &Listener,
    routes: &TcpRoutes,
    connection: &Incoming,
) -> TcpExplanation {
    let all = routes.routes();
    let deciding = all.iter().position(|route| route.is_met(connection));
    let before = all[..deciding.unwrap_or(all.len())].iter().enumerate();
    let passed_over = before.filter_map(|(number, route)| passed_over(number, route, connection));
    let route = deciding.map(|number| TcpRoutePart {
        number,
        origin: all[number].origin.clone(),
    });
    let outcome = match deciding {
        Some(number) => forward(compiled, &all[number]),
        None => TcpOutcome::Refused {
            reason: match all {
                [] => "the listener has no route".to_owned(),
                _ => "none of the listener's routes matches".to_owned(),
            },
            flag: Flag::Nr.name(),
        },
    };
    TcpExplanation {
        listener: ListenerPart::of(listener),
        passed_over: passed_over.collect(),
        route,
        outcome,
    }
}

fn passed_over(number: usize, route: &TcpRoute, connection: &Incoming) -> Option<PassedOver> {
    let (what, subnets, found) = if !route.destination_is_met(connection.destination) {
        let destination = connection.destination;
        ("destination", &route.matches.destinations, destination)
    } else if !route.source_is_met(connection.source) {
        ("source", &route.matches.sources, Some(connection.source))
    } else {
        return None;
    };
    Some(PassedOver {
        route: format!("route {number}"),
        condition: format!("{what} is in {}", list(subnets)),
        found: found.map(|address: IpAddr| address.to_string()),
        origin: route.origin.clone(),
    })
}

fn list(subnets: &[Subnet]) -> String {
    let subnets: Vec<_> = subnets.iter().map(ToString::to_string).collect();
    subnets.join(", ")
}

fn forward(compiled: Compiled<'_>, route: &TcpRoute) -> TcpOutcome {
    let drawn = route.destinations.iter().filter(|to| to.weight > 0);
    TcpOutcome::Forward(drawn.map(|to| destination(compiled, route, to)).collect())
}

fn destination(
    compiled: Compiled<'_>,
    route: &TcpRoute,
    to: &TcpDestination,
) -> TcpDestinationPart {
    let entry = compiled
        .snapshot
        .cluster(to.cluster)
        .expect("a route of a snapshot names a cluster of it");
    TcpDestinationPart {
        cluster: entry.cluster.name.clone(),
        share: f64::from(to.weight) * 100.0 / route.weight_sum as f64,
        service: entry.cluster.service.clone(),
        subset: entry.cluster.subset.clone(),
        endpoints: endpoints(compiled.document, &entry.cluster.name),
        origin: entry.cluster.origin.clone(),
    }
}
