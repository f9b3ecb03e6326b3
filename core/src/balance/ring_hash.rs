//! `consistentHash.ringHash`: endpoints have places on a ring of hashes, as many as their weights
//! say, and a request goes to the next place from its own hash on.
//!
//! When an endpoint comes or goes, only keys move that come to it or were its own: how many places
//! the others have does not follow from how many endpoints there are, but for steps in which it
//! doubles.

use super::hash::of_address;
use crate::snapshot::Endpoint;

/// Envoy's `maximum_ring_size`.
pub const ENTRIES_MAX: u64 = 8 << 20;
/// Places of the lightest endpoint, at least: weights 2 and 3 cannot be told apart with fewer.
const PLACES_MIN: u64 = 8;
/// Very unequal weights make a ring so many times larger than asked for. A place takes 12 bytes.
const GROWTH_MAX: u64 = 16;

#[derive(Debug)]
pub(crate) struct Ring {
    /// In ascending order.
    hashes: Box<[u64]>,
    /// Whose place each is.
    endpoints: Box<[u32]>,
}

impl Ring {
    /// `endpoints` are at least one. `entries_min` is 1 to [`ENTRIES_MAX`].
    pub(super) fn new(endpoints: &[Endpoint], entries_min: u64) -> Self {
        let weights = endpoints.iter().map(|to| u128::from(to.weight.max(1)));
        let sum: u128 = weights.clone().sum();
        let lightest = weights.clone().min().unwrap_or(1);
        let entries_min = entries_min.clamp(1, ENTRIES_MAX);
        let of_lightest = (lightest * u128::from(entries_min)).div_ceil(sum);
        let of_lightest = of_lightest.max(u128::from(PLACES_MIN)).next_power_of_two();
        let size = of_lightest * sum / lightest;
        let size_max = u128::from((entries_min * GROWTH_MAX).min(ENTRIES_MAX));
        let own = |weight: u128| match size <= size_max {
            true => (of_lightest * weight + lightest / 2) / lightest,
            false => (size_max * weight / sum).max(1),
        };

        let mut places = Vec::with_capacity(size.min(size_max) as usize + endpoints.len());
        for ((endpoint, weight), index) in endpoints.iter().zip(weights).zip(0_u32..) {
            let own = 0..own(weight) as u64;
            places.extend(own.map(|place| (of_address(endpoint.address, place), index)));
        }
        places.sort_unstable();
        Self {
            hashes: places.iter().map(|(hash, _)| *hash).collect(),
            endpoints: places.iter().map(|(_, endpoint)| *endpoint).collect(),
        }
    }

    /// The endpoints whose places follow `hash`, once around.
    pub(super) fn from(&self, hash: u64) -> impl Iterator<Item = usize> {
        let start = self.hashes.partition_point(|place| *place < hash);
        let (before, behind) = self.endpoints.split_at(start);
        let around = behind.iter().chain(before);
        around.map(|endpoint| *endpoint as usize)
    }
}
