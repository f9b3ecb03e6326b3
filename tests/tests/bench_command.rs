//! `ringmain bench`: that it measures, accounts for what it sends, and writes down what it found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{fs, os::unix::process::ExitStatusExt};

use ringmain_tests::{binary, process::Process, wait};
use rustix::process::Signal;

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
    assert!(out.contains(". 0 failures."), "{out}");
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

/// Neither programs nor files outlive a run that is ended by a signal.
#[test]
fn an_interrupted_run_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let temporary = format!("TMPDIR={}", folder.path().display());
        // A run that was killed left this; its process id is greater than any.
        let left = folder.path().join("ringmain-bench-8388608-x");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("lock"), "").unwrap();
        let ringmain = binary::ringmain().to_str().unwrap();
        let arguments = [
            &temporary,
            ringmain,
            "bench",
            "h1",
            "--quick",
            "--seconds=60",
        ];
        let arguments = arguments.into_iter().chain(["--peers=nginx"]);
        let mut run = Process::start("env", arguments);
        // Control plane, proxy, nginx, origin and generator.
        let started = wait::until("all programs to run", || {
            let started = descendants(run.id());
            match started.len() {
                0..5 => Err(format!("{started:?}")),
                _ => Ok(started),
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        run.signal(signal);
        let status = run.wait();
        assert_eq!(
            status.signal(),
            Some(signal.as_raw()),
            "{status} {}",
            run.error()
        );
        for id in started {
            wait::until_equal(format!("{id} running"), false, || is_running(id));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

fn descendants(id: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{id}/task"));
    let children = tasks.into_iter().flatten().flatten().flat_map(|task| {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let ids = children.split_whitespace().map(|id| id.parse().unwrap());
        ids.collect::<Vec<u32>>()
    });
    children
        .flat_map(|child| std::iter::once(child).chain(descendants(child)))
        .collect()
}

/// One that has ended may wait for someone to ask how.
fn is_running(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(") ");
    behind_name.is_some_and(|(_, fields)| !fields.starts_with('Z'))
}
