//! What is spoken besides HTTP/1.1 over TCP, against peers that are not our code: nginx, and
//! servers on the h2, rustls and tungstenite crates, on io_uring and on epoll.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod grpc;
mod http2;
mod peer;
#[path = "../running/mod.rs"]
mod running;
mod tls;
mod websocket;

use std::time::Duration;

use ringmain_loadgen::{ErrorKind, Kind, Pace, Plan, Run, Stop, Target, TargetReport};

use running::{on_each_io, run, run_until};

/// `requests` to `url` from one connection, one after another.
fn plan(kind: Kind, url: &str, requests: u64) -> Plan {
    Plan {
        kind,
        stop: Stop::Requests(requests),
        connections: 1,
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(10),
        pin: false,
        ..Plan::new(vec![Target::get(url.parse().unwrap())], Pace::Closed)
    }
}

/// The plan's message when it is not possible.
fn refusal(plan: &Plan) -> String {
    match Run::start(plan) {
        Ok(_) => panic!("the plan is possible: {plan:?}"),
        Err(error) => error.to_string(),
    }
}

/// All requests failed for `kind`, and the first of them for a reason with `part` in it.
fn check_error(total: &TargetReport, kind: ErrorKind, part: &str) {
    let error = total.error(kind);
    assert_eq!(error.count, total.requests, "{part}: {:?}", total.errors);
    assert!(error.count > 0, "{part}: nothing was sent");
    let first = error.first.as_deref().unwrap();
    assert!(first.contains(part), "{first:?} instead of {part:?}");
}
