//! How many connections a rule allows (`connectionPool.tcp.maxConnections`), how long a kept one
//! lives, and who waits for one.

use std::{thread, time::Duration};

use ringmain_tests::{Io, mesh::Builder, on_both, origin::Origin, wait::Gate};

use crate::{
    place::{destination_rule, held},
    speaks::{Client, Deed, Speaks, origin, ruled},
};

on_both!(
    requests_wait_for_a_connection,
    a_client_that_leaves_takes_no_connection,
    nobody_waits_for_ever,
    streams_wait_for_a_connection,
    kept_connections_are_closed,
);

fn limited(io: Io, speaks: Speaks, origin: &Origin, pool: &str) -> Builder {
    let rule = destination_rule(&format!("connectionPool: {{{pool}}}"));
    ruled(io, speaks, &[origin], "").resource("rule", &rule)
}

/// One is served, one waits, and a third is one too many: the example of Istio's manual.
fn requests_wait_for_a_connection(io: Io) {
    let gate = Gate::new();
    let origin = held(&gate);
    let pool = "tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}";
    let mesh = limited(io, Speaks::Http1, &origin, pool).start();
    let mut served = mesh.client();
    served.send("GET /served HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    let mut waiting = mesh.client();
    waiting.send("GET /waiting HTTP/1.1\r\nhost: a\r\n\r\n");
    mesh.proxy.wait_for_metric("ringmain_requests_active", 2);
    for client in [Speaks::Http1, Speaks::Http2] {
        let answer = Client::of(&mesh, client).get("/refused");
        assert_eq!(answer.status(), 503, "{client:?}");
    }
    assert_eq!(mesh.proxy.metric("ringmain_upstream_overflows_total"), 2);
    gate.open();
    assert_eq!(served.response("GET").text(), "hello");
    assert_eq!(waiting.response("GET").text(), "hello");
    for _ in 0..3 {
        assert_eq!(served.get("/again").text(), "hello");
    }
    assert_eq!(origin.connections(), 1);
    drop((served, waiting));
    let lines = mesh.finish();
    let refused = lines.iter().filter(|line| line.verdict() == "503 UO");
    assert_eq!((refused.count(), lines.len()), (2, 7));
}

/// Its place in the line is the next one's.
fn a_client_that_leaves_takes_no_connection(io: Io) {
    let gate = Gate::new();
    let origin = held(&gate);
    let mesh = limited(io, Speaks::Http1, &origin, "tcp: {maxConnections: 1}").start();
    let mut clients = [mesh.client(), mesh.client(), mesh.client()];
    for (client, number) in clients.iter_mut().zip(1..) {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        mesh.proxy
            .wait_for_metric("ringmain_requests_active", number);
    }
    origin.wait_for_requests(1);
    let [mut first, leaving, mut last] = clients;
    leaving.reset();
    mesh.proxy.wait_for_metric("ringmain_requests_active", 2);
    gate.open();
    assert_eq!(first.response("GET").text(), "hello");
    assert_eq!(last.response("GET").text(), "hello");
    assert_eq!(origin.connections(), 1);
    drop((first, last));
    let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["0 DC", "200 -", "200 -"]);
}

/// Without a timeout of the route. What holds the connection goes on, since something moves on it.
fn nobody_waits_for_ever(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while conversation.send("1\r\na\r\n") {
            thread::sleep(Duration::from_millis(20));
        }
    });
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let mesh = limited(io, Speaks::Http1, &origin, "tcp: {maxConnections: 1}")
            .limit("stream_idle_timeout", "\"300ms\"")
            .start();
        let mut served = mesh.client();
        served.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        mesh.proxy
            .wait_for_metric("ringmain_upstream_connections_active", 1);
        assert_eq!(
            Client::of(&mesh, speaks).get("/").status(),
            504,
            "{speaks:?}"
        );
        drop(served);
        let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
        verdicts.sort();
        assert_eq!(verdicts, ["200 DC", "504 SI"], "{speaks:?}");
    }
}

/// Where the streams of all connections are in use, too.
fn streams_wait_for_a_connection(io: Io) {
    let gate = Gate::new();
    let opened = gate.clone();
    let origin = Origin::start(move |conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        let mut streams = Vec::new();
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            streams.push(stream);
            if streams.len() == 2 {
                opened.pass();
                for stream in streams.drain(..) {
                    peer.answer(stream, "hello");
                }
            }
        }
    });
    let pool = "tcp: {maxConnections: 1}, http: {maxConcurrentStreams: 2}";
    let mesh = limited(io, Speaks::Http2, &origin, pool).start();
    let mut client = mesh.http2_client();
    let streams: Vec<_> = (0..6).map(|_| client.get("/")).collect();
    origin.wait_for_requests(2);
    mesh.proxy.wait_for_metric("ringmain_requests_active", 6);
    gate.open();
    for stream in streams {
        assert_eq!(client.response(stream).text(), "hello");
    }
    assert_eq!(origin.connections(), 1);
    drop(client);
    assert_eq!(mesh.finish().len(), 6);
}

fn kept_connections_are_closed(io: Io) {
    for speaks in [Speaks::Http1, Speaks::Http2] {
        let origin = origin(speaks, |_| Deed::Answer(200));
        let mesh = limited(io, speaks, &origin, "http: {idleTimeout: 300ms}").start();
        assert_eq!(Client::of(&mesh, Speaks::Http1).get("/").status(), 200);
        origin.wait_for_end_of_connections();
        assert_eq!(Client::of(&mesh, Speaks::Http1).get("/").status(), 200);
        assert_eq!(origin.connections(), 2, "{speaks:?}");
        assert_eq!(mesh.finish().len(), 2);
    }
}
