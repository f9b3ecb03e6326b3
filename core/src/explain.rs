//! What would happen to a request, and who decided it: the answer of `ringmain explain`.
//!
//! Runs the decision of the data plane on a request that is only described, and adds what the data
//! plane has no use for: the routes that were passed over with the condition that each failed, all
//! destinations rather than the drawn one, and the file and line behind every part.

mod besides;
mod parts;
mod presented;
pub mod tcp;

use std::{borrow::Cow, net::IpAddr, time::Duration};

use ringmain_config::{
    cluster::Cluster,
    document::Document,
    duration,
    route::BLOCK_ALL,
    tuning::{Http, Tuning},
};

pub use besides::{
    AbortPart, DelayPart, FiltersPart, HashPart, LimitsPart, MirrorPart, RetryBudgetPart, RetryPart,
};
pub use parts::{
    DestinationPart, EditsPart, EndpointPart, Explanation, ListenerPart, NamedPart, Outcome,
    PassedOver, RefusedPart, RoutePart,
};
pub use presented::{PresentedPart, WrittenPart};

use self::presented::{Fields, peer_text};
use crate::{
    failure::Failure,
    filter::Then,
    forwarded::Presented,
    grpc,
    header::{Edits, Headers},
    hops::Hops,
    http1::Reject,
    path::{self, Made, Refused},
    route::{Action, Destination, Direct, Forward, Request, Route, RouteTable},
    snapshot::{Listener, Snapshot},
    target,
};

/// What is asked: a Document, and what it compiles to.
#[derive(Clone, Copy, Debug)]
pub struct Compiled<'a> {
    /// As written.
    pub document: &'a Document,
    /// Made from it.
    pub snapshot: &'a Snapshot,
}

/// A request that nobody sent.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// `GET`.
    pub method: String,
    /// `http` or `https`: as the client means it, which only trusted proxies in front can tell the
    /// proxy (`x-forwarded-proto`).
    pub scheme: String,
    /// Host, with the port when the client would send it.
    pub authority: String,
    /// Path and query, as the client would send them.
    pub target: String,
    /// Name and value of each header field but `host`.
    pub headers: Vec<(String, String)>,
    /// Who opens the connection, where that is known.
    pub source: Option<IpAddr>,
}

/// What would happen to `described` at `listener`, which is one of the snapshot and has `table`, in
/// a proxy that is tuned so.
pub fn explain(
    compiled: Compiled<'_>,
    tuning: &Tuning,
    (listener, table): (&Listener, &RouteTable),
    described: &Described,
) -> Explanation {
    let mut explanation = Explanation {
        listener: ListenerPart::of(listener),
        route_table: table.name().to_owned(),
        is_grpc: is_grpc(described),
        presented: None,
        path: None,
        virtual_host: None,
        passed_over: Vec::new(),
        route: None,
        outcome: Outcome::Forward(Vec::new()),
    };
    let outcome = decided(
        compiled,
        tuning,
        (listener, table),
        described,
        &mut explanation,
    );
    explanation.outcome = match explanation.is_grpc {
        true => outcome.for_grpc(),
        false => outcome,
    };
    explanation
}

fn decided(
    compiled: Compiled<'_>,
    tuning: &Tuning,
    (listener, table): (&Listener, &RouteTable),
    described: &Described,
    explanation: &mut Explanation,
) -> Outcome {
    if described.method == "CONNECT" {
        let failure = Failure::BadRequest(Reject::Connect);
        return refused(
            "method".to_owned(),
            "tunnels are not offered".to_owned(),
            failure,
        );
    }
    let (http, direction) = (&tuning.http, listener.config.direction);
    let peer = peer_text(described);
    let fields = match Fields::of(http, direction, described, &peer) {
        Ok(fields) => fields,
        Err(name) => return refused_underscore(name),
    };
    explanation.presented = Some(fields.part());
    let (path, query) = match path(http, described, fields.scheme()) {
        Ok(split) => split,
        Err(outcome) => return outcome,
    };
    explanation.path = Some(path.clone().into_owned());
    let (set, append) = (fields.set(), fields.append());
    let request = Request {
        method: &described.method,
        scheme: fields.scheme(),
        authority: &described.authority,
        path: &path,
        query,
        headers: &fields.presented(&set, &append),
        listener_port: listener.config.address.port(),
    };
    let asked = Asked {
        compiled,
        request: &request,
        source: described.source,
        is_grpc: explanation.is_grpc,
        hops: fields.hops(),
        replay_bytes: tuning.limits.replay_bytes,
    };
    routed(asked, table, explanation)
}

/// A request at the point where routes see it, and what they lead to.
#[derive(Clone, Copy)]
struct Asked<'a> {
    compiled: Compiled<'a>,
    request: &'a DescribedRequest<'a>,
    source: Option<IpAddr>,
    is_grpc: bool,
    hops: Hops,
    /// See `limits.replay_bytes`.
    replay_bytes: usize,
}

