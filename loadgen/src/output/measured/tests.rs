use super::*;
use crate::{ErrorKind, report::ErrorCount, ring::Rung, verdict::Bottleneck};

fn plan(pace: Pace) -> Plan {
    let mut target = Target::get("http://127.0.0.1:8080/".parse().unwrap());
    target.name = "http://127.0.0.1:8080".to_owned();
    Plan {
        warmup: Duration::from_secs(2),
        ..Plan::new(vec![target], pace)
    }
}

const OPEN: Pace = Pace::Open {
    rate: 10.0,
    arrivals: Arrivals::Exponential { seed: 3 },
};

/// Ten requests in two seconds: eight answers, one of them with 503, and two errors.
fn report() -> Report {
    let mut report = Report::new(1);
    let target = &mut report.targets[0];
    target.requests = 10;
    target.answered = 8;
    target.statuses = [(200, 6), (304, 1), (503, 1)].into();
    target.errors[ErrorKind::Timeout as usize] = ErrorCount {
        count: 2,
        first: Some("too late".to_owned()),
    };
    target.bytes_in = 800;
    target.bytes_out = 500;
    for micros in [100, 200, 300, 400, 500, 600, 700, 800] {
        target.latency.record(micros).unwrap();
    }
    report.duration = Duration::from_secs(2);
    report.answered_in_time = 7;
    report.intended_rate = Some(10.0);
    report.slip.record(30).unwrap();
    report.connect.record(90).unwrap();
    report.connections = 3;
    report.resent = 1;
    report.rung = Rung::UringDefer;
    report.workers = vec![ThreadUse {
        wall: Duration::from_secs(2),
        cpu: Duration::from_millis(500),
        waited: Duration::from_millis(1),
    }];
    report.series = vec![Second {
        end: Duration::from_millis(1500),
        length: Duration::from_millis(500),
        requests: 6,
        errors: 1,
        bytes_in: 500,
        bytes_out: 300,
        p50: Some(Duration::from_micros(300)),
        p90: None,
        p99: Some(Duration::from_micros(800)),
    }];
    report
}

fn summary(plan: &Plan, report: &Report, objectives: &[Objective]) -> Summary {
    let measured = Measured {
        plan,
        report,
        program: "ringmain 1.2.3",
        started: "2026-01-02T03:04:05Z",
        interrupted: true,
    };
    Summary::new(&measured, objectives)
}

#[test]
fn an_open_loop() {
    let summary = summary(&plan(OPEN), &report(), &[Objective::Errors(2)]);
    assert_eq!((summary.mode, summary.interrupted), (Mode::Open, true));
    assert_eq!(summary.latency_from, LatencyFrom::IntendedSendTime);
    assert_eq!(summary.arrivals.as_deref(), Some("exponential, seed 3"));
    assert_eq!((summary.warmup_s, summary.duration_s), (2.0, 2.0));
    assert_eq!(
        (summary.requests, summary.answered, summary.failed),
        (10, 8, 3)
    );
    assert_eq!(summary.errors, [("timeout".to_owned(), 2)].into());
    assert_eq!(summary.error_examples["timeout"], "too late");
    assert_eq!(summary.status, [(200, 6), (304, 1), (503, 1)].into());
    assert_eq!((summary.rate, summary.achieved_rate), (3.5, 3.5));
    assert_eq!(summary.intended_rate, Some(10.0));
    assert_eq!((summary.bytes_in, summary.bytes_out), (800, 500));
    let latency = summary.latency_us.unwrap();
    assert_eq!((latency.min, latency.p50, latency.max), (100, 400, 800));
    assert_eq!(summary.connect_us.unwrap().p99, 90);
    assert_eq!(summary.generator.slip_us.unwrap().p99, 30);
    assert_eq!(summary.generator.cpu_s, 0.5);
    assert_eq!(summary.generator.threads[0].ran, 0.25);
    assert_eq!(
        (
            summary.generator.connections_opened,
            summary.generator.resent
        ),
        (3, 1)
    );
    assert_eq!(summary.generator.io, "uring-defer");
    assert_eq!(summary.targets[0].url, "http://127.0.0.1:8080");
    assert_eq!(summary.targets[0].method.as_deref(), Some("GET"));
    assert!(!summary.objectives[0].held);
    let interval = Interval {
        start_s: 1.0,
        length_s: 0.5,
        requests: 6,
        errors: 1,
        rate: 10.0,
        bytes_in: 500,
        bytes_out: 300,
        p50_us: Some(300),
        p90_us: None,
        p99_us: Some(800),
    };
    assert_eq!(summary.intervals, [interval]);
}

#[test]
fn a_closed_loop_has_no_slip() {
    let mut report = report();
    report.intended_rate = None;
    let summary = summary(&plan(Pace::Closed), &report, &[]);
    assert_eq!(summary.mode, Mode::Closed);
    assert_eq!(summary.latency_from, LatencyFrom::SendTime);
    assert_eq!((summary.arrivals, summary.intended_rate), (None, None));
    assert_eq!(summary.generator.slip_us, None);
}

/// Of gRPC, 0 is the good one.
#[test]
fn statuses_fail_as_their_protocol_says() {
    let mut report = report();
    for (kind, statuses, expected) in [
        (Kind::Http1, [(200, 5), (404, 3)], 5),
        (Kind::Http2, [(301, 5), (100, 3)], 5),
        (Kind::Grpc, [(0, 5), (13, 3)], 5),
        (Kind::Grpc, [(0, 5), (200, 3)], 5),
    ] {
        report.targets[0].statuses = statuses.into();
        let plan = Plan { kind, ..plan(OPEN) };
        let summary = summary(&plan, &report, &[]);
        assert_eq!(summary.failed, expected, "{kind:?} {statuses:?}");
        assert_eq!(summary.targets[0].failed, expected, "{kind:?}");
    }
    report.targets[0].statuses.clear();
    let plan = Plan {
        kind: Kind::TcpEcho,
        ..plan(OPEN)
    };
    assert_eq!(summary(&plan, &report, &[]).failed, 2);
}

#[test]
fn a_bottleneck_is_named() {
    let mut report = report();
    assert!(!summary(&plan(OPEN), &report, &[]).generator.bottleneck);
    report.bottleneck = Some(Bottleneck::Slip {
        slip: Duration::from_millis(3),
        latency: Duration::from_millis(4),
    });
    let generator = summary(&plan(OPEN), &report, &[]).generator;
    assert!(generator.bottleneck);
    assert!(generator.reason.unwrap().contains("late"));
}

#[test]
fn nothing_at_all() {
    let summary = summary(&plan(OPEN), &Report::new(1), &[]);
    assert!(summary.is_empty());
    assert_eq!((summary.rate, summary.latency_us), (0.0, None));
    assert_eq!(Summary::from_json(&summary.to_json()), Ok(summary));
}

/// A stream has bytes and no requests.
#[test]
fn a_stream() {
    let mut report = Report::new(1);
    let mut plan = plan(Pace::Closed);
    plan.kind = Kind::TcpStream(crate::Direction::Send);
    assert!(summary(&plan, &report, &[]).is_empty());
    report.targets[0].bytes_out = 1;
    let summary = summary(&plan, &report, &[]);
    assert_eq!((summary.mode, summary.is_empty()), (Mode::Stream, false));
    assert_eq!(summary.targets[0].method, None);
}
