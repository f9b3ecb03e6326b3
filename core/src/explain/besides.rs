//! What a route does besides its action, for [`super::explain()`]: filters, retries, copies, and
//! what keeps a client at an endpoint.

use std::net::{IpAddr, Ipv4Addr};

use ringmain_config::{
    cluster::{Cluster, HashKey, Protocol},
    duration,
    filter::{AbortWith, Share},
    retry::RetryOn,
};
use serde::Serialize;

use super::{Asked, Compiled, DescribedRequest};
use crate::{
    affinity::Affinity,
    balance,
    filter::{Filters, Then},
    grpc::{self, LocalAnswer},
    header::Headers,
    route::{Action, Extras, Mirror, Route},
    snapshot::ClusterEntry,
};

/// What a request meets before the route's action.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FiltersPart {
    /// Some requests wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<DelayPart>,
    /// Some requests are answered on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<AbortPart>,
    /// What the policy for other origins says of this request, as a sentence without a full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<String>,
}

impl FiltersPart {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A delay on purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DelayPart {
    /// As `1.5s`.
    pub duration: String,
    /// Of the requests, in percent.
    pub share: f64,
}

/// An answer on purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AbortPart {
    /// Of the answer.
    pub status: u16,
    /// Of the answer, in gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u8>,
    /// Of the requests, in percent.
    pub share: f64,
}

/// What is done about tries that fail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetryPart {
    /// `route`, or `route table` when the route says nothing of retries.
    pub by: &'static str,
    /// Further tries behind the first.
    pub attempts: u32,
    /// What is worth another try.
    pub on: Vec<RetryOn>,
    /// Statuses that are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_codes: Vec<u16>,
    /// For each try, as `1.5s`; absent when there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<String>,
    /// Longest wait before the first further try, as `0.025s`.
    pub back_off: String,
    /// Shortest wait before any further try, as `0.5s`; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back_off_minimum: Option<String>,
    /// Endpoints that were tried are avoided.
    pub avoids_previous_endpoints: bool,
    /// A request whose body was sent in part is tried again when that is no longer than so
    /// (`limits.replay_bytes`); absent when it never is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_bytes: Option<usize>,
}

/// A copy of some requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MirrorPart {
    /// Where to.
    pub cluster: String,
    /// Of the requests, in percent.
    pub share: f64,
}

/// What keeps a client at an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HashPart {
    /// `header "x-user"`, `cookie "session"`, `query parameter "user"`, `source address`.
    pub by: String,
    /// The request has it; absent when that depends on who sends it. Without it, an endpoint is
    /// drawn at random, or a cookie is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_there: Option<bool>,
    /// A client without the cookie is given one for so long, as `60s`; `0s` for its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gives_cookie: Option<String>,
    /// The address that the request goes to as long as it is there; absent when that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// What bounds the requests to a cluster, of one proxy. What is absent has no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LimitsPart {
    /// Connections, beyond which requests wait (`maxConnections`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// That wait for a connection (`http1MaxPendingRequests`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<u32>,
    /// At a time (`http2MaxRequests`); one more is answered 503 with flag UO.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u32>,
    /// Further tries at a time (`maxRetries`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Further tries at a time, by the number of requests (`retryBudget`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudgetPart>,
    /// On one HTTP/2 connection at a time (`maxConcurrentStreams`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<u32>,
    /// On one connection in all (`maxRequestsPerConnection`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_connection: Option<u32>,
}

/// How many further tries are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RetryBudgetPart {
    /// Of the requests under way, in percent.
    pub percent: f64,
    /// So many always.
    pub minimum: u32,
}

