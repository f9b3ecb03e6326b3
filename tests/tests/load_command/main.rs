//! `ringmain load` against servers that are not ours: what it prints and exits with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod ending;
mod files;
mod honesty;
mod objectives;
mod pace;
mod peer;
mod protocols;
mod requests;

use std::{
    net::{SocketAddr, TcpListener},
    process::Command,
};

use ringmain_tests::{Io, binary, nginx::Nginx, on_both, origin::Origin, wait};
use serde_json::Value;

on_both!(a_number_of_requests, an_open_loop, a_request_as_asked);

/// A server with two files.
fn nginx() -> Nginx {
    let nginx = Nginx::start("");
    std::fs::write(nginx.file("hello"), "hello, world\n").unwrap();
    std::fs::write(nginx.file("bye"), "bye\n").unwrap();
    nginx
}

fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

/// Waits until at least so many requests have come: more may come at any time.
fn wait_for(origin: &Origin, requests: usize) {
    wait::until(format!("{requests} requests"), || {
        match origin.requests().len() {
            count if count < requests => Err(count),
            _ => Ok(()),
        }
    });
}

/// Exit code, standard output and standard error of `ringmain load`.
fn load(arguments: &[&str]) -> (i32, String, String) {
    binary::run(["load"].iter().chain(arguments))
}

/// As [`load`] with JSON, which must be all of the output.
fn measure(expected_code: i32, arguments: &[&str]) -> (Value, String) {
    let mut all = vec!["-o", "json"];
    all.extend(arguments);
    let (code, out, error) = load(&all);
    assert_eq!(code, expected_code, "{out}{error}");
    (serde_json::from_str(&out).unwrap(), error)
}

fn a_number_of_requests(io: Io) {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let arguments = [&hello, "-n", "200", "-c", "4", "--io", io.name()];
    let (result, error) = measure(0, &arguments);
    assert_eq!(error, "");
    assert_eq!(result["requests"], 200);
    assert_eq!(result["answered"], 200);
    assert_eq!(result["failed"], 0);
    assert_eq!(result["errors"], serde_json::json!({}));
    assert_eq!(result["status"], serde_json::json!({ "200": 200 }));
    assert_eq!(result["mode"], "closed");
    assert_eq!(result["latency_from"], "send_time");
    assert_eq!(result["intended_rate"], Value::Null);
    assert_eq!(result["connections"], 4);
    assert_eq!(result["interrupted"], false);
    // Each answer has its head and the file.
    assert!(result["bytes_in"].as_u64().unwrap() > 200 * 13, "{result}");
    assert!(result["bytes_out"].as_u64().unwrap() > 200 * 20, "{result}");
    let names = ["min", "p50", "p75", "p90", "p99", "p999", "p9999", "max"];
    let latencies = names.map(|name| result["latency_us"][name].as_u64().unwrap());
    assert!(latencies.is_sorted() && latencies[0] > 0, "{latencies:?}");
    assert!(result["rate"].as_f64().unwrap() > 0.0, "{result}");
}

fn an_open_loop(io: Io) {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let arguments = [
        &hello,
        "--rate",
        "200",
        "-d",
        "1s",
        "--warmup",
        "200ms",
        "--io",
        io.name(),
    ];
    let (result, error) = measure(0, &arguments);
    assert_eq!(error, "");
    assert_eq!(result["requests"], 200);
    assert_eq!(result["mode"], "open");
    assert_eq!(result["latency_from"], "intended_send_time");
    assert_eq!(result["arrivals"], "constant");
    assert_eq!(result["intended_rate"], 200.0);
    assert_eq!(result["duration_s"], 1.0);
    assert_eq!(result["warmup_s"], 0.2);
    assert!(result["generator"]["slip_us"]["p99"].is_u64(), "{result}");
    let intervals = result["intervals"].as_array().unwrap();
    let counts = intervals
        .iter()
        .map(|interval| interval["requests"].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 200, "{result}");
}

fn a_request_as_asked(io: Io) {
    let origin = Origin::echo();
    let target = url(origin.address(), "/a?b=c");
    let (result, _) = measure(
        0,
        &[
            &target,
            "-n",
            "1",
            "-c",
            "1",
            "-X",
            "PATCH",
            "-H",
            "end-user: jason",
            "--body",
            "hello",
            "--io",
            io.name(),
        ],
    );
    assert_eq!(result["targets"][0]["method"], "PATCH");
    assert_eq!(result["targets"][0]["body_bytes"], 5);
    let request = origin.request();
    assert_eq!(request.line, "PATCH /a?b=c HTTP/1.1");
    assert_eq!(request.get("end-user"), Some("jason"));
    assert_eq!(request.body, b"hello");
}

