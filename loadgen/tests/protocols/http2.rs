//! HTTP/2 against nginx, and against a server on the h2 crate for what nginx does not do.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use h2::Reason;
use ringmain_loadgen::{ErrorKind, Io, Kind, Plan, Target, Tls};

use crate::{
    check_error, on_each_io,
    peer::{
        certificates::Certificates,
        http2::{Answer, Reply, serve},
        listen,
        nginx::{BIG_BYTES, HELLO, Nginx},
        read_head,
    },
    plan, run,
};

fn answer(body: &[u8]) -> Reply {
    Reply::Answer(Answer {
        body: body.to_vec(),
        ..Answer::default()
    })
}

/// Trusts the authority under the one name that every test's server has.
fn trust(certificates: &Certificates) -> Tls {
    Tls {
        server_name: Some("localhost".to_owned()),
        ..certificates.trust()
    }
}

#[test]
fn nginx_with_prior_knowledge() {
    let nginx = Nginx::start(&Certificates::new(), "http2", "");
    let address = nginx.address();
    on_each_io(|io| {
        let plan = Plan {
            io,
            connections: 4,
            streams: 8,
            workers: 2,
            ..plan(Kind::Http2, &format!("http://{address}/hello"), 1000)
        };
        let report = run(&plan);
        let total = report.total();
        assert_eq!(
            total.statuses,
            BTreeMap::from([(200, 1000)]),
            "{:?}",
            total.errors
        );
        assert_eq!(total.bytes_in, 1000 * HELLO.len() as u64);
        assert_eq!(report.connections, 4);
        let seen = nginx.seen(1000);
        assert_eq!(seen.len(), 1000);
        assert!(seen.iter().all(|one| one.protocol == "HTTP/2.0"));
    });
}

#[test]
fn nginx_over_tls() {
    let certificates = Certificates::new();
    let nginx = Nginx::start(&certificates, "ssl http2", "");
    let address = nginx.address();
    on_each_io(|io| {
        let mut plan = Plan {
            io,
            connections: 2,
            streams: 4,
            tls: trust(&certificates),
            ..plan(Kind::Http2, &format!("https://{address}/big"), 60)
        };
        plan.targets.push(Target::get(
            format!("https://{address}/nothing").parse().unwrap(),
        ));
        let report = run(&plan);
        let total = report.total();
        let expected = BTreeMap::from([(200, 30), (404, 30)]);
        assert_eq!(total.statuses, expected, "{:?}", total.errors);
        assert_eq!(report.targets[0].bytes_in, 30 * BIG_BYTES as u64);
        let seen = nginx.seen(60);
        assert!(
            seen.iter()
                .all(|one| one.protocol == "HTTP/2.0" && one.tls == "TLSv1.3")
        );
    });
}

#[test]
fn what_the_server_chooses_is_spoken() {
    let certificates = Certificates::new();
    for (listen, expected) in [
        ("ssl http2", "HTTP/2.0"),
        ("ssl", "HTTP/1.1"),
        ("", "HTTP/1.1"),
    ] {
        let nginx = Nginx::start(&certificates, listen, "");
        let scheme = match listen {
            "" => "http",
            _ => "https",
        };
        let plan = Plan {
            connections: 2,
            streams: 4,
            tls: trust(&certificates),
            ..plan(
                Kind::Negotiated,
                &format!("{scheme}://{}/hello", nginx.address()),
                40,
            )
        };
        let total = run(&plan).total();
        assert_eq!(
            total.statuses,
            BTreeMap::from([(200, 40)]),
            "{:?}",
            total.errors
        );
        let seen = nginx.seen(40);
        assert_eq!(seen.len(), 40);
        assert!(
            seen.iter().all(|one| one.protocol == expected),
            "{listen}: {seen:?}"
        );
    }
}

