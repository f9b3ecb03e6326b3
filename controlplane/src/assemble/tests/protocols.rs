//! What is spoken on listeners and to clusters.

use ringmain_config::node::Node;
use serde_json::{Value, json};

use super::{check, edge, sidecars::MESH, warnings, with_rules, workload};

fn page() -> Node {
    workload("default", &[("app", "productpage")])
}

const REVIEWS: &str = "clusters/outbound|9080||reviews.default.svc.cluster.local/protocol";

/// `MESH` in which the port of reviews is this one.
fn with_port(port: &str) -> String {
    let written = "metadata: {name: reviews}\nspec:\n  selector: {app: reviews}\n  ports: [{name: \
                   http, port: 9080}]";
    assert!(MESH.contains(written));
    MESH.replace(
        written,
        &format!(
            "metadata: {{name: reviews}}\nspec:\n  selector: {{app: reviews}}\n  ports: [{port}]"
        ),
    )
}

/// A DestinationRule for reviews with these settings of HTTP, and the line after it.
fn with_http(resources: &str, http: &str) -> String {
    format!(
        "{resources}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews}}
spec: {{host: reviews, trafficPolicy: {{connectionPool: {{http: {http}}}}}}}
---
"
    )
}

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [a.b]
  gateways: [istio-system/edge]
  http: [{route: [{destination: {host: reviews}}]}]
---
";

#[test]
fn a_service_is_spoken_to_as_its_port_says() {
    // At a sidecar and at a gateway; absent is HTTP/1.1.
    for (port, sidecar, gateway) in [
        ("{name: http, port: 9080}", json!(null), json!(null)),
        ("{name: http-web, port: 9080}", json!(null), json!(null)),
        ("{name: http2, port: 9080}", json!("http2"), json!("http2")),
        ("{name: grpc-a, port: 9080}", json!("http2"), json!("http2")),
        (
            "{name: grpc-web, port: 9080}",
            json!("as_client"),
            json!("as_client"),
        ),
        (
            "{name: http, port: 9080, appProtocol: kubernetes.io/h2c}",
            json!("http2"),
            json!("http2"),
        ),
        (
            "{name: a, port: 9080, appProtocol: grpc}",
            json!("http2"),
            json!("http2"),
        ),
        (
            "{name: http2, port: 9080, appProtocol: kubernetes.io/ws}",
            json!(null),
            json!(null),
        ),
        ("{port: 9080}", json!("as_client"), json!(null)),
        ("{name: web, port: 9080}", json!("as_client"), json!(null)),
    ] {
        let yaml = with_port(port);
        check(&yaml, &page(), &[(REVIEWS, sidecar)]);
        check(&format!("{yaml}{GATEWAY}"), &edge(), &[(REVIEWS, gateway)]);
    }
}

#[test]
fn a_rule_has_the_last_word_on_what_is_spoken() {
    for (port, http, expected) in [
        ("http", "{h2UpgradePolicy: UPGRADE}", json!("http2")),
        ("http", "{h2UpgradePolicy: DO_NOT_UPGRADE}", json!(null)),
        ("http", "{h2UpgradePolicy: DEFAULT}", json!(null)),
        // Not upgrading is not degrading.
        ("grpc", "{h2UpgradePolicy: DO_NOT_UPGRADE}", json!("http2")),
        ("web", "{h2UpgradePolicy: UPGRADE}", json!("http2")),
        ("grpc-web", "{h2UpgradePolicy: UPGRADE}", json!("http2")),
        ("http", "{useClientProtocol: true}", json!("as_client")),
        ("http2", "{useClientProtocol: true}", json!("as_client")),
        (
            "http",
            "{h2UpgradePolicy: UPGRADE, useClientProtocol: true}",
            json!("as_client"),
        ),
    ] {
        let yaml = with_http(&with_port(&format!("{{name: {port}, port: 9080}}")), http);
        check(&yaml, &page(), &[(REVIEWS, expected)]);
    }
}

#[test]
fn an_application_is_spoken_to_as_the_inbound_port_says() {
    let listener = "listeners/127.0.0.9_9080/protocol";
    let table = json!("inbound|9080||");
    for (port, spoken) in [
        ("{number: 9080, name: a, protocol: HTTP}", json!(null)),
        ("{number: 9080, name: a, protocol: HTTP2}", json!("http2")),
        ("{number: 9080, name: a, protocol: GRPC}", json!("http2")),
        (
            "{number: 9080, name: a, protocol: GRPC-Web}",
            json!("as_client"),
        ),
    ] {
        let written = "ingress:\n  - port: {number: 9080, name: http, protocol: HTTP}";
        let yaml = MESH.replace(written, &format!("ingress:\n  - port: {port}"));
        check(
            &yaml,
            &page(),
            &[
                (&format!("{listener}/http/route_table"), table.clone()),
                ("clusters/inbound|9080||/protocol", spoken),
            ],
        );
    }
}

#[test]
fn an_inbound_port_of_which_nothing_is_said_is_looked_at() {
    let written = "ingress:\n  - port: {number: 9080, name: http, protocol: HTTP}";
    let yaml = MESH.replace(written, "ingress:\n  - port: {number: 9080}");
    let listener = "listeners/127.0.0.9_9080/protocol/detect";
    check(
        &yaml,
        &page(),
        &[
            (&format!("{listener}/route_table"), json!("inbound|9080||")),
            (
                &format!("{listener}/routes/0/destinations"),
                json!([{"cluster": "inbound|9080||", "weight": 100}]),
            ),
            ("clusters/inbound|9080||/protocol", json!("as_client")),
            ("route_tables/inbound|9080||/retry/attempts", json!(2)),
        ],
    );
}

