//! Upstream connections that are used again, and those that must not be: what an origin sends
//! behind its answer reaches nobody, and one that has closed is replaced unseen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::net::TcpListener;

use ringmain_tests::{
    Io,
    client::Client,
    mesh::Mesh,
    message::Message,
    on_both,
    origin::{Conversation, Origin, response},
    place,
    wait::Gate,
    yaml,
};

on_both!(
    longer_than_its_length,
    longer_than_its_length_at_the_end_of_a_buffer,
    a_body_where_none_may_be,
    an_answer_before_any_request,
    a_stale_connection_is_replaced,
    a_stale_connection_is_not_replaced_for_post,
    a_second_failure_is_final,
    an_answer_is_never_asked_for_twice,
    all_stale_connections,
    one_bad_endpoint_does_not_spoil_another,
    many_are_let_go_at_once,
);

/// Whatever stands behind an answer reaches nobody.
fn longer_than_its_length(io: Io) {
    let evil = response("evil");
    let lies = [
        format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{evil}"),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok surplus".to_string(),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{evil}"),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r\n".to_string(),
    ];
    for lie in lies {
        let origin = Origin::answering(lie);
        let mesh = Mesh::to(io, &origin);
        let mut client = mesh.client();
        for _ in 0..10 {
            assert_eq!(client.get("/").text(), "ok");
        }
        drop(client);
        assert_eq!(
            origin.connections(),
            10,
            "such a connection is not used again"
        );
        assert_eq!(mesh.finish().len(), 10);
    }
}

/// The surplus is still with the kernel when the answer is complete: the proxy's buffer ends where
/// the answer does. The next request waits already.
fn longer_than_its_length_at_the_end_of_a_buffer(io: Io) {
    // Less the room that is left before an answer's head.
    const BUFFER: usize = (16 << 10) - 64;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 00000\r\n\r\n";
    let length = BUFFER - head.len();
    let head = head.replace("00000", &format!("{length:05}"));
    let lie = format!("{head}{}{}", "o".repeat(length), response("evil"));
    let origin = Origin::answering(lie);
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10));
    for index in 0..10 {
        let answer = client.response("GET");
        assert_eq!(
            (answer.status(), answer.body.len()),
            (200, length),
            "answer {index}"
        );
    }
    drop(client);
    assert_eq!(mesh.finish().len(), 10);
}

fn a_body_where_none_may_be(io: Io) {
    let origin = Origin::answering("HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nevil");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").status(), 304);
    }
    drop(client);
    assert_eq!(origin.connections(), 5);
    mesh.finish();

    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..5 {
        let answer = client.exchange("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer.get("content-length"), Some("4"));
    }
    assert_eq!(client.get("/").text(), "evil");
    drop(client);
    assert_eq!(origin.connections(), 6);
    mesh.finish();
}

/// An idle pooled connection on which something has come is not used.
fn an_answer_before_any_request(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            conversation.send(response("ok"));
            if conversation.index == 0 {
                conversation.send(response("evil"));
                ready.open();
                conversation.wait_for_end();
            }
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "ok");
    gate.pass();
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.get("/").text(), "ok");
    drop(client);
    mesh.finish();
}

/// Answers once on each connection, then closes it as soon as the next request comes.
fn stale(conversation: &mut Conversation) {
    if conversation.request().is_ok() && conversation.send(response("ok")) {
        drop(conversation.request());
    }
}

fn a_stale_connection_is_replaced(io: Io) {
    let origin = Origin::start(stale);
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "ok");
    }
    // A body that came with its head can be sent again as well.
    let put = client.exchange("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody");
    assert_eq!(put.text(), "ok");
    drop(client);
    assert_eq!(
        mesh.proxy.metric("ringmain_upstream_stale_retries_total"),
        3
    );
    let bodies: Vec<_> = origin
        .requests()
        .iter()
        .rev()
        .take(2)
        .map(Message::text)
        .collect();
    assert_eq!(bodies, ["body", "body"]);
    let lines = mesh.finish();
    assert_eq!(lines.len(), 4);
    assert!(
        lines.iter().all(|line| line.verdict() == "200 -"),
        "{lines:#?}"
    );
}

