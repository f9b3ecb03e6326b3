//! What the tests of the kinds share: a resource's `spec` in, the resource or every rendered
//! problem out.

use std::sync::Arc;

use super::{Resource, parse};

/// A document of namespace `default` with the name `name`.
pub(super) fn document(kind: &str, spec: &str) -> String {
    let api_version = match kind {
        "Service" => "v1",
        _ => "networking.istio.io/v1",
    };
    let spec = spec.replace('\n', "\n  ");
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: name\nspec:\n  {spec}")
}

/// The only resource of a document that is without fault.
pub(super) fn read(kind: &str, spec: &str) -> Arc<Resource> {
    let loaded = parse("file.yaml", &document(kind, spec));
    assert_eq!(loaded.problems, [], "{spec}");
    let [resource] = loaded.resources.as_slice() else {
        panic!("{} resources in {spec}", loaded.resources.len());
    };
    Arc::clone(resource)
}

/// The problems of a document, without its file and name; lines count from `spec:`'s first.
#[track_caller]
pub(super) fn check(kind: &str, spec: &str, expected: &[&str]) {
    let loaded = parse("file.yaml", &document(kind, spec));
    let problems: Vec<String> = loaded
        .problems
        .iter()
        .map(|problem| {
            let rendered = problem.to_string();
            let place = format!("file.yaml:{}:{}: ", problem.line, problem.column);
            let rest = rendered
                .strip_prefix(&place)
                .expect("a problem begins with its place");
            let name = format!("{kind} default/name > ");
            format!(
                "{}:{} {}",
                problem.line - 5,
                problem.column - 2,
                rest.replace(&name, "")
            )
        })
        .collect();
    assert_eq!(problems, expected, "{spec}");
    // A warning of a document without effect leaves nothing behind either.
    assert!(
        !loaded.has_errors() || loaded.resources.is_empty(),
        "{spec}"
    );
}
