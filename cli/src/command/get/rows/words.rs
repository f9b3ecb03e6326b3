//! What routes and clusters do besides naming where requests go, in a few words each.

use ringmain_config::{
    cluster::{Balancer, Cluster, HashKey},
    duration,
    filter::{AbortWith, Fault, Share},
    retry::RetryPolicy,
    route::{Forward, Route},
};
use ringmain_core::explain::LimitsPart;

use crate::command::words;

/// Of a route, whatever it does: a line each.
pub(super) fn of_route(route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(timeout) = route.timeout {
        lines.push(format!("timeout {}", duration::format(timeout)));
    }
    lines.extend(route.filters.fault.iter().flat_map(fault));
    if let Some(cors) = &route.filters.cors {
        lines.push(format!("cors for {} origins", cors.allow_origins.len()));
    }
    lines
}

/// Of a route that sends on: a line each.
pub(super) fn of_forward(forward: &Forward) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(forward.retry.as_ref().map(retry));
    let rewrite = forward.rewrite.as_ref();
    if let Some(regex) = rewrite.and_then(|rewrite| rewrite.regex.as_ref()) {
        lines.push(format!(
            "path ~{} becomes {}",
            regex.pattern, regex.substitution
        ));
    }
    let mirrors = forward.mirrors.iter();
    lines.extend(
        mirrors.map(|mirror| format!("copy {} to {}", share(mirror.share), mirror.cluster)),
    );
    lines
}

fn retry(policy: &RetryPolicy) -> String {
    let timeout = policy.per_try_timeout.map(duration::format);
    let on = (&*policy.on, &*policy.status_codes);
    let tries = words::retries(policy.attempts, on, timeout.as_deref());
    format!("retries {tries}")
}

fn fault(fault: &Fault) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(delay) = &fault.delay {
        let time = duration::format(delay.duration);
        lines.push(format!("delay {} by {time}", share(delay.share)));
    }
    if let Some(abort) = &fault.abort {
        let with = match abort.with {
            AbortWith::Http(status) => words::answer(status, None),
            AbortWith::Grpc(code) => words::answer(200, Some(code)),
        };
        lines.push(format!("abort {} with {with}", share(abort.share)));
    }
    lines
}

/// In percent, without needless decimals.
fn share(share: Share) -> String {
    format!("{} %", f64::from(share.0) / 10_000.0)
}

/// How an endpoint is chosen, and by what.
pub(super) fn balancer(cluster: &Cluster) -> String {
    let name = match cluster.balancer {
        Balancer::LeastRequest => "least request",
        Balancer::RoundRobin => "round robin",
        Balancer::Random => "random",
        Balancer::RingHash { .. } => "ring hash",
        Balancer::Maglev { .. } => "maglev",
    };
    match &cluster.hash {
        None => name.to_owned(),
        Some(HashKey::Header(header)) => format!("{name} of header {header}"),
        Some(HashKey::Cookie(cookie)) => format!("{name} of cookie {}", cookie.name),
        Some(HashKey::SourceAddress) => format!("{name} of client address"),
        Some(HashKey::QueryParameter(name_of)) => format!("{name} of query parameter {name_of}"),
    }
}

/// How much is sent there at a time; `-` when nothing is limited.
pub(super) fn limits(cluster: &Cluster) -> String {
    let connections = cluster.connections.tcp.connections_max;
    let connections = connections.map(|max| format!("connections {max}"));
    let of_requests = words::limits(&LimitsPart::of(cluster));
    let words: Vec<_> = connections.into_iter().chain(of_requests).collect();
    match words.is_empty() {
        true => "-".to_owned(),
        false => words.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringmain_config::{
        cluster::{Connections, HashCookie, HttpConnections},
        filter::{Abort, Cors, Delay, Filters, Mirror},
        retry::{RetryBudget, RetryOn},
        route::{Action, RegexRewrite, Rewrite, RouteMatch},
    };

    use super::*;

    #[test]
    fn what_requests_meet() {
        let route = Route {
            name: String::new(),
            matches: RouteMatch::default(),
            action: Action::Forward(Forward::default()),
            filters: Filters {
                fault: Some(Fault {
                    delay: Some(Delay {
                        duration: Duration::from_millis(1500),
                        share: Share(1000),
                    }),
                    abort: Some(Abort {
                        with: AbortWith::Grpc(14),
                        share: Share::ALL,
                    }),
                }),
                cors: Some(Cors::default()),
            },
            request_headers: Default::default(),
            response_headers: Default::default(),
            timeout: Some(Duration::from_secs(3)),
            origin: None,
        };
        assert_eq!(
            of_route(&route),
            [
                "timeout 3s",
                "delay 0.1 % by 1.5s",
                "abort 100 % with grpc-status 14",
                "cors for 0 origins"
            ]
        );
    }

    #[test]
    fn how_requests_are_sent_on() {
        let policy = |attempts| RetryPolicy {
            attempts,
            per_try_timeout: Some(Duration::from_secs(1)),
            on: vec![RetryOn::ServerError, RetryOn::RetriableStatusCodes],
            status_codes: vec![409],
            ..RetryPolicy::default()
        };
        let forward = |attempts| Forward {
            retry: Some(policy(attempts)),
            rewrite: Some(Rewrite {
                regex: Some(RegexRewrite {
                    pattern: "a+".to_owned(),
                    substitution: "b".to_owned(),
                }),
                ..Rewrite::default()
            }),
            mirrors: vec![Mirror {
                cluster: "c".to_owned(),
                share: Share(500_000),
            }],
            ..Forward::default()
        };
        let rest = ["path ~a+ becomes b", "copy 50 % to c"];
        let retried = "retries 2 on 5xx,retriable-status-codes,409, each try 1s";
        assert_eq!(of_forward(&forward(2)), [&[retried][..], &rest].concat());
        assert_eq!(
            of_forward(&forward(0)),
            [&["retries none, each try 1s"][..], &rest].concat()
        );
    }

    #[test]
    fn how_clusters_are_used() {
        let plain = Cluster::default();
        assert_eq!(balancer(&plain), "least request");
        assert_eq!(limits(&plain), "-");
        let limited = Cluster {
            balancer: Balancer::Maglev { entries: 65_537 },
            hash: Some(HashKey::Cookie(HashCookie {
                name: "user".to_owned(),
                path: String::new(),
                ttl: None,
                attributes: Vec::new(),
            })),
            connections: Connections {
                requests_max: 9,
                http: HttpConnections {
                    pending_max: Some(1),
                    active_max: Some(2),
                    retries_max: Some(3),
                    streams_max: Some(4),
                    keep_alive: None,
                },
                ..Connections::default()
            },
            retry_budget: Some(RetryBudget {
                share: 1250,
                concurrency_min: 3,
            }),
            ..Cluster::default()
        };
        assert_eq!(balancer(&limited), "maglev of cookie user");
        assert_eq!(
            limits(&limited),
            "pending 1, requests 2, retries 3, streams 4, per connection 9, \
             retry budget 12.5 % or 3"
        );
    }
}