/// No progress, no colours, nothing but the table.
#[test]
fn a_pipe_gets_only_the_result() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let (code, out, error) = load(&[&hello, "--rate", "100", "-d", "500ms"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(
        out.starts_with("open loop, latency from the intended send time\n"),
        "{out}"
    );
    assert!(!out.contains(['\x1b', '\r']), "{out:?}");
    for part in [
        format!("GET {hello}\n"),
        "\nrequests   50\n".to_owned(),
        "\nstatus     200: 50\n".to_owned(),
        "\nTIMES    min ".to_owned(),
        "/s answered of 100/s intended\n".to_owned(),
    ] {
        assert!(out.contains(&part), "{part}: {out}");
    }
    let (_, out, _) = load(&[&hello, "-n", "10", "-c", "1"]);
    assert!(
        out.starts_with("closed loop, latency from the time of sending ("),
        "{out}"
    );
}

/// `script` of util-linux runs the command on a terminal of its own.
#[test]
fn a_terminal_gets_progress() {
    let nginx = nginx();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("result.json");
    let ringmain = binary::ringmain().display();
    let hello = url(nginx.address(), "/hello");
    let on_terminal = |flags: &str| {
        let line = format!(
            "{ringmain} load {hello} --rate 100 -d 2s --warmup 300ms -o json {flags} > {}",
            file.display()
        );
        let output = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("TERM", "xterm")
            .output()
            .expect("script of util-linux is there");
        assert!(output.status.success(), "{output:?}");
        let result: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(result["requests"], 200);
        String::from_utf8(output.stdout).unwrap()
    };
    let terminal = on_terminal("");
    for part in ["warm-up", "s left", "/s  p99 ", "errors 0"] {
        assert!(terminal.contains(part), "{part}: {terminal:?}");
    }
    let terminal = on_terminal("--quiet");
    assert!(!terminal.contains("left"), "{terminal:?}");
}

#[test]
fn nobody_answers() {
    // Bound and no longer listened on: nobody can be there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let (result, error) = measure(1, &[&url(address, "/"), "-n", "5", "-c", "1"]);
    assert_eq!(result["requests"], 5);
    assert_eq!(result["errors"], serde_json::json!({ "connect": 5 }));
    assert_eq!(result["latency_us"], Value::Null);
    assert!(
        error.starts_with("ringmain: nothing was answered; the first error: "),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    let (code, out, _) = load(&[&url(address, "/"), "-n", "5", "-c", "1"]);
    assert_eq!(code, 1);
    assert!(
        out.contains("\nno latency: nothing was answered\n"),
        "{out}"
    );
    assert!(out.contains("\nconnect  5      "), "{out}");
}

#[test]
fn wrong_usage() {
    for (arguments, part) in [
        (&["localhost"][..], "no scheme"),
        (&["http://a/", "--rate", "fast"], "above 0"),
        (&["http://a/", "grpc://a/"], "cannot be measured together"),
        (
            &["http://a/", "--workers", "9", "--connections", "3"],
            "9 workers",
        ),
        (&["compare", "a.json"], "<AFTER>"),
    ] {
        let (code, out, error) = load(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn several_urls_share_by_weight() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let bye = url(nginx.address(), "/bye");
    let weighted = [format!("3@{hello}"), format!("1@{bye}")];
    let arguments = [&weighted[0], &weighted[1], "-n", "400", "-c", "1"];
    let (result, _) = measure(0, &arguments);
    for (index, url, requests) in [(0, &hello, 300), (1, &bye, 100)] {
        let target = &result["targets"][index];
        assert_eq!(target["url"], url.as_str());
        assert_eq!(target["requests"], requests);
    }
}

#[test]
fn a_connection_for_every_request() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let arguments = [&hello, "-n", "30", "-c", "2", "--connect-per-request"];
    let (result, _) = measure(0, &arguments);
    assert_eq!(result["connect_per_request"], true);
    assert_eq!(result["generator"]["connections_opened"], 30);
    assert!(result["connect_us"]["p50"].is_u64(), "{result}");
}

/// Of open files a process has a soft limit, which it may raise, and a hard one.
#[test]
fn connections_are_open_files() {
    let origin = Origin::saying("hello");
    let target = url(origin.address(), "/");
    let limited = |limit: &str| {
        let output = Command::new("prlimit")
            .arg(format!("--nofile={limit}"))
            .arg(binary::ringmain())
            .args(["load", &target, "-c", "150", "-n", "300"])
            .output()
            .expect("prlimit of util-linux is there");
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), error)
    };
    assert_eq!(limited("100:400"), (Some(0), String::new()));
    assert_eq!(origin.connections(), 150);
    let (code, error) = limited("100:160");
    assert_eq!(code, Some(1), "{error}");
    let start = "ringmain: 150 connections need 182 open files, and this process may have 160";
    assert!(error.starts_with(start), "{error}");
    assert_eq!(origin.connections(), 150);
}
