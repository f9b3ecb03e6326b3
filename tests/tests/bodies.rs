//! Bodies on their way, in both directions, and those who leave while they are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::time::Duration;

use ringmain_tests::{
    Io,
    mesh::Mesh,
    on_both,
    origin::{Origin, response},
    wait::{self, Gate},
};

on_both!(
    chunks_and_trailers_pass,
    request_trailers_pass,
    continue_comes_from_the_origin,
    a_body_byte_by_byte,
    a_half_closed_client_gets_its_answer,
    an_early_answer_ends_the_upload,
    an_early_answer_to_a_long_upload_arrives,
    both_directions_at_once,
    a_client_that_resets_in_mid_upload,
    a_client_that_closes_in_mid_upload,
    a_client_that_leaves_in_mid_answer,
    a_client_that_resets_while_the_origin_thinks,
    uploads_leave_the_connection_open,
);

const REQUEST: &str = "GET /a?b=c HTTP/1.1\r\nhost: example.test\r\n\r\n";

fn chunks_and_trailers_pass(io: Io) {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
         5;ext=1\r\nhello\r\n1\r\n,\r\n00006\r\n world\r\n0\r\nx-sum: 12\r\nx-more: a\r\n\r\n",
    );
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\n\r\n");
        let answer = client.response("GET");
        assert_eq!(answer.text(), "hello, world");
        assert_eq!(answer.trailers.get("x-sum"), Some("12"));
        assert_eq!(answer.trailers.get("x-more"), Some("a"));
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests()[0].get("te"), Some("trailers"));
    mesh.finish();
}

fn request_trailers_pass(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
    client.exchange(format!("{head}3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n"));
    // The same in pieces, with trailers that must not pass.
    client.send(head);
    client.send("3\r\nabc\r\n");
    origin.wait_for_requests(1);
    client.send("2\r\nde\r\n0\r\nx-sum: 5\r\ncontent-length: 5\r\nhost: evil\r\n\r\n");
    client.response("POST");
    drop(client);
    let requests = origin.requests();
    assert_eq!(
        (requests[0].text().as_str(), requests[1].text().as_str()),
        ("abc", "abcde")
    );
    assert_eq!(requests[0].trailers.get("x-sum"), Some("3"));
    assert_eq!(
        requests[1].trailers.0,
        [("x-sum".to_owned(), "5".to_owned())]
    );
    mesh.finish();
}

