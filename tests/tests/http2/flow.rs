//! Flow control from end to end: who does not take what comes holds up whoever sends it, and the
//! proxy holds next to nothing meanwhile.

use ringmain_tests::{
    Io,
    http2::{
        Frame,
        frame::{code, setting},
    },
    mesh::Mesh,
    on_both,
    origin::{Origin, response},
    wait::{self, Gate},
};

use super::pair::Speaks;

on_both!(
    a_client_without_room_stops_the_origin,
    an_origin_that_does_not_read_stops_the_client,
    a_slow_stream_does_not_hold_up_the_others,
    answers_that_nobody_reads,
    many_frames_that_nobody_reads,
    uploads_that_nobody_reads,
    more_uploads_than_the_upstream_takes,
    room_that_comes_late,
);

/// More than all sockets and windows on the way can hold.
const LENGTH: usize = 100_000_000;

/// An origin that sends as much as anybody takes of it, in one of the protocols.
fn endless(speaks: Speaks) -> Origin {
    match speaks {
        Speaks::Http1 => Origin::start(|conversation| {
            drop(conversation.request());
            conversation.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n"
            ));
            let mut left = LENGTH;
            while left > 0 && conversation.send([0; 100_000]) {
                left -= 100_000;
            }
        }),
        Speaks::Http2 => Origin::http2(&[], |peer, stream, _| {
            peer.send(&Frame::headers(stream, [(":status", "200")], false));
            peer.send_body(stream, &vec![0; LENGTH], true);
        }),
    }
}

fn mesh(io: Io, speaks: Speaks, origin: &Origin) -> Mesh {
    match speaks {
        Speaks::Http1 => Mesh::to(io, origin),
        Speaks::Http2 => Mesh::to_http2(io, origin),
    }
}

/// Waits until this number stands still.
fn settled(what: &str, mut number: impl FnMut() -> u64) -> u64 {
    let (mut before, mut since) = (number(), 0);
    wait::until(format!("{what} to stand still"), || {
        let now = number();
        since = if now == before { since + 1 } else { 0 };
        before = now;
        if since >= 40 { Ok(now) } else { Err(now) }
    })
}

fn a_client_without_room_stops_the_origin(io: Io) {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let origin = endless(speaks);
        let mesh = mesh(io, speaks, &origin);
        let before = mesh.proxy.process.resident_kib();
        let mut client = mesh.http2_client();
        client.replenishes = false;
        let streams: Vec<_> = (0..5).map(|_| client.get("/")).collect();
        // All of the first window of the connection, and not a byte more.
        let got = |client: &ringmain_tests::http2::Peer| -> usize {
            let bodies = streams
                .iter()
                .map(|stream| client.stream(*stream).message.body.len());
            bodies.sum()
        };
        client.until(|client| got(client) == 65_535).unwrap();
        client.ping();
        assert_eq!(got(&client), 65_535, "{speaks:?}");
        settled("memory", || mesh.proxy.process.resident_kib());
        let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
        assert!(
            grown < 6 * 1024,
            "{speaks:?}: {grown} KiB more for a client without room"
        );
        for stream in streams {
            client.send(&Frame::reset(stream, code::CANCEL));
        }
        client.ping();
        mesh.wait_until_idle();
        drop(client);
        let lines = mesh.finish();
        assert_eq!(lines.len(), 5);
        for line in lines {
            assert_eq!(
                line.get("response_flags"),
                "DC",
                "{speaks:?}: {}",
                line.text
            );
            // What was received and not passed on is not counted as sent.
            assert!(
                line.number("bytes_sent") < 2_000_000,
                "{speaks:?}: {}",
                line.text
            );
        }
    }
}

