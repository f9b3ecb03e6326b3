//! Tries that end while the request is on its way: what has come of its body is sent again, and the
//! rest follows.

use std::{
    sync::{Mutex, mpsc},
    time::Duration,
};

use ringmain_tests::{
    Io,
    http2::{Frame, Peer, frame::code},
    message::Message,
    on_both,
    origin::{Conversation, Origin},
    wait::PATIENCE,
};

use crate::{
    place::{answer, destination_rule, full},
    speaks::{Client, Deed, Speaks, attempt, origin, ruled},
};

on_both!(
    answered_while_the_body_comes,
    trailers_are_sent_again,
    a_body_that_waits_for_permission,
    who_has_gone_is_not_waited_for,
    who_has_gone_is_not_connected_for,
    the_client_breaks_off,
);

const FIELDS: &str = "retries: {attempts: 2, retryOn: '5xx,refused-stream', backoff: 1ms}";

/// Says when a further try has come.
type Told = Mutex<mpsc::Sender<()>>;

/// Answers the first try with 503 when it has half of the body, and the next when it has all of it.
fn hasty(speaks: Speaks, told: mpsc::Sender<()>) -> Origin {
    let told: Told = Mutex::new(told);
    Origin::start(move |conversation| match speaks {
        Speaks::Http1 => hasty_http1(conversation, &told),
        Speaks::Http2 => hasty_http2(conversation, &told),
    })
}

fn hasty_http1(conversation: &mut Conversation, told: &Told) {
    while let Ok(head) = conversation.wire.head() {
        if attempt(&head) == 1 {
            conversation.wire.exactly(4).unwrap();
            conversation.send(answer(503, ""));
            return conversation.wait_for_end();
        }
        told.lock().unwrap().send(()).unwrap();
        let body = conversation.wire.exactly(8).unwrap();
        conversation.keep(&Message { body, ..head });
        conversation.send(answer(200, ""));
    }
}

fn hasty_http2(conversation: &Conversation, told: &Told) {
    let Ok(mut peer) = conversation.http2(&[]) else {
        return;
    };
    while let Ok((stream, head)) = peer.request_head() {
        if attempt(&head) == 1 {
            let half = peer.until(|peer| peer.stream(stream).message.body.len() == 4);
            half.unwrap();
            peer.send(&Frame::headers(stream, [(":status", "503")], true));
            continue;
        }
        told.lock().unwrap().send(()).unwrap();
        peer.until(|peer| peer.stream(stream).is_over).unwrap();
        conversation.keep(&peer.stream(stream).message);
        peer.answer(stream, "200");
    }
}

fn answered_while_the_body_comes(io: Io) {
    for client in [Speaks::Http1, Speaks::Http2] {
        for upstream in [Speaks::Http1, Speaks::Http2] {
            let (told, heard) = mpsc::channel();
            let origin = hasty(upstream, told);
            let mesh = ruled(io, upstream, &[&origin], FIELDS).start();
            let wait = || heard.recv_timeout(PATIENCE).unwrap();
            let answer = match Client::of(&mesh, client) {
                Client::Http1(mut client) => {
                    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nabcd");
                    wait();
                    client.send("efgh");
                    client.response("POST")
                }
                Client::Http2(mut client) => {
                    let mut head = ringmain_tests::http2::peer::request("POST", "/");
                    head.push(("content-length", "8"));
                    let stream = client.begin(head, false);
                    client.send_body(stream, b"abcd", false);
                    wait();
                    client.send_body(stream, b"efgh", true);
                    client.response(stream)
                }
            };
            assert_eq!(answer.text(), "200", "{client:?} {upstream:?}");
            assert_eq!(
                origin.request().text(),
                "abcdefgh",
                "{client:?} {upstream:?}"
            );
            let line = mesh.finish_one();
            assert_eq!(line.verdict(), "200 -", "{client:?} {upstream:?}");
            assert_eq!(line.number("bytes_received"), 8, "{client:?} {upstream:?}");
        }
    }
}

fn trailers_are_sent_again(io: Io) {
    for upstream in [Speaks::Http1, Speaks::Http2] {
        let origin = origin(upstream, |request| match attempt(request) {
            1 => Deed::Answer(503),
            _ => Deed::Answer(200),
        });
        let mesh = ruled(io, upstream, &[&origin], FIELDS).start();
        let mut client = mesh.client();
        let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                       3\r\nabc\r\n0\r\nx-behind: 1\r\n\r\n";
        assert_eq!(client.exchange(chunked).status(), 200);
        let mut http2 = mesh.http2_client();
        let stream = http2.post("/");
        http2.send_body(stream, b"abc", false);
        http2.send(&Frame::headers(stream, [("x-behind", "1")], true));
        assert_eq!(http2.response(stream).status(), 200);
        let requests = origin.requests();
        assert_eq!(requests.len(), 4);
        for request in requests {
            assert_eq!(request.text(), "abc");
            assert_eq!(request.trailers.get("x-behind"), Some("1"), "{upstream:?}");
        }
        drop((client, http2));
        mesh.finish();
    }
}

