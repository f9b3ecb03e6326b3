//! How connections begin, how many requests they carry, and how long anybody is waited for.

use std::time::Duration;

use ringmain_tests::{
    Io,
    curl::curl,
    http2::{
        Frame, Peer,
        frame::{code, kind, setting},
        peer::{PREFACE, request},
    },
    mesh::Mesh,
    on_both,
    origin::{Origin, response},
    wait::{self, Gate},
};

on_both!(
    one_port_for_both_protocols,
    a_preface_byte_by_byte,
    a_preface_that_is_none,
    a_preface_that_does_not_come,
    what_we_say_of_ourselves,
    frames_that_nobody_knows,
    one_connection_for_fifty_clients,
    more_connections_when_streams_run_out,
    a_request_waits_for_nobody,
    more_streams_than_allowed,
    an_idle_connection_is_closed,
    an_idle_upstream_connection_is_closed,
    a_body_that_stalls,
    an_answer_that_stalls,
    a_client_that_gives_no_room,
    a_reader_that_stops,
    fields_that_do_not_end,
    fields_that_do_not_end_beside_a_request,
    what_h2_refuses_is_recorded,
    a_route_that_takes_too_long,
);

fn one_port_for_both_protocols(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let (mut http1, mut http2) = (mesh.client(), mesh.http2_client());
    for _ in 0..3 {
        assert_eq!(http1.get("/").text(), "ok");
        let stream = http2.get("/");
        assert_eq!(http2.response(stream).text(), "ok");
    }
    drop((http1, http2));
    let lines = mesh.finish();
    let http2 = lines.iter().filter(|line| line.get("protocol") == "HTTP/2");
    assert_eq!((lines.len(), http2.count()), (6, 3));
}

fn a_preface_byte_by_byte(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = Peer::silent(mesh.gateway);
    let stream = client.next_stream();
    let settings = Frame::settings(&[]).bytes();
    let head = Frame::headers(stream, request("GET", "/"), true).bytes();
    for byte in [PREFACE, &settings, &head].concat() {
        client.send_bytes([byte]);
    }
    assert_eq!(client.response(stream).text(), "ok");
    drop(client);
    mesh.finish_one();
}

/// It is a request of HTTP/1 then, and no good one.
fn a_preface_that_is_none(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    for bytes in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rx",
        "PRI * HTTP/2.0\r\nhost: a\r\n\r\n",
        "PRI / HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut client = mesh.client();
        client.send(bytes);
        let answer = client.response("PRI");
        let expected = if bytes.contains("HTTP/1.1") { 200 } else { 505 };
        let status = answer.status();
        assert!(status == expected || status == 400, "{bytes:?}: {answer:?}");
        drop(client);
    }
    // Frames behind a preface that are none.
    for garbage in [
        &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..],
        &[255; 100],
        &[0; 100],
    ] {
        let mut client = Peer::silent(mesh.gateway);
        client.send_bytes([PREFACE, garbage].concat());
        let reason = client.end();
        assert!(
            reason.is_some_and(|code| code != code::NO_ERROR),
            "{garbage:?}: {reason:?}"
        );
    }
    let mut client = mesh.http2_client();
    let stream = client.get("/");
    assert_eq!(client.response(stream).text(), "ok");
    drop(client);
    mesh.finish();
}

fn a_preface_that_does_not_come(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("request_head_timeout", "\"200ms\"")
        .limit("connection_idle_timeout", "\"400ms\"")
        .start();
    for bytes in [&PREFACE[..1], &PREFACE[..23]] {
        let mut client = mesh.client();
        client.send(bytes);
        // It may be told why, in the words of HTTP/1.
        while matches!(client.wire.fill(), Ok(true)) {}
    }
    // No SETTINGS behind it: an idle connection as any other.
    let mut client = Peer::silent(mesh.gateway);
    client.send_bytes(PREFACE);
    client.end();
    drop(client);
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 0);
    mesh.finish();
}

fn what_we_say_of_ourselves(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.http2_client();
    for _ in 0..3 {
        client.ping();
    }
    assert_eq!(client.settings_acknowledged, 1);
    let settings = &client.settings;
    assert_eq!(
        settings.get(&setting::MAX_CONCURRENT_STREAMS),
        Some(&1024),
        "{settings:?}"
    );
    assert!(
        settings.contains_key(&setting::MAX_HEADER_LIST_SIZE),
        "{settings:?}"
    );
    assert_ne!(
        settings.get(&setting::ENABLE_PUSH),
        Some(&1),
        "{settings:?}"
    );
    drop(client);
    mesh.finish();
}

