//! A mesh whose gateway carries TCP, and what its tests do again and again.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use ringmain_tests::{
    Io,
    access_log::Line,
    mesh::{Builder, Mesh},
    origin::{Conversation, Origin},
    place, wait,
};

const HEAD: &str = "apiVersion: networking.istio.io/v1\nkind:";

/// A Gateway with a TCP server at `gateway`.
pub(crate) fn server(gateway: SocketAddr) -> String {
    let (ip, port) = (gateway.ip(), gateway.port());
    format!(
        "{HEAD} Gateway\nmetadata: {{name: bytes}}\nspec:\n  selector: {{app: edge}}\n  servers:\n  \
         - {{port: {{number: {port}, name: tcp, protocol: TCP}}, bind: {ip}, hosts: ['*']}}\n"
    )
}

/// A service `NAME.test` with port 9000 and these endpoints, and `policy` for
/// `connectionPool.tcp`.
pub(crate) fn service(name: &str, endpoints: &[SocketAddr], policy: &str) -> String {
    let mut text = format!(
        "{HEAD} ServiceEntry\nmetadata: {{name: {name}}}\nspec:\n  hosts: [{name}.test]\n  location: \
         MESH_INTERNAL\n  resolution: STATIC\n  ports: [{{number: 9000, name: tcp, protocol: \
         TCP}}]\n  endpoints:\n"
    );
    for endpoint in endpoints {
        let (ip, port) = (endpoint.ip(), endpoint.port());
        writeln!(text, "  - {{address: {ip}, ports: {{tcp: {port}}}}}").unwrap();
    }
    write!(
        text,
        "---\n{HEAD} DestinationRule\nmetadata: {{name: {name}}}\nspec: {{host: {name}.test, \
         trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}, connectionPool: {{tcp: \
         {{{policy}}}}}}}}}\n"
    )
    .unwrap();
    text
}

/// The `tcp` rules of the gateway.
pub(crate) fn rules(tcp: &str) -> String {
    format!(
        "{HEAD} VirtualService\nmetadata: {{name: db}}\nspec:\n  hosts: ['*']\n  gateways: \
         [bytes]\n  tcp: {tcp}\n"
    )
}

/// The rule that sends everything to the service `NAME.test`.
pub(crate) fn all_to(name: &str) -> String {
    rules(&format!(
        "[{{route: [{{destination: {{host: {name}.test}}}}]}}]"
    ))
}

/// A mesh with a TCP server that no rule is for, and where that listens.
pub(crate) fn without_rules(io: Io) -> (Builder, SocketAddr) {
    let builder = Mesh::builder(io);
    let gateway = place::free(builder.gateway().ip());
    (builder.resource("bytes", &server(gateway)), gateway)
}

/// Everything goes to `endpoint`; `policy` is the `connectionPool.tcp` of its service.
pub(crate) fn builder(io: Io, endpoint: SocketAddr, policy: &str) -> (Builder, SocketAddr) {
    let (builder, gateway) = without_rules(io);
    let builder = builder
        .resource("db", &service("db", &[endpoint], policy))
        .resource("rules", &all_to("db"));
    (builder, gateway)
}

/// As [`builder`], started.
pub(crate) fn start(io: Io, origin: &Origin, policy: &str) -> (Mesh, SocketAddr) {
    let (builder, gateway) = builder(io, origin.address(), policy);
    (builder.start(), gateway)
}

/// A client that waits with patience.
pub(crate) fn connect(gateway: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(gateway).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    stream
}

/// Sends back what comes, until its end.
pub(crate) fn echoing() -> Origin {
    Origin::start(echo)
}

/// The script of [`echoing`].
pub(crate) fn echo(conversation: &mut Conversation) {
    let mut chunk = vec![0; 1 << 16];
    while let Ok(count @ 1..) = conversation.wire.stream.read(&mut chunk) {
        if conversation.wire.stream.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
}

/// A byte there and back.
pub(crate) fn ping(client: &mut TcpStream) {
    client.write_all(b"a").unwrap();
    let mut byte = [0];
    client.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"a");
}

/// The client's connection ends without a byte.
pub(crate) fn expect_end(mut client: TcpStream) {
    let mut byte = [0];
    match client.read(&mut byte) {
        Ok(0) => {}
        Ok(_) => panic!("a byte came: {byte:?}"),
        Err(error) => assert!(ringmain_tests::message::is_reset(&error), "{error}"),
    }
}

/// Ends the mesh; what the log says of its connections.
pub(crate) fn finish(mut mesh: Mesh, connections: usize) -> Vec<Line> {
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

/// As [`finish`], of the only connection.
pub(crate) fn finish_one(mesh: Mesh) -> Line {
    finish(mesh, 1).remove(0)
}
