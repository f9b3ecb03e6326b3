//! Runs, as every test of this folder makes them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    thread,
    time::{Duration, Instant},
};

use ringmain_loadgen::{Io, Plan, Progress, Report, Run};

pub(crate) fn run(plan: &Plan) -> Report {
    Run::start(plan).unwrap().finish().unwrap()
}

/// Runs until `enough` has happened: how long that takes is the machine's affair.
pub(crate) fn run_until(plan: &Plan, enough: impl Fn(&Progress) -> bool) -> Report {
    let run = Run::start(plan).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !enough(&run.progress()) {
        assert!(Instant::now() < deadline, "{:?}", run.progress());
        thread::sleep(Duration::from_millis(1));
    }
    run.stopper().stop();
    run.finish().unwrap()
}

/// Runs `test` on every way in which the kernel can be asked.
pub(crate) fn on_each_io(test: impl Fn(Io)) {
    for io in [Io::Auto, Io::Epoll] {
        test(io);
    }
}
