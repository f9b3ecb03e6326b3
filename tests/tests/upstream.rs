//! Origins that are gone, slow, cut off, or lie: the right status and flag, never a hang, never a
//! broken connection used again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::time::Instant;

use ringmain_tests::{
    Io,
    access_log::Line,
    mesh::Mesh,
    message::{Broken, Message},
    on_both,
    origin::{Conversation, Origin},
    place,
    wait::Gate,
};

on_both!(
    refused,
    refused_with_a_body,
    never_connected,
    no_endpoint,
    closed_before_the_answer,
    reset_before_the_answer,
    closed_within_the_head,
    cut_with_a_length,
    cut_within_chunks,
    reset_until_close,
    garbage,
    garbage_in_a_body,
    stalled_before_the_answer,
    stalled_within_the_answer,
    the_route_gives_up_first,
    the_route_gives_up_within_the_answer,
    the_route_gives_up_while_connecting,
    interim_answers_without_end,
    an_origin_that_takes_nothing,
);

/// An address where nobody listens.
fn nobody() -> std::net::SocketAddr {
    place::free(place::address())
}

/// Sends a GET to an origin with this script, through a proxy with short timeouts. What the client
/// got, and the line of the log.
fn ask(
    io: Io,
    script: impl Fn(&mut Conversation) + Send + Sync + 'static,
) -> (Result<Message, Broken>, Line) {
    let origin = Origin::start(script);
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"300ms\"")
        .start();
    let mut client = mesh.client();
    client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = client.wire.response("GET");
    if answer.is_err() {
        client.expect_end();
    }
    drop(client);
    origin.wait_for_end_of_connections();
    (answer, mesh.finish_one())
}

/// The client got a whole answer of the proxy's own with this status; the log says this.
fn check_refused(outcome: (Result<Message, Broken>, Line), status: u16, flag: &str) -> Line {
    let (answer, line) = outcome;
    let answer = answer.unwrap_or_else(|broken| panic!("{broken}\n{}", line.text));
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(line.verdict(), format!("{status} {flag}"), "{}", line.text);
    assert!(
        answer.text().contains(line.get("response_code_details")),
        "{}",
        answer.text()
    );
    line
}

/// The client got a part of the answer, and can tell; the log says this.
fn check_cut(outcome: (Result<Message, Broken>, Line), verdict: &str, body: &str) {
    let (answer, line) = outcome;
    match answer {
        Err(Broken::Cut(part)) => assert_eq!(part.text(), body),
        other => panic!("not cut: {other:?}"),
    }
    assert_eq!(line.verdict(), verdict, "{}", line.text);
}

fn refused(io: Io) {
    let address = nobody();
    let mesh = Mesh::builder(io).all_to("nobody", &[address]).start();
    let mut client = mesh.client();
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!(answer.status(), 503);
        assert!(!answer.closes(), "the client did nothing wrong");
    }
    drop(client);
    assert_eq!(
        mesh.proxy
            .metric("ringmain_upstream_connect_failures_total"),
        9,
        "each is tried three times, as in Istio"
    );
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "503 UF,URX");
        assert_eq!(line.get("upstream_host"), address.to_string());
        assert!(
            line.get("upstream_transport_failure_reason")
                .contains("refused"),
            "{}",
            line.text
        );
    }
}

fn refused_with_a_body(io: Io) {
    let mesh = Mesh::builder(io).all_to("nobody", &[nobody()]).start();
    // Short and whole; long and on its way.
    for (length, sent) in [(5, 5), (1_000_000, 100_000)] {
        let mut client = mesh.client();
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"
        ));
        client.send("x".repeat(sent));
        assert_eq!(client.response("POST").status(), 503);
    }
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "503 UF,URX");
    }
}

/// Nobody answers at an address of TEST-NET-1, or else there is no way to it: the same failure, as
/// long as it does not take longer than it may.
fn never_connected(io: Io) {
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
        metadata: {name: hole}\nspec:\n  host: hole.test\n  \
        trafficPolicy: {connectionPool: {tcp: {connectTimeout: 300ms}}}\n";
    // A listening socket whose queue is full answers no handshake: a hole on any machine.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener
        .bind(&std::net::SocketAddr::new(place::address(), 0).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _filler = std::net::TcpStream::connect(address).unwrap();
    let mesh = Mesh::builder(io)
        .all_to("hole", &[address])
        .resource("rule", rule)
        .start();
    let started = Instant::now();
    let mut client = mesh.client();
    assert_eq!(client.get("/").status(), 503);
    assert!(
        started.elapsed().as_millis() >= 300,
        "{:?}",
        started.elapsed()
    );
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    drop(client);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "503 UF,URX");
    assert!(
        line.get("response_code_details")
            .contains("connection_timeout"),
        "{}",
        line.text
    );
}

