//! How connections end that do not end by themselves, and what the log says of it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Instant,
};

use ringmain_tests::{Io, on_both, place, wait};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::gateway::{
    all_to, builder, connect, echoing, expect_end, finish, finish_one, ping, service, start,
    without_rules,
};

on_both!(
    refused,
    never_connected,
    one_try_each,
    no_rule,
    no_endpoint,
    too_many_connections,
    the_limit_holds_for_all_workers,
    quiet_for_too_long,
    open_for_too_long,
    a_drain_waits_for_connections,
    a_drain_ends_after_its_timeout,
);

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

/// A listening socket whose queue is full answers no handshake.
fn never_connected(io: Io) {
    let hole = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    hole.bind(&std::net::SocketAddr::new(place::address(), 0).into())
        .unwrap();
    hole.listen(0).unwrap();
    let address = hole.local_addr().unwrap().as_socket().unwrap();
    let _filler = TcpStream::connect(address).unwrap();
    let (builder, gateway) = builder(io, address, "connectTimeout: 300ms");
    let mesh = builder.start();
    let started = Instant::now();
    expect_end(connect(gateway));
    let waited = started.elapsed();
    assert!((300..10_000).contains(&waited.as_millis()), "{waited:?}");
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 UF,URX");
    assert_eq!(line.get("upstream_host"), address.to_string());
    let reason = line.get("upstream_transport_failure_reason");
    assert!(reason.contains("timed out"), "{}", line.text);
}

/// Another endpoint is not tried for the same connection, and has its turn with the next one.
fn one_try_each(io: Io) {
    let origin = echoing();
    let nobody = place::free(place::address());
    let (builder, gateway) = without_rules(io);
    let endpoints = [nobody, origin.address()];
    let mesh = builder
        .resource("db", &service("db", &endpoints, "connectTimeout: 5s"))
        .resource("rules", &all_to("db"))
        .start();
    let mut carried = 0;
    for _ in 0..6 {
        let before = origin.connections();
        let client = connect(gateway);
        client.shutdown(std::net::Shutdown::Write).unwrap();
        expect_end(client);
        carried += origin.connections() - before;
    }
    assert_eq!(carried, 3);
    let lines = finish(mesh, 6);
    let failed = lines.iter().filter(|line| line.verdict() == "0 UF,URX");
    assert_eq!(failed.count(), 3, "{lines:#?}");
}

fn no_rule(io: Io) {
    let (builder, gateway) = without_rules(io);
    let mesh = builder.start();
    expect_end(connect(gateway));
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 NR");
    assert_eq!(line.get("response_code_details"), "filter_chain_not_found");
    assert_eq!(line.get("upstream_cluster"), "-");
}

fn no_endpoint(io: Io) {
    let empty = "apiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec:\n  selector: {app: \
                 empty}\n  ports: [{name: tcp, port: 9000}]\n";
    let rules = all_to("empty").replace("empty.test", "empty");
    let (builder, gateway) = without_rules(io);
    let mesh = builder
        .resource("db", empty)
        .resource("rules", &rules)
        .start();
    expect_end(connect(gateway));
    let metrics = mesh.proxy.metrics();
    let labels = [
        ("response_flags", "UH"),
        ("reporter", "source"),
        ("destination_service_name", "empty"),
        ("destination_workload", "unknown"),
    ];
    let opened = metrics.sum("istio_tcp_connections_opened_total", &labels);
    assert_eq!(opened, 1, "{metrics:#?}");
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 UH");
    let cluster = "outbound|9000||empty.default.svc.cluster.local";
    assert_eq!(line.get("upstream_cluster"), cluster);
    assert_eq!(line.get("upstream_host"), "-");
}

fn too_many_connections(io: Io) {
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "maxConnections: 1");
    let mut first = connect(gateway);
    ping(&mut first);
    expect_end(connect(gateway));
    drop(first);
    mesh.proxy
        .wait_for_metric("ringmain_tcp_connections_active", 0);
    let mut third = connect(gateway);
    ping(&mut third);
    drop(third);
    let lines = finish(mesh, 3);
    let flags: Vec<_> = lines
        .iter()
        .map(|line| line.get("response_flags"))
        .collect();
    assert_eq!(flags, ["UO", "-", "-"]);
}

fn the_limit_holds_for_all_workers(io: Io) {
    let origin = echoing();
    let (builder, gateway) = builder(io, origin.address(), "maxConnections: 5");
    let mesh = builder.tune("workers", "count", "2").start();
    let mut first: Vec<_> = (0..5).map(|_| connect(gateway)).collect();
    first.iter_mut().for_each(ping);
    for _ in 0..5 {
        expect_end(connect(gateway));
    }
    first.iter_mut().for_each(ping);
    drop(first);
    let lines = finish(mesh, 10);
    let refused = lines.iter().filter(|line| line.verdict() == "0 UO");
    assert_eq!(refused.count(), 5, "{lines:#?}");
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

/// Its age counts, whatever moves on it.
fn open_for_too_long(io: Io) {
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "maxConnectionDuration: 1s");
    let (mut busy, quiet) = (connect(gateway), connect(gateway));
    ping(&mut busy);
    let started = Instant::now();
    let mut byte = [0];
    while started.elapsed() < wait::PATIENCE {
        if busy.write_all(b"a").is_err() || !matches!(busy.read(&mut byte), Ok(1)) {
            break;
        }
    }
    assert!(started.elapsed() < wait::PATIENCE, "it is carried for ever");
    expect_end(quiet);
    drop(busy);
    for line in finish(mesh, 2) {
        assert_eq!(line.verdict(), "0 DT", "{}", line.text);
        let why = line.get("connection_termination_details");
        assert_eq!(why, "max_connection_duration_reached");
        assert!(line.number("duration") >= 1000, "{}", line.text);
    }
}

fn a_drain_waits_for_connections(io: Io) {
    let origin = echoing();
    let (mut mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    ping(&mut client);
    mesh.proxy.process.signal(Signal::TERM);
    wait::until(
        "the gateway to accept no more",
        || match TcpStream::connect(gateway) {
            Ok(_) => Err("it accepts".to_owned()),
            Err(_) => Ok(()),
        },
    );
    ping(&mut client);
    drop(client);
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
}

fn a_drain_ends_after_its_timeout(io: Io) {
    let origin = echoing();
    let (builder, gateway) = builder(io, origin.address(), "connectTimeout: 5s");
    let mut mesh = builder.limit("drain_timeout", "\"300ms\"").start();
    let mut client = connect(gateway);
    ping(&mut client);
    assert_eq!(mesh.proxy.process.terminate().code(), Some(0));
    expect_end(client);
    origin.wait_for_end_of_connections();
    let lines = mesh.proxy.log();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0].verdict(), "0 -");
    let why = lines[0].get("connection_termination_details");
    assert_eq!(why, "drained");
    assert_eq!(lines[0].number("bytes_sent"), 1);
}
