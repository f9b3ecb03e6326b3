//! The rules of HTTPRoutes and GRPCRoutes as the routes that one proxy gets.

use ringmain_config::{
    filter::{Filters, Mirror},
    retry::{RetryOn, RetryPolicy},
    route::{
        Action, Destination, DirectResponse, Forward, PathMatch, RegexRewrite, Rewrite, Route,
        RouteMatch, StringMatch,
    },
};

use super::{
    attach::Attached,
    precedence::{self, Place},
};
use crate::{
    assemble::{Assembly, clusters::cluster_name, retries},
    resource::{
        self,
        gateway_api::{
            Backend, BackendReference, Match, PathCondition, PathModifier, RouteKind, Rpc,
            RpcPattern, Rule, RuleAction, Target,
        },
        span::Spanned,
    },
};

/// The rules of `attached` routes in their order of precedence, up to the first that every request
/// matches: what follows it is never reached.
pub(super) fn routes(assembly: &mut Assembly<'_>, attached: &[Attached<'_>]) -> Vec<Route> {
    let mut routes = Vec::new();
    for place in precedence::in_order(attached) {
        routes.push(route(assembly, &place));
        if place.matched.takes_everything() {
            break;
        }
    }
    routes
}

fn route(assembly: &mut Assembly<'_>, place: &Place<'_>) -> Route {
    let Place {
        route,
        rule_index,
        rule,
        matched,
        ..
    } = place;
    let metadata = &route.metadata;
    Route {
        name: match rule.name.as_str() {
            "" => format!("{}.{}.{rule_index}", metadata.namespace, metadata.name),
            name => name.to_owned(),
        },
        matches: route_match(matched),
        action: action(assembly, route.kind, rule, matched),
        filters: Filters {
            fault: None,
            cors: rule.cors.clone(),
        },
        request_headers: rule.request_headers.clone(),
        response_headers: rule.response_headers.clone(),
        timeout: rule.timeout,
        origin: Some(metadata.origin_at(matched.span)),
    }
}

fn route_match(matched: &Match) -> RouteMatch {
    RouteMatch {
        path: match &matched.target {
            Target::Path(condition) => path(condition),
            Target::Rpc(rpc) => rpc_path(rpc),
        },
        method: matched.method.clone().map(StringMatch::Exact),
        headers: matched.headers.clone(),
        query: matched.query.clone(),
        ..RouteMatch::default()
    }
}

fn path(condition: &PathCondition) -> PathMatch {
    match condition {
        PathCondition::Exact(path) => PathMatch::Exact(path.clone()),
        PathCondition::Prefix(prefix) => PathMatch::ElementPrefix(prefix.clone()),
        PathCondition::Regex(pattern) => PathMatch::Regex(pattern.clone()),
    }
}

/// The path of a call is `/package.Service/Method`.
fn rpc_path(rpc: &Rpc) -> PathMatch {
    let Rpc {
        pattern,
        service,
        method,
    } = rpc;
    match (pattern, service, method) {
        (_, None, None) => PathMatch::Any,
        (RpcPattern::Exact, Some(service), Some(method)) => {
            PathMatch::Exact(format!("/{service}/{method}"))
        }
        (RpcPattern::Exact, Some(service), None) => PathMatch::Prefix(format!("/{service}/")),
        // A name that was not refused holds nothing that means something in a pattern.
        (RpcPattern::Exact | RpcPattern::Regex, service, method) => {
            let any = "[^/]+";
            let part = |name: &Option<String>| match name {
                Some(name) => format!("(?:{name})"),
                None => any.to_owned(),
            };
            PathMatch::Regex(format!("/{}/{}", part(service), part(method)))
        }
    }
}

fn action(assembly: &mut Assembly<'_>, kind: RouteKind, rule: &Rule, matched: &Match) -> Action {
    let failure = Action::Direct(DirectResponse {
        status: kind.failure_status(),
        body: Vec::new(),
    });
    let forward = match &rule.action {
        RuleAction::Redirect(redirect) => return Action::Redirect(redirect.clone()),
        RuleAction::Fail => return failure,
        RuleAction::Forward(forward) => forward,
    };
    if forward.backends.iter().all(|backend| backend.weight == 0) {
        return failure;
    }
    let backends = forward.backends.iter();
    let destinations: Vec<_> = backends
        .map(|backend| destination(assembly, kind, backend))
        .collect();
    let names = destinations.iter().filter(|to| to.answer.is_none());
    let mut names = names.map(|to| to.cluster.as_str()).peekable();
    let chosen_by_hash = names.peek().is_some() && assembly.clusters.choose_by_hash(names);
    Action::Forward(Forward {
        destinations,
        rewrite: forward
            .rewrite
            .as_ref()
            .map(|rewrite| of_match(rewrite, matched)),
        retry: retry(rule, chosen_by_hash),
        mirrors: mirrors(assembly, kind, rule),
    })
}