/// gRPC is spoken over HTTP/2 only, so who describes it means that.
fn is_grpc(described: &Described) -> bool {
    let content_type = described.headers.as_slice().value("content-type");
    content_type.is_some_and(|value| grpc::is_grpc(&value))
}

fn refused_underscore(name: &str) -> Outcome {
    let reason = "its name holds `_`, and http.underscores_in_headers is \"reject\"".to_owned();
    let failure = Failure::BadRequest(Reject::HeaderUnderscore);
    refused(format!("header {name:?}"), reason, failure)
}

/// Path and query that routes see; or the answer to a path that none is asked about.
fn path<'a>(
    http: &Http,
    described: &'a Described,
    scheme: &str,
) -> Result<(Cow<'a, str>, Option<&'a str>), Outcome> {
    let refuse = |refused| refused_path("path".to_owned(), refused);
    let policy = path::Policy::of(http);
    let (made, query) = policy.split(&described.target).map_err(refuse)?;
    let to = match made {
        Made::Path(path) => return Ok((path, query)),
        Made::Redirect(path) => path,
    };
    // Clients of gRPC follow no redirect.
    if is_grpc(described) {
        return Err(refuse(Refused::EscapedSlash));
    }
    Err(Outcome::Redirect {
        status: 307,
        grpc_status: None,
        location: target::unescaped(scheme, &described.authority, &to, query),
        response_headers: Vec::new(),
    })
}

type DescribedRequest<'a> = Request<'a, Presented<'a, &'a [(String, String)]>>;

fn routed(asked: Asked<'_>, table: &RouteTable, explanation: &mut Explanation) -> Outcome {
    let Asked {
        compiled, request, ..
    } = asked;
    let Some(virtual_host) = table.virtual_host(request.authority) else {
        let by = format!("route table {:?}", table.name());
        let authority = request.authority;
        return no_route(by, format!("no virtual host has the domain {authority:?}"));
    };
    explanation.virtual_host = Some(NamedPart {
        name: virtual_host.name.to_string(),
        origin: virtual_host.origin.clone(),
    });
    let position = table.position(virtual_host, request);
    let routes = table.routes(virtual_host);
    let before = &routes[..position.unwrap_or(routes.len())];
    explanation.passed_over = passed_over(before, request);
    let Some(position) = position else {
        let by = format!("virtual host {:?}", virtual_host.name);
        return no_route(by, "none of its routes matches".to_owned());
    };
    let route = &routes[position];
    explanation.route = Some(RoutePart {
        name: route.name.to_string(),
        timeout: timeout(asked, route).map(duration::format),
        filters: besides::filters(route.extras.as_deref(), asked),
        retry: besides::retry(route, asked),
        mirrors: besides::mirrors(compiled, route.extras.as_deref()),
        origin: route.details.origin.clone(),
    });
    if let (BLOCK_ALL, Action::Direct(direct)) = (&*virtual_host.name, &route.action) {
        return blocked(direct.status, request.authority);
    }
    if let Some(answer) = preflight(route, request) {
        return answer;
    }
    acted(asked, route)
        .unwrap_or_else(|refused| refused_path(format!("route {:?}", route.name), refused))
}

/// For all tries together. A gRPC request that is sent on may ask for less.
fn timeout(asked: Asked<'_>, route: &Route) -> Option<Duration> {
    let is_call = asked.is_grpc && matches!(route.action, Action::Forward(_));
    let of_call = match is_call {
        true => grpc::call_timeout(asked.request.headers, route.timeout),
        false => None,
    };
    of_call.or(route.timeout)
}

/// The answer to a preflight that goes no further.
fn preflight(route: &Route, request: &DescribedRequest<'_>) -> Option<Outcome> {
    let cors = route.extras.as_ref()?.filters.cors.as_ref()?;
    let set = match cors.request(request) {
        Then::Preflight(granted) => cors
            .preflight_fields(&granted)
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
            .collect(),
        Then::PreflightRefused => Vec::new(),
        Then::Continue | Then::ContinueGranted(_) | Then::Abort(_) => return None,
    };
    let edits = EditsPart {
        set,
        ..EditsPart::default()
    };
    Some(Outcome::Direct {
        status: 200,
        grpc_status: None,
        body_bytes: 0,
        response_headers: vec![edits],
    })
}

fn passed_over(before: &[Route], request: &DescribedRequest<'_>) -> Vec<PassedOver> {
    let unmet = before
        .iter()
        .filter_map(|route| Some((route, route.details.matcher.first_unmet(request)?)));
    unmet
        .map(|(route, unmet)| PassedOver {
            route: route.name.to_string(),
            condition: unmet.to_string(),
            found: unmet.found(request),
            origin: route.details.origin.clone(),
        })
        .collect()
}

