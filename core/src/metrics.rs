//! Istio's standard request metrics: their names, labels and buckets, and Prometheus' text format.
//!
//! Every label value comes from the configuration, except the status codes: a client cannot make a
//! series by inventing a host or a path. A request that reached no cluster has `unknown` for a
//! destination; Istio's fall-back to the Host header is left out, since that is unbounded.
//!
//! Counting is the data plane's; nothing here holds a number.

mod protocol;

use std::{
    hash::{Hash, Hasher},
    io::Write as _,
    sync::Arc,
};

use ringmain_config::{cluster::Service, endpoint::Workload, listener::Direction, node::Node};

pub use self::protocol::RequestProtocol;
use crate::failure::{Flags, FlagsText};

/// Which end of a request reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reporter {
    /// The proxy beside the client, or a gateway.
    Source,
    /// The proxy beside the server.
    Destination,
}

impl Reporter {
    /// Of the requests that come in through a listener.
    pub fn of(direction: Direction) -> Self {
        match direction {
            Direction::Outbound | Direction::Gateway => Self::Source,
            Direction::Inbound => Self::Destination,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }

    /// `connection_security_policy`: only the destination knows, and has no TLS yet.
    fn connection_security_policy(self) -> &'static str {
        match self {
            Self::Source => "unknown",
            Self::Destination => "none",
        }
    }
}

/// What tells one series of metrics from another. Equal by content, not by pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Requests alike.
    Requests(RequestLabels),
    /// TCP connections alike.
    Connections(ConnectionLabels),
    /// The one series of all requests and connections for which no more series could be made: every
    /// label is `overflow`.
    Overflow,
}

/// Labels of requests alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLabels {
    /// `reporter`.
    pub reporter: Reporter,
    /// `source_*`.
    pub source: Arc<Workload>,
    /// `destination_*` that name a workload.
    pub destination: Arc<Workload>,
    /// `destination_service*`.
    pub service: Arc<Service>,
    /// `request_protocol` and `grpc_response_status`.
    pub protocol: RequestProtocol,
    /// `response_code`; 0 when no response was begun.
    pub status: u16,
    /// `response_flags`.
    pub flags: Flags,
}

/// Labels of TCP connections alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionLabels {
    /// `reporter`.
    pub reporter: Reporter,
    /// `source_*`.
    pub source: Arc<Workload>,
    /// `destination_*` that name a workload.
    pub destination: Arc<Workload>,
    /// `destination_service*`.
    pub service: Arc<Service>,
    /// `response_flags`.
    pub flags: Flags,
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (source, destination, service) = match self {
            Self::Requests(labels) => {
                let RequestLabels {
                    protocol, status, ..
                } = labels;
                (labels.reporter, protocol, status, labels.flags).hash(state);
                (&labels.source, &labels.destination, &labels.service)
            }
            Self::Connections(labels) => {
                (labels.reporter, labels.flags).hash(state);
                (&labels.source, &labels.destination, &labels.service)
            }
            Self::Overflow => return,
        };
        source.hash(state);
        destination.hash(state);
        service.host.hash(state);
        service.name.hash(state);
        service.namespace.hash(state);
    }
}

impl Labels {
    /// Appends `name="value",...` without braces, in Istio's order.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut scratch;
        let values = match self {
            Self::Requests(labels) => {
                scratch = Scratch::new(labels.flags);
                labels.values(&mut scratch)
            }
            Self::Connections(labels) => return labels.write(out),
            Self::Overflow => ["overflow"; LABEL_NAMES.len()],
        };
        write_labels(out, LABEL_NAMES.into_iter().zip(values));
    }

    /// As [`Self::write`], without what only requests have: the labels of connections when there is
    /// no series of their own.
    pub fn write_of_connections(&self, out: &mut Vec<u8>) {
        match self {
            Self::Overflow => {
                let names = LABEL_NAMES
                    .into_iter()
                    .filter(|name| is_of_connections(name));
                write_labels(out, names.map(|name| (name, "overflow")));
            }
            Self::Requests(_) | Self::Connections(_) => self.write(out),
        }
    }
}

