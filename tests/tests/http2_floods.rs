//! Clients of HTTP/2 that cost more than they bring, frame by frame: each is cut off, and told why
//! where it listens; others are served meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use ringmain_tests::{Io, mesh::Mesh, message::is_reset, on_both, origin::Origin, wait::Gate};

on_both!(
    floods_are_cut_off,
    requests_that_are_reset_one_after_another,
    a_client_that_cancels_sometimes_is_let_be,
    an_upstream_that_floods_is_cut_off,
    a_hello_that_does_not_come,
);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const ENHANCE_YOUR_CALM: u32 = 11;

/// POST http://a/ in HPACK: three indexed fields and a literal.
const POST: &[u8] = b"\x83\x86\x84\x01\x01a";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The preface and empty settings.
fn hello() -> Vec<u8> {
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    hello.extend(frame(SETTINGS, 0, 0, b""));
    hello
}

/// Streams of clients, from the first.
fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

/// `count` times what `each` makes of the next stream.
fn each_stream(count: usize, each: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    streams().take(count).flat_map(each).collect()
}

/// Sends what it can, and reads to the end: the reason of the last GOAWAY. `None`: there was none,
/// or a reset has swallowed it.
fn cut_off(mesh: &Mesh, bytes: &[u8]) -> Option<u32> {
    let mut stream = mesh.client().wire.stream.try_clone().unwrap();
    // The proxy may have had enough before the end.
    drop(stream.write_all(bytes));
    let received = read_to_end(&mut stream);
    let mut rest = received.as_slice();
    let mut reason = None;
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, next)) = payload.split_at_checked(length) else {
            break;
        };
        if *kind == GOAWAY {
            reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        rest = next;
    }
    reason
}

/// What comes until the end, which must come.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    if let Err(error) = stream.read_to_end(&mut received) {
        assert!(is_reset(&error), "it is not cut off: {error}");
    }
    received
}

fn floods_are_cut_off(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("http2_idle_frames", "100")
        .limit("http2_error_resets", "20")
        .start();
    let open = frame(HEADERS, END_HEADERS, 1, POST);
    // A literal of 16,000 bytes (RFC 7541 section 5.1).
    let long_field = [b"\x00\x01x\x7f\x81\x7c".to_vec(), vec![b'y'; 16_000]].concat();
    let table = [
        ("PING", frame(PING, 0, 0, b"12345678").repeat(2000)),
        ("SETTINGS", frame(SETTINGS, 0, 0, b"").repeat(2000)),
        (
            "PRIORITY",
            each_stream(2000, |stream| frame(PRIORITY, 0, stream, b"\0\0\0\0\0")),
        ),
        (
            "WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01").repeat(2000),
        ),
        ("unknown", frame(0x77, 0, 0, b"").repeat(2000)),
        (
            "empty DATA",
            [open.clone(), frame(DATA, 0, 1, b"").repeat(200)].concat(),
        ),
        (
            "CONTINUATION",
            [
                frame(HEADERS, 0, 1, POST),
                frame(CONTINUATION, 0, 1, b"").repeat(200),
            ]
            .concat(),
        ),
        (
            "a header list without end",
            [
                frame(HEADERS, 0, 1, POST),
                frame(CONTINUATION, 0, 1, &long_field).repeat(200),
            ]
            .concat(),
        ),
        (
            "requests that are reset at once",
            each_stream(200, |stream| {
                let mut both = frame(HEADERS, END_HEADERS, stream, POST);
                both.extend(frame(RST_STREAM, 0, stream, b"\0\0\0\x08"));
                both
            }),
        ),
        (
            "requests that make the proxy reset them",
            each_stream(200, |stream| {
                let mut both = frame(HEADERS, END_HEADERS, stream, POST);
                both.extend(frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff"));
                both
            }),
        ),
        (
            "requests that are malformed",
            each_stream(200, |stream| {
                frame(HEADERS, END_HEADERS | END_STREAM, stream, b"\x83")
            }),
        ),
    ];
    for (name, bytes) in table {
        let reason = cut_off(&mesh, &[hello(), bytes].concat());
        assert!(
            matches!(reason, None | Some(ENHANCE_YOUR_CALM)),
            "{name}: {reason:?}"
        );
        assert_eq!(mesh.client().get("/").status(), 200, "after {name}");
    }
    // Of the five that are counted by the proxy itself.
    mesh.proxy
        .wait_for_metric("ringmain_downstream_http2_floods_total", 5);
}

