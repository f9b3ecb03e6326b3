//! Documents of proxies that Gateways and routes of the Gateway API are for.

use ringmain_config::{
    document::Document,
    node::{GatewayScope, Node},
};
use serde_json::{Value, json};

use super::{check, warnings, workload, world};
use crate::{assemble::assemble, resource::gateway_api::GATEWAY_NAME_LABEL};

/// A Gateway for everything on port 80 and services to send to.
const MESH: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: ringmain
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: prod}
spec: {selector: {app: other}, ports: [{name: http, port: 81}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web-1}
spec: {address: 10.0.0.1, labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: every, namespace: istio-system}
spec: {egress: [{port: {number: 80}, captureMode: NONE, hosts: ['*/*']}]}
";

const WEB: &str = "outbound|80||web.default.svc.cluster.local";
const ROUTES: &str = "route_tables/http.80/virtual_hosts/0/routes";
const BACKEND: &str = "backendRefs: [{name: web, port: 80}]";

fn edge() -> Node {
    workload("default", &[(GATEWAY_NAME_LABEL, "edge")])
}

/// A route in the form of one line: kind, `namespace/name` and spec.
fn resource(kind: &str, name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let group = match kind {
        "VirtualService" => "networking.istio.io",
        _ => "gateway.networking.k8s.io",
    };
    format!(
        "---\n{{apiVersion: {group}/v1, kind: {kind}, metadata: {{name: {name}, namespace: \
         {namespace}}}, spec: {{{spec}}}}}\n"
    )
}

/// `MESH` with an HTTPRoute of one rule at the Gateway.
fn with_rule(rule: &str) -> String {
    let spec = format!("parentRefs: [{{name: edge}}], rules: [{{{rule}}}]");
    format!("{MESH}{}", resource("HTTPRoute", "shop", &spec))
}

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

/// For each virtual host of a table its first domain and the names of its routes.
fn hosts(document: &Document, table: &str) -> Vec<String> {
    let Some(table) = document.route_tables.get(table) else {
        return Vec::new();
    };
    let hosts = table.value.virtual_hosts.iter();
    hosts
        .map(|host| {
            let routes: Vec<_> = host.routes.iter().map(|route| &*route.name).collect();
            format!("{}: {}", host.domains[0], routes.join(" "))
        })
        .collect()
}

#[test]
fn a_listener_its_table_and_what_it_leads_to() {
    check(
        &with_rule(&format!("name: all, {BACKEND}")),
        &edge(),
        &[
            ("listeners/*", json!(["0.0.0.0_80"])),
            ("listeners/0.0.0.0_80/direction", json!("gateway")),
            (
                "listeners/0.0.0.0_80/origin",
                json!({"resource": "Gateway default/edge", "file": "test.yaml", "line": 8}),
            ),
            ("route_tables/http.80/virtual_hosts/0/domains", json!(["*"])),
            (
                &format!("{ROUTES}/0"),
                json!({
                    "name": "all",
                    "match": {"path": {"element_prefix": "/"}},
                    "action": {"forward": {"destinations": [{"cluster": WEB, "weight": 1}]}},
                    "origin": {
                        "resource": "HTTPRoute default/shop", "file": "test.yaml", "line": 30,
                    },
                }),
            ),
            ("clusters/*", json!([WEB])),
        ],
    );
}

#[test]
fn who_serves_a_gateway() {
    let scope_all = Node {
        gateways: GatewayScope::All,
        ..workload("any", &[])
    };
    let elsewhere = workload("prod", &[(GATEWAY_NAME_LABEL, "edge")]);
    let other = workload("default", &[(GATEWAY_NAME_LABEL, "other")]);
    for (node, expected) in [
        (edge(), "0.0.0.0_80"),
        (scope_all, "0.0.0.0_80"),
        (elsewhere, "127.0.0.1_80"),
        (other, "127.0.0.1_80"),
    ] {
        check(MESH, &node, &[("listeners/*", json!([expected]))]);
    }
}

#[test]
fn a_gateway_listens_at_its_addresses() {
    let spec = "gatewayClassName: a, addresses: [{value: 127.0.0.1}, {value: 127.0.0.2}], \
                listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 81, protocol: \
                HTTP}]";
    check(
        &resource("Gateway", "edge", spec),
        &edge(),
        &[
            (
                "listeners/*",
                json!([
                    "127.0.0.1_80",
                    "127.0.0.1_81",
                    "127.0.0.2_80",
                    "127.0.0.2_81"
                ]),
            ),
            (
                "route_tables/*",
                json!([
                    "http.80.127.0.0.1",
                    "http.80.127.0.0.2",
                    "http.81.127.0.0.1",
                    "http.81.127.0.0.2"
                ]),
            ),
        ],
    );
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
                    "on": ["connect-failure", "refused-stream", "reset", "retriable-status-codes"],
                    "status_codes": [503],
                    "back_off": "1s",
                }),
            ),
        ],
    );
    check_rule(
        &format!("{BACKEND}, retry: {{attempts: 0}}"),
        &[("action/forward/retry/attempts", json!(0))],
    );
    check_rule(BACKEND, &[("action/forward/retry", Value::Null)]);
}

