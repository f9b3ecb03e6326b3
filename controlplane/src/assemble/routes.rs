//! The rules of a VirtualService as the routes that one proxy gets.
//!
//! Conditions on where a rule applies and on the client's workload are decided here, once; the
//! routes keep only what depends on the request. A rule with several matches becomes a route for
//! each, in order.

use ringmain_config::{
    filter::Mirror,
    node::Node,
    origin::Origin,
    retry::RetryPolicy,
    route::{
        Action, Destination, Forward, HeaderEdits, PathMatch, RedirectPath, Route, RouteMatch,
    },
};

use super::{clusters::Clusters, retries};
use crate::resource::{
    metadata::selects,
    virtual_service::{
        GatewayReference, HttpAction, HttpForward, HttpMatch, HttpRoute, VirtualService,
    },
};

/// Where routes are for.
pub(super) struct Place<'a> {
    pub(super) node: &'a Node,
    /// The Gateway, or the mesh.
    pub(super) gateway: &'a GatewayReference,
    /// The port that requests are addressed to.
    pub(super) port: u16,
}

/// The rules that apply at `place`, up to the first that every request matches: what follows it is
/// never reached.
pub(super) fn routes(
    clusters: &mut Clusters<'_>,
    place: &Place<'_>,
    service: &VirtualService,
) -> Vec<Route> {
    let mut routes = Vec::with_capacity(service.http.len());
    for rule in &service.http {
        let before = routes.len();
        if rule.matches.is_empty() {
            let origin = service.metadata.origin_at(rule.span);
            routes.push(route(clusters, place, rule, &HttpMatch::default(), origin));
        }
        for condition in &rule.matches {
            if applies(place, service, condition) {
                let origin = service.metadata.origin_at(condition.span);
                routes.push(route(clusters, place, rule, condition, origin));
            }
        }
        if let Some(all) = routes[before..].iter().position(matches_all) {
            routes.truncate(before + all + 1);
            break;
        }
    }
    routes
}

/// Every request matches.
pub(super) fn matches_all(route: &Route) -> bool {
    let everywhere = match &route.matches.path {
        PathMatch::Any => true,
        PathMatch::Prefix(prefix) => prefix.is_empty() || prefix == "/",
        PathMatch::ElementPrefix(prefix) => prefix == "/",
        PathMatch::Regex(pattern) => pattern == ".*",
        PathMatch::Exact(_) => false,
    };
    everywhere && has_no_condition_but_path(&route.matches)
}

fn has_no_condition_but_path(matches: &RouteMatch) -> bool {
    let RouteMatch {
        path: _,
        ignore_case: _,
        method,
        authority,
        scheme,
        headers,
        query,
    } = matches;
    let is_free = method.is_none() && authority.is_none() && scheme.is_none();
    is_free && headers.is_empty() && query.is_empty()
}

/// The part of a condition that does not depend on the request.
fn applies(place: &Place<'_>, service: &VirtualService, condition: &HttpMatch) -> bool {
    let here = if condition.gateways.is_empty() {
        let mut gateways = service.gateways.iter();
        gateways.any(|gateway| gateway.value == *place.gateway)
    } else {
        condition.gateways.contains(place.gateway)
    };
    let from = condition.source_namespace.as_ref();
    here && condition.port.is_none_or(|port| port == place.port)
        && from.is_none_or(|namespace| *namespace == place.node.namespace)
        && selects(&condition.source_labels, &place.node.labels)
}

fn route(
    clusters: &mut Clusters<'_>,
    place: &Place<'_>,
    rule: &HttpRoute,
    condition: &HttpMatch,
    origin: Origin,
) -> Route {
    Route {
        name: name(&rule.name, &condition.name),
        matches: RouteMatch {
            path: path(rule, condition),
            ignore_case: condition.ignore_uri_case,
            method: condition.method.clone(),
            authority: condition.authority.clone(),
            scheme: condition.scheme.clone(),
            headers: condition.headers.clone(),
            query: condition.query_params.clone(),
        },
        action: action(clusters, place, rule),
        request_headers: rule.headers.request().clone(),
        response_headers: rule.headers.response().clone(),
        timeout: rule.timeout,
        origin: Some(origin),
        filters: rule.filters.as_deref().cloned().unwrap_or_default(),
    }
}

/// `rule.match`, as Istio names it in the access log.
fn name(rule: &str, condition: &str) -> String {
    if condition.is_empty() {
        rule.to_owned()
    } else {
        format!("{rule}.{condition}")
    }
}

/// A rule without a condition on the path matches the prefix `/`; that is worth writing only where
/// the prefix is going to be replaced.
fn path(rule: &HttpRoute, condition: &HttpMatch) -> PathMatch {
    let replaced = match &rule.action {
        HttpAction::Route(forward) => {
            let rewrite = forward.rewrite.as_ref();
            rewrite.is_some_and(|rewrite| rewrite.path.is_some())
        }
        HttpAction::Redirect(redirect) => matches!(redirect.path, RedirectPath::Prefix(_)),
        HttpAction::DirectResponse(_) => false,
    };
    match &condition.uri {
        PathMatch::Any if replaced => PathMatch::Prefix("/".to_owned()),
        written => written.clone(),
    }
}

fn action(clusters: &mut Clusters<'_>, place: &Place<'_>, rule: &HttpRoute) -> Action {
    match &rule.action {
        HttpAction::Route(forward) => Action::Forward(forwarded(clusters, place, forward)),
        HttpAction::Redirect(redirect) => Action::Redirect(redirect.clone()),
        HttpAction::DirectResponse(response) => Action::Direct(response.clone()),
    }
}

fn forwarded(clusters: &mut Clusters<'_>, place: &Place<'_>, forward: &HttpForward) -> Forward {
    let destinations = forward.destinations.iter().map(|destination| Destination {
        cluster: clusters.of_destination(&destination.destination, place.port),
        weight: destination.weight,
        request_headers: destination.headers.request().clone(),
        response_headers: destination.headers.response().clone(),
        ..Destination::default()
    });
    let destinations: Vec<_> = destinations.collect();
    let names = destinations.iter().map(|to| to.cluster.as_str());
    let retry = retries::of_route(forward.retries.as_deref(), clusters.choose_by_hash(names));
    let mirrors = forward.mirrors.iter().map(|mirror| Mirror {
        cluster: clusters.of_destination(&mirror.destination, place.port),
        share: mirror.share,
    });
    Forward {
        destinations,
        rewrite: forward.rewrite.clone(),
        retry,
        mirrors: mirrors.collect(),
    }
}

/// The route of a service that no VirtualService is written for, and of an inbound port. `retry`:
/// absent, the table's.
pub(super) fn default_route(
    cluster: String,
    retry: Option<RetryPolicy>,
    origin: Option<Origin>,
) -> Route {
    let destination = Destination {
        cluster,
        weight: 100,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        ..Destination::default()
    };
    everything(
        "default",
        Action::Forward(Forward {
            destinations: vec![destination],
            retry,
            ..Forward::default()
        }),
        origin,
    )
}

/// A route that every request matches.
pub(super) fn everything(name: &str, action: Action, origin: Option<Origin>) -> Route {
    Route {
        name: name.to_owned(),
        matches: RouteMatch::default(),
        action,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        timeout: None,
        origin,
        filters: Default::default(),
    }
}
