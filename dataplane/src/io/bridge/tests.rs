use std::{
    future::{Future, poll_fn},
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    pin::{Pin, pin},
    rc::Rc,
    thread,
    time::Duration,
};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use ringmain_core::http2::Flood;

use super::{Bridge, IoSlice, Line};
use crate::io::{
    alarm::Late,
    buffer::BufferPool,
    deadline::Deadlines,
    race::{Either, join, race},
    ring::{self, Rung},
    spawn,
    stream::Stream,
};

/// Far beyond anything that works.
const LONG: Duration = Duration::from_secs(60);

/// A connection of the core, and its other end.
struct Pair {
    bridge: Bridge,
    line: Rc<Line>,
    stream: Rc<Stream>,
    far: TcpStream,
    table: Rc<Deadlines>,
    pool: Rc<BufferPool>,
}

/// Runs `body` on a ring and with epoll, while the sweeper runs.
fn check(received: &[u8], flush_timeout: Duration, body: impl AsyncFn(Pair)) {
    let run = async |rung| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        far.set_read_timeout(Some(LONG)).unwrap();
        let near = listener.accept().unwrap().0;
        near.set_nonblocking(true).unwrap();
        near.set_nodelay(true).unwrap();
        let table = Deadlines::new(rung);
        spawn(Rc::clone(&table).sweep());
        let pool = BufferPool::new(4096);
        let mut buffer = pool.none();
        buffer.tail().extend_from_slice(received);
        let stream = Rc::new(Stream::accepted(near.into(), &table).unwrap());
        let bridge = Bridge::new(Rc::clone(&stream), buffer, pool.none(), flush_timeout);
        body(Pair {
            line: bridge.line(),
            bridge,
            stream,
            far,
            table,
            pool,
        })
        .await;
    };
    // Where the kernel refuses rings, it is epoll twice.
    for rungs in [ring::ladder(false), &[Rung::Epoll]] {
        assert!(ring::run(rungs, 64, |rung, _| run(rung)).is_ok());
    }
}

/// What the connection's task does when it has said all that it has to say.
async fn flush(line: &Line) -> std::io::Result<()> {
    poll_fn(|context| line.poll_flush(context)).await
}

/// Polls what drives a connection, and flushes.
async fn driven<T>(line: &Line, drives: impl Future<Output = T>) -> T {
    let mut drives = pin!(drives);
    poll_fn(|context| {
        let polled = drives.as_mut().poll(context);
        let _ = line.poll_flush(context);
        polled
    })
    .await
}

/// Repeats in no power of two.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[test]
fn what_was_received_before_comes_first() {
    check(b"before ", LONG, async |mut pair| {
        pair.far.write_all(b"after").unwrap();
        let mut bytes = [0; 12];
        pair.bridge.read_exact(&mut bytes[..3]).await.unwrap();
        pair.bridge.read_exact(&mut bytes[3..]).await.unwrap();
        assert_eq!(&bytes, b"before after");
        assert_eq!(pair.pool.in_use(), 0, "no memory is kept for it");
        pair.far.shutdown(Shutdown::Write).unwrap();
        assert_eq!(pair.bridge.read(&mut bytes).await.unwrap(), 0);
        assert_eq!(pair.bridge.read(&mut bytes).await.unwrap(), 0);
    });
}

/// It waits again and again, with one wait, and is woken for each message.
#[test]
fn messages_go_there_and_back() {
    check(b"", LONG, async |mut pair| {
        let far = thread::spawn(move || {
            let mut byte = [0];
            for number in 0..100 {
                pair.far.write_all(&[number]).unwrap();
                pair.far.read_exact(&mut byte).unwrap();
                assert_eq!(byte, [number + 1]);
            }
        });
        for number in 0..100 {
            assert_eq!(pair.bridge.read_u8().await.unwrap(), number);
            pair.bridge.write_all(&[number + 1]).await.unwrap();
            flush(&pair.line).await.unwrap();
        }
        far.join().unwrap();
        assert_eq!(pair.bridge.read(&mut [0]).await.unwrap(), 0);
    });
}