/// Listeners as name, port and hostname, routes as name, hosts and parent; what each host has.
fn check_hosts(listeners: &[(&str, &str)], routes: &[(&str, &str, &str)], expected: &[&str]) {
    let listeners: Vec<_> = listeners
        .iter()
        .map(|(name, host)| {
            format!("{{name: {name}, port: 80, protocol: HTTP, hostname: '{host}'}}")
        })
        .collect();
    let mut yaml = resource(
        "Gateway",
        "edge",
        &format!("gatewayClassName: a, listeners: [{}]", listeners.join(", ")),
    );
    for (name, hosts, parent) in routes {
        let spec = format!(
            "hostnames: [{hosts}], parentRefs: [{{name: edge{parent}}}], rules: [{{name: {name}, \
             backendRefs: [{{name: a, port: 80}}]}}]"
        );
        yaml += &resource("HTTPRoute", name, &spec);
    }
    let (document, _) = assemble(&world(&yaml), &edge());
    assert_eq!(hosts(&document, "http.80"), expected, "{yaml}");
}

#[test]
fn hosts_of_listeners_and_routes() {
    for (listener, route, expected) in [
        ("", "", "*: r"),
        ("", "a.x", "a.x: r"),
        ("", "'*.x'", "*.x: r"),
        ("a.x", "", "a.x: r"),
        ("a.x", "a.x, b.x", "a.x: r"),
        ("a.x", "'*.x'", "a.x: r"),
        ("*.x", "a.x, b.a.x, c.y", "a.x: r; b.a.x: r"),
        ("*.x", "'*.a.x'", "*.a.x: r; *.x: "),
        ("*.a.x", "'*.x'", "*.a.x: r"),
        ("*.x", "x", "*.x: "),
        ("a.x", "b.x", "a.x: "),
    ] {
        let mut expected: Vec<_> = expected.split("; ").collect();
        // The listener's own host has no routes, but is its own.
        if listener == "*.x" && expected.len() == 2 && !expected.contains(&"*.x: ") {
            expected.insert(0, "*.x: ");
        }
        expected.sort_by_key(|host| !host.ends_with(": "));
        check_hosts(&[("l", listener)], &[("r", route, "")], &expected);
    }
}

#[test]
fn a_listener_leaves_hosts_to_a_more_specific_one() {
    let listeners = [("all", ""), ("wild", "*.x"), ("exact", "a.x")];
    for (routes, expected) in [
        (&[][..], &["*.x: ", "a.x: "][..]),
        (
            &[("r", "", ", sectionName: all")],
            &["*.x: ", "a.x: ", "*: r"],
        ),
        (
            &[("r", "a.x, b.x, c.y", ", sectionName: all")],
            &["*.x: ", "a.x: ", "c.y: r"],
        ),
        (
            &[("r", "a.x, b.x", ", sectionName: wild")],
            &["*.x: ", "a.x: ", "b.x: r"],
        ),
        (&[("r", "a.x", "")], &["*.x: ", "a.x: r"]),
        (&[("r", "", "")], &["*: r", "*.x: r", "a.x: r"]),
        (&[("r", "", ", port: 81")], &["*.x: ", "a.x: "]),
    ] {
        check_hosts(&listeners, routes, expected);
    }
}

#[test]
fn a_listener_says_whom_it_takes() {
    let gateway = |allowed: &str| {
        let listener =
            format!("name: http, port: 80, protocol: HTTP, allowedRoutes: {{{allowed}}}");
        let spec = format!("gatewayClassName: a, listeners: [{{{listener}}}]");
        resource("Gateway", "edge", &spec)
    };
    let rules = "rules: [{backendRefs: [{name: a, port: 80}]}]";
    let own = format!("hostnames: [own.x], parentRefs: [{{name: edge}}], {rules}");
    let prod =
        format!("hostnames: [prod.x], parentRefs: [{{name: edge, namespace: default}}], {rules}");
    let routes = resource("HTTPRoute", "h", &own) + &resource("GRPCRoute", "prod/g", &prod);
    for (allowed, expected) in [
        ("", &["own.x: default.h.0"][..]),
        (
            "namespaces: {from: All}",
            &["own.x: default.h.0", "prod.x: prod.g.0"],
        ),
        (
            "namespaces: {from: All}, kinds: [{kind: GRPCRoute}]",
            &["prod.x: prod.g.0"],
        ),
        ("namespaces: {from: None}", &[]),
    ] {
        let (document, _) = assemble(&world(&(gateway(allowed) + &routes)), &edge());
        assert_eq!(hosts(&document, "http.80"), expected, "{allowed}");
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
                (&format!("clusters/{WEB}/protocol"), json!("http2")),
            ],
        );
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