/// RFC 9113 section 5.5: they are ignored.
fn frames_that_nobody_knows(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = Peer::client(mesh.gateway, &[(0x99, 7)]);
    client.send(&Frame::new(0x77, 0xff, 0, *b"unknown"));
    let stream = client.post("/");
    client.send(&Frame::new(0x77, 0xff, stream, *b"unknown"));
    client.send(&Frame::new(kind::PRIORITY, 0, 99, [0, 0, 0, 0, 7]));
    client.send(&Frame::data(stream, "", true));
    assert_eq!(client.response(stream).text(), "ok");
    drop(client);
    mesh.finish_one();
}

/// An origin that answers when so many requests have come on all its connections.
fn answering_together(settings: &'static [(u16, u32)], gate: &Gate) -> Origin {
    let ready = gate.clone();
    Origin::start(move |conversation| {
        let Ok(mut peer) = conversation.http2(settings) else {
            return;
        };
        let most = settings.first().map_or(50, |(_, value)| *value as usize);
        let mut waiting = Vec::new();
        while waiting.len() < most {
            let Ok((stream, request)) = peer.request() else {
                return;
            };
            conversation.keep(&request);
            waiting.push(stream);
        }
        ready.pass();
        for stream in waiting {
            peer.answer(stream, "ok");
        }
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            peer.answer(stream, "ok");
        }
    })
}

fn fifty_clients(io: Io, settings: &'static [(u16, u32)]) -> usize {
    let gate = Gate::new();
    let origin = answering_together(settings, &gate);
    let mesh = Mesh::to_http2(io, &origin);
    let mut clients: Vec<_> = (0..50).map(|_| mesh.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    origin.wait_for_requests(50);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("GET").text(), "ok");
    }
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    drop(clients);
    assert_eq!(mesh.finish().len(), 100);
    origin.connections()
}

fn one_connection_for_fifty_clients(io: Io) {
    assert_eq!(fifty_clients(io, &[]), 1);
}

/// Ten on each, and none refused.
fn more_connections_when_streams_run_out(io: Io) {
    assert_eq!(
        fifty_clients(io, &[(setting::MAX_CONCURRENT_STREAMS, 10)]),
        5
    );
}

/// Others on the connection are answered while one is not.
fn a_request_waits_for_nobody(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while let Ok(request) = conversation.request() {
            if request.line.contains("/slow") {
                ready.pass();
            }
            conversation.send(response("ok"));
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.http2_client();
    let slow = client.get("/slow");
    for _ in 0..100 {
        let stream = client.get("/fast");
        assert_eq!(client.response(stream).text(), "ok");
    }
    assert!(!client.stream(slow).has_head);
    gate.open();
    assert_eq!(client.response(slow).text(), "ok");
    drop(client);
    assert_eq!(origin.connections(), 2);
    assert_eq!(mesh.finish().len(), 101);
}

fn more_streams_than_allowed(io: Io) {
    let gate = Gate::new();
    let origin = answering_together(&[], &gate);
    let mesh = Mesh::builder(io)
        .all_to_http2("origin", &[origin.address()])
        .limit("http2_streams", "50")
        .start();
    let mut client = mesh.http2_client();
    client.ping();
    assert_eq!(client.settings[&setting::MAX_CONCURRENT_STREAMS], 50);
    let streams: Vec<_> = (0..53).map(|_| client.get("/")).collect();
    let (taken, refused) = streams.split_at(50);
    for stream in refused {
        assert_eq!(client.ended(*stream).reset, Some(code::REFUSED_STREAM));
    }
    origin.wait_for_requests(50);
    gate.open();
    for stream in taken {
        assert_eq!(client.response(*stream).text(), "ok");
    }
    let stream = client.get("/");
    assert_eq!(client.response(stream).text(), "ok");
    drop(client);
    // Those that were refused are recorded, too.
    let lines = mesh.finish();
    let refused = lines.iter().filter(|line| line.verdict() == "400 DPE");
    assert_eq!((lines.len(), refused.count()), (54, 3));
}

fn an_idle_connection_is_closed(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("connection_idle_timeout", "\"300ms\"")
        .start();
    let (mut silent, mut client) = (mesh.http2_client(), mesh.http2_client());
    let stream = client.get("/");
    assert_eq!(client.response(stream).text(), "ok");
    assert_eq!(client.end(), Some(code::NO_ERROR));
    assert_eq!(silent.end(), Some(code::NO_ERROR));
    mesh.finish_one();
}

fn an_idle_upstream_connection_is_closed(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| {
        peer.answer(stream, "ok");
    });
    let mesh = Mesh::builder(io)
        .all_to_http2("origin", &[origin.address()])
        .resource(
            "rule",
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: origin}\n\
             spec:\n  host: origin.test\n  trafficPolicy:\n    connectionPool:\n      http: \
             {idleTimeout: 300ms}\n",
        )
        .start();
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "ok");
    origin.wait_for_end_of_connections();
    assert_eq!(client.get("/").text(), "ok");
    drop(client);
    assert_eq!(origin.connections(), 2);
    mesh.finish();
}

