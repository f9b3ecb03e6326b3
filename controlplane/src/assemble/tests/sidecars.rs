//! Documents of sidecars.

use ringmain_config::node::Node;
use serde_json::{Value, json};

use super::{check, warnings, workload};

/// Reviews in two versions, ratings in another namespace, an external host, and a sidecar for the
/// product page.
pub(super) const MESH: &str = "
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: productpage}
spec:
  selector: {app: productpage}
  ports: [{name: http, port: 80, targetPort: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: other}
spec:
  selector: {app: ratings}
  ports: [{name: http, port: 9080}, {name: tcp-admin, port: 9081}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: external}
spec:
  hosts: [api.example.com]
  addresses: [10.9.9.9]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 8000, name: http, protocol: HTTP, targetPort: 80}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v1}
spec: {address: 127.0.0.11, labels: {app: reviews, version: v1}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: client}
spec: {address: 127.0.0.9, labels: {app: productpage}, serviceAccount: page}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: productpage}
spec:
  workloadSelector: {labels: {app: productpage}}
  ingress:
  - port: {number: 9080, name: http, protocol: HTTP}
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:19080
  egress:
  - port: {number: 9080, name: http, protocol: HTTP}
    captureMode: NONE
    hosts: ['./*', 'other/*']
  - port: {number: 8000, name: http, protocol: HTTP}
    bind: 127.0.0.2
    captureMode: NONE
    hosts: ['*/api.example.com']
---
";

fn page() -> Node {
    workload("default", &[("app", "productpage")])
}

/// `MESH` and a VirtualService for the mesh with this `spec`.
fn with_rules(spec: &str) -> String {
    super::with_rules(MESH, spec)
}

const HOSTS: &str = "route_tables/9080/virtual_hosts";

#[test]
fn an_inbound_port_leads_to_the_workload() {
    check(
        MESH,
        &page(),
        &[
            (
                "listeners/*",
                json!(["127.0.0.1_9080", "127.0.0.2_8000", "127.0.0.9_9080"]),
            ),
            ("listeners/127.0.0.9_9080/direction", json!("inbound")),
            (
                "listeners/127.0.0.9_9080/protocol/http/route_table",
                json!("inbound|9080||"),
            ),
            (
                "listeners/127.0.0.9_9080/origin",
                json!({"resource": "Sidecar default/productpage", "file": "test.yaml", "line": 49}),
            ),
            (
                "route_tables/inbound|9080||/virtual_hosts/0/domains",
                json!(["*"]),
            ),
            (
                "route_tables/inbound|9080||/virtual_hosts/0/routes/0/name",
                json!("default"),
            ),
            (
                "clusters/inbound|9080||/service",
                json!({
                    "host": "productpage.default.svc.cluster.local", "name": "productpage",
                    "namespace": "default",
                }),
            ),
            (
                "endpoint_sets/inbound|9080||/endpoints/0/address",
                json!({"socket": "127.0.0.1:19080"}),
            ),
            (
                "endpoint_sets/inbound|9080||/endpoints/0/workload/canonical_service",
                json!("productpage"),
            ),
        ],
    );
}

#[test]
fn an_outbound_port_knows_the_services_that_have_it() {
    let names = |index: usize| format!("{HOSTS}/{index}/name");
    check(
        MESH,
        &page(),
        &[
            (&names(0), json!("ratings.other.svc.cluster.local:9080")),
            (&names(1), json!("reviews.default.svc.cluster.local:9080")),
            (&names(2), json!("block_all")),
            (&names(3), json!(null)),
            (
                &format!("{HOSTS}/0/domains"),
                json!([
                    "ratings.other.svc.cluster.local",
                    "ratings.other.svc.cluster.local:9080",
                    "ratings.other.svc",
                    "ratings.other.svc:9080",
                    "ratings.other",
                    "ratings.other:9080",
                ]),
            ),
            (
                &format!("{HOSTS}/1/domains"),
                json!([
                    "reviews.default.svc.cluster.local",
                    "reviews.default.svc.cluster.local:9080",
                    "reviews.default.svc",
                    "reviews.default.svc:9080",
                    "reviews.default",
                    "reviews.default:9080",
                    "reviews",
                    "reviews:9080",
                ]),
            ),
            (
                &format!("{HOSTS}/1/routes/0/action/forward/destinations/0/cluster"),
                json!("outbound|9080||reviews.default.svc.cluster.local"),
            ),
            (
                &format!("{HOSTS}/1/routes/0/origin/resource"),
                json!("Service default/reviews"),
            ),
            (
                &format!("{HOSTS}/2/routes/0/action"),
                json!({"direct": {"status": 502}}),
            ),
            (
                "endpoint_sets/outbound|9080||reviews.default.svc.cluster.local/endpoints/0/address",
                json!({"socket": "127.0.0.11:9080"}),
            ),
            ("listeners/127.0.0.1_9080/direction", json!("outbound")),
        ],
    );
}

