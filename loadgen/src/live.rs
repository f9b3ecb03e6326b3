//! Counts of a worker that another thread may look at while it works.
//!
//! Only the worker writes, with plain loads and stores, so that counting costs it next to nothing.
//! A reader may see one count a moment before another; nothing is derived from their agreement.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A latency's place among [`BUCKETS`]: to within 1/64 of its value.
///
/// Units are 256 ns. Up to 2^7 of them each has a bucket of its own, then every power of two has
/// 64.
const UNIT_BITS: u32 = 8;
const LINEAR_BITS: u32 = 7;
const PART_BITS: u32 = 6;
/// Up to 2^34 units, which is more than an hour.
const BUCKETS: usize = (1 << LINEAR_BITS) + ((34 - LINEAR_BITS as usize) << PART_BITS);

/// Counts of one worker since the end of the warm-up.
#[derive(Debug)]
pub(crate) struct Live {
    requests: AtomicU64,
    errors: AtomicU64,
    refused: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    latency: [AtomicU32; BUCKETS],
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            latency: [const { AtomicU32::new(0) }; BUCKETS],
        }
    }

    /// A complete answer. Only the owner may call it.
    pub(crate) fn answered(&self, latency_nanos: u64, is_refusal: bool) {
        add(&self.requests, 1);
        if is_refusal {
            add(&self.refused, 1);
        }
        let bucket = &self.latency[bucket(latency_nanos)];
        bucket.store(bucket.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Bytes that were sent and received. Only the owner may call it.
    pub(crate) fn moved(&self, bytes_in: u64, bytes_out: u64) {
        add(&self.bytes_in, bytes_in);
        add(&self.bytes_out, bytes_out);
    }

    /// A request without an answer. Only the owner may call it.
    pub(crate) fn failed(&self) {
        add(&self.requests, 1);
        add(&self.errors, 1);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed) + count, Relaxed);
}

/// What workers had counted at one time, added up.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    /// Answers whose status is not from 200 to 399.
    pub(crate) refused: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    latency: Vec<u32>,
}

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self {
            requests: 0,
            errors: 0,
            refused: 0,
            bytes_in: 0,
            bytes_out: 0,
            latency: vec![0; BUCKETS],
        }
    }

    pub(crate) fn add(&mut self, live: &Live) {
        self.requests += live.requests.load(Relaxed);
        self.errors += live.errors.load(Relaxed);
        self.refused += live.refused.load(Relaxed);
        self.bytes_in += live.bytes_in.load(Relaxed);
        self.bytes_out += live.bytes_out.load(Relaxed);
        for (mine, theirs) in self.latency.iter_mut().zip(&live.latency) {
            *mine = mine.wrapping_add(theirs.load(Relaxed));
        }
    }

    /// What was counted after `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let latency = self.latency.iter().zip(&earlier.latency);
        Self {
            requests: self.requests - earlier.requests,
            errors: self.errors - earlier.errors,
            refused: self.refused - earlier.refused,
            bytes_in: self.bytes_in - earlier.bytes_in,
            bytes_out: self.bytes_out - earlier.bytes_out,
            // Counts wrap around after 4 billion; the difference of two looks does not.
            latency: latency
                .map(|(now, before)| now.wrapping_sub(*before))
                .collect(),
        }
    }

    /// Latency that the share `quantile` of the answers did not exceed; `None` without answers.
    pub(crate) fn latency_at(&self, quantile: f64) -> Option<Duration> {
        let total: u64 = self.latency.iter().map(|&count| u64::from(count)).sum();
        let rank = ((total as f64 * quantile).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        for (index, &count) in self.latency.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return Some(Duration::from_nanos(middle(index)));
            }
        }
        None
    }
}

fn bucket(nanos: u64) -> usize {
    let units = nanos >> UNIT_BITS;
    if units < 1 << LINEAR_BITS {
        return units as usize;
    }
    let exponent = units.ilog2();
    let part = (units >> (exponent - PART_BITS)) as usize & ((1 << PART_BITS) - 1);
    let octave = (exponent - LINEAR_BITS) as usize;
    ((1 << LINEAR_BITS) + (octave << PART_BITS) + part).min(BUCKETS - 1)
}

/// Nanoseconds in the middle of a bucket.
fn middle(index: usize) -> u64 {
    let index = index as u64;
    let (start, width) = match index.checked_sub(1 << LINEAR_BITS) {
        None => (index, 1),
        Some(rest) => {
            let octave = rest >> PART_BITS;
            let part = rest & ((1 << PART_BITS) - 1);
            let width = 1 << (octave + u64::from(LINEAR_BITS - PART_BITS));
            (((1 << PART_BITS) + part) * width, width)
        }
    };
    (start << UNIT_BITS) + (width << UNIT_BITS) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_snapshot_is_the_sum_of_all_and_a_difference_the_part_between() {
        let (one, other) = (Live::new(), Live::new());
        one.answered(1_000_000, false);
        one.moved(10, 20);
        let sum = || {
            let mut snapshot = Snapshot::empty();
            snapshot.add(&one);
            snapshot.add(&other);
            snapshot
        };
        let first = sum();
        assert_eq!((first.requests, first.errors, first.refused), (1, 0, 0));
        other.answered(9_000_000, true);
        other.failed();
        let part = sum().since(&first);
        assert_eq!((part.requests, part.errors, part.refused), (2, 1, 1));
        assert_eq!((part.bytes_in, part.bytes_out), (0, 0));
        let p99 = part.latency_at(0.99).unwrap();
        assert!(p99.abs_diff(Duration::from_millis(9)) < Duration::from_micros(90));
        assert_eq!(first.since(&first).latency_at(0.5), None);
    }

    #[test]
    fn quantiles() {
        let live = Live::new();
        for millis in 1..=100 {
            live.answered(millis * 1_000_000, false);
        }
        let mut snapshot = Snapshot::empty();
        snapshot.add(&live);
        for (quantile, millis) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = snapshot.latency_at(quantile).unwrap().as_secs_f64() * 1e3;
            assert!((found / millis - 1.0).abs() < 0.01, "{quantile}: {found}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_is_near_its_middle(nanos in 0..1u64 << 41) {
            let found = middle(bucket(nanos));
            prop_assert!(found.abs_diff(nanos) <= (nanos >> 7) + 128, "{nanos}: {found}");
        }

        #[test]
        fn longer_is_never_in_an_earlier_bucket(nanos in any::<u64>()) {
            prop_assert!(bucket(nanos) <= bucket(nanos.saturating_add(nanos / 64 + 256)));
            prop_assert!(bucket(nanos) < BUCKETS);
        }
    }
}
