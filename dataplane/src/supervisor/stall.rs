//! Which workers have stopped to turn: nothing on such a core is served, and nobody else notices.
//!
//! Every worker counts the seconds in which its loop has turned; the supervisor looks once a second
//! whether the count has moved. Looks are counted rather than time, so that a process that was
//! stopped and goes on is no stall.

use std::sync::Arc;

use crate::metrics::WorkerCounters;

/// A worker whose count stands still for so many looks is stalled.
const LOOKS: u32 = 5;

/// Watches the workers' counts.
pub struct Stalls {
    counters: Vec<Arc<WorkerCounters>>,
    watches: Vec<Watch>,
}

impl Stalls {
    /// Of workers that count here, in their order.
    pub fn new(counters: Vec<Arc<WorkerCounters>>) -> Self {
        let watches = counters.iter().map(|_| Watch::default()).collect();
        Self { counters, watches }
    }

    /// To be called every second; says so in the log when a worker stalls or goes on. Those that
    /// are stalled now.
    pub fn tick(&mut self) -> Vec<usize> {
        for (index, (counters, watch)) in self.counters.iter().zip(&mut self.watches).enumerate() {
            match watch.look(counters.turns.value()) {
                Some(Change::Stalled) => tracing::error!(
                    "worker {index} has not turned its loop for {LOOKS} s: its connections are not \
                     served; this is a defect unless the machine is out of CPU: please report it \
                     with the stack of the thread worker-{index}"
                ),
                Some(Change::Turns) => tracing::warn!("worker {index} turns its loop again"),
                None => {}
            }
        }
        let watches = self.watches.iter().enumerate();
        let stalled = watches.filter(|(_, watch)| watch.is_stalled());
        stalled.map(|(index, _)| index).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Stalled,
    Turns,
}

#[derive(Debug, Default)]
struct Watch {
    /// At the last look.
    turns: u64,
    /// Looks since it moved.
    still: u32,
}

impl Watch {
    fn look(&mut self, turns: u64) -> Option<Change> {
        let was_stalled = self.is_stalled();
        self.still = match turns == self.turns {
            true => self.still.saturating_add(1),
            false => 0,
        };
        self.turns = turns;
        match (was_stalled, self.is_stalled()) {
            (false, true) => Some(Change::Stalled),
            (true, false) => Some(Change::Turns),
            _ => None,
        }
    }

    fn is_stalled(&self) -> bool {
        self.still >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Change, LOOKS, Stalls, Watch};
    use crate::metrics::WorkerCounters;

    #[test]
    fn a_count_that_stands_still_is_a_stall_once() {
        let mut watch = Watch::default();
        for turns in 1..10 {
            assert_eq!(watch.look(turns), None);
        }
        for _ in 1..LOOKS {
            assert_eq!(watch.look(9), None);
        }
        assert_eq!(watch.look(9), Some(Change::Stalled));
        assert_eq!(watch.look(9), None, "said once");
        assert!(watch.is_stalled());
        assert_eq!(watch.look(10), Some(Change::Turns));
        assert_eq!(watch.look(11), None);
    }

    #[test]
    fn the_one_that_stands_still_is_named() {
        let counters: Vec<_> = (0..3).map(|_| Arc::<WorkerCounters>::default()).collect();
        let mut stalls = Stalls::new(counters.clone());
        let mut stalled = Vec::new();
        for _ in 0..LOOKS {
            counters[0].turns.increment();
            counters[2].turns.increment();
            stalled = stalls.tick();
        }
        assert_eq!(stalled, [1]);
        counters[1].turns.increment();
        assert!(stalls.tick().is_empty());
    }
}
