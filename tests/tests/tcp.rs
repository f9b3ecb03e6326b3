//! TCP through a gateway: bytes arrive as they were sent, ends and resets are passed on, and every
//! connection is logged once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
};

use rustix::process::Signal;

use ringmain_tests::{
    Io,
    access_log::Line,
    mesh::{Builder, Mesh},
    on_both,
    origin::{Conversation, Origin},
    place, wait,
};

on_both!(
    echo,
    the_server_answers_after_the_clients_end,
    the_server_ends_first,
    much_both_ways_at_once,
    refused,
    no_rule,
    too_many_connections,
    a_reset_is_passed_on,
    quiet_for_too_long,
    a_drain_waits_for_connections,
);

/// A gateway that carries TCP to `endpoint`; `policy` is the `connectionPool.tcp` of its service.
fn builder(io: Io, endpoint: SocketAddr, policy: &str) -> (Builder, SocketAddr) {
    let builder = Mesh::builder(io);
    let http = builder.gateway();
    let gateway = place::free(http.ip());
    let (ip, port) = (gateway.ip(), gateway.port());
    let (to, to_port) = (endpoint.ip(), endpoint.port());
    let head = "apiVersion: networking.istio.io/v1\nkind:";
    let text = format!(
        "{head} Gateway\nmetadata: {{name: bytes}}\nspec:\n  selector: {{app: edge}}\n  servers:\n  \
         - {{port: {{number: {port}, name: tcp, protocol: TCP}}, bind: {ip}, hosts: ['*']}}\n---\n\
         {head} ServiceEntry\nmetadata: {{name: db}}\nspec:\n  hosts: [db.test]\n  location: \
         MESH_INTERNAL\n  resolution: STATIC\n  ports: [{{number: 9000, name: tcp, protocol: TCP}}]\n  \
         endpoints: [{{address: {to}, ports: {{tcp: {to_port}}}}}]\n---\n\
         {head} DestinationRule\nmetadata: {{name: db}}\nspec: {{host: db.test, trafficPolicy: \
         {{connectionPool: {{tcp: {{{policy}}}}}}}}}\n"
    );
    let rules = format!(
        "{head} VirtualService\nmetadata: {{name: db}}\nspec:\n  hosts: ['*']\n  gateways: [bytes]\n  \
         tcp: [{{match: [{{port: {port}}}], route: [{{destination: {{host: db.test}}}}]}}]\n"
    );
    let builder = builder.resource("bytes", &text).resource("rules", &rules);
    (builder, gateway)
}

fn start(io: Io, origin: &Origin, policy: &str) -> (Mesh, SocketAddr) {
    let (builder, gateway) = builder(io, origin.address(), policy);
    (builder.start(), gateway)
}

fn connect(gateway: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(gateway).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    stream
}

