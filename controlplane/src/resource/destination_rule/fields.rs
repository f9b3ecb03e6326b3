//! The fields of DestinationRule.

use std::time::Duration;

use ringmain_core::balance::RING_ENTRIES_MAX;

use super::{
    super::{
        cursor::Fault,
        document, export, format,
        schema::{COUNT, Choice, DURATION, Field, LABELS, PORT, Shape, TEXTS},
        tls,
    },
    hash,
};

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
pub(in super::super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

static SUBSET: [Field; 3] = [
    Field::new("name", Shape::Form(subset_name)).required(),
    Field::new("labels", LABELS),
    Field::new("trafficPolicy", Shape::Object(&TRAFFIC_POLICY)),
];

static TRAFFIC_POLICY: [Field; 8] = [
    Field::new("loadBalancer", Shape::Object(&LOAD_BALANCER)),
    Field::new("connectionPool", Shape::Object(&CONNECTION_POOL)),
    Field::new("outlierDetection", Shape::Object(&OUTLIER_DETECTION)).later(NO_EJECTION),
    Field::new("tls", Shape::Object(&tls::CLIENT)),
    Field::new(
        "portLevelSettings",
        Shape::List(&Shape::Object(&PORT_POLICY)),
    ),
    Field::new("tunnel", Shape::Object(&TUNNEL)).later("connections go straight to the endpoint"),
    Field::new("proxyProtocol", Shape::Object(&PROXY_PROTOCOL))
        .later("connections begin without such a header"),
    Field::new("retryBudget", Shape::Object(&RETRY_BUDGET)),
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
    Field::new("tls", Shape::Object(&tls::CLIENT)),
];

const NO_EJECTION: &str = "failing endpoints stay in use";

static LOAD_BALANCER: [Field; 7] = [
    Field::new("simple", Shape::Choice(&SIMPLE)),
    Field::new("consistentHash", Shape::Object(&CONSISTENT_HASH)),
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
    Field::new("httpHeaderName", Shape::Form(hash::header)),
    Field::new("httpCookie", Shape::Object(&HTTP_COOKIE)),
    Field::new("useSourceIp", Shape::Boolean),
    Field::new("httpQueryParameterName", Shape::Form(format::some_text)),
    Field::new(
        "ringHash",
        Shape::Object(&[Field::new("minimumRingSize", RING_SIZE)]),
    ),
    Field::new(
        "maglev",
        Shape::Object(&[Field::new("tableSize", Shape::Integer(0, i64::MAX))]),
    ),
    Field::new("minimumRingSize", RING_SIZE),
];

/// Places on a ring, up to Envoy's maximum; 0 is the default.
const RING_SIZE: Shape = Shape::Integer(0, RING_ENTRIES_MAX as i64);

static HTTP_COOKIE: [Field; 4] = [
    Field::new("name", Shape::Form(hash::cookie_name)).required(),
    Field::new("path", Shape::Form(hash::cookie_text)),
    Field::new("ttl", Shape::Duration(Duration::ZERO)),
    Field::new("attributes", Shape::List(&Shape::Object(&COOKIE_ATTRIBUTE))),
];

static COOKIE_ATTRIBUTE: [Field; 2] = [
    Field::new("name", Shape::Form(hash::cookie_name)).required(),
    Field::new("value", Shape::Form(hash::cookie_text)),
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
pub(in super::super) static CONNECTION_POOL: [Field; 2] = [
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

/// A signed number of 32 bits that counts something.
const LIMIT: Shape = Shape::Integer(0, i32::MAX as i64);

static TCP_KEEPALIVE: [Field; 3] = [
    Field::new("probes", COUNT),
    Field::new("time", DURATION),
    Field::new("interval", DURATION),
];

static HTTP_POOL: [Field; 9] = [
    Field::new("http1MaxPendingRequests", LIMIT),
    Field::new("http2MaxRequests", LIMIT),
    Field::new("maxRequestsPerConnection", LIMIT),
    Field::new("maxRetries", LIMIT),
    Field::new("idleTimeout", DURATION),
    Field::new("h2UpgradePolicy", Shape::Choice(&H2_UPGRADE_POLICIES)),
    Field::new("useClientProtocol", Shape::Boolean),
    Field::new("maxConcurrentStreams", LIMIT),
    Field::new("http2KeepAlive", Shape::Object(&HTTP2_KEEP_ALIVE)),
];

static H2_UPGRADE_POLICIES: [Choice; 3] = [
    Choice::new("DEFAULT"),
    Choice::new("DO_NOT_UPGRADE"),
    Choice::new("UPGRADE"),
];

// The API names no defaults, and to probe at a pace that nobody asked for helps nobody.
static HTTP2_KEEP_ALIVE: [Field; 2] = [
    Field::new("interval", DURATION).required(),
    Field::new("timeout", DURATION).required(),
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

/// It is a part of a cluster's name.
fn subset_name(text: &str) -> Result<(), Fault> {
    format::label_value(text).and_then(|()| format::some_text(text))
}
