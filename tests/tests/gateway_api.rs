//! HTTPRoutes as requests meet them at a Gateway.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use ringmain_tests::{
    Io,
    mesh::{Builder, GATEWAY, Mesh},
    on_both,
    origin::{Origin, response},
};

on_both!(
    the_rule_that_asks_for_more_goes_first,
    paths_are_rewritten_by_elements,
    failures,
    a_backend_that_is_not_there_fails_in_its_share,
    a_backend_has_its_time
);

/// A service that answers with its own name and what it was asked for.
fn named(name: &'static str) -> Origin {
    Origin::start(move |conversation| {
        while let Ok(request) = conversation.request() {
            let target = request.line.split(' ').nth(1).unwrap();
            if !conversation.send(response(&format!("{name} {target}"))) {
                break;
            }
        }
    })
}

/// A Gateway of the Gateway API in the place of Istio's, services `a.test` and `b.test`, and an
/// HTTPRoute with these rules.
fn gateway(io: Io, rules: &str) -> (Builder, [Origin; 2]) {
    let origins = [named("a"), named("b")];
    let builder = Mesh::builder(io);
    let address = builder.gateway();
    let resources = format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {GATEWAY}}}
spec:
  gatewayClassName: any
  addresses: [{{value: {:?}}}]
  listeners: [{{name: http, port: {}, protocol: HTTP}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: route}}
spec:
  parentRefs: [{{name: {GATEWAY}}}]
  rules:
{rules}",
        address.ip().to_string(),
        address.port(),
    );
    let label = format!("{{ \"gateway.networking.k8s.io/gateway-name\" = {GATEWAY:?} }}");
    let builder = builder
        .tune("workload", "labels", &label)
        .resource("gateway", &resources)
        .service("a", &[origins[0].address()])
        .service("b", &[origins[1].address()]);
    (builder, origins)
}

fn to(name: &str) -> String {
    format!(
        "backendRefs: [{{group: networking.istio.io, kind: Hostname, name: {name}.test, port: 80}}]"
    )
}

fn the_rule_that_asks_for_more_goes_first(io: Io) {
    let (a, b) = (to("a"), to("b"));
    let rules = format!(
        "  - {{{a}}}
  - {{matches: [{{path: {{value: /x}}}}], {b}}}
  - {{matches: [{{path: {{value: /x}}, headers: [{{name: x-key, value: one}}]}}], {a}}}
  - {{matches: [{{path: {{value: /x/exact, type: Exact}}}}], {a}}}
"
    );
    let (builder, _origins) = gateway(io, &rules);
    let mesh = builder.start();
    let mut client = mesh.client();
    for (target, expected) in [
        ("/", "a /"),
        ("/x", "b /x"),
        ("/x/y", "b /x/y"),
        ("/xy", "a /xy"),
        ("/x/exact", "a /x/exact"),
        ("/x/exact/", "b /x/exact/"),
    ] {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    let answer = client.exchange("GET /x HTTP/1.1\r\nhost: a\r\nx-key: one\r\n\r\n");
    assert_eq!(answer.text(), "a /x");
    drop(client);
    mesh.finish();
}

fn paths_are_rewritten_by_elements(io: Io) {
    let a = to("a");
    let replaced =
        |with: &str| format!("path: {{type: ReplacePrefixMatch, replacePrefixMatch: {with:?}}}");
    let (new, none) = (replaced("/new"), replaced(""));
    let rules = format!(
        "  - {{matches: [{{path: {{value: /old}}}}], {a}, filters: [{{type: URLRewrite, \
         urlRewrite: {{{new}}}}}]}}
  - {{matches: [{{path: {{value: /gone/}}}}], {a}, filters: [{{type: URLRewrite, urlRewrite: \
         {{{none}}}}}]}}
  - {{matches: [{{path: {{value: /moved}}}}], filters: [{{type: RequestRedirect, requestRedirect: \
         {{hostname: other.test, scheme: https, {new}}}}}]}}
"
    );
    let (builder, _origins) = gateway(io, &rules);
    let mesh = builder.start();
    let mut client = mesh.client();
    for (target, expected) in [
        ("/old", "a /new"),
        ("/old/", "a /new/"),
        ("/old/b?c", "a /new/b?c"),
        ("/gone", "a /"),
        ("/gone/b", "a /b"),
    ] {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    let answer = client.get("/moved/b?c");
    assert_eq!(
        (answer.status(), answer.get("location")),
        (302, Some("https://other.test/new/b?c"))
    );
    assert_eq!(client.get("/older").status(), 404);
    drop(client);
    mesh.finish();
}

fn failures(io: Io) {
    let a = to("a");
    let rules = format!(
        "  - {{matches: [{{path: {{value: /none}}}}]}}
  - {{matches: [{{path: {{value: /guarded}}}}], {a}, filters: [{{type: ExtensionRef, extensionRef: \
         {{group: x.y, kind: Guard, name: a}}}}]}}
"
    );
    let (builder, origins) = gateway(io, &rules);
    let mesh = builder.start();
    let mut client = mesh.client();
    for (target, status) in [("/none", 500), ("/guarded", 500), ("/", 404)] {
        assert_eq!(client.get(target).status(), status, "{target}");
    }
    drop(client);
    assert!(origins.iter().all(|origin| origin.connections() == 0));
    mesh.finish();
}

fn a_backend_that_is_not_there_fails_in_its_share(io: Io) {
    let backend = |name: &str| {
        format!(
            "{{group: networking.istio.io, kind: Hostname, name: {name}.test, port: 80, weight: 1}}"
        )
    };
    let (a, none) = (backend("a"), backend("nowhere"));
    let (builder, origins) = gateway(io, &format!("  - {{backendRefs: [{a}, {none}]}}\n"));
    let mesh = builder.start();
    let mut client = mesh.client();
    let answers: Vec<_> = (0..200).map(|_| client.get("/").status()).collect();
    drop(client);
    let count = |status| answers.iter().filter(|other| **other == status).count();
    assert_eq!(count(200) + count(500), 200, "{answers:?}");
    // Five standard deviations.
    assert!((65..=135).contains(&count(500)), "{answers:?}");
    assert_eq!(origins[0].requests().len(), count(200));
    mesh.finish();
}

/// Without retries, too.
fn a_backend_has_its_time(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    });
    let rules = format!(
        "  - {{timeouts: {{backendRequest: 100ms}}, {}}}\n",
        to("slow")
    );
    let (builder, _origins) = gateway(io, &rules);
    let mesh = builder.service("slow", &[origin.address()]).start();
    assert_eq!(mesh.client().get("/").status(), 504);
    assert_eq!(mesh.finish_one().verdict(), "504 UT");
    assert_eq!(origin.requests().len(), 1);
}