#[test]
fn an_external_host_is_resolved_and_known_by_its_address() {
    let host = "route_tables/8000/virtual_hosts/0";
    check(
        MESH,
        &page(),
        &[
            (
                &format!("{host}/domains"),
                json!([
                    "api.example.com",
                    "api.example.com:8000",
                    "10.9.9.9",
                    "10.9.9.9:8000"
                ]),
            ),
            (
                "endpoint_sets/outbound|8000||api.example.com/endpoints",
                json!([{"address": {"dns": {"host": "api.example.com", "port": 80}}}]),
            ),
        ],
    );
}

#[test]
fn a_proxy_is_told_only_of_what_it_can_reach() {
    check(
        MESH,
        &page(),
        &[(
            "clusters/*",
            json!([
                "inbound|9080||",
                "outbound|8000||api.example.com",
                "outbound|9080||ratings.other.svc.cluster.local",
                "outbound|9080||reviews.default.svc.cluster.local",
            ]),
        )],
    );
}

#[test]
fn scopes() {
    let all = ["ratings.other", "reviews.default"];
    for (hosts, expected) in [
        ("['*/*']", &all[..]),
        ("['./*']", &all[1..]),
        ("['other/*']", &all[..1]),
        ("['~/*']", &[]),
        ("['./ratings.other.svc.cluster.local']", &[]),
        ("['*/reviews.default.svc.cluster.local']", &all[1..]),
    ] {
        let yaml = MESH.replace("['./*', 'other/*']", hosts);
        for index in 0..=expected.len() {
            let name = expected.get(index).map_or_else(
                || "block_all".to_owned(),
                |name| format!("{name}.svc.cluster.local:9080"),
            );
            let path = format!("{HOSTS}/{index}/name");
            check(&yaml, &page(), &[(&path, json!(name))]);
        }
    }
}

#[test]
fn rules_of_the_mesh_replace_the_default_route() {
    let route = format!("{HOSTS}/1/routes/0");
    for (spec, expected) in [
        (
            "{hosts: [reviews], http: [{name: mine, directResponse: {status: 200}}]}",
            json!("mine"),
        ),
        (
            "{hosts: ['*.default.svc.cluster.local'], http: [{name: wide, directResponse: \
             {status: 200}}]}",
            json!("wide"),
        ),
        (
            "{hosts: [reviews], gateways: [edge], http: [{name: edge, directResponse: {status: \
             200}}]}",
            json!("default"),
        ),
        (
            "{hosts: [reviews], http: [
              {name: no, match: [{sourceLabels: {app: ratings}}], directResponse: {status: 200}},
              {name: yes, match: [{sourceLabels: {app: productpage}}], directResponse: {status: 200}}]}",
            json!("yes"),
        ),
        (
            "{hosts: [reviews], http: [{match: [{sourceNamespace: other}], directResponse: \
             {status: 200}}]}",
            json!("default"),
        ),
        (
            "{hosts: [reviews], http: [{match: [{port: 80}], directResponse: {status: 200}}]}",
            json!("default"),
        ),
        (
            "{hosts: [reviews], gateways: [mesh, edge], http: [
              {match: [{gateways: [edge]}], directResponse: {status: 200}}]}",
            json!("default"),
        ),
    ] {
        check(&with_rules(spec), &page(), &[(&format!("{route}/name"), expected)]);
    }
}

#[test]
fn the_more_specific_and_then_the_first_rules_count() {
    let rules = |name: &str, host: &str| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec: {{hosts: ['{host}'], http: [{{name: {name}, directResponse: {{status: 200}}}}]}}
"
        )
    };
    for (hosts, expected) in [
        (["*.local", "reviews"], "b"),
        (["*.svc.cluster.local", "*.default.svc.cluster.local"], "b"),
        (["reviews", "reviews"], "a"),
    ] {
        let yaml = format!("{MESH}{}{}", rules("a", hosts[0]), rules("b", hosts[1]));
        check(
            &yaml,
            &page(),
            &[(&format!("{HOSTS}/1/routes/0/name"), json!(expected))],
        );
    }
}

#[test]
fn rules_may_name_a_host_that_is_no_service() {
    let yaml =
        with_rules("{hosts: [shop.test], http: [{route: [{destination: {host: reviews}}]}]}");
    check(
        &yaml,
        &page(),
        &[
            (&format!("{HOSTS}/2/name"), json!("shop.test:9080")),
            (&format!("{HOSTS}/3/name"), json!("block_all")),
        ],
    );
    let wildcard = with_rules("{hosts: ['*.test'], http: [{directResponse: {status: 200}}]}");
    check(
        &wildcard,
        &page(),
        &[(&format!("{HOSTS}/2/domains"), json!(["*.test"]))],
    );
}