/// Sends back what comes, until its end.
fn echoing() -> Origin {
    Origin::start(|conversation: &mut Conversation| {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(count @ 1..) = conversation.wire.stream.read(&mut chunk) {
            if conversation.wire.stream.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
    })
}

/// Ends the mesh; what the log says of its connections.
fn finish(mut mesh: Mesh, connections: usize) -> Vec<Line> {
    mesh.proxy
        .wait_for_metric("ringmain_tcp_connections_active", 0);
    let metrics = mesh.proxy.metrics();
    for name in ["opened", "closed"] {
        let name = format!("istio_tcp_connections_{name}_total");
        assert_eq!(metrics.sum(&name, &[]), connections as u64, "{name}");
    }
    let status = mesh.proxy.process.terminate();
    assert_eq!(status.code(), Some(0), "{}", mesh.proxy.process.error());
    let lines = mesh.proxy.log();
    assert_eq!(lines.len(), connections, "{lines:#?}");
    lines
}

fn finish_one(mesh: Mesh) -> Line {
    finish(mesh, 1).remove(0)
}

fn echo(io: Io) {
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    for size in [1, 100, 5000, 100_000] {
        let sent = vec![size as u8; size];
        let mut received = vec![0; size];
        client.write_all(&sent).unwrap();
        client.read_exact(&mut received).unwrap();
        assert!(sent == received, "{size} bytes");
    }
    drop(client);
    let moved = 105_101;
    mesh.proxy
        .wait_for_metric("istio_tcp_sent_bytes_total", moved);
    mesh.proxy
        .wait_for_metric("istio_tcp_received_bytes_total", moved);
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 -", "{}", line.text);
    assert!(
        line.text.contains("\"- - -\" 0 - - - \"-\""),
        "{}",
        line.text
    );
    assert_eq!(line.number("bytes_received"), moved);
    assert_eq!(line.number("bytes_sent"), moved);
    assert_eq!(line.get("upstream_cluster"), "outbound|9000||db.test");
    assert_eq!(line.get("upstream_host"), origin.address().to_string());
    assert_eq!(line.get("downstream_local_address"), gateway.to_string());
}

fn the_server_answers_after_the_clients_end(io: Io) {
    let origin = Origin::start(|conversation: &mut Conversation| {
        let mut all = Vec::new();
        conversation.wire.stream.read_to_end(&mut all).unwrap();
        conversation.send(format!("{} bytes", all.len()));
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "5 bytes");
    assert_eq!(finish_one(mesh).verdict(), "0 -");
}

fn the_server_ends_first(io: Io) {
    let origin = Origin::start(|conversation: &mut Conversation| {
        conversation.send("banner");
        conversation.wire.stream.shutdown(Shutdown::Write).unwrap();
        conversation.wait_for_end();
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    let mut banner = String::new();
    client.read_to_string(&mut banner).unwrap();
    assert_eq!(banner, "banner");
    client.write_all(b"still heard").unwrap();
    drop(client);
    origin.wait_for_end_of_connections();
    assert_eq!(origin.received(0), b"still heard");
    assert_eq!(finish_one(mesh).verdict(), "0 -");
}

fn much_both_ways_at_once(io: Io) {
    const BYTES: usize = 64 << 20;
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let client = connect(gateway);
    let mut writer = client.try_clone().unwrap();
    let byte = |at: usize| (at % 251) as u8;
    let upload = thread::spawn(move || {
        let pattern: Vec<u8> = (0..251 * 1024).map(byte).collect();
        let mut left = BYTES;
        while left > 0 {
            let part = left.min(pattern.len());
            writer.write_all(&pattern[..part]).unwrap();
            left -= part;
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let (mut reader, mut at) = (client, 0);
    let mut chunk = vec![0; 1 << 18];
    while let count @ 1.. = reader.read(&mut chunk).unwrap() {
        let is_right = chunk[..count].iter().enumerate();
        let mut is_right = is_right.map(|(index, found)| *found == byte(at + index));
        assert!(is_right.all(|right| right), "wrong bytes behind {at}");
        at += count;
    }
    upload.join().unwrap();
    assert_eq!(at, BYTES);
    let line = finish_one(mesh);
    assert_eq!(line.number("bytes_received"), BYTES as u64);
    assert_eq!(line.number("bytes_sent"), BYTES as u64);
}

/// The client's connection ends without a byte.
fn expect_end(mut client: TcpStream) {
    let mut byte = [0];
    assert!(matches!(client.read(&mut byte), Ok(0) | Err(_)));
}

fn refused(io: Io) {
    let nobody = place::free(place::address());
    let (builder, gateway) = builder(io, nobody, "connectTimeout: 5s");
    let mesh = builder.start();
    expect_end(connect(gateway));
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 UF,URX");
    let reason = line.get("upstream_transport_failure_reason");
    assert!(reason.contains("refused"), "{}", line.text);
}

fn no_rule(io: Io) {
    let origin = echoing();
    let (builder, gateway) = builder(io, origin.address(), "connectTimeout: 5s");
    let mesh = builder.resource("rules", "").start();
    expect_end(connect(gateway));
    assert_eq!(finish_one(mesh).verdict(), "0 NR");
    assert_eq!(origin.connections(), 0);
}

fn too_many_connections(io: Io) {
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "maxConnections: 1");
    let mut first = connect(gateway);
    first.write_all(b"a").unwrap();
    first.read_exact(&mut [0]).unwrap();
    expect_end(connect(gateway));
    drop(first);
    mesh.proxy
        .wait_for_metric("ringmain_tcp_connections_active", 0);
    let mut third = connect(gateway);
    third.write_all(b"a").unwrap();
    third.read_exact(&mut [0]).unwrap();
    drop(third);
    let lines = finish(mesh, 3);
    let flags: Vec<_> = lines
        .iter()
        .map(|line| line.get("response_flags"))
        .collect();
    assert_eq!(flags, ["UO", "-", "-"]);
}

fn a_reset_is_passed_on(io: Io) {
    let origin = Origin::start(|conversation: &mut Conversation| {
        conversation.wire.stream.read_exact(&mut [0]).unwrap();
        conversation.reset();
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    client.write_all(b"a").unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(finish_one(mesh).verdict(), "0 UC");
}

fn quiet_for_too_long(io: Io) {
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "idleTimeout: 1s");
    expect_end(connect(gateway));
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 -");
    let why = line.get("connection_termination_details");
    assert_eq!(why, "tcp_session_idle_timeout");
}

fn a_drain_waits_for_connections(io: Io) {
    let origin = echoing();
    let (mut mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0]).unwrap();
    mesh.proxy.process.signal(Signal::TERM);
    wait::until(
        "the gateway to accept no more",
        || match TcpStream::connect(gateway) {
            Ok(_) => Err("it accepts".to_owned()),
            Err(_) => Ok(()),
        },
    );
    client.write_all(b"b").unwrap();
    client.read_exact(&mut [0]).unwrap();
    drop(client);
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
}