#[test]
fn a_server_that_does_not_choose_it_is_refused() {
    let certificates = Certificates::new();
    // It has no common protocol and says so; the other one says nothing of ALPN.
    let nginx = Nginx::start(&certificates, "ssl", "");
    let other = listen(Some(certificates.server("server", false)), |mut wire| {
        read_head(&mut *wire);
    });
    for (address, what) in [
        (
            nginx.address(),
            "speaks none of the protocols that ALPN offers",
        ),
        (other, "does not choose HTTP/2 (h2) by ALPN"),
    ] {
        for kind in [Kind::Http2, Kind::Grpc] {
            let plan = Plan {
                tls: trust(&certificates),
                ..plan(kind, &format!("https://{address}/hello"), 2)
            };
            check_error(&run(&plan).total(), ErrorKind::Tls, what);
        }
    }
}

#[test]
fn bodies_go_both_ways() {
    on_each_io(|io| {
        let (address, seen) = serve(|asked| {
            assert_eq!(asked.head.method(), "PUT");
            assert_eq!(asked.head.uri().authority().unwrap(), "a.example");
            assert_eq!(asked.head.headers()["content-length"], "1000000");
            assert_eq!(asked.head.headers()["x-one"], "1");
            answer(&asked.body)
        });
        let mut plan = Plan {
            io,
            streams: 4,
            ..plan(Kind::Http2, &format!("http://{address}/"), 20)
        };
        plan.targets[0].method = "PUT".into();
        plan.targets[0].body = Target::filler(1_000_000);
        plan.targets[0].headers = vec![
            ("Host".into(), "a.example".into()),
            ("X-One".into(), "1".into()),
        ];
        let total = run(&plan).total();
        assert_eq!(
            total.statuses,
            BTreeMap::from([(200, 20)]),
            "{:?}",
            total.errors
        );
        assert_eq!((total.bytes_in, total.bytes_out), (20_000_000, 20_000_000));
        assert_eq!(seen.requests(), 20);
    });
}

/// nginx says GOAWAY after so many requests of a connection; those it did not look at any more are
/// sent again on the next one.
#[test]
fn connections_that_end_in_order_lose_nothing() {
    let certificates = Certificates::new();
    let nginx = Nginx::start(&certificates, "http2", "keepalive_requests 25;");
    on_each_io(|io| {
        let plan = Plan {
            io,
            connections: 2,
            streams: 5,
            ..plan(
                Kind::Http2,
                &format!("http://{}/hello", nginx.address()),
                500,
            )
        };
        let report = run(&plan);
        let total = report.total();
        assert_eq!(
            total.statuses,
            BTreeMap::from([(200, 500)]),
            "{:?}",
            total.errors
        );
        assert!(report.connections >= 500 / 25, "{}", report.connections);
        assert_eq!(nginx.seen(500).len(), 500);
    });
}

#[test]
fn one_stream_is_reset_and_the_others_go_on() {
    on_each_io(|io| {
        let (address, seen) = serve(|asked| match asked.number % 5 {
            0 => Reply::Reset(Reason::INTERNAL_ERROR),
            _ => answer(b"x"),
        });
        let plan = Plan {
            io,
            streams: 3,
            ..plan(Kind::Http2, &format!("http://{address}/"), 100)
        };
        let report = run(&plan);
        let total = report.total();
        assert_eq!(total.statuses, BTreeMap::from([(200, 80)]));
        let resets = total.error(ErrorKind::Reset);
        assert_eq!(resets.count, 20, "{:?}", total.errors);
        assert!(resets.first.as_deref().unwrap().contains("INTERNAL_ERROR"));
        assert_eq!((report.connections, seen.connections()), (1, 1));
    });
}

