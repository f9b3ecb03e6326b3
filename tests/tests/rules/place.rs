//! What the scenarios have in common: origins that answer by number, and rules as text.

use std::{
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
};

use ringmain_tests::{
    Io,
    mesh::{Builder, Mesh},
    origin::{Origin, response},
    place as places,
    wait::Gate,
};
use socket2::{Domain, Socket, Type};

/// Answers its requests, over all connections, with these statuses one after the other; the last
/// stays. Each answer says its status.
pub(crate) fn statuses(statuses: &'static [u16]) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            let number = count.fetch_add(1, Ordering::SeqCst).min(statuses.len() - 1);
            if !conversation.send(answer(statuses[number], "")) {
                break;
            }
        }
    })
}

/// Receives a request and never answers.
pub(crate) fn silent() -> Origin {
    Origin::start(|conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    })
}

/// Holds its answers until the gate is open.
pub(crate) fn held(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            gate.pass();
            conversation.send(response("hello"));
        }
    })
}

/// A response with its status as its text, and more fields.
pub(crate) fn answer(status: u16, fields: &str) -> String {
    let text = status.to_string();
    let length = text.len();
    format!("HTTP/1.1 {status} Any\r\n{fields}content-length: {length}\r\n\r\n{text}")
}

/// Service `s.test` with these endpoints, taken in turn, and one route to it that has more fields.
pub(crate) fn ruled(io: Io, origins: &[&Origin], fields: &str) -> Builder {
    let endpoints: Vec<_> = origins.iter().map(|origin| origin.address()).collect();
    Mesh::builder(io)
        .service("s", &endpoints)
        .resource(
            "rule",
            &destination_rule("loadBalancer: {simple: ROUND_ROBIN}"),
        )
        .routes(&format!("- name: all\n{}{}", indented(fields), TO_S))
}

/// The DestinationRule of `s.test` with this traffic policy.
pub(crate) fn destination_rule(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: s}}\n\
         spec:\n  host: s.test\n  trafficPolicy: {{{policy}}}\n"
    )
}

/// Of a route: everything goes to `s.test`.
pub(crate) const TO_S: &str = "  route: [{destination: {host: s.test}}]\n";

/// Lines as fields of a route.
pub(crate) fn indented(fields: &str) -> String {
    let lines = fields.lines().filter(|line| !line.is_empty());
    lines.map(|line| format!("  {line}\n")).collect()
}

/// A listening socket whose queue is full answers no handshake.
pub(crate) fn full() -> (Socket, SocketAddr) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let address = SocketAddr::new(places::address(), 0);
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let hole = listener.local_addr().unwrap().as_socket().unwrap();
    drop(TcpStream::connect(hole).unwrap());
    (listener, hole)
}