/// The origin may have done what was asked: doing it twice is worse than not knowing.
fn a_stale_connection_is_not_replaced_for_post(io: Io) {
    let origin = Origin::start(stale);
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "ok");
    let answer = client.exchange("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody");
    assert_eq!(answer.status(), 503);
    drop(client);
    let posts = origin
        .requests()
        .iter()
        .filter(|request| request.line.starts_with("POST"))
        .count();
    assert_eq!(posts, 1);
    assert_eq!(mesh.finish()[1].verdict(), "503 UC");
}

fn a_second_failure_is_final(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_ok() && conversation.index == 0 {
            conversation.send(response("ok"));
            drop(conversation.request());
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.get("/").status(), 503);
    drop(client);
    assert_eq!(origin.connections(), 2);
    assert_eq!(mesh.finish()[1].verdict(), "503 UC");
}

/// Once a byte of an answer is there, the origin is at work.
fn an_answer_is_never_asked_for_twice(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_ok() && conversation.send(response("ok")) {
            drop(conversation.request());
            conversation.send("HTTP/1.1 200");
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "ok");
    assert_eq!(client.get("/").status(), 503);
    drop(client);
    assert_eq!(origin.connections(), 1);
    mesh.finish();
}

/// The origin closes all its idle connections, as one that restarts does. Nobody notices.
fn all_stale_connections(io: Io) {
    let (arrived, gate) = (std::sync::Barrier::new(8), Gate::new());
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        if conversation.index >= 8 {
            while conversation.request().is_ok() && conversation.send(response("ok")) {}
        } else if conversation.request().is_ok() {
            // So that each of the clients needs a connection of its own.
            arrived.wait();
            conversation.send(response("ok"));
            ready.pass();
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut clients: Vec<Client> = (0..8).map(|_| mesh.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "ok");
    }
    gate.open();
    origin.wait_for_end_of_connections();
    for client in &mut clients {
        let answer = client.exchange("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
        assert_eq!(answer.text(), "ok");
    }
    drop(clients);
    assert_eq!(mesh.finish().len(), 16);
}

fn one_bad_endpoint_does_not_spoil_another(io: Io) {
    let origin = Origin::saying("ok");
    let closed = TcpListener::bind((place::address(), 0)).unwrap();
    let gone = closed.local_addr().unwrap();
    drop(closed);
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
        metadata: {name: both}\nspec:\n  host: both.test\n  \
        trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n";
    let mesh = Mesh::builder(io)
        .service("both", &[origin.address(), gone])
        .routes("- retries: {attempts: 0}\n  route:\n  - destination: {host: both.test}\n")
        .resource("rule", rule)
        .start();
    let mut client = mesh.client();
    let statuses: Vec<_> = (0..10).map(|_| client.get("/").status()).collect();
    drop(client);
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        5,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 503).count(),
        5,
        "{statuses:?}"
    );
    assert_eq!(origin.connections(), 1);
    mesh.finish();
}

/// More of them than a ring's queues have room for.
fn many_are_let_go_at_once(io: Io) {
    const MANY: usize = 600;
    let gate = Gate::new();
    let ready = gate.clone();
    let old = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("old"));
        }
    });
    let new = Origin::saying("new");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[old.address()])
        .tune("workers", "entries", "256")
        .limit("upstream_idle_connections", "1000")
        .start();
    let mut clients: Vec<_> = (0..MANY).map(|_| mesh.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    old.wait_for_requests(MANY);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "old");
    }
    let idle = "ringmain_upstream_connections_idle";
    mesh.proxy.wait_for_metric(idle, MANY as u64);
    mesh.write("service-origin", &yaml::service("origin", &[new.address()]));
    old.wait_for_end_of_connections();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "new");
    }
    drop(clients);
    assert_eq!(mesh.finish().len(), 2 * MANY);
}
