//! The order of routes is the one that the API's criteria give when they are asked of each pair.

use proptest::prelude::*;

use super::*;

/// A match as far as precedence looks at it, in a rule of its own.
#[derive(Clone, Debug)]
struct Written {
    /// Of the route: time of creation, namespace, name.
    route: (Option<u8>, &'static str, &'static str),
    /// Place of the rule in its route.
    index: usize,
    path: (&'static str, &'static str),
    method: bool,
    headers: usize,
    query: usize,
}

impl Written {
    /// Unique.
    fn name(&self) -> String {
        let (_, namespace, name) = self.route;
        format!("{namespace}.{name}.{}", self.index)
    }

    fn rule(&self) -> String {
        let condition = |index: usize| format!("{{name: c{index}, value: v}}");
        let list = |count: usize| (0..count).map(condition).collect::<Vec<_>>().join(", ");
        let (kind, path) = self.path;
        format!(
            "{{name: {}, {BACKEND}, matches: [{{path: {{type: {kind}, value: '{path}'}}, headers: \
             [{}], queryParams: [{}]{}}}]}}",
            self.name(),
            list(self.headers),
            list(self.query),
            if self.method { ", method: GET" } else { "" },
        )
    }

    /// `HTTPRouteRule.matches` of the API, one criterion after the other.
    fn goes_before(&self, other: &Self) -> bool {
        let exact = |written: &Self| written.path.0 == "Exact";
        let prefix = |written: &Self| written.path.0 == "PathPrefix";
        if exact(self) != exact(other) {
            return exact(self);
        }
        if prefix(self) != prefix(other) {
            return prefix(self);
        }
        let length = |written: &Self| written.path.1.len();
        if length(self) != length(other) {
            return length(self) > length(other);
        }
        if self.method != other.method {
            return self.method;
        }
        if self.headers != other.headers {
            return self.headers > other.headers;
        }
        if self.query != other.query {
            return self.query > other.query;
        }
        let (created, namespace, name) = self.route;
        let (other_created, other_namespace, other_name) = other.route;
        match (created, other_created) {
            (Some(created), Some(other)) if created != other => return created < other,
            (Some(_), None) => return true,
            (None, Some(_)) => return false,
            _ => {}
        }
        if namespace != other_namespace {
            return namespace < other_namespace;
        }
        if name != other_name {
            return name < other_name;
        }
        self.index < other.index
    }

    fn takes_all(&self) -> bool {
        let is_bare = !self.method && self.headers == 0 && self.query == 0;
        is_bare && self.path == ("PathPrefix", "/")
    }
}

/// Takes away, again and again, the one that nothing left goes before.
fn in_order(mut left: Vec<Written>) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(first) = (0..left.len()).find(|candidate| {
        let others = left.iter().enumerate();
        others
            .into_iter()
            .all(|(index, other)| index == *candidate || !other.goes_before(&left[*candidate]))
    }) {
        let first = left.remove(first);
        names.push(first.name());
        // What is behind a rule that takes everything is not written into the table.
        if first.takes_all() {
            return names;
        }
    }
    assert!(
        left.is_empty(),
        "the criteria go round in a circle: {left:?}"
    );
    names
}

fn rules() -> impl Strategy<Value = Vec<Written>> {
    let path = prop::sample::select(vec![
        ("Exact", "/a"),
        ("Exact", "/a/b"),
        ("PathPrefix", "/"),
        ("PathPrefix", "/a"),
        ("PathPrefix", "/a/b"),
        ("PathPrefix", "/a/b/c"),
        ("RegularExpression", "/.*"),
        ("RegularExpression", "/a/[0-9]+"),
    ]);
    let parts = (0..4_usize, path, any::<bool>(), 0..3_usize, 0..3_usize);
    let parts = prop::collection::vec(parts, 1..14);
    let created = prop::collection::vec(prop::option::of(0..3_u8), 4);
    (parts, created).prop_map(|(parts, created)| {
        let names = [
            ("default", "a"),
            ("default", "b"),
            ("prod", "a"),
            ("abc", "z"),
        ];
        let mut counts = [0; 4];
        parts
            .into_iter()
            .map(|(route, path, method, headers, query)| {
                let (namespace, name) = names[route];
                counts[route] += 1;
                Written {
                    route: (created[route], namespace, name),
                    index: counts[route],
                    path,
                    method,
                    headers,
                    query,
                }
            })
            .collect()
    })
}

fn yaml(rules: &[Written]) -> String {
    let mut routes: Vec<_> = rules.iter().map(|rule| rule.route).collect();
    routes.sort_unstable();
    routes.dedup();
    let mut yaml = MESH.to_owned();
    for route in routes {
        let (created, namespace, name) = route;
        let own = rules.iter().filter(|rule| rule.route == route);
        let own: Vec<_> = own.map(Written::rule).collect();
        let created = created.map_or_else(String::new, |year| {
            format!(", creationTimestamp: '200{year}-01-01T00:00:00Z'")
        });
        yaml += &format!(
            "---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: \
             {name}, namespace: {namespace}{created}}}, spec: {{parentRefs: [{{name: edge, \
             namespace: default}}], rules: [{}]}}}}\n",
            own.join(", ")
        );
    }
    yaml
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_table_is_in_the_order_of_the_criteria(rules in rules()) {
        let yaml = yaml(&rules);
        let (document, _) = assemble(&world(&yaml), &edge());
        let table = &document.route_tables["http.80"].value;
        let found: Vec<_> = table.virtual_hosts[0]
            .routes
            .iter()
            .map(|route| route.name.clone())
            .collect();
        prop_assert_eq!(found, in_order(rules), "{}", yaml);
    }
}

/// In the order that they go in, of one GRPCRoute.
#[test]
fn calls_go_by_the_names_of_services_and_methods() {
    let in_order = [
        "{method: {service: long.Service, method: Method}}",
        "{method: {service: long.Service, method: Get}, headers: [{name: a, value: b}]}",
        "{method: {service: long.Service, method: Put}}",
        "{method: {service: long.Service}, headers: [{name: a, value: b}]}",
        "{method: {service: long.Service}}",
        "{method: {type: RegularExpression, service: short}}",
        "{method: {method: Method}}",
        "{headers: [{name: a, value: b}]}",
        "{}",
    ];
    let rules: Vec<_> = in_order
        .iter()
        .enumerate()
        .rev()
        .map(|(index, matched)| format!("{{name: r{index}, matches: [{matched}], {BACKEND}}}"))
        .collect();
    let spec = format!(
        "parentRefs: [{{name: edge}}], rules: [{}]",
        rules.join(", ")
    );
    let yaml = format!("{MESH}{}", resource("GRPCRoute", "calls", &spec));
    let (document, _) = assemble(&world(&yaml), &edge());
    assert_eq!(
        hosts(&document, "http.80"),
        ["*: r0 r1 r2 r3 r4 r5 r6 r7 r8"]
    );
}
