//! What the flags ask for, as a plan of the load generator.

use std::time::Duration;

use bytes::Bytes;
use ringmain_loadgen::{
    Arrivals, Direction, Identity, Io, Kind, Pace, Plan, Stop, Target, Tls, Url, Usage,
    output::{Figure, Objective},
};

use super::{
    flags::{self, Demands, Flags},
    parse::{Budget, Goal, Protocol},
};
use crate::fault::Fault;

/// Without `--duration` and `--requests`.
const DURATION: Duration = Duration::from_secs(10);
/// Without `--connections`, in a closed loop.
const CONNECTIONS: usize = 64;
/// Without `--connections`, in an open loop.
const CONNECTIONS_MAX: usize = 256;
/// Without a body, where something must come back.
const ECHO_BYTES: usize = 64;

/// The plan, checked.
pub(super) fn of(flags: &Flags) -> Result<Plan, Fault> {
    let kind = kind(flags)?;
    let http = matches!(kind, Kind::Http1 | Kind::Http2 | Kind::Negotiated);
    if let Some(method) = flags.method.as_ref().filter(|_| !http) {
        return Err(Fault::Usage(format!(
            "--method {method} is not possible with {}: it has no methods",
            kind.name()
        )));
    }
    if kind.is_stream() && !objectives(&flags.demands).is_empty() {
        return Err(Fault::Usage(format!(
            "objectives (--max-..., --min-rate) are not possible with {}: it has no requests",
            kind.name()
        )));
    }
    let body = body(flags, kind)?;
    let pace = pace(flags);
    let is_open = matches!(pace, Pace::Open { .. });
    let plan = Plan {
        kind,
        stop: match flags.requests {
            Some(requests) => Stop::Requests(requests),
            None => Stop::After(flags.duration.unwrap_or(DURATION)),
        },
        warmup: flags.warmup,
        ramp: flags.ramp,
        connections: flags.connections.unwrap_or(match is_open {
            true => CONNECTIONS_MAX,
            false => CONNECTIONS,
        }),
        usage: match flags.connections {
            Some(_) => Usage::All,
            None => Usage::Few,
        },
        streams: flags.streams,
        connect_per_request: flags.connect_per_request,
        connect_timeout: flags.connect_timeout,
        request_timeout: flags.timeout,
        workers: flags.workers.unwrap_or(1),
        pin: flags.workers.is_some(),
        io: match flags.io {
            flags::Io::Auto => Io::Auto,
            flags::Io::Uring => Io::Uring,
            flags::Io::Epoll => Io::Epoll,
        },
        tls: tls(flags)?,
        ..Plan::new(targets(flags, &body), pace)
    };
    plan.check()
        .map_err(|error| Fault::Usage(error.to_string()))?;
    Ok(plan)
}

/// What is demanded of the run, in the order of the flags.
pub(super) fn objectives(demands: &Demands) -> Vec<Objective> {
    let latencies = [
        (Figure::Mean, demands.max_mean),
        (Figure::P50, demands.max_p50),
        (Figure::P90, demands.max_p90),
        (Figure::P99, demands.max_p99),
        (Figure::P999, demands.max_p999),
        (Figure::Max, demands.max_latency),
    ];
    let latencies = latencies
        .into_iter()
        .filter_map(|(figure, limit)| Some(Objective::Latency(figure, limit?)));
    let errors = demands.max_errors.map(|budget| match budget {
        Budget::Count(count) => Objective::Errors(count),
        Budget::Share(share) => Objective::ErrorShare(share),
    });
    let rate = demands.min_rate.map(Objective::Rate);
    latencies.chain(errors).chain(rate).collect()
}

