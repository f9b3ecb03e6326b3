//! What rules and DestinationRules say of requests besides where they go.

use ringmain_config::node::Node;
use serde_json::{Value, json};

use super::{check, edge, sidecars::MESH, with_rules, workload};

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---";

const FORWARD: &str = "route_tables/9080/virtual_hosts/1/routes/0/action/forward";
const REVIEWS: &str = "clusters/outbound|9080||reviews.default.svc.cluster.local";

fn page() -> Node {
    workload("default", &[("app", "productpage")])
}

/// Parts of the only route of reviews, whose rule has these fields.
#[track_caller]
fn check_rule(fields: &str, expected: &[(&str, Value)]) {
    let spec = format!(
        "{{hosts: [reviews], http: [{{route: [{{destination: {{host: reviews}}}}], {fields}}}]}}"
    );
    check(&with_rules(MESH, &spec), &page(), expected);
}

/// `MESH` with a DestinationRule for reviews, and a VirtualService for it with these destinations
/// and fields of the rule.
fn hashed(policy: &str, rule: &str) -> String {
    let resources = format!(
        "{MESH}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews}}
spec:
  host: reviews
  trafficPolicy: {policy}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: random, labels: {{}}, trafficPolicy: \
         {{loadBalancer: {{simple: RANDOM}}}}}}]
---"
    );
    with_rules(
        &resources,
        &format!("{{hosts: [reviews], http: [{{{rule}}}]}}"),
    )
}

const BY_HEADER: &str = "{loadBalancer: {consistentHash: {httpHeaderName: X-User}}}";

fn mesh_default() -> Value {
    json!({
        "attempts": 2,
        "on": [
            "connect-failure", "refused-stream", "unavailable", "cancelled",
            "retriable-status-codes", "stale-connection",
        ],
    })
}

#[test]
fn a_table_retries_what_is_safe_to_retry() {
    check(
        MESH,
        &page(),
        &[
            ("route_tables/9080/retry", mesh_default()),
            (&format!("{FORWARD}/retry"), json!(null)),
            (
                "route_tables/inbound|9080||/retry",
                json!({
                    "attempts": 2, "on": ["reset-before-request", "stale-connection"],
                    "avoids_previous_endpoints": false,
                }),
            ),
            (
                "route_tables/inbound|9080||/virtual_hosts/0/routes/0/action/forward/retry",
                json!(null),
            ),
        ],
    );
    let rules = with_rules(
        &format!("{MESH}{GATEWAY}"),
        "{hosts: [a.b], gateways: [istio-system/edge], http: [{route: [{destination: {host: \
         reviews}}]}]}",
    );
    check(
        &rules,
        &edge(),
        &[("route_tables/http.80/retry", mesh_default())],
    );
}

#[test]
fn inbound_ports_of_grpc_leave_retries_to_its_clients() {
    for (protocol, retries) in [
        ("HTTP", true),
        ("HTTP2", true),
        ("GRPC", false),
        ("GRPC-Web", false),
    ] {
        let yaml = MESH.replace(
            "ingress:\n  - port: {number: 9080, name: http, protocol: HTTP}",
            &format!("ingress:\n  - port: {{number: 9080, name: a, protocol: {protocol}}}"),
        );
        let attempts = match retries {
            true => json!(2),
            false => json!(null),
        };
        check(
            &yaml,
            &page(),
            &[("route_tables/inbound|9080||/retry/attempts", attempts)],
        );
    }
}

#[test]
fn a_rule_has_retries_of_its_own_or_none() {
    let retry = format!("{FORWARD}/retry");
    for (fields, expected) in [
        ("timeout: 1s", json!(null)),
        ("retries: {attempts: 0}", json!({"attempts": 0})),
        (
            "retries: {attempts: 3, perTryTimeout: 250ms, retryOn: '5xx,503', backoff: 1s, \
             retryIgnorePreviousHosts: false}, timeout: 2s",
            json!({
                "attempts": 3, "per_try_timeout": "0.25s", "on": ["5xx", "retriable-status-codes"],
                "status_codes": [503], "avoids_previous_endpoints": false, "back_off": "1s",
            }),
        ),
        // Beside a fault there are none.
        (
            "fault: {abort: {httpStatus: 500, percent: 50}}",
            json!({"attempts": 0}),
        ),
    ] {
        check_rule(fields, &[(&retry, expected)]);
    }
}

