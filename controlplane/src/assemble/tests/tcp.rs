//! TCP listeners of gateways and sidecars.

use ringmain_config::node::Node;
use serde_json::{Value, json};

use super::{check, edge, warnings, workload};

/// A Gateway with TCP ports 5432 and 5433, a database in two versions, a cache, and the sidecar of
/// a client and of the cache.
const MESH: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 5432, name: tcp-db, protocol: TCP}, hosts: ['*.test', 'other/*']}
  - {port: {number: 5433, name: tcp-more, protocol: TCP}, bind: 10.0.0.1, hosts: ['*']}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db}
spec:
  hosts: [db.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 5432, name: tcp, protocol: TCP, targetPort: 15432}, {number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.1.0.1, labels: {version: v1}}, {address: 10.1.0.2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: db}
spec:
  host: db.test
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 7, maxConnectionDuration: 60s, idleTimeout: 5s, connectTimeout: 1s}}}
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: v1
kind: Service
metadata: {name: cache}
spec: {selector: {app: cache}, ports: [{name: tcp, port: 5432, targetPort: 6379}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: cache}
spec: {address: 127.0.0.8, labels: {app: cache}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: cache}
spec:
  workloadSelector: {labels: {app: cache}}
  ingress:
  - {port: {number: 6379, name: tcp, protocol: TCP}, captureMode: NONE, defaultEndpoint: '127.0.0.1:16379'}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: page}
spec:
  workloadSelector: {labels: {app: page}}
  egress:
  - {port: {number: 5432, name: tcp, protocol: TCP}, captureMode: NONE, hosts: ['./db.test']}
---
";

fn page() -> Node {
    workload("default", &[("app", "page")])
}

/// `MESH` and a VirtualService `rules` with this `spec`.
fn with_rules(spec: &str) -> String {
    super::with_rules(MESH, spec)
}

/// Where the rule leads that has no condition: to `db.test`.
const TO_DB: &str = "route: [{destination: {host: db.test}}]";
const DB: &str = "outbound|5432||db.test";
const AT_5432: &str = "listeners/0.0.0.0_5432";

/// Routes of the gateway's port 5432 as their matches.
fn check_matches(spec: &str, expected: &[Value]) {
    let path = |index: usize, field: &str| format!("{AT_5432}/protocol/tcp/routes/{index}{field}");
    for (index, expected) in expected.iter().enumerate() {
        let found = path(index, "/match");
        check(&with_rules(spec), &edge(), &[(&found, expected.clone())]);
    }
    let behind = path(expected.len(), "");
    check(&with_rules(spec), &edge(), &[(&behind, Value::Null)]);
}

#[test]
fn a_gateways_listener_its_routes_and_what_they_lead_to() {
    let spec = "
  hosts: [db.test]
  gateways: [edge]
  tcp:
  - match:
    - {port: 5432, sourceSubnet: 10.0.0.0/8, destinationSubnets: [10.0.0.1, 10.2.0.0/16]}
    route:
    - {destination: {host: db.test, subset: v1}, weight: 90}
    - {destination: {host: db.test, subset: v2}, weight: 10}
  - route: [{destination: {host: db.test, port: {number: 5432}}}]
";
    let origin = |line: u32| {
        let resource = "VirtualService default/rules";
        json!({"resource": resource, "file": "test.yaml", "line": line})
    };
    check(
        &with_rules(spec),
        &edge(),
        &[
            ("listeners/*", json!(["0.0.0.0_5432", "10.0.0.1_5433"])),
            (&format!("{AT_5432}/direction"), json!("gateway")),
            (&format!("{AT_5432}/origin/line"), json!(8)),
            (
                &format!("{AT_5432}/protocol"),
                json!({"tcp": {"routes": [
                    {
                        "match": {
                            "sources": ["10.0.0.0/8"],
                            "destinations": ["10.0.0.1", "10.2.0.0/16"],
                        },
                        "destinations": [
                            {"cluster": "outbound|5432|v1|db.test", "weight": 90},
                            {"cluster": "outbound|5432|v2|db.test", "weight": 10},
                        ],
                        "origin": origin(64),
                    },
                    {
                        "destinations": [{"cluster": DB, "weight": 100}],
                        "origin": origin(68),
                    },
                ]}}),
            ),
            ("route_tables/*", json!([])),
            (
                "endpoint_sets/outbound|5432|v2|db.test/endpoints/0/address",
                json!({"socket": "10.1.0.2:15432"}),
            ),
            (
                &format!("clusters/{DB}/connections/tcp"),
                json!({"idle_timeout": "5s", "duration_max": "60s", "connections_max": 7}),
            ),
            (
                &format!("clusters/{DB}/connections/connect_timeout"),
                json!("1s"),
            ),
        ],
    );
}

