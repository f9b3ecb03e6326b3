//! The same with HTTP/2 at one end or both (RFC 8441).

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use http::{HeaderMap, HeaderValue};
use ringmain_tests::{
    Io,
    mesh::{Builder, Mesh},
    on_both,
    origin::{Origin, response},
    upgrade::{REQUEST, agreeing, echoing, ping, switch},
    wait, yaml,
};
use tungstenite::{WebSocket, protocol::Role};

use crate::{
    carrying::there_and_back,
    http2::{connect, connect_early, plain_connect, serve},
    websocket,
};

on_both!(
    websocket_from_http2_to_http1,
    websocket_from_http1_to_http2,
    websocket_from_http2_to_http2,
    much_in_every_pair,
    each_direction_ends_by_itself,
    an_upstream_that_takes_none,
    wishes_that_http2_cannot_say,
    an_answer_that_is_no_agreement,
    nothing_goes_before_the_agreement,
    the_client_resets,
    the_server_resets,
    quiet_for_too_long_at_a_gateway,
    who_does_not_read_holds_up_the_sender,
    a_drain_ends_after_its_timeout,
    connect_is_refused,
);

/// What kernel and peers may hold of a stream that nobody reads; the proxy's own share is far less.
const HELD_MAX: usize = 48 << 20;
/// What the proxy's own memory may grow by.
const GROWTH_KIB_MAX: u64 = 4096;

/// Everything goes to an endpoint that speaks HTTP/2.
pub(crate) fn to_http2(io: Io, endpoint: SocketAddr) -> Builder {
    let service = yaml::service("origin", &[endpoint])
        .replace("name: http, protocol: HTTP", "name: http2, protocol: HTTP2")
        .replace("ports: {http:", "ports: {http2:");
    Mesh::builder(io)
        .resource("service-origin", &service)
        .routes(&yaml::all_to("origin.test"))
}

/// A server of HTTP/2 that sends back what comes.
pub(crate) fn echoing_streams() -> SocketAddr {
    serve(true, |mut stream, _| {
        let mut writer = stream.try_clone().unwrap();
        drop(std::io::copy(&mut stream, &mut writer));
        drop(writer.shutdown(Shutdown::Write));
    })
}

fn websocket_server() -> SocketAddr {
    serve(true, |stream, request| {
        assert_eq!(request.headers().get("sec-websocket-key"), None);
        websocket::echo(WebSocket::from_raw_socket(stream, Role::Server, None));
    })
}

fn websocket_client(gateway: SocketAddr) -> WebSocket<UnixStream> {
    let mut fields = HeaderMap::new();
    fields.insert("sec-websocket-version", HeaderValue::from_static("13"));
    let stream = connect(gateway, "websocket", fields);
    assert_eq!(stream.status, 200);
    for name in ["upgrade", "connection", "sec-websocket-accept"] {
        assert_eq!(stream.fields.get(name), None, "{name}");
    }
    WebSocket::from_raw_socket(stream.socket, Role::Client, None)
}

fn converse(mut socket: WebSocket<impl Read + Write>) {
    websocket::ping_pong(&mut socket, 200);
    websocket::megabyte(&mut socket);
    websocket::close(socket);
}

fn websocket_from_http2_to_http1(io: Io) {
    let origin = websocket::echoing();
    let mesh = Mesh::to(io, &origin);
    converse(websocket_client(mesh.gateway));
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 -", "{}", line.text);
    assert_eq!(line.get("protocol"), "HTTP/2");
    assert!(line.number("bytes_sent") > 1 << 20, "{}", line.text);
}

fn websocket_from_http1_to_http2(io: Io) {
    let mesh = to_http2(io, websocket_server()).start();
    let stream = std::net::TcpStream::connect(mesh.gateway).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    // It looks for the `sec-websocket-accept` that is right for its key.
    let (socket, answer) = tungstenite::client("ws://a/chat", stream).unwrap();
    assert_eq!(answer.status(), 101);
    converse(socket);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 -", "{}", line.text);
    assert!(line.number("bytes_received") > 1 << 20, "{}", line.text);
}

