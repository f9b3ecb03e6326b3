//! Routes that are attached to services.

use super::*;

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
