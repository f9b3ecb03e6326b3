//! `examples/gateway-api` as its users meet it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::process::{Command, Stdio};

/// Exit code, standard output and standard error; the examples are the current directory.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringmain"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"))
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

#[test]
fn the_example_is_sound() {
    let (code, out, error) = run(&["check", "gateway-api", "--strict"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert_eq!(out, "6 resources of 1 file: 0 errors, 0 warnings\n");
}

/// Lines that an explanation has, for a request to `store.example.com`.
#[track_caller]
fn explain(request: &[&str], code: i32, expected: &[&str]) {
    let [target, rest @ ..] = request else {
        panic!("a request has a target");
    };
    let url = format!("http://store.example.com:8080{target}");
    let mut arguments = vec!["explain", "--resources", "gateway-api", "GET", &url];
    arguments.extend(rest);
    let (found, out, error) = run(&arguments);
    assert_eq!((found, error.as_str()), (code, ""), "{request:?}: {out}");
    for line in expected {
        assert!(
            out.lines().any(|found| found == *line),
            "{request:?}: {line}\n{out}"
        );
    }
}

#[test]
fn the_rule_that_asks_for_more_decides_and_is_named() {
    explain(
        &["/store/a", "-H", "x-canary: always"],
        0,
        &[
            "route         canary  <- HTTPRoute default/store (gateway-api/gateway-api.yaml:39)",
            "  sent as     /a for store.example.com:8080",
            "  endpoint    127.0.0.1:8002, default/store-v2",
        ],
    );
    explain(
        &["/store/a"],
        0,
        &[
            "route         store  <- HTTPRoute default/store (gateway-api/gateway-api.yaml:56)",
            "cluster       outbound|80||store-v1.default.svc.cluster.local (90 %)  <- Service \
             default/store-v1 (gateway-api/gateway-api.yaml:81)",
        ],
    );
}

#[test]
fn redirects_and_refusals() {
    explain(
        &["/shop/cart", "--gateway", "edge"],
        0,
        &["answer        301, location: http://store.example.com:8080/store/cart"],
    );
    explain(
        &["/storefront"],
        1,
        &["answer        404, response flag NR"],
    );
}

#[test]
fn a_gateway_that_is_not_there() {
    let url = "http://store.example.com:8080/";
    let arguments = [
        "explain",
        "--resources",
        "gateway-api",
        "--gateway",
        "other",
        "GET",
        url,
    ];
    let (code, _, error) = run(&arguments);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("--gateway default/edge"), "{error}");
}
