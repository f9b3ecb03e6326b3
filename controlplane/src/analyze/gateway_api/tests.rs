//! YAML in, warnings out.

use crate::{
    analyze::{Extent, analyze},
    resource,
    world::World,
};

/// A document in one line; each of them takes two lines of the text.
fn line(kind: &str, name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let version = match kind {
        "Service" => "v1",
        "VirtualService" | "ServiceEntry" | "IstioGateway" => "networking.istio.io/v1",
        _ => "gateway.networking.k8s.io/v1",
    };
    let kind = kind.strip_prefix("Istio").unwrap_or(kind);
    format!(
        "---\n{{apiVersion: {version}, kind: {kind}, metadata: {{name: {name}, namespace: \
         {namespace}}}, spec: {{{spec}}}}}\n"
    )
}

/// Appends documents to a sound world, of which nothing is said. `line path: message; hint` of each
/// warning; those documents begin in line 8.
#[track_caller]
fn check(documents: &[(&str, &str, &str)], expected: &[&str]) {
    let mut yaml = String::new();
    for (kind, name, spec) in SOUND.iter().chain(documents) {
        yaml += &line(kind, name, spec);
    }
    let loaded = resource::parse("f", &yaml);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    let problems = analyze(&World::new(&loaded.resources, []), Extent::Mesh);
    let found: Vec<String> = problems
        .iter()
        .map(|problem| {
            let hint = problem.hint.as_deref().unwrap_or("none");
            format!(
                "{} {}: {}; {hint}",
                problem.line, problem.path, problem.message
            )
        })
        .collect();
    assert_eq!(found, expected, "{yaml}");
}

const SOUND: [(&str, &str, &str); 3] = [
    (
        "Gateway",
        "edge",
        "gatewayClassName: a, listeners: [{name: http, port: 80, protocol: HTTP}, {name: shop, \
         port: 81, protocol: HTTP, hostname: shop.x, allowedRoutes: {kinds: [{kind: HTTPRoute}]}}]",
    ),
    (
        "Service",
        "web",
        "ports: [{name: http, port: 80}, {name: grpc, port: 90}, {name: db, port: 3306}]",
    ),
    (
        "HTTPRoute",
        "sound",
        "hostnames: [sound.x], parentRefs: [{name: edge}, {group: '', kind: Service, name: web}], \
         rules: [{backendRefs: [{name: web, port: 80}]}]",
    ),
];

const RULES: &str = "rules: [{backendRefs: [{name: web, port: 80}]}]";

#[test]
fn parents() {
    for (name, parent, expected) in [
        (
            "r",
            "name: edgy",
            "there is no Gateway default/edgy of gateway.networking.k8s.io: the route is not \
             attached to it; did you mean default/edge?",
        ),
        (
            "r",
            "name: edge, sectionName: https",
            "Gateway default/edge (f:2) has no listener for HTTP named `https`: the route is not \
             attached to it; its listeners are `http` at port 80, `shop` at port 81",
        ),
        (
            "r",
            "name: edge, port: 443",
            "Gateway default/edge (f:2) has no listener for HTTP at port 443: the route is not \
             attached to it; its listeners are `http` at port 80, `shop` at port 81",
        ),
        (
            "prod/r",
            "name: edge, namespace: default",
            "the route is not attached to listener `http` of Gateway default/edge (f:2): it takes \
             no routes of namespace prod; write `allowedRoutes: {namespaces: {from: All}}` in the \
             listener",
        ),
        (
            "r",
            "name: edge, sectionName: shop",
            "the route is not attached to listener `shop` of Gateway default/edge (f:2): it serves \
             `shop.x`, and none of the route's hosts; add a host to `hostnames` that the listener \
             serves",
        ),
        (
            "r",
            "group: '', kind: Service, name: wep",
            "no Service or ServiceEntry has the host wep.default.svc.cluster.local: the route is \
             not attached to it; did you mean web.default.svc.cluster.local?",
        ),
        (
            "r",
            "group: '', kind: Service, name: web, port: 82, namespace: default",
            "the route is not attached to port 82 of web.default.svc.cluster.local: it has no such \
             port; its ports are 80, 90, 3306",
        ),
        (
            "r",
            "group: '', kind: Service, name: web, port: 3306",
            "the route is not attached to port 3306 of web.default.svc.cluster.local: what is \
             spoken there is not HTTP; its ports are 80, 90, 3306",
        ),
        (
            "r",
            "group: networking.istio.io, kind: ServiceEntry, name: nobody",
            "there is no ServiceEntry default/nobody: the route is not attached to it; none",
        ),
    ] {
        let host = match parent.starts_with("name") {
            true => "hostnames: [a.x], ",
            false => "",
        };
        let rules = "rules: [{backendRefs: [{name: web, namespace: default, port: 80}]}]";
        let spec = format!("{host}parentRefs: [{{{parent}}}], {rules}");
        let expected = format!(
            "8 HTTPRoute {} > spec.parentRefs[0]: {expected}",
            match name {
                "r" => "default/r",
                name => name,
            }
        );
        check(&[("HTTPRoute", name, &spec)], &[&expected]);
    }
    let spec = format!("parentRefs: [{{name: edge, sectionName: shop}}], {RULES}");
    check(
        &[("GRPCRoute", "g", &spec)],
        &[
            "8 GRPCRoute default/g > spec.parentRefs[0]: the route is not attached to listener \
             `shop` of Gateway default/edge (f:2): it takes no GRPCRoute; add GRPCRoute to its \
             `allowedRoutes.kinds`",
            &calls_over_http1(8),
        ],
    );
}

