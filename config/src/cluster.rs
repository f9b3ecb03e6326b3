//! A group of endpoints that serve the same thing, and how they are connected to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{origin::Origin, retry::RetryBudget, tls::ClientTls};

/// Where requests of a route go. Its endpoints are the Document's endpoint set of the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// `outbound|9080|v1|reviews.default.svc.cluster.local`, `inbound|9080||`.
    pub name: String,
    /// The service it is part of, for metrics.
    pub service: Service,
    /// Subset of a DestinationRule; empty for the whole service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// What is spoken to its endpoints.
    #[serde(default, skip_serializing_if = "Protocol::is_default")]
    pub protocol: Protocol,
    /// How that is carried.
    #[serde(default, skip_serializing_if = "is_default")]
    pub transport: Transport,
    /// Connections begin with a header of the PROXY protocol that says whose they are. Absent: they
    /// do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How an endpoint is chosen.
    #[serde(default)]
    pub balancer: Balancer,
    /// What a request is hashed by, for the balancers that do. Absent, or not in a request: at
    /// random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<HashKey>,
    /// How connections are opened and kept.
    #[serde(default)]
    pub connections: Connections,
    /// Bounds further tries. Absent: only `connections.http.retries_max` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
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

/// What is spoken to a cluster's endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 from the first byte (prior knowledge, RFC 9113 section 3.3).
    Http2,
    /// What the client of the request speaks (`useClientProtocol`).
    AsClient,
}

impl Protocol {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How what is spoken to a cluster's endpoints is carried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// As it is.
    #[default]
    Plaintext,
    /// Within TLS.
    Tls(ClientTls),
    /// Within TLS to those endpoints that speak the mesh's
    /// ([`Endpoint::is_in_mesh`](crate::endpoint::Endpoint)), as it is to the others. Requests go
    /// to the former over HTTP/2, whatever the cluster's protocol; it is spoken at the other end.
    Mesh(ClientTls),
}

/// Version of a PROXY protocol header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyProtocol {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// How an endpoint is chosen (`DestinationRule.trafficPolicy.loadBalancer`: `simple` and
/// `consistentHash`).
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
    /// The next of its places on a ring from the request's hash on, by weight.
    RingHash {
        /// Places on the ring, at least: 1 to 8,388,608. Unequal weights may ask for more, up to 16
        /// times and up to as many.
        entries_min: u64,
    },
    /// Found in a table at the request's hash, by weight; its shares are more even than a ring's
    /// and move more when endpoints change.
    Maglev {
        /// Places in the table: a prime number up to 5,000,011.
        entries: u64,
    },
}

impl Balancer {
    /// It looks at what requests are hashed by.
    pub fn hashes(self) -> bool {
        match self {
            Self::LeastRequest | Self::RoundRobin | Self::Random => false,
            Self::RingHash { .. } | Self::Maglev { .. } => true,
        }
    }
}

/// What of a request is hashed (`DestinationRule.trafficPolicy.loadBalancer.consistentHash`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashKey {
    /// The header field of this name, lower case.
    Header(String),
    /// A cookie.
    Cookie(HashCookie),
    /// The client's address.
    SourceAddress,
    /// The first parameter of the query of this name.
    QueryParameter(String),
}

/// A cookie that binds a client to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashCookie {
    /// Its name.
    pub name: String,
    /// `Path`; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// With it, a client that has no such cookie is given one: `Max-Age`, or none (a session
    /// cookie) when zero.
    #[serde(
        default,
        with = "crate::duration::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub ttl: Option<Duration>,
    /// Further attributes as name and value, written as they are; without `=` when the value is
    /// empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, String)>,
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
    /// What holds for requests.
    #[serde(skip_serializing_if = "is_default")]
    pub http: HttpConnections,
}

/// Bounds on the requests that a proxy carries to a cluster
/// (`DestinationRule.trafficPolicy.connectionPool.http`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpConnections {
    /// Requests that wait for a connection (`http1MaxPendingRequests`). Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_max: Option<u32>,
    /// Requests at a time (`http2MaxRequests`). Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_max: Option<u32>,
    /// Further tries at a time (`maxRetries`). Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries_max: Option<u32>,
    /// Requests at a time on one HTTP/2 connection (`maxConcurrentStreams`). Absent: as many as
    /// the upstream allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams_max: Option<u32>,
    /// HTTP/2 connections are asked whether they live (`http2KeepAlive`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
}

/// PING frames on an HTTP/2 connection (RFC 9113 section 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepAlive {
    /// Between two.
    #[serde(with = "crate::duration")]
    pub interval: Duration,
    /// A connection whose answer takes longer is closed.
    #[serde(with = "crate::duration")]
    pub timeout: Duration,
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Connections {
    /// Istio's: connect within 10 s, idle for an hour, any number of requests.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(3600),
            requests_max: 0,
            tcp: TcpConnections::default(),
            http: HttpConnections::default(),
        }
    }
}
