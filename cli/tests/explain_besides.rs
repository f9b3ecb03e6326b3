//! What `ringmain explain` says of what requests meet besides where they go, on the example that
//! shows it all.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

const ORIGIN: &str = "outbound|8000||origin.internal";

/// What is explained of `METHOD PATH` with these fields, from the deciding route on. Places are
/// `traffic.yaml:LINE`, which is left out.
fn explain(words: &[&str]) -> Vec<String> {
    explain_as_tuned(words, None)
}

/// As [`explain`], of a proxy with this tuning file.
fn explain_as_tuned(words: &[&str], config: Option<&Path>) -> Vec<String> {
    let (method, path) = (words[0], words[1]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command.args(["explain", "--resources", "traffic.yaml", method]);
    command.arg(format!("http://127.0.0.1:8080{path}"));
    for field in &words[2..] {
        command.args(["-H", field]);
    }
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let output = command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/traffic"))
        .env_remove("RINGMAIN_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*error), (Some(0), ""), "{words:?}");
    let lines = text.lines().map(|line| match line.split_once("  <- ") {
        Some((said, place)) => {
            assert!(place.contains("(traffic.yaml:"), "{line}");
            said.to_owned()
        }
        None => line.to_owned(),
    });
    lines
        .skip_while(|line| !line.starts_with("route   "))
        .collect()
}

#[track_caller]
fn check(words: &[&str], expected: &[&str]) {
    let found = explain(words);
    assert_eq!(found, expected, "{words:?}");
}

const BY_TABLE: &str = "retries       2 on connect-failure,refused-stream,unavailable,cancelled,\
                        retriable-status-codes,stale-connection, by the route table";

/// The lines of the destination `origin.internal`, which is sent this path.
fn to_origin(path: &str) -> [String; 5] {
    [
        format!("cluster       {ORIGIN}"),
        format!("  sent as     {path} for 127.0.0.1:8080"),
        "  at most     pending 100, requests 1000, retries 20, retry budget 20 % or 3".to_owned(),
        "  endpoint    127.0.0.1:8000".to_owned(),
        "  endpoint    127.0.0.1:8001".to_owned(),
    ]
}

#[test]
fn each_rule_of_the_example() {
    for (words, besides, path) in [
        (
            &["GET", "/retried/a"][..],
            &[
                "route         retried",
                "timeout       2s",
                "retries       2 on 5xx,reset,connect-failure, each try 0.5s, with up to \
                 65536 bytes of a body",
            ][..],
            "/a",
        ),
        (
            &["GET", "/a", "x-try-faults: please"],
            &[
                "route         faulty",
                "delay         100 % of the requests, by 1s",
                "abort         25 % of the requests, with 503",
            ],
            "/a",
        ),
        (
            &["GET", "/copied/a"],
            &[
                "route         copied",
                BY_TABLE,
                "copy to       outbound|8000||shadow.internal (10 %)",
            ],
            "/a",
        ),
        (
            &["GET", "/shared/a", "origin: https://www.shop.example"],
            &[
                "route         shared",
                "cors          pages of \"https://www.shop.example\" may read the answer",
                BY_TABLE,
            ],
            "/a",
        ),
        (
            &["GET", "/user/7/basket"],
            &["route         turned", BY_TABLE],
            "/basket/7",
        ),
    ] {
        let mut expected = besides.to_vec();
        let destination = to_origin(path);
        expected.extend(destination.iter().map(String::as_str));
        check(words, &expected);
    }
}

#[test]
fn a_client_is_bound_to_an_endpoint() {
    for (words, expected) in [
        (
            &["GET", "/"][..],
            "cookie \"visitor\", which is given for 3600s",
        ),
        (
            &["GET", "/", "cookie: visitor=7"],
            "cookie \"visitor\": 127.0.0.1:8000",
        ),
    ] {
        let found = explain(words);
        let line = format!("  chosen by   {expected}");
        assert!(found.contains(&line), "{words:?}: {found:#?}");
        let also = "also at the same endpoint";
        assert!(found.iter().any(|line| line.contains(also)), "{found:#?}");
    }
}

/// The proxy's tuning file decides which path routes see.
#[test]
fn a_tuned_proxy_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("ringmain.toml");
    std::fs::write(
        &config,
        "[http]\npath_normalization = 'decode_and_merge_slashes'\n",
    )
    .unwrap();
    let words = ["GET", "/%2Fretried%2fa"];
    assert_eq!(explain(&words)[0], "route         bound");
    let tuned = explain_as_tuned(&words, Some(&config));
    assert_eq!(tuned[0], "route         retried", "{tuned:#?}");
}

#[test]
fn a_preflight_is_answered_here() {
    let method = "access-control-request-method: GET";
    for (origin, answer) in [
        ("origin: https://shop.example", "allowed"),
        ("origin: https://elsewhere.example", "not allowed"),
    ] {
        let found = explain(&["OPTIONS", "/shared/", origin, method]);
        let answered = "answer        200 with 0 bytes of body";
        assert!(found.iter().any(|line| line == answered), "{found:#?}");
        let said = format!("is answered here, and {answer}");
        let cors = found.iter().find(|line| line.starts_with("cors "));
        assert!(cors.is_some_and(|line| line.ends_with(&said)), "{found:#?}");
    }
}
