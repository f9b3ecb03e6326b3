//! gRPC as its own library speaks it, through the built binary.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod sidecars;

use std::net::{IpAddr, SocketAddr};

use ringmain_tests::{
    Io,
    access_log::Line,
    mesh::{Builder, Mesh},
    on_both, place,
    process::Process,
    python, yaml,
};

on_both!(
    calls_of_all_kinds,
    errors_of_the_server,
    cancels_and_deadlines,
    a_cancel_before_an_answer,
    out_of_time,
    a_server_that_is_gone,
    no_route,
    a_server_that_dies_within_its_answer,
);

/// Calls that the case `unary` makes.
const UNARY: u64 = 3;

/// A server, and where it listens.
fn serve(address: IpAddr) -> (Process, SocketAddr) {
    let mut server = python::start("grpc/server.py", &[&address.to_string()]);
    let line = server.wait_for("listening");
    let port = line.rsplit(' ').next().unwrap().parse().unwrap();
    (server, SocketAddr::new(address, port))
}

/// A mesh that says `grpc` of the server's port.
fn mesh(io: Io, server: SocketAddr) -> Mesh {
    let routes = yaml::all_to("peer.test");
    builder(io, server).routes(&routes).start()
}

/// The same without routes.
fn builder(io: Io, server: SocketAddr) -> Builder {
    let service = yaml::service("peer", &[server]);
    let service = service.replace("name: http, protocol: HTTP}", "name: http, protocol: GRPC}");
    Mesh::builder(io).resource("service-peer", &service)
}

fn call(mesh: &Mesh, cases: &[&str]) -> Process {
    call_at(&mesh.gateway.to_string(), cases)
}

/// Runs these cases against what `client.py` takes for a target.
fn call_at(target: &str, cases: &[&str]) -> Process {
    python::start("grpc/client.py", &[&[target], cases].concat())
}

/// Runs these cases to their end; the access log.
fn run(io: Io, cases: &[&str]) -> Vec<Line> {
    let (_server, address) = serve(place::address());
    let mesh = mesh(io, address);
    let mut client = call(&mesh, cases);
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    mesh.finish()
}

fn calls_of_all_kinds(io: Io) {
    let cases = [
        "unary",
        "big",
        "metadata",
        "client_stream",
        "server_stream",
        "interleaved",
        "many",
    ];
    let lines = run(io, &cases);
    assert_eq!(lines.len(), 3 + 1 + 1 + 2 + 2 + 1 + 300);
    for line in lines {
        assert_eq!(line.verdict(), "200 -", "{}", line.text);
        assert_eq!(line.get("protocol"), "HTTP/2");
    }
}

/// In an answer without a body, and in trailers behind one.
fn errors_of_the_server(io: Io) {
    let (_server, address) = serve(place::address());
    let mesh = mesh(io, address);
    let mut client = call(&mesh, &["errors", "unary"]);
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    mesh.proxy.wait_for_metric("ringmain_requests_active", 0);
    let metrics = mesh.proxy.metrics();
    for name in [
        "istio_requests_total",
        "istio_request_duration_milliseconds_count",
        "istio_request_bytes_count",
        "istio_response_bytes_count",
    ] {
        for (code, count) in [("3", 1), ("15", 1), ("12", 1), ("0", UNARY)] {
            let labels = [("request_protocol", "grpc"), ("grpc_response_status", code)];
            assert_eq!(metrics.sum(name, &labels), count, "{name} of {code}");
        }
        assert_eq!(metrics.sum(name, &[("request_protocol", "http")]), 0);
    }
    let lines = mesh.finish();
    let verdicts: Vec<_> = lines.iter().map(Line::verdict).collect();
    assert_eq!(verdicts, ["200 -"; 3 + UNARY as usize]);
}

fn cancels_and_deadlines(io: Io) {
    let lines = run(io, &["cancel", "deadline", "unary"]);
    assert_eq!(lines.len(), 7);
    for line in lines {
        let expected = match line.get("path") {
            // Cancelled within its answer.
            "/test.Peer/Hang" => "200 DC",
            _ => "200 -",
        };
        assert_eq!(line.verdict(), expected, "{}", line.text);
    }
}

fn a_cancel_before_an_answer(io: Io) {
    for line in run(io, &["cancel_before_an_answer"]) {
        let expected = match line.get("path") {
            "/test.Peer/Sleep" => "0 DC",
            _ => "200 -",
        };
        assert_eq!(line.verdict(), expected, "{}", line.text);
    }
}

/// The time is over for the proxy alone: neither the client nor the server has one that is so
/// short.
fn out_of_time(io: Io) {
    let (_server, address) = serve(place::address());
    let routes = format!("{}  timeout: 200ms\n", yaml::all_to("peer.test"));
    let mesh = builder(io, address).routes(&routes).start();
    let mut client = call(&mesh, &["out_of_time"]);
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 UT", "{}", line.text);
}

fn a_server_that_is_gone(io: Io) {
    let nobody = place::free(place::address());
    let mesh = mesh(io, nobody);
    let mut client = call(&mesh, &["gone"]);
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    mesh.finish_one();
}

/// Local answers are answers of gRPC to whoever speaks it.
fn no_route(io: Io) {
    let mesh = Mesh::builder(io)
        .routes("- match: [{uri: {prefix: /other}}]\n  directResponse: {status: 200}\n")
        .start();
    let mut client = call(&mesh, &["no_route"]);
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    let line = mesh.finish_one();
    assert_eq!(line.get("response_flags"), "NR", "{}", line.text);
}

fn a_server_that_dies_within_its_answer(io: Io) {
    let (mut server, address) = serve(place::address());
    let mesh = mesh(io, address);
    let mut client = call(&mesh, &["cut"]);
    client.wait_for("begun");
    server.kill();
    let status = client.wait();
    assert!(status.success(), "{}\n{}", client.out(), client.error());
    assert_eq!(mesh.finish_one().verdict(), "200 UC");
}
