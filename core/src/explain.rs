//! What would happen to a request, and who decided it: the answer of `ringmain explain`.
//!
//! Runs the decision of the data plane on a request that is only described, and adds what the data
//! plane has no use for: the routes that were passed over with the condition that each failed, all
//! destinations rather than the drawn one, and the file and line behind every part.

pub mod tcp;

use std::net::SocketAddr;

use ringmain_config::{
    cluster::Service, duration, endpoint::Workload, listener::Direction, origin::Origin,
    route::BLOCK_ALL,
};
use serde::Serialize;

use crate::{
    failure::Failure,
    header::Edits,
    http1::Reject,
    path::{self, Refused},
    route::{Action, Destination, Direct, Forward, Request, Route, RouteTable},
    snapshot::{ClusterEntry, Listener, ListenerProtocol, Snapshot},
    target,
};

/// A request that nobody sent.
#[derive(Clone, Debug, Default)]
pub struct Described {
    /// `GET`.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host, with the port when the client would send it.
    pub authority: String,
    /// Path and query, as the client would send them.
    pub target: String,
    /// Name and value of each header field.
    pub headers: Vec<(String, String)>,
}

/// What would happen to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Where it comes in.
    pub listener: ListenerPart,
    /// Whose virtual hosts are asked; empty when the listener has none.
    pub route_table: String,
    /// Its path as it is matched and forwarded; absent when it is refused for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The one that has its authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_host: Option<NamedPart>,
    /// Routes before the deciding one, and why each is not it.
    pub passed_over: Vec<PassedOver>,
    /// The deciding one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RoutePart>,
    /// What is done.
    pub outcome: Outcome,
}

/// The listener.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListenerPart {
    /// In the Document.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Which way its traffic flows.
    pub direction: Direction,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl ListenerPart {
    fn of(listener: &Listener) -> Self {
        Self {
            name: listener.config.name.clone(),
            address: listener.config.address,
            direction: listener.config.direction,
            origin: listener.config.origin.clone(),
        }
    }
}

/// A part that has only a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedPart {
    /// In the Document.
    pub name: String,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The deciding route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoutePart {
    /// ROUTE_NAME of the access log.
    pub name: String,
    /// For all tries together, as `1.5s`; absent when there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A route that does not match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassedOver {
    /// Its name.
    pub route: String,
    /// Its first condition that does not hold: `header "x-user" is "jason"`.
    pub condition: String,
    /// What the request has there; absent when it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What is done with the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Sent on to one of these.
    Forward(Vec<DestinationPart>),
    /// Answered with a redirect.
    Redirect {
        /// Of the answer.
        status: u16,
        /// Where it leads.
        location: String,
        /// Edits of the answer.
        response_headers: Vec<EditsPart>,
    },
    /// Answered as written.
    Direct {
        /// Of the answer.
        status: u16,
        /// Of the answer.
        body_bytes: usize,
        /// Edits of the answer.
        response_headers: Vec<EditsPart>,
    },
    /// Refused.
    Refused(RefusedPart),
}

/// Which part refused the request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefusedPart {
    /// `method`, `path`, `route table "x"`, `virtual host "y"` or `route "z"`.
    pub by: String,
    /// One sentence without a full stop.
    pub reason: String,
    /// Of the answer.
    pub status: u16,
    /// Response flag of the access log; `-` for an answer that the configuration holds.
    pub flag: &'static str,
}

/// A cluster that the request may go to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DestinationPart {
    /// Name of the cluster.
    pub cluster: String,
    /// Of the requests, in percent.
    pub share: f64,
    /// It is part of.
    pub service: Service,
    /// Of the service; empty for all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subset: String,
    /// Path and query that are sent.
    pub target: String,
    /// That is sent.
    pub authority: String,
    /// Edits of the request, in the order they are applied in.
    pub request_headers: Vec<EditsPart>,
    /// Edits of the response, in the order they are applied in.
    pub response_headers: Vec<EditsPart>,
    /// Who answers; when there is none, requests are answered 503 with flag UH.
    pub endpoints: Vec<EndpointPart>,
    /// Who asked for the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointPart {
    /// Where it listens.
    pub address: SocketAddr,
    /// Relative to the others.
    pub weight: u32,
    /// Who listens there.
    #[serde(skip_serializing_if = "Workload::is_unknown")]
    pub workload: Workload,
}

/// Header edits of a route or destination.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EditsPart {
    /// Names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Names and values that replace others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, String)>,
    /// Names and values beside others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<(String, String)>,
}

