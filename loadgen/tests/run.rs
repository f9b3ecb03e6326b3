//! Runs against servers that behave in every way a server can, on io_uring and on epoll.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod running;
mod server;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use ringmain_loadgen::{Arrivals, ErrorKind, Io, Pace, Plan, Report, Run, Stop, Target, Usage};
use running::{on_each_io, run};
use server::{Then, always, start};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn target(address: SocketAddr, path: &str) -> Target {
    Target::get(format!("http://{address}{path}").parse().unwrap())
}

fn plan(address: SocketAddr, rate: f64, millis: u64) -> Plan {
    Plan {
        stop: Stop::After(Duration::from_millis(millis)),
        connections: 256,
        usage: Usage::Few,
        ..Plan::new(vec![target(address, "/")], open(rate))
    }
}

fn open(rate: f64) -> Pace {
    Pace::Open {
        rate,
        arrivals: Arrivals::Constant,
    }
}

#[test]
fn counts_match_the_server() {
    on_each_io(|io| {
        let (address, seen) = always(OK);
        let mut plan = Plan {
            io,
            ..plan(address, 2000.0, 300)
        };
        plan.targets = vec![target(address, "/three"), target(address, "/one")];
        plan.targets[0].weight = 3;
        plan.workers = 2;
        let report = run(&plan);
        let counts: Vec<u64> = report
            .targets
            .iter()
            .map(|target| target.requests)
            .collect();
        assert_eq!(counts, [450, 150], "{io:?}");
        let total = report.total();
        assert_eq!(total.statuses, BTreeMap::from([(200, 600)]), "{io:?}");
        assert_eq!((total.failed(), seen.requests()), (0, 600), "{io:?}");
        assert_eq!(total.bytes_in, 600 * OK.len() as u64);
        assert_eq!(total.latency.len(), 600);
        assert_eq!(report.connections, seen.connections());
        assert_eq!(report.slip.len(), 600);
    });
}

/// With one connection and a stall of 400 ms, the requests that were due in the meantime could not
/// be sent. Their wait must show: measured from sending, only one request would have been slow.
#[test]
fn a_stall_shows_in_every_request_it_delays() {
    on_each_io(|io| {
        let (address, _) = start(|number, _, stream| {
            if number == 20 {
                thread::sleep(Duration::from_millis(400));
            }
            stream.write_all(OK.as_bytes()).unwrap();
            Then::Keep
        });
        let plan = Plan {
            io,
            connections: 1,
            ..plan(address, 100.0, 1000)
        };
        let total = run(&plan).total();
        assert_eq!(total.succeeded(), 100);
        let slow = total.latency.len() - total.latency.count_between(0, 200_000);
        assert!(slow >= 20, "{io:?}: {slow} requests above 200 ms");
        let longest = Duration::from_micros(total.latency.max());
        assert!(longest >= Duration::from_millis(395), "{io:?}: {longest:?}");
    });
}

#[test]
fn answers_of_every_framing() {
    let cases: [(&str, &str, u16, bool); 6] = [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, true),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
            200,
            true,
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n",
            200,
            true,
        ),
        (
            "GET",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n",
            404,
            true,
        ),
        ("GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, false),
        (
            "GET",
            "HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno",
            503,
            false,
        ),
    ];
    for (method, answer, status, keeps) in cases {
        on_each_io(|io| {
            let (address, seen) = start(move |_, line, stream| {
                assert!(line.starts_with(method), "{line}");
                stream.write_all(answer.as_bytes()).unwrap();
                if keeps { Then::Keep } else { Then::Close }
            });
            let mut plan = Plan {
                io,
                connections: 1,
                ..plan(address, 500.0, 40)
            };
            plan.targets[0].method = method.to_owned();
            let report = run(&plan);
            let total = report.total();
            assert_eq!(
                total.statuses,
                BTreeMap::from([(status, 20)]),
                "{io:?} {answer:?}"
            );
            assert_eq!(
                seen.connections(),
                if keeps { 1 } else { 20 },
                "{io:?} {answer:?}"
            );
            assert_eq!(report.resent, 0, "{io:?} {answer:?}");
        });
    }
}

#[test]
fn a_large_body_is_read_to_its_end() {
    const LENGTH: usize = 3_000_000;
    on_each_io(|io| {
        let (address, _) = start(|_, _, stream| {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n"
            )
            .unwrap();
            stream.write_all(&vec![b'x'; LENGTH]).unwrap();
            Then::Keep
        });
        let total = run(&Plan {
            io,
            ..plan(address, 20.0, 200)
        })
        .total();
        assert_eq!(total.succeeded(), 4);
        assert!(total.bytes_in > 4 * LENGTH as u64);
    });
}

#[test]
fn every_failure_has_its_kind() {
    check_failure(ErrorKind::Closed, "closed the connection", |_| Then::Close);
    check_failure(ErrorKind::Closed, "closed the connection", |stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort")
            .unwrap();
        Then::Close
    });
    check_failure(
        ErrorKind::Protocol,
        "malformed HTTP/1.1 (http1.status_line)",
        |stream| {
            stream.write_all(b"SSH-2.0-x\r\n\r\n").unwrap();
            Then::Keep
        },
    );
    check_failure(ErrorKind::Protocol, "more bytes", |stream| {
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\nsurplus")
            .unwrap();
        Then::Keep
    });
    check_failure(ErrorKind::Timeout, "no complete answer", |_| Then::Keep);
    check_failure(ErrorKind::Timeout, "no complete answer", |stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow")
            .unwrap();
        Then::Keep
    });
}

