//! What would happen to a request, and who decided it: the answer of `ringmain explain`.
//!
//! Runs the decision of the data plane on a request that is only described, and adds what the data
//! plane has no use for: the routes that were passed over with the condition that each failed, all
//! destinations rather than the drawn one, and the file and line behind every part.

mod besides;
mod parts;
pub mod tcp;

use std::{borrow::Cow, net::IpAddr};

use ringmain_config::{
    cluster::Cluster,
    document::Document,
    duration,
    route::BLOCK_ALL,
    tuning::{Http, UnderscoresInHeaders},
};

pub use besides::{
    AbortPart, DelayPart, FiltersPart, HashPart, LimitsPart, MirrorPart, RetryBudgetPart, RetryPart,
};
pub use parts::{
    DestinationPart, EditsPart, EndpointPart, Explanation, ListenerPart, NamedPart, Outcome,
    PassedOver, RefusedPart, RoutePart,
};

use crate::{
    failure::Failure,
    filter::Then,
    forwarded, grpc,
    header::{Edits, Headers},
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
/// a proxy that is tuned so (`http`).
pub fn explain(
    compiled: Compiled<'_>,
    http: &Http,
    (listener, table): (&Listener, &RouteTable),
    described: &Described,
) -> Explanation {
    let mut explanation = Explanation {
        listener: ListenerPart::of(listener),
        route_table: table.name().to_owned(),
        path: None,
        virtual_host: None,
        passed_over: Vec::new(),
        route: None,
        outcome: Outcome::Forward(Vec::new()),
    };
    if described.method == "CONNECT" {
        let failure = Failure::BadRequest(Reject::Connect);
        let reason = "tunnels are not offered".to_owned();
        explanation.outcome = refused("method".to_owned(), reason, failure);
        return explanation;
    }
    let headers = match headers(http, described) {
        Ok(headers) => headers,
        Err(outcome) => {
            explanation.outcome = outcome;
            return explanation;
        }
    };
    let (path, query) = match path(http, described, &headers) {
        Ok(split) => split,
        Err(outcome) => {
            explanation.outcome = outcome;
            return explanation;
        }
    };
    explanation.path = Some(path.clone().into_owned());
    let request = Request {
        method: &described.method,
        scheme: scheme(http, listener, &headers),
        authority: &described.authority,
        path: &path,
        query,
        headers: headers.as_slice(),
        listener_port: listener.config.address.port(),
    };
    let asked = Asked {
        compiled,
        request: &request,
        source: described.source,
    };
    explanation.outcome = routed(asked, table, &mut explanation);
    explanation
}

/// A request at the point where routes see it, and what they lead to.
#[derive(Clone, Copy)]
struct Asked<'a> {
    compiled: Compiled<'a>,
    request: &'a DescribedRequest<'a>,
    source: Option<IpAddr>,
}

/// The fields that routes see, `host` among them; or the refusal of a name with `_`.
fn headers(http: &Http, described: &Described) -> Result<Vec<(String, String)>, Outcome> {
    let has_underscore = |(name, _): &&(String, String)| name.contains('_');
    let underscored = described.headers.iter().find(has_underscore);
    if let (UnderscoresInHeaders::Reject, Some((name, _))) =
        (http.underscores_in_headers, underscored)
    {
        let reason = "its name holds `_`, and http.underscores_in_headers is \"reject\"".to_owned();
        let failure = Failure::BadRequest(Reject::HeaderUnderscore);
        return Err(refused(format!("header {name:?}"), reason, failure));
    }
    let drops = http.underscores_in_headers == UnderscoresInHeaders::Drop;
    let sent = described.headers.iter();
    let sent = sent.filter(|field| !drops || !has_underscore(field));
    let host = ("host".to_owned(), described.authority.clone());
    Ok([host].into_iter().chain(sent.cloned()).collect())
}

/// As the proxy decides it for a connection without TLS: what the URL says of it is no proof.
fn scheme(http: &Http, listener: &Listener, headers: &[(String, String)]) -> &'static str {
    let proto = headers.value("x-forwarded-proto");
    let (direction, hops) = (listener.config.direction, http.xff_trusted_hops);
    forwarded::scheme(direction, hops, proto.as_deref(), "http")
}

/// Path and query that routes see; or the answer to a path that none is asked about.
fn path<'a>(
    http: &Http,
    described: &'a Described,
    headers: &[(String, String)],
) -> Result<(Cow<'a, str>, Option<&'a str>), Outcome> {
    let refuse = |refused| refused_path("path".to_owned(), refused);
    let policy = path::Policy::of(http);
    let (made, query) = policy.split(&described.target).map_err(refuse)?;
    let to = match made {
        Made::Path(path) => return Ok((path, query)),
        Made::Redirect(path) => path,
    };
    let content_type = headers.value("content-type");
    if content_type.is_some_and(|value| grpc::is_grpc(&value)) {
        return Err(refuse(Refused::EscapedSlash));
    }
    Err(Outcome::Redirect {
        status: 307,
        location: match query {
            Some(query) => format!("{to}?{query}"),
            None => to,
        },
        response_headers: Vec::new(),
    })
}

type DescribedRequest<'a> = Request<'a, [(String, String)]>;

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
        timeout: route.timeout.map(duration::format),
        filters: besides::filters(route.extras.as_deref(), request),
        retry: besides::retry(route),
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
            let drawn = forward.destinations.iter().filter(|to| to.weight > 0);
            let parts = drawn.map(|to| destination(asked, route, forward, to));
            Ok(Outcome::Forward(parts.collect::<Result<_, _>>()?))
        }
        Action::Redirect(redirect) => Ok(Outcome::Redirect {
            status: redirect.status,
            location: target::location(redirect, route, asked.request)?,
            response_headers: response_headers(),
        }),
        Action::Direct(Direct { status, body }) => Ok(Outcome::Direct {
            status: *status,
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
        request_headers: target::request_edits(route, Some(to))
            .map(edits_part)
            .collect(),
        response_headers: target::response_edits(route, Some(to))
            .map(edits_part)
            .collect(),
        endpoints: match answer {
            Some(_) => Vec::new(),
            None => endpoints(compiled.document, &cluster.name),
        },
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
        flag: facts.flag.name(),
    })
}
