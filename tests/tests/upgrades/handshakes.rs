//! Before the upstream has agreed, and when it does not.

use std::time::Duration;

use ringmain_tests::{
    Io,
    curl::curl,
    mesh::Mesh,
    on_both,
    origin::{Origin, response},
    upgrade::{AGREEMENT, REQUEST, agreed, echo, echoing, ping, switch},
    wait::Gate,
};

on_both!(
    nothing_goes_before_the_agreement,
    what_comes_with_the_agreement,
    a_refusal_is_an_ordinary_answer,
    what_was_sent_before_a_refusal_is_no_request,
    two_in_a_row,
    agreement_to_something_else,
    agreement_with_a_body,
    wishes_that_do_not_go_on,
    the_client_goes_before_the_answer,
    the_server_goes_before_the_answer,
    a_kept_connection_was_closed,
    no_connection_is_used_after_an_upgrade,
    with_curl,
    connect_is_refused,
);

/// So long nothing comes that is not to come.
const SILENCE: Duration = Duration::from_millis(200);

fn nothing_goes_before_the_agreement(io: Io) {
    let origin = Origin::start(|conversation| {
        conversation.head().unwrap();
        let stream = &conversation.wire.stream;
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        assert!(conversation.wire.fill().is_err(), "it came too early");
        assert_eq!(conversation.wire.unread(), b"");
        let stream = &conversation.wire.stream;
        stream.set_read_timeout(Some(10 * SILENCE)).unwrap();
        conversation.send(AGREEMENT);
        echo(conversation);
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(format!("{REQUEST}early"));
    client.send(" bird");
    agreed(&mut client);
    assert_eq!(client.wire.bytes(10).unwrap(), b"early bird");
    client.finish();
    client.expect_end();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 -");
    assert_eq!(line.number("bytes_received"), 10);
    assert_eq!(line.number("bytes_sent"), 10);
}

fn what_comes_with_the_agreement(io: Io) {
    let origin = Origin::start(|conversation| {
        conversation.head().unwrap();
        conversation.send("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        conversation.send(format!("{AGREEMENT}hello"));
        echo(conversation);
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(REQUEST);
    assert_eq!(client.wire.head().unwrap().status(), 103);
    agreed(&mut client);
    assert_eq!(client.wire.bytes(5).unwrap(), b"hello");
    ping(&mut client);
}

fn a_refusal_is_an_ordinary_answer(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.request() {
            conversation.send(match request.get("upgrade") {
                Some(_) => "HTTP/1.1 426 No\r\ncontent-length: 2\r\n\r\nno".to_owned(),
                None => response("yes"),
            });
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..3 {
        let answer = client.exchange(REQUEST);
        assert_eq!((answer.status(), answer.text().as_str()), (426, "no"));
        assert!(!answer.closes());
        assert_eq!(answer.get("upgrade"), None);
        assert_eq!(client.get("/").text(), "yes");
    }
    assert_eq!(origin.connections(), 1, "one that ended in order is kept");
    drop(client);
    assert_eq!(mesh.finish().len(), 6);
}

/// Neither for us nor for the upstream.
fn what_was_sent_before_a_refusal_is_no_request(io: Io) {
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    // Behind the head, in the same segment, and later, before the answer.
    for (at_once, later) in [(smuggled, ""), ("", smuggled)] {
        let gate = Gate::new();
        let opened = gate.clone();
        let origin = Origin::start(move |conversation| {
            while conversation.request().is_ok() {
                opened.pass();
                conversation.send(response("no"));
            }
        });
        let mesh = Mesh::to(io, &origin);
        let mut client = mesh.client();
        client.send(format!("{REQUEST}{at_once}"));
        origin.wait_for_requests(1);
        client.send(later);
        gate.open();
        let answer = client.response("GET");
        assert_eq!(answer.text(), "no");
        assert!(answer.closes(), "{answer:?}");
        client.expect_end();
        assert_eq!(mesh.finish().len(), 1);
        assert_eq!(origin.requests().len(), 1);
    }
}

/// The second one is what is spoken behind the first, once that is agreed to.
fn two_in_a_row(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(format!("{REQUEST}{REQUEST}"));
    agreed(&mut client);
    let echoed = client.wire.bytes(REQUEST.len()).unwrap();
    assert_eq!(echoed, REQUEST.as_bytes());
    assert_eq!(origin.requests().len(), 1);
    drop(client);
    assert_eq!(mesh.finish().len(), 1);
}

fn agreement_to_something_else(io: Io) {
    let origin = Origin::start(|conversation| {
        conversation.head().unwrap();
        conversation.send(AGREEMENT.replace("echo", "other"));
        conversation.wait_for_end();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let answer = client.exchange(REQUEST);
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("upgrade_failed"), "{answer:?}");
    origin.wait_for_end_of_connections();
    drop(client);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "502 UPE");
    assert_eq!(line.get("response_code_details"), "upgrade_failed");
}

/// It has none: what looks like one is the other protocol (RFC 9110 section 15.2).
fn agreement_with_a_body(io: Io) {
    let origin = Origin::start(|conversation| {
        conversation.head().unwrap();
        let head = AGREEMENT.replace("\r\n\r\n", "\r\ncontent-length: 5\r\n\r\n");
        conversation.send(format!("{head}hello"));
        echo(conversation);
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let answer = switch(&mut client);
    assert_eq!(answer.get("content-length"), None);
    assert_eq!(client.wire.bytes(5).unwrap(), b"hello");
    ping(&mut client);
}

/// A server may take each for a request that has no wish (RFC 9110 section 7.8).
fn wishes_that_do_not_go_on(io: Io) {
    let origin = Origin::saying("plain");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let wish = "connection: upgrade\r\nupgrade: echo\r\n";
    for (what, request) in [
        (
            "a length",
            format!("POST / HTTP/1.1\r\nhost: a\r\n{wish}content-length: 3\r\n\r\nabc"),
        ),
        (
            "chunks",
            format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{wish}transfer-encoding: chunked\r\n\r\n\
                 3\r\nabc\r\n0\r\n\r\n"
            ),
        ),
        (
            "HTTP/2",
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
             http2-settings: AAMAAABkAAQAAP__\r\n\r\n"
                .to_owned(),
        ),
        (
            "several protocols",
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: a, b\r\n\r\n".to_owned(),
        ),
        (
            "no option",
            "GET / HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\n\r\n".to_owned(),
        ),
    ] {
        assert_eq!(client.exchange(request).text(), "plain", "{what}");
    }
    for request in origin.requests() {
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(request.get(name), None, "{name} of {request:?}");
        }
    }
    assert_eq!(origin.requests()[0].body, b"abc");
    assert_eq!(origin.requests()[1].body, b"abc");
}

fn the_client_goes_before_the_answer(io: Io) {
    let origin = Origin::start(|conversation| {
        conversation.head().unwrap();
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

fn the_server_goes_before_the_answer(io: Io) {
    let origin = Origin::start(|conversation| {
        conversation.head().unwrap();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let answer = client.exchange(REQUEST);
    assert_eq!(answer.status(), 503);
    drop(client);
    assert_eq!(mesh.finish_one().verdict(), "503 UC");
}

/// As any other request whose kept connection has gone, it is sent once more on a new one.
fn a_kept_connection_was_closed(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.index == 0 {
            conversation.request().unwrap();
            conversation.send(response("kept"));
            conversation.head().unwrap();
            return;
        }
        conversation.head().unwrap();
        conversation.send(AGREEMENT);
        echo(conversation);
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "kept");
    switch(&mut client);
    ping(&mut client);
    assert_eq!(origin.connections(), 2);
}

fn no_connection_is_used_after_an_upgrade(io: Io) {
    let origin = Origin::start(|conversation| {
        let request = conversation.head().unwrap();
        match request.get("upgrade") {
            Some(_) => {
                conversation.send(AGREEMENT);
                echo(conversation);
            }
            None => drop(conversation.send(response("plain"))),
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    client.finish();
    client.expect_end();
    mesh.wait_until_idle();
    origin.wait_for_end_of_connections();
    assert_eq!(mesh.client().get("/").text(), "plain");
    assert_eq!(origin.connections(), 2);
    assert_eq!(
        mesh.proxy
            .metric("ringmain_upstream_connections_reused_total"),
        0
    );
}

/// curl sends the wish and takes what it gets for an answer's body.
fn with_curl(io: Io) {
    let origin = Origin::start(|conversation| {
        conversation.head().unwrap();
        conversation.send(format!("{AGREEMENT}hello"));
    });
    let mesh = Mesh::to(io, &origin);
    let output = curl([
        "--http1.1",
        "--include",
        "--header",
        "connection: upgrade",
        "--header",
        "upgrade: echo",
        &mesh.url("/up"),
    ]);
    let text = output.text();
    assert!(text.starts_with("HTTP/1.1 101 "), "{output:?}");
    assert!(text.ends_with("\r\n\r\nhello"), "{output:?}");
    assert_eq!(origin.request().get("upgrade"), Some("echo"));
}

fn connect_is_refused(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n");
    let answer = client.response("GET");
    assert_eq!(answer.status(), 501);
    assert!(answer.text().contains("http1.connect"), "{answer:?}");
    client.expect_end();
    assert_eq!(origin.connections(), 0);
    assert_eq!(mesh.finish_one().verdict(), "501 DPE");
}