fn acted(asked: Asked<'_>, route: &Route) -> Result<Outcome, Refused> {
    let response_headers = || {
        target::response_edits(route, None)
            .map(edits_part)
            .collect()
    };
    match &route.action {
        Action::Forward(forward) => {
            if let Hops::End(status) = asked.hops {
                return Ok(Outcome::Direct {
                    status,
                    grpc_status: None,
                    body_bytes: 0,
                    response_headers: response_headers(),
                });
            }
            let drawn = forward.destinations.iter().filter(|to| to.weight > 0);
            let parts = drawn.map(|to| destination(asked, route, forward, to));
            Ok(Outcome::Forward(parts.collect::<Result<_, _>>()?))
        }
        Action::Redirect(redirect) => Ok(Outcome::Redirect {
            status: redirect.status,
            grpc_status: None,
            location: target::location(redirect, route, asked.request)?,
            response_headers: response_headers(),
        }),
        Action::Direct(Direct { status, body }) => Ok(Outcome::Direct {
            status: *status,
            grpc_status: None,
            body_bytes: body.len(),
            response_headers: response_headers(),
        }),
    }
}

fn destination(
    asked: Asked<'_>,
    route: &Route,
    forward: &Forward,
    to: &Destination,
) -> Result<DestinationPart, Refused> {
    let Asked {
        compiled, request, ..
    } = asked;
    let entry = compiled.snapshot.cluster(to.cluster);
    let mut target = target::path(route, forward, request.path)?.into_owned();
    if let Some(query) = request.query {
        target.push('?');
        target.push_str(query);
    }
    let nothing;
    let (cluster, answer) = match (&to.answer, entry) {
        (None, Some(entry)) => (&*entry.cluster, None),
        (answer, _) => {
            let name = answer.as_ref().map(|answer| answer.name.to_string());
            nothing = Cluster {
                name: name.unwrap_or_default(),
                ..Cluster::default()
            };
            (&nothing, answer.as_ref().map(|answer| answer.status))
        }
    };
    let endpoints = match answer {
        Some(_) => Vec::new(),
        None => endpoints(compiled.document, &cluster.name),
    };
    // Of whoever is there, the answer is not known.
    let status = match endpoints.is_empty() {
        true => answer.or(Some(Failure::NoEndpoint.facts().status)),
        false => None,
    };
    Ok(DestinationPart {
        cluster: cluster.name.clone(),
        share: f64::from(to.weight) * 100.0 / forward.destinations.weight_sum() as f64,
        service: cluster.service.clone(),
        subset: cluster.subset.clone(),
        target,
        authority: target::authority(route, forward, to, request.authority).to_owned(),
        protocol: cluster.protocol,
        hash: entry.and_then(|entry| besides::hash(entry, request, asked.source)),
        limits: LimitsPart::of(cluster),
        answer,
        grpc_status: status.filter(|_| asked.is_grpc).map(grpc::status_of_http),
        request_headers: target::request_edits(route, Some(to))
            .map(edits_part)
            .collect(),
        response_headers: target::response_edits(route, Some(to))
            .map(edits_part)
            .collect(),
        endpoints,
        origin: cluster.origin.clone(),
    })
}

/// As written, since names are looked up by the proxy alone.
fn endpoints(document: &Document, cluster: &str) -> Vec<EndpointPart> {
    let set = document.endpoint_sets.get(cluster);
    let endpoints = set.into_iter().flat_map(|set| &set.value.endpoints);
    let endpoints = endpoints.map(|endpoint| EndpointPart {
        address: endpoint.address.to_string(),
        weight: endpoint.weight,
        workload: (*endpoint.workload).clone(),
    });
    endpoints.collect()
}

/// What is set stands among the dropped names and among the appended fields.
fn edits_part(edits: &Edits) -> EditsPart {
    let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
    let mut part = EditsPart::default();
    for (name, value) in &edits.appended {
        let field = (name.to_string(), value.to_string());
        match edits.dropped.hold(name) {
            true => part.set.push(field),
            false => part.add.push(field),
        }
    }
    let dropped = edits.dropped.iter().map(str::to_owned);
    part.remove = dropped
        .filter(|dropped| !part.set.iter().any(|(name, _)| is(name, dropped)))
        .collect();
    part
}

/// What the configuration answers in place of an unknown service is no answer that was wanted.
fn blocked(status: u16, authority: &str) -> Outcome {
    Outcome::Refused(RefusedPart {
        by: format!("virtual host {BLOCK_ALL:?}"),
        reason: format!("no service or rule in scope has the host {authority:?}"),
        status,
        grpc_status: None,
        flag: "-",
    })
}

fn no_route(by: String, reason: String) -> Outcome {
    refused(by, reason, Failure::NoRoute)
}

fn refused_path(by: String, refused_for: Refused) -> Outcome {
    refused(by, refused_for.to_string(), Failure::BadPath(refused_for))
}

fn refused(by: String, reason: String, failure: Failure) -> Outcome {
    let facts = failure.facts();
    Outcome::Refused(RefusedPart {
        by,
        reason,
        status: facts.status,
        grpc_status: None,
        flag: facts.flag.name(),
    })
}