#[test]
fn a_connection_that_dies_is_replaced() {
    for (reply, kind, part) in [
        (
            Reply::GoAway(Reason::ENHANCE_YOUR_CALM),
            ErrorKind::GoAway,
            "ENHANCE_YOUR_CALM",
        ),
        (Reply::Drop, ErrorKind::Closed, "closed the connection"),
    ] {
        on_each_io(|io| {
            let reply = reply.clone();
            let (address, seen) = serve(move |asked| match asked.number % 10 {
                9 => reply.clone(),
                _ => answer(b"x"),
            });
            let mut plan = Plan {
                io,
                ..plan(Kind::Http2, &format!("http://{address}/"), 100)
            };
            // Not sent again.
            plan.targets[0].method = "POST".into();
            let report = run(&plan);
            let total = report.total();
            assert_eq!(
                total.statuses,
                BTreeMap::from([(200, 90)]),
                "{:?}",
                total.errors
            );
            let error = total.error(kind);
            assert_eq!(error.count, 10, "{:?}", total.errors);
            assert!(error.first.as_deref().unwrap().contains(part), "{error:?}");
            assert_eq!(report.connections, 10);
            assert_eq!(seen.requests(), 100);
        });
    }
}

#[test]
fn a_stream_without_an_answer_holds_nobody_up() {
    on_each_io(|io| {
        let (address, seen) = serve(|asked| match asked.head.uri().path() {
            "/silent" => Reply::Silence,
            _ => answer(b"x"),
        });
        let mut plan = Plan {
            io,
            streams: 8,
            request_timeout: Duration::from_millis(300),
            ..plan(Kind::Http2, &format!("http://{address}/silent"), 200)
        };
        plan.targets.push(Target {
            weight: 99,
            ..Target::get(format!("http://{address}/").parse().unwrap())
        });
        let report = run(&plan);
        assert_eq!(report.targets[0].error(ErrorKind::Timeout).count, 2);
        assert_eq!(report.targets[1].answered, 198);
        assert_eq!(seen.requests(), 200);
    });
}

/// Nothing at all comes back, so the connection may be dead.
#[test]
fn a_connection_on_which_nothing_comes_is_replaced() {
    let (address, seen) = serve(|_| Reply::Silence);
    let plan = Plan {
        request_timeout: Duration::from_millis(200),
        ..plan(Kind::Http2, &format!("http://{address}/"), 3)
    };
    let report = run(&plan);
    check_error(&report.total(), ErrorKind::Timeout, "no complete answer");
    // The first one was heard: its settings came.
    assert!(seen.connections() >= 2, "{}", seen.connections());
}

#[test]
fn servers_of_something_else_are_told_apart() {
    let address = listen(None, |mut wire| {
        let mut preface = [0; 24];
        if wire.read_exact(&mut preface).is_ok() {
            wire.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        }
    });
    let total = run(&plan(Kind::Http2, &format!("http://{address}/"), 2)).total();
    check_error(&total, ErrorKind::Protocol, "broke HTTP/2");
}

/// Every connection of a run is closed when it has ended.
#[test]
fn nothing_stays_open() {
    let certificates = Certificates::new();
    let nginx = Nginx::start(&certificates, "ssl http2", "");
    let to_nginx = |io: Io| {
        let plan = Plan {
            io,
            connections: 10,
            streams: 2,
            tls: trust(&certificates),
            ..plan(
                Kind::Http2,
                &format!("https://{}/hello", nginx.address()),
                100,
            )
        };
        assert_eq!(run(&plan).total().answered, 100);
    };
    on_each_io(|io| {
        to_nginx(io);
        // The kernel closes what a ring held after the ring is gone.
        let deadline = Instant::now() + Duration::from_secs(10);
        while open_to(nginx.address()) > 0 {
            assert!(
                Instant::now() < deadline,
                "{io:?}: connections are still open"
            );
            std::thread::yield_now();
        }
    });
}

/// Connections of this process to `address`, by what the kernel says of TCP.
fn open_to(address: std::net::SocketAddr) -> usize {
    let std::net::SocketAddr::V4(v4) = address else {
        panic!("{address}");
    };
    let remote = format!(
        "{:08X}:{:04X}",
        u32::from_ne_bytes(v4.ip().octets()),
        v4.port()
    );
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let established = "01";
    table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .filter(|words| words[2] == remote && words[3] == established)
        .count()
}
