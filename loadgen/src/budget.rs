//! An exact number of requests, shared by workers that must not wait for each other.
//!
//! Workers lease requests in batches. Batches get smaller towards the end, so that no worker holds
//! many when the others have none.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A batch is small enough that the last ones of all workers end at about the same time.
const BATCH_MAX: u64 = 64;
const BATCHES_LEFT: u64 = 16;

/// What one worker may still send.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Not leased yet; `None` when there is no limit.
    shared: Option<Arc<AtomicU64>>,
    workers: u64,
    leased: Cell<u64>,
}

impl Budget {
    pub(crate) fn new(shared: Option<Arc<AtomicU64>>, workers: usize) -> Self {
        Self {
            shared,
            workers: workers as u64,
            leased: Cell::new(0),
        }
    }

    /// One request more; false when all have been given out.
    pub(crate) fn take(&self) -> bool {
        let Some(shared) = &self.shared else {
            return true;
        };
        if self.leased.get() == 0 {
            self.leased.set(self.lease(shared));
        }
        match self.leased.get().checked_sub(1) {
            Some(left) => {
                self.leased.set(left);
                true
            }
            None => false,
        }
    }

    fn lease(&self, shared: &AtomicU64) -> u64 {
        let batch = |left: u64| {
            (left / (self.workers * BATCHES_LEFT))
                .clamp(1, BATCH_MAX)
                .min(left)
        };
        let before = shared.fetch_update(Relaxed, Relaxed, |left| Some(left - batch(left)));
        batch(before.expect("the update always has a value"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_together_get_all_and_no_more() {
        for requests in [0, 1, 7, 63, 64, 10_000] {
            for workers in [1, 2, 3, 8] {
                let shared = Arc::new(AtomicU64::new(requests));
                let taken: u64 = std::thread::scope(|scope| {
                    let threads: Vec<_> = (0..workers)
                        .map(|_| {
                            let budget = Budget::new(Some(Arc::clone(&shared)), workers);
                            scope.spawn(move || (0..).take_while(|_: &u64| budget.take()).count())
                        })
                        .collect();
                    threads
                        .into_iter()
                        .map(|thread| thread.join().unwrap() as u64)
                        .sum()
                });
                assert_eq!(taken, requests, "{workers} workers");
            }
        }
    }

    #[test]
    fn without_a_limit_there_is_always_one_more() {
        let budget = Budget::new(None, 1);
        assert!((0..1000).all(|_| budget.take()));
    }
}
