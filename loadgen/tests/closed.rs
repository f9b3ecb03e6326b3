//! Closed loops, exact numbers, and ends, on io_uring and on epoll.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod running;
mod server;

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use ringmain_loadgen::{Arrivals, ErrorKind, Io, Pace, Plan, Report, Run, Stop, Target, Usage};
use running::{on_each_io, run};
use server::{Then, always, start};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn target(address: SocketAddr) -> Target {
    Target::get(format!("http://{address}/").parse().unwrap())
}

fn plan(io: Io, address: SocketAddr, connections: usize, requests: u64) -> Plan {
    Plan {
        io,
        connections,
        stop: Stop::Requests(requests),
        ..Plan::new(vec![target(address)], Pace::Closed)
    }
}

fn wait_for_requests(seen: &server::Seen, requests: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while seen.requests() < requests {
        assert!(Instant::now() < deadline, "{} came", seen.requests());
        thread::yield_now();
    }
}

/// Everything that counts requests says the same.
fn assert_counts(report: &Report, requests: u64) {
    let total = report.total();
    assert_eq!(total.requests, requests);
    assert_eq!(total.answered + total.failed(), requests);
    assert_eq!(total.latency.len(), total.answered);
    let in_seconds = |read: fn(&ringmain_loadgen::Second) -> u64| -> u64 {
        report.series.iter().map(read).sum()
    };
    assert_eq!(in_seconds(|second| second.requests), requests);
    assert_eq!(in_seconds(|second| second.errors), total.failed());
    assert_eq!(in_seconds(|second| second.bytes_in), total.bytes_in);
}

#[test]
fn exactly_so_many_requests() {
    for (workers, connections, requests) in
        [(1, 1, 1), (1, 3, 2), (1, 4, 1000), (2, 2, 7), (2, 5, 1000)]
    {
        on_each_io(|io| {
            let (address, seen) = always(OK);
            let report = run(&Plan {
                workers,
                pin: workers > 1,
                ..plan(io, address, connections, requests)
            });
            assert_counts(&report, requests);
            assert_eq!(
                seen.requests(),
                requests,
                "{workers} workers, {connections}"
            );
            assert_eq!(report.total().answered, requests);
            assert_eq!(report.answered_in_time, requests);
            assert_eq!(report.connections, seen.connections());
            assert_eq!(report.workers.len(), workers);
            assert_eq!(report.intended_rate, None);
            assert!(report.achieved_rate() > 0.0);
        });
    }
}

#[test]
fn a_time() {
    on_each_io(|io| {
        let (address, seen) = always(OK);
        let report = run(&Plan {
            stop: Stop::After(Duration::from_millis(200)),
            ..plan(io, address, 4, 0)
        });
        assert_counts(&report, seen.requests());
        assert_eq!(report.duration, Duration::from_millis(200));
        assert!(report.answered_in_time <= seen.requests());
        assert_eq!(seen.connections(), 4);
    });
}

#[test]
fn a_connection_for_every_request() {
    on_each_io(|io| {
        let (address, seen) = always(OK);
        let report = run(&Plan {
            connect_per_request: true,
            ..plan(io, address, 4, 50)
        });
        assert_counts(&report, 50);
        assert_eq!((seen.connections(), report.connections), (50, 50));
        assert_eq!(report.connect.len(), 50);
    });
}

#[test]
fn a_warm_up_is_sent_and_not_counted() {
    on_each_io(|io| {
        let (address, seen) = always(OK);
        let report = run(&Plan {
            warmup: Duration::from_millis(100),
            ..plan(io, address, 2, 50)
        });
        assert_counts(&report, 50);
        assert!(seen.requests() > 50, "{}", seen.requests());
    });
}

/// An open loop knows beforehand what it will send.
#[test]
fn the_warm_up_of_an_open_loop() {
    on_each_io(|io| {
        let (address, seen) = always(OK);
        for arrivals in [Arrivals::Constant, Arrivals::Exponential { seed: 1 }] {
            let before = seen.requests();
            let report = run(&Plan {
                pace: Pace::Open {
                    rate: 1000.0,
                    arrivals,
                },
                warmup: Duration::from_millis(50),
                workers: 2,
                ..plan(io, address, 8, 100)
            });
            assert_counts(&report, 100);
            assert_eq!(report.slip.len(), 100);
            let sent = seen.requests() - before;
            match arrivals {
                Arrivals::Constant => assert_eq!(sent, 150),
                Arrivals::Exponential { .. } => assert!(sent > 100, "{sent}"),
            }
        }
    });
}

