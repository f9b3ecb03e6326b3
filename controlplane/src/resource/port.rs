//! Ports and what is spoken on them.

use std::{collections::HashSet, fmt};

use ringmain_config::problem::nearest;

use super::{
    cursor::{Cursor, Fault, Report},
    format,
    schema::{Field, PORT, Shape},
    span::Spanned,
};

/// What is spoken on a port (Istio's protocol selection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1; who begins with HTTP/2 is understood, too.
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
    /// Routed by HTTP rules when it arrives in plain text. What is not said may be HTTP, which is
    /// what a mesh's ports carry as a rule.
    pub fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Http2 | Self::Grpc | Self::GrpcWeb | Self::Detect => true,
            Self::Https
            | Self::Tls
            | Self::Tcp
            | Self::Mongo
            | Self::Mysql
            | Self::Redis
            | Self::Udp => false,
        }
    }

    /// TLS that clients speak with the service itself.
    pub fn is_tls(self) -> bool {
        match self {
            Self::Https | Self::Tls => true,
            Self::Http
            | Self::Http2
            | Self::Grpc
            | Self::GrpcWeb
            | Self::Tcp
            | Self::Mongo
            | Self::Mysql
            | Self::Redis
            | Self::Udp
            | Self::Detect => false,
        }
    }

    /// Carried as bytes of which nothing is read.
    pub fn is_tcp(self) -> bool {
        match self {
            Self::Tcp | Self::Mongo | Self::Mysql | Self::Redis => true,
            Self::Http
            | Self::Http2
            | Self::Grpc
            | Self::GrpcWeb
            | Self::Https
            | Self::Tls
            | Self::Udp
            | Self::Detect => false,
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

/// The names of protocols that `protocol` may hold, in any case.
const PROTOCOLS: [(&str, Protocol); 11] = [
    ("HTTP", Protocol::Http),
    ("HTTP2", Protocol::Http2),
    ("GRPC", Protocol::Grpc),
    ("GRPC-Web", Protocol::GrpcWeb),
    ("HTTPS", Protocol::Https),
    ("TLS", Protocol::Tls),
    ("TCP", Protocol::Tcp),
    ("Mongo", Protocol::Mongo),
    ("MySQL", Protocol::Mysql),
    ("Redis", Protocol::Redis),
    ("UDP", Protocol::Udp),
];

/// Ports whose servers speak first, so that nothing can be found out from a client's bytes: SMTP,
/// DNS, MySQL, MongoDB.
const SERVER_FIRST: [u16; 4] = [25, 53, 3306, 27017];

/// A port of a Gateway's server or a Sidecar's listener.
pub(super) static PORT_FIELDS: [Field; 4] = [
    Field::new("number", PORT).required(),
    Field::new("protocol", Shape::Form(protocol_name)).required(),
    Field::new("name", Shape::Form(format::port_name)).required(),
    Field::new("targetPort", PORT).later("it has no effect"),
];

/// A port of a Sidecar's listener, whose protocol and name may be left out.
pub(super) static SIDECAR_PORT_FIELDS: [Field; 4] = [
    Field::new("number", PORT).required(),
    Field::new("protocol", Shape::Form(protocol_name)),
    Field::new("name", Shape::Form(format::port_name)),
    Field::new("targetPort", PORT).later("it has no effect"),
];

/// Reads a port of a Gateway's server or a Sidecar's listener.
pub(super) fn read_port(at: &Cursor<'_>, report: &mut Report) -> Option<Spanned<Port>> {
    let number = at.integer_of("number")?;
    let protocol = declared(at, "protocol").unwrap_or_else(|| undeclared(number));
    warn_unless_supported(at, "protocol", protocol, "nothing listens on it", report);
    Some(at.spanned(Port {
        number,
        name: at.text_of("name").unwrap_or_default().to_owned(),
        protocol,
    }))
}

/// The protocol that the text of a field names.
pub(super) fn declared(at: &Cursor<'_>, name: &str) -> Option<Protocol> {
    protocol(at.text_of(name)?)
}

/// What is spoken on a port of which nothing is said.
pub(super) fn undeclared(number: u16) -> Protocol {
    if SERVER_FIRST.contains(&number) {
        Protocol::Tcp
    } else {
        Protocol::Detect
    }
}

/// The protocol that `appProtocol` of v1 Service names, or begins with as a port's name does; one
/// that is not known says nothing.
pub(super) fn of_app_protocol(name: &str) -> Option<Protocol> {
    match name {
        "kubernetes.io/h2c" => Some(Protocol::Http2),
        "kubernetes.io/ws" => Some(Protocol::Http),
        "kubernetes.io/wss" => Some(Protocol::Https),
        name => of_name(name),
    }
}

/// The protocol that a port's name begins with: `http`, `http-web`, `grpc-web-x`.
pub(super) fn of_name(name: &str) -> Option<Protocol> {
    if name == "grpc-web" || name.starts_with("grpc-web-") {
        return Some(Protocol::GrpcWeb);
    }
    protocol(name.split('-').next().unwrap_or_default())
}

/// Says that what comes to a port is not carried yet when its protocol is UDP.
pub(super) fn warn_unless_supported(
    port: &Cursor<'_>,
    field: &str,
    protocol: Protocol,
    instead: &str,
    report: &mut Report,
) {
    if protocol == Protocol::Udp {
        let at = port.field(field).unwrap_or(*port);
        let message = format!("protocol {protocol} is not supported yet: {instead}");
        report.warning(&at, message);
    }
}

/// What becomes of a service's port whose protocol is not supported yet.
pub(super) const NOT_ROUTED: &str = "requests to the port are not routed";

/// Ports of one service, to report those that have a number or a name in common.
#[derive(Default)]
pub(super) struct Unique {
    /// With whether it is one of UDP, which has numbers of its own.
    numbers: HashSet<(u16, bool)>,
    names: HashSet<String>,
}

impl Unique {
    pub(super) fn check(&mut self, at: &Cursor<'_>, port: &ServicePort, report: &mut Report) {
        let is_udp = port.protocol == Protocol::Udp;
        if !self.numbers.insert((port.number, is_udp)) {
            report.error(at, format!("port {} stands here twice", port.number));
        }
        if !port.name.is_empty() && !self.names.insert(port.name.clone()) {
            report.error(at, format!("two ports are named `{}`", port.name));
        }
    }
}

pub(super) fn protocol_name(text: &str) -> Result<(), Fault> {
    if text.is_empty() || protocol(text).is_some() {
        return Ok(());
    }
    let names = PROTOCOLS.map(|(name, _)| name);
    let fault = Fault::new(format!("`{}` is not a protocol", format::shown(text)));
    Err(match nearest(text, names) {
        Some(nearest) if text.len() < 64 => fault.hint(format!("did you mean `{nearest}`?")),
        _ => fault.hint(format!("use one of {}", names.join(", "))),
    })
}

fn protocol(text: &str) -> Option<Protocol> {
    let named = |(name, _): &&(&str, Protocol)| name.eq_ignore_ascii_case(text);
    PROTOCOLS.iter().find(named).map(|(_, protocol)| *protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_of_a_port_name() {
        for (name, expected) in [
            ("http", Some(Protocol::Http)),
            ("http-web", Some(Protocol::Http)),
            ("HTTP", Some(Protocol::Http)),
            ("httpx", None),
            ("http2-x", Some(Protocol::Http2)),
            ("grpc-web", Some(Protocol::GrpcWeb)),
            ("grpc-web-x", Some(Protocol::GrpcWeb)),
            ("grpc-webby", Some(Protocol::Grpc)),
            ("tcp-other", Some(Protocol::Tcp)),
            ("", None),
        ] {
            assert_eq!(of_name(name), expected, "{name}");
        }
    }

    #[test]
    fn protocol_of_an_app_protocol() {
        for (name, expected) in [
            ("http", Some(Protocol::Http)),
            ("grpc", Some(Protocol::Grpc)),
            ("http2-own", Some(Protocol::Http2)),
            ("kubernetes.io/h2c", Some(Protocol::Http2)),
            ("kubernetes.io/ws", Some(Protocol::Http)),
            ("kubernetes.io/wss", Some(Protocol::Https)),
            ("example.com/own", None),
        ] {
            assert_eq!(of_app_protocol(name), expected, "{name}");
        }
    }

    #[test]
    fn ports_whose_server_speaks_first() {
        assert_eq!(undeclared(3306), Protocol::Tcp);
        assert_eq!(undeclared(8080), Protocol::Detect);
    }
}
