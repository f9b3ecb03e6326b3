//! What a worker runs on: the best ring that its thread can build, with monoio's timers.

use std::future::Future;

use ringmain_ring::WithTimers;
pub use ringmain_ring::{Refused, Rung, ladder};

/// Runs `body` to its end on the first of `rungs` that this thread can build.
///
/// `body` is told the rung and every refusal before it.
///
/// # Errors
/// Every refusal when no rung could be built.
pub fn run<F: Future>(
    rungs: &[Rung],
    entries: u32,
    body: impl FnOnce(Rung, &[Refused]) -> F,
) -> Result<F::Output, Vec<Refused>> {
    ringmain_ring::run::<WithTimers, F>(rungs, entries, body)
}
