//! An upstream that breaks the rules of HTTP/2 before it answers: the request fails as one whose
//! answer is no HTTP, nobody is told what was no answer, and further requests are served.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::sync::Mutex;

use ringmain_tests::{
    Io,
    http2::{Frame, frame::kind},
    mesh::Mesh,
    on_both,
    origin::Origin,
    yaml,
};

on_both!(
    frames_against_the_rules,
    heads_against_the_rules,
    a_bad_head_beside_another_answer,
);

/// PUSH_PROMISE (RFC 9113 section 6.6).
const PUSH_PROMISE: u8 = 5;

/// Names, and bytes that are sent instead of an answer.
type Rows = Vec<(&'static str, Vec<u8>)>;

/// What is no frame, or none at this place.
fn frames(stream: u32) -> Rows {
    let frame =
        |kind, flags, stream, payload: &[u8]| Frame::new(kind, flags, stream, payload).bytes();
    vec![
        (
            "data before a head",
            Frame::data(stream, "abc", true).bytes(),
        ),
        (
            "data of the connection",
            Frame::data(0, "abc", false).bytes(),
        ),
        (
            "data of a stream that nobody began",
            Frame::data(stream + 100, "abc", true).bytes(),
        ),
        ("no room", Frame::window_update(stream, 0).bytes()),
        ("no room for anybody", Frame::window_update(0, 0).bytes()),
        (
            "too much room",
            Frame::window_update(0, u32::MAX >> 1).bytes(),
        ),
        ("settings in pieces", frame(kind::SETTINGS, 0, 0, b"abc")),
        (
            "settings of a stream",
            frame(kind::SETTINGS, 0, stream, b""),
        ),
        ("a long ping", frame(kind::PING, 0, 0, b"123456789")),
        ("a short reset", frame(kind::RST_STREAM, 0, stream, b"123")),
        (
            "fields that are none",
            frame(kind::HEADERS, 5, stream, &[0xff, 0xff, 0xff, 0xff, 0x7f]),
        ),
        (
            "an index that nobody gave",
            frame(kind::HEADERS, 5, stream, &[0xff, 0x7f]),
        ),
        (
            "the end of fields that did not begin",
            frame(kind::CONTINUATION, 4, stream, b""),
        ),
        (
            "a promise that nobody wants",
            frame(PUSH_PROMISE, 4, stream, &[0, 0, 0, 2, 0x88]),
        ),
        (
            "a frame that is too long",
            frame(kind::DATA, 0, stream, &[0; 20_000]),
        ),
    ]
}

/// What is wrong is wrong again.
fn one_try_each(io: Io, origin: &Origin) -> Mesh {
    let routes =
        yaml::all_to("origin.test").replace("  route:", "  retries: {attempts: 0}\n  route:");
    Mesh::builder(io)
        .all_to_http2("origin", &[origin.address()])
        .routes(&routes)
        .start()
}

/// All rows of `table` one after the other, for clients of both versions.
fn check(io: Io, table: fn(u32) -> Rows) {
    let origin = Origin::http2(&[], move |peer, stream, request| {
        let path = request.line.split(' ').nth(1).unwrap();
        match path[1..].parse::<usize>() {
            Ok(row) => peer.send_bytes(table(stream)[row].1.clone()),
            Err(_) => peer.answer(stream, "next"),
        };
    });
    let mesh = one_try_each(io, &origin);
    let mut http2 = mesh.http2_client();
    let rows = table(1);
    for (number, (name, _)) in rows.iter().enumerate() {
        let mut client = mesh.client();
        let answer = client.get(&format!("/{number}"));
        assert_eq!(answer.status(), 502, "{name}");
        assert_eq!(client.get("/next").text(), "next", "{name}");
        let stream = http2.get(&format!("/{number}"));
        assert_eq!(http2.response(stream).status(), 502, "{name}");
        let stream = http2.get("/next");
        assert_eq!(http2.response(stream).text(), "next", "{name}");
    }
    drop(http2);
    let lines = mesh.finish();
    let failed = lines.iter().filter(|line| line.get("path") != "/next");
    for (number, line) in failed.enumerate() {
        assert_eq!(line.verdict(), "502 UPE", "{:?}", rows[number / 2].0);
        let details = line.get("response_code_details");
        let begin = "upstream_reset_before_response_started{protocol_error";
        assert!(details.starts_with(begin), "{details}");
    }
}

fn frames_against_the_rules(io: Io) {
    check(io, frames);
}

/// What is no head of an answer.
fn heads(stream: u32) -> Rows {
    let head =
        |fields: &[(&str, &str)]| Frame::headers(stream, fields.iter().copied(), true).bytes();
    vec![
        ("no status", head(&[("x-a", "b")])),
        ("two", head(&[(":status", "200"), (":status", "200")])),
        (
            "one behind a field",
            head(&[("x-a", "b"), (":status", "200")]),
        ),
        ("one that is no number", head(&[(":status", "2x0")])),
        ("one that is too low", head(&[(":status", "099")])),
        ("101", head(&[(":status", "101")])),
        ("an interim one that ends", head(&[(":status", "103")])),
        (
            "what nobody knows",
            head(&[(":status", "200"), (":x", "y")]),
        ),
        ("upper case", head(&[(":status", "200"), ("X-A", "b")])),
        (
            "a name with a space",
            head(&[(":status", "200"), ("x a", "b")]),
        ),
        (
            "a line end",
            head(&[(":status", "200"), ("x-a", "b\r\nc: d")]),
        ),
        (
            "connection",
            head(&[(":status", "200"), ("connection", "close")]),
        ),
        (
            "a transfer coding",
            head(&[(":status", "200"), ("transfer-encoding", "chunked")]),
        ),
        (
            "a length that is none",
            head(&[(":status", "200"), ("content-length", "-1")]),
        ),
        (
            "less than its length",
            head(&[(":status", "200"), ("content-length", "3")]),
        ),
    ]
}

fn heads_against_the_rules(io: Io) {
    check(io, heads);
}

/// A head that is no message ends its own stream; what cannot be a field ends the connection, and
/// all that is under way on it: see the threat model.
fn a_bad_head_beside_another_answer(io: Io) {
    let held = Mutex::new(0);
    let origin = Origin::http2(&[], move |peer, stream, request| {
        let path = request.line.split(' ').nth(1).unwrap();
        match path[1..].parse::<usize>() {
            Ok(row) => {
                peer.send_bytes(heads(stream)[row].1.clone());
                peer.answer(*held.lock().unwrap(), "held");
            }
            Err(_) => *held.lock().unwrap() = stream,
        };
    });
    let mesh = one_try_each(io, &origin);
    let mut client = mesh.http2_client();
    let mut ending = Vec::new();
    for (number, (name, _)) in heads(1).iter().enumerate() {
        let held = client.get("/held");
        origin.wait_for_requests(2 * number + 1);
        let bad = client.get(&format!("/{number}"));
        assert_eq!(client.response(bad).status(), 502, "{name}");
        match client.response(held) {
            answer if answer.status() == 200 => assert_eq!(answer.text(), "held", "{name}"),
            _ => ending.push(*name),
        }
    }
    drop(client);
    mesh.finish();
    assert_eq!(ending, ENDING);
}

/// Rows of [`heads`] that h2 takes for a broken table (RFC 9113 section 4.3).
const ENDING: &[&str] = &[
    "one that is no number",
    "one that is too low",
    "what nobody knows",
    "upper case",
    "a name with a space",
    "a line end",
];