#[test]
fn all_connections_are_opened_and_used() {
    on_each_io(|io| {
        let (address, seen) = always(OK);
        let report = run(&Plan {
            pace: Pace::Open {
                rate: 200.0,
                arrivals: Arrivals::Constant,
            },
            usage: Usage::All,
            ..plan(io, address, 5, 20)
        });
        assert_counts(&report, 20);
        assert_eq!((seen.connections(), report.connections), (5, 5));
    });
}

/// Users of a closed loop go from one address to the other, so that weights hold.
#[test]
fn weights_hold_across_addresses() {
    on_each_io(|io| {
        let (one, seen_one) = always(OK);
        let (other, seen_other) = always(OK);
        let mut plan = plan(io, one, 3, 400);
        plan.targets[0].weight = 3;
        plan.targets.push(target(other));
        let report = run(&plan);
        assert_counts(&report, 400);
        // The last requests that were drawn may stay unsent, one for each user.
        assert!(
            seen_one.requests().abs_diff(300) <= 3,
            "{}",
            seen_one.requests()
        );
        assert_eq!(report.targets[1].requests, seen_other.requests());
    });
}

#[test]
fn a_host_that_refuses_is_not_asked_in_a_tight_loop() {
    on_each_io(|io| {
        // All others listen at 127.0.0.1, so that nobody takes the port when it is free again.
        let address = {
            let listener = TcpListener::bind("127.0.9.9:0").unwrap();
            listener.local_addr().unwrap()
        };
        let report = run(&plan(io, address, 2, 6));
        assert_counts(&report, 6);
        let total = report.total();
        assert_eq!(total.error(ErrorKind::Connect).count, 6, "{total:?}");
        // Three in turn on each connection, with a pause of at least 10 ms after each: less than
        // that cannot have passed.
        assert!(report.duration >= Duration::from_millis(20), "{report:?}");
    });
}

#[test]
fn no_answer_in_time() {
    on_each_io(|io| {
        let (address, seen) = start(|_, _, _| Then::Keep);
        let report = run(&Plan {
            request_timeout: Duration::from_millis(50),
            ..plan(io, address, 2, 6)
        });
        assert_counts(&report, 6);
        assert_eq!(report.total().error(ErrorKind::Timeout).count, 6);
        // An answer may still come on a connection after a timeout: none is used again.
        assert_eq!(seen.connections(), 6);
    });
}

/// A listener whose queue is full answers nothing at all.
#[test]
fn no_connection_in_time() {
    on_each_io(|io| {
        let socket = rustix::net::socket(
            rustix::net::AddressFamily::INET,
            rustix::net::SocketType::STREAM,
            None,
        )
        .unwrap();
        rustix::net::bind(&socket, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_millis(300);
        let mut queued = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, patience) {
            queued.push(stream);
        }
        let report = run(&Plan {
            connect_timeout: Duration::from_millis(50),
            ..plan(io, address, 2, 2)
        });
        assert_counts(&report, 2);
        let total = report.total();
        assert_eq!(total.error(ErrorKind::ConnectTimeout).count, 2, "{total:?}");
    });
}

#[test]
fn a_reset_is_no_orderly_end() {
    on_each_io(|io| {
        let (address, _) = start(|_, _, stream| {
            // Closing a socket that holds unread bytes resets the connection.
            stream.peek(&mut [0]).unwrap();
            Then::Close
        });
        let mut plan = plan(io, address, 1, 3);
        plan.targets[0].method = "POST".into();
        plan.targets[0].body = Target::filler(1 << 20);
        let total = run(&plan).total();
        assert_eq!(total.error(ErrorKind::Reset).count, 3, "{total:?}");
    });
}

#[test]
fn what_is_abandoned_is_in_no_count() {
    on_each_io(|io| {
        let (address, seen) = start(|number, _, stream| {
            if number < 2 {
                stream.write_all(OK.as_bytes()).unwrap();
            }
            Then::Keep
        });
        let run = Run::start(&Plan {
            stop: Stop::Asked,
            ..plan(io, address, 2, 0)
        })
        .unwrap();
        // Two of them are stuck.
        wait_for_requests(&seen, 4);
        run.stopper().stop();
        assert!(!run.is_over());
        run.stopper().abandon();
        assert_counts(&run.finish().unwrap(), 2);
    });
}

/// A run that nobody wants any more ends, also with requests that get no answer and whose timeout
/// nobody would wait for.
#[test]
fn a_run_can_be_dropped() {
    on_each_io(|io| {
        let (address, seen) = start(|_, _, _| Then::Keep);
        let run = Run::start(&Plan {
            request_timeout: Duration::from_secs(86_400),
            ..plan(io, address, 2, 2)
        })
        .unwrap();
        wait_for_requests(&seen, 2);
        drop(run);
    });
}