fn no_endpoint(io: Io) {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec:\n  \
        selector: {app: empty}\n  ports: [{name: http, port: 80}]\n";
    let mesh = Mesh::builder(io)
        .resource("service", service)
        .routes("- route: [{destination: {host: empty}}]\n")
        .start();
    assert_eq!(mesh.client().get("/").status(), 503);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "503 UH");
    assert_eq!(line.get("upstream_host"), "-");
}

fn closed_before_the_answer(io: Io) {
    let line = check_refused(
        ask(io, |conversation| drop(conversation.request())),
        503,
        "UC",
    );
    assert!(
        line.get("response_code_details")
            .contains("connection_termination")
    );
}

fn reset_before_the_answer(io: Io) {
    let outcome = ask(io, |conversation| {
        drop(conversation.request());
        conversation.reset();
    });
    check_refused(outcome, 503, "UC");
}

fn closed_within_the_head(io: Io) {
    let outcome = ask(io, |conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length");
    });
    check_refused(outcome, 503, "UC");
}

fn cut_with_a_length(io: Io) {
    let outcome = ask(io, |conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
    });
    check_cut(outcome, "200 UC", "part");
}

fn cut_within_chunks(io: Io) {
    let outcome = ask(io, |conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n");
    });
    check_cut(outcome, "200 UC", "part");
}

/// Only the end of the connection ends it, so a reset must not look like one.
fn reset_until_close(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\n\r\npart");
        ready.pass();
        conversation.reset();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n");
    while !client.wire.unread().ends_with(b"part\r\n") {
        assert!(client.wire.fill().unwrap());
    }
    gate.open();
    match client.wire.response("GET") {
        Err(Broken::Cut(part)) => assert_eq!(part.text(), "part"),
        other => panic!("not cut: {other:?}"),
    }
    drop(client);
    assert_eq!(mesh.finish_one().verdict(), "200 UC");
}

/// Answers, and the rule that each breaks.
#[rustfmt::skip]
const GARBAGE: &[(&str, &str)] = &[
    ("SSH-2.0-OpenSSH_9.2\r\n", "status_line"),
    ("hello\r\n\r\n", "status_line"),
    ("HTTP/1.1 2000 OK\r\n\r\n", "status_line"),
    ("HTTP/1.1 20 OK\r\n\r\n", "status_line"),
    ("HTTP/1.1 099 OK\r\n\r\n", "status_line"),
    ("HTTP/1.1\r\n\r\n", "status_line"),
    ("HTTP/2.0 200 OK\r\n\r\n", "version"),
    ("http/1.1 200 OK\r\n\r\n", "status_line"),
    ("HTTP/1.1 200 OK\ncontent-length: 0\n\n", "bare_line_end"),
    ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "content_length"),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "content_length_conflict",
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "length_and_transfer_encoding",
    ),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "transfer_encoding"),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "transfer_encoding",
    ),
    ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "transfer_encoding_version"),
    ("HTTP/1.1 200 OK\r\nx : 1\r\ncontent-length: 0\r\n\r\n", "space_before_colon"),
    ("HTTP/1.1 200 OK\r\nx: 1\r\n folded\r\ncontent-length: 0\r\n\r\n", "line_folding"),
    ("HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 0\r\n\r\n", "header_name"),
    ("HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n", "header_value"),
    ("HTTP/1.1 200 OK\r\nx: a\rset-cookie: b\r\ncontent-length: 0\r\n\r\n", "bare_line_end"),
    (
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "switching_protocols",
    ),
    ("\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{16}", "status_line"),
];

fn garbage(io: Io) {
    let origin = Origin::start(|conversation| {
        if let Ok(request) = conversation.request() {
            let index: usize = request.get("x-case").unwrap().parse().unwrap();
            conversation.send(GARBAGE[index].0);
            conversation.wait_for_end();
        }
    });
    let mesh = Mesh::to(io, &origin);
    for (index, (bytes, _)) in GARBAGE.iter().enumerate() {
        let mut client = mesh.client();
        let answer = client.exchange(format!(
            "GET / HTTP/1.1\r\nhost: a\r\nx-case: {index}\r\n\r\n"
        ));
        assert_eq!(answer.status(), 502, "{bytes:?}");
    }
    let many = "x: 1\r\n".repeat(200);
    let large = format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n");
    let (_, line) = ask(io, move |conversation| {
        drop(conversation.request());
        conversation.send(&large);
        conversation.wait_for_end();
    });
    assert_eq!(line.verdict(), "502 UPE");
    origin.wait_for_end_of_connections();
    assert_eq!(origin.connections(), GARBAGE.len());
    for ((bytes, rule), line) in GARBAGE.iter().zip(mesh.finish()) {
        assert_eq!(line.verdict(), "502 UPE");
        let why = format!("upstream_reset_before_response_started{{protocol_error|http1.{rule}}}");
        assert_eq!(line.get("response_code_details"), why, "{bytes:?}");
    }
}

