//! Slow and greedy clients: what they can make the proxy wait for and hold.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::time::{Duration, Instant};

use ringmain_tests::{
    Io,
    client::Client,
    mesh::Mesh,
    message::Broken,
    on_both,
    origin::{Origin, response},
    wait::{self, Gate},
};

on_both!(
    a_head_that_comes_too_slowly,
    a_head_in_pieces_leaves_no_deadline,
    a_body_that_stalls,
    a_body_that_trickles_is_waited_for,
    an_idle_connection_is_closed,
    a_connection_that_was_quiet_works,
    a_slow_reader_slows_the_origin,
    a_reader_that_stops_is_cut,
    a_pipeline_that_is_not_read_is_cut,
    a_slow_writer_of_a_fast_reader,
    downstream_connections_are_limited,
    upstream_connections_are_limited,
    idle_upstream_connections_are_limited,
    nothing_is_left_behind,
    many_idle_connections,
);

fn a_head_that_comes_too_slowly(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("request_head_timeout", "\"400ms\"")
        .start();
    let mut stalled = mesh.client();
    stalled.send("GET / HTTP/1.1\r\nhost: a\r\n");
    let mut trickling = mesh.client();
    trickling.send("GET / HTTP/1.1\r\nhost: a\r\n");
    let started = Instant::now();
    trickling
        .wire
        .stream
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    // Each byte comes in time, the head does not.
    while trickling.wire.unread().is_empty() {
        drop(trickling.wire.send("x"));
        drop(trickling.wire.fill());
        assert!(started.elapsed() < wait::PATIENCE, "it is never refused");
    }
    for mut client in [stalled, trickling] {
        let answer = client.response("GET");
        assert_eq!(answer.status(), 408);
        assert!(answer.closes());
        client.expect_end();
    }
    assert_eq!(origin.connections(), 0);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "408 DPE");
        assert!(
            (400..5000).contains(&line.number("duration")),
            "{}",
            line.text
        );
    }
}

/// The deadline is the head's, not the request's or the connection's.
fn a_head_in_pieces_leaves_no_deadline(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("ok"));
        }
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("request_head_timeout", "\"200ms\"")
        .start();
    let mut client = mesh.client();
    client.send("GET / HT");
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 1);
    client.send("TP/1.1\r\nhost: a\r\n\r\n");
    client.expect_silence(Duration::from_millis(500));
    gate.open();
    assert_eq!(client.response("GET").text(), "ok");
    assert_eq!(client.get("/again").text(), "ok");
    drop(client);
    assert_eq!(mesh.finish().len(), 2);
}

fn a_body_that_stalls(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"300ms\"")
        .start();
    for body in ["", "some of it"] {
        let mut client = mesh.client();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n");
        client.send(body);
        let answer = client.response("POST");
        assert_eq!(answer.status(), 408, "{}", answer.text());
        assert!(answer.closes());
        client.expect_end();
    }
    origin.wait_for_end_of_connections();
    assert!(origin.requests().is_empty());
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "408 SI");
    }
}

/// The timeout is for a body that does not move.
fn a_body_that_trickles_is_waited_for(io: Io) {
    let origin = Origin::echo();
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"300ms\"")
        .start();
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n");
    for digit in 0..10 {
        client.expect_silence(Duration::from_millis(100));
        client.send(digit.to_string());
    }
    assert_eq!(client.response("POST").text(), "0123456789");
    drop(client);
    mesh.finish_one();
}

fn an_idle_connection_is_closed(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("connection_idle_timeout", "\"300ms\"")
        .start();
    let mut silent = mesh.client();
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "ok");
    client.expect_end();
    silent.expect_end();
    mesh.finish_one();
}

