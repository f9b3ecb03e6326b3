//! Starts that fail and ends that lose nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use ringmain_tests::{
    Io,
    binary::run,
    load::Load,
    mesh::Mesh,
    message::{Broken, Wire},
    on_both,
    origin::{Origin, response},
    place,
    process::Process,
    wait::{self, Gate},
};
use rustix::process::Signal;

on_both!(
    a_drain_under_load_loses_nothing,
    a_drain_waits_for_a_request,
    a_drain_says_close_to_the_next_request,
    a_drain_does_not_wait_for_idle_connections,
    a_drain_ends_after_its_timeout,
    a_second_signal_ends_at_once,
    interrupt_drains,
    quit_drains,
    an_early_client_is_served,
    out_of_descriptors,
    several_workers_share_the_load,
    what_only_a_start_needs_does_not_stay,
);

fn a_drain_under_load_loses_nothing(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .tune("workers", "count", "2")
        .start();
    let load = Load::start(mesh.gateway, 8, "/", |answer| answer.text() == "ok");
    load.wait_for(500);
    let status = mesh.proxy.process.terminate();
    let report = load.join();
    assert_eq!(status.code(), Some(0));
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.refused, 8, "{report:?}");
    assert_eq!(mesh.proxy.log().len() as u64, report.answered);
}

/// An origin that answers when the gate is open.
fn gated() -> (Origin, Gate) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("late"));
        }
    });
    (origin, gate)
}

fn a_drain_waits_for_a_request(io: Io) {
    let (origin, gate) = gated();
    let mut mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    mesh.proxy.process.signal(Signal::TERM);
    mesh.proxy.process.wait_for("draining");
    wait::until("the listener to be closed", || {
        match TcpStream::connect(mesh.gateway) {
            Ok(_) => Err("it accepts"),
            Err(_) => Ok(()),
        }
    });
    assert_eq!(mesh.proxy.ask("GET", "/ready").status(), 503);
    assert_eq!(mesh.proxy.info()["state"], "DRAINING");
    gate.open();
    let answer = client.response("GET");
    assert_eq!(answer.text(), "late");
    assert!(answer.closes());
    client.expect_end();
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
    assert_eq!(mesh.proxy.log()[0].verdict(), "200 -");
}

/// The answer had begun when the drain began, so its head promised a connection that stays open:
/// the next request on it is answered.
fn a_drain_says_close_to_the_next_request(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst");
            ready.pass();
            conversation.send(", all");
        }
    });
    let mut mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    while !client.wire.unread().ends_with(b"first") {
        assert!(client.wire.fill().unwrap());
    }
    mesh.proxy.process.signal(Signal::TERM);
    mesh.proxy.process.wait_for("draining");
    // Until the worker has heard of it.
    wait::until("the listener to be closed", || {
        match TcpStream::connect(mesh.gateway) {
            Ok(_) => Err("it accepts"),
            Err(_) => Ok(()),
        }
    });
    gate.open();
    let answer = client.response("GET");
    assert!(!answer.closes());
    let answer = client.get("/again");
    assert!(answer.closes());
    client.expect_end();
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
    assert_eq!(mesh.proxy.log().len(), 2);
}

fn a_drain_does_not_wait_for_idle_connections(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::to(io, &origin);
    let (mut idle, mut silent, mut partial) = (mesh.client(), mesh.client(), mesh.client());
    idle.get("/");
    partial.send("GET / HTTP/1.1\r\nho");
    silent.expect_silence(Duration::from_millis(100));
    let started = Instant::now();
    assert_eq!(mesh.proxy.process.terminate().code(), Some(0));
    // A head that has begun may take its 10 s.
    assert!(
        started.elapsed() < Duration::from_secs(14),
        "{:?}",
        started.elapsed()
    );
    idle.expect_end();
    silent.expect_end();
}