/// What does not depend on the connection is decided here: port, gateway and the proxy's workload.
#[test]
fn conditions_that_are_decided_once() {
    let subnet = json!({"sources": ["10.0.0.0/8"]});
    for (condition, expected) in [
        (
            "{port: 5432, sourceSubnet: 10.0.0.0/8}",
            Some(subnet.clone()),
        ),
        ("{port: 5433, sourceSubnet: 10.0.0.0/8}", None),
        (
            "{sourceSubnet: 10.0.0.0/8, gateways: [edge]}",
            Some(subnet.clone()),
        ),
        ("{sourceSubnet: 10.0.0.0/8, gateways: [mesh]}", None),
        ("{sourceSubnet: 10.0.0.0/8, gateways: [other/edge]}", None),
        (
            "{sourceSubnet: 10.0.0.0/8, sourceLabels: {istio: ingressgateway}}",
            Some(subnet.clone()),
        ),
        (
            "{sourceSubnet: 10.0.0.0/8, sourceLabels: {app: page}}",
            None,
        ),
        (
            "{sourceSubnet: 10.0.0.0/8, sourceNamespace: istio-system}",
            Some(subnet),
        ),
        ("{sourceSubnet: 10.0.0.0/8, sourceNamespace: default}", None),
        ("{}", Some(Value::Null)),
    ] {
        let spec = format!(
            "{{hosts: [db.test], gateways: [edge], tcp: [{{match: [{condition}], {TO_DB}}}]}}"
        );
        check_matches(&spec, expected.as_slice());
    }
}

#[test]
fn each_condition_of_a_rule_is_a_route() {
    let spec = format!(
        "{{hosts: [db.test], gateways: [edge], tcp: [{{match: [{{sourceSubnet: 10.0.0.1}}, {{port: \
         5433}}, {{sourceSubnet: 10.0.0.2}}], {TO_DB}}}, {{{TO_DB}}}]}}"
    );
    let source = |address: &str| json!({"sources": [address]});
    check_matches(
        &spec,
        &[source("10.0.0.1"), source("10.0.0.2"), Value::Null],
    );
}

#[test]
fn hosts_are_those_of_server_and_rules_both() {
    for (namespace, hosts, expected) in [
        ("default", "[db.test]", true),
        ("default", "['*']", true),
        ("default", "[db.org]", false),
        ("other", "[db.org]", true),
    ] {
        let yaml = format!(
            "{MESH}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rules, namespace: {namespace}}}
spec: {{hosts: {hosts}, gateways: [default/edge], tcp: [{{{TO_DB}}}]}}"
        );
        let expected = if expected { json!(DB) } else { Value::Null };
        let cluster = format!("{AT_5432}/protocol/tcp/routes/0/destinations/0/cluster");
        check(&yaml, &edge(), &[(&cluster, expected)]);
    }
}

#[test]
fn a_server_that_no_rule_is_for_is_open_and_said() {
    let spec =
        format!("{{hosts: ['*'], gateways: [edge], tcp: [{{match: [{{port: 5433}}], {TO_DB}}}]}}");
    let yaml = with_rules(&spec);
    let protocol = format!("{AT_5432}/protocol");
    check(
        &yaml,
        &edge(),
        &[(&protocol, json!({"tcp": {"routes": []}}))],
    );
    let warnings = warnings(&yaml, &edge());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let said = "test.yaml:8:5: warning: Gateway default/edge > spec.servers[0]: no VirtualService \
                has a rule in `tcp` for the server: connections are closed";
    assert!(warnings[0].starts_with(said), "{warnings:?}");
}

