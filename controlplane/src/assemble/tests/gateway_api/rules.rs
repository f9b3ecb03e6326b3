//! What a rule becomes.

use super::*;

/// What becomes of one rule: fields of its first route, by path below it.
fn check_rule(rule: &str, expected: &[(&str, Value)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(path, value)| (format!("{ROUTES}/0/{path}"), value.clone()))
        .collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(path, value)| (path.as_str(), value.clone()))
        .collect();
    check(&with_rule(rule), &edge(), &expected);
}

#[test]
fn matches() {
    for (condition, expected) in [
        ("{}", json!({"path": {"element_prefix": "/"}})),
        (
            "{path: {value: /a/}}",
            json!({"path": {"element_prefix": "/a"}}),
        ),
        (
            "{path: {type: Exact, value: /a}}",
            json!({"path": {"exact": "/a"}}),
        ),
        (
            "{path: {type: RegularExpression, value: /a+}, method: GET}",
            json!({"path": {"regex": "/a+"}, "method": {"exact": "GET"}}),
        ),
        (
            "{headers: [{name: X-A, value: a}], queryParams: [{name: q, type: RegularExpression, \
             value: b+}]}",
            json!({
                "path": {"element_prefix": "/"},
                "headers": [{"name": "x-a", "value": {"exact": "a"}}],
                "query": [{"name": "q", "value": {"regex": "b+"}}],
            }),
        ),
    ] {
        let rule = format!("matches: [{condition}], {BACKEND}");
        check_rule(&rule, &[("match", expected)]);
    }
}

#[test]
fn filters() {
    for (filter, expected) in [
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-a, value: b}]}",
            (
                "request_headers",
                json!({"set": [{"name": "x-a", "value": "b"}]}),
            ),
        ),
        (
            "type: ResponseHeaderModifier, responseHeaderModifier: {remove: [x-a]}",
            ("response_headers", json!({"remove": ["x-a"]})),
        ),
        (
            "type: URLRewrite, urlRewrite: {hostname: a.b, path: {type: ReplacePrefixMatch, \
             replacePrefixMatch: /x}}",
            (
                "action/forward/rewrite",
                json!({"path": "/x", "authority": "a.b"}),
            ),
        ),
        (
            "type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /x}}",
            (
                "action/forward/rewrite",
                json!({"regex": {"pattern": "^.*$", "substitution": "/x"}}),
            ),
        ),
        (
            "type: RequestMirror, requestMirror: {percent: 10, backendRef: {name: other, \
             namespace: prod, port: 81}}",
            (
                "action/forward/mirrors",
                json!([{"cluster": "outbound|81||other.prod.svc.cluster.local", "share": 100_000}]),
            ),
        ),
        (
            "type: RequestMirror, requestMirror: {backendRef: {name: nobody, port: 81}}",
            ("action/forward/mirrors", Value::Null),
        ),
        (
            "type: CORS, cors: {allowOrigins: ['*']}",
            ("filters/cors/allow_origins", json!([{"exact": "*"}])),
        ),
        (
            "type: ExtensionRef, extensionRef: {}",
            ("action", json!({"direct": {"status": 500}})),
        ),
    ] {
        check_rule(&format!("{BACKEND}, filters: [{{{filter}}}]"), &[expected]);
    }
    check_rule(
        "filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]",
        &[(
            "action/redirect",
            json!({
                "status": 302, "scheme": "https", "port": "from_protocol_default", "path": "keep",
            }),
        )],
    );
}

#[test]
fn a_whole_path_is_replaced_whatever_was_matched() {
    let filter = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, \
                  replaceFullPath: /x}}}]";
    let matches = "matches: [{path: {type: Exact, value: /a}}, {path: {value: /b}}]";
    let routes = |index: usize| format!("{ROUTES}/{index}/action/forward/rewrite");
    check(
        &with_rule(&format!("{matches}, {BACKEND}, {filter}")),
        &edge(),
        &[
            (&routes(0), json!({"path": "/x"})),
            (
                &routes(1),
                json!({"regex": {"pattern": "^.*$", "substitution": "/x"}}),
            ),
        ],
    );
}

#[test]
fn backends_that_are_not_there_answer_their_share() {
    let share = |name: &str, weight: u32| {
        json!({
            "cluster": format!("outbound|80||{name}.default.svc.cluster.local"),
            "answer": 500,
            "weight": weight,
        })
    };
    for (backends, expected) in [
        (
            "{name: web, port: 80, weight: 3}, {name: nobody, port: 80, weight: 7}",
            json!([{"cluster": WEB, "weight": 3}, share("nobody", 7)]),
        ),
        ("{name: nobody, port: 80}", json!([share("nobody", 1)])),
        (
            "{name: web, port: 80, filters: [{type: CORS, cors: {}}]}",
            json!([{"cluster": WEB, "answer": 500, "weight": 1}]),
        ),
        (
            "{name: web, port: 9999}",
            json!([{
                "cluster": "outbound|9999||web.default.svc.cluster.local",
                "answer": 500,
                "weight": 1,
            }]),
        ),
        (
            "{name: a, kind: Bucket, group: x.y}",
            json!([{"cluster": "Bucket default/a", "answer": 500, "weight": 1}]),
        ),
        (
            "{name: other, namespace: prod, port: 81, filters: [{type: RequestHeaderModifier, \
             requestHeaderModifier: {remove: [x-a]}}]}",
            json!([{
                "cluster": "outbound|81||other.prod.svc.cluster.local",
                "weight": 1,
                "request_headers": {"remove": ["x-a"]},
            }]),
        ),
    ] {
        check_rule(
            &format!("backendRefs: [{backends}]"),
            &[("action/forward/destinations", expected)],
        );
    }
    for rule in [
        "name: none",
        "backendRefs: [{name: web, port: 80, weight: 0}]",
    ] {
        check_rule(rule, &[("action", json!({"direct": {"status": 500}}))]);
    }
}