impl ConnectionLabels {
    fn write(&self, out: &mut Vec<u8>) {
        let alike = RequestLabels {
            reporter: self.reporter,
            source: Arc::clone(&self.source),
            destination: Arc::clone(&self.destination),
            service: Arc::clone(&self.service),
            protocol: RequestProtocol::HTTP,
            status: 0,
            flags: self.flags,
        };
        let mut scratch = Scratch::new(self.flags);
        let labels = LABEL_NAMES.into_iter().zip(alike.values(&mut scratch));
        let labels = labels.filter(|(name, _)| is_of_connections(name));
        let labels = labels.map(|(name, value)| match name {
            PROTOCOL => (name, "tcp"),
            _ => (name, value),
        });
        write_labels(out, labels);
    }
}

/// What values are written to that no label holds as text.
struct Scratch {
    digits: itoa::Buffer,
    flags: FlagsText,
}

impl Scratch {
    fn new(flags: Flags) -> Self {
        Self {
            digits: itoa::Buffer::new(),
            flags: flags.text(),
        }
    }
}

/// Not every label of requests says something of connections.
fn is_of_connections(name: &str) -> bool {
    !matches!(name, "response_code" | "grpc_response_status")
}

impl RequestLabels {
    /// In the order of [`LABEL_NAMES`]. An empty value is `unknown`, an empty revision `latest`.
    fn values<'a>(&'a self, scratch: &'a mut Scratch) -> [&'a str; LABEL_NAMES.len()] {
        let (source, destination) = (&*self.source, &*self.destination);
        [
            self.reporter.name(),
            known(&source.name),
            known(&source.canonical_service),
            revision(&source.canonical_revision),
            known(&source.namespace),
            UNKNOWN,
            known(&source.app),
            known(&source.version),
            UNKNOWN,
            known(&destination.name),
            known(&destination.namespace),
            UNKNOWN,
            known(&destination.app),
            known(&destination.version),
            known(&self.service.host),
            known(&destination.canonical_service),
            revision(&destination.canonical_revision),
            known(&self.service.name),
            known(&self.service.namespace),
            UNKNOWN,
            self.protocol.name(),
            scratch.digits.format(self.status),
            self.protocol.status(),
            &scratch.flags,
            self.reporter.connection_security_policy(),
        ]
    }
}

/// Label names of request metrics, in the order they are written. Connections have all of them but
/// two ([`is_of_connections`]).
const LABEL_NAMES: [&str; 25] = [
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
    "destination_cluster",
    PROTOCOL,
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
];

const PROTOCOL: &str = "request_protocol";
const UNKNOWN: &str = "unknown";

fn known(value: &str) -> &str {
    if value.is_empty() { UNKNOWN } else { value }
}

fn revision(value: &str) -> &str {
    if value.is_empty() { "latest" } else { value }
}

/// What metrics say of the workload a proxy stands beside: Istio's rules for canonical names, from
/// its labels.
pub fn workload_of(node: &Node) -> Workload {
    let label = |names: &[&str]| {
        let found = names.iter().find_map(|name| node.labels.get(*name));
        found.cloned().unwrap_or_default()
    };
    let canonical_service = label(&[
        "service.istio.io/canonical-name",
        "app.kubernetes.io/name",
        "app",
    ]);
    Workload {
        name: node.name.clone(),
        namespace: node.namespace.clone(),
        app: label(&["app"]),
        version: label(&["version"]),
        canonical_service: if canonical_service.is_empty() {
            node.name.clone()
        } else {
            canonical_service
        },
        canonical_revision: label(&[
            "service.istio.io/canonical-revision",
            "app.kubernetes.io/version",
            "version",
        ]),
        service_account: node.service_account.clone(),
    }
}

/// Buckets of a histogram, the last one without a bound. Envoy's default ones.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// Bounds as label `le`, in milliseconds or bytes.
pub const BOUNDS: [&str; 19] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000",
    "30000", "60000", "300000", "600000", "1800000", "3600000",
];