fn a_drain_ends_after_its_timeout(io: Io) {
    let (origin, gate) = gated();
    let mut mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("drain_timeout", "\"300ms\"")
        .start();
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    let started = Instant::now();
    assert_eq!(mesh.proxy.process.terminate().code(), Some(0));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(matches!(client.wire.response("GET"), Err(Broken::Closed)));
    assert!(
        mesh.proxy.process.error().contains("drain_timeout"),
        "{}",
        mesh.proxy.process.error()
    );
    let lines = mesh.proxy.log();
    assert_eq!(
        lines.len(),
        1,
        "a request that is cut is logged like any other"
    );
    gate.open();
}

fn a_second_signal_ends_at_once(io: Io) {
    let (origin, gate) = gated();
    let mut mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    mesh.proxy.process.signal(Signal::TERM);
    mesh.proxy.process.wait_for("draining");
    let started = Instant::now();
    mesh.proxy.process.terminate();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    gate.open();
}

fn interrupt_drains(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::to(io, &origin);
    mesh.client().get("/");
    mesh.proxy.process.signal(Signal::INT);
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
    assert_eq!(mesh.proxy.log().len(), 1);
}

fn quit_drains(io: Io) {
    let (origin, gate) = gated();
    let mut mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    assert_eq!(mesh.proxy.ask("POST", "/quitquitquit").status(), 200);
    mesh.proxy.process.wait_for("draining");
    gate.open();
    assert_eq!(client.response("GET").text(), "late");
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
}

/// From the moment the proxy says that it listens.
fn an_early_client_is_served(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::to(io, &origin);
    mesh.proxy.process.kill();
    mesh.proxy.restart();
    // The kernel may keep the killed process's sockets for a moment.
    let answer = wait::until("an answer", || {
        let stream = TcpStream::connect(mesh.gateway).map_err(|error| error.to_string())?;
        let mut wire = Wire::new(stream);
        let sent = wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        sent.map_err(|error| error.to_string())?;
        wire.response("GET").map_err(|broken| broken.to_string())
    });
    assert_eq!(answer.text(), "ok");
    mesh.proxy.wait_until_ready();
}