fn continue_comes_from_the_origin(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        let request = conversation.wire.request(|head, wire| {
            assert_eq!(head.get("expect"), Some("100-continue"));
            ready.pass();
            drop(wire.send("HTTP/1.1 100 Continue\r\n\r\n"));
        });
        if request.is_ok_and(|request| request.body == b"body") {
            conversation.send(response("got it"));
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    wait::until_equal("connections at the origin", 1, || origin.connections());
    client.expect_silence(Duration::from_millis(100));
    gate.open();
    let interim = client.wire.head().unwrap();
    assert_eq!(interim.status(), 100);
    client.send("body");
    assert_eq!(client.response("PUT").text(), "got it");
    drop(client);
    mesh.finish_one();
}

fn a_body_byte_by_byte(io: Io) {
    let origin = Origin::echo();
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    for byte in b"5\r\nhello\r\n1;x=\"y\"\r\n,\r\n6\r\n world\r\n0\r\na: b\r\n\r\n" {
        client.send([*byte]);
    }
    assert_eq!(client.response("POST").text(), "hello, world");
    drop(client);
    mesh.finish_one();
}

fn a_half_closed_client_gets_its_answer(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("late"));
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(REQUEST);
    client.finish();
    origin.wait_for_requests(1);
    // Longer than the proxy looks after clients that have gone.
    client.expect_silence(Duration::from_millis(1500));
    gate.open();
    assert_eq!(client.response("GET").text(), "late");
    client.expect_end();
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

fn an_early_answer_ends_the_upload(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.head().is_ok() {
            conversation.send("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno.");
            conversation.wait_for_end();
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\npart");
    let answer = client.response("POST");
    assert_eq!((answer.status(), answer.text().as_str()), (413, "no."));
    assert!(
        answer.closes(),
        "the rest of the body cannot be told from a request: {answer:?}"
    );
    client.expect_end();
    origin.wait_for_end_of_connections();
    let line = mesh.finish_one();
    assert_eq!(
        (line.verdict().as_str(), line.get("response_code_details")),
        ("413 -", "via_upstream")
    );
}

/// The client does not read before it has sent everything; the origin takes nothing of it.
fn an_early_answer_to_a_long_upload_arrives(io: Io) {
    let origin = Origin::narrow(|conversation| {
        if conversation.head().is_ok() {
            conversation.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 3\r\n\r\nno.");
            conversation.wait_for_close();
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n");
    for _ in 0..80 {
        client.send([0; 10_000]);
    }
    let answer = client.response("POST");
    assert_eq!(answer.status(), 401);
    assert!(answer.closes());
    client.expect_end();
    assert_eq!(mesh.finish_one().verdict(), "401 -");
}

/// The origin answers each piece before the next one is sent.
fn both_directions_at_once(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.head().is_err() {
            return;
        }
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut answered = 0;
        while answered < 5 {
            while conversation
                .wire
                .unread()
                .windows(4)
                .filter(|w| w == b"ping")
                .count()
                <= answered
            {
                if !matches!(conversation.wire.fill(), Ok(true)) {
                    return;
                }
            }
            conversation.send("4\r\npong\r\n");
            answered += 1;
        }
        conversation.send("0\r\n\r\n");
        conversation.wait_for_end();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_eq!(client.wire.head().unwrap().status(), 200);
    for count in 1..=5 {
        client.send("4\r\nping\r\n");
        while client
            .wire
            .unread()
            .windows(4)
            .filter(|w| w == b"pong")
            .count()
            < count
        {
            assert!(client.wire.fill().unwrap());
        }
    }
    client.send("0\r\n\r\n");
    while !client.wire.unread().ends_with(b"0\r\n\r\n") {
        assert!(client.wire.fill().unwrap());
    }
    drop(client);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 -");
    assert_eq!(line.number("bytes_sent"), 20);
}

fn a_client_that_resets_in_mid_upload(io: Io) {
    leaves_in_mid_upload(io, ringmain_tests::client::Client::reset);
}

fn a_client_that_closes_in_mid_upload(io: Io) {
    leaves_in_mid_upload(io, drop);
}

fn leaves_in_mid_upload(io: Io, leave: impl FnOnce(ringmain_tests::client::Client)) {
    let origin = Origin::saying("never");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n0123456789");
    wait::until_equal("bytes of the body at the origin", true, || {
        origin.connections() == 1 && origin.received(0).ends_with(b"0123456789")
    });
    leave(client);
    origin.wait_for_end_of_connections();
    assert!(origin.requests().is_empty(), "it was never whole");
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "0 DC");
    assert_eq!(line.get("path"), "/up");
    assert_eq!(line.number("bytes_received"), 10);
}

fn a_client_that_leaves_in_mid_answer(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_ok() {
            conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
            while conversation.send([7; 100_000]) {}
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(REQUEST);
    assert_eq!(client.wire.head().unwrap().status(), 200);
    drop(client);
    origin.wait_for_end_of_connections();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 DC");
    assert!(line.number("bytes_sent") < 1_000_000_000);
}

fn a_client_that_resets_while_the_origin_thinks(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(REQUEST);
    origin.wait_for_requests(1);
    client.reset();
    origin.wait_for_end_of_connections();
    assert_eq!(mesh.finish_one().verdict(), "0 DC");
}

/// The origin answers at once, so that the last send's end and the answer are heard of together.
fn uploads_leave_the_connection_open(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut clients = [(); 32].map(|()| mesh.client());
    for number in 0..12 {
        let body = "a".repeat([4095, 8192, 15_000, 16_384][number % 4]);
        let request = format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        clients.iter_mut().for_each(|client| client.send(&request));
        for client in &mut clients {
            let answer = client.response("POST");
            assert_eq!(answer.text(), "ok");
            assert!(!answer.closes(), "after {} bytes", body.len());
        }
    }
    drop(clients);
    assert_eq!(mesh.finish().len(), 32 * 12);
}
