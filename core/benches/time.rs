//! Nanoseconds of each case. `cargo bench -p ringmain-core --bench time [-- PART-OF-A-NAME]`
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod cases;
#[path = "../tests/document/mod.rs"]
mod document;

use std::time::{Duration, Instant};

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for case in cases::ALL {
        let mut run = None;
        criterion.bench_function(case.name, |bencher| {
            // Made only when it is asked for: the largest take seconds to set up.
            let run = run.get_or_insert_with(case.make);
            bencher.iter_custom(|times| {
                #[expect(clippy::disallowed_methods, reason = "it is what is measured")]
                let started = Instant::now();
                run(times);
                started.elapsed()
            });
        });
    }
    criterion.final_summary();
}
