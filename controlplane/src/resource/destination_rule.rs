//! networking.istio.io DestinationRule: subsets of a service and how its endpoints are used.

use std::{collections::HashSet, time::Duration};

use ringmain_config::cluster::{Balancer, Connections, TcpConnections};

use super::{
    cursor::{Cursor, Fault, Report},
    document, export, format,
    host::full_name,
    metadata::{self, Labels, Metadata},
    schema::{COUNT, Choice, DURATION, Field, LABELS, PORT, Shape, TEXTS},
    span::Spanned,
};

/// What applies to requests to a host once they are routed.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationRule {
    /// Who it is.
    pub metadata: Metadata,
    /// `*.x` or a full name, in lower case.
    pub host: Spanned<String>,
    /// For the whole host.
    pub policy: TrafficPolicy,
    /// Names are unique.
    pub subsets: Vec<Spanned<Subset>>,
}

/// A named part of a service's endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    /// As VirtualServices name it.
    pub name: String,
    /// Endpoints with these labels are in it; empty: all of them.
    pub labels: Labels,
    /// Its blocks replace those of the host's policy.
    pub policy: TrafficPolicy,
}

/// `trafficPolicy`: each part is absent when the file says nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// The parts for every port.
    pub settings: Settings,
    /// `portLevelSettings`: for a port that stands here, these are all its settings; nothing is
    /// inherited from `settings`.
    pub ports: Vec<PortSettings>,
}

/// The settings of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Port of the service.
    pub port: u16,
    /// What holds there.
    pub settings: Settings,
}

/// How endpoints are chosen and connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `loadBalancer.simple`.
    pub balancer: Option<Balancer>,
    /// `connectionPool`.
    pub connections: Option<ConnectionPool>,
}

/// `connectionPool`: each field is absent when the file says nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPool {
    /// `tcp.connectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// `http.idleTimeout`, else `tcp.idleTimeout`.
    pub idle_timeout: Option<Duration>,
    /// `http.maxRequestsPerConnection`; 0: no limit.
    pub requests_max: Option<u32>,
    /// `tcp.idleTimeout`.
    pub tcp_idle_timeout: Option<Duration>,
    /// `tcp.maxConnectionDuration`.
    pub tcp_duration_max: Option<Duration>,
    /// `tcp.maxConnections`; 0 says nothing.
    pub tcp_connections_max: Option<u32>,
}

impl DestinationRule {
    /// The subset of this name.
    pub fn subset(&self, name: &str) -> Option<&Spanned<Subset>> {
        self.subsets.iter().find(|subset| subset.name == name)
    }

    /// What holds for a port of the host, or of one of its subsets: a block of the subset replaces
    /// the host's block, settings of a port replace everything, and defaults fill the rest.
    pub fn settings(&self, subset: Option<&Subset>, port: u16) -> (Balancer, Connections) {
        let mut settings = self.policy.at(port).clone();
        if let Some(subset) = subset {
            let own = subset.policy.at(port);
            if subset.policy.names(port) {
                settings = own.clone();
            } else {
                settings.balancer = own.balancer.or(settings.balancer);
                settings.connections = own.connections.or(settings.connections);
            }
        }
        let pool = settings.connections.unwrap_or_default();
        let defaults = Connections::default();
        let connections = Connections {
            connect_timeout: pool.connect_timeout.unwrap_or(defaults.connect_timeout),
            idle_timeout: pool.idle_timeout.unwrap_or(defaults.idle_timeout),
            requests_max: pool.requests_max.unwrap_or(defaults.requests_max),
            tcp: TcpConnections {
                idle_timeout: pool.tcp_idle_timeout.unwrap_or(defaults.tcp.idle_timeout),
                duration_max: pool.tcp_duration_max,
                connections_max: pool.tcp_connections_max,
            },
            ..Connections::default()
        };
        (settings.balancer.unwrap_or_default(), connections)
    }
}

impl TrafficPolicy {
    fn names(&self, port: u16) -> bool {
        self.ports.iter().any(|settings| settings.port == port)
    }

    fn at(&self, port: u16) -> &Settings {
        self.ports
            .iter()
            .find(|settings| settings.port == port)
            .map_or(&self.settings, |settings| &settings.settings)
    }
}

static SPEC: [Field; 5] = [
    Field::new("host", Shape::Form(format::partial_wildcard_host)).required(),
    Field::new("trafficPolicy", Shape::Object(&TRAFFIC_POLICY)),
    Field::new("subsets", Shape::List(&Shape::Object(&SUBSET))),
    Field::new("exportTo", export::SHAPE),
    Field::new(
        "workloadSelector",
        Shape::Object(&[Field::new("matchLabels", LABELS)]),
    )
    .later("the rule holds for every client"),
];