fn destination(
    assembly: &mut Assembly<'_>,
    kind: RouteKind,
    backend: &Spanned<Backend>,
) -> Destination {
    let reference = &backend.reference;
    let found = match backend.is_usable {
        true => cluster(assembly, kind, reference),
        false => None,
    };
    Destination {
        answer: found.is_none().then(|| kind.failure_status()),
        cluster: found.unwrap_or_else(|| name_of(reference)),
        weight: backend.weight,
        request_headers: backend.request_headers.clone(),
        response_headers: backend.response_headers.clone(),
    }
}

/// The cluster of a service at one of its ports. None when either is not there.
fn cluster(
    assembly: &mut Assembly<'_>,
    kind: RouteKind,
    reference: &BackendReference,
) -> Option<String> {
    let service = assembly
        .world
        .registry()
        .service(reference.host.as_deref()?)?;
    let port = reference.port.as_deref()?;
    service.port(*port)?;
    Some(match kind {
        RouteKind::Http => assembly.clusters.of_service(service, *port),
        RouteKind::Grpc => assembly.clusters.of_grpc_service(service, *port),
    })
}

/// What is not there has a name in logs all the same.
fn name_of(reference: &BackendReference) -> String {
    match (&reference.host, &reference.port) {
        (Some(host), Some(port)) => cluster_name(host, "", port.value),
        _ => reference.shown.clone(),
    }
}

/// Copies go to the backends that are there; `check` names the others.
fn mirrors(assembly: &mut Assembly<'_>, kind: RouteKind, rule: &Rule) -> Vec<Mirror> {
    let mirrors = rule.mirrors.iter();
    mirrors
        .filter_map(|mirror| {
            Some(Mirror {
                cluster: cluster(assembly, kind, &mirror.reference)?,
                share: mirror.share,
            })
        })
        .collect()
}

/// A rewrite for requests that this match is met by.
fn of_match(rewrite: &resource::gateway_api::Rewrite, matched: &Match) -> Rewrite {
    let is_prefix = matches!(matched.target, Target::Path(PathCondition::Prefix(_)));
    let mut made = Rewrite {
        authority: rewrite.authority.clone(),
        ..Rewrite::default()
    };
    match &rewrite.path {
        // What matched is a part of the path, and all of it is to be replaced.
        Some(PathModifier::Full(path)) if is_prefix => {
            made.regex = Some(RegexRewrite {
                pattern: "^.*$".to_owned(),
                substitution: path.clone(),
            });
        }
        Some(PathModifier::Full(path) | PathModifier::Prefix(path)) => {
            made.path = Some(path.clone());
        }
        None => {}
    }
    made
}

/// A limit for each try is a part of the policy, which is then the table's but for the limit. To
/// avoid endpoints that were tried would undo a choice by hash.
fn retry(rule: &Rule, chosen_by_hash: bool) -> Option<RetryPolicy> {
    let default = RetryPolicy {
        per_try_timeout: rule.backend_timeout,
        avoids_previous_endpoints: !chosen_by_hash,
        ..retries::of_table()
    };
    let Some(retry) = &rule.retry else {
        return (rule.backend_timeout.is_some() || chosen_by_hash).then_some(default);
    };
    if retry.attempts == Some(0) {
        return Some(RetryPolicy {
            per_try_timeout: rule.backend_timeout,
            ..RetryPolicy::default()
        });
    }
    // The API has what ends a connection tried again where anything is (`HTTPRouteRetry`).
    let mut on = default.on;
    on.push(RetryOn::Reset);
    Some(RetryPolicy {
        attempts: retry.attempts.unwrap_or(default.attempts),
        on,
        status_codes: retry.status_codes.clone(),
        back_off: retry.back_off.unwrap_or(default.back_off),
        back_off_is_minimum: retry.back_off.is_some(),
        ..default
    })
}
