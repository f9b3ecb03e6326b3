//! What `ringmain explain tcp://HOST:PORT` says, as its users meet it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Exit code, standard output and standard error; the file is `mesh.yaml` in them.
fn explain(words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringmain"))
        .args(["explain", "--resources", "mesh.yaml"])
        .args(words)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bytes"))
        .env_remove("RINGMAIN_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[track_caller]
fn check(words: &[&str], code: i32, expected: &str) {
    let (found, out, error) = explain(words);
    assert_eq!((found, error.as_str()), (code, ""), "{words:?}");
    assert_eq!(out, expected, "{words:?}:\n{out}");
}

#[test]
fn by_the_clients_address() {
    check(
        &["tcp://10.0.0.1:5432", "--source", "192.168.7.1"],
        0,
        "tcp://10.0.0.1:5432 from 192.168.7.1 at Gateway default/bytes
listener      10.0.0.1_5432  <- Gateway default/bytes (mesh.yaml:7)
passed over   route 0 (destination is in 10.9.0.0/16): found \"10.0.0.1\"  <- VirtualService default/db (mesh.yaml:23)
route         route 1  <- VirtualService default/db (mesh.yaml:28)
cluster       outbound|5432|new|db.test (75 %)  <- DestinationRule default/db (mesh.yaml:59)
  subset      new
  endpoint    10.1.0.1:5432
  endpoint    10.1.0.2:5432, weight 3
cluster       outbound|5432|old|db.test (25 %)  <- DestinationRule default/db (mesh.yaml:61)
  subset      old
  endpoint    none: closed at once, response flag UH
",
    );
}

#[test]
fn by_the_address_connected_to() {
    let (code, out, error) = explain(&["tcp://10.9.0.7:5433"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.contains("\nlistener      0.0.0.0_5433  <- "), "{out}");
}

#[test]
fn closed_at_once() {
    check(
        &["tcp://db.test:5432", "--source", "1.2.3.4", "--gateway", "bytes"],
        1,
        "tcp://db.test:5432 from 1.2.3.4 at Gateway default/bytes
listener      10.0.0.1_5432  <- Gateway default/bytes (mesh.yaml:7)
passed over   route 0 (destination is in 10.9.0.0/16): found \"10.0.0.1\"  <- VirtualService default/db (mesh.yaml:23)
passed over   route 1 (source is in 192.168.0.0/16): found \"1.2.3.4\"  <- VirtualService default/db (mesh.yaml:28)
refused       by listener \"10.0.0.1_5432\": none of the listener's routes matches
connection    closed at once, response flag NR
",
    );
}

/// Of two listeners for one port, a name means that of its service; nobody answers for the other.
#[test]
fn at_a_sidecar() {
    check(
        &["tcp://DB.test:5432", "--from", "app"],
        0,
        "tcp://DB.test:5432 at workload default/app
listener      127.0.0.2_5432  <- Sidecar default/app (mesh.yaml:86)
route         route 0  <- ServiceEntry default/db (mesh.yaml:42)
cluster       outbound|5432||db.test  <- DestinationRule default/db (mesh.yaml:57)
  endpoint    10.1.0.1:5432
  endpoint    10.1.0.2:5432, weight 3
",
    );
    for (url, listener) in [
        ("tcp://cache:5432", "127.0.0.1_5432"),
        ("tcp://127.0.0.1:5432", "127.0.0.1_5432"),
        ("tcp://unknown:5432", "127.0.0.1_5432"),
    ] {
        let (code, out, error) = explain(&[url, "--from", "default/app"]);
        assert_eq!((code, error.as_str()), (1, ""), "{out}");
        assert!(
            out.contains(&format!("\nlistener      {listener}  <- ")),
            "{out}"
        );
        let nobody = "\n  endpoint    none: closed at once, response flag UH\n";
        assert!(out.ends_with(nobody), "{out}");
    }
}

#[test]
fn as_json() {
    let words = [
        "tcp://10.0.0.1:5432",
        "--source",
        "192.168.7.1",
        "-o",
        "json",
    ];
    let (code, out, _) = explain(&words);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(answer["at"], "Gateway default/bytes");
    assert_eq!(answer["warnings"], json!([]));
    assert_eq!(answer["listener"]["address"], "10.0.0.1:5432");
    let origin = json!({"resource": "VirtualService default/db", "file": "mesh.yaml", "line": 28});
    assert_eq!(answer["route"], json!({"number": 1, "origin": origin}));
    let destinations = answer["outcome"]["forward"].as_array().unwrap();
    let found: Vec<_> = destinations
        .iter()
        .map(|to| {
            json!([
                to["subset"],
                to["share"],
                to["endpoints"].as_array().unwrap().len()
            ])
        })
        .collect();
    assert_eq!(found, [json!(["new", 75.0, 2]), json!(["old", 25.0, 0])]);

    let words = ["tcp://10.0.0.1:5432", "--source", "1.2.3.4", "-o", "json"];
    let (code, out, _) = explain(&words);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["route"]), (1, &Value::Null));
    assert_eq!(answer["outcome"]["refused"]["flag"], "NR");
}

#[test]
fn what_it_cannot_know_or_do() {
    let at_nowhere = ["tcp://10.0.0.2:5432"];
    for (words, code, expected) in [
        (
            &["tcp://10.0.0.1:5432"][..],
            2,
            "the rules of listener 10.0.0.1_5432 look at the client's address; name it with \
             --source ADDRESS",
        ),
        (
            &["tcp://db:5433"],
            2,
            "the rules of listener 0.0.0.0_5433 look at the address that was connected to; name \
             it: tcp://ADDRESS:5433",
        ),
        (
            &at_nowhere,
            1,
            "Gateway default/bytes does not listen for tcp://10.0.0.2:5432; it listens on \
             0.0.0.0:5433, 10.0.0.1:5432",
        ),
        (
            &["tcp://a:8080"],
            1,
            "Gateway default/bytes speaks HTTP on port 8080; ask for a request: GET \
             http://HOST:8080/",
        ),
        (
            &["GET", "http://a:5433/"],
            1,
            "Gateway default/bytes carries TCP on port 5433 and sees no requests; ask for the \
             connection: tcp://HOST:5433",
        ),
        (
            &["tcp://a"],
            2,
            "\"tcp://a\" is not a TCP destination: it has no port; write tcp://HOST:PORT",
        ),
        (
            &["tcp://a:1", "http://a/"],
            2,
            "a TCP connection has no method: write tcp://HOST:PORT alone",
        ),
        (
            &["tcp://a:1", "-H", "a: b"],
            2,
            "a TCP connection has no header fields; leave -H out",
        ),
        (
            &["GET"],
            2,
            "name METHOD and URL of a request, or tcp://HOST:PORT",
        ),
    ] {
        let (found, out, error) = explain(words);
        let expected = format!("ringmain: {expected}\n");
        assert_eq!(
            (found, out.as_str(), error),
            (code, "", expected),
            "{words:?}"
        );
    }
}