/// Far more than the kernel's buffers hold, in both directions at once.
#[test]
fn a_flood_goes_there_and_back() {
    const BYTES: usize = 16 << 20;
    check(b"", LONG, async |pair| {
        let far = pair.far.try_clone().unwrap();
        let sends = thread::spawn(move || (&far).write_all(&pattern(BYTES)).unwrap());
        let mut far = pair.far;
        let reads = thread::spawn(move || {
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).unwrap();
            assert!(bytes == pattern(BYTES));
        });
        let (mut read_half, mut write_half) = tokio::io::split(pair.bridge);
        let writing = pin!(async {
            write_half.write_all(&pattern(BYTES)).await.unwrap();
            write_half.shutdown().await.unwrap();
        });
        let reading = pin!(async {
            let mut bytes = vec![0; BYTES];
            read_half.read_exact(&mut bytes).await.unwrap();
            assert!(bytes == pattern(BYTES));
        });
        join(writing, reading, |()| {}).await;
        sends.join().unwrap();
        reads.join().unwrap();
    });
}

#[test]
fn slices_are_sent_one_after_another() {
    check(b"", LONG, async |mut pair| {
        assert!(pair.bridge.is_write_vectored());
        let slices = [b"one ".as_slice(), b"", b"two"].map(IoSlice::new);
        let sends =
            poll_fn(|context| Pin::new(&mut pair.bridge).poll_write_vectored(context, &slices));
        assert_eq!(sends.await.unwrap(), 7);
        flush(&pair.line).await.unwrap();
        let mut bytes = [0; 7];
        pair.far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"one two");
        // More of them than one call takes.
        let bytes = pattern(4);
        let many = vec![IoSlice::new(&bytes); 2000];
        let sends =
            poll_fn(|context| Pin::new(&mut pair.bridge).poll_write_vectored(context, &many));
        assert_eq!(
            sends.await.unwrap(),
            4 * 1023,
            "one slice is what was to be sent before"
        );
    });
}

/// A peer that reads nothing is cut off; one that waits to be sent something is not.
#[test]
fn a_write_without_progress_ends_the_connection() {
    let timeout = Duration::from_millis(30);
    check(b"", timeout, async |mut pair| {
        let alarm = pair.table.alarm();
        alarm.set_after(3 * timeout);
        let idle = alarm.guard(pair.bridge.read_u8()).await;
        assert!(matches!(idle, Err(Late(_))), "{idle:?}");
        let start = pair.table.now();
        let chunk = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = pair.bridge.write_all(&chunk).await {
                break error;
            }
        };
        assert!(
            pair.table.now() - start >= timeout.as_micros() as u64,
            "{error}"
        );
        assert!(pair.stream.was_stopped());
        assert_eq!(pair.bridge.read(&mut [0]).await.unwrap(), 0);
        drop(pair.far);
    });
}

/// Whatever is polled ends when the connection is ended elsewhere.
#[test]
fn all_ends_when_the_connection_is_aborted() {
    check(b"", LONG, async |pair| {
        let Pair {
            mut bridge,
            line,
            stream,
            table,
            far,
            ..
        } = pair;
        let alarm = table.alarm();
        alarm.set_after(Duration::from_millis(5));
        spawn(async move {
            assert!(alarm.guard(std::future::pending::<()>()).await.is_err());
            stream.abort();
        });
        assert_eq!(bridge.read(&mut [0]).await.unwrap(), 0);
        bridge.write_all(b"x").await.unwrap();
        assert!(flush(&line).await.is_err());
        drop(far);
    });
    check(b"", LONG, async |pair| {
        let Pair {
            mut bridge,
            stream,
            table,
            far,
            ..
        } = pair;
        let alarm = table.alarm();
        alarm.set_after(Duration::from_millis(20));
        spawn(async move {
            assert!(alarm.guard(std::future::pending::<()>()).await.is_err());
            stream.reset();
        });
        let chunk = vec![0; 1 << 20];
        while bridge.write_all(&chunk).await.is_ok() {}
        drop(far);
    });
}

