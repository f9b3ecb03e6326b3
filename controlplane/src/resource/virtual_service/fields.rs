//! The fields of VirtualService.

use std::time::Duration;

use ringmain_core::path::{self, Unfit};

use super::super::{
    cursor::Fault,
    document, export, format,
    schema::{Choice, DURATION, Field, LABELS, PERCENT, PORT, Shape, TEXTS},
};

static SPEC: [Field; 6] = [
    Field::new("hosts", Shape::List(&Shape::Form(format::wildcard_host))),
    Field::new("gateways", GATEWAYS),
    Field::new("http", Shape::List(&Shape::Object(&HTTP_ROUTE))),
    Field::new("tls", Shape::List(&Shape::Object(&TLS_ROUTE))),
    Field::new("tcp", Shape::List(&Shape::Object(&TCP_ROUTE))),
    Field::new("exportTo", export::SHAPE),
];

/// What a redirect's `uri` begins with when it replaces only the prefix that matched.
pub(super) const PREFIX_REDIRECT: &str = "%PREFIX()%";

/// The whole document.
pub(in super::super) static DOCUMENT: [Field; 5] = document::fields(&SPEC);

const GATEWAYS: Shape = Shape::List(&Shape::Form(format::gateway_reference));

static HTTP_ROUTE: [Field; 16] = [
    Field::new("name", Shape::Text),
    Field::new("match", Shape::List(&Shape::Object(&HTTP_MATCH))),
    Field::new("route", Shape::List(&Shape::Object(&HTTP_DESTINATION))),
    Field::new("redirect", Shape::Object(&REDIRECT)),
    Field::new("directResponse", Shape::Object(&DIRECT_RESPONSE)),
    Field::new("delegate", Shape::Object(&DELEGATE)).later("the rule is left out"),
    Field::new("rewrite", Shape::Object(&REWRITE)),
    // Unlike other durations it may be 0, which is no limit.
    Field::new("timeout", Shape::Duration(Duration::ZERO)),
    Field::new("retries", Shape::Object(&RETRIES)),
    Field::new("fault", Shape::Object(&FAULT)),
    Field::new("mirror", Shape::Object(&DESTINATION)),
    Field::new("mirrors", Shape::List(&Shape::Object(&MIRROR))),
    Field::new("mirrorPercent", Shape::Integer(0, 100)),
    Field::new("mirrorPercentage", PERCENT),
    Field::new("corsPolicy", Shape::Object(&CORS_POLICY)),
    Field::new("headers", Shape::Object(&HEADERS)),
];

static HTTP_MATCH: [Field; 14] = [
    Field::new("name", Shape::Text),
    Field::new("uri", STRING_MATCH),
    Field::new("scheme", STRING_MATCH),
    Field::new("method", STRING_MATCH),
    Field::new("authority", STRING_MATCH),
    Field::new("headers", Shape::Map(match_header, &STRING_MATCH)),
    Field::new("port", PORT),
    Field::new("sourceLabels", LABELS),
    Field::new("gateways", GATEWAYS),
    Field::new("queryParams", Shape::Map(format::some_text, &STRING_MATCH)),
    Field::new("ignoreUriCase", Shape::Boolean),
    Field::new("withoutHeaders", Shape::Map(match_header, &STRING_MATCH)),
    Field::new("sourceNamespace", Shape::Form(format::dns_label)),
    Field::new("statPrefix", Shape::Text).later("there are no metrics of their own"),
];

const STRING_MATCH: Shape = Shape::Object(&STRING_MATCH_FIELDS);

static STRING_MATCH_FIELDS: [Field; 3] = [
    Field::new("exact", Shape::Text),
    Field::new("prefix", Shape::Text),
    Field::new("regex", Shape::Text),
];

static HTTP_DESTINATION: [Field; 3] = [
    Field::new("destination", Shape::Object(&DESTINATION)).required(),
    Field::new("weight", WEIGHT),
    Field::new("headers", Shape::Object(&HEADERS)),
];

