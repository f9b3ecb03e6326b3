//! PING on connections of HTTP/2, and how old those of clients grow.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use ringmain_tests::{
    Io,
    http2::{
        Frame,
        frame::{code, kind},
        peer::{PREFACE, Peer},
    },
    mesh::Mesh,
    on_both,
    origin::Origin,
    wait,
};

on_both!(
    a_client_that_answers_stays,
    a_client_that_does_not_answer_is_ended,
    an_upstream_that_does_not_answer_is_ended,
    an_old_connection_takes_no_more_requests,
    nothing_is_kept_of_a_connection_that_has_ended,
);

/// Types of the frames that come until the other side ends the connection.
fn kinds_until_end(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let mut kinds = Vec::new();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).unwrap();
        kinds.push(head[3]);
    }
    kinds
}

fn a_client_that_answers_stays(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .limit("http2_keep_alive_interval", "\"20ms\"")
        .limit("http2_keep_alive_timeout", "\"10s\"")
        .all_to("origin", &[origin.address()])
        .start();
    let mut client = Peer::client(mesh.gateway, &[]);
    let mut pings = 0;
    while pings < 5 {
        let frame = client.step().unwrap_or_else(|broken| panic!("{broken}"));
        pings += usize::from(frame.kind == kind::PING && !frame.is_ack());
    }
    let stream = client.get("/");
    assert_eq!(client.response(stream).text(), "ok");
    drop(client);
    mesh.finish_one();
}

fn a_client_that_does_not_answer_is_ended(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .limit("http2_keep_alive_interval", "\"50ms\"")
        .limit("http2_keep_alive_timeout", "\"50ms\"")
        .all_to("origin", &[origin.address()])
        .start();
    let mut client = TcpStream::connect(mesh.gateway).unwrap();
    client.write_all(PREFACE).unwrap();
    client.write_all(&Frame::settings(&[]).bytes()).unwrap();
    let kinds = kinds_until_end(&mut client);
    assert!(kinds.contains(&kind::PING), "{kinds:?}");
    let metric = "ringmain_downstream_keep_alive_failures_total";
    mesh.proxy.wait_for_metric(metric, 1);
    drop(client);
    assert!(mesh.finish().is_empty());
}

fn an_upstream_that_does_not_answer_is_ended(io: Io) {
    let origin = Origin::start(|conversation| {
        let stream = &mut conversation.wire.stream;
        stream.read_exact(&mut [0; PREFACE.len()]).unwrap();
        stream.write_all(&Frame::settings(&[]).bytes()).unwrap();
        let kinds = kinds_until_end(stream);
        assert!(kinds.contains(&kind::PING), "{kinds:?}");
    });
    let policy = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: origin}
spec:
  host: origin.test
  trafficPolicy:
    connectionPool:
      http: {http2KeepAlive: {interval: 50ms, timeout: 50ms}}
";
    let mesh = Mesh::builder(io)
        .all_to_http2("origin", &[origin.address()])
        .resource("policy", policy)
        .start();
    let mut client = mesh.client();
    assert_eq!(client.get("/").status(), 503);
    let metric = "ringmain_upstream_keep_alive_failures_total";
    mesh.proxy.wait_for_metric(metric, 1);
    drop(client);
    assert_eq!(mesh.finish_one().verdict(), "503 UC");
}

fn an_old_connection_takes_no_more_requests(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .limit("http2_connection_age", "\"50ms\"")
        .all_to("origin", &[origin.address()])
        .start();
    let mut client = Peer::client(mesh.gateway, &[]);
    let stream = client.get("/");
    assert_eq!(client.response(stream).text(), "ok");
    assert_eq!(client.end(), Some(code::NO_ERROR));
    // The next one begins anew.
    let mut client = Peer::client(mesh.gateway, &[]);
    let stream = client.get("/");
    assert_eq!(client.response(stream).text(), "ok");
    drop(client);
    assert_eq!(mesh.finish().len(), 2);
}

/// Whoever asks whether it is there asks in an hour.
fn nothing_is_kept_of_a_connection_that_has_ended(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| {
        peer.answer(stream, "ok");
        // This connection is used once.
        peer.send(&Frame::go_away(stream, code::NO_ERROR));
    });
    let policy = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: origin}
spec:
  host: origin.test
  trafficPolicy:
    connectionPool:
      http: {maxRequestsPerConnection: 1, http2KeepAlive: {interval: 1h, timeout: 20s}}
";
    let mesh = Mesh::builder(io)
        .limit("http2_keep_alive_interval", "\"1h\"")
        .all_to_http2("origin", &[origin.address()])
        .resource("policy", policy)
        .start();
    let before = mesh.proxy.process.descriptors();
    for _ in 0..10 {
        let mut client = Peer::client(mesh.gateway, &[]);
        let stream = client.get("/");
        assert_eq!(client.response(stream).text(), "ok");
    }
    // The look at them has one of its own.
    wait::until("all to be closed", || {
        match mesh.proxy.process.descriptors() {
            count if count <= before + 1 => Ok(()),
            count => Err(format!("{count} descriptors, {before} at first")),
        }
    });
    mesh.finish();
}
