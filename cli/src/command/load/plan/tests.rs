use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

/// The plan of a command line, or the words of its refusal.
fn plan(line: &str) -> Result<Plan, String> {
    let line = std::iter::once("load").chain(line.split_whitespace());
    let line = Line::try_parse_from(line).map_err(|error| error.to_string())?;
    of(&line.flags).map_err(|fault| fault.to_string())
}

fn good(line: &str) -> Plan {
    plan(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn defaults() {
    let closed = good("http://a/");
    assert_eq!(closed.pace, Pace::Closed);
    assert_eq!(closed.stop, Stop::After(Duration::from_secs(10)));
    assert_eq!(
        (closed.connections, closed.workers, closed.pin),
        (64, 1, false)
    );
    let target = &closed.targets[0];
    assert_eq!(
        (target.name.as_str(), target.method.as_str()),
        ("http://a/", "GET")
    );
    let open = good("http://a/ --rate 2k");
    let arrivals = Arrivals::Constant;
    assert_eq!(
        open.pace,
        Pace::Open {
            rate: 2000.0,
            arrivals
        }
    );
    assert_eq!((open.connections, open.usage), (256, Usage::Few));
}

#[test]
fn another_address_than_the_hosts() {
    let both = good("http://a/x http://b:81/y --connect-to 127.0.0.1:7");
    for (target, authority) in both.targets.iter().zip(["a", "b:81"]) {
        let url = &target.url;
        assert_eq!((&*url.host, url.port), ("127.0.0.1", 7));
        assert_eq!(url.authority, authority);
    }
    assert_eq!(both.tls.server_name, None);
    let secure = good("https://a/ --connect-to 127.0.0.1:7");
    assert_eq!(secure.tls.server_name.as_deref(), Some("a"));
    let refused = plan("https://a/ https://b/ --connect-to 127.0.0.1:7").unwrap_err();
    assert!(refused.contains("--server-name"), "{refused}");
}

#[test]
fn protocols() {
    for (line, kind) in [
        ("http://a/", Kind::Http1),
        ("http://a/ --http2", Kind::Http2),
        ("http://a/ --h2c", Kind::Http2),
        ("https://a/", Kind::Negotiated),
        ("https://a/ --http1", Kind::Http1),
        ("https://a/ --http2", Kind::Http2),
        ("http://a/ https://b/", Kind::Negotiated),
        ("grpc://a/s/m", Kind::Grpc),
        ("ws://a/", Kind::WebSocket),
        ("tcp-echo://a:7", Kind::TcpEcho),
        ("tcp-stream://a:7", Kind::TcpStream(Direction::Send)),
        (
            "tcp-stream://a:7 --direction both",
            Kind::TcpStream(Direction::Both),
        ),
    ] {
        assert_eq!(good(line).kind, kind, "{line}");
    }
}

#[test]
fn all_flags() {
    let plan = good(
        "3@http://a/x 1@http://b/y -R 100 --arrivals exponential --seed 7 -n 500 --warmup 2s \
         --ramp 1s -c 8 -t 2 --connect-timeout 1s --timeout 3s -X PUT -H a:b -H c:d --body hello \
         --io epoll --cacert ca --cert cert --key key --server-name name -k",
    );
    let arrivals = Arrivals::Exponential { seed: 7 };
    assert_eq!(
        plan.pace,
        Pace::Open {
            rate: 100.0,
            arrivals
        }
    );
    assert_eq!(plan.stop, Stop::Requests(500));
    let seconds = Duration::from_secs;
    assert_eq!((plan.warmup, plan.ramp), (seconds(2), seconds(1)));
    assert_eq!((plan.connections, plan.usage), (8, Usage::All));
    assert_eq!((plan.workers, plan.pin, plan.io), (2, true, Io::Epoll));
    assert_eq!(
        (plan.connect_timeout, plan.request_timeout),
        (seconds(1), seconds(3))
    );
    let weights: Vec<_> = plan.targets.iter().map(|target| target.weight).collect();
    assert_eq!(weights, [3, 1]);
    let target = &plan.targets[1];
    assert_eq!(
        (target.name.as_str(), target.method.as_str()),
        ("http://b/y", "PUT")
    );
    assert_eq!(target.body, "hello");
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(target.headers, [field("a", "b"), field("c", "d")]);
    let tls = Tls {
        insecure: true,
        authorities: Some("ca".into()),
        identity: Some(Identity {
            certificate: "cert".into(),
            key: "key".into(),
        }),
        server_name: Some("name".to_owned()),
        ..Tls::default()
    };
    assert_eq!(plan.tls, tls);
}

#[test]
fn bodies() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body");
    std::fs::write(&file, b"\x00\xffbytes").unwrap();
    for (line, method, body) in [
        ("http://a/".to_owned(), "GET", &b""[..]),
        ("http://a/ --body text".to_owned(), "POST", b"text"),
        ("http://a/ --body text -X GET".to_owned(), "GET", b"text"),
        (
            format!("http://a/ --body @{}", file.display()),
            "POST",
            b"\x00\xffbytes",
        ),
    ] {
        let target = good(&line).targets.remove(0);
        assert_eq!(
            (target.method.as_str(), &target.body[..]),
            (method, body),
            "{line}"
        );
    }
    for (line, bytes) in [
        ("http://a/ --body-size 64KiB", 65_536),
        ("tcp-echo://a:7", 64),
        ("ws://a/", 64),
        ("tcp-echo://a:7 --body-size 5", 5),
        ("grpc://a/s/m", 0),
    ] {
        assert_eq!(good(line).targets[0].body.len(), bytes, "{line}");
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    for (line, part) in [
        ("", "<URL>"),
        ("http://a/ --http1 --http2", "cannot be used with"),
        (
            "http://a/ --duration 1s --requests 5",
            "cannot be used with",
        ),
        ("http://a/ --body a --body-size 5", "cannot be used with"),
        ("http://a/ --arrivals exponential", "--rate"),
        ("http://a/ --cert a", "--key"),
        ("http://a/ --requests 0", "0 is not in 1.."),
        ("http://a/ --rate 0", "above 0"),
        ("http://a/ --rate 99M", "rate of 99000000"),
        ("http://a/ --connections 0", "connections = 0"),
        (
            "http://a/ --workers 9 --connections 3",
            "9 workers cannot share 3 connections",
        ),
        (
            "http://a/ --streams 4",
            "streams = 4 is not possible with http/1.1",
        ),
        ("http://a/ --duration 0s", "duration"),
        (
            "http://a/ --body @/nowhere/body",
            "cannot read the body from /nowhere/body",
        ),
        ("http://a/ -X G@T", "not a request method"),
        ("http://a/ -H content-length:5", "content-length"),
        (
            "http://a/ ws://a/",
            "http://a/ and ws://a/ cannot be measured together",
        ),
        (
            "grpc://a/s/m --http1",
            "--http1 is about http:// and https:// only, not about grpc://a/s/m",
        ),
        (
            "tcp-echo://a:7 -X GET",
            "--method GET is not possible with tcp-echo",
        ),
        (
            "tcp-stream://a:7 --rate 5",
            "is not possible with tcp-stream",
        ),
        ("tcp-stream://a:7 --max-p99 5ms", "objectives"),
    ] {
        let error = plan(line).expect_err(line);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn demands_become_objectives() {
    let line = "load http://a/ --max-mean 1ms --max-p50 2ms --max-p90 3ms --max-p99 4ms \
                --max-p999 5ms --max-latency 6ms --max-errors 0.5% --min-rate 1k";
    let flags = Line::try_parse_from(line.split_whitespace()).unwrap().flags;
    let latency = |figure, millis| Objective::Latency(figure, Duration::from_millis(millis));
    assert_eq!(
        objectives(&flags.demands),
        [
            latency(Figure::Mean, 1),
            latency(Figure::P50, 2),
            latency(Figure::P90, 3),
            latency(Figure::P99, 4),
            latency(Figure::P999, 5),
            latency(Figure::Max, 6),
            Objective::ErrorShare(0.005),
            Objective::Rate(1000.0),
        ]
    );
}