/// A signed number of 32 bits that is not negative.
const WEIGHT: Shape = Shape::Integer(0, i32::MAX as i64);

static DESTINATION: [Field; 3] = [
    Field::new("host", Shape::Form(format::host)).required(),
    Field::new("subset", Shape::Form(format::some_text)),
    Field::new(
        "port",
        Shape::Object(&[Field::new("number", PORT).required()]),
    ),
];

static HEADERS: [Field; 2] = [
    Field::new("request", Shape::Object(&HEADER_OPERATIONS)),
    Field::new("response", Shape::Object(&HEADER_OPERATIONS)),
];

// The names are checked where it is known whether they are of a request or of a response.
static HEADER_OPERATIONS: [Field; 3] = [
    Field::new(
        "set",
        Shape::Map(format::any_text, &Shape::Form(format::header_value)),
    ),
    Field::new(
        "add",
        Shape::Map(format::any_text, &Shape::Form(format::header_value)),
    ),
    Field::new("remove", TEXTS),
];

static REDIRECT: [Field; 6] = [
    Field::new("uri", Shape::Form(redirect_uri)),
    Field::new("authority", Shape::Form(format::authority)),
    Field::new("port", PORT),
    Field::new("derivePort", Shape::Choice(&DERIVE_PORT)),
    Field::new("scheme", Shape::Form(scheme)),
    Field::new("redirectCode", Shape::Integer(0, 999)),
];

static DERIVE_PORT: [Choice; 2] = [
    Choice::new("FROM_PROTOCOL_DEFAULT"),
    Choice::new("FROM_REQUEST_PORT"),
];

static DIRECT_RESPONSE: [Field; 2] = [
    Field::new("status", Shape::Integer(200, 599)).required(),
    Field::new("body", Shape::Object(&DIRECT_RESPONSE_BODY)),
];

static DIRECT_RESPONSE_BODY: [Field; 2] = [
    Field::new("string", Shape::Text),
    Field::new("bytes", Shape::Text),
];

static DELEGATE: [Field; 2] = [
    Field::new("name", Shape::Form(format::dns_name)).required(),
    Field::new("namespace", Shape::Form(format::dns_label)),
];

static REWRITE: [Field; 3] = [
    Field::new("uri", Shape::Form(rewrite_uri)),
    Field::new("authority", Shape::Form(format::authority)),
    Field::new("uriRegexRewrite", Shape::Object(&REGEX_REWRITE)),
];

// Both are checked where they are read: neither means anything without the other.
static REGEX_REWRITE: [Field; 2] = [
    Field::new("match", Shape::Text).required(),
    Field::new("rewrite", Shape::Text).required(),
];

static RETRIES: [Field; 6] = [
    Field::new("attempts", Shape::Integer(0, i32::MAX as i64)),
    Field::new("perTryTimeout", Shape::Duration(Duration::ZERO)),
    // Its words are told one by one where they are read.
    Field::new("retryOn", Shape::Text),
    Field::new("retryRemoteLocalities", Shape::Boolean).later("locality plays no part"),
    Field::new("retryIgnorePreviousHosts", Shape::Boolean),
    Field::new("backoff", DURATION),
];

static FAULT: [Field; 2] = [
    Field::new("delay", Shape::Object(&DELAY)),
    Field::new("abort", Shape::Object(&ABORT)),
];

static DELAY: [Field; 4] = [
    Field::new("percent", Shape::Integer(0, 100)),
    Field::new("fixedDelay", DURATION),
    Field::new("exponentialDelay", DURATION).later("no request is delayed by it"),
    Field::new("percentage", PERCENT),
];

static ABORT: [Field; 5] = [
    Field::new("percent", Shape::Integer(0, 100)),
    Field::new("httpStatus", Shape::Integer(200, 599)),
    Field::new("grpcStatus", Shape::Form(super::fault::grpc_status)),
    Field::new("http2Error", Shape::Form(super::fault::http2_error)),
    Field::new("percentage", PERCENT),
];