/// [`BOUNDS`] in microseconds, and in whole bytes.
const BOUNDS_MICROS: [u64; BOUNDS.len()] = [
    500,
    1_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
];
const BOUNDS_BYTES: [u64; BOUNDS.len()] = [
    0, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000,
    1_800_000, 3_600_000,
];

/// Index of the first bucket of [`BOUNDS`] that holds a duration.
pub fn duration_bucket(micros: u64) -> usize {
    BOUNDS_MICROS.partition_point(|bound| *bound < micros)
}

/// Index of the first bucket of [`BOUNDS`] that holds a number of bytes.
pub fn size_bucket(bytes: u64) -> usize {
    BOUNDS_BYTES.partition_point(|bound| *bound < bytes)
}

/// What Prometheus calls the type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, except over a restart.
    Counter,
    /// Any number.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

/// Metrics of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// As scraped.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
}

/// Requests by labels.
pub const REQUESTS: Family = Family {
    name: "istio_requests_total",
    help: "Requests that ended, whatever their answer.",
    kind: Kind::Counter,
};
/// Their duration.
pub const REQUEST_DURATION: Family = Family {
    name: "istio_request_duration_milliseconds",
    help: "Time from a request's first byte read to its response's last byte sent.",
    kind: Kind::Histogram,
};
/// Their size.
pub const REQUEST_BYTES: Family = Family {
    name: "istio_request_bytes",
    help: "Size of request bodies.",
    kind: Kind::Histogram,
};
/// Size of what was answered.
pub const RESPONSE_BYTES: Family = Family {
    name: "istio_response_bytes",
    help: "Size of response bodies.",
    kind: Kind::Histogram,
};

/// TCP connections by labels.
pub const TCP_OPENED: Family = Family {
    name: "istio_tcp_connections_opened_total",
    help: "TCP connections that were opened to their destination, or were to be.",
    kind: Kind::Counter,
};
/// Those that ended.
pub const TCP_CLOSED: Family = Family {
    name: "istio_tcp_connections_closed_total",
    help: "TCP connections that ended, however they did.",
    kind: Kind::Counter,
};
/// Bytes of the answering side, as Istio counts.
pub const TCP_SENT_BYTES: Family = Family {
    name: "istio_tcp_sent_bytes_total",
    help: "Bytes that destinations of TCP connections sent to their clients.",
    kind: Kind::Counter,
};
/// Bytes of the asking side.
pub const TCP_RECEIVED_BYTES: Family = Family {
    name: "istio_tcp_received_bytes_total",
    help: "Bytes that destinations of TCP connections received from their clients.",
    kind: Kind::Counter,
};

impl Family {
    /// Appends the HELP and TYPE lines that precede a family's samples.
    pub fn write_head(&self, out: &mut Vec<u8>) {
        let Self { name, help, kind } = self;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        out.extend_from_slice(b"# HELP ");
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        write_escaped(out, help, false);
        write!(out, "\n# TYPE {name} {kind}\n").expect("writing to a Vec cannot fail");
    }

    /// Appends everything of a sample's line up to its value: name, suffix (`_sum` or nothing) and
    /// a block of labels without braces.
    pub fn write_sample(&self, out: &mut Vec<u8>, suffix: &str, labels: &[u8]) {
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        if !labels.is_empty() {
            out.push(b'{');
            out.extend_from_slice(labels);
            out.push(b'}');
        }
        out.push(b' ');
    }
}

fn write_labels<'a>(out: &mut Vec<u8>, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    for (index, (name, value)) in labels.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_label(out, name, value);
    }
}

/// Appends `name="value"`, the value escaped as the text format asks for.
pub fn write_label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    write_escaped(out, value, true);
    out.push(b'"');
}

/// Backslash and line feed are escaped everywhere, a quote only where one ends the text.
fn write_escaped(out: &mut Vec<u8>, text: &str, quotes: bool) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests;
