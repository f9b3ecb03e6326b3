//! YAML and a proxy in, parts of its Document out.

mod gateway_api;
mod gateways;
mod policies;
mod protocols;
mod sidecars;
mod tcp;
mod tls;

use ringmain_config::node::Node;
use serde_json::{Value, json};

use super::assemble;
use crate::{compile::check as compile, resource, world::World};

/// Assembles the Document that `yaml` gives the proxy of `node`, and compares parts of it, each
/// named by a path like `route_tables/http.80/virtual_hosts/0/name`; `null` is what is not there.
/// Every Document must compile.
fn check(yaml: &str, node: &Node, expected: &[(&str, Value)]) {
    let (document, _) = assemble(&world(yaml), node);
    let problems = compile(&document);
    assert!(problems.is_empty(), "{problems:#?}");
    let document = serde_json::to_value(&document).expect("serialises");
    for (path, expected) in expected {
        let found = pick(&document, path);
        let names = serde_json::to_string_pretty(&document).expect("serialises");
        assert_eq!(found, *expected, "{path} in {names}");
    }
}

fn world(yaml: &str) -> World {
    let loaded = resource::parse("test.yaml", yaml);
    assert!(!loaded.has_errors(), "{:#?}", loaded.problems);
    World::new(&loaded.resources, [])
}

/// What is said about `yaml` when it is assembled for `node`.
fn warnings(yaml: &str, node: &Node) -> Vec<String> {
    let (_, problems) = assemble(&world(yaml), node);
    problems.iter().map(ToString::to_string).collect()
}

/// Below a part's name its `value` is meant. At the end `*` lists the names of what is there.
fn pick(document: &Value, path: &str) -> Value {
    let mut found = document;
    for (depth, step) in path.split('/').enumerate() {
        if step == "*" {
            return found
                .as_object()
                .map_or(Value::Null, |parts| parts.keys().cloned().collect());
        }
        let next = match found {
            Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
            Value::Object(fields) => fields.get(step),
            _ => None,
        };
        let Some(next) = next else {
            return Value::Null;
        };
        found = if depth == 1 { &next["value"] } else { next };
    }
    found.clone()
}

/// A workload in `namespace` with the address 127.0.0.9.
fn workload(namespace: &str, labels: &[(&str, &str)]) -> Node {
    Node {
        name: "client".to_owned(),
        namespace: namespace.to_owned(),
        address: "127.0.0.9".parse().ok(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Node::default()
    }
}

#[test]
fn the_same_world_gives_the_same_parts() {
    let documents = [sidecars::MESH, sidecars::MESH].map(|yaml| {
        let node = workload("default", &[("app", "productpage")]);
        serde_json::to_string(&assemble(&world(yaml), &node).0).expect("serialises")
    });
    assert_eq!(documents[0], documents[1]);
}

#[test]
fn a_proxy_that_nothing_is_for_is_told_so() {
    let node = workload("elsewhere", &[]);
    check(
        sidecars::MESH,
        &node,
        &[("listeners/*", json!([])), ("clusters/*", json!([]))],
    );
    let warnings = warnings(sidecars::MESH, &node);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("it listens nowhere"), "{warnings:?}");
}

/// The gateway.
fn edge() -> Node {
    workload("istio-system", &[("istio", "ingressgateway")])
}

/// `resources`, which end with a line `---`, and a VirtualService `rules` with this `spec`.
fn with_rules(resources: &str, spec: &str) -> String {
    format!(
        "{resources}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rules}}
spec: {spec}"
    )
}