#[test]
fn an_outbound_port_leads_to_its_service() {
    let route = "listeners/127.0.0.1_5432/protocol/tcp/routes";
    check(
        MESH,
        &page(),
        &[
            ("listeners/*", json!(["127.0.0.1_5432"])),
            ("listeners/127.0.0.1_5432/direction", json!("outbound")),
            (
                route,
                json!([{
                    "destinations": [{"cluster": DB, "weight": 100}],
                    "origin": {"resource": "ServiceEntry default/db", "file": "test.yaml",
                        "line": 15},
                }]),
            ),
            ("clusters/*", json!([DB])),
        ],
    );
}

/// Rules of the mesh go first; what none of them matches goes to the service as it is.
#[test]
fn rules_of_the_mesh_stand_before_the_service() {
    let subset = |version: &str| json!(format!("outbound|5432|{version}|db.test"));
    for (rule, expected) in [
        (
            "route: [{destination: {host: db.test, subset: v1}}]",
            vec![subset("v1"), json!(DB)],
        ),
        (
            "match: [{sourceLabels: {app: page}, destinationSubnets: [10.0.0.1]}], route: \
             [{destination: {host: db.test, subset: v2}}]",
            vec![subset("v2"), json!(DB)],
        ),
        (
            "match: [{sourceLabels: {app: other}}], route: [{destination: {host: db.test}}]",
            vec![json!(DB)],
        ),
        (
            "match: [{port: 80}], route: [{destination: {host: db.test}}]",
            vec![json!(DB)],
        ),
        (
            "match: [{gateways: [edge]}], route: [{destination: {host: db.test}}]",
            vec![json!(DB)],
        ),
    ] {
        let yaml = with_rules(&format!("{{hosts: [db.test], tcp: [{{{rule}}}]}}"));
        let cluster = |index: usize| {
            format!("listeners/127.0.0.1_5432/protocol/tcp/routes/{index}/destinations/0/cluster")
        };
        for (index, expected) in expected.iter().chain([&Value::Null]).enumerate() {
            check(&yaml, &page(), &[(&cluster(index), expected.clone())]);
        }
    }
}

/// Bytes carry no host, so a port is one service's.
#[test]
fn of_two_services_with_a_port_one_is_reached() {
    let yaml = MESH.replace("./db.test", "./*");
    let cluster = "listeners/127.0.0.1_5432/protocol/tcp/routes/0/destinations/0/cluster";
    let cache = "outbound|5432||cache.default.svc.cluster.local";
    check(&yaml, &page(), &[(cluster, json!(cache))]);
    let warnings = warnings(&yaml, &page());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let said = "TCP port 5432 leads to cache.default.svc.cluster.local, so db.test cannot be \
                reached at it; give one of them an egress listener of its own";
    assert!(warnings[0].contains(said), "{warnings:?}");
}

#[test]
fn an_inbound_port_leads_to_the_workload() {
    let node = Node {
        name: "cache".to_owned(),
        address: "127.0.0.8".parse().ok(),
        ..workload("default", &[("app", "cache")])
    };
    check(
        MESH,
        &node,
        &[
            ("listeners/*", json!(["127.0.0.8_6379"])),
            ("listeners/127.0.0.8_6379/direction", json!("inbound")),
            (
                "listeners/127.0.0.8_6379/protocol/tcp/routes/0/destinations",
                json!([{"cluster": "inbound|6379||", "weight": 100}]),
            ),
            (
                "endpoint_sets/inbound|6379||/endpoints/0/address",
                json!({"socket": "127.0.0.1:16379"}),
            ),
            (
                "clusters/inbound|6379||/service/host",
                json!("cache.default.svc.cluster.local"),
            ),
        ],
    );
}
