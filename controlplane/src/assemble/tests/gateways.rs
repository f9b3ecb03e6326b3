//! Documents of gateway proxies.

use ringmain_config::node::{GatewayScope, Node};
use serde_json::{Value, json};

use super::{check, edge, warnings, workload};

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8080, name: http, protocol: HTTP}
    hosts: ['*.example.com', 'prod/shop.test']
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8000}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web-1}
spec: {address: 10.0.0.1, labels: {app: web, version: v1}}
---
";

/// `GATEWAY`, and a VirtualService with this `spec`.
fn with_rules(spec: &str) -> String {
    super::with_rules(GATEWAY, spec)
}

/// A VirtualService in JSON for `a.example.com` at the gateway, with these `http` rules.
fn rules(http: &str) -> String {
    with_rules(&format!(
        "{{hosts: [a.example.com], gateways: [edge], http: {http}}}"
    ))
}

const TO_WEB: &str = "route: [{destination: {host: web}}]";
const ROUTES: &str = "route_tables/http.8080/virtual_hosts/0/routes";

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
    check(&rules(&format!("[{rule}]")), &edge(), &expected);
}

#[test]
fn a_listener_its_table_and_what_it_leads_to() {
    check(
        &rules(&format!("[{{{TO_WEB}}}]")),
        &edge(),
        &[
            ("listeners/*", json!(["0.0.0.0_8080"])),
            ("listeners/0.0.0.0_8080/address", json!("0.0.0.0:8080")),
            ("listeners/0.0.0.0_8080/direction", json!("gateway")),
            (
                "listeners/0.0.0.0_8080/protocol",
                json!({"http": {"route_table": "http.8080"}}),
            ),
            (
                "listeners/0.0.0.0_8080/origin",
                json!({"resource": "Gateway default/edge", "file": "test.yaml", "line": 8}),
            ),
            (
                "route_tables/http.8080/virtual_hosts/0/name",
                json!("a.example.com:8080"),
            ),
            (
                "route_tables/http.8080/virtual_hosts/0/domains",
                json!(["a.example.com", "a.example.com:8080"]),
            ),
            (
                "route_tables/http.8080/virtual_hosts/0/origin/resource",
                json!("VirtualService default/rules"),
            ),
            (
                "clusters/*",
                json!(["outbound|80||web.default.svc.cluster.local"]),
            ),
            (
                "clusters/outbound|80||web.default.svc.cluster.local/service",
                json!({"host": "web.default.svc.cluster.local", "name": "web",
                    "namespace": "default"}),
            ),
            (
                "endpoint_sets/outbound|80||web.default.svc.cluster.local/endpoints",
                json!([{
                    "address": {"socket": "10.0.0.1:8000"},
                    "workload": {
                        "name": "web-1", "namespace": "default", "app": "web", "version": "v1",
                        "canonical_service": "web", "canonical_revision": "v1",
                        "service_account": "",
                    },
                }]),
            ),
        ],
    );
}

#[test]
fn who_serves_a_gateway() {
    let scope_all = Node {
        gateways: GatewayScope::All,
        ..workload("any", &[])
    };
    for (node, expected) in [
        (edge(), json!(["0.0.0.0_8080"])),
        (scope_all, json!(["0.0.0.0_8080"])),
        (workload("default", &[("istio", "other")]), json!([])),
        (workload("default", &[]), json!([])),
    ] {
        check(GATEWAY, &node, &[("listeners/*", expected)]);
    }
}

#[test]
fn a_gateway_without_selector_is_for_gateway_proxies_only() {
    let yaml = format!(
        "{GATEWAY}
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: every}}
spec:
  servers:
  - port: {{number: 9090, name: http, protocol: HTTP}}
    hosts: ['*']
"
    );
    for (node, expected) in [
        (edge(), json!(["0.0.0.0_8080", "0.0.0.0_9090"])),
        (workload("default", &[]), json!([])),
    ] {
        check(&yaml, &node, &[("listeners/*", expected)]);
    }
}

#[test]
fn hosts_are_those_of_server_and_rules_both() {
    for (namespace, hosts, expected) in [
        ("default", "['*']", &["*.example.com"][..]),
        ("default", "[b.example.com]", &["b.example.com"]),
        ("default", "['*.b.example.com']", &["*.b.example.com"]),
        ("default", "[example.org]", &[]),
        ("default", "[shop.test]", &[]),
        ("prod", "[shop.test]", &["shop.test"]),
        ("prod", "['*']", &["*.example.com", "shop.test"]),
    ] {
        let yaml = format!(
            "{GATEWAY}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rules, namespace: {namespace}}}
spec: {{hosts: {hosts}, gateways: [default/edge], http: [{{{TO_WEB}}}]}}"
        );
        let domain =
            |index: usize| format!("route_tables/http.8080/virtual_hosts/{index}/domains/0");
        for index in 0..=expected.len() {
            let expected = expected.get(index).map_or(Value::Null, |host| json!(host));
            check(&yaml, &edge(), &[(&domain(index), expected)]);
        }
    }
}