/// `Expect: 100-continue`: the first try is refused before it gave permission, the second one gives
/// it.
fn a_body_that_waits_for_permission(io: Io) {
    let origin = Origin::start(|conversation| {
        let mut peer: Peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, head)) = peer.request_head() {
            if attempt(&head) == 1 {
                peer.send(&Frame::reset(stream, code::REFUSED_STREAM));
                continue;
            }
            peer.send(&Frame::headers(stream, [(":status", "100")], false));
            peer.until(|peer| peer.stream(stream).is_over).unwrap();
            conversation.keep(&peer.stream(stream).message);
            peer.answer(stream, "taken");
        }
    });
    let mesh = ruled(io, Speaks::Http2, &[&origin], FIELDS).start();
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n");
    assert_eq!(client.wire.head().unwrap().status(), 100);
    client.send("body");
    assert_eq!(client.response("POST").text(), "taken");
    assert_eq!(origin.request().text(), "body");
    drop(client);
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

/// A pause before the next try that nobody lives to see.
fn who_has_gone_is_not_waited_for(io: Io) {
    // As long as is drawn, which is seldom less than a test has time.
    let fields = "retries: {attempts: 1, retryOn: 5xx, backoff: 1000000s}";
    for client in [Speaks::Http1, Speaks::Http2] {
        let origin = origin(Speaks::Http2, |_| Deed::Answer(503));
        let mesh = ruled(io, Speaks::Http2, &[&origin], fields).start();
        // The first try has failed.
        let pauses = || {
            let name = "ringmain_upstream_retries_total";
            mesh.proxy.wait_for_metric(name, 1);
        };
        match Client::of(&mesh, client) {
            Client::Http1(mut client) => {
                client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
                pauses();
                client.reset();
            }
            Client::Http2(mut client) => {
                let stream = client.get("/");
                pauses();
                client.send(&Frame::reset(stream, code::CANCEL));
                client.ping();
            }
        }
        let line = mesh.finish_one();
        assert_eq!(line.verdict(), "0 DC", "{client:?}: {}", line.text);
        assert_eq!(origin.requests().len(), 1);
    }
}

/// Nor for an endpoint that takes no connection.
fn who_has_gone_is_not_connected_for(io: Io) {
    let nobody = Origin::saying("");
    let rule = destination_rule("connectionPool: {tcp: {connectTimeout: 3600s}}");
    for client in [Speaks::Http1, Speaks::Http2] {
        for upstream in [Speaks::Http1, Speaks::Http2] {
            let (_listener, hole) = full();
            let mesh = ruled(io, upstream, &[&nobody], "")
                .resource("rule", &rule)
                .resource("service-s", &upstream.service("s", hole))
                .start();
            let waits = || mesh.proxy.wait_for_metric("ringmain_requests_active", 1);
            match Client::of(&mesh, client) {
                Client::Http1(mut client) => {
                    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
                    waits();
                    client.reset();
                }
                Client::Http2(mut client) => {
                    let stream = client.get("/");
                    waits();
                    client.send(&Frame::reset(stream, code::CANCEL));
                    client.ping();
                }
            }
            let line = mesh.finish_one();
            assert_eq!(
                line.verdict(),
                "0 DC",
                "{client:?} {upstream:?}: {}",
                line.text
            );
        }
    }
}

/// Half of a body, and no more: no try is made of what is not whole.
fn the_client_breaks_off(io: Io) {
    for client in [Speaks::Http1, Speaks::Http2] {
        let (told, heard) = mpsc::channel();
        let origin = hasty(Speaks::Http2, told);
        let mesh = ruled(io, Speaks::Http2, &[&origin], FIELDS).start();
        match Client::of(&mesh, client) {
            Client::Http1(mut client) => {
                client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nabcd");
                heard.recv_timeout(PATIENCE).unwrap();
                client.reset();
            }
            Client::Http2(mut client) => {
                let stream = client.post("/");
                client.send_body(stream, b"abcd", false);
                heard.recv_timeout(PATIENCE).unwrap();
                client.send(&Frame::reset(stream, code::CANCEL));
                client.ping();
            }
        }
        let line = mesh.finish_one();
        assert_eq!(line.verdict(), "0 DC", "{client:?}: {}", line.text);
        assert!(heard.recv_timeout(Duration::from_millis(100)).is_err());
        assert!(origin.requests().is_empty());
    }
}