/// What is said of calls to port 80 of `web`, by a document in this line.
fn calls_over_http1(line: u32) -> String {
    let kind_and_name = match line {
        8 => "GRPCRoute default/g",
        _ => "GRPCRoute default/a",
    };
    format!(
        "{line} {kind_and_name} > spec.rules[0].backendRefs[0].port: port 80 of \
         web.default.svc.cluster.local is said to speak HTTP/1.1, which carries no gRPC: calls of \
         this route are sent in HTTP/2 all the same; write `appProtocol: kubernetes.io/h2c` at the \
         port if it speaks HTTP/2"
    )
}

#[test]
fn a_gateway_of_the_other_api() {
    let gateway = "servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]";
    let spec = format!("parentRefs: [{{name: istio}}], {RULES}");
    check(
        &[
            ("IstioGateway", "istio", gateway),
            ("HTTPRoute", "r", &spec),
        ],
        &[
            "10 HTTPRoute default/r > spec.parentRefs[0]: there is no Gateway default/istio of \
             gateway.networking.k8s.io: the route is not attached to it; there is one of \
             networking.istio.io, which takes VirtualServices only",
        ],
    );
}

#[test]
fn a_virtual_service_at_a_gateway_of_the_other_api() {
    let spec = "hosts: [b.x], gateways: [edge], http: [{route: [{destination: {host: web, port: \
                {number: 80}}}]}]";
    check(
        &[("VirtualService", "v", spec)],
        &[
            "8 VirtualService default/v > spec.gateways[0]: there is no Gateway default/edge; \
             there is one of gateway.networking.k8s.io, which takes HTTPRoutes and GRPCRoutes only",
        ],
    );
}

#[test]
fn backends() {
    for (kind, rule, expected) in [
        (
            "HTTPRoute",
            "backendRefs: [{name: wep, port: 80}]",
            "backendRefs[0].name: no Service or ServiceEntry has the host \
             wep.default.svc.cluster.local; its share of requests is answered 500; did you mean \
             web.default.svc.cluster.local?",
        ),
        (
            "GRPCRoute",
            "backendRefs: [{name: web, port: 90}, {name: web, port: 82}]",
            "backendRefs[1].port: web.default.svc.cluster.local has no port 82; its share of calls \
             is answered UNAVAILABLE; its ports are 80, 90, 3306",
        ),
        (
            "HTTPRoute",
            "backendRefs: [{name: web, port: 80}], filters: [{type: RequestMirror, requestMirror: \
             {backendRef: {name: web, port: 82}}}]",
            "filters[0].requestMirror.backendRef.port: web.default.svc.cluster.local has no port 82; no copy \
             is sent to it; its ports are 80, 90, 3306",
        ),
    ] {
        let spec = format!("hostnames: [a.x], parentRefs: [{{name: edge}}], rules: [{{{rule}}}]");
        let expected = format!("8 {kind} default/r > spec.rules[0].{expected}");
        check(&[(kind, "r", &spec)], &[&expected]);
    }
}

