//! Ports and what is spoken on them.

use std::fmt;

/// What is spoken on a port (Istio's protocol selection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1, or HTTP/1.1 and HTTP/2 as the client begins.
    Http,
    /// HTTP/2 in plain text.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// TLS that carries HTTP.
    Https,
    /// TLS that carries anything.
    Tls,
    /// Bytes.
    Tcp,
    /// MongoDB.
    Mongo,
    /// MySQL.
    Mysql,
    /// Redis.
    Redis,
    /// Datagrams.
    Udp,
    /// Not said: to be found out from the first bytes.
    Detect,
}

impl Protocol {
    /// Routed by HTTP rules when it arrives in plain text. What is not said is taken for HTTP,
    /// which is what a mesh's ports carry as a rule.
    pub fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Detect => true,
            Self::Http2
            | Self::Grpc
            | Self::GrpcWeb
            | Self::Https
            | Self::Tls
            | Self::Tcp
            | Self::Mongo
            | Self::Mysql
            | Self::Redis
            | Self::Udp => false,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "HTTP",
            Self::Http2 => "HTTP2",
            Self::Grpc => "GRPC",
            Self::GrpcWeb => "GRPC-Web",
            Self::Https => "HTTPS",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
            Self::Mongo => "Mongo",
            Self::Mysql => "MySQL",
            Self::Redis => "Redis",
            Self::Udp => "UDP",
            Self::Detect => "unspecified",
        })
    }
}

/// A port of a Gateway's server or a Sidecar's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Never 0.
    pub number: u16,
    /// Empty when not named.
    pub name: String,
    /// What is spoken.
    pub protocol: Protocol,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Where clients address the service; never 0.
    pub number: u16,
    /// Unique in the service; empty when it has only one port without a name.
    pub name: String,
    /// What is spoken.
    pub protocol: Protocol,
    /// Where the service's endpoints listen, when they say nothing of their own.
    pub target: TargetPort,
}

/// Where an endpoint of a service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// At this number; the service port's own when the file says nothing.
    Number(u16),
    /// At the workload's port of this name (v1 Service only).
    Name(String),
}
