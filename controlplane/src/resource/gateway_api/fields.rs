//! The fields of HTTPRoute and GRPCRoute.

use super::form;
use crate::resource::{
    document, format,
    schema::{Choice, Field, PORT, Shape, TEXTS},
};

static HTTP_SPEC: [Field; 4] = [
    Field::new("parentRefs", Shape::List(&Shape::Object(&PARENT))),
    Field::new("useDefaultGateways", Shape::Text).later("name the Gateway in `parentRefs`"),
    Field::new("hostnames", HOSTNAMES),
    Field::new("rules", Shape::List(&Shape::Object(&HTTP_RULE))),
];

static GRPC_SPEC: [Field; 4] = [
    Field::new("parentRefs", Shape::List(&Shape::Object(&PARENT))),
    Field::new("useDefaultGateways", Shape::Text).later("name the Gateway in `parentRefs`"),
    Field::new("hostnames", HOSTNAMES),
    Field::new("rules", Shape::List(&Shape::Object(&GRPC_RULE))),
];

/// A whole HTTPRoute.
pub(in super::super) static HTTP_ROUTE: [Field; 5] = document::fields(&HTTP_SPEC);

/// A whole GRPCRoute.
pub(in super::super) static GRPC_ROUTE: [Field; 5] = document::fields(&GRPC_SPEC);

const HOSTNAMES: Shape = Shape::List(&Shape::Form(form::hostname));

static PARENT: [Field; 6] = [
    Field::new("group", Shape::Text),
    Field::new("kind", Shape::Form(format::api_name)),
    Field::new("namespace", Shape::Form(format::dns_label)),
    Field::new("name", Shape::Form(format::dns_name)).required(),
    Field::new("sectionName", Shape::Form(format::dns_name)),
    Field::new("port", PORT),
];

static HTTP_RULE: [Field; 7] = [
    Field::new("name", Shape::Form(format::dns_name)),
    Field::new("matches", Shape::List(&Shape::Object(&HTTP_MATCH))),
    Field::new("filters", Shape::List(&Shape::Object(&HTTP_FILTER))),
    Field::new("backendRefs", Shape::List(&Shape::Object(&HTTP_BACKEND))),
    Field::new("timeouts", Shape::Object(&TIMEOUTS)),
    Field::new("retry", Shape::Object(&RETRY)),
    Field::new("sessionPersistence", Shape::Object(&SESSION)).later(NO_SESSION),
];

static GRPC_RULE: [Field; 5] = [
    Field::new("name", Shape::Form(format::dns_name)),
    Field::new("matches", Shape::List(&Shape::Object(&GRPC_MATCH))),
    Field::new("filters", Shape::List(&Shape::Object(&GRPC_FILTER))),
    Field::new("backendRefs", Shape::List(&Shape::Object(&GRPC_BACKEND))),
    Field::new("sessionPersistence", Shape::Object(&SESSION)).later(NO_SESSION),
];

const NO_SESSION: &str = "requests of a session go to any endpoint; bind them with \
                          `consistentHash` in a DestinationRule of the backend";

static HTTP_MATCH: [Field; 4] = [
    Field::new("path", Shape::Object(&PATH_MATCH)),
    Field::new("headers", Shape::List(&Shape::Object(&HEADER_MATCH))),
    Field::new("queryParams", Shape::List(&Shape::Object(&QUERY_MATCH))),
    Field::new("method", Shape::Choice(&METHODS)),
];

static PATH_MATCH: [Field; 2] = [
    Field::new("type", Shape::Choice(&PATH_TYPES)),
    Field::new("value", Shape::Text),
];

static PATH_TYPES: [Choice; 3] = [
    Choice::new("Exact"),
    Choice::new("PathPrefix"),
    Choice::new("RegularExpression"),
];

static TEXT_TYPES: [Choice; 2] = [Choice::new("Exact"), Choice::new("RegularExpression")];

