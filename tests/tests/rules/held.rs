//! What the proxy holds for answers that have begun and wait for their next byte: no buffer.

use ringmain_tests::{
    Io,
    http2::Frame,
    mesh::Mesh,
    on_both,
    origin::{Conversation, Origin},
    wait::Gate,
};

use crate::speaks::{Pair, Speaks, WITH_HTTP2, ruled};

on_both!(answers_that_wait_hold_no_buffers);

/// Sends the head of an answer to each request, and the body when it may. A connection of HTTP/2
/// waits until it has as many requests as there are.
fn waiting(speaks: Speaks, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |conversation| match speaks {
        Speaks::Http1 => wait_http1(conversation, &gate),
        Speaks::Http2 => wait_http2(conversation, &gate),
    })
}

const COUNT: usize = 20;

fn wait_http1(conversation: &mut Conversation, gate: &Gate) {
    while conversation.request().is_ok() {
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        gate.pass();
        conversation.send("3\r\nend\r\n0\r\n\r\n");
    }
}

fn wait_http2(conversation: &Conversation, gate: &Gate) {
    let mut peer = conversation.http2(&[]).unwrap();
    let mut streams = Vec::new();
    while let Ok((stream, _)) = peer.request() {
        peer.send(&Frame::headers(stream, [(":status", "200")], false));
        streams.push(stream);
        if streams.len() == COUNT {
            gate.pass();
            for stream in streams.drain(..) {
                peer.send(&Frame::data(stream, "end", true));
            }
        }
    }
}

fn answers_that_wait_hold_no_buffers(io: Io) {
    let both_old = (Speaks::Http1, Speaks::Http1);
    for pair in [both_old].into_iter().chain(WITH_HTTP2) {
        let gate = Gate::new();
        let origin = waiting(pair.1, &gate);
        let mesh = ruled(io, pair.1, &[&origin], "").start();
        match pair.0 {
            Speaks::Http1 => http1_clients(&mesh, pair, &gate),
            Speaks::Http2 => http2_client(&mesh, pair, &gate),
        }
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "200 -", "{pair:?}: {}", line.text);
        }
    }
}

/// While all wait.
fn nothing_is_held(mesh: &Mesh, pair: Pair) {
    mesh.proxy
        .wait_for_metric("ringmain_requests_active", COUNT as u64);
    mesh.proxy.wait_for_turns(2);
    assert_eq!(mesh.proxy.metric("ringmain_buffers_in_use"), 0, "{pair:?}");
}

fn http1_clients(mesh: &Mesh, pair: Pair, gate: &Gate) {
    let mut clients: Vec<_> = (0..COUNT).map(|_| mesh.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        // What stands before the body of unknown length.
        while !client.wire.unread().ends_with(b"\r\n\r\n") {
            assert!(client.wire.fill().unwrap(), "{pair:?}");
        }
    }
    nothing_is_held(mesh, pair);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "end", "{pair:?}");
    }
}

fn http2_client(mesh: &Mesh, pair: Pair, gate: &Gate) {
    let mut client = mesh.http2_client();
    let streams: Vec<_> = (0..COUNT).map(|_| client.get("/")).collect();
    for stream in &streams {
        client.response_head(*stream);
    }
    nothing_is_held(mesh, pair);
    gate.open();
    for stream in streams {
        assert_eq!(client.response(stream).text(), "end", "{pair:?}");
    }
}
