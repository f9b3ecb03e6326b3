//! `ringmain bench`: that it measures, accounts for what it sends, and writes down what it found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::fs;

use ringmain_tests::binary;

#[test]
fn a_moment_of_everything_that_h1_has() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let (code, out, error) = binary::run([
        "bench",
        "h1",
        "--smoke",
        "--peers=nginx",
        &format!("--out={}", results.display()),
    ]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.contains(", 0 failures."), "{out}");
    let read = |name: &str| fs::read_to_string(results.join(name)).unwrap();
    let machine = read("machine.toml");
    assert!(machine.contains("nginx version: nginx/"), "{machine}");
    let raw = read("raw.csv");
    for case in ["100 B", "1 KiB", "64 KiB"] {
        for program in ["ringmain", "nginx"] {
            for row in [
                format!("h1,{case},1,{program},requests,500,"),
                format!("h1,{case},1,{program},half_requests,500,"),
                format!("h1,{case},1,{program},cpu_us_per_request,"),
            ] {
                assert!(raw.contains(&row), "{row}: {raw}");
            }
        }
    }
    let summary = read("summary.md");
    assert!(summary.contains("## Figures to reach"), "{summary}");
    assert!(summary.contains("(h1-cpu_us_per_request.svg)"), "{summary}");
    assert!(read("h1-cpu_us_per_request.svg").contains("</svg>"));
}

#[test]
fn wrong_usage_is_told() {
    let check = |arguments: &[&str], expected: &str| {
        let (code, out, error) = binary::run(["bench"].iter().chain(arguments));
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(expected), "{arguments:?}: {error}");
    };
    check(&["h9"], "invalid value 'h9'");
    check(&["--peers=ringmain"], "invalid value 'ringmain'");
    check(&["--quick", "--smoke"], "cannot be used with");
    check(&["--check", "--record"], "cannot be used with");
    check(&["--seconds=0"], "give a number from 0.1 to 600");
}
