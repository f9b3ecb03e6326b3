//! How the load is spread: over time, over threads, over URLs.

use std::{collections::BTreeSet, fs};

use ringmain_tests::{Io, binary, nginx::Nginx, on_both, origin::Origin, process::Process, wait};
use rustix::process::Signal;
use serde_json::Value;

use crate::{measure, peer::HELLO, url, wait_for};

on_both!(
    a_rate_that_rises,
    connections_that_are_opened_over_time,
    workers_that_are_pinned,
);

/// Over its first second the rate rises from 0 to 400 per second, which makes 200 requests; then it
/// stays there for half a second.
fn a_rate_that_rises(io: Io) {
    let origin = Origin::saying("hello");
    let target = url(origin.address(), "/");
    let flags = ["--rate", "400", "-d", "1500ms", "--ramp", "1s"];
    let mut arguments = vec![target.as_str(), "-c", "4", "--io", io.name()];
    arguments.extend(flags);
    let (result, error) = measure(0, &arguments);
    assert_eq!(error, "");
    assert_eq!(
        (&result["requests"], &result["answered"]),
        (&400.into(), &400.into())
    );
    assert_eq!(origin.requests().len(), 400);
}

/// The second of two connections is due after half an hour.
fn connections_that_are_opened_over_time(io: Io) {
    let origin = Origin::saying("hello");
    let result = interrupted(
        &origin,
        &["-c", "2", "--ramp", "1h", "--io", io.name()],
        |_| {
            wait_for(&origin, 50);
        },
    );
    assert_eq!(origin.connections(), 1);
    assert_eq!(result["generator"]["connections_opened"], 1);
}

/// Each thread has a CPU, and another one as far as there are.
fn workers_that_are_pinned(io: Io) {
    let origin = Origin::saying("hello");
    let mut pinned = Vec::new();
    let result = interrupted(&origin, &["-t", "2", "-c", "4", "--io", io.name()], |run| {
        wait_for(&origin, 200);
        wait::until_equal("connections", 4, || origin.connections());
        pinned = cpus_of_workers(run);
    });
    assert_eq!(result["workers"], 2);
    assert_eq!(result["generator"]["threads"].as_array().unwrap().len(), 2);
    assert_eq!(result["generator"]["connections_opened"], 4);
    assert_eq!(pinned.len(), 2, "{pinned:?}");
    assert!(
        pinned.iter().all(|cpus| cpus.parse::<u32>().is_ok()),
        "{pinned:?}"
    );
    let different: BTreeSet<_> = pinned.iter().collect();
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert_eq!(different.len(), cpus.min(2), "{pinned:?}");
}

/// The result of a run that is ended when `enough` has happened.
fn interrupted(origin: &Origin, flags: &[&str], enough: impl FnOnce(&Process)) -> Value {
    let target = url(origin.address(), "/");
    let mut arguments = vec!["load", &target, "-d", "1h", "-o", "json"];
    arguments.extend(flags);
    let mut run = Process::start(binary::ringmain(), arguments);
    enough(&run);
    run.signal(Signal::INT);
    assert_eq!(run.wait().code(), Some(0), "{}", run.error());
    let result: Value = serde_json::from_str(&run.out()).unwrap();
    // Those under way came to their ends.
    assert_eq!(result["answered"], origin.requests().len());
    assert_eq!(result["failed"], 0, "{result}");
    result
}

/// What each thread that sends may run on, as the kernel says it: a number for one CPU.
fn cpus_of_workers(run: &Process) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", run.id())).unwrap();
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).unwrap();
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    tasks
        .map(|task| status(task.unwrap()))
        .filter(|status| field(status, "Name:") == "load")
        .map(|status| field(&status, "Cpus_allowed_list:"))
        .collect()
}

/// The server counts as well.
#[test]
fn weights_across_workers_and_servers() {
    let log = "access_log temp/seen.log seen;";
    let [one, other] = [(); 2].map(|()| {
        let nginx = Nginx::start(log);
        fs::write(nginx.file("hello"), HELLO).unwrap();
        nginx
    });
    let [first, second] = [("3", &one), ("1", &other)]
        .map(|(weight, nginx)| format!("{weight}@{}", url(nginx.address(), "/hello")));
    let arguments = [
        &first, &second, "--rate", "400", "-d", "1s", "-c", "4", "-t", "2",
    ];
    let (result, _) = measure(0, &arguments);
    assert_eq!(result["answered"], 400);
    for (index, nginx, requests) in [(0, &one, 300), (1, &other, 100)] {
        assert_eq!(result["targets"][index]["answered"], requests);
        assert_eq!(nginx.seen(requests).len(), requests);
    }
}
