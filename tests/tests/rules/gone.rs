//! Clients that take a request back, or go: what was begun for them ends at once, however early
//! that is.

use std::time::Duration;

use ringmain_tests::{
    Io,
    http2::{
        Frame, Peer,
        frame::code::{CANCEL, ENHANCE_YOUR_CALM},
        peer,
    },
    mesh::Mesh,
    on_both,
    origin::Origin,
    wait::Gate,
};

use crate::{
    place::{TO_S, answer, destination_rule, full, ruled, silent},
    speaks::{self, Deed, Speaks, origin},
};

on_both!(
    taken_back_with_its_head,
    taken_back_while_it_is_delayed,
    taken_back_while_it_is_connected_for,
    taking_back_at_once_is_counted,
    who_sends_no_more_is_not_tried_again_for,
    bounds_of_a_request_end_with_it,
);

/// Requests and their resets in a single write, each on a stream of its own. Every other one has
/// a body that would follow.
fn take_back(client: &mut Peer, count: usize) {
    let pairs = (0..count).flat_map(|_| {
        let stream = client.next_stream();
        let ends = stream % 4 == 1;
        let method = if ends { "GET" } else { "POST" };
        let head = Frame::headers(stream, peer::request(method, "/"), ends).bytes();
        [head, Frame::reset(stream, CANCEL).bytes()].concat()
    });
    let pairs: Vec<u8> = pairs.collect();
    assert!(client.send_bytes(pairs));
}

/// So many requests have ended.
fn ended(mesh: &Mesh, count: usize) {
    mesh.proxy
        .wait_for_metric("istio_requests_total", count as u64);
}

/// So many requests were logged, each with this, and none is under way, though the client is there
/// all the time.
fn all_gone(mesh: Mesh, client: Peer, count: usize, verdict: &str) {
    ended(&mesh, count);
    mesh.wait_until_idle();
    drop(client);
    let lines = mesh.finish();
    assert_eq!(lines.len(), count);
    for line in &lines {
        assert_eq!(line.verdict(), verdict, "{}", line.text);
    }
}

fn taken_back_with_its_head(io: Io) {
    for (count, upstream) in [
        (1, Speaks::Http1),
        (5, Speaks::Http1),
        (1, Speaks::Http2),
        (5, Speaks::Http2),
    ] {
        let origin = origin(upstream, |_| Deed::Silence);
        let mesh = speaks::ruled(io, upstream, &[&origin], "").start();
        let mut client = mesh.http2_client();
        client.ping();
        for round in 1..=4 {
            take_back(&mut client, count);
            ended(&mesh, round * count);
        }
        if upstream == Speaks::Http1 {
            // Each was of one request.
            origin.wait_for_end_of_connections();
            mesh.proxy
                .wait_for_metric("ringmain_upstream_connections_active", 0);
        }
        all_gone(mesh, client, 4 * count, "0 DC");
    }
}

fn taken_back_while_it_is_delayed(io: Io) {
    let origin = Origin::saying("");
    let fault = "fault: {delay: {fixedDelay: 3600s, percentage: {value: 100}}}";
    let mesh = ruled(io, &[&origin], fault).start();
    let mut client = mesh.http2_client();
    client.ping();
    take_back(&mut client, 3);
    ended(&mesh, 3);
    let stream = client.get("/");
    mesh.proxy.wait_for_metric("ringmain_requests_active", 1);
    client.send(&Frame::reset(stream, CANCEL));
    all_gone(mesh, client, 4, "0 DI,DC");
    assert_eq!(origin.connections(), 0);
}

fn taken_back_while_it_is_connected_for(io: Io) {
    let nobody = Origin::saying("");
    let rule = destination_rule("connectionPool: {tcp: {connectTimeout: 3600s}}");
    for upstream in [Speaks::Http1, Speaks::Http2] {
        let (_listener, hole) = full();
        let mesh = ruled(io, &[&nobody], "")
            .resource("rule", &rule)
            .resource("service-s", &upstream.service("s", hole))
            .start();
        let mut client = mesh.http2_client();
        client.ping();
        take_back(&mut client, 3);
        all_gone(mesh, client, 3, "0 DC");
    }
}

/// As early as it can be, and yet a request that its client reset: whoever does so all the time is
/// cut off.
fn taking_back_at_once_is_counted(io: Io) {
    let origin = silent();
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("http2_early_resets", "10")
        .start();
    let mut client = mesh.http2_client();
    client.ping();
    for count in 1..=10 {
        take_back(&mut client, 1);
        ended(&mesh, count);
    }
    assert_eq!(client.end(), Some(ENHANCE_YOUR_CALM));
    mesh.proxy
        .wait_for_metric("ringmain_downstream_http2_floods_total", 1);
    assert_eq!(mesh.finish().len(), 10);
}

/// A client of HTTP/1 that has closed its connection cannot be told from one that sends no more
/// and listens: it gets the answer that there is.
fn who_sends_no_more_is_not_tried_again_for(io: Io) {
    let gate = Gate::new();
    let closed = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            closed.pass();
            conversation.send(answer(503, ""));
        }
    });
    let fields = "retries: {attempts: 5, retryOn: 5xx, backoff: 1ms}";
    let mesh = ruled(io, &[&origin], fields).start();
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    client.finish();
    gate.open();
    assert_eq!(client.response("GET").status(), 503);
    drop(client);
    mesh.finish_one();
    assert_eq!(origin.requests().len(), 1);
}

/// The time of the first request has passed when the second comes, to which it is nothing.
fn bounds_of_a_request_end_with_it(io: Io) {
    let origin = origin(Speaks::Http2, |_| Deed::Answer(200));
    let delay = "fault: {delay: {fixedDelay: 300ms, percentage: {value: 100}}}";
    let routes = format!(
        "- match: [{{uri: {{exact: /bound}}}}]\n  timeout: 1s\n{TO_S}\
         - match: [{{uri: {{exact: /delayed}}}}]\n  {delay}\n{TO_S}"
    );
    let mesh = speaks::ruled(io, Speaks::Http2, &[&origin], "")
        .routes(&routes)
        .start();
    let mut client = mesh.client();
    assert_eq!(client.get("/bound").status(), 200);
    client.pause(Duration::from_millis(1100));
    assert_eq!(client.get("/delayed").status(), 200);
    drop(client);
    let verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    assert_eq!(verdicts, ["200 -", "200 DI"]);
}
