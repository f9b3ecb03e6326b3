//! YAML and registered proxies in, endpoints of services out.

use std::collections::BTreeMap;

use ringmain_config::{endpoint::Endpoint, node::Node};

use super::{Registry, split_service_host};
use crate::resource::{self, metadata::Labels};

/// The endpoints of `host` at `port`, as `address xWEIGHT service/revision`, for `yaml` and proxies
/// that registered themselves.
fn check(yaml: &str, registered: &[Node], host: &str, port: u16, expected: &[&str]) {
    let registry = registry(yaml, registered).0;
    let service = registry.service(host).expect("there is such a service");
    let port = service.port(port).expect("there is such a port");
    let endpoints = service.endpoints(port, &Labels::new(), |_, _| false);
    let endpoints: Vec<String> = endpoints.iter().map(shown).collect();
    assert_eq!(endpoints, expected, "{yaml}");
}

fn shown(endpoint: &Endpoint) -> String {
    let workload = &endpoint.workload;
    format!(
        "{} x{} {}/{}",
        endpoint.address, endpoint.weight, workload.canonical_service, workload.canonical_revision
    )
}

fn registry(yaml: &str, registered: &[Node]) -> (Registry, Vec<String>) {
    let loaded = resource::parse("test.yaml", yaml);
    assert!(!loaded.has_errors(), "{:#?}", loaded.problems);
    let (registry, problems) = Registry::new(&loaded.resources, registered);
    (registry, problems.iter().map(ToString::to_string).collect())
}

fn proxy(name: &str, address: &str, labels: &[(&str, &str)]) -> Node {
    Node {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        address: address.parse().ok(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Node::default()
    }
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: http-admin, port: 81, targetPort: admin}
  - {name: http-same, port: 82}
---
";
const WEB: &str = "web.default.svc.cluster.local";

fn workload_entry(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}}}
spec: {spec}
---
"
    )
}

#[test]
fn a_service_selects_workloads_of_its_namespace() {
    let yaml = [
        SERVICE,
        &workload_entry("a", "{address: 10.0.0.2, labels: {app: web}, weight: 3}"),
        &workload_entry("b", "{address: 10.0.0.1, labels: {app: web, version: v2}}"),
        &workload_entry("c", "{address: 10.0.0.3, labels: {app: other}}"),
        &workload_entry("d", "{address: d.test, labels: {app: web}}"),
        "apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: e, namespace: other}
spec: {address: 10.0.0.5, labels: {app: web}}",
    ]
    .concat();
    check(
        &yaml,
        &[],
        WEB,
        80,
        &[
            "10.0.0.1:8080 x1 web/v2",
            "10.0.0.2:8080 x3 web/latest",
            "d.test:8080 x1 web/latest",
        ],
    );
}

#[test]
fn where_a_workload_listens() {
    for (ports, port, expected) in [
        ("{}", 80, Some(8080)),
        ("{}", 82, Some(82)),
        ("{}", 81, None),
        ("{admin: 9000}", 81, Some(9000)),
        ("{http: 7000}", 80, Some(7000)),
        ("{http-admin: 7001, admin: 9000}", 81, Some(7001)),
    ] {
        let spec = format!("{{address: 10.0.0.1, labels: {{app: web}}, ports: {ports}}}");
        let yaml = format!("{SERVICE}{}", workload_entry("a", &spec));
        let expected: Vec<String> = expected
            .iter()
            .map(|number| format!("10.0.0.1:{number} x1 web/latest"))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(&yaml, &[], WEB, port, &expected);
    }
}

#[test]
fn proxies_register_themselves() {
    let with_ports = Node {
        ports: BTreeMap::from([("http".to_owned(), 7000)]),
        ..proxy("b", "10.0.0.2", &[("app", "web"), ("version", "v1")])
    };
    let registered = [
        proxy("a", "10.0.0.1", &[("app", "web")]),
        with_ports,
        proxy("c", "", &[("app", "web")]),
        proxy("d", "10.0.0.4", &[]),
    ];
    check(
        SERVICE,
        &registered,
        WEB,
        80,
        &["10.0.0.1:8080 x1 web/latest", "10.0.0.2:7000 x1 web/v1"],
    );
}

#[test]
fn an_entry_stands_for_the_proxy_of_its_name() {
    let entry = workload_entry("a", "{address: 10.0.0.9, labels: {app: web}}");
    let registered = [proxy("a", "10.0.0.1", &[("app", "web")])];
    let yaml = format!("{SERVICE}{entry}");
    check(
        &yaml,
        &registered,
        WEB,
        80,
        &["10.0.0.9:8080 x1 web/latest"],
    );
}