/// What has come of an answer is sent on only when none of it is broken.
fn garbage_in_a_body(io: Io) {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n";
    let garbage = "what?\r\n";
    let why = |when| format!("upstream_reset_{when}{{protocol_error|http1.chunk_size}}");
    let (answer, line) = ask(io, move |conversation| {
        drop(conversation.request());
        conversation.send([head, garbage].concat());
        conversation.wait_for_end();
    });
    assert_eq!(answer.unwrap().status(), 502, "{}", line.text);
    assert_eq!(line.verdict(), "502 UPE", "{}", line.text);
    assert_eq!(
        line.get("response_code_details"),
        why("before_response_started")
    );

    let gate = Gate::new();
    let opens = gate.clone();
    let origin = Origin::start(move |conversation| {
        drop(conversation.request());
        conversation.send(head);
        opens.pass();
        conversation.send(garbage);
        conversation.wait_for_end();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.wire.head().unwrap().status(), 200);
    assert_eq!(client.wire.exactly(9).unwrap(), b"4\r\npart\r\n");
    gate.open();
    client.expect_end();
    drop(client);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 UPE", "{}", line.text);
    assert_eq!(
        line.get("response_code_details"),
        why("after_response_started")
    );
}

fn stalled_before_the_answer(io: Io) {
    let outcome = ask(io, |conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    });
    check_refused(outcome, 504, "SI");
}

fn stalled_within_the_answer(io: Io) {
    let outcome = ask(io, |conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\npart");
        conversation.wait_for_end();
    });
    check_cut(outcome, "200 SI", "part");
}

const GIVES_UP: &str = "- timeout: 300ms\n  route: [{destination: {host: origin.test}}]\n";

fn the_route_gives_up_first(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    });
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(GIVES_UP)
        .start();
    let started = Instant::now();
    assert_eq!(mesh.client().get("/").status(), 504);
    assert!(
        (300..5000).contains(&started.elapsed().as_millis()),
        "{:?}",
        started.elapsed()
    );
    origin.wait_for_end_of_connections();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "504 UT");
    assert!(
        (300..5000).contains(&line.number("duration")),
        "{}",
        line.text
    );
}

fn the_route_gives_up_within_the_answer(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        // It never stalls, it only never ends.
        while conversation.send("1\r\nx\r\n") {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(GIVES_UP)
        .start();
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(matches!(client.wire.response("GET"), Err(Broken::Cut(_))));
    drop(client);
    origin.wait_for_end_of_connections();
    assert_eq!(mesh.finish_one().verdict(), "200 UT");
}

fn the_route_gives_up_while_connecting(io: Io) {
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener
        .bind(&std::net::SocketAddr::new(place::address(), 0).into())
        .unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let _filler = std::net::TcpStream::connect(address).unwrap();
    let mesh = Mesh::builder(io)
        .service("origin", &[address])
        .routes(GIVES_UP)
        .start();
    assert_eq!(mesh.client().get("/").status(), 504);
    assert_eq!(mesh.finish_one().verdict(), "504 UT");
}

fn interim_answers_without_end(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        while conversation.send("HTTP/1.1 102 Processing\r\n\r\n") {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(GIVES_UP)
        .start();
    let mut client = mesh.client();
    let answer = client.get("/");
    assert_eq!(answer.status(), 504);
    assert!(!answer.interim.is_empty());
    drop(client);
    origin.wait_for_end_of_connections();
    assert_eq!(mesh.finish_one().verdict(), "504 UT");
}

/// It accepts, and reads not a byte: the request does not fit into what the kernel keeps.
fn an_origin_that_takes_nothing(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::narrow(move |conversation| {
        ready.pass();
        conversation.wait_for_end();
    });
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"300ms\"")
        .limit("head_bytes", "196608")
        .start();
    let field = format!("x: {}\r\n", "v".repeat(190_000));
    let mut client = mesh.client();
    let answer = client.exchange(format!("GET / HTTP/1.1\r\nhost: a\r\n{field}\r\n"));
    assert_eq!(answer.status(), 504);
    drop(client);

    let mut client = mesh.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n");
    client.wire.stream.set_nonblocking(true).unwrap();
    while client.wire.send([0; 10_000]).is_ok() {}
    client.wire.stream.set_nonblocking(false).unwrap();
    let answer = client.wire.response("POST");
    assert!(
        matches!(answer, Ok(ref answer) if answer.status() == 504),
        "{answer:?}"
    );
    drop(client);
    gate.open();
    origin.wait_for_end_of_connections();
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "504 SI");
    }
}