#[test]
fn rules_for_other_gateways_stay_out() {
    for gateways in ["[mesh]", "[other]", "[elsewhere/edge]"] {
        let yaml = with_rules(&format!(
            "{{hosts: [a.example.com], gateways: {gateways}, http: [{{{TO_WEB}}}]}}"
        ));
        check(
            &yaml,
            &edge(),
            &[
                ("route_tables/http.8080/virtual_hosts", json!([])),
                ("clusters/*", json!([])),
            ],
        );
    }
}

#[test]
fn rules_none_of_which_is_for_this_place_leave_the_host_to_a_wildcard() {
    let yaml = format!(
        "{}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: wide}}
spec: {{hosts: ['*.example.com'], gateways: [edge], http: [{{{TO_WEB}}}]}}
",
        rules(&format!("[{{match: [{{port: 9999}}], {TO_WEB}}}]"))
    );
    let hosts = "route_tables/http.8080/virtual_hosts";
    check(
        &yaml,
        &edge(),
        &[
            (&format!("{hosts}/0/domains"), json!(["*.example.com"])),
            (&format!("{hosts}/1"), json!(null)),
        ],
    );
}

#[test]
fn rules_of_one_host_are_merged_with_those_for_everything_last() {
    let yaml = format!(
        "{}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: second}}
spec:
  hosts: [a.example.com]
  gateways: [edge]
  http:
  - {{name: narrow, match: [{{uri: {{prefix: /b}}}}], {TO_WEB}}}
  - {{name: wide2, {TO_WEB}}}
",
        rules(&format!(
            "[{{name: first, match: [{{uri: {{exact: /a}}}}], {TO_WEB}}}, \
             {{name: wide, match: [{{uri: {{prefix: /}}}}], {TO_WEB}}}]"
        ))
    );
    let name = |index: usize| format!("{ROUTES}/{index}/name");
    for (index, expected) in ["first", "narrow", "wide", "wide2"].into_iter().enumerate() {
        check(&yaml, &edge(), &[(&name(index), json!(expected))]);
    }
}

#[test]
fn servers_of_one_port_share_a_listener_and_addresses_do_not() {
    let yaml = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: a, protocol: HTTP}, hosts: [a.test]}
  - {port: {number: 80, name: b, protocol: HTTP}, hosts: [b.test]}
  - {port: {number: 80, name: c, protocol: HTTP}, bind: 127.0.0.2, hosts: [c.test]}
  - {port: {number: 3306, name: d, protocol: TCP}, hosts: [d.test]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rules}
spec: {hosts: ['*'], gateways: [edge], http: [{directResponse: {status: 200}}]}
";
    let domains =
        |table: &str, index: usize| format!("route_tables/{table}/virtual_hosts/{index}/domains/0");
    check(
        yaml,
        &edge(),
        &[
            (
                "listeners/*",
                json!(["0.0.0.0_3306", "0.0.0.0_80", "127.0.0.2_80"]),
            ),
            ("route_tables/*", json!(["http.80", "http.80.127.0.0.2"])),
            (&domains("http.80", 0), json!("a.test")),
            (&domains("http.80", 1), json!("b.test")),
            (&domains("http.80.127.0.0.2", 0), json!("c.test")),
        ],
    );
}

#[test]
fn matches() {
    for (condition, expected) in [
        ("uri: {exact: /a}", json!({"path": {"exact": "/a"}})),
        (
            "uri: {prefix: /a}, ignoreUriCase: true",
            json!({"path": {"prefix": "/a"}, "ignore_case": true}),
        ),
        ("uri: {regex: '/a.*'}", json!({"path": {"regex": "/a.*"}})),
        (
            "method: {exact: GET}",
            json!({"path": "any", "method": {"exact": "GET"}}),
        ),
        (
            "headers: {end-user: {exact: jason}}, withoutHeaders: {x-debug: {}}",
            json!({"path": "any", "headers": [
                {"name": "end-user", "value": {"exact": "jason"}},
                {"name": "x-debug", "value": "present", "invert": true},
            ]}),
        ),
        (
            "queryParams: {v: {exact: '1'}}",
            json!({"path": "any", "query": [{"name": "v", "value": {"exact": "1"}}]}),
        ),
        (
            "authority: {prefix: a}",
            json!({"path": "any", "authority": {"prefix": "a"}}),
        ),
    ] {
        let rule = format!("{{match: [{{{condition}}}], {TO_WEB}}}");
        check_rule(&rule, &[("match", expected)]);
    }
}

#[test]
fn one_match_of_several_becomes_a_route_of_its_own() {
    let rule = format!(
        "[{{name: canary, match: [{{name: one, uri: {{exact: /1}}}}, {{uri: {{exact: /2}}}}], \
         {TO_WEB}}}]"
    );
    check(
        &rules(&rule),
        &edge(),
        &[
            (&format!("{ROUTES}/0/name"), json!("canary.one")),
            (&format!("{ROUTES}/1/name"), json!("canary")),
            (&format!("{ROUTES}/1/match/path"), json!({"exact": "/2"})),
            (&format!("{ROUTES}/2"), json!(null)),
        ],
    );
}