fn check_failure(
    kind: ErrorKind,
    message: &str,
    answer: impl Fn(&mut std::net::TcpStream) -> Then + Copy + Send + Sync + 'static,
) {
    on_each_io(|io| {
        let (address, _) = start(move |_, _, stream| answer(stream));
        let plan = Plan {
            io,
            request_timeout: match kind {
                ErrorKind::Timeout => Duration::from_millis(200),
                _ => Duration::from_secs(20),
            },
            ..plan(address, 100.0, 100)
        };
        expect_all(&run(&plan), kind, message);
    });
}

fn expect_all(report: &Report, kind: ErrorKind, message: &str) {
    let total = report.total();
    let error = total.error(kind);
    assert_eq!((total.requests, error.count), (10, 10), "{total:?}");
    let first = error.first.as_deref().unwrap();
    assert!(first.contains(message), "{first}");
}

#[test]
fn nobody_listens() {
    on_each_io(|io| {
        // All others listen at 127.0.0.1, so that nobody takes the port when it is free again.
        let address = {
            let listener = TcpListener::bind("127.0.9.9:0").unwrap();
            listener.local_addr().unwrap()
        };
        let report = run(&Plan {
            io,
            ..plan(address, 100.0, 100)
        });
        expect_all(&report, ErrorKind::Connect, "refused");
    });
}

/// One request waits for its answer, one waits for the connection, all others are not sent.
#[test]
fn the_backlog_is_bounded() {
    on_each_io(|io| {
        let (address, seen) = start(|_, _, _| Then::Keep);
        let plan = Plan {
            io,
            connections: 1,
            backlog_max: 1,
            request_timeout: Duration::from_millis(500),
            ..plan(address, 100.0, 100)
        };
        let total = run(&plan).total();
        assert_eq!(total.error(ErrorKind::Backlog).count, 8, "{total:?}");
        assert_eq!(total.error(ErrorKind::Timeout).count, 2, "{total:?}");
        assert!(seen.requests() <= 2);
    });
}

/// A server that closes without saying so is met with a new connection, and that is counted.
#[test]
fn a_closed_idle_connection_is_replaced() {
    on_each_io(|io| {
        let (address, seen) = start(|_, _, stream| {
            stream.write_all(OK.as_bytes()).unwrap();
            Then::Close
        });
        let report = run(&Plan {
            io,
            connections: 1,
            ..plan(address, 100.0, 100)
        });
        assert_eq!(report.total().succeeded(), 10);
        assert_eq!((report.resent, seen.requests()), (9, 10));
    });
}

#[test]
fn runs_until_stopped_and_shows_progress() {
    on_each_io(|io| {
        let (address, seen) = always(OK);
        let plan = Plan {
            io,
            stop: Stop::Asked,
            ..plan(address, 500.0, 0)
        };
        let run = Run::start(&plan).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while run.progress().requests < 50 {
            assert!(Instant::now() < deadline, "no progress");
            thread::yield_now();
        }
        assert!(!run.is_over());
        run.stopper().stop();
        let total = run.finish().unwrap().total();
        assert_eq!(total.requests, seen.requests());
        assert_eq!(total.succeeded(), seen.requests());
    });
}

#[test]
fn epoll_is_epoll() {
    let (address, _) = always(OK);
    let run = Run::start(&Plan {
        io: Io::Epoll,
        ..plan(address, 10.0, 10)
    })
    .unwrap();
    assert_eq!(run.rung().name(), "epoll");
    run.finish().unwrap();
}

/// A server that closes the connection after its first answer, and takes its time for that: the
/// next request is on its way then, and is sent again. Its latency is that of both tries.
#[test]
fn a_request_that_is_sent_again_counts_from_its_first_time() {
    const HELD: Duration = Duration::from_millis(50);
    on_each_io(|io| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for request in 0..2 {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                skip_request(&mut reader);
                reader.get_mut().write_all(OK.as_bytes()).unwrap();
                if request == 0 {
                    // The second request is here. It waits for this long at least, and then no
                    // byte of an answer comes.
                    skip_request(&mut reader);
                    thread::sleep(HELD);
                }
            }
        });
        let report = run(&Plan {
            io,
            stop: Stop::Requests(2),
            connections: 1,
            ..Plan::new(vec![target(address, "/")], Pace::Closed)
        });
        server.join().unwrap();
        let total = report.total();
        assert_eq!(
            (total.answered, report.resent),
            (2, 1),
            "{:?}",
            total.errors
        );
        let longest = Duration::from_micros(total.latency.max());
        assert!(longest >= HELD, "{io:?} {longest:?}");
    });
}

fn skip_request(reader: &mut BufReader<std::net::TcpStream>) {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "no whole request");
    }
}