#[test]
fn a_port_left_out_stands_for_those_of_the_services_in_scope() {
    let yaml = MESH.replace(
        "  - port: {number: 8000, name: http, protocol: HTTP}
    bind: 127.0.0.2
    captureMode: NONE
    hosts: ['*/api.example.com']",
        "  - bind: 127.0.0.3
    captureMode: NONE
    hosts: ['*/*']",
    );
    check(
        &yaml,
        &page(),
        &[(
            "listeners/*",
            json!([
                "127.0.0.1_9080",
                "127.0.0.3_80",
                "127.0.0.3_8000",
                "127.0.0.3_9081",
                "127.0.0.9_9080"
            ]),
        )],
    );
}

#[test]
fn which_sidecar_is_for_a_workload() {
    let sidecar = |namespace: &str, port: u16, selector: &str| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: of-{port}, namespace: {namespace}}}
spec:
  {selector}
  egress:
  - {{port: {{number: {port}, name: http, protocol: HTTP}}, captureMode: NONE, hosts: ['*/*']}}
"
        )
    };
    let all = [
        sidecar("default", 1000, "workloadSelector: {labels: {app: a}}"),
        sidecar("default", 2000, ""),
        sidecar("istio-system", 3000, ""),
    ]
    .concat();
    for (namespace, app, expected) in [
        ("default", "a", 1000),
        ("default", "b", 2000),
        ("other", "a", 3000),
    ] {
        let node = workload(namespace, &[("app", app)]);
        let expected = json!([format!("127.0.0.1_{expected}")]);
        check(&all, &node, &[("listeners/*", expected)]);
    }
}

#[test]
fn where_an_inbound_port_listens_and_leads() {
    for (ingress, address, listener, endpoint) in [
        ("", "127.0.0.9", "127.0.0.9_9080", "127.0.0.1:9080"),
        (
            "bind: 127.0.0.7",
            "127.0.0.9",
            "127.0.0.7_9080",
            "127.0.0.1:9080",
        ),
        ("", "", "0.0.0.0_9080", "127.0.0.1:9080"),
        (
            "defaultEndpoint: '0.0.0.0:81'",
            "127.0.0.9",
            "127.0.0.9_9080",
            "127.0.0.9:81",
        ),
    ] {
        let yaml = format!(
            "
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: page}}
spec:
  ingress:
  - port: {{number: 9080, name: http, protocol: HTTP}}
    captureMode: NONE
    {ingress}
"
        );
        let node = Node {
            address: address.parse().ok(),
            ..page()
        };
        check(
            &yaml,
            &node,
            &[
                ("listeners/*", json!([listener])),
                (
                    "endpoint_sets/inbound|9080||/endpoints/0/address",
                    json!({"socket": endpoint}),
                ),
                ("clusters/inbound|9080||/service/host", json!("")),
            ],
        );
    }
}

#[test]
fn destination_rules_are_looked_for_near_the_client_first() {
    let rule = |namespace: &str, balancer: &str| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: of-{namespace}, namespace: {namespace}}}
spec:
  host: ratings.other.svc.cluster.local
  trafficPolicy: {{loadBalancer: {{simple: {balancer}}}}}
"
        )
    };
    let client = rule("default", "RANDOM");
    let service = rule("other", "ROUND_ROBIN");
    let root = rule("istio-system", "ROUND_ROBIN");
    let stranger = rule("third", "ROUND_ROBIN");
    let balancer = "clusters/outbound|9080||ratings.other.svc.cluster.local/balancer";
    for (rules, expected) in [
        (String::new(), "least_request"),
        (format!("{service}{client}"), "random"),
        (service.clone(), "round_robin"),
        (root.clone(), "round_robin"),
        (stranger, "least_request"),
    ] {
        let yaml = format!("{MESH}{rules}");
        check(&yaml, &page(), &[(balancer, json!(expected))]);
    }
}

#[test]
fn of_two_listeners_for_one_address_the_first_is_opened() {
    let yaml = MESH
        .replace("    bind: 127.0.0.2\n", "    bind: 127.0.0.9\n")
        .replace(
            "port: {number: 8000, name: http, protocol: HTTP}\n    bind",
            "port: {number: 9080, name: http, protocol: HTTP}\n    bind",
        );
    check(
        &yaml,
        &page(),
        &[("listeners/127.0.0.9_9080/direction", json!("inbound"))],
    );
    let warnings = warnings(&yaml, &page());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("127.0.0.9:9080 is already listened on"),
        "{warnings:?}"
    );
}

#[test]
fn tables_of_one_port_have_names_of_their_own() {
    let yaml = MESH.replace(
        "{number: 8000, name: http, protocol: HTTP}\n    bind",
        "{number: 9080, name: http, protocol: HTTP}\n    bind",
    );
    let tables: Value = json!(["9080", "9080.127.0.0.2", "inbound|9080||"]);
    check(&yaml, &page(), &[("route_tables/*", tables)]);
}
