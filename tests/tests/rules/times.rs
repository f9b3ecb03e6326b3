//! What a bound of time covers, and what it does not: a body that moves is never late, and a try
//! has come in time when its head has.

use std::{thread, time::Duration};

use ringmain_tests::{
    Io,
    http2::{Frame, Peer, peer},
    message::Message,
    on_both,
    origin::{Conversation, Origin},
    wait::Gate,
};

use crate::speaks::{Client, Pair, Speaks, WITH_HTTP2, ruled};

on_both!(
    a_body_that_trickles,
    a_body_behind_a_head_in_time,
    an_answer_before_the_end_of_its_request,
);

/// All pairs of versions.
fn pairs() -> impl Iterator<Item = Pair> {
    let both_old = (Speaks::Http1, Speaks::Http1);
    [both_old].into_iter().chain(WITH_HTTP2)
}

const PARTS: usize = 6;
/// Between one part and the next.
const PAUSE: Duration = Duration::from_millis(300);

/// Answers each request at once, and sends a body in parts, one at a time.
fn trickling(speaks: Speaks) -> Origin {
    Origin::start(move |conversation| match speaks {
        Speaks::Http1 => trickle_http1(conversation),
        Speaks::Http2 => trickle_http2(conversation),
    })
}

fn trickle_http1(conversation: &mut Conversation) {
    while conversation.request().is_ok() {
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for _ in 0..PARTS {
            thread::sleep(PAUSE);
            conversation.send("4\r\npart\r\n");
        }
        conversation.send("0\r\n\r\n");
    }
}

fn trickle_http2(conversation: &Conversation) {
    let mut peer = conversation.http2(&[]).unwrap();
    while let Ok((stream, _)) = peer.request() {
        peer.send(&Frame::headers(stream, [(":status", "200")], false));
        for number in 1..=PARTS {
            thread::sleep(PAUSE);
            peer.send(&Frame::data(stream, "part", number == PARTS));
        }
    }
}

/// Side by side, as each takes a while.
fn in_every_pair(io: Io, fields: &str, idle_timeout: &str) {
    thread::scope(|scope| {
        for pair in pairs() {
            scope.spawn(move || arrives_whole(io, pair, fields, idle_timeout));
        }
    });
}

/// The answers to requests with and without a body, each whole.
fn arrives_whole(io: Io, pair: Pair, fields: &str, idle_timeout: &str) {
    let origin = trickling(pair.1);
    let mesh = ruled(io, pair.1, &[&origin], fields)
        .limit("stream_idle_timeout", idle_timeout)
        .start();
    let mut client = Client::of(&mesh, pair.0);
    for number in 0..2 {
        let answer = match number {
            0 => client.get("/"),
            _ => client.post("/", b"body"),
        };
        assert_eq!(answer.text(), "part".repeat(PARTS), "{pair:?} {number}");
    }
    drop(client);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "200 -", "{pair:?}: {}", line.text);
        assert!(line.number("duration") >= 1800, "{pair:?}: {}", line.text);
    }
}

/// In all it takes longer than a pause may, but no pause does.
fn a_body_that_trickles(io: Io) {
    in_every_pair(io, "", "\"1200ms\"");
}

fn a_body_behind_a_head_in_time(io: Io) {
    let fields = "retries: {attempts: 1, retryOn: 5xx, perTryTimeout: 1200ms}";
    in_every_pair(io, fields, "\"300s\"");
}

/// Calls of gRPC in both directions are answered before they have ended. The time of a try begins
/// when the request is complete, and then it has been answered.
fn an_answer_before_the_end_of_its_request(io: Io) {
    for upstream in [Speaks::Http1, Speaks::Http2] {
        let gate = Gate::new();
        let origin = patient(upstream, &gate);
        let fields = "retries: {attempts: 1, retryOn: 'unavailable,5xx', perTryTimeout: 100ms}";
        let mesh = ruled(io, upstream, &[&origin], fields).start();
        let mut client = mesh.http2_client();
        let answer = converse(&mut client, &origin, &gate);
        assert_eq!(answer.text(), "data", "{upstream:?}");
        drop(client);
        let line = mesh.finish_one();
        assert_eq!(line.verdict(), "200 -", "{upstream:?}: {}", line.text);
        assert_eq!(origin.connections(), 1, "{upstream:?}");
    }
}

/// Sends the head of its answer when it has that of the request, and the rest when it has all of it
/// and may.
fn patient(speaks: Speaks, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |conversation| match speaks {
        Speaks::Http1 => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            let request = conversation.request_answering_head(head.as_bytes());
            assert_eq!(request.unwrap().text(), "ask");
            gate.pass();
            conversation.send("4\r\ndata\r\n0\r\n\r\n");
            conversation.wait_for_end();
        }
        Speaks::Http2 => {
            let mut peer = conversation.http2(&[]).unwrap();
            let (stream, _) = peer.request_head().unwrap();
            let head = [(":status", "200"), ("content-type", "application/grpc")];
            peer.send(&Frame::headers(stream, head, false));
            peer.until(|peer| peer.stream(stream).is_over).unwrap();
            conversation.keep(&peer.stream(stream).message);
            gate.pass();
            peer.send(&Frame::data(stream, "data", false));
            peer.send(&Frame::headers(stream, [("grpc-status", "0")], true));
            conversation.wait_for_end();
        }
    })
}

fn converse(client: &mut Peer, origin: &Origin, gate: &Gate) -> Message {
    let mut head = peer::request("POST", "/service/Method");
    head.push(("content-type", "application/grpc"));
    head.push(("te", "trailers"));
    let stream = client.begin(head, false);
    client.response_head(stream);
    client.send_body(stream, b"ask", false);
    client.send(&Frame::data(stream, "", true));
    origin.wait_for_requests(1);
    // Three times as long as a try may take.
    thread::sleep(Duration::from_millis(300));
    gate.open();
    client.response(stream)
}