static HEADER_MATCH: [Field; 3] = [
    Field::new("type", Shape::Choice(&TEXT_TYPES)),
    Field::new("name", Shape::Form(format::header_name)).required(),
    Field::new("value", Shape::Text).required(),
];

static QUERY_MATCH: [Field; 3] = [
    Field::new("type", Shape::Choice(&TEXT_TYPES)),
    Field::new("name", Shape::Form(format::some_text)).required(),
    Field::new("value", Shape::Text).required(),
];

static METHODS: [Choice; 9] = [
    Choice::new("GET"),
    Choice::new("HEAD"),
    Choice::new("POST"),
    Choice::new("PUT"),
    Choice::new("DELETE"),
    Choice::new("CONNECT"),
    Choice::new("OPTIONS"),
    Choice::new("TRACE"),
    Choice::new("PATCH"),
];

static GRPC_MATCH: [Field; 2] = [
    Field::new("method", Shape::Object(&RPC_MATCH)),
    Field::new("headers", Shape::List(&Shape::Object(&HEADER_MATCH))),
];

static RPC_MATCH: [Field; 3] = [
    Field::new("type", Shape::Choice(&TEXT_TYPES)),
    Field::new("service", Shape::Text),
    Field::new("method", Shape::Text),
];

static HTTP_FILTER: [Field; 9] = [
    Field::new("type", Shape::Choice(&HTTP_FILTERS)).required(),
    Field::new("requestHeaderModifier", HEADERS),
    Field::new("responseHeaderModifier", HEADERS),
    Field::new("requestMirror", Shape::Object(&MIRROR)),
    Field::new("requestRedirect", Shape::Object(&REDIRECT)),
    Field::new("urlRewrite", Shape::Object(&REWRITE)),
    Field::new("cors", Shape::Object(&CORS)),
    Field::new("extensionRef", Shape::Any),
    Field::new("externalAuth", Shape::Any),
];

// Which of them is supported depends on where the filter stands.
static HTTP_FILTERS: [Choice; 8] = [
    Choice::new("RequestHeaderModifier"),
    Choice::new("ResponseHeaderModifier"),
    Choice::new("RequestMirror"),
    Choice::new("RequestRedirect"),
    Choice::new("URLRewrite"),
    Choice::new("CORS"),
    Choice::new("ExtensionRef"),
    Choice::new("ExternalAuth"),
];

static GRPC_FILTER: [Field; 5] = [
    Field::new("type", Shape::Choice(&GRPC_FILTERS)).required(),
    Field::new("requestHeaderModifier", HEADERS),
    Field::new("responseHeaderModifier", HEADERS),
    Field::new("requestMirror", Shape::Object(&MIRROR)),
    Field::new("extensionRef", Shape::Any),
];

static GRPC_FILTERS: [Choice; 4] = [
    Choice::new("RequestHeaderModifier"),
    Choice::new("ResponseHeaderModifier"),
    Choice::new("RequestMirror"),
    Choice::new("ExtensionRef"),
];

const HEADERS: Shape = Shape::Object(&HEADER_EDITS);

static HEADER_EDITS: [Field; 3] = [
    Field::new("set", Shape::List(&Shape::Object(&HEADER))),
    Field::new("add", Shape::List(&Shape::Object(&HEADER))),
    Field::new("remove", TEXTS),
];

static HEADER: [Field; 2] = [
    Field::new("name", Shape::Form(format::header_name)).required(),
    Field::new("value", Shape::Form(format::header_value)).required(),
];

static MIRROR: [Field; 3] = [
    Field::new("backendRef", Shape::Object(&BACKEND_REFERENCE)).required(),
    Field::new("percent", Shape::Integer(0, 100)),
    Field::new("fraction", Shape::Object(&FRACTION)),
];

static FRACTION: [Field; 2] = [
    Field::new("numerator", Shape::Integer(0, i32::MAX as i64)).required(),
    Field::new("denominator", Shape::Integer(1, i32::MAX as i64)),
];