#[test]
fn time_and_retries() {
    check_rule(
        &format!(
            "{BACKEND}, timeouts: {{request: 10s, backendRequest: 2s}}, retry: {{codes: [503], \
             attempts: 5, backoff: 1s}}"
        ),
        &[
            ("timeout", json!("10s")),
            (
                "action/forward/retry",
                json!({
                    "attempts": 5,
                    "per_try_timeout": "2s",
                    "on": ["connect-failure", "refused-stream", "unavailable", "cancelled",
                        "retriable-status-codes", "stale-connection", "reset"],
                    "status_codes": [503],
                    "back_off": "1s",
                    "back_off_is_minimum": true,
                }),
            ),
        ],
    );
    check_rule(
        &format!("{BACKEND}, retry: {{attempts: 0}}"),
        &[("action/forward/retry/attempts", json!(0))],
    );
    check_rule(
        &format!("{BACKEND}, timeouts: {{backendRequest: 2s}}"),
        &[(
            "action/forward/retry",
            json!({
                "attempts": 2,
                "per_try_timeout": "2s",
                "on": ["connect-failure", "refused-stream", "unavailable", "cancelled",
                    "retriable-status-codes", "stale-connection"],
            }),
        )],
    );
    check_rule(BACKEND, &[("action/forward/retry", Value::Null)]);
}

#[test]
fn a_choice_by_hash_is_kept_by_retries() {
    let hashed = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: session, ttl: 0s}}}}
";
    for (rule, expected) in [
        (BACKEND.to_owned(), json!(false)),
        (format!("{BACKEND}, retry: {{codes: [500]}}"), json!(false)),
        (
            "backendRefs: [{name: web, port: 80}, {name: other, namespace: prod, port: 81}]"
                .to_owned(),
            Value::Null,
        ),
    ] {
        let path = format!("{ROUTES}/0/action/forward/retry/avoids_previous_endpoints");
        let yaml = format!("{}{hashed}", with_rule(&rule));
        check(&yaml, &edge(), &[(&path, expected)]);
    }
}

#[test]
fn calls() {
    for (condition, expected) in [
        ("{}", json!("any")),
        ("{method: {service: a.B}}", json!({"prefix": "/a.B/"})),
        (
            "{method: {service: a.B, method: C}}",
            json!({"exact": "/a.B/C"}),
        ),
        ("{method: {method: C}}", json!({"regex": "/[^/]+/(?:C)"})),
        (
            "{method: {type: RegularExpression, service: 'a|b', method: 'C.*'}}",
            json!({"regex": "/(?:a|b)/(?:C.*)"}),
        ),
    ] {
        let spec =
            format!("parentRefs: [{{name: edge}}], rules: [{{matches: [{condition}], {BACKEND}}}]");
        check(
            &format!("{MESH}{}", resource("GRPCRoute", "calls", &spec)),
            &edge(),
            &[
                (&format!("{ROUTES}/0/match/path"), expected),
                (&format!("clusters/{WEB}|grpc/protocol"), json!("http2")),
            ],
        );
    }
}

/// Calls are sent in HTTP/2, and requests of others to the same port as its declaration says.
#[test]
fn calls_leave_the_clusters_of_others_as_they_are() {
    let route = |kind: &str, host: &str| {
        let spec =
            format!("hostnames: [{host}], parentRefs: [{{name: edge}}], rules: [{{{BACKEND}}}]");
        resource(kind, &host[..1], &spec)
    };
    let both = route("HTTPRoute", "a.x") + &route("GRPCRoute", "b.x");
    let upgraded = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, trafficPolicy: {connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}}
";
    let own = format!("{WEB}|grpc");
    for (port, more, expected) in [
        ("name: http", "", &[(WEB, "http1"), (&own, "http2")][..]),
        ("name: x", "", &[(WEB, "http1"), (&own, "http2")]),
        ("name: http2", "", &[(WEB, "http2")]),
        (
            "name: x, appProtocol: kubernetes.io/h2c",
            "",
            &[(WEB, "http2")],
        ),
        ("name: http", upgraded, &[(WEB, "http2")]),
    ] {
        let mesh = MESH.replacen(
            "name: http, port: 80, targetPort",
            &format!("{port}, port: 80, targetPort"),
            1,
        );
        let (document, _) = assemble(&world(&format!("{mesh}{both}{more}")), &edge());
        let found: Vec<_> = document
            .clusters
            .values()
            .map(|part| {
                let protocol = serde_json::to_value(part.value.protocol).unwrap();
                let name = part.value.name.clone();
                assert!(!document.endpoint_sets[&name].value.endpoints.is_empty());
                (name, protocol.as_str().unwrap().to_owned())
            })
            .collect();
        let found: Vec<_> = found
            .iter()
            .map(|(name, protocol)| (&**name, &**protocol))
            .collect();
        assert_eq!(found, expected, "{port}");
    }
}

#[test]
fn calls_to_nobody_are_unavailable() {
    for (backends, expected) in [
        ("", json!({"direct": {"status": 503}})),
        (
            "{name: nobody, port: 80}",
            json!({"forward": {"destinations": [{
                "cluster": "outbound|80||nobody.default.svc.cluster.local",
                "answer": 503,
                "weight": 1,
            }]}}),
        ),
    ] {
        let spec = format!("parentRefs: [{{name: edge}}], rules: [{{backendRefs: [{backends}]}}]");
        check(
            &format!("{MESH}{}", resource("GRPCRoute", "calls", &spec)),
            &edge(),
            &[(&format!("{ROUTES}/0/action"), expected)],
        );
    }
}
