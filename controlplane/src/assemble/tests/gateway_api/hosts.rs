//! Which listener serves which host, and whose routes it takes.

use super::*;

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
    assert_eq!(hosts(&document, "http.80"), ["a.x: a", "both.x: a"]);
    assert_eq!(
        warnings(&yaml, &edge()),
        [
            "test.yaml:30:126: warning: HTTPRoute default/b > spec: both.x is a host of GRPCRoute \
             default/a (test.yaml:32) already, and listener `*` takes routes of one kind for a \
             host: none of this HTTPRoute is used there; give the two kinds hosts of their own"
        ]
    );
}

/// Hosts need not be equal; the older route is taken, else the first by namespace and name; a route
/// that is not taken stands in nobody's way.
#[test]
fn routes_of_two_kinds_whose_hosts_meet() {
    let spec = |name: &str, hosts: &str| {
        format!(
            "hostnames: [{hosts}], parentRefs: [{{name: edge}}], rules: [{{name: {name}, \
             {BACKEND}}}]"
        )
    };
    for (routes, expected) in [
        (
            &[("HTTPRoute", "a", "'*.x'"), ("GRPCRoute", "b", "a.x")][..],
            &["*.x: a"][..],
        ),
        (
            &[("HTTPRoute", "b", "'*.x'"), ("GRPCRoute", "a", "a.x")],
            &["a.x: a"],
        ),
        (
            &[
                ("HTTPRoute", "a", "'*.x'"),
                ("GRPCRoute", "b", "'*.a.x', y"),
            ],
            &["*.x: a"],
        ),
        (
            &[("HTTPRoute", "a", "'*.x'"), ("GRPCRoute", "b", "x, a.y")],
            &["*.x: a", "a.y: b", "x: b"],
        ),
        (
            &[
                ("HTTPRoute", "a", "a.x"),
                ("GRPCRoute", "b", "'*.x'"),
                ("HTTPRoute", "c", "c.x"),
            ],
            &["a.x: a", "c.x: c"],
        ),
    ] {
        let yaml = routes.iter().map(|(kind, name, hosts)| {
            let spec = spec(name, hosts);
            resource(kind, name, &spec)
        });
        let yaml = format!("{MESH}{}", yaml.collect::<String>());
        let (document, _) = assemble(&world(&yaml), &edge());
        assert_eq!(hosts(&document, "http.80"), expected, "{routes:?}");
    }
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
