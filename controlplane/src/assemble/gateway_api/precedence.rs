//! Which of two matches goes first, whatever the order they were written in. The proxy takes the
//! first route that matches, so this order is made when routes are assembled.

use super::attach::Attached;
use crate::resource::{
    gateway_api::{Match, PathCondition, Route, Rpc, Rule, Target},
    span::Spanned,
};

/// A match and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) route: &'a Route,
    pub(crate) rule_index: usize,
    pub(crate) rule: &'a Spanned<Rule>,
    pub(crate) match_index: usize,
    pub(crate) matched: &'a Spanned<Match>,
}

/// Every match of routes, themselves by precedence, in the order that requests are held against.
pub(crate) fn in_order<'a>(attached: &[Attached<'a>]) -> Vec<Place<'a>> {
    let mut places = Vec::new();
    for route in attached.iter().map(|attached| attached.route) {
        for (rule_index, rule) in route.rules.iter().enumerate() {
            let matches = rule.matches.iter().enumerate();
            places.extend(matches.map(|(match_index, matched)| Place {
                route,
                rule_index,
                rule,
                match_index,
                matched,
            }));
        }
    }
    // Stable: equals stay in the order of their routes, and then as written.
    places.sort_by_cached_key(|place| std::cmp::Reverse(Specificity::of(place.matched)));
    places
}

/// How specific a match is: the greater goes first. Between equals the older route does, then by
/// namespace and name, then the rule that was written first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Specificity {
    kind: PathKind,
    /// Characters of the path, or of the name of the gRPC service.
    characters: usize,
    /// Characters of the name of the gRPC method.
    method_characters: usize,
    has_method: bool,
    headers: usize,
    query_parameters: usize,
}

/// As Istio does, a regular expression goes after every prefix, even `/`: nothing says how specific
/// it is. The API leaves its place open (`HTTPRouteRule.matches`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathKind {
    Regex,
    Prefix,
    Exact,
    /// Only beside others of its kind.
    Rpc,
}

impl Specificity {
    fn of(matched: &Match) -> Self {
        let count = |text: &str| text.chars().count();
        let (kind, characters, method_characters) = match &matched.target {
            Target::Path(PathCondition::Exact(path)) => (PathKind::Exact, count(path), 0),
            Target::Path(PathCondition::Prefix(prefix)) => (PathKind::Prefix, count(prefix), 0),
            Target::Path(PathCondition::Regex(pattern)) => (PathKind::Regex, count(pattern), 0),
            Target::Rpc(Rpc {
                service, method, ..
            }) => {
                let count = |name: &Option<String>| name.as_deref().map_or(0, count);
                (PathKind::Rpc, count(service), count(method))
            }
        };
        Self {
            kind,
            characters,
            method_characters,
            has_method: matched.method.is_some(),
            headers: matched.headers.len(),
            query_parameters: matched.query.len(),
        }
    }
}