/// Its buffer was given back meanwhile; nothing that comes later may be lost.
fn a_connection_that_was_quiet_works(io: Io) {
    let origin = Origin::echo();
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .start();
    let mut client = mesh.client();
    for round in 0..5 {
        client.expect_silence(Duration::from_millis(60));
        assert_eq!(client.get("/").status(), 200, "{round}");
        client.expect_silence(Duration::from_millis(60));
        client.send("POST / HTTP/1.1\r\nho");
        client.expect_silence(Duration::from_millis(60));
        client.send("st: a\r\ncontent-length: 4\r\n\r\nbo");
        client.expect_silence(Duration::from_millis(60));
        client.send("dy");
        assert_eq!(client.response("POST").text(), "body", "{round}");
    }
    drop(client);
    assert_eq!(mesh.finish().len(), 10);
}

/// What the client does not read stays with the origin.
fn a_slow_reader_slows_the_origin(io: Io) {
    const LENGTH: usize = 200_000_000;
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.send(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n"
        ));
        let mut left = LENGTH;
        conversation.wire.stream.set_write_timeout(None).unwrap();
        while left > 0 && conversation.send([0; 100_000]) {
            left -= 100_000;
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = Client::connect_narrow(mesh.gateway);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.wire.head().unwrap().status(), 200);
    let before = mesh.proxy.process.resident_kib();
    let mut got = client.wire.unread().len();
    for _ in 0..50 {
        assert!(client.wire.fill().unwrap());
        got = client.wire.unread().len();
        client.pause(Duration::from_millis(10));
    }
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
    assert!(got < LENGTH / 10, "the client was not slow: {got}");
    assert!(grown < 4096, "{grown} KiB more for one slow reader");
    drop(client);
    origin.wait_for_end_of_connections();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 DC");
    // In flight: two socket buffers and one of the proxy's.
    assert!(
        line.number("bytes_sent") < LENGTH as u64 / 4,
        "{}",
        line.text
    );
}

fn a_reader_that_stops_is_cut(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        while conversation.send([0; 100_000]) {}
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"400ms\"")
        .start();
    let mut client = Client::connect_narrow(mesh.gateway);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    origin.wait_for_end_of_connections();
    mesh.wait_until_idle();
    assert!(matches!(client.wire.response("GET"), Err(Broken::Cut(_))));
    drop(client);
    let line = mesh.finish_one();
    assert!(
        ["200 DC", "200 SI"].contains(&line.verdict().as_str()),
        "{}",
        line.text
    );
}

/// Each answer is small; together they are more than the kernel keeps.
fn a_pipeline_that_is_not_read_is_cut(io: Io) {
    let origin = Origin::answering(response(&"x".repeat(4000)));
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"400ms\"")
        .start();
    let mut client = Client::connect_narrow(mesh.gateway);
    client
        .wire
        .stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    // Until nothing is taken any more.
    while client
        .wire
        .send("GET / HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100))
        .is_ok()
    {}
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 0);
    drop(client);
    let lines = mesh.finish();
    let (last, others) = lines.split_last().unwrap();
    assert_eq!(last.get("response_flags"), "DC", "{}", last.text);
    assert!(others.iter().all(|line| line.verdict() == "200 -"));
}

