//! Whether the figures say what they seem to say.

use std::{thread, time::Duration};

use ringmain_tests::{
    Io, binary, on_both,
    origin::{Origin, response},
    process::Process,
};
use rustix::process::Signal;
use serde_json::Value;

use crate::{load, measure, nginx, url, wait_for};

on_both!(
    a_stall_is_seen_by_the_open_loop,
    a_generator_that_was_held_up_says_so,
);

/// For how long a server does not answer.
const STALL: Duration = Duration::from_secs(1);

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

/// A server that answers at once, except that its `stalled`-th answer takes a second. It has one
/// connection.
fn stalling(stalled: usize) -> Origin {
    Origin::start(move |conversation| {
        for number in 1.. {
            if conversation.request().is_err() {
                return;
            }
            if number == stalled {
                thread::sleep(STALL);
            }
            if !conversation.send(response("hello")) {
                return;
            }
        }
    })
}

/// A second in which 100 requests are due delays 100 requests, and the open loop shows each of
/// them. In the closed loop the same stall is one slow request among many.
fn a_stall_is_seen_by_the_open_loop(io: Io) {
    let common = ["-c", "1", "--io", io.name()];
    let origin = stalling(50);
    let target = url(origin.address(), "/");
    let mut arguments = vec![target.as_str(), "--rate", "100", "-d", "3s"];
    arguments.extend(common);
    let (result, _) = measure(0, &arguments);
    let micros = |result: &Value, name: &str| result["latency_us"][name].as_u64().unwrap();
    assert_eq!(result["answered"], 300);
    // Of the 300 requests 100 were due while nothing was answered, evenly spread over that second.
    assert!(micros(&result, "p99") >= 950_000, "{result}");
    assert!(micros(&result, "p90") >= 650_000, "{result}");
    assert!(micros(&result, "p75") >= 200_000, "{result}");

    let origin = stalling(50);
    let target = url(origin.address(), "/");
    let mut arguments = vec![target.as_str(), "-n", "300"];
    arguments.extend(common);
    let (result, _) = measure(0, &arguments);
    assert!(micros(&result, "max") >= 995_000, "{result}");
    // Three others would have to have been as slow.
    assert!(micros(&result, "p99") < micros(&result, "max"), "{result}");
    assert_eq!(result["latency_from"], "send_time");
}

/// What happens to a generator that gets no CPU: it is stopped while requests are due.
fn a_generator_that_was_held_up_says_so(io: Io) {
    let origin = Origin::saying("hello");
    let target = url(origin.address(), "/");
    let flags = ["--rate", "100", "-d", "2s", "-o", "json"];
    let mut arguments = vec!["load", &target, "--io", io.name()];
    arguments.extend(flags);
    let mut run = Process::start(binary::ringmain(), arguments);
    wait_for(&origin, 20);
    run.signal(Signal::STOP);
    thread::sleep(STALL / 2);
    run.signal(Signal::CONT);
    let status = run.wait();
    assert_eq!(status.code(), Some(0), "{}", run.error());
    let result: Value = serde_json::from_str(&run.out()).unwrap();
    // Nothing that was due is left out ...
    assert_eq!(result["answered"], 200, "{result}");
    // ... it is late, by as much as the generator was, and that is said.
    let slip = result["generator"]["slip_us"]["max"].as_u64().unwrap();
    let latency = result["latency_us"]["max"].as_u64().unwrap();
    assert!(slip >= 400_000 && latency >= 400_000, "{result}");
    assert_eq!(result["generator"]["bottleneck"], true, "{result}");
    let reason = result["generator"]["reason"].as_str().unwrap();
    assert!(reason.contains("late"), "{reason}");
}

/// A slow server is not the generator's fault. On a machine where others have the CPU the generator
/// may be late all the same: then its own figures must show it.
#[test]
fn a_slow_server_is_not_blamed_on_the_generator() {
    let origin = Origin::start(|conversation| {
        while conversation.request().is_ok() {
            thread::sleep(STALL / 50);
            if !conversation.send(response("hello")) {
                return;
            }
        }
    });
    let target = url(origin.address(), "/");
    let open = ["--rate", "100", "-c", "16", "-d", "500ms"];
    let closed = ["-c", "4", "-d", "500ms"];
    for flags in [&open[..], &closed[..]] {
        let mut arguments = vec![target.as_str()];
        arguments.extend(flags);
        for _ in 0..10 {
            let (result, _) = measure(0, &arguments);
            assert!(result["latency_us"]["p50"].as_u64().unwrap() >= 20_000);
            let generator = &result["generator"];
            let slip = generator["slip_us"]["p99"].as_u64().unwrap_or(0);
            let thread = &generator["threads"][0];
            let busy = thread["ran"].as_f64().unwrap() + thread["waited"].as_f64().unwrap();
            let is_blamed = generator["bottleneck"].as_bool().unwrap();
            assert_eq!(generator["reason"].is_string(), is_blamed, "{result}");
            if busy < 0.9 && slip < 900 {
                assert!(!is_blamed, "{result}");
                break;
            }
            let p99 = result["latency_us"]["p99"].as_u64().unwrap();
            if busy > 0.97 || slip > 1100.max(p99 / 8) {
                assert!(is_blamed, "{result}");
            }
        }
    }
}