#[test]
fn matches_that_are_never_used() {
    let rule =
        |matched: &str| format!("{{matches: [{matched}], backendRefs: [{{name: web, port: 80}}]}}");
    let never = |index: usize, reason: &str| {
        format!(
            "8 HTTPRoute default/r > spec.rules[{index}].matches[0]: the match is never used for \
             a.x: HTTPRoute default/r (f:8) {reason}; remove one of the two, or let this one ask \
             for more"
        )
    };
    let same = never(1, "asks for the same and goes before it");
    let regex = never(0, "takes every request and goes before it");
    for (first, second, expected) in [
        ("{path: {value: /a}}", "{path: {value: /b}}", None),
        ("{path: {value: /a}}", "{path: {value: /a/}}", Some(&same)),
        ("{}", "{path: {value: /}}", Some(&same)),
        ("{}", "{path: {value: /a}}", None),
        (
            "{path: {type: RegularExpression, value: '/a+'}}",
            "{}",
            Some(&regex),
        ),
        (
            "{path: {value: /a}}",
            "{path: {value: /a}, method: GET}",
            None,
        ),
    ] {
        let spec = format!(
            "hostnames: [a.x], parentRefs: [{{name: edge, sectionName: http}}], rules: [{}, {}]",
            rule(first),
            rule(second)
        );
        let expected: Vec<_> = expected.into_iter().map(String::as_str).collect();
        check(&[("HTTPRoute", "r", &spec)], &expected);
    }
}

#[test]
fn routes_that_meet() {
    let at_host = |parent: &str| format!("hostnames: [a.x], parentRefs: [{parent}], {RULES}");
    let at_gateway = at_host("{name: edge, sectionName: http}");
    check(
        &[
            ("HTTPRoute", "b", &at_gateway),
            ("HTTPRoute", "a", &at_gateway),
        ],
        &[
            "8 HTTPRoute default/b > spec.rules[0].matches[0]: the match is never used for a.x: \
             HTTPRoute default/a (f:10) asks for the same and goes before it; remove one of the \
             two, or let this one ask for more",
        ],
    );
    check(
        &[
            ("HTTPRoute", "b", &at_gateway),
            ("GRPCRoute", "a", &at_gateway),
        ],
        &[
            "8 HTTPRoute default/b > spec: a.x is a host of GRPCRoute default/a (f:10) already, \
             and listener `*` takes routes of one kind for a host: none of this HTTPRoute is used \
             there; give the two kinds hosts of their own",
            &calls_over_http1(10),
        ],
    );
    let spec = "gatewayClassName: a, listeners: [{name: http, port: 80, protocol: HTTP}]";
    check(
        &[("Gateway", "other", spec)],
        &[
            "8 Gateway default/other > spec.listeners[0]: port 80 for `*` is a listener of Gateway \
             default/edge (f:2) already: a proxy that serves both merges their routes; give it \
             another `hostname` or `port`, or the Gateways `addresses`",
        ],
    );
}

#[test]
fn rules_of_the_other_api() {
    let service = |hosts: &str, gateways: &str| {
        format!(
            "hosts: [{hosts}], gateways: [{gateways}], http: [{{route: [{{destination: {{host: \
                 web, port: {{number: 80}}}}}}]}}]"
        )
    };
    check(
        &[("VirtualService", "v", &service("web", "mesh"))],
        &[
            "8 VirtualService default/v > spec.hosts: clients of web.default.svc.cluster.local \
             take its rules from HTTPRoute default/sound (f:6): those of this VirtualService are \
             not used; a host takes its rules from one API: merge the two",
        ],
    );
    let gateway = "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]";
    check(
        &[
            ("IstioGateway", "istio", gateway),
            ("VirtualService", "v", &service("sound.x, b.x", "istio")),
        ],
        &[
            "10 VirtualService default/v > spec.hosts: sound.x at port 80 has its rules from \
             HTTPRoute default/sound (f:6): those of this VirtualService are not used; a host at a \
             port takes its rules from one API: merge the two, or choose another",
        ],
    );
}