#[test]
fn what_follows_a_rule_for_everything_is_left_out() {
    let two = format!("[{{name: all, {TO_WEB}}}, {{name: never, {TO_WEB}}}]");
    check(
        &rules(&two),
        &edge(),
        &[
            (&format!("{ROUTES}/0/name"), json!("all")),
            (&format!("{ROUTES}/1"), json!(null)),
        ],
    );
}

#[test]
fn conditions_on_the_place_are_decided_here() {
    for (condition, applies) in [
        ("port: 8080", true),
        ("port: 80", false),
        ("gateways: [edge]", true),
        ("gateways: [mesh]", false),
        ("sourceLabels: {istio: ingressgateway}", true),
        ("sourceLabels: {istio: other}", false),
        ("sourceNamespace: istio-system", true),
        ("sourceNamespace: default", false),
    ] {
        let rule = format!("[{{name: here, match: [{{{condition}}}], {TO_WEB}}}]");
        let expected = if applies { json!("here") } else { json!(null) };
        check(
            &rules(&rule),
            &edge(),
            &[(&format!("{ROUTES}/0/name"), expected)],
        );
    }
}

#[test]
fn actions() {
    for (rule, expected) in [
        (
            "redirect: {uri: /b, authority: b.test, redirectCode: 302}",
            json!({"redirect": {
                "status": 302, "authority": "b.test", "port": "authority",
                "path": {"full": "/b"},
            }}),
        ),
        (
            "directResponse: {status: 503, body: {string: closed}}",
            json!({"direct": {"status": 503, "body": "closed"}}),
        ),
        (
            "rewrite: {uri: /b}, route: [{destination: {host: web}}]",
            json!({"forward": {
                "destinations": [{
                    "cluster": "outbound|80||web.default.svc.cluster.local", "weight": 100,
                }],
                "rewrite": {"path": "/b"},
            }}),
        ),
    ] {
        check_rule(&format!("{{{rule}}}"), &[("action", expected)]);
    }
}

#[test]
fn a_rewrite_without_a_condition_replaces_the_first_slash() {
    let rule = "{rewrite: {uri: /b}, route: [{destination: {host: web}}]}";
    check_rule(rule, &[("match/path", json!({"prefix": "/"}))]);
    check_rule(&format!("{{{TO_WEB}}}"), &[("match/path", json!("any"))]);
}

#[test]
fn headers_and_timeout() {
    check_rule(
        "{timeout: 1.5s, headers: {request: {set: {x-a: '1'}}, response: {remove: [x-b]}}, \
          route: [{destination: {host: web}, headers: {request: {add: {x-c: '2'}}}}]}",
        &[
            ("timeout", json!("1.5s")),
            (
                "request_headers",
                json!({"set": [{"name": "x-a", "value": "1"}]}),
            ),
            ("response_headers", json!({"remove": ["x-b"]})),
            (
                "action/forward/destinations/0/request_headers",
                json!({"add": [{"name": "x-c", "value": "2"}]}),
            ),
        ],
    );
}

#[test]
fn weighted_destinations_to_subsets_and_what_is_not_there() {
    let yaml = format!(
        "{}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web}}
spec:
  host: web
  trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}}}}}
",
        rules(
            "[{route: [
              {destination: {host: web, subset: v1}, weight: 90},
              {destination: {host: web, subset: v2}, weight: 10},
              {destination: {host: web, subset: v3}, weight: 0},
              {destination: {host: web, port: {number: 81}}, weight: 0},
              {destination: {host: absent}, weight: 0}]}]"
        )
    );
    let host = "web.default.svc.cluster.local";
    let cluster = |name: &str, field: &str| format!("clusters/outbound|80|{name}|{host}/{field}");
    let endpoints = |name: &str| format!("endpoint_sets/outbound|{name}/endpoints");
    check(
        &yaml,
        &edge(),
        &[
            (
                "clusters/*",
                json!([
                    format!("outbound|8080||absent.default.svc.cluster.local"),
                    format!("outbound|80|v1|{host}"),
                    format!("outbound|80|v2|{host}"),
                    format!("outbound|80|v3|{host}"),
                    format!("outbound|81||{host}"),
                ]),
            ),
            (
                &format!("{ROUTES}/0/action/forward/destinations/0/weight"),
                json!(90),
            ),
            (&cluster("v1", "subset"), json!("v1")),
            (&cluster("v1", "balancer"), json!("random")),
            (&cluster("v2", "balancer"), json!("round_robin")),
            (
                &cluster("v1", "origin/resource"),
                json!("DestinationRule default/web"),
            ),
            (
                &format!("{}/0/address", endpoints(&format!("80|v1|{host}"))),
                json!({"socket": "10.0.0.1:8000"}),
            ),
            (&endpoints(&format!("80|v2|{host}")), json!([])),
            (&endpoints(&format!("80|v3|{host}")), json!([])),
            (&endpoints(&format!("81||{host}")), json!([])),
            (
                &endpoints("8080||absent.default.svc.cluster.local"),
                json!([]),
            ),
        ],
    );
}

#[test]
fn a_gateway_has_nothing_to_warn_of() {
    assert_eq!(warnings(GATEWAY, &edge()), Vec::<String>::new());
}