/// Each is accepted and on its way before it is reset, so that only their number tells.
fn requests_that_are_reset_one_after_another(io: Io) {
    let gate = Gate::new();
    let closed = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            closed.pass();
            conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("http2_early_resets", "10")
        .start();
    let mut stream = mesh.client().wire.stream.try_clone().unwrap();
    stream.write_all(&hello()).unwrap();
    for (count, id) in streams().enumerate().take(10) {
        let request = frame(HEADERS, END_HEADERS | END_STREAM, id, POST);
        stream.write_all(&request).unwrap();
        origin.wait_for_requests(count + 1);
        let reset = frame(RST_STREAM, 0, id, b"\0\0\0\x08");
        stream.write_all(&reset).unwrap();
    }
    read_to_end(&mut stream);
    mesh.proxy
        .wait_for_metric("ringmain_downstream_http2_floods_total", 1);
    gate.open();
    assert_eq!(mesh.client().get("/").status(), 200);
}

/// One less than would be too many, and answers between.
fn a_client_that_cancels_sometimes_is_let_be(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("http2_early_resets", "10")
        .start();
    let mut stream = mesh.client().wire.stream.try_clone().unwrap();
    stream.write_all(&hello()).unwrap();
    for id in streams().take(9) {
        let request = frame(HEADERS, END_HEADERS, id, POST);
        let reset = frame(RST_STREAM, 0, id, b"\0\0\0\x08");
        stream.write_all(&[request, reset].concat()).unwrap();
    }
    // It is answered: what an acknowledged PING says.
    stream.write_all(&frame(PING, 0, 0, b"12345678")).unwrap();
    let mut received = Vec::new();
    let mut bytes = [0; 4096];
    while !received.windows(8).any(|window| window == b"12345678") {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "it was cut off");
        received.extend_from_slice(&bytes[..count]);
    }
    assert_eq!(
        mesh.proxy.metric("ringmain_downstream_http2_floods_total"),
        0
    );
}

/// What costs more than it brings is no answer, and the next request goes over a connection of its
/// own.
fn an_upstream_that_floods_is_cut_off(io: Io) {
    for flood in [
        frame(PING, 0, 0, b"12345678"),
        frame(SETTINGS, 0, 0, b""),
        frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01"),
        frame(0x77, 0, 0, b""),
    ] {
        let origin = Origin::http2(&[], move |peer, stream, request| {
            if request.line.contains("/flood") {
                peer.send_bytes(flood.repeat(2000));
            } else {
                peer.answer(stream, "ok");
            }
        });
        let mesh = Mesh::builder(io)
            .all_to_http2("origin", &[origin.address()])
            .limit("http2_idle_frames", "100")
            .start();
        let mut client = mesh.client();
        assert_eq!(client.get("/flood").status(), 502);
        assert_eq!(client.get("/").text(), "ok");
        assert_eq!(origin.connections(), 2);
        mesh.proxy
            .wait_for_metric("ringmain_upstream_http2_floods_total", 1);
        drop(client);
        let lines = mesh.finish();
        let verdicts: Vec<_> = lines.iter().map(|line| line.verdict()).collect();
        assert_eq!(verdicts, ["502 UPE", "200 -"]);
    }
}

/// Behind its preface a client says SETTINGS (RFC 9113 section 3.4).
fn a_hello_that_does_not_come(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("request_head_timeout", "\"300ms\"")
        .start();
    let settings = frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01");
    let hello = [&hello()[..24], &settings].concat();
    for length in [24, 24 + 8, 24 + 9, hello.len() - 1] {
        let reason = cut_off(&mesh, &hello[..length]);
        assert_eq!(reason, Some(ENHANCE_YOUR_CALM), "{length} bytes of it");
    }
    assert!(mesh.finish().is_empty(), "nobody has asked for anything");
}
