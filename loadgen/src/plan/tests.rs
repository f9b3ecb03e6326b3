use super::*;

fn good() -> Plan {
    let target = Target::get("http://a/".parse().unwrap());
    Plan::new(vec![target], Pace::Closed)
}

#[test]
fn plans() {
    assert_eq!(good().check(), Ok(()));
    type Break = fn(&mut Plan);
    let cases: [(Break, &str); 23] = [
        (|plan| plan.targets.clear(), "no target"),
        (|plan| plan.targets[0].weight = 0, "no target"),
        (|plan| plan.pace = open(0.0), "rate of 0"),
        (|plan| plan.pace = open(f64::NAN), "rate of NaN"),
        (|plan| plan.pace = open(1e8), "rate of 100000000"),
        (|plan| plan.workers = 0, "workers = 0"),
        (|plan| plan.workers = 65, "65 workers cannot share 64"),
        (|plan| plan.connections = 0, "connections = 0"),
        (|plan| plan.connections = 1 << 21, "connections = 2097152"),
        (
            |plan| plan.streams = 2,
            "streams = 2 is not possible with http/1.1",
        ),
        (
            |plan| plan.stop = Stop::After(Duration::ZERO),
            "duration = 0ns",
        ),
        (
            |plan| plan.warmup = Duration::from_secs(1 << 40),
            "warmup = ",
        ),
        (
            |plan| plan.request_timeout = Duration::ZERO,
            "request_timeout = 0ns",
        ),
        (
            |plan| plan.targets[0].method = "G T".into(),
            "request method",
        ),
        (|plan| header(plan, "a", "b\r\nc: d"), "not a header field"),
        (
            |plan| header(plan, "Content-Length", "1"),
            "follows from the body",
        ),
        (
            |plan| plan.kind = Kind::TcpEcho,
            "starts with tcp:// or tls://",
        ),
        (
            |plan| {
                plan.kind = Kind::TcpEcho;
                plan.targets[0].url = "tcp://a:1".parse().unwrap();
            },
            "an empty body is not possible with tcp-echo",
        ),
        (
            |plan| plan.targets[0].url = "tcp://a:1".parse().unwrap(),
            "tcp://a:1 cannot be reached with http/1.1",
        ),
        (
            |plan| {
                plan.kind = Kind::TcpStream(Direction::Send);
                plan.pace = open(1.0);
            },
            "a rate of 1 is not possible with tcp-stream send",
        ),
        (
            |plan| {
                plan.kind = Kind::TcpStream(Direction::Both);
                plan.stop = Stop::Requests(7);
            },
            "an end after 7 requests is not possible with tcp-stream both",
        ),
        (
            |plan| {
                plan.kind = Kind::TcpStream(Direction::Both);
                plan.targets[0].url = "tls://a:1".parse().unwrap();
            },
            "tls:// is not possible with tcp-stream both",
        ),
        (
            |plan| {
                plan.kind = Kind::Http2;
                plan.streams = 2;
                plan.connect_per_request = true;
            },
            "a connection per request has one stream",
        ),
    ];
    for (change, part) in cases {
        let mut plan = good();
        change(&mut plan);
        let error = plan.check().expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
}

fn open(rate: f64) -> Pace {
    Pace::Open {
        rate,
        arrivals: Arrivals::Constant,
    }
}

fn header(plan: &mut Plan, name: &str, value: &str) {
    plan.targets[0].headers.push((name.into(), value.into()));
}

#[test]
fn filler_has_its_size_and_is_always_the_same() {
    for bytes in [0, 1, 1024] {
        let body = Target::filler(bytes);
        assert_eq!(body.len(), bytes);
        assert_eq!(body, Target::filler(bytes));
    }
}
