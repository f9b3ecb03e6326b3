//! Runs that end before their time.

use ringmain_tests::{Io, binary, on_both, origin::Origin, process::Process};
use rustix::process::Signal;
use serde_json::Value;

use crate::{url, wait_for};

on_both!(an_interrupted_run, an_interrupted_run_of_a_stalled_server);

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
    wait_for(&origin, 20);
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