/// A connection over which as much comes as can be read does not hold the core.
#[test]
fn others_have_their_turn() {
    check(b"", LONG, async |pair| {
        let Pair {
            mut bridge,
            table,
            mut far,
            stream,
            ..
        } = pair;
        let sends = thread::spawn(move || {
            let chunk = vec![0; 1 << 20];
            while far.write_all(&chunk).is_ok() {}
        });
        let alarm = table.alarm();
        alarm.set_after(Duration::from_millis(20));
        let reads = async {
            // So small that there is always more.
            let mut bytes = [0; 64];
            while bridge.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        };
        let first = race(alarm.guard(std::future::pending::<()>()), reads).await;
        assert!(matches!(first, Either::First(Err(_))));
        stream.reset();
        sends.join().unwrap();
    });
}

/// Who sends too many is told so and cut off, wherever the count began.
#[test]
fn frames_that_bring_nothing_end_the_connection() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let headers = [0, 0, 1, 1, 5, 0, 0, 0, 7, 0x82];
    let start = [PREFACE, &headers, &PING.repeat(10)].concat();
    check(&start, LONG, async |mut pair| {
        let seen = pair.bridge.watch_frames(10, true);
        let mut bytes = [0; 1024];
        let count = pair.bridge.read(&mut bytes).await.unwrap();
        assert_eq!(count, start.len());
        pair.bridge.write_all(b"se").await.unwrap();
        flush(&pair.line).await.unwrap();
        pair.bridge.write_all(b"nt").await.unwrap();
        // A second's worth more than ten seconds'.
        pair.far.write_all(&PING.repeat(110)).unwrap();
        let error = loop {
            if let Err(error) = pair.bridge.read(&mut bytes).await {
                break error;
            }
        };
        assert_eq!(error.to_string(), Flood::IdleFrames.reason());
        assert_eq!(seen.flood(), Some(Flood::IdleFrames));
        drop(pair.bridge);
        pair.stream.finish();
        let mut told = [0; 21];
        pair.far.read_exact(&mut told).unwrap();
        assert_eq!(&told[..4], b"sent");
        let go_away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 11];
        assert_eq!(told[4..], go_away);
    });
}

/// The h2 crate over it: both ends are bridges of one core.
#[test]
fn the_h2_crate_is_carried() {
    check(b"", LONG, async |pair| {
        let Pair {
            bridge,
            line,
            table,
            far,
            pool,
            ..
        } = pair;
        far.set_nonblocking(true).unwrap();
        let far = Rc::new(Stream::accepted(far.into(), &table).unwrap());
        let far = Bridge::new(far, pool.none(), pool.none(), LONG);
        let far_line = far.line();
        let serves = driven(&line, async {
            let mut connection = h2::server::handshake(bridge).await.unwrap();
            while let Some(accepted) = connection.accept().await {
                let (request, mut respond) = accepted.unwrap();
                let mut body = request.into_body();
                spawn(async move {
                    let mut sends = respond
                        .send_response(http::Response::new(()), false)
                        .unwrap();
                    while let Some(bytes) = body.data().await {
                        let bytes = bytes.unwrap();
                        body.flow_control().release_capacity(bytes.len()).unwrap();
                        sends.send_data(bytes, false).unwrap();
                    }
                    sends.send_data(bytes::Bytes::new(), true).unwrap();
                });
            }
        });
        let calls = async {
            let (mut client, connection) = h2::client::handshake(far).await.unwrap();
            spawn(async move { driven(&far_line, connection).await.unwrap() });
            for length in [0, 1, 1000, 60_000] {
                client = client.ready().await.unwrap();
                let request = http::Request::post("http://a/").body(()).unwrap();
                let (response, mut sends) = client.send_request(request, false).unwrap();
                sends.send_data(pattern(length).into(), true).unwrap();
                let mut body = response.await.unwrap().into_body();
                let mut received = Vec::new();
                while let Some(bytes) = body.data().await {
                    let bytes = bytes.unwrap();
                    body.flow_control().release_capacity(bytes.len()).unwrap();
                    received.extend_from_slice(&bytes);
                }
                assert!(received == pattern(length));
            }
        };
        let (serves, calls) = (pin!(serves), pin!(calls));
        join(calls, serves, |()| {}).await;
    });
}
