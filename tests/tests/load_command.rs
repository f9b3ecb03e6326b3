//! `ringmain load` against servers that are not ours: what it prints and exits with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Command,
};

use ringmain_tests::{Io, binary, nginx::Nginx, on_both, origin::Origin, process::Process, wait};
use rustix::process::Signal;
use serde_json::Value;

on_both!(
    a_number_of_requests,
    an_open_loop,
    a_request_as_asked,
    an_interrupted_run,
    an_interrupted_run_of_a_stalled_server,
);

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

fn an_interrupted_run(io: Io) {
    let origin = Origin::saying("hello");
    let target = url(origin.address(), "/");
    let arguments = [
        "load",
        &target,
        "--rate",
        "100",
        "-d",
        "1h",
        "-o",
        "json",
        "--io",
        io.name(),
    ];
    let mut run = Process::start(binary::ringmain(), arguments);
    wait::until("twenty requests", || match origin.requests().len() {
        count if count < 20 => Err(count),
        _ => Ok(()),
    });
    run.signal(Signal::INT);
    let status = run.wait();
    assert_eq!(status.code(), Some(0), "{}", run.error());
    assert_eq!(run.error(), "");
    let result: Value = serde_json::from_str(&run.out()).unwrap();
    assert_eq!(result["interrupted"], true);
    // The last of them may not have been answered when the signal came.
    assert!(result["answered"].as_u64().unwrap() >= 19, "{result}");
    assert!(result["duration_s"].as_f64().unwrap() < 3600.0, "{result}");
}

/// The patience for requests under way is shorter than their timeout.
fn an_interrupted_run_of_a_stalled_server(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    });
    let target = url(origin.address(), "/");
    let arguments = [
        "load",
        &target,
        "-c",
        "2",
        "-d",
        "1h",
        "--timeout",
        "1h",
        "--max-p99",
        "1h",
        "--io",
        io.name(),
    ];
    let mut run = Process::start(binary::ringmain(), arguments);
    origin.wait_for_requests(2);
    run.signal(Signal::INT);
    let status = run.wait();
    assert_eq!(status.code(), Some(1), "{}", run.error());
    let out = run.out();
    assert!(out.contains("WARNING: interrupted after"), "{out}");
    assert!(out.contains("no latency: nothing was answered"), "{out}");
    let error = run.error();
    for line in [
        "ringmain: missed --max-p99 3600s: nothing was answered",
        "ringmain: the objectives cannot be held by a run that was interrupted",
        "ringmain: nothing was answered",
    ] {
        assert!(error.lines().any(|found| found == line), "{line}: {error}");
    }
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
fn objectives_decide_the_exit_code() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let flags = [
        "-n",
        "100",
        "-c",
        "2",
        "--max-p99",
        "1h",
        "--max-errors",
        "0",
        "--min-rate",
        "0.001",
    ];
    let mut arguments = vec![hello.as_str()];
    arguments.extend(flags);
    let (result, error) = measure(0, &arguments);
    assert_eq!(error, "");
    let verdicts = result["objectives"].as_array().unwrap();
    assert_eq!(verdicts.len(), 3);
    assert!(
        verdicts.iter().all(|verdict| verdict["held"] == true),
        "{result}"
    );

    // No server answers within a microsecond, nor so many in a second.
    let missed = [
        "-n",
        "100",
        "-c",
        "2",
        "--max-p50",
        "1us",
        "--max-p99",
        "1h",
        "--min-rate",
        "9M",
    ];
    let mut arguments = vec![hello.as_str()];
    arguments.extend(missed);
    let (code, out, error) = load(&arguments);
    assert_eq!(code, 1, "{out}");
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with("ringmain: missed --max-p50 1us: "),
        "{error}"
    );
    assert!(
        lines[1].starts_with("ringmain: missed --min-rate 9000000/s: "),
        "{error}"
    );
    let row = |flag: &str, verdict: &str| {
        let mut lines = out.lines();
        lines.any(|line| line.starts_with(flag) && line.ends_with(verdict))
    };
    assert!(
        row("--max-p50 1us", "MISSED") && row("--max-p99 3600s", "held"),
        "{out}"
    );
}

