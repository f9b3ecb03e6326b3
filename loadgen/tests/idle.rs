//! A process of its own, whose processor time is that of a run that mostly waits.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod server;

use std::{fs, time::Duration};

use ringmain_loadgen::{Arrivals, Io, Pace, Plan, Run, Stop, Target, Usage};

/// Of all threads of this process, in nanoseconds: the first number of each schedstat.
fn processor_time() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let times =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
    times
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn waiting_costs_nothing() {
    let (address, seen) = server::always("HTTP/1.1 204 No Content\r\n\r\n");
    for io in [Io::Auto, Io::Epoll] {
        let url = format!("http://{address}/").parse().unwrap();
        let plan = Plan {
            io,
            stop: Stop::After(Duration::from_millis(1000)),
            usage: Usage::Few,
            ..Plan::new(
                vec![Target::get(url)],
                Pace::Open {
                    rate: 2.0,
                    arrivals: Arrivals::Constant,
                },
            )
        };
        let run = Run::start(&plan).unwrap();
        // The start allocates and touches the ring; what counts is what comes after it.
        let before = processor_time();
        let total = run.finish().unwrap().total();
        assert_eq!(total.succeeded(), 2);
        assert_eq!(seen.requests(), 2 * seen.connections());
        let used = Duration::from_nanos(processor_time().saturating_sub(before));
        assert!(used < Duration::from_millis(100), "{io:?}: {used:?} of 1 s");
    }
}