/// No descriptor is left for another connection: those that are open go on, the others wait.
fn out_of_descriptors(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::to(io, &origin);
    assert!(mesh.proxy.process.terminate().success());
    let config = mesh.proxy.config.to_str().unwrap().to_owned();
    let binary = ringmain_tests::binary::ringmain().to_str().unwrap();
    mesh.proxy.process = Process::start(
        "prlimit",
        ["--nofile=64:64", binary, "proxy", "--config", &config],
    );
    mesh.proxy.wait_until_ready();
    let mut first = mesh.client();
    assert_eq!(first.get("/").text(), "ok");
    let mut clients: Vec<_> = (0..100).map(|_| mesh.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    mesh.proxy.process.wait_for("cannot accept");
    // Each has its turn once others are gone; without a descriptor there is no upstream for it.
    for mut client in clients {
        let answer = client.response("GET");
        assert!([200, 503].contains(&answer.status()), "{answer:?}");
    }
    assert_eq!(first.get("/").text(), "ok");
    drop(first);
    assert_eq!(mesh.proxy.ask("GET", "/ready").status(), 200);
}

fn several_workers_share_the_load(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .tune("workers", "count", "3")
        .start();
    let mut clients: Vec<_> = (0..30).map(|_| mesh.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").text(), "ok");
    }
    let metrics = mesh.proxy.metrics();
    let active = metrics.named("ringmain_downstream_connections_active");
    let active: Vec<_> = active.iter().map(|sample| sample.value as u64).collect();
    assert_eq!(active.iter().sum::<u64>(), 30);
    assert!(
        active.iter().all(|count| (8..=12).contains(count)),
        "{active:?}"
    );
    drop(clients);
    assert_eq!(mesh.finish().len(), 30);
}

/// `ringmain proxy` with this tuning file: it ends with this code, and its one line of error
/// contains all of these.
fn check_refused(text: &str, expected: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ringmain.toml");
    std::fs::write(&file, text).unwrap();
    let (code, out, error) = run(["proxy", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 1, "{text:?}: {out}\n{error}");
    // What the program logs before is not the error.
    let lines: Vec<_> = error
        .lines()
        .filter(|line| !line.contains(" INFO "))
        .collect();
    assert_eq!(lines.len(), 1, "{error}");
    for part in expected {
        assert!(lines[0].contains(part), "{part:?} is not in {error}");
    }
}

#[test]
fn bad_tuning_files() {
    let alone = "[control]\nsocket = \"\"\nsnapshot = \"/nonexistent/snapshot\"\n";
    check_refused(
        "[limits]\nhead_byts = 1",
        &["ringmain.toml:2:1", "head_byts", "head_bytes"],
    );
    check_refused("[limitz]\n", &["limitz", "limits"]);
    check_refused(
        "[limits]\nheaders = \"many\"",
        &["ringmain.toml:2:11", "limits.headers", "integer"],
    );
    check_refused("[limits]\nheaders = 0", &["limits.headers", "1 to"]);
    check_refused("[workers]\nio = \"kqueue\"", &["workers.io", "epoll"]);
    check_refused("[workers\n", &["ringmain.toml:1:"]);
    check_refused(
        "[admin]\nlisten = \"localhost\"",
        &["admin.listen", "127.0.0.1:15000"],
    );
    check_refused("[admin]\nlisten = \"0.0.0.0:15000\"", &["allow_remote"]);
    let taken = TcpListener::bind((place::address(), 0)).unwrap();
    let address = taken.local_addr().unwrap();
    check_refused(
        &format!("{alone}[admin]\nlisten = \"{address}\""),
        &[&address.to_string(), "in use", "[admin] listen"],
    );
    check_refused(
        &format!(
            "{alone}[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = \"/nonexistent/dir/log\""
        ),
        &["/nonexistent/dir/log", "No such file"],
    );
    let (code, _, error) = run(["proxy", "--config", "/nonexistent.toml"]);
    assert_eq!((code, error.lines().count()), (1, 1), "{error}");
    assert!(error.contains("/nonexistent.toml"), "{error}");
}

#[test]
fn a_control_plane_that_cannot_listen() {
    let directory = tempfile::tempdir().unwrap();
    let resources = directory.path().to_str().unwrap();
    let check = |socket: &str, expected: &[&str]| {
        let (code, _, error) = run(["control", "--resources", resources, "--socket", socket]);
        let lines: Vec<_> = error
            .lines()
            .filter(|line| !line.contains(" INFO "))
            .collect();
        assert_eq!((code, lines.len()), (1, 1), "{error}");
        for part in expected {
            assert!(lines[0].contains(part), "{part:?} is not in {error}");
        }
    };
    check(
        "/nonexistent/dir/control.sock",
        &["/nonexistent/dir", "install -d"],
    );
    check(&format!("{resources}/{}", "x".repeat(120)), &["long"]);
    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    check(file.to_str().unwrap(), &["no socket"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
    let (code, _, error) = run([
        "control",
        "--resources",
        "/nonexistent",
        "--socket",
        "/tmp/x.sock",
    ]);
    assert_eq!((code, error.lines().count()), (1, 1), "{error}");
    assert!(error.contains("/nonexistent"), "{error}");
}

#[test]
fn a_second_control_plane_on_the_same_socket() {
    let mesh = Mesh::builder(Io::Epoll).start();
    let (socket, resources) = (mesh.socket(), mesh.directory().join("mesh"));
    let arguments = [
        "control".as_ref(),
        "--resources".as_ref(),
        resources.as_os_str(),
        "--socket".as_ref(),
        socket.as_os_str(),
    ];
    let (code, _, error) = run(arguments);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains(socket.to_str().unwrap()), "{error}");
    assert_eq!(
        mesh.proxy.info()["control_plane"]["connection"]["state"],
        "connected"
    );
}

fn what_only_a_start_needs_does_not_stay(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .start();
    wait::until("the code of the start to be unmapped", || {
        let most = mesh.proxy.process.memory_kib("VmHWM");
        match mesh.proxy.process.memory_kib("VmRSS") {
            kib if kib < most / 3 * 2 => Ok(()),
            kib => Err(format!("{kib} of {most} KiB")),
        }
    });
    assert_eq!(mesh.client().get("/").text(), "ok");
}