/// A mesh that waits a moment for what does not move.
fn impatient(io: Io, origin: &Origin, is_http2: bool) -> Mesh {
    let builder = Mesh::builder(io).limit("stream_idle_timeout", "\"300ms\"");
    match is_http2 {
        true => builder.all_to_http2("origin", &[origin.address()]),
        false => builder.all_to("origin", &[origin.address()]),
    }
    .start()
}

fn a_body_that_stalls(io: Io) {
    for is_http2 in [false, true] {
        let origin = match is_http2 {
            true => Origin::http2(&[], |_, _, _| {}),
            false => Origin::saying("ok"),
        };
        let mesh = impatient(io, &origin, is_http2);
        let mut client = mesh.http2_client();
        for body in ["", "some of it"] {
            let stream = client.post("/");
            client.send(&Frame::data(stream, body, false));
            assert_eq!(client.ended(stream).message.status(), 408, "{is_http2}");
        }
        // The connection goes on.
        client.ping();
        drop(client);
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "408 SI", "{}", line.text);
        }
    }
}

fn an_answer_that_stalls(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, request| {
        if request.line.contains("/begun") {
            peer.send(&Frame::headers(stream, [(":status", "200")], false));
            peer.send(&Frame::data(stream, "half", false));
        }
    });
    let mesh = impatient(io, &origin, true);
    let mut client = mesh.http2_client();
    let (silent, begun) = (client.get("/"), client.get("/begun"));
    assert_eq!(client.response(silent).status(), 504);
    let ended = client.ended(begun);
    assert!(ended.reset.is_some() && !ended.is_over, "{ended:?}");
    drop(client);
    let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    verdicts.sort_unstable();
    assert_eq!(verdicts, ["200 SI", "504 SI"]);
}

/// The answer waits for room on its stream: that is cut off, and no other.
fn a_client_that_gives_no_room(io: Io) {
    for is_http2 in [false, true] {
        let origin = match is_http2 {
            true => Origin::http2(&[], |peer, stream, _| {
                peer.answer(stream, "hello");
            }),
            false => Origin::saying("hello"),
        };
        let mesh = impatient(io, &origin, is_http2);
        let mut client = Peer::client(mesh.gateway, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
        client.replenishes = false;
        let (held, other) = (client.get("/"), client.get("/"));
        client.send(&Frame::window_update(other, 100));
        assert_eq!(client.response(other).text(), "hello");
        let ended = client.ended(held);
        assert!(
            ended.has_head && !ended.is_over && ended.reset.is_some(),
            "{ended:?}"
        );
        client.ping();
        drop(client);
        let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
        verdicts.sort_unstable();
        assert_eq!(verdicts[0], "200 -");
        assert!(
            ["200 DC", "200 SI"].contains(&verdicts[1].as_str()),
            "{verdicts:?}"
        );
    }
}

/// It has given room, and takes nothing from its socket.
fn a_reader_that_stops(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
        while conversation.send([0; 100_000]) {}
    });
    let mesh = impatient(io, &origin, false);
    let window = [(setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1)];
    let narrow = ringmain_tests::client::Client::connect_narrow(mesh.gateway);
    let mut client = narrow.wire;
    let hello = [
        PREFACE.to_vec(),
        Frame::settings(&window).bytes(),
        Frame::window_update(0, 1 << 30).bytes(),
        Frame::headers(1, request("GET", "/"), true).bytes(),
    ];
    client.send(hello.concat()).unwrap();
    mesh.proxy.wait_for_lines(1);
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 0);
    drop(client);
    let line = mesh.finish_one();
    assert!(
        ["200 DC", "200 SI"].contains(&line.verdict().as_str()),
        "{}",
        line.text
    );
}

