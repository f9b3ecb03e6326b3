//! Nanoseconds of each case. `cargo bench -p ringmain-core --bench time [-- PART-OF-A-NAME]`
//!
//! Beneath criterion's estimate stand the least and the median of the samples: beside other work on
//! the machine the least is what says most.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod cases;
#[path = "../tests/document/mod.rs"]
mod document;

use std::time::{Duration, Instant};

use criterion::Criterion;

/// Of each case.
const SAMPLES: usize = 100;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for case in cases::ALL {
        let mut run = None;
        let mut samples = Vec::new();
        criterion.bench_function(case.name, |bencher| {
            // Made only when it is asked for: the largest take seconds to set up.
            let run = run.get_or_insert_with(case.make);
            bencher.iter_custom(|times| {
                #[expect(clippy::disallowed_methods, reason = "it is what is measured")]
                let started = Instant::now();
                run(times);
                let elapsed = started.elapsed();
                samples.push(elapsed.as_nanos() as f64 / times as f64);
                elapsed
            });
        });
        // Those before them were for warming up.
        let measured = samples.len().saturating_sub(SAMPLES);
        print(case.name, &mut samples[measured..]);
    }
    criterion.final_summary();
}

/// Prints nothing for a case that was not asked for.
fn print(name: &str, samples: &mut [f64]) {
    samples.sort_unstable_by(f64::total_cmp);
    if let Some(least) = samples.first() {
        let median = samples[samples.len() / 2];
        println!("{name}: least {least:.1} ns, median {median:.1} ns");
    }
}