/// What all URLs have in common, together with the flags about it.
fn kind(flags: &Flags) -> Result<Kind, Fault> {
    let first = flags
        .goals
        .first()
        .ok_or_else(|| Fault::Usage("no URL is given".to_owned()))?;
    let other = flags
        .goals
        .iter()
        .find(|goal| goal.protocol != first.protocol);
    if let Some(other) = other {
        return Err(Fault::Usage(format!(
            "{} and {} cannot be measured together: they do not speak the same protocol",
            first.name, other.name
        )));
    }
    let version = [("--http1", flags.http1), ("--http2", flags.http2)];
    let version = version.into_iter().find(|(_, given)| *given);
    if let Some((flag, _)) = version.filter(|_| first.protocol != Protocol::Http) {
        return Err(Fault::Usage(format!(
            "{flag} is about http:// and https:// only, not about {}",
            first.name
        )));
    }
    Ok(match first.protocol {
        Protocol::Http if flags.http1 => Kind::Http1,
        Protocol::Http if flags.http2 => Kind::Http2,
        Protocol::Http if flags.goals.iter().any(|goal| goal.url.scheme.is_secure()) => {
            Kind::Negotiated
        }
        Protocol::Http => Kind::Http1,
        Protocol::Grpc => Kind::Grpc,
        Protocol::WebSocket => Kind::WebSocket,
        Protocol::Echo => Kind::TcpEcho,
        Protocol::Stream => Kind::TcpStream(match flags.direction {
            flags::Direction::Send => Direction::Send,
            flags::Direction::Receive => Direction::Receive,
            flags::Direction::Both => Direction::Both,
        }),
    })
}

fn pace(flags: &Flags) -> Pace {
    match flags.rate {
        Some(rate) => Pace::Open {
            rate,
            arrivals: match flags.arrivals {
                flags::Arrivals::Constant => Arrivals::Constant,
                flags::Arrivals::Exponential => Arrivals::Exponential { seed: flags.seed },
            },
        },
        None => Pace::Closed,
    }
}

fn body(flags: &Flags, kind: Kind) -> Result<Bytes, Fault> {
    match (&flags.body, flags.body_size) {
        (Some(text), _) => match text.strip_prefix('@') {
            Some(file) => std::fs::read(file)
                .map(Bytes::from)
                .map_err(|error| Fault::new(format!("cannot read the body from {file}: {error}"))),
            None => Ok(text.clone().into()),
        },
        (None, Some(bytes)) => Ok(Target::filler(bytes)),
        (None, None) if matches!(kind, Kind::TcpEcho | Kind::WebSocket) => {
            Ok(Target::filler(ECHO_BYTES))
        }
        (None, None) => Ok(Bytes::new()),
    }
}

fn targets(flags: &Flags, body: &Bytes) -> Vec<Target> {
    let has_body = flags.body.is_some() || flags.body_size.is_some();
    let method = match &flags.method {
        Some(method) => method.as_str(),
        None if has_body => "POST",
        None => "GET",
    };
    let targets = flags.goals.iter().map(|goal| Target {
        name: goal.name.clone(),
        weight: goal.weight,
        method: method.to_owned(),
        headers: flags.headers.clone(),
        body: body.clone(),
        ..Target::get(url(flags, goal))
    });
    targets.collect()
}

/// Where to connect may be said apart; the host to ask for stays the URL's.
fn url(flags: &Flags, goal: &Goal) -> Url {
    let mut url = goal.url.clone();
    if let Some(address) = flags.connect_to {
        url.host = address.ip().to_string();
        url.port = address.port();
    }
    url
}

fn tls(flags: &Flags) -> Result<Tls, Fault> {
    let identity = flags.cert.clone().zip(flags.key.clone());
    Ok(Tls {
        insecure: flags.insecure,
        authorities: flags.cacert.clone(),
        identity: identity.map(|(certificate, key)| Identity { certificate, key }),
        server_name: server_name(flags)?,
        full_handshakes: flags.full_handshakes,
    })
}

/// The name to ask for, where it is not that of the address.
fn server_name(flags: &Flags) -> Result<Option<String>, Fault> {
    let secure = flags
        .goals
        .iter()
        .filter(|goal| goal.url.scheme.is_secure());
    let mut hosts = secure.map(|goal| &goal.url.host);
    let (Some(first), Some(_), None) = (hosts.next(), flags.connect_to, &flags.server_name) else {
        return Ok(flags.server_name.clone());
    };
    if hosts.any(|host| host != first) {
        return Err(Fault::Usage(
            "--connect-to with https:// URLs of several hosts needs --server-name: all handshakes \
             ask for one name"
                .to_owned(),
        ));
    }
    Ok(Some(first.clone()))
}

#[cfg(test)]
mod tests;