fn an_origin_that_does_not_read_stops_the_client(io: Io) {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let gate = Gate::new();
        let ready = gate.clone();
        let origin = match speaks {
            Speaks::Http1 => Origin::narrow(move |conversation| {
                drop(conversation.head());
                ready.pass();
                conversation.send(response("never mind"));
            }),
            Speaks::Http2 => Origin::start(move |conversation| {
                let mut peer = conversation.http2(&[]).unwrap();
                peer.replenishes = false;
                let (stream, _) = peer.request_head().unwrap();
                peer.until(|peer| peer.stream(stream).message.body.len() == 65_535)
                    .unwrap();
                ready.pass();
                peer.answer(stream, "never mind");
                while peer.step().is_ok() {}
            }),
        };
        let mesh = mesh(io, speaks, &origin);
        let before = mesh.proxy.process.resident_kib();
        let mut client = mesh.http2_client();
        let stream = client.post("/");
        // As much as there is room for, until there is none for a while.
        let mut sent = 0;
        let timeout = std::time::Duration::from_millis(500);
        client.ping();
        client.wire.stream.set_read_timeout(Some(timeout)).unwrap();
        loop {
            let room = client.room_for(stream);
            if room > 0 {
                client.send_body(stream, &vec![0; room], false);
                sent += room;
            } else if client.step().is_err() {
                break;
            }
            assert!(sent < LENGTH, "{speaks:?}: nobody held the client back");
        }
        client
            .wire
            .stream
            .set_read_timeout(Some(wait::PATIENCE))
            .unwrap();
        let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
        assert!(
            grown < 4096,
            "{speaks:?}: {grown} KiB more for an origin that does not read"
        );
        // Other streams go on.
        gate.open();
        assert_eq!(
            client.ended(stream).message.text(),
            "never mind",
            "{speaks:?}"
        );
        drop(client);
        assert_eq!(mesh.finish_one().verdict(), "200 -", "{speaks:?}");
    }
}

/// A stream whose receiver gives no room, among others that have it.
fn a_slow_stream_does_not_hold_up_the_others(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, request| {
        let length = if request.line.contains("slow") {
            60_000
        } else {
            10
        };
        peer.send(&Frame::headers(stream, [(":status", "200")], false));
        peer.send_body(stream, &vec![7; length], true);
    });
    let mesh = Mesh::to_http2(io, &origin);
    let mut client =
        ringmain_tests::http2::Peer::client(mesh.gateway, &[(setting::INITIAL_WINDOW_SIZE, 1000)]);
    client.replenishes = false;
    let slow = client.get("/slow");
    client
        .until(|client| client.stream(slow).message.body.len() == 1000)
        .unwrap();
    for _ in 0..100 {
        let fast = client.get("/fast");
        assert_eq!(client.response(fast).body.len(), 10);
    }
    assert_eq!(client.stream(slow).message.body.len(), 1000);
    client.send(&Frame::window_update(slow, 100_000));
    assert_eq!(client.response(slow).body, [7; 60_000]);
    drop(client);
    assert_eq!(origin.connections(), 1);
    assert_eq!(mesh.finish().len(), 101);
}

/// As `limits.http2_stream_window_bytes` has it.
const STREAM_WINDOW: usize = 256 << 10;

/// Each as long as a stream's window. Other clients' requests on the same upstream connection know
/// nothing of them.
fn answers_that_nobody_reads(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, request| {
        if request.line.contains("long") {
            peer.send(&Frame::headers(stream, [(":status", "200")], false));
            peer.send_body(stream, &vec![7; STREAM_WINDOW], false);
        } else {
            peer.answer(stream, "short");
        }
    });
    let mesh = Mesh::to_http2(io, &origin);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut idler = ringmain_tests::http2::Peer::client(mesh.gateway, &settings);
    idler.replenishes = false;
    for _ in 0..12 {
        let stream = idler.get("/long");
        idler.response_head(stream);
    }
    let mut other = mesh.http2_client();
    for _ in 0..3 {
        let stream = other.get("/");
        assert_eq!(other.response(stream).text(), "short");
        assert_eq!(mesh.client().get("/").text(), "short");
    }
    assert_eq!(origin.connections(), 1);
    drop((idler, other));
    mesh.finish();
}