/// The whole document.
pub(super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static SUBSET: [Field; 3] = [
    Field::new("name", Shape::Form(subset_name)).required(),
    Field::new("labels", LABELS),
    Field::new("trafficPolicy", Shape::Object(&TRAFFIC_POLICY)),
];

static TRAFFIC_POLICY: [Field; 8] = [
    Field::new("loadBalancer", Shape::Object(&LOAD_BALANCER)),
    Field::new("connectionPool", Shape::Object(&CONNECTION_POOL)),
    Field::new("outlierDetection", Shape::Object(&OUTLIER_DETECTION)).later(NO_EJECTION),
    Field::new("tls", Shape::Object(&TLS)),
    Field::new(
        "portLevelSettings",
        Shape::List(&Shape::Object(&PORT_POLICY)),
    ),
    Field::new("tunnel", Shape::Object(&TUNNEL)).later("connections go straight to the endpoint"),
    Field::new("proxyProtocol", Shape::Object(&PROXY_PROTOCOL)).later("no header is sent"),
    Field::new("retryBudget", Shape::Object(&RETRY_BUDGET)).later("retries are not limited by it"),
];

static PORT_POLICY: [Field; 5] = [
    Field::new(
        "port",
        Shape::Object(&[Field::new("number", PORT).required()]),
    )
    .required(),
    Field::new("loadBalancer", Shape::Object(&LOAD_BALANCER)),
    Field::new("connectionPool", Shape::Object(&CONNECTION_POOL)),
    Field::new("outlierDetection", Shape::Object(&OUTLIER_DETECTION)).later(NO_EJECTION),
    Field::new("tls", Shape::Object(&TLS)),
];

const NO_EJECTION: &str = "failing endpoints stay in use";

static LOAD_BALANCER: [Field; 7] = [
    Field::new("simple", Shape::Choice(&SIMPLE)),
    Field::new("consistentHash", Shape::Object(&CONSISTENT_HASH))
        .later("endpoints are chosen by LEAST_REQUEST"),
    Field::new("localityLbSetting", Shape::Object(&LOCALITY)).later("locality plays no part"),
    Field::new("zoneAwareLbSetting", Shape::Any).later("zones play no part"),
    Field::new("warmupDurationSecs", DURATION).later(NO_WARMUP),
    Field::new("warmup", Shape::Object(&WARMUP)).later(NO_WARMUP),
    Field::new("backendUtilization", Shape::Any).later("load reports play no part"),
];

const NO_WARMUP: &str = "new endpoints get their full share at once";

static SIMPLE: [Choice; 6] = [
    Choice::new("UNSPECIFIED"),
    Choice::new("LEAST_REQUEST"),
    Choice::new("LEAST_CONN"),
    Choice::new("ROUND_ROBIN"),
    Choice::new("RANDOM"),
    Choice::new("PASSTHROUGH").later("endpoints are chosen by LEAST_REQUEST"),
];

static CONSISTENT_HASH: [Field; 7] = [
    Field::new("httpHeaderName", Shape::Form(format::header_name)),
    Field::new("httpCookie", Shape::Object(&HTTP_COOKIE)),
    Field::new("useSourceIp", Shape::Boolean),
    Field::new("httpQueryParameterName", Shape::Text),
    Field::new(
        "ringHash",
        Shape::Object(&[Field::new("minimumRingSize", ANY_COUNT)]),
    ),
    Field::new(
        "maglev",
        Shape::Object(&[Field::new("tableSize", ANY_COUNT)]),
    ),
    Field::new("minimumRingSize", ANY_COUNT),
];

const ANY_COUNT: Shape = Shape::Integer(0, i64::MAX);

static HTTP_COOKIE: [Field; 4] = [
    Field::new("name", Shape::Text).required(),
    Field::new("path", Shape::Text),
    Field::new("ttl", Shape::Duration(Duration::ZERO)),
    Field::new("attributes", Shape::List(&Shape::Object(&COOKIE_ATTRIBUTE))),
];

static COOKIE_ATTRIBUTE: [Field; 2] = [
    Field::new("name", Shape::Text).required(),
    Field::new("value", Shape::Text),
];

static LOCALITY: [Field; 4] = [
    Field::new("distribute", Shape::List(&Shape::Object(&DISTRIBUTE))),
    Field::new("failover", Shape::List(&Shape::Object(&FAILOVER))),
    Field::new("failoverPriority", TEXTS),
    Field::new("enabled", Shape::Boolean),
];

static DISTRIBUTE: [Field; 2] = [
    Field::new("from", Shape::Text),
    Field::new("to", Shape::Map(format::any_text, &COUNT)),
];

static FAILOVER: [Field; 2] = [
    Field::new("from", Shape::Text),
    Field::new("to", Shape::Text),
];

static WARMUP: [Field; 3] = [
    Field::new("duration", DURATION).required(),
    Field::new("minimumPercent", Shape::Number(0.0, 100.0)),
    Field::new("aggression", Shape::Number(1.0, f64::MAX)),
];

/// `connectionPool` of DestinationRule and Sidecar.
pub(super) static CONNECTION_POOL: [Field; 2] = [
    Field::new("tcp", Shape::Object(&TCP_POOL)),
    Field::new("http", Shape::Object(&HTTP_POOL)),
];

static TCP_POOL: [Field; 5] = [
    Field::new("maxConnections", LIMIT),
    Field::new("connectTimeout", DURATION),
    Field::new("tcpKeepalive", Shape::Object(&TCP_KEEPALIVE)).later("no probes are sent"),
    Field::new("maxConnectionDuration", DURATION),
    // Unlike other durations it may be 0, which is never.
    Field::new("idleTimeout", Shape::Duration(Duration::ZERO)),
];

const NO_LIMIT: &str = "there is no limit";

/// A signed number of 32 bits that counts something.
const LIMIT: Shape = Shape::Integer(0, i32::MAX as i64);

static TCP_KEEPALIVE: [Field; 3] = [
    Field::new("probes", COUNT),
    Field::new("time", DURATION),
    Field::new("interval", DURATION),
];

static HTTP_POOL: [Field; 9] = [
    Field::new("http1MaxPendingRequests", LIMIT).later(NO_LIMIT),
    Field::new("http2MaxRequests", LIMIT).later(NO_LIMIT),
    Field::new("maxRequestsPerConnection", LIMIT),
    Field::new("maxRetries", LIMIT).later(NO_LIMIT),
    Field::new("idleTimeout", DURATION),
    Field::new("h2UpgradePolicy", Shape::Choice(&H2_UPGRADE_POLICIES)),
    Field::new("useClientProtocol", Shape::Boolean).later("HTTP/1.1 is spoken"),
    Field::new("maxConcurrentStreams", LIMIT).later("HTTP/1.1 is spoken"),
    Field::new("http2KeepAlive", Shape::Object(&HTTP2_KEEP_ALIVE)).later("HTTP/1.1 is spoken"),
];

static H2_UPGRADE_POLICIES: [Choice; 3] = [
    Choice::new("DEFAULT"),
    Choice::new("DO_NOT_UPGRADE"),
    Choice::new("UPGRADE").later("HTTP/1.1 is spoken"),
];

static HTTP2_KEEP_ALIVE: [Field; 2] = [
    Field::new("interval", DURATION),
    Field::new("timeout", DURATION),
];

static OUTLIER_DETECTION: [Field; 10] = [
    Field::new("consecutiveErrors", LIMIT),
    Field::new("splitExternalLocalOriginErrors", Shape::Boolean),
    Field::new("consecutiveLocalOriginFailures", COUNT),
    Field::new("consecutiveGatewayErrors", COUNT),
    Field::new("consecutive5xxErrors", COUNT),
    Field::new("interval", DURATION),
    Field::new("baseEjectionTime", DURATION),
    Field::new("maxEjectionPercent", Shape::Integer(0, 100)),
    Field::new("minHealthPercent", Shape::Integer(0, 100)),
    Field::new("outlierDetectionHttpErrorCodes", Shape::Any),
];

/// `ClientTLSSettings`. Plain text is what there is; the fields mean nothing without a mode, and
/// any mode is refused.
static TLS: [Field; 9] = [
    Field::new("mode", Shape::Choice(&TLS_MODES)),
    Field::new("clientCertificate", Shape::Text).inert(),
    Field::new("privateKey", Shape::Text).inert(),
    Field::new("caCertificates", Shape::Text).inert(),
    Field::new("credentialName", Shape::Text).inert(),
    Field::new("subjectAltNames", TEXTS).inert(),
    Field::new("sni", Shape::Text).inert(),
    Field::new("insecureSkipVerify", Shape::Boolean).inert(),
    Field::new("caCrl", Shape::Text).inert(),
];

const PLAIN_TEXT: &str = "requests would be sent in plain text";

static TLS_MODES: [Choice; 4] = [
    Choice::new("DISABLE"),
    Choice::new("SIMPLE").refused(PLAIN_TEXT),
    Choice::new("MUTUAL").refused(PLAIN_TEXT),
    Choice::new("ISTIO_MUTUAL").refused(PLAIN_TEXT),
];

static TUNNEL: [Field; 3] = [
    Field::new("protocol", Shape::Text),
    Field::new("targetHost", Shape::Text).required(),
    Field::new("targetPort", PORT).required(),
];

static PROXY_PROTOCOL: [Field; 1] = [Field::new(
    "version",
    Shape::Choice(&[Choice::new("V1"), Choice::new("V2")]),
)];

static RETRY_BUDGET: [Field; 3] = [
    Field::new("percent", Shape::Number(0.0, 100.0)),
    Field::new("minRetryConcurrency", COUNT),
    Field::new("budgetInterval", Shape::Duration(Duration::ZERO)),
];

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<DestinationRule> {
    export::warn(spec, report);
    let host = spec.field("host")?;
    Some(DestinationRule {
        host: host.spanned(full_name(host.text()?, &metadata.namespace)),
        policy: read_policy(spec, report),
        subsets: read_subsets(spec, report),
        metadata,
    })
}

fn read_subsets(spec: &Cursor<'_>, report: &mut Report) -> Vec<Spanned<Subset>> {
    let mut names = HashSet::new();
    let mut subsets = Vec::new();
    for at in spec.list("subsets") {
        let Some(name) = at.text_of("name") else {
            continue;
        };
        if !names.insert(name) {
            report.error(&at, format!("two subsets are named `{name}`"));
        }
        subsets.push(at.spanned(Subset {
            name: name.to_owned(),
            labels: metadata::labels(&at, "labels"),
            policy: read_policy(&at, report),
        }));
    }
    subsets
}

fn read_policy(parent: &Cursor<'_>, report: &mut Report) -> TrafficPolicy {
    let Some(at) = parent.field("trafficPolicy") else {
        return TrafficPolicy::default();
    };
    let mut numbers = HashSet::new();
    let mut ports = Vec::new();
    for port in at.list("portLevelSettings") {
        let Some(number) = port
            .field("port")
            .and_then(|port| port.integer_of("number"))
        else {
            continue;
        };
        if !numbers.insert(number) {
            report.error(&port, format!("port {number} stands here twice"));
        }
        ports.push(PortSettings {
            port: number,
            settings: read_settings(&port, report),
        });
    }
    TrafficPolicy {
        settings: read_settings(&at, report),
        ports,
    }
}

fn read_settings(at: &Cursor<'_>, report: &mut Report) -> Settings {
    Settings {
        balancer: at
            .field("loadBalancer")
            .map(|balancer| read_balancer(&balancer, report)),
        connections: at
            .field("connectionPool")
            .map(|pool| read_connections(&pool, report)),
    }
}

fn read_balancer(at: &Cursor<'_>, report: &mut Report) -> Balancer {
    if at.field("simple").is_some() && at.field("consistentHash").is_some() {
        let fault = Fault::new("`simple` and `consistentHash` exclude each other");
        report.error(at, fault.hint("remove one of them"));
    }
    match at.text_of("simple") {
        Some("ROUND_ROBIN") => Balancer::RoundRobin,
        Some("RANDOM") => Balancer::Random,
        _ => Balancer::LeastRequest,
    }
}

fn read_connections(at: &Cursor<'_>, report: &mut Report) -> ConnectionPool {
    if let Some(tcp) = at.field("tcp") {
        for name in ["maxConnections", "maxConnectionDuration"] {
            if let Some(field) = tcp.field(name) {
                let message = format!(
                    "`{name}` holds for connections of TCP ports only so far: those that carry \
                     HTTP are not limited by it"
                );
                report.warning(&field, message);
            }
        }
    }
    let duration = |block: &str, name| format::duration(at.field(block)?.text_of(name)?);
    ConnectionPool {
        connect_timeout: duration("tcp", "connectTimeout"),
        idle_timeout: duration("http", "idleTimeout").or_else(|| duration("tcp", "idleTimeout")),
        requests_max: at
            .field("http")
            .and_then(|http| http.integer_of("maxRequestsPerConnection")),
        tcp_idle_timeout: duration("tcp", "idleTimeout"),
        tcp_duration_max: duration("tcp", "maxConnectionDuration"),
        tcp_connections_max: at
            .field("tcp")
            .and_then(|tcp| tcp.integer_of("maxConnections"))
            .filter(|max| *max > 0),
    }
}

/// It is a part of a cluster's name.
fn subset_name(text: &str) -> Result<(), Fault> {
    format::label_value(text).and_then(|()| format::some_text(text))
}

#[cfg(test)]
mod tests;