static REDIRECT: [Field; 5] = [
    Field::new("scheme", Shape::Choice(&SCHEMES)),
    Field::new("hostname", Shape::Form(form::precise_hostname)),
    Field::new("path", Shape::Object(&REDIRECT_PATH)),
    Field::new("port", PORT),
    Field::new("statusCode", Shape::Integer(300, 399)),
];

static SCHEMES: [Choice; 2] = [Choice::new("http"), Choice::new("https")];

static REWRITE: [Field; 2] = [
    Field::new("hostname", Shape::Form(form::precise_hostname)),
    Field::new("path", Shape::Object(&REWRITE_PATH)),
];

static PATH_MODIFIERS: [Choice; 2] = [
    Choice::new("ReplaceFullPath"),
    Choice::new("ReplacePrefixMatch"),
];

static REDIRECT_PATH: [Field; 3] = [
    Field::new("type", Shape::Choice(&PATH_MODIFIERS)).required(),
    Field::new("replaceFullPath", Shape::Form(form::reference)),
    Field::new("replacePrefixMatch", Shape::Form(form::replacement)),
];

static REWRITE_PATH: [Field; 3] = [
    Field::new("type", Shape::Choice(&PATH_MODIFIERS)).required(),
    Field::new("replaceFullPath", Shape::Form(form::replacement)),
    Field::new("replacePrefixMatch", Shape::Form(form::replacement)),
];

static CORS: [Field; 6] = [
    Field::new("allowOrigins", Shape::List(&Shape::Form(form::origin))),
    Field::new("allowCredentials", Shape::Boolean),
    Field::new("allowMethods", WORDS),
    Field::new("allowHeaders", WORDS),
    Field::new("exposeHeaders", WORDS),
    Field::new("maxAge", Shape::Integer(1, i32::MAX as i64)),
];

const WORDS: Shape = Shape::List(&Shape::Form(format::header_name));

static BACKEND_REFERENCE: [Field; 5] = BACKEND_REFERENCE_FIELDS;

const BACKEND_REFERENCE_FIELDS: [Field; 5] = [
    Field::new("group", Shape::Text),
    Field::new("kind", Shape::Form(format::api_name)),
    Field::new("namespace", Shape::Form(format::dns_label)),
    Field::new("name", Shape::Form(format::some_text)).required(),
    Field::new("port", PORT),
];

static HTTP_BACKEND: [Field; 7] = backend(Shape::List(&Shape::Object(&HTTP_FILTER)));
static GRPC_BACKEND: [Field; 7] = backend(Shape::List(&Shape::Object(&GRPC_FILTER)));

const fn backend(filters: Shape) -> [Field; 7] {
    let [group, kind, namespace, name, port] = BACKEND_REFERENCE_FIELDS;
    let weight = Field::new("weight", Shape::Integer(0, 1_000_000));
    let filters = Field::new("filters", filters);
    [group, kind, namespace, name, port, weight, filters]
}

static TIMEOUTS: [Field; 2] = [
    Field::new("request", Shape::Form(form::duration)),
    Field::new("backendRequest", Shape::Form(form::duration)),
];

static RETRY: [Field; 3] = [
    Field::new("codes", Shape::List(&Shape::Integer(400, 599))),
    Field::new("attempts", Shape::Integer(0, i32::MAX as i64)),
    Field::new("backoff", Shape::Form(form::duration)),
];

static SESSION: [Field; 5] = [
    Field::new("sessionName", Shape::Text),
    Field::new("absoluteTimeout", Shape::Form(form::duration)),
    Field::new("idleTimeout", Shape::Form(form::duration)),
    Field::new("type", Shape::Choice(&SESSION_TYPES)),
    Field::new("cookieConfig", Shape::Object(&COOKIE)),
];

static SESSION_TYPES: [Choice; 2] = [Choice::new("Cookie"), Choice::new("Header")];

static COOKIE: [Field; 1] = [Field::new("lifetimeType", Shape::Choice(&LIFETIMES))];

static LIFETIMES: [Choice; 2] = [Choice::new("Permanent"), Choice::new("Session")];
