//! A process of its own, whose threads are looked at during a run that mostly waits.

#![allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]

mod server;

use std::{fs, thread, time::Duration};

use ringmain_loadgen::{Arrivals, Io, Pace, Plan, Run, Stop, Target, Usage};

/// Of each thread that belongs to a run, by its name: whether it sleeps (proc(5): `stat`, fields 2
/// and 3). One that runs, or would if it had a CPU, does not.
fn sleepers() -> Vec<bool> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    stats
        .filter_map(|stat| {
            let (name, fields) = stat.rsplit_once(") ")?;
            let is_of_run = name.split_once('(')?.1.starts_with("load");
            is_of_run.then(|| fields.starts_with('S'))
        })
        .collect()
}

/// A thread that waits in a loop would never be found asleep, on however busy a machine.
#[test]
fn waiting_is_sleeping() {
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
        let mut looks = Vec::new();
        while !run.is_over() {
            looks.extend(sleepers());
            thread::sleep(Duration::from_millis(2));
        }
        let total = run.finish().unwrap().total();
        assert_eq!(total.succeeded(), 2);
        assert_eq!(seen.requests(), 2 * seen.connections());
        let asleep = looks.iter().filter(|is_asleep| **is_asleep).count();
        assert!(
            2 * asleep > looks.len(),
            "{io:?}: {asleep} of {}",
            looks.len()
        );
    }
}