fn websocket_from_http2_to_http2(io: Io) {
    let mesh = to_http2(io, websocket_server()).start();
    converse(websocket_client(mesh.gateway));
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

/// Far more than the windows of streams and sockets hold.
fn much_in_every_pair(io: Io) {
    const MUCH: usize = 12 << 20;
    let from_http2 = |gateway: SocketAddr| {
        let mut socket = connect(gateway, "echo", HeaderMap::new()).socket;
        let writer = socket.try_clone().unwrap();
        there_and_back(writer, &mut socket, MUCH);
    };
    let origin = echoing();
    from_http2(Mesh::to(io, &origin).gateway);
    let mesh = to_http2(io, echoing_streams()).start();
    from_http2(mesh.gateway);
    let mut client = mesh.client();
    switch(&mut client);
    let writer = client.wire.stream.try_clone().unwrap();
    there_and_back(writer, &mut client.wire.stream, MUCH);
}

fn each_direction_ends_by_itself(io: Io) {
    let count_all = |mut stream: UnixStream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        write!(stream, "{} bytes", all.len()).unwrap();
    };
    let ask = |gateway| {
        let mut socket = connect(gateway, "echo", HeaderMap::new()).socket;
        socket.write_all(b"all of it").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "9 bytes");
    };
    let mesh = to_http2(io, serve(true, move |stream, _| count_all(stream))).start();
    ask(mesh.gateway);
    let mut client = mesh.client();
    switch(&mut client);
    client.send("all of it");
    client.finish();
    assert_eq!(client.wire.bytes(7).unwrap(), b"9 bytes");
    client.expect_end();
    let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["101 -", "200 -"]);
    let origin = agreeing(|conversation| {
        conversation.wait_for_end();
        let count = conversation.wire.unread().len();
        conversation.send(format!("{count} bytes"));
    });
    let mesh = Mesh::to(io, &origin);
    ask(mesh.gateway);
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

/// It has to say that it does before it is asked.
fn an_upstream_that_takes_none(io: Io) {
    let address = serve(false, |_, _| panic!("nobody may ask"));
    let mesh = to_http2(io, address).start();
    let mut client = mesh.client();
    for _ in 0..2 {
        let answer = client.exchange(REQUEST);
        assert_eq!(answer.status(), 502);
        assert!(answer.text().contains("upgrade_failed"), "{answer:?}");
    }
    assert_eq!(client.get("/").status(), 204, "other requests go on");
    assert_eq!(connect(mesh.gateway, "echo", HeaderMap::new()).status, 502);
    drop(client);
    for line in mesh.finish() {
        let is_plain = line.get("path") == "/";
        let expected = if is_plain { "204 -" } else { "502 UPE" };
        assert_eq!(line.verdict(), expected, "{}", line.text);
    }
}

/// They go on as requests that wish nothing.
fn wishes_that_http2_cannot_say(io: Io) {
    let mesh = to_http2(io, echoing_streams()).start();
    let mut client = mesh.client();
    let post = REQUEST.replace("GET", "POST");
    assert_eq!(client.exchange(post).status(), 204);
    let version = REQUEST.replace("echo", "echo/2");
    assert_eq!(client.exchange(version).status(), 204);
    drop(client);
    assert_eq!(mesh.finish().len(), 2);
}

/// A client of HTTP/2 would take any 2xx for agreement.
fn an_answer_that_is_no_agreement(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.request() {
            let status = request.get("x-status").unwrap();
            conversation.send(response("text").replace("200", status));
        }
    });
    let mesh = Mesh::to(io, &origin);
    for (status, expected) in [("200", 502), ("201", 502), ("302", 302), ("404", 404)] {
        let mut fields = HeaderMap::new();
        fields.insert("x-status", HeaderValue::from_static(status));
        let stream = connect(mesh.gateway, "echo", fields);
        assert_eq!(stream.status, expected, "{status}");
    }
    assert_eq!(mesh.finish().len(), 4);
}

fn nothing_goes_before_the_agreement(io: Io) {
    let (came, coming) = mpsc::channel();
    let origin = Origin::start(move |conversation| {
        conversation.head().unwrap();
        let stream = &conversation.wire.stream;
        let silence = std::time::Duration::from_millis(200);
        stream.set_read_timeout(Some(silence)).unwrap();
        came.send(conversation.wire.fill().is_ok()).unwrap();
        conversation.send(response("no").replace("200", "403"));
        conversation.wait_for_end();
        came.send(!conversation.wire.unread().is_empty()).unwrap();
    });
    let mesh = Mesh::to(io, &origin);
    assert_eq!(connect_early(mesh.gateway, "echo", b"early"), 403);
    assert!(!coming.recv_timeout(wait::PATIENCE).unwrap());
    drop(mesh);
    assert!(!coming.recv_timeout(wait::PATIENCE).unwrap());
}

