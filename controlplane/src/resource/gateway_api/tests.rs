//! A resource's `spec` in, the resource or every rendered problem out.

mod gateways;
mod problems;
mod rules;

use super::*;
use crate::resource::{Loaded, Resource, parse};

fn parsed(kind: &str, spec: &str) -> Loaded {
    let text = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata:\n  name: name\nspec: \
         {{{spec}}}\n"
    );
    parse("f", &text)
}

/// Problems without their file, resource and place.
#[track_caller]
fn check(kind: &str, spec: &str, expected: &[&str]) {
    let loaded = parsed(kind, spec);
    let problems: Vec<String> = loaded
        .problems
        .iter()
        .map(|problem| {
            assert_eq!(problem.line, 5, "{problem}");
            let rendered = problem.to_string();
            let (_, rest) = rendered.split_once(": ").unwrap();
            let path = format!("{kind} default/name > ");
            rest.replace(&path, "")
        })
        .collect();
    assert_eq!(problems, expected, "{spec}");
    assert!(!loaded.has_errors() || loaded.resources.is_empty());
}

fn gateway(spec: &str) -> Gateway {
    let loaded = parsed("Gateway", spec);
    assert!(!loaded.has_errors(), "{:?}", loaded.problems);
    match &*loaded.resources[0] {
        Resource::ApiGateway(gateway) => gateway.clone(),
        other => panic!("{other:?}"),
    }
}

fn route(kind: &str, spec: &str) -> Route {
    let loaded = parsed(kind, spec);
    assert!(!loaded.has_errors(), "{:?}", loaded.problems);
    match &*loaded.resources[0] {
        Resource::ApiRoute(route) => route.clone(),
        other => panic!("{other:?}"),
    }
}

/// The only rule of an HTTPRoute.
fn rule(rule: &str) -> Rule {
    let route = route(
        "HTTPRoute",
        &format!("parentRefs: [{{name: g}}], rules: [{{{rule}}}]"),
    );
    route.rules[0].value.clone()
}

/// What is wrong with the only rule of a route.
#[track_caller]
fn check_rule(kind: &str, rule: &str, expected: &[&str]) {
    let spec = format!("parentRefs: [{{name: g}}], rules: [{{{rule}}}]");
    check(kind, &spec, expected);
}

const BACKEND: &str = "backendRefs: [{name: a, port: 80}]";
const HTTP: &str = "name: http, port: 80, protocol: HTTP";