/// What would happen to `described` at `listener`, which is one of `snapshot`.
pub fn explain(snapshot: &Snapshot, listener: &Listener, described: &Described) -> Explanation {
    let mut explanation = Explanation {
        listener: ListenerPart::of(listener),
        route_table: String::new(),
        path: None,
        virtual_host: None,
        passed_over: Vec::new(),
        route: None,
        outcome: Outcome::Forward(Vec::new()),
    };
    let table = match &listener.protocol {
        ListenerProtocol::Http(table) => table,
        ListenerProtocol::Tcp(_) => {
            let by = format!("listener {:?}", listener.config.name);
            let reason = "it carries TCP and knows no requests".to_owned();
            explanation.outcome = refused(by, reason, Failure::NoRoute);
            return explanation;
        }
    };
    explanation.route_table = table.name().to_owned();
    if described.method == "CONNECT" {
        let failure = Failure::BadRequest(Reject::Connect);
        let reason = "tunnels are not offered".to_owned();
        explanation.outcome = refused("method".to_owned(), reason, failure);
        return explanation;
    }
    let (path, query) = match path::split(&described.target) {
        Ok(split) => split,
        Err(refused) => {
            explanation.outcome = refused_path("path".to_owned(), refused);
            return explanation;
        }
    };
    explanation.path = Some(path.clone().into_owned());
    let request = Request {
        method: &described.method,
        scheme: &described.scheme,
        authority: &described.authority,
        path: &path,
        query,
        headers: described.headers.as_slice(),
        listener_port: listener.config.address.port(),
    };
    explanation.outcome = routed(snapshot, table, &request, &mut explanation);
    explanation
}

type DescribedRequest<'a> = Request<'a, [(String, String)]>;

fn routed(
    snapshot: &Snapshot,
    table: &RouteTable,
    request: &DescribedRequest<'_>,
    explanation: &mut Explanation,
) -> Outcome {
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
        origin: route.details.origin.clone(),
    });
    if let (BLOCK_ALL, Action::Direct(direct)) = (&*virtual_host.name, &route.action) {
        return blocked(direct.status, request.authority);
    }
    acted(snapshot, route, request)
        .unwrap_or_else(|refused| refused_path(format!("route {:?}", route.name), refused))
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

fn acted(
    snapshot: &Snapshot,
    route: &Route,
    request: &DescribedRequest<'_>,
) -> Result<Outcome, Refused> {
    let response_headers = || {
        target::response_edits(route, None)
            .map(edits_part)
            .collect()
    };
    match &route.action {
        Action::Forward(forward) => {
            let drawn = forward.destinations.iter().filter(|to| to.weight > 0);
            let parts = drawn.map(|to| destination(snapshot, route, forward, to, request));
            Ok(Outcome::Forward(parts.collect::<Result<_, _>>()?))
        }
        Action::Redirect(redirect) => Ok(Outcome::Redirect {
            status: redirect.status,
            location: target::location(redirect, route, request)?,
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
    snapshot: &Snapshot,
    route: &Route,
    forward: &Forward,
    to: &Destination,
    request: &DescribedRequest<'_>,
) -> Result<DestinationPart, Refused> {
    let mut target = target::path(route, forward, request.path)?.into_owned();
    if let Some(query) = request.query {
        target.push('?');
        target.push_str(query);
    }
    let entry = snapshot
        .cluster(to.cluster)
        .expect("a route of a snapshot names a cluster of it");
    Ok(DestinationPart {
        cluster: entry.cluster.name.clone(),
        share: f64::from(to.weight) * 100.0 / forward.destinations.weight_sum() as f64,
        service: entry.cluster.service.clone(),
        subset: entry.cluster.subset.clone(),
        target,
        authority: target::authority(route, forward, to, request.authority).to_owned(),
        request_headers: target::request_edits(route, Some(to))
            .map(edits_part)
            .collect(),
        response_headers: target::response_edits(route, Some(to))
            .map(edits_part)
            .collect(),
        endpoints: endpoints(entry),
        origin: entry.cluster.origin.clone(),
    })
}

fn endpoints(entry: &ClusterEntry) -> Vec<EndpointPart> {
    let endpoints = entry.endpoints.iter().map(|endpoint| EndpointPart {
        address: endpoint.address,
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
        match edits.dropped.iter().any(|dropped| is(dropped, name)) {
            true => part.set.push(field),
            false => part.add.push(field),
        }
    }
    let dropped = edits.dropped.iter().map(|name| name.to_string());
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