#[test]
fn where_a_hash_chooses_tried_endpoints_are_not_avoided() {
    let retry = format!("{FORWARD}/retry");
    let avoids = format!("{retry}/avoids_previous_endpoints");
    let attempts = format!("{retry}/attempts");
    let whole = "{destination: {host: reviews}}";
    let hashed_share = "{destination: {host: reviews, subset: v1}, weight: 1}";
    let random_share = "{destination: {host: reviews, subset: random}, weight: 1}";
    for (rule, expected) in [
        (format!("route: [{whole}]"), (json!(2), json!(false))),
        (
            format!("route: [{whole}], retries: {{attempts: 5}}"),
            (json!(5), json!(false)),
        ),
        (
            format!("route: [{whole}], retries: {{attempts: 5, retryIgnorePreviousHosts: true}}"),
            (json!(5), json!(null)),
        ),
        (
            format!("route: [{hashed_share}, {random_share}]"),
            (json!(null), json!(null)),
        ),
        (
            format!("route: [{hashed_share}, {random_share}], retries: {{attempts: 1}}"),
            (json!(1), json!(null)),
        ),
    ] {
        check(
            &hashed(BY_HEADER, &rule),
            &page(),
            &[(&attempts, expected.0), (&avoids, expected.1)],
        );
    }
    // Without rules, the service's own route.
    let without_rules = hashed(
        BY_HEADER,
        "match: [{port: 1}], directResponse: {status: 200}",
    );
    check(&without_rules, &page(), &[(&avoids, json!(false))]);
}

#[test]
fn faults_and_cors() {
    let filters = "route_tables/9080/virtual_hosts/1/routes/0/filters";
    check_rule(
        "fault: {delay: {fixedDelay: 7s, percentage: {value: 0.5}}, abort: {grpcStatus: \
         UNAVAILABLE, percent: 100}}, timeout: 1s",
        &[
            (
                filters,
                json!({"fault": {
                    "delay": {"duration": "7s", "share": 5000},
                    "abort": {"with": {"grpc": 14}, "share": 1_000_000},
                }}),
            ),
            (
                "route_tables/9080/virtual_hosts/1/routes/0/timeout",
                json!(null),
            ),
        ],
    );
    check_rule(
        "corsPolicy: {allowOrigins: [{prefix: 'https://'}], allowMethods: [GET], maxAge: 1m, \
         unmatchedPreflights: IGNORE}",
        &[(
            filters,
            json!({"cors": {
                "allow_origins": [{"prefix": "https://"}], "allow_methods": ["GET"],
                "max_age": "60s", "answers_unmatched_preflights": true,
            }}),
        )],
    );
    check_rule("timeout: 1s", &[(filters, json!(null))]);
}

#[test]
fn copies_of_requests_have_clusters_of_their_own() {
    let ratings = "outbound|9080||ratings.other.svc.cluster.local";
    let mirrors = format!("{FORWARD}/mirrors");
    let nobody = "outbound|9080|v9|reviews.default.svc.cluster.local";
    check_rule(
        "mirrors: [{destination: {host: ratings.other.svc.cluster.local, port: {number: 9080}}}, \
         {destination: {host: reviews, subset: v9}, percentage: {value: 2}}]",
        &[
            (
                &mirrors,
                json!([
                    {"cluster": ratings, "share": 1_000_000},
                    {"cluster": nobody, "share": 20_000},
                ]),
            ),
            (&format!("clusters/{ratings}/name"), json!(ratings)),
            (&format!("clusters/{nobody}/name"), json!(nobody)),
        ],
    );
}

#[test]
fn paths_are_rewritten_by_regular_expressions() {
    let rewrite =
        "rewrite: {uriRegexRewrite: {match: '^/a/([^/]+)', rewrite: '/\\1'}, authority: b}";
    check_rule(
        &format!("match: [{{uri: {{prefix: /a/}}}}], {rewrite}"),
        &[
            (
                &format!("{FORWARD}/rewrite"),
                json!({
                    "regex": {"pattern": "^/a/([^/]+)", "substitution": "/\\1"}, "authority": "b",
                }),
            ),
            (
                "route_tables/9080/virtual_hosts/1/routes/0/match/path",
                json!({"prefix": "/a/"}),
            ),
        ],
    );
}

#[test]
fn a_cluster_has_what_its_rule_says() {
    let policy = "{loadBalancer: {consistentHash: {httpCookie: {name: user, path: /, ttl: 1h}, \
                  maglev: {}}}, connectionPool: {http: {http1MaxPendingRequests: 1, \
                  http2MaxRequests: 2, maxRetries: 3, maxConcurrentStreams: 4, \
                  maxRequestsPerConnection: 5, idleTimeout: 6s, http2KeepAlive: {interval: 7s, \
                  timeout: 8s}}}, retryBudget: {percent: 9.5}}";
    let of = |part: &str| format!("{REVIEWS}/{part}");
    check(
        &hashed(policy, "route: [{destination: {host: reviews}}]"),
        &page(),
        &[
            (&of("balancer"), json!({"maglev": {"entries": 65_537}})),
            (
                &of("hash"),
                json!({"cookie": {"name": "user", "path": "/", "ttl": "3600s"}}),
            ),
            (&of("connections/requests_max"), json!(5)),
            (&of("connections/idle_timeout"), json!("6s")),
            (
                &of("connections/http"),
                json!({
                    "pending_max": 1, "active_max": 2, "retries_max": 3, "streams_max": 4,
                    "keep_alive": {"interval": "7s", "timeout": "8s"},
                }),
            ),
            (
                &of("retry_budget"),
                json!({"share": 950, "concurrency_min": 3}),
            ),
        ],
    );
}
