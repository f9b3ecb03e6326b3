//! Tries of calls of gRPC: their statuses are looked for in the head of an answer alone.

use ringmain_tests::{
    Io,
    http2::{Frame, Peer, frame::code, peer},
    mesh::Mesh,
    message::{Fields, Message},
    on_both,
    origin::Origin,
};

use crate::{
    place::{TO_S, indented},
    speaks::{Speaks, attempt, ruled},
};

on_both!(
    by_status,
    statuses_behind_the_head_are_final,
    as_often_as_allowed,
    what_was_reset_may_have_run,
    a_call_has_its_time_for_all_tries,
);

/// A message of gRPC without a byte of payload.
const EMPTY: &[u8] = b"\0\0\0\0\0";

/// All of them, in the order of their numbers.
const WORDS: [(&str, u32); 5] = [
    ("cancelled", 1),
    ("deadline-exceeded", 4),
    ("resource-exhausted", 8),
    ("internal", 13),
    ("unavailable", 14),
];

fn call(client: &mut Peer, path: &str, more: &[(&str, &str)]) -> Message {
    let mut head = peer::request("POST", path);
    head.extend([("content-type", "application/grpc"), ("te", "trailers")]);
    head.extend_from_slice(more);
    let stream = client.begin(head, false);
    client.send_body(stream, EMPTY, true);
    client.response(stream)
}

/// The status of a whole answer, wherever it stands.
fn status(answer: &Message) -> &str {
    let of = |fields: &Fields| fields.get("grpc-status").is_some();
    assert_eq!(answer.status(), 200);
    match of(&answer.fields) {
        true => answer.get("grpc-status").unwrap(),
        false => answer.trailers.get("grpc-status").unwrap(),
    }
}

/// An answer that is nothing but a head.
fn refuse(peer: &mut Peer, stream: u32, status: u32) {
    let status = status.to_string();
    let head = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", &status),
        ("grpc-message", "not now"),
    ];
    peer.send(&Frame::headers(stream, head, true));
}

/// A message, and this status behind it.
fn serve(peer: &mut Peer, stream: u32, message: &[u8], status: u32) {
    let head = [(":status", "200"), ("content-type", "application/grpc")];
    peer.send(&Frame::headers(stream, head, false));
    if !message.is_empty() {
        peer.send(&Frame::data(stream, message, false));
    }
    let trailers = [("grpc-status", status.to_string())];
    peer.send(&Frame::headers(stream, trailers, true));
}

/// Number that the path says.
fn number(request: &Message) -> u32 {
    let path = request.line.split(' ').nth(1).unwrap();
    path.rsplit('/').next().unwrap().parse().unwrap()
}

/// A mesh with a route for each word, and one for all of them together at `/all/`.
fn mesh(io: Io, origin: &Origin) -> Mesh {
    let all = WORDS.map(|(word, _)| word).join(",");
    let words = WORDS.into_iter().chain([("all", 0)]);
    let routes: String = words
        .map(|(word, _)| {
            let on = if word == "all" { &all } else { word };
            let retries = format!("retries: {{attempts: 2, retryOn: {on:?}, backoff: 1ms}}");
            let retries = indented(&retries);
            format!("- match: [{{uri: {{prefix: /{word}/}}}}]\n{retries}{TO_S}")
        })
        .collect();
    ruled(io, Speaks::Http2, &[origin], "")
        .routes(&routes)
        .start()
}

/// Each word is about its own status.
fn by_status(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, request| match attempt(request) {
        1 => refuse(peer, stream, number(request)),
        _ => serve(peer, stream, &request.body, 0),
    });
    let mesh = mesh(io, &origin);
    let mut client = mesh.http2_client();
    for (word, own) in WORDS {
        for other in 1..=16 {
            let answer = call(&mut client, &format!("/{word}/{other}"), &[]);
            let expected = if other == own { 0 } else { other };
            assert_eq!(status(&answer), expected.to_string(), "{word}: {other}");
            if other == own {
                assert_eq!(answer.body, EMPTY, "{word}");
            } else {
                assert_eq!(answer.get("grpc-message"), Some("not now"), "{word}");
            }
        }
    }
    assert_eq!(origin.requests().len(), WORDS.len() * 16 + WORDS.len());
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.body == EMPTY)
    );
    drop(client);
    assert_eq!(origin.connections(), 1);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "200 -");
    }
}

/// Behind a message, or behind a head that ended nothing.
fn statuses_behind_the_head_are_final(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, request| {
        let message = if request.line.contains("/none/") {
            b""
        } else {
            EMPTY
        };
        serve(peer, stream, message, number(request));
    });
    let mesh = mesh(io, &origin);
    let mut client = mesh.http2_client();
    for (_, code) in WORDS {
        for path in ["/all/some", "/all/none"] {
            let answer = call(&mut client, &format!("{path}/{code}"), &[]);
            assert_eq!(answer.trailers.get("grpc-status"), Some(&*code.to_string()));
        }
    }
    assert_eq!(origin.requests().len(), 2 * WORDS.len());
    drop(client);
    mesh.finish();
}

fn as_often_as_allowed(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| refuse(peer, stream, 14));
    let mesh = mesh(io, &origin);
    let mut client = mesh.http2_client();
    assert_eq!(status(&call(&mut client, "/unavailable/14", &[])), "14");
    drop(client);
    let tries: Vec<_> = origin.requests().iter().map(attempt).collect();
    assert_eq!(tries, [1, 2, 3]);
    assert_eq!(mesh.finish_one().verdict(), "200 URX");
}

/// No status was said, so the words of gRPC say nothing about it.
fn what_was_reset_may_have_run(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| {
        peer.send(&Frame::reset(stream, code::INTERNAL_ERROR));
    });
    let mesh = mesh(io, &origin);
    let mut client = mesh.http2_client();
    let answer = call(&mut client, "/all/0", &[]);
    assert_eq!(status(&answer), "14", "{answer:?}");
    drop(client);
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(mesh.finish_one().get("response_flags"), "UR");
}

/// `grpc-timeout` is for all of them together, whatever the server says.
fn a_call_has_its_time_for_all_tries(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, request| match attempt(request) {
        1 => refuse(peer, stream, 14),
        _ => drop(peer.until(|peer| peer.stream(stream).reset.is_some())),
    });
    let mesh = mesh(io, &origin);
    let mut client = mesh.http2_client();
    let answer = call(&mut client, "/unavailable/0", &[("grpc-timeout", "300m")]);
    assert_eq!(status(&answer), "4", "{answer:?}");
    drop(client);
    assert_eq!(origin.requests().len(), 2);
    let line = mesh.finish_one();
    assert_eq!(line.get("response_flags"), "UT", "{}", line.text);
    assert!(line.number("duration") >= 300, "{}", line.text);
}
