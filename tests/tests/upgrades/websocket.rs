//! WebSocket (RFC 6455) with the tungstenite crate at both ends.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use ringmain_tests::{Io, mesh::Mesh, on_both, origin::Origin, wait};
use tungstenite::{Bytes, Error, Message, WebSocket};

on_both!(
    a_thousand_messages,
    a_message_of_a_megabyte,
    subprotocols_and_other_fields,
);

/// A WebSocket server that sends every message back.
pub(crate) fn echoing() -> Origin {
    Origin::start(|conversation| {
        let stream = conversation.wire.stream.try_clone().unwrap();
        if let Ok(socket) = tungstenite::accept(stream) {
            echo(socket);
        }
    })
}

/// Sends back what comes until the client says goodbye.
pub(crate) fn echo(mut socket: WebSocket<impl Read + Write>) {
    loop {
        match socket.read() {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                if socket.send(message).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

fn connect(gateway: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(gateway).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let (socket, answer) = tungstenite::client("ws://a/chat", stream).unwrap();
    assert_eq!(answer.status(), 101);
    socket
}

/// Messages there and back.
pub(crate) fn ping_pong(socket: &mut WebSocket<impl Read + Write>, count: usize) {
    for number in 0..count {
        let message = Message::text(format!("message {number}"));
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
}

/// A long message there and back.
pub(crate) fn megabyte(socket: &mut WebSocket<impl Read + Write>) {
    let bytes: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    let message = Message::Binary(Bytes::from(bytes));
    socket.send(message.clone()).unwrap();
    assert!(socket.read().unwrap() == message, "another message");
}

/// Says goodbye, and is answered.
pub(crate) fn close(mut socket: WebSocket<impl Read + Write>) {
    socket.close(None).unwrap();
    let end = loop {
        match socket.read() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(end, Error::ConnectionClosed), "{end:?}");
}

fn a_thousand_messages(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let mut socket = connect(mesh.gateway);
    ping_pong(&mut socket, 1000);
    assert_eq!(mesh.proxy.metric("ringmain_requests_active"), 1);
    assert_eq!(mesh.proxy.metric("istio_requests_total"), 0);
    close(socket);
    mesh.wait_until_idle();
    let labels = [("response_code", "101"), ("response_flags", "-")];
    let metrics = mesh.proxy.metrics();
    assert_eq!(metrics.sum("istio_requests_total", &labels), 1);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 -", "{}", line.text);
    assert_eq!(line.get("response_code_details"), "via_upstream");
    // Frames of clients have four bytes more than those of servers, all but the last ones here.
    let (received, sent) = (line.number("bytes_received"), line.number("bytes_sent"));
    assert!(sent > 11_000 && received > sent + 3_900, "{}", line.text);
}

fn a_message_of_a_megabyte(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let mut socket = connect(mesh.gateway);
    for _ in 0..8 {
        megabyte(&mut socket);
    }
    close(socket);
    assert_eq!(mesh.finish_one().verdict(), "101 -");
}

fn subprotocols_and_other_fields(io: Io) {
    let origin = Origin::start(|conversation| {
        let request = conversation.head().unwrap();
        assert_eq!(request.get("sec-websocket-protocol"), Some("a, b"));
        conversation.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
             sec-websocket-protocol: b\r\nset-cookie: c=d\r\nkeep-alive: 5\r\n\r\n",
        );
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: abc\r\nSec-WebSocket-Protocol: a, b\r\nkeep-alive: 5\r\n\
         proxy-connection: x\r\n\r\n",
    );
    let answer = client.wire.head().unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.fields.all("connection"), ["upgrade"]);
    assert_eq!(answer.fields.all("upgrade"), ["WebSocket"]);
    assert_eq!(answer.get("sec-websocket-protocol"), Some("b"));
    assert_eq!(answer.get("set-cookie"), Some("c=d"));
    assert_eq!(answer.get("keep-alive"), None);
    let request = origin.request();
    assert_eq!(request.fields.all("connection"), ["upgrade"]);
    assert_eq!(request.fields.all("upgrade"), ["websocket"]);
    assert_eq!(request.get("sec-websocket-key"), Some("abc"));
    for name in ["keep-alive", "proxy-connection", "content-length", "te"] {
        assert_eq!(request.get(name), None, "{name}");
    }
    client.expect_end();
}
