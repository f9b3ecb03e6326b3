//! A group of endpoints that serve the same thing, and how they are connected to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::origin::Origin;

/// Where requests of a route go. Its endpoints are the Document's endpoint set of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// `outbound|9080|v1|reviews.default.svc.cluster.local`, `inbound|9080||`.
    pub name: String,
    /// The service it is part of, for metrics.
    pub service: Service,
    /// Subset of a DestinationRule; empty for the whole service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// How an endpoint is chosen.
    #[serde(default)]
    pub balancer: Balancer,
    /// How connections are opened and kept.
    #[serde(default)]
    pub connections: Connections,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The service a cluster is part of: `destination_service*` of the metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `reviews.default.svc.cluster.local`; empty when none is known.
    pub host: String,
    /// `reviews`.
    pub name: String,
    /// `default`.
    pub namespace: String,
}

/// How an endpoint is chosen (`DestinationRule.trafficPolicy.loadBalancer.simple`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balancer {
    /// Fewest active requests of two endpoints drawn at random; with unequal weights, drawn by
    /// weight and compared by active requests / weight.
    #[default]
    LeastRequest,
    /// In turn, by weight.
    RoundRobin,
    /// At random, by weight.
    Random,
}

/// How connections to a cluster's endpoints are opened and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// Time for the TCP handshake.
    #[serde(with = "crate::duration")]
    pub connect_timeout: Duration,
    /// A connection without requests is closed after it. Zero: never.
    #[serde(with = "crate::duration")]
    pub idle_timeout: Duration,
    /// Requests that one connection carries at most; 0: no limit.
    pub requests_max: u32,
    /// What holds for connections that carry bytes rather than requests.
    #[serde(skip_serializing_if = "is_default")]
    pub tcp: TcpConnections,
}

/// Bounds on the TCP connections that a proxy carries to a cluster
/// (`DestinationRule.trafficPolicy.connectionPool.tcp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TcpConnections {
    /// A connection on which no byte has moved, in either direction, is closed after it. Zero:
    /// never.
    #[serde(with = "crate::duration")]
    pub idle_timeout: Duration,
    /// A connection is closed when it is so old. Absent: never.
    #[serde(
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub duration_max: Option<Duration>,
    /// Connections of one proxy to all endpoints together. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_max: Option<u32>,
}

impl Default for TcpConnections {
    /// Istio's: idle for an hour, of any age, any number.
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(3600),
            duration_max: None,
            connections_max: None,
        }
    }
}

fn is_default(tcp: &TcpConnections) -> bool {
    *tcp == TcpConnections::default()
}

impl Default for Connections {
    /// Istio's: connect within 10 s, idle for an hour, any number of requests.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3600),
            requests_max: 0,
            tcp: TcpConnections::default(),
        }
    }
}