#[test]
fn a_host_has_routes_of_one_kind() {
    let spec = |name: &str| {
        format!(
            "hostnames: [{name}.x, both.x], parentRefs: [{{name: edge}}], rules: [{{name: {name}, \
             {BACKEND}}}]"
        )
    };
    let yaml = format!(
        "{MESH}{}{}",
        resource("HTTPRoute", "b", &spec("b")),
        resource("GRPCRoute", "a", &spec("a"))
    );
    let (document, _) = assemble(&world(&yaml), &edge());
    assert_eq!(
        hosts(&document, "http.80"),
        ["a.x: a", "b.x: b", "both.x: a"]
    );
    assert_eq!(
        warnings(&yaml, &edge()),
        [
            "test.yaml:30:126: warning: HTTPRoute default/b > spec: both.x has routes of kind \
             GRPCRoute already, from GRPCRoute default/a (test.yaml:32): this HTTPRoute is not \
             used for it; give the two kinds hosts of their own"
        ]
    );
}

/// What clients of two namespaces get at `web`: names of routes.
fn check_mesh(routes: &[(&str, &str, &str)], expected: [&str; 2]) {
    let mut yaml = MESH.to_owned();
    for (kind, name, parent) in routes {
        let spec = format!(
            "parentRefs: [{{group: '', kind: Service, name: web, namespace: default{parent}}}], \
             rules: [{{name: {}, {BACKEND}}}]",
            name.replace('/', ".")
        );
        yaml += &resource(kind, name, &spec);
    }
    for (namespace, expected) in ["default", "prod"].into_iter().zip(expected) {
        let (document, _) = assemble(&world(&yaml), &workload(namespace, &[]));
        let found = hosts(&document, "80");
        let web = found.iter().find(|host| host.starts_with("web."));
        let expected = format!("web.default.svc.cluster.local: {expected}");
        assert_eq!(web, Some(&expected), "{namespace} {yaml}");
    }
}

#[test]
fn routes_of_a_service_are_for_its_clients() {
    let route = |name, parent| ("HTTPRoute", name, parent);
    check_mesh(&[], ["default", "default"]);
    check_mesh(&[route("a", "")], ["a", "a"]);
    check_mesh(&[route("a", ", port: 80")], ["a", "a"]);
    check_mesh(&[route("a", ", port: 81")], ["default", "default"]);
    // Of another namespace: for clients there, and instead of the service's own.
    check_mesh(&[route("prod/b", "")], ["default", "prod.b"]);
    check_mesh(&[route("a", ""), route("prod/b", "")], ["a", "prod.b"]);
    check_mesh(&[route("elsewhere/c", "")], ["default", "default"]);
    check_mesh(
        &[("GRPCRoute", "a", ""), ("HTTPRoute", "b", "")],
        ["a", "a"],
    );
}

#[test]
fn a_service_entry_is_a_parent_with_all_its_hosts() {
    let yaml = format!(
        "{MESH}---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside}}
spec: {{hosts: [a.x, b.x], ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: DNS}}
{}",
        resource(
            "HTTPRoute",
            "r",
            "parentRefs: [{group: networking.istio.io, kind: ServiceEntry, name: outside}], rules: \
             [{name: r, backendRefs: [{group: networking.istio.io, kind: Hostname, name: b.x, \
             port: 80}]}]"
        )
    );
    let (document, _) = assemble(&world(&yaml), &workload("default", &[]));
    let hosts = hosts(&document, "80");
    assert_eq!(hosts[..2], ["a.x: r", "b.x: r"], "{hosts:?}");
    assert!(document.clusters.contains_key("outbound|80||b.x"));
}

#[test]
fn a_host_takes_its_rules_from_one_api() {
    let virtual_service = |hosts: &str, gateways: &str| {
        let spec = format!(
            "hosts: [{hosts}], gateways: [{gateways}], http: [{{name: vs, route: [{{destination: \
             {{host: web}}}}]}}]"
        );
        resource("VirtualService", "rules", &spec)
    };
    let istio = "---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}
";
    let parents = "parentRefs: [{name: edge}, {group: '', kind: Service, name: web}]";
    let route = resource(
        "HTTPRoute",
        "r",
        &format!("hostnames: [a.x], {parents}, rules: [{{name: r, {BACKEND}}}]"),
    );
    let yaml = format!(
        "{MESH}{istio}{}{route}",
        virtual_service("a.x, b.x", "edge, mesh")
    );
    let all = Node {
        gateways: GatewayScope::All,
        ..Node::default()
    };
    let (document, _) = assemble(&world(&yaml), &all);
    assert_eq!(hosts(&document, "http.80"), ["a.x: r", "b.x: vs"]);
    assert_eq!(
        warnings(&yaml, &all),
        [
            "test.yaml:35:120: warning: VirtualService default/rules > spec.hosts: a.x at port 80 \
             has its rules from HTTPRoute default/r (test.yaml:37): those of this VirtualService \
             are not used; a host at a port takes its rules from one API: merge the two, or choose \
             another"
        ]
    );
    let yaml = format!(
        "{MESH}{}{route}",
        virtual_service("web.default.svc.cluster.local", "mesh")
    );
    let (document, _) = assemble(&world(&yaml), &workload("default", &[]));
    let found = hosts(&document, "80");
    assert_eq!(found[0], "web.default.svc.cluster.local: r", "{found:?}");
}