static MIRROR: [Field; 2] = [
    Field::new("destination", Shape::Object(&DESTINATION)).required(),
    Field::new("percentage", PERCENT),
];

static CORS_POLICY: [Field; 8] = [
    Field::new("allowOrigin", Shape::List(&Shape::Form(format::some_text))),
    Field::new("allowOrigins", Shape::List(&STRING_MATCH)),
    Field::new(
        "allowMethods",
        Shape::List(&Shape::Form(super::cors::method)),
    ),
    Field::new(
        "allowHeaders",
        Shape::List(&Shape::Form(format::header_name)),
    ),
    Field::new(
        "exposeHeaders",
        Shape::List(&Shape::Form(format::header_name)),
    ),
    Field::new("maxAge", Shape::Duration(Duration::ZERO)),
    Field::new("allowCredentials", Shape::Boolean),
    Field::new("unmatchedPreflights", Shape::Choice(&UNMATCHED_PREFLIGHTS)),
];

static UNMATCHED_PREFLIGHTS: [Choice; 3] = [
    Choice::new("UNSPECIFIED"),
    Choice::new("FORWARD"),
    Choice::new("IGNORE"),
];

static TLS_ROUTE: [Field; 2] = [
    Field::new("match", Shape::FullList(&Shape::Object(&TLS_MATCH))).required(),
    Field::new("route", Shape::List(&Shape::Object(&ROUTE_DESTINATION))).required(),
];

static TLS_MATCH: [Field; 6] = [
    Field::new(
        "sniHosts",
        Shape::FullList(&Shape::Form(format::wildcard_host)),
    )
    .required(),
    Field::new(
        "destinationSubnets",
        Shape::List(&Shape::Form(super::tcp::subnet)),
    ),
    Field::new("port", PORT),
    Field::new("sourceLabels", LABELS),
    Field::new("gateways", GATEWAYS),
    Field::new("sourceNamespace", Shape::Form(format::dns_label)),
];

static TCP_ROUTE: [Field; 2] = [
    Field::new("match", Shape::List(&Shape::Object(&TCP_MATCH))),
    Field::new("route", Shape::List(&Shape::Object(&ROUTE_DESTINATION))).required(),
];

static TCP_MATCH: [Field; 6] = [
    Field::new(
        "destinationSubnets",
        Shape::List(&Shape::Form(super::tcp::subnet)),
    ),
    Field::new("port", PORT),
    Field::new("sourceLabels", LABELS),
    Field::new("gateways", GATEWAYS),
    Field::new("sourceNamespace", Shape::Form(format::dns_label)),
    Field::new("sourceSubnet", Shape::Form(super::tcp::subnet)),
];

static ROUTE_DESTINATION: [Field; 2] = [
    Field::new("destination", Shape::Object(&DESTINATION)).required(),
    Field::new("weight", WEIGHT),
];

fn rewrite_uri(text: &str) -> Result<(), Fault> {
    path::check_replacement(text).map_err(unfit)
}

/// A whole path with or without a query, or what replaces the prefix that matched.
fn redirect_uri(text: &str) -> Result<(), Fault> {
    match text.strip_prefix(PREFIX_REDIRECT) {
        Some(prefix) => rewrite_uri(prefix),
        None => path::check_reference(text).map_err(unfit),
    }
}

fn unfit(unfit: Unfit) -> Fault {
    let fault = Fault::new(unfit.message);
    match unfit.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Schemes of HTTP (RFC 9110 section 4.2), in any case.
fn scheme(text: &str) -> Result<(), Fault> {
    if ["http", "https"]
        .iter()
        .any(|known| text.eq_ignore_ascii_case(known))
    {
        return Ok(());
    }
    let fault = Fault::new(format!(
        "`{}` is not `http` or `https`",
        format::shown(text)
    ));
    Err(fault)
}

/// The name of a header, or a claim of a token, which is refused where it is read.
fn match_header(text: &str) -> Result<(), Fault> {
    if text.starts_with(super::CLAIM_PREFIX) {
        return Ok(());
    }
    format::header_name(text)
}
