//! Clients that take their time on purpose, many at once: slowhttptest, which we did not write. The
//! scenarios of `limits` look at each of these ways by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::process::{Command, Stdio};

use ringmain_tests::{
    Io,
    mesh::{Builder, Mesh},
    on_both,
    origin::{Origin, response},
    wait,
};

on_both!(
    slow_heads_are_cut_off,
    slow_bodies_are_cut_off,
    slow_readers_are_cut_off,
);

/// How many at once.
const CONNECTIONS: u64 = 100;

fn builder(io: Io, origin: &Origin) -> Builder {
    Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("request_head_timeout", "\"1500ms\"")
        .limit("stream_idle_timeout", "\"1500ms\"")
}

/// The tool, which attacks in this way and asks all the while whether others are served.
fn attacker(mesh: &Mesh, arguments: &[&str]) -> Command {
    let count = CONNECTIONS.to_string();
    let mut command = Command::new("slowhttptest");
    command
        .args(["-v", "1", "-l", "30", "-p", "5", "-u", &mesh.url("/")])
        .args(["-c", &count, "-r", &count])
        .args(arguments)
        .current_dir(mesh.directory())
        .stdout(Stdio::piped());
    command
}

/// Attacks until the tool says that all its connections were closed.
fn attack(mesh: &Mesh, arguments: &[&str]) {
    let output = attacker(mesh, arguments).output();
    let output = output.expect("slowhttptest is there: tests/run installs it");
    let text = without_colours(&String::from_utf8_lossy(&output.stdout));
    let says = |line: &str| text.contains(line);
    assert!(says("Exit status: No open connections left"), "{text}");
    assert!(!says("service available:   NO"), "{text}");
    assert_nothing_is_left(mesh);
}

fn assert_nothing_is_left(mesh: &Mesh) {
    assert_eq!(mesh.client().get("/after").status(), 200);
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 0);
    mesh.proxy.wait_for_metric("ringmain_buffers_in_use", 0);
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    let behind = |part: &str| {
        let end = part.find(|letter: char| letter.is_ascii_alphabetic());
        end.map_or(String::new(), |end| part[end + 1..].to_owned())
    };
    first + &parts.map(behind).collect::<String>()
}

/// A head that never ends, a field every second.
fn slow_heads_are_cut_off(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = builder(io, &origin).start();
    attack(&mesh, &["-H", "-i", "1"]);
    let lines = mesh.finish();
    let cut = lines.iter().filter(|line| line.verdict() == "408 DPE");
    assert_eq!(cut.count() as u64, CONNECTIONS, "{lines:#?}");
}

/// A body of which nothing comes for longer than it may.
fn slow_bodies_are_cut_off(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = builder(io, &origin).start();
    attack(&mesh, &["-B", "-i", "3", "-s", "8192"]);
    let lines = mesh.finish();
    let cut = lines.iter().filter(|line| line.verdict() == "408 SI");
    assert_eq!(cut.count() as u64, CONNECTIONS, "{lines:#?}");
}

/// Answers of which a few bytes are read every three seconds, through the smallest window. Such a
/// client does not notice that it was cut off before it has read what its kernel holds, so the
/// proxy is asked.
fn slow_readers_are_cut_off(io: Io) {
    let origin = Origin::answering(response(&"x".repeat(2_000_000)));
    let mesh = builder(io, &origin).start();
    let before = mesh.proxy.process.resident_kib();
    let mut attacker = attacker(&mesh, &["-X", "-n", "3", "-w", "1", "-y", "512", "-z", "5"]);
    let mut attacker = attacker.spawn().unwrap();
    wait::until("all of them to come", || {
        match mesh.proxy.metric("ringmain_downstream_connections_total") {
            CONNECTIONS.. => Ok(()),
            count => Err(count.to_string()),
        }
    });
    mesh.proxy
        .wait_for_metric("ringmain_downstream_connections_active", 0);
    let is_over = attacker.try_wait().unwrap();
    attacker.kill().unwrap();
    attacker.wait().unwrap();
    assert!(is_over.is_none(), "the tool has closed them itself");
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
    let most = 16 << 10;
    assert!(
        grown < most,
        "{grown} KiB more after {CONNECTIONS} slow readers"
    );
    assert_eq!(mesh.client().get("/after").body.len(), 2_000_000);
    let lines = mesh.finish();
    let is_cut = |flag: &str| ["DC", "SI"].contains(&flag);
    let cut = lines
        .iter()
        .filter(|line| is_cut(line.get("response_flags")));
    assert!(cut.count() as u64 >= CONNECTIONS, "{lines:#?}");
}