/// Of 20 bytes each, as far as a stream's window reaches. What a frame costs by itself is not held
/// for each of them.
fn many_frames_that_nobody_reads(io: Io) {
    const STREAMS: u64 = 8;
    const FRAMES: usize = STREAM_WINDOW / 20;
    fn payload(index: usize) -> [u8; 20] {
        [index.to_le_bytes()[0]; 20]
    }
    let origin = Origin::http2(&[], |peer, stream, _| {
        peer.send(&Frame::headers(stream, [(":status", "200")], false));
        let frames = (0..FRAMES).map(|index| Frame::data(stream, payload(index), false).bytes());
        peer.send_bytes(frames.collect::<Vec<_>>().concat());
        peer.send(&Frame::data(stream, [], true));
    });
    let mesh = Mesh::to_http2(io, &origin);
    let settings = [(setting::INITIAL_WINDOW_SIZE, 0)];
    let mut client = ringmain_tests::http2::Peer::client(mesh.gateway, &settings);
    client.replenishes = false;
    client.ping();
    let before = mesh.proxy.process.resident_kib();
    let streams: Vec<_> = (0..STREAMS).map(|_| client.get("/")).collect();
    for stream in &streams {
        client.response_head(*stream);
    }
    settled("memory", || mesh.proxy.process.resident_kib());
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
    let window_kib = STREAM_WINDOW as u64 / 1024;
    assert!(grown < 6 * STREAMS * window_kib, "{grown} KiB more");
    let all: Vec<u8> = (0..FRAMES).flat_map(payload).collect();
    client.send(&Frame::window_update(0, 1 << 30));
    for stream in streams {
        client.send(&Frame::window_update(stream, 1 << 30));
        assert!(client.response(stream).body == all, "{stream}");
    }
    drop(client);
    mesh.finish();
}

/// To endpoints that do not read, and one to another that does.
fn uploads_that_nobody_reads(io: Io) {
    const SLOW: usize = 12;
    let gate = Gate::new();
    let opens = gate.clone();
    let origin = Origin::narrow(move |conversation| {
        if conversation.index < SLOW {
            drop(conversation.head());
            opens.pass();
        } else if let Ok(request) = conversation.request() {
            conversation.send(response(&request.text()));
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.http2_client();
    client.ping();
    let slow: Vec<_> = (0..SLOW).map(|_| client.post("/")).collect();
    // As much as there is room for, until there is none for a while.
    let mut quiet = 0;
    while quiet < 50 {
        client.ping();
        quiet += 1;
        for stream in &slow {
            let room = client.room_for(*stream);
            if room > 0 {
                client.send_body(*stream, &vec![7; room], false);
                quiet = 0;
            }
        }
    }
    let stream = client.post("/");
    assert!(client.room_for(stream) > 0, "the others have taken it all");
    client.send_body(stream, b"hello", true);
    assert_eq!(client.response(stream).text(), "hello");
    gate.open();
    drop(client);
    mesh.finish();
}

/// An upstream that takes one request at a time, and bodies that come after their heads: those
/// that wait for their turn are sent when it has come.
fn more_uploads_than_the_upstream_takes(io: Io) {
    let origin = Origin::http2(
        &[(setting::MAX_CONCURRENT_STREAMS, 1)],
        |peer, stream, request| {
            peer.answer(stream, &request.text());
        },
    );
    let mesh = Mesh::to_http2(io, &origin);
    let mut client = mesh.http2_client();
    for round in 0..10 {
        let streams: Vec<_> = (0..3).map(|_| client.post("/")).collect();
        client.ping();
        for stream in &streams {
            client.send_body(*stream, format!("{round} {stream}").as_bytes(), true);
        }
        for stream in streams {
            assert_eq!(client.response(stream).text(), format!("{round} {stream}"));
        }
    }
    drop(client);
    assert_eq!(mesh.finish().len(), 30);
}

/// A window of no bytes at all, that opens byte by byte.
fn room_that_comes_late(io: Io) {
    let origin = Origin::saying("hello");
    let mesh = Mesh::to(io, &origin);
    let mut client =
        ringmain_tests::http2::Peer::client(mesh.gateway, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.replenishes = false;
    let stream = client.get("/");
    client.response_head(stream);
    client.ping();
    assert_eq!(client.stream(stream).message.text(), "");
    for letters in 1..=5 {
        client.send(&Frame::window_update(stream, 1));
        client
            .until(|client| client.stream(stream).message.body.len() == letters)
            .unwrap();
    }
    assert_eq!(client.response(stream).text(), "hello");
    // A window may grow and shrink by what SETTINGS say.
    let stream = client.get("/");
    client.response_head(stream);
    client.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 3)]));
    client
        .until(|client| client.stream(stream).message.body.len() == 3)
        .unwrap();
    client.send(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
    // Minus three now, which is to be made up for first.
    client.send(&Frame::window_update(stream, 3));
    client.ping();
    assert_eq!(client.stream(stream).message.text(), "hel");
    client.send(&Frame::window_update(stream, 2));
    let frame = client.response(stream);
    assert_eq!(frame.text(), "hello");
    drop(client);
    mesh.finish();
}
