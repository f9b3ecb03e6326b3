//! Numbers that one thread writes and others read.
//!
//! The writer loads and stores, relaxed: no read-modify-write, so counting costs what an ordinary
//! addition does and never waits for another core. Writing the same one from two threads loses
//! counts; who owns which is said where they are handed out. A reader sees a value that was true a
//! moment ago, and never one that goes back.

use std::sync::atomic::{AtomicU64, Ordering};

use ringmain_core::metrics::BUCKETS;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Its owner's thread only.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `count`. Its owner's thread only.
    pub fn add(&self, count: u64) {
        let value = self.0.load(Ordering::Relaxed);
        self.0.store(value.wrapping_add(count), Ordering::Relaxed);
    }

    /// Its value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows and shrinks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds one. Its owner's thread only.
    pub fn increment(&self) {
        self.set(self.value() + 1);
    }

    /// Takes one away. Its owner's thread only.
    pub fn decrement(&self) {
        debug_assert_ne!(self.value(), 0, "more ended than began");
        self.set(self.value().saturating_sub(1));
    }

    /// Its owner's thread only.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a value fell into each bucket, and the sum of all values.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    buckets: [Counter; BUCKETS],
    sum: Counter,
}

impl Histogram {
    pub(super) fn observe(&self, bucket: usize, value: u64) {
        self.buckets[bucket].increment();
        self.sum.add(value);
    }
}

/// What a [`Histogram`] held when it was read, or several of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramTotals {
    /// Not cumulative; the last has no bound.
    pub buckets: [u64; BUCKETS],
    /// In the unit that was observed: microseconds or bytes.
    pub sum: u64,
}

impl HistogramTotals {
    /// How many values were observed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn read(&mut self, histogram: &Histogram) {
        for (total, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total += bucket.value();
        }
        self.sum = self.sum.wrapping_add(histogram.sum.value());
    }
}