impl LimitsPart {
    /// Those of `cluster`.
    pub fn of(cluster: &Cluster) -> Self {
        let (http, budget) = (&cluster.connections.http, cluster.retry_budget);
        Self {
            connections: cluster.connections.tcp.connections_max,
            pending: http.pending_max,
            requests: http.active_max,
            retries: http.retries_max,
            retry_budget: budget.map(|budget| RetryBudgetPart {
                percent: f64::from(budget.share) / 100.0,
                minimum: budget.concurrency_min,
            }),
            streams: http.streams_max,
            per_connection: Some(cluster.connections.requests_max).filter(|max| *max > 0),
        }
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn filters(extras: Option<&Extras>, asked: Asked<'_>) -> FiltersPart {
    let request = asked.request;
    let Some(Filters { fault, cors }) = extras.map(|extras| &extras.filters) else {
        return FiltersPart::default();
    };
    let (delay, abort) = match fault {
        Some(fault) => fault.parts(),
        None => (None, None),
    };
    FiltersPart {
        delay: delay.map(|delay| DelayPart {
            duration: duration::format(delay.duration),
            share: percent(delay.share),
        }),
        abort: abort.map(|abort| {
            let (status, grpc_status) = match abort.with {
                AbortWith::Http(status) if asked.is_grpc => {
                    (LocalAnswer::HTTP_STATUS, Some(grpc::status_of_http(status)))
                }
                AbortWith::Http(status) => (status, None),
                AbortWith::Grpc(status) => (LocalAnswer::HTTP_STATUS, Some(status)),
            };
            AbortPart {
                status,
                grpc_status,
                share: percent(abort.share),
            }
        }),
        cors: cors
            .as_ref()
            .map(|cors| of_cors(&cors.request(request), request)),
    }
}

fn of_cors(then: &Then, request: &DescribedRequest<'_>) -> String {
    let origin = request.headers.value("origin").unwrap_or_default();
    if origin.is_empty() {
        return "the request names no origin".to_owned();
    }
    let origin = String::from_utf8_lossy(&origin);
    match then {
        Then::ContinueGranted(_) => format!("pages of {origin:?} may read the answer"),
        Then::Preflight(_) => format!("the preflight of {origin:?} is answered here, and allowed"),
        Then::PreflightRefused => {
            format!("the preflight of {origin:?} is answered here, and not allowed")
        }
        Then::Continue | Then::Abort(_) => format!("pages of {origin:?} may not read the answer"),
    }
}

pub(super) fn retry(route: &Route, asked: Asked<'_>) -> Option<RetryPart> {
    let policy = route.retry.as_deref()?;
    let may_be_http2 = may_be_http2(route, asked);
    let keeps = policy.attempts > 0 && policy.needs_replay(asked.is_grpc, may_be_http2);
    let (shortest, longest) = policy.back_off_bounds(1);
    Some(RetryPart {
        by: match route.details.retries_itself {
            true => "route",
            false => "route table",
        },
        attempts: policy.attempts,
        on: policy.words().to_vec(),
        status_codes: policy.status_codes().to_vec(),
        per_try_timeout: policy.per_try_timeout.map(duration::format),
        back_off: duration::format(longest),
        back_off_minimum: (!shortest.is_zero()).then(|| duration::format(shortest)),
        avoids_previous_endpoints: policy.avoids_previous_endpoints,
        replay_bytes: keeps.then_some(asked.replay_bytes),
    })
}

/// One of its clusters is, or may be, spoken HTTP/2 to.
fn may_be_http2(route: &Route, asked: Asked<'_>) -> bool {
    let Action::Forward(forward) = &route.action else {
        return false;
    };
    let mut destinations = forward.destinations.iter();
    destinations.any(|to| {
        let entry = asked.compiled.snapshot.cluster(to.cluster);
        entry.is_some_and(|entry| entry.cluster.protocol != Protocol::Http1)
    })
}

pub(super) fn mirrors(compiled: Compiled<'_>, extras: Option<&Extras>) -> Vec<MirrorPart> {
    let part = |mirror: &Mirror| {
        let entry = compiled.snapshot.cluster(mirror.cluster)?;
        Some(MirrorPart {
            cluster: entry.cluster.name.clone(),
            share: percent(mirror.share),
        })
    };
    let mirrors = extras.iter().flat_map(|extras| &extras.mirrors);
    mirrors.filter_map(part).collect()
}

/// `source`: the client's address, where it is known.
pub(super) fn hash(
    entry: &ClusterEntry,
    request: &DescribedRequest<'_>,
    source: Option<IpAddr>,
) -> Option<HashPart> {
    let cluster = &entry.cluster;
    let key = cluster
        .hash
        .as_ref()
        .filter(|_| cluster.balancer.hashes())?;
    let (by, needs_source, ttl) = match key {
        HashKey::SourceAddress => ("source address".to_owned(), true, None),
        HashKey::Header(name) => (format!("header {name:?}"), false, None),
        HashKey::QueryParameter(name) => (format!("query parameter {name:?}"), false, None),
        HashKey::Cookie(key) => (format!("cookie {:?}", key.name), false, key.ttl),
    };
    let address = source.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let affinity = Affinity::of(key, request, address, &mut || 0);
    // A cookie that is only given now is another one each time.
    let known = affinity.hash.filter(|_| affinity.set_cookie.is_none());
    let is_known = !needs_source || source.is_some();
    Some(HashPart {
        by,
        is_there: is_known.then_some(known.is_some()),
        gives_cookie: ttl.filter(|_| known.is_none()).map(duration::format),
        endpoint: known
            .filter(|_| is_known)
            .and_then(|hash| chosen(entry, hash)),
    })
}

/// The address that `hash` belongs to, as every worker of every proxy finds it. `None` where names
/// are to be looked up first.
fn chosen(entry: &ClusterEntry, hash: u64) -> Option<String> {
    if entry.has_names() {
        return None;
    }
    let mut state = balance::State::new(entry.cluster.balancer);
    let endpoints = &entry.endpoints;
    let position = state.pick(endpoints, Some(hash), |_| 0, |_| false, &mut || 0)?;
    let endpoint = endpoints.get(position)?;
    Some(endpoint.address.to_string())
}

fn percent(share: Share) -> f64 {
    f64::from(share.0) * 100.0 / f64::from(Share::ALL.0)
}