/// The head of a request begins, and does not end.
fn fields_that_do_not_end(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("request_head_timeout", "\"300ms\"")
        .limit("connection_idle_timeout", "\"600ms\"")
        .start();
    let mut client = mesh.http2_client();
    let stream = client.next_stream();
    client.send(&Frame::new(kind::HEADERS, 0, stream, *b"\x82"));
    client.end();
    drop(client);
    mesh.finish();
}

/// Nothing else can come on the connection meanwhile, so the request beside it ends, too.
fn fields_that_do_not_end_beside_a_request(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    });
    let head = Frame::new(kind::HEADERS, 0, 3, *b"\x82").bytes();
    let cut = Frame::headers(3, request("GET", "/"), true).bytes();
    for begun in [&head, &cut[..cut.len() - 1]] {
        let mesh = Mesh::builder(io)
            .all_to("origin", &[origin.address()])
            .limit("request_head_timeout", "\"300ms\"")
            .start();
        let mut client = mesh.http2_client();
        client.get("/");
        // Both have said all that they say of themselves.
        client.ping();
        client.send_bytes(begun);
        assert_eq!(client.end(), Some(code::ENHANCE_YOUR_CALM));
        drop(client);
        let lines = mesh.finish();
        let mut verdicts: Vec<_> = lines.iter().map(|line| line.verdict()).collect();
        verdicts.sort_unstable();
        assert_eq!(verdicts, ["0 DC", "408 DPE"]);
    }
}

/// Requests that nobody here has seen but the h2 crate: each is one line and counts once.
fn what_h2_refuses_is_recorded(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.http2_client();
    // No path; a field about the connection.
    let table: [&[(&str, &str)]; 2] = [
        &[(":method", "GET"), (":scheme", "http"), (":authority", "a")],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a"),
            (":path", "/"),
            ("connection", "close"),
        ],
    ];
    for fields in table {
        let stream = client.begin(fields.iter().copied(), true);
        let ended = client.ended(stream);
        assert_eq!(ended.reset, Some(code::PROTOCOL_ERROR), "{ended:?}");
        let stream = client.get("/");
        assert_eq!(client.response(stream).text(), "ok");
    }
    // Of one that ends the connection as well.
    let stream = client.next_stream();
    client.send(&Frame::new(
        kind::HEADERS,
        5,
        stream,
        *b"\xff\xff\xff\xff\xff\xff",
    ));
    assert_eq!(client.end(), Some(code::PROTOCOL_ERROR));
    drop(client);
    // It hears of the end before the last of them is counted.
    for (name, count) in [
        ("ringmain_requests_rejected_total", 3),
        ("ringmain_downstream_http2_errors_total", 1),
    ] {
        mesh.proxy.wait_for_metric(name, count);
    }
    let lines = mesh.finish();
    let mut verdicts: Vec<_> = lines.iter().map(|line| line.verdict()).collect();
    verdicts.sort_unstable();
    assert_eq!(
        verdicts,
        ["200 -", "200 -", "400 DPE", "400 DPE", "400 DPE"]
    );
    for line in lines.iter().filter(|line| line.verdict() == "400 DPE") {
        assert_eq!(line.get("response_code_details"), "http2.protocol_error");
        assert_eq!(line.get("protocol"), "HTTP/2");
    }
}

fn a_route_that_takes_too_long(io: Io) {
    let origin = Origin::http2(&[], |_, _, _| {});
    let mesh = Mesh::builder(io)
        .all_to_http2("origin", &[origin.address()])
        .routes("- route: [{destination: {host: origin.test}}]\n  timeout: 300ms\n")
        .start();
    let mut client = mesh.http2_client();
    let stream = client.get("/");
    assert_eq!(client.response(stream).status(), 504);
    let output = curl(["-o", "/dev/null", "-w", "%{http_code}", &mesh.url("/")]);
    assert_eq!(output.text(), "504");
    drop(client);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "504 UT", "{}", line.text);
        let milliseconds = Duration::from_millis(line.number("duration"));
        assert!(milliseconds >= Duration::from_millis(299) && milliseconds < wait::PATIENCE);
    }
}