#[test]
fn what_metrics_call_a_workload() {
    for (labels, expected) in [
        (&[("app", "web")][..], "web/latest"),
        (&[("app", "web"), ("version", "v3")], "web/v3"),
        (
            &[
                ("app", "web"),
                ("app.kubernetes.io/name", "shop"),
                ("version", "v3"),
                ("app.kubernetes.io/version", "1.2"),
            ],
            "shop/1.2",
        ),
        (
            &[
                ("app", "web"),
                ("service.istio.io/canonical-name", "canon"),
                ("service.istio.io/canonical-revision", "r1"),
                ("app.kubernetes.io/name", "shop"),
            ],
            "canon/r1",
        ),
    ] {
        let registered = [proxy("a", "10.0.0.1", labels)];
        let expected = format!("10.0.0.1:8080 x1 {expected}");
        check(SERVICE, &registered, WEB, 80, &[&expected]);
    }
    let yaml = SERVICE.replace("selector: {app: web}", "selector: {tier: front}");
    let registered = [proxy("a", "10.0.0.1", &[("tier", "front")])];
    check(&yaml, &registered, WEB, 80, &["10.0.0.1:8080 x1 a/latest"]);
}

#[test]
fn a_service_without_selector_has_no_endpoints() {
    let yaml = SERVICE.replace("  selector: {app: web}\n", "");
    let registered = [proxy("a", "10.0.0.1", &[("app", "web")])];
    check(&yaml, &registered, WEB, 80, &[]);
}

#[test]
fn service_entries() {
    for (spec, expected) in [
        (
            "{resolution: STATIC, endpoints: [{address: 10.1.0.1, weight: 2}, {address: 10.1.0.2, \
             ports: {http: 8001}}]}",
            &["10.1.0.1:8000 x2 /", "10.1.0.2:8001 x1 /"][..],
        ),
        (
            "{resolution: STATIC, endpoints: [{address: 10.1.0.1, labels: {app: api, version: \
             v1}}]}",
            &["10.1.0.1:8000 x1 api/v1"],
        ),
        ("{resolution: DNS}", &["api.test:8000 x1 /"]),
        (
            "{resolution: DNS, endpoints: [{address: eu.api.test}]}",
            &["eu.api.test:8000 x1 /"],
        ),
        ("{resolution: NONE}", &["api.test:8000 x1 /"]),
        (
            "{resolution: STATIC, workloadSelector: {labels: {app: api}}}",
            &["10.0.0.1:8000 x1 api/latest"],
        ),
    ] {
        let spec = spec.trim_start_matches('{');
        let yaml = format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: api}}
spec: {{hosts: [api.test], ports: [{{number: 80, name: http, protocol: HTTP, targetPort: 8000}}], {spec}"
        );
        let registered = [proxy("a", "10.0.0.1", &[("app", "api")])];
        check(&yaml, &registered, "api.test", 80, expected);
    }
}

#[test]
fn a_wildcard_host_without_resolution_has_no_endpoints() {
    let yaml = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec: {hosts: ['*.test'], ports: [{number: 80, name: http, protocol: HTTP}]}";
    check(yaml, &[], "*.test", 80, &[]);
}

#[test]
fn of_two_services_with_one_host_the_first_counts() {
    let entry = |name: &str, more: &str, address: &str| {
        format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}{more}}}
spec:
  hosts: [{WEB}]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: {address}}}]
---
"
        )
    };
    let dated = ", creationTimestamp: '2024-01-01T00:00:00Z'";
    let (a, b) = (entry("a", "", "10.1.0.1"), entry("b", "", "10.1.0.2"));
    let old = entry("z", dated, "10.1.0.3");
    for (yaml, expected) in [
        (format!("{b}{a}"), &["10.1.0.1:80 x1 /"][..]),
        (format!("{a}{b}{SERVICE}"), &[]),
        (format!("{a}{SERVICE}{old}"), &["10.1.0.3:80 x1 /"]),
    ] {
        check(&yaml, &[], WEB, 80, expected);
        let problems = registry(&yaml, &[]).1;
        assert!(!problems.is_empty(), "{yaml}");
        assert!(problems[0].contains("is already that of"), "{problems:?}");
    }
}

#[test]
fn hosts_of_the_cluster() {
    for (host, expected) in [
        (WEB, Some(("web", "default"))),
        ("web.default", None),
        ("*.default.svc.cluster.local", None),
        ("a.b.c.svc.cluster.local", None),
        ("svc.cluster.local", None),
        ("web.default.svc.cluster.localx", None),
    ] {
        assert_eq!(split_service_host(host), expected, "{host}");
    }
}