#[test]
fn a_status_that_fails_is_no_error_but_counts() {
    let nginx = nginx();
    let missing = url(nginx.address(), "/missing");
    let (result, error) = measure(0, &[&missing, "-n", "20", "-c", "1"]);
    assert_eq!(error, "");
    assert_eq!(result["status"], serde_json::json!({ "404": 20 }));
    assert_eq!(
        (&result["failed"], &result["answered"]),
        (&20.into(), &20.into())
    );
    assert_eq!(result["errors"], serde_json::json!({}));
    let arguments = [&missing, "-n", "20", "-c", "1", "--max-errors", "19"];
    let (_, error) = measure(1, &arguments);
    assert_eq!(error, "ringmain: missed --max-errors 19: 20\n");
    let (_, error) = measure(
        0,
        &[&missing, "-n", "20", "-c", "1", "--max-errors", "100%"],
    );
    assert_eq!(error, "");
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

/// Nothing sends five million requests per second on one thread.
#[test]
fn a_generator_that_is_the_bottleneck_says_so() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let flags = ["--rate", "5M", "-d", "500ms", "--timeout", "2s"];
    let mut arguments = vec![hello.as_str()];
    arguments.extend(flags);
    let (result, _) = measure(0, &arguments);
    assert_eq!(result["generator"]["bottleneck"], true, "{result}");
    assert!(result["generator"]["reason"].is_string(), "{result}");
    let (_, out, _) = load(&arguments);
    let warning = out
        .find("\nWARNING: the generator was the bottleneck")
        .unwrap();
    assert!(warning < out.find("\nduration").unwrap(), "{out}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn files_beside_the_result() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let directory = tempfile::tempdir().unwrap();
    let [page, distribution] = ["load.html", "load.hgrm"].map(|name| directory.path().join(name));
    let arguments = [
        &hello,
        "-n",
        "300",
        "-c",
        "2",
        "--report",
        path(&page),
        "--hdr",
        path(&distribution),
    ];
    measure(0, &arguments);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"),
        "{page}"
    );
    assert!(
        page.contains("Latency by percentile</figcaption>\n<svg "),
        "{page}"
    );
    assert!(page.contains(&hello) && !page.contains("<script"), "{page}");
    let distribution = std::fs::read_to_string(distribution).unwrap();
    let last = distribution
        .lines()
        .rfind(|line| !line.starts_with('#'))
        .unwrap();
    let words: Vec<_> = last.split_whitespace().collect();
    assert_eq!(words[1..], ["1.000000000000", "300"], "{distribution}");
}

/// Known before anything is sent.
#[test]
fn a_file_that_cannot_be_written() {
    let origin = Origin::saying("hello");
    let target = url(origin.address(), "/");
    for flag in ["--report", "--hdr"] {
        let (code, out, error) = load(&[&target, "-n", "5", flag, "/nowhere/file"]);
        assert_eq!((code, out.as_str()), (1, ""), "{error}");
        let start = "ringmain: cannot write /nowhere/file: ";
        assert!(error.starts_with(start), "{error}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn two_results_are_compared() {
    let nginx = nginx();
    let hello = url(nginx.address(), "/hello");
    let directory = tempfile::tempdir().unwrap();
    let [a, b, broken] = ["a.json", "b.json", "c.json"].map(|name| directory.path().join(name));
    let save = |file: &Path, arguments: &[&str]| {
        let (result, _) = measure(0, arguments);
        std::fs::write(file, result.to_string()).unwrap();
    };
    save(&a, &[&hello, "-n", "100", "-c", "1"]);
    save(&b, &[&hello, "--rate", "100", "-d", "500ms", "-c", "2"]);

    let (code, out, error) = load(&["compare", path(&a), path(&b)]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    for part in [
        format!("A  {}, ", a.display()),
        "\nWARNING: the runs differ in pace: A closed loop, B open loop, 100/s constant\n"
            .to_owned(),
        "\nWARNING: the runs differ in connections: A 1 ".to_owned(),
        "\nFIGURE  A ".to_owned(),
        // Neither run has seconds enough.
        "not judged: too few seconds, run for longer".to_owned(),
    ] {
        assert!(out.contains(&part), "{part}: {out}");
    }
    let (code, out, _) = load(&["compare", path(&a), path(&a), "-o", "json"]);
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &result["warnings"]), (0, &serde_json::json!([])));
    assert_eq!(result["figures"][0]["figure"], "rate");
    assert_eq!(result["figures"][0]["change"], 0.0);

    std::fs::write(&broken, "{}").unwrap();
    for (file, part) in [
        (path(&broken), "not a result of `ringmain load -o json`"),
        ("/nowhere/a.json", "cannot read /nowhere/a.json"),
    ] {
        let (code, out, error) = load(&["compare", path(&a), file]);
        assert_eq!((code, out.as_str()), (1, ""), "{error}");
        assert!(error.contains(part), "{error}");
    }
}
