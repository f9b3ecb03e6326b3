//! Interim answers: a few go on to the client, more than a head may hold do not.

use ringmain_tests::{
    Io,
    http2::Frame,
    mesh::Mesh,
    message::Message,
    on_both,
    origin::{Conversation, Origin, response},
};

use crate::speaks::{Client, Pair, Speaks, WITH_HTTP2, ruled};

on_both!(a_few_go_on, all_of_them_are_one_head);

fn pairs() -> impl Iterator<Item = Pair> {
    let both_old = (Speaks::Http1, Speaks::Http1);
    [both_old].into_iter().chain(WITH_HTTP2)
}

/// Bytes of a field of each of them.
const LINK_BYTES: usize = 400;

/// Bytes of a head, at most.
const HEAD_BYTES_MAX: usize = 4096;

/// Answers with so many interim heads before the final one.
fn hinting(speaks: Speaks, count: usize) -> Origin {
    let link = format!("<{}>", "x".repeat(LINK_BYTES));
    Origin::start(move |conversation| match speaks {
        Speaks::Http1 => hint_http1(conversation, count, &link),
        Speaks::Http2 => hint_http2(conversation, count, &link),
    })
}

fn hint_http1(conversation: &mut Conversation, count: usize, link: &str) {
    let hints = format!("HTTP/1.1 103 Early Hints\r\nlink: {link}\r\n\r\n");
    while conversation.request().is_ok() {
        for _ in 0..count {
            if !conversation.send(&hints) {
                return;
            }
        }
        conversation.send(response("final"));
    }
}

fn hint_http2(conversation: &Conversation, count: usize, link: &str) {
    let mut peer = conversation.http2(&[]).unwrap();
    while let Ok((stream, _)) = peer.request() {
        for _ in 0..count {
            let head = [(":status", "103"), ("link", link)];
            peer.send(&Frame::headers(stream, head, false));
        }
        peer.answer(stream, "final");
    }
}

fn ask(io: Io, pair: Pair, count: usize) -> (Message, Mesh) {
    let origin = hinting(pair.1, count);
    // Whoever fails so is not asked again.
    let mesh = ruled(io, pair.1, &[&origin], "retries: {attempts: 0}")
        .limit("head_bytes", &HEAD_BYTES_MAX.to_string())
        .limit("target_bytes", "1024")
        .start();
    let answer = Client::of(&mesh, pair.0).get("/");
    (answer, mesh)
}

fn a_few_go_on(io: Io) {
    for pair in pairs() {
        let (answer, mesh) = ask(io, pair, 5);
        assert_eq!(answer.text(), "final", "{pair:?}");
        assert_eq!(answer.interim, [103; 5], "{pair:?}");
        assert_eq!(mesh.finish_one().verdict(), "200 -", "{pair:?}");
    }
}

fn all_of_them_are_one_head(io: Io) {
    for pair in pairs() {
        let (answer, mesh) = ask(io, pair, 30);
        assert_eq!(answer.status(), 502, "{pair:?}");
        let bytes = answer.interim.len() * LINK_BYTES;
        assert!((1..=HEAD_BYTES_MAX).contains(&bytes), "{pair:?}: {bytes}");
        assert_eq!(mesh.finish_one().verdict(), "502 UPE", "{pair:?}");
    }
}
