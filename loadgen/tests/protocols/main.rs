//! What is spoken besides HTTP/1.1 over TCP, against peers that are not our code: nginx, and
//! servers on the h2, rustls and tungstenite crates, on io_uring and on epoll.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod grpc;
mod http2;
mod peer;
mod tls;
mod websocket;

use std::{
    thread,
    time::{Duration, Instant},
};

use ringmain_loadgen::{
    ErrorKind, Io, Kind, Pace, Plan, Progress, Report, Run, Stop, Target, TargetReport,
};

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

fn run(plan: &Plan) -> Report {
    Run::start(plan).unwrap().finish().unwrap()
}

/// Runs until `enough` has happened: how long that takes is the machine's affair.
fn run_until(plan: &Plan, enough: impl Fn(&Progress) -> bool) -> Report {
    let run = Run::start(plan).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !enough(&run.progress()) {
        assert!(Instant::now() < deadline, "{:?}", run.progress());
        thread::sleep(Duration::from_millis(1));
    }
    run.stopper().stop();
    run.finish().unwrap()
}

/// Runs `test` on every way in which the kernel can be asked.
fn on_each_io(test: impl Fn(Io)) {
    for io in [Io::Auto, Io::Epoll] {
        test(io);
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
