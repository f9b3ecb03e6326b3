//! Echoes and streams, on io_uring and on epoll.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod running;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use ringmain_loadgen::{
    Arrivals, Direction, ErrorKind, Io, Kind, Pace, Plan, Report, Stop, Target,
};
use running::{on_each_io, run, run_until};

/// Serves every connection with a thread of its own until the process ends.
fn serve(converse: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let converse = converse.clone();
            thread::spawn(move || converse(stream.unwrap()));
        }
    });
    address
}

/// Sends back what `change` makes of it, until the end of the stream.
fn echo(mut stream: TcpStream, change: impl Fn(&mut [u8])) {
    stream.set_nodelay(true).unwrap();
    let mut bytes = vec![0; 10_000];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        change(&mut bytes[..count]);
        if stream.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

fn plan(io: Io, kind: Kind, address: SocketAddr, body_bytes: usize) -> Plan {
    let mut target = Target::get(format!("tcp://{address}").parse().unwrap());
    target.body = Target::filler(body_bytes);
    Plan {
        io,
        kind,
        connections: 2,
        ..Plan::new(vec![target], Pace::Closed)
    }
}

#[test]
fn echoes() {
    let address = serve(|stream| echo(stream, |_| {}));
    for (body_bytes, requests) in [(1, 100), (100, 500), (3_000_000, 4)] {
        on_each_io(|io| {
            let report = run(&Plan {
                stop: Stop::Requests(requests),
                ..plan(io, Kind::TcpEcho, address, body_bytes)
            });
            let total = report.total();
            assert_eq!(total.answered, requests, "{io:?} {total:?}");
            assert_eq!(total.latency.len(), requests);
            assert_eq!(total.bytes_in, requests * body_bytes as u64);
            assert_eq!(total.bytes_out, total.bytes_in);
            assert!(total.statuses.is_empty());
        });
    }
}

#[test]
fn echoes_at_a_rate() {
    let address = serve(|stream| echo(stream, |_| {}));
    on_each_io(|io| {
        let report = run(&Plan {
            pace: Pace::Open {
                rate: 500.0,
                arrivals: Arrivals::Constant,
            },
            stop: Stop::After(Duration::from_millis(200)),
            ..plan(io, Kind::TcpEcho, address, 10)
        });
        assert_eq!(report.total().answered, 100);
    });
}

#[test]
fn bytes_that_are_not_the_same() {
    let address = serve(|stream| echo(stream, |bytes| *bytes.last_mut().unwrap() ^= 1));
    check_failure(address, ErrorKind::Protocol);
    let address = serve(|mut stream| {
        stream.read_exact(&mut [0; 100]).unwrap();
        stream.write_all(&[b'x'; 200]).unwrap();
        // Until the other side has seen it.
        drop(stream.read(&mut [0]));
    });
    check_failure(address, ErrorKind::Protocol);
}

#[test]
fn an_echo_that_ends_too_early() {
    let address = serve(|mut stream| {
        let mut bytes = [0; 100];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(&bytes[..50]).unwrap();
    });
    check_failure(address, ErrorKind::Closed);
}

fn check_failure(address: SocketAddr, kind: ErrorKind) {
    on_each_io(|io| {
        let total = run(&Plan {
            stop: Stop::Requests(4),
            ..plan(io, Kind::TcpEcho, address, 100)
        })
        .total();
        assert_eq!(
            (total.requests, total.error(kind).count),
            (4, 4),
            "{total:?}"
        );
    });
}

fn stream(io: Io, direction: Direction, address: SocketAddr) -> Plan {
    Plan {
        stop: Stop::After(Duration::from_millis(200)),
        warmup: Duration::from_millis(20),
        ..plan(io, Kind::TcpStream(direction), address, 0)
    }
}

/// What the report says has moved, did, byte for byte: streams are drained before a run is over.
fn check_stream(direction: Direction, report: &Report, to_server: u64, from_server: u64) {
    let total = report.total();
    assert_eq!(
        (total.requests, total.failed()),
        (0, 0),
        "{direction:?} {total:?}"
    );
    let both = direction == Direction::Both;
    let (sends, receives) = (
        both || direction == Direction::Send,
        both || direction == Direction::Receive,
    );
    assert_eq!(total.bytes_out > 0, sends, "{direction:?} {}", report.rung);
    assert_eq!(
        total.bytes_in > 0,
        receives,
        "{direction:?} {}",
        report.rung
    );
    let drained = report.drained;
    assert_eq!(drained.cut, 0, "{direction:?} {}", report.rung);
    assert_eq!(
        total.bytes_out + drained.bytes_out,
        to_server,
        "{direction:?}"
    );
    assert_eq!(
        total.bytes_in + drained.bytes_in,
        from_server,
        "{direction:?}"
    );
    let series: u64 = report.series.iter().map(|second| second.bytes_in).sum();
    assert_eq!(series, total.bytes_in);
}

#[test]
fn streams() {
    for direction in [Direction::Send, Direction::Receive, Direction::Both] {
        on_each_io(|io| {
            let counts = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
            let [to_server, from_server, open] = counts.clone();
            let address = serve(move |stream| {
                open.fetch_add(1, Ordering::SeqCst);
                let mut reader = stream.try_clone().unwrap();
                let received = Arc::clone(&to_server);
                let drain = thread::spawn(move || {
                    let mut bytes = vec![0; 100_000];
                    while let Ok(count @ 1..) = reader.read(&mut bytes) {
                        received.fetch_add(count as u64, Ordering::SeqCst);
                    }
                });
                if direction != Direction::Send {
                    let mut writer = &stream;
                    while !drain.is_finished() {
                        let count = writer.write(&[b'x'; 70_000]).unwrap();
                        from_server.fetch_add(count as u64, Ordering::SeqCst);
                    }
                }
                drain.join().unwrap();
                open.fetch_sub(1, Ordering::SeqCst);
            });
            let plan = Plan {
                stop: Stop::Asked,
                warmup: Duration::ZERO,
                ..stream(io, direction, address)
            };
            let report = run_until(&plan, |progress| {
                (progress.bytes_out > 0 || direction == Direction::Receive)
                    && (progress.bytes_in > 0 || direction == Direction::Send)
            });
            let [to_server, from_server, open] = &counts;
            let deadline = Instant::now() + Duration::from_secs(10);
            while open.load(Ordering::SeqCst) > 0 {
                assert!(
                    Instant::now() < deadline,
                    "connections stay open: {direction:?}"
                );
                thread::yield_now();
            }
            let (to_server, from_server) = (
                to_server.load(Ordering::SeqCst),
                from_server.load(Ordering::SeqCst),
            );
            check_stream(direction, &report, to_server, from_server);
        });
    }
}

/// The end of a stream is its time, not that of a block that gets nowhere.
#[test]
fn a_stream_that_stalls_ends_in_time() {
    let directions = [Direction::Send, Direction::Receive, Direction::Both];
    // Each waits for its streams to drain: all at once.
    thread::scope(|scope| {
        for direction in directions {
            scope.spawn(move || on_each_io(|io| stalled(io, direction)));
        }
    });
}

fn stalled(io: Io, direction: Direction) {
    let address = serve(|stream| {
        // Neither reads nor writes until the other side is gone, which shows as an error or
        // as an end only to who looks: keep the socket for as long as the test may take.
        thread::park_timeout(Duration::from_secs(60));
        drop(stream);
    });
    // Its timeout would be an error.
    let report = run(&stream(io, direction, address));
    assert_eq!(report.total().failed(), 0, "{direction:?}");
    assert!(
        report.drained.cut > 0,
        "{direction:?}: {:?}",
        report.drained
    );
}

#[test]
fn a_stream_that_the_server_ends() {
    on_each_io(|io| {
        let address = serve(drop);
        let plan = Plan {
            stop: Stop::Asked,
            ..stream(io, Direction::Receive, address)
        };
        let total = run_until(&plan, |progress| progress.errors > 0).total();
        let closed = total.error(ErrorKind::Closed).count;
        assert!(closed > 0 && closed == total.failed(), "{total:?}");
    });
}