#[test]
fn gateways_carry_http_of_every_version() {
    for protocol in ["HTTP", "HTTP2", "GRPC", "GRPC-Web"] {
        let yaml = format!("{MESH}{GATEWAY}").replace(
            "name: http, protocol: HTTP}, hosts: ['*']}]",
            &format!("name: a, protocol: {protocol}}}, hosts: ['*']}}]"),
        );
        check(
            &yaml,
            &edge(),
            &[(
                "listeners/0.0.0.0_80/protocol",
                json!({"http": {"route_table": "http.80"}}),
            )],
        );
    }
}

/// Services `a` and `b` whose port 7000 is so called, and a Sidecar with this egress port.
fn two(ports: [&str; 2], egress: &str) -> String {
    let [a, b] = ports;
    format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: a}}
spec: {{selector: {{app: a}}, ports: [{{name: {a}, port: 7000}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: b}}
spec: {{selector: {{app: b}}, ports: [{{name: {b}, port: 7000}}]}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: all}}
spec: {{egress: [{{captureMode: NONE, hosts: ['./*']{egress}}}]}}
---
"
    )
}

#[test]
fn an_outbound_port_is_looked_at_when_its_services_ask_for_it() {
    let listener = "listeners/127.0.0.1_7000/protocol";
    let cluster = |name: &str| format!("outbound|7000||{name}.default.svc.cluster.local");
    let http = json!({"http": {"route_table": "7000"}});
    let bytes = |to: &str| json!([{"cluster": cluster(to), "weight": 100}]);
    let unnamed = ", port: {number: 7000}";
    let named = ", port: {number: 7000, name: http, protocol: HTTP}";
    for (ports, egress, expected) in [
        (["http", "http2"], "", Ok(http.clone())),
        (["http", "grpc"], unnamed, Ok(http.clone())),
        (["http", "web"], named, Ok(http.clone())),
        (["http", "web"], "", Err("b")),
        (["web", "http"], "", Err("a")),
        (["web", "http"], unnamed, Err("a")),
        (["http", "tcp"], "", Err("b")),
        (["http", "https"], "", Ok(http.clone())),
    ] {
        let yaml = two(ports, egress);
        match expected {
            Ok(protocol) => check(&yaml, &page(), &[(listener, protocol)]),
            Err(to) => check(
                &yaml,
                &page(),
                &[
                    (&format!("{listener}/detect/route_table"), json!("7000")),
                    (
                        &format!("{listener}/detect/routes/0/destinations"),
                        bytes(to),
                    ),
                    (&format!("{listener}/detect/routes/1"), json!(null)),
                ],
            ),
        }
        assert_eq!(warnings(&yaml, &page()), [""; 0], "{ports:?} {egress}");
    }
    check(
        &two(["tcp", "tls"], unnamed),
        &page(),
        &[(&format!("{listener}/tcp/routes/0/destinations"), bytes("a"))],
    );
}

#[test]
fn rules_for_tcp_are_for_what_is_not_http() {
    let yaml = with_rules(
        &two(["web", "http"], ""),
        "{hosts: [a], tcp: [{route: [{destination: {host: b}}]}], http: [{route: [{destination: \
         {host: b}}]}]}",
    );
    let to_b = json!("outbound|7000||b.default.svc.cluster.local");
    let listener = "listeners/127.0.0.1_7000/protocol/detect";
    check(
        &yaml,
        &page(),
        &[
            (
                &format!("{listener}/routes/0/destinations/0/cluster"),
                to_b.clone(),
            ),
            (
                "route_tables/7000/virtual_hosts/0/routes/0/action/forward/destinations/0/cluster",
                to_b,
            ),
        ],
    );
}

#[test]
fn bytes_reach_one_service_of_a_port() {
    let separately = "give one of them an egress listener of its own with another `bind`, and name \
                      only its host there";
    let only_http = format!("name the port `http` if that is all it carries; else {separately}");
    for (ports, first, second, fate, hint) in [
        (
            ["web", "other"],
            "a",
            "b",
            "is reached with HTTP only",
            only_http.as_str(),
        ),
        // The one that says it is TCP goes first.
        (
            ["web", "tcp"],
            "b",
            "a",
            "is reached with HTTP only",
            &only_http,
        ),
        (
            ["tcp", "redis"],
            "a",
            "b",
            "cannot be reached at it",
            separately,
        ),
    ] {
        let what = match fate.ends_with("only") {
            true => "what is not HTTP on port 7000",
            false => "TCP port 7000",
        };
        let host = |name| format!("{name}.default.svc.cluster.local");
        let (leads_to, not_to) = (host(first), host(second));
        let expected = format!(
            "test.yaml:15:17: warning: Sidecar default/all > spec.egress[0]: {what} leads to \
             {leads_to}, so {not_to} {fate}; {hint}"
        );
        let yaml = two(ports, "");
        assert_eq!(warnings(&yaml, &page()), [expected], "{ports:?}");
    }
}

#[test]
fn a_port_whose_server_speaks_first_is_never_looked_at() {
    for port in [25, 53, 3306, 27017] {
        let yaml = two(["web", "tls"], "").replace("7000", &port.to_string());
        let path =
            format!("listeners/127.0.0.1_{port}/protocol/tcp/routes/0/destinations/0/weight");
        let expected: Value = json!(100);
        check(&yaml, &page(), &[(&path, expected)]);
    }
}