fn the_client_resets(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let mut stream = connect(mesh.gateway, "echo", HeaderMap::new());
    stream.socket.write_all(b"ping").unwrap();
    stream.socket.read_exact(&mut [0; 4]).unwrap();
    stream.reset();
    origin.wait_for_end_of_connections();
    mesh.wait_until_idle();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 DC");
    assert_eq!(line.number("bytes_received"), 4);
}

fn the_server_resets(io: Io) {
    let origin = agreeing(|conversation| {
        conversation.wire.bytes(4).unwrap();
        conversation.reset();
    });
    let mesh = Mesh::to(io, &origin);
    let mut stream = connect(mesh.gateway, "echo", HeaderMap::new());
    stream.socket.write_all(b"ping").unwrap();
    assert_eq!(stream.socket.read(&mut [0; 4]).unwrap(), 0);
    drop(stream);
    assert_eq!(mesh.finish_one().verdict(), "200 UC");
}

fn quiet_for_too_long_at_a_gateway(io: Io) {
    let mesh = to_http2(io, echoing_streams())
        .limit("stream_idle_timeout", "\"1s\"")
        .start();
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    client.expect_end();
    let mut stream = connect(mesh.gateway, "echo", HeaderMap::new());
    assert_eq!(stream.socket.read(&mut [0; 4]).unwrap(), 0);
    drop((client, stream));
    let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["101 SI", "200 SI"]);
}

/// In every pair with a stream: what is on the way for a client that reads nothing has a bound, and
/// little of it is the proxy's.
fn who_does_not_read_holds_up_the_sender(io: Io) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let flood = move |stream: &mut dyn Write| {
        let chunk = [0; 1 << 14];
        while stream.write_all(&chunk).is_ok() {
            counted.fetch_add(chunk.len(), Ordering::SeqCst);
        }
    };
    let check = |mesh: &Mesh, before: u64| {
        let held = wait_for_standstill(&sent);
        sent.store(0, Ordering::SeqCst);
        assert!(held < HELD_MAX, "{held} bytes for a client that reads none");
        let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
        assert!(
            grown < GROWTH_KIB_MAX,
            "{grown} KiB with {held} bytes on the way"
        );
    };
    let flooding = flood.clone();
    let origin = agreeing(move |conversation| flooding(&mut conversation.wire.stream));
    let mesh = Mesh::to(io, &origin);
    let before = mesh.proxy.process.resident_kib();
    let stream = connect(mesh.gateway, "echo", HeaderMap::new());
    check(&mesh, before);
    drop((stream, mesh));
    let mesh = to_http2(io, serve(true, move |mut stream, _| flood(&mut stream))).start();
    let before = mesh.proxy.process.resident_kib();
    let mut client = mesh.client();
    switch(&mut client);
    check(&mesh, before);
}

/// Waits until a number grows no more. A pause that is mistaken for it hides a mistake and makes
/// none.
fn wait_for_standstill(number: &AtomicUsize) -> usize {
    let (mut last, mut times) = (0, 0);
    wait::until("the sender to be held up", || {
        let now = number.load(Ordering::SeqCst);
        times = if now == last { times + 1 } else { 0 };
        last = now;
        if now > 0 && times >= 60 {
            Ok(now)
        } else {
            Err(now)
        }
    })
}

fn a_drain_ends_after_its_timeout(io: Io) {
    let mut mesh = to_http2(io, echoing_streams())
        .limit("drain_timeout", "\"300ms\"")
        .start();
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    let mut stream = connect(mesh.gateway, "echo", HeaderMap::new());
    assert_eq!(mesh.proxy.process.terminate().code(), Some(0));
    client.expect_end();
    assert_eq!(stream.socket.read(&mut [0; 4]).unwrap(), 0);
    let lines = mesh.proxy.log();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for line in lines {
        let expected = match line.get("protocol") {
            "HTTP/1.1" => "101 -",
            _ => "200 -",
        };
        assert_eq!(line.verdict(), expected);
        assert_eq!(line.get("connection_termination_details"), "drained");
    }
}

fn connect_is_refused(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    assert_eq!(plain_connect(mesh.gateway), 501);
    assert_eq!(origin.connections(), 0);
}
