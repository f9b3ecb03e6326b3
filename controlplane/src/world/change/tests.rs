//! A changed world is the one that would be made anew, and so are the Documents that follow it.

use std::{collections::BTreeMap, sync::Arc};

use ringmain_config::{
    document::{Document, Part},
    node::Node,
};

use super::{Touched, World, endpoints_only};
use crate::{
    assemble::{assemble, endpoint_sets},
    registry::Workload,
    resource::{self, Resource},
};

const MESH: &str = "
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: all}
spec:
  egress:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*/*']
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: listed}
spec:
  hosts: [listed.example, also.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: http-b, protocol: HTTP}]
  endpoints:
  - {address: 10.0.0.1, labels: {version: v1}}
  - {address: 10.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: other}
spec:
  hosts: [listed.example]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 10.9.0.1}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: named}
spec:
  hosts: [named.example]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: one.example}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: listed}
spec:
  host: listed.example
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v3, labels: {version: v3}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: listed}
spec:
  hosts: [listed.example]
  http:
  - route:
    - {destination: {host: listed.example, subset: v1, port: {number: 80}}, weight: 50}
    - {destination: {host: listed.example, subset: v3, port: {number: 80}}, weight: 25}
    - {destination: {host: listed.example, subset: v9, port: {number: 99}}, weight: 25}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: entered}
spec:
  address: 10.1.0.1
  labels: {app: web, version: v1}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{group: '', kind: Service, name: web}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
";

fn resources(yaml: &str) -> Vec<Arc<Resource>> {
    let loaded = resource::parse("mesh.yaml", yaml);
    assert!(!loaded.has_errors(), "{:#?}", loaded.problems);
    loaded.resources
}

fn node(name: &str, address: &str, version: &str) -> Node {
    let labels = [("app", "web"), ("version", version)];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Node {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        address: address.parse().ok(),
        labels: BTreeMap::from(labels),
        ..Node::default()
    }
}

/// `document`, of the world before, as it is after `touched`.
fn follow(world: &World, client: &Node, document: &Document, touched: &Touched) -> Document {
    let mut document = document.clone();
    for set in endpoint_sets(world, client, &document, &touched.hosts) {
        document.upsert(Part::EndpointSet(Arc::new(set)));
    }
    document
}

/// Replaces `from` by `to` in the mesh: whether endpoints only differ, and of which hosts. If so,
/// the changed world is that of the new resources.
fn check(from: &str, to: &str, expected: Option<&[&str]>) {
    assert!(MESH.contains(from), "{from}");
    let before = resources(MESH);
    let after = resources(&MESH.replacen(from, to, 1));
    let Some(pairs) = endpoints_only(&before, &after) else {
        assert_eq!(None, expected, "{from} -> {to}");
        return;
    };
    let registered = [node("w", "10.2.0.1", "v1")];
    let client = node("client", "10.3.0.1", "v1");
    let mut world = World::new(&before, &registered);
    let document = assemble(&world, &client).0;
    let mut touched = Touched::default();
    world.replace(&pairs, &mut touched);
    let fresh = World::new(&after, &registered);
    assert!(world == fresh, "{from} -> {to}");
    let hosts: Vec<&str> = touched.hosts.iter().map(String::as_str).collect();
    assert_eq!(Some(&*hosts), expected, "{from} -> {to}");
    assert_eq!(
        follow(&world, &client, &document, &touched),
        assemble(&fresh, &client).0,
        "{from} -> {to}"
    );
}

#[test]
fn resources_with_other_endpoints() {
    let listed = &["also.example", "listed.example"][..];
    for (from, to, expected) in [
        ("10.0.0.1", "10.0.0.1", Some(&[][..])),
        ("10.0.0.1", "10.0.0.7", Some(listed)),
        ("{version: v2}", "{version: v3}", Some(listed)),
        (
            "  - {address: 10.0.0.1, labels: {version: v1}}\n  -",
            "\n  -",
            Some(listed),
        ),
        // Another resource has the host.
        ("10.9.0.1", "10.9.0.2", Some(&[])),
        ("one.example", "two.example", Some(&["named.example"])),
        (
            "10.1.0.1",
            "10.1.0.2",
            Some(&["web.default.svc.cluster.local"]),
        ),
        // Anything else.
        ("[listed.example, also", "[listed.example, other", None),
        ("number: 81", "number: 82", None),
        ("{app: web, version: v1}", "{app: web, version: v2}", None),
        ("weight: 50", "weight: 51", None),
        ("targetPort: 8080", "targetPort: 8081", None),
        ("---\napiVersion: v1", "---\n\napiVersion: v1", None),
        (
            "MESH_INTERNAL\n  resolution: STATIC",
            "MESH_INTERNAL\n  resolution: DNS",
            None,
        ),
    ] {
        check(from, to, expected);
    }
    let before = resources(MESH);
    assert!(endpoints_only(&before, &before[1..]).is_none());
}

#[test]
fn proxies_that_come_and_go() {
    let mesh = resources(MESH);
    let client = node("client", "10.3.0.1", "v1");
    let mut registered: BTreeMap<String, Node> = BTreeMap::new();
    let mut world = World::new(&mesh, []);
    let mut document = assemble(&world, &client).0;
    for (name, now, touches) in [
        ("b", Some(node("b", "10.2.0.2", "v1")), true),
        ("a", Some(node("a", "10.2.0.1", "v1")), true),
        ("a", Some(node("a", "10.2.0.1", "v1")), false),
        ("z", Some(node("z", "10.2.0.9", "v2")), true),
        ("a", Some(node("a", "10.2.0.3", "v2")), true),
        // It answers for nothing.
        ("idle", Some(Node::default()), false),
        // The WorkloadEntry counts.
        ("entered", Some(node("entered", "10.2.0.4", "v1")), false),
        ("entered", None, false),
        ("b", None, true),
        ("b", None, false),
        ("z", None, true),
        ("a", None, true),
    ] {
        match &now {
            Some(node) => drop(registered.insert(name.to_owned(), node.clone())),
            None => drop(registered.remove(name)),
        }
        let mut touched = Touched::default();
        let workload = now.as_ref().and_then(Workload::from_node);
        world.register("default", name, workload, &mut touched);
        assert_eq!(!touched.is_empty(), touches, "{name} {now:?}");
        let fresh = World::new(&mesh, registered.values());
        assert!(world == fresh, "{name} {now:?}");
        document = follow(&world, &client, &document, &touched);
        assert_eq!(document, assemble(&fresh, &client).0, "{name} {now:?}");
    }
}
