//! When the process gives memory back that it has freed.
//!
//! The allocator holds what was freed, and a proxy frees much at once in two cases: when
//! connections have gone quiet, and when a configuration was compiled. Giving it back takes a
//! moment, so it is done once things have calmed down: never while buffers come and go under load,
//! and never between two configurations that follow each other closely.

use std::sync::Arc;

use crate::{io::memory, metrics::WorkerCounters};

/// Fewer buffers than that are not worth the work.
const BUFFERS_MIN: u64 = 64;

/// Watches what the workers hold.
pub struct Memory {
    workers: Vec<Arc<WorkerCounters>>,
    watch: Watch,
    has_started: bool,
}

impl Memory {
    /// Of a process with these workers.
    pub fn new(workers: Vec<Arc<WorkerCounters>>) -> Self {
        Self {
            workers,
            watch: Watch::default(),
            has_started: false,
        }
    }

    /// A configuration was compiled, and the one before it will be freed.
    pub fn configured(&mut self) {
        self.watch.is_configured = true;
    }

    /// To be called every second.
    pub fn tick(&mut self) {
        let held = |counters: &Arc<WorkerCounters>| {
            counters.buffers_in_use.value() + counters.buffers_spare.value()
        };
        if self.watch.is_due(self.workers.iter().map(held).sum()) {
            memory::give_back();
            if !std::mem::replace(&mut self.has_started, true) {
                memory::unmap_code();
            }
        }
    }
}

/// The decision.
#[derive(Debug, Default)]
struct Watch {
    /// The most buffers since memory was given back.
    most: u64,
    /// At the last look.
    before: u64,
    is_configured: bool,
    /// As [`Self::is_configured`], a look ago.
    was_configured: bool,
}

impl Watch {
    /// Whether memory is to be given back now that the workers hold `held` buffers.
    fn is_due(&mut self, held: u64) -> bool {
        self.most = self.most.max(held);
        let has_settled = held >= std::mem::replace(&mut self.before, held);
        let has_freed = self.most - held >= BUFFERS_MIN.max(self.most / 2);
        let is_configured = std::mem::take(&mut self.is_configured);
        let was_configured = std::mem::replace(&mut self.was_configured, is_configured);
        if (has_freed && has_settled) || (was_configured && !is_configured) {
            self.most = held;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;

    /// Each step: buffers held, whether a configuration came before it, whether memory is given
    /// back.
    fn check(steps: &[(u64, bool, bool)]) {
        let mut watch = Watch::default();
        for (index, &(held, is_configured, expected)) in steps.iter().enumerate() {
            watch.is_configured |= is_configured;
            assert_eq!(watch.is_due(held), expected, "step {index} of {steps:?}");
        }
    }

    #[test]
    fn connections_that_have_gone_quiet() {
        // Under load, and while it ebbs, nothing; once afterwards.
        check(&[
            (1000, false, false),
            (900, false, false),
            (1000, false, false),
            (600, false, false),
            (10, false, false),
            (10, false, true),
            (10, false, false),
        ]);
        // Too few to matter.
        check(&[(60, false, false), (0, false, false), (0, false, false)]);
    }

    #[test]
    fn configurations() {
        check(&[
            (0, true, false),
            (0, true, false),
            (0, false, true),
            (0, false, false),
        ]);
    }
}