/// The origin takes its time; what the client sends meanwhile is not kept without bounds.
fn a_slow_writer_of_a_fast_reader(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::narrow(move |conversation| {
        drop(conversation.head());
        ready.pass();
        let mut left = 50_000_000 - conversation.wire.unread().len();
        while left > 0 && matches!(conversation.wire.fill(), Ok(true)) {
            left = 50_000_000 - conversation.wire.unread().len().min(50_000_000);
        }
        conversation.send(response("all of it"));
        conversation.wait_for_end();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 50000000\r\n\r\n");
    let before = mesh.proxy.process.resident_kib();
    client
        .wire
        .stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let mut sent = 0;
    let mut blocked = false;
    while sent < 50_000_000 {
        use std::io::Write as _;
        match client
            .wire
            .stream
            .write(&[0; 50_000][..50_000.min(50_000_000 - sent)])
        {
            Ok(count) => sent += count,
            Err(_) => {
                assert!(!blocked, "the origin takes everything now");
                blocked = true;
                let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
                assert!(grown < 4096, "{grown} KiB more for one slow origin");
                assert!(sent < 25_000_000, "{sent} bytes went nowhere");
                client
                    .wire
                    .stream
                    .set_write_timeout(Some(wait::PATIENCE))
                    .unwrap();
                gate.open();
            }
        }
    }
    assert!(blocked, "the origin did not hold the client back");
    assert_eq!(client.response("POST").text(), "all of it");
    drop(client);
    assert_eq!(mesh.finish_one().number("bytes_received"), 50_000_000);
}

fn downstream_connections_are_limited(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("downstream_connections", "3")
        .start();
    let mut clients: Vec<_> = (0..3).map(|_| mesh.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    let mut refused = mesh.client();
    refused.expect_end();
    assert_eq!(mesh.proxy.metric("ringmain_connections_refused_total"), 1);
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    clients.pop();
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 2);
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "ok");
    drop((client, clients));
    assert_eq!(mesh.finish().len(), 7);
}

fn upstream_connections_are_limited(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("ok"));
        }
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("upstream_connections", "2")
        .start();
    let mut clients: Vec<_> = (0..2).map(|_| mesh.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    origin.wait_for_requests(2);
    let mut refused = mesh.client();
    assert_eq!(refused.get("/").status(), 503);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "ok");
    }
    assert_eq!(refused.get("/").text(), "ok");
    drop((refused, clients));
    let lines = mesh.finish();
    let overflows: Vec<_> = lines
        .iter()
        .filter(|line| line.verdict() == "503 UO")
        .collect();
    assert_eq!((lines.len(), overflows.len()), (4, 1), "{lines:#?}");
}

fn idle_upstream_connections_are_limited(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("ok"));
        }
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("upstream_idle_connections", "2")
        .start();
    let mut clients: Vec<_> = (0..5).map(|_| mesh.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    origin.wait_for_requests(5);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "ok");
    }
    wait::until_equal("open connections at the origin", 2, || {
        origin.open_connections()
    });
    drop(clients);
    assert_eq!(mesh.finish().len(), 5);
}

/// After all kinds of ends, the process holds what it held before.
fn nothing_is_left_behind(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.head() {
            match request.line.split(' ').nth(1).unwrap() {
                "/close" => return,
                "/cut" => {
                    conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx");
                    return;
                }
                "/wait" => return conversation.wait_for_end(),
                _ => conversation.send(response("ok")),
            };
        }
    });
    let mesh = Mesh::to(io, &origin);
    let round = || {
        for path in ["/", "/close", "/cut", "/wait"] {
            let mut client = mesh.client();
            client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
            match path {
                "/wait" => client.reset(),
                _ => drop(client.wire.response("GET")),
            }
        }
        let mut client = mesh.client();
        client.send("POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx");
        client.reset();
        mesh.client().send("GE");
    };
    round();
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 0);
    let before = mesh.proxy.process.descriptors();
    (0..50).for_each(|_| round());
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 0);
    mesh.proxy.wait_for_metric("ringmain_requests_active", 0);
    wait::until("descriptors to be closed", || {
        match mesh.proxy.process.descriptors() {
            // The admin endpoint's own connections come and go.
            count if count <= before + 3 => Ok(()),
            count => Err(format!("{count}, before {before}")),
        }
    });
    mesh.proxy.wait_for_metric("ringmain_buffers_in_use", 0);
    mesh.finish();
}

fn many_idle_connections(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .start();
    let before = mesh.proxy.process.resident_kib();
    let mut clients: Vec<_> = (0..300).map(|_| mesh.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    mesh.proxy.wait_for_metric("ringmain_buffers_in_use", 0);
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
    assert!(
        grown < 300 * 8 + 2048,
        "{grown} KiB for 300 idle connections"
    );
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    drop(clients);
    assert_eq!(mesh.finish().len(), 600);
}
