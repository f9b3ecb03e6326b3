//! `consistentHash.maglev`: a table of a prime number of places that the endpoints fill in turn, by
//! weight, each in an order of its own; a request goes to the place at its hash.
//!
//! See Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4.
//! Shares are exact up to one place. When an endpoint comes or goes, nearly only keys move that
//! come to it or were its own.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::hash::of_address;
use crate::snapshot::Endpoint;

/// Envoy's limit on `table_size`.
pub const ENTRIES_MAX: u64 = 5_000_011;

#[derive(Debug)]
pub(crate) struct Maglev {
    /// Whose place each is.
    endpoints: Box<[u32]>,
}

/// The order in which an endpoint takes places: `next`, then every `skip` further, around.
struct Order {
    next: u64,
    skip: u64,
}

/// A turn of an endpoint; the earliest is next. Ordered by its fields.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Rounds until then: in each, the heaviest endpoint has a turn, and others that are due.
    round: u64,
    /// Of the endpoint, among all by address: the order of a list must not matter.
    rank: usize,
    /// Turns that the endpoint had before it.
    before: u64,
}

const NOBODY: u32 = u32::MAX;

impl Maglev {
    /// `endpoints` are at least one. `entries` is a prime number up to [`ENTRIES_MAX`].
    pub(super) fn new(endpoints: &[Endpoint], entries: u64) -> Self {
        let entries = entries.clamp(2, ENTRIES_MAX);
        let heaviest = endpoints.iter().map(|to| to.weight).max();
        let heaviest = u64::from(heaviest.unwrap_or(1));
        let mut ranks: Vec<(&Endpoint, u32)> = endpoints.iter().zip(0..).collect();
        ranks.sort_unstable_by_key(|(endpoint, _)| endpoint.address);
        let orders = ranks.iter().map(|(endpoint, _)| Order {
            next: of_address(endpoint.address, 0) % entries,
            skip: of_address(endpoint.address, 1) % (entries - 1) + 1,
        });
        let mut orders: Vec<Order> = orders.collect();
        let first = (0..ranks.len()).map(|rank| Turn {
            round: 0,
            rank,
            before: 0,
        });
        let mut turns: BinaryHeap<Reverse<Turn>> = first.map(Reverse).collect();
        let mut places = vec![NOBODY; entries as usize];
        for _ in 0..entries {
            let Some(mut turn) = turns.peek_mut() else {
                break;
            };
            let turn = &mut turn.0;
            let (endpoint, index) = ranks[turn.rank];
            let place = orders[turn.rank].take(&places);
            places[place] = index;
            turn.before += 1;
            turn.round = (turn.before * heaviest).div_ceil(u64::from(endpoint.weight.max(1)));
        }
        Self {
            endpoints: places.into(),
        }
    }

    /// The endpoints of the places from that of `hash` on, once around. Neighbours are strangers.
    pub(super) fn from(&self, hash: u64) -> impl Iterator<Item = usize> {
        let start = (hash % self.endpoints.len() as u64) as usize;
        let (before, behind) = self.endpoints.split_at(start);
        let around = behind.iter().chain(before);
        around.map(|endpoint| *endpoint as usize)
    }
}

impl Order {
    /// The first place of its order that is free. There is one, and the order comes to each.
    fn take(&mut self, places: &[u32]) -> usize {
        let size = places.len() as u64;
        loop {
            let place = self.next as usize;
            self.next = (self.next + self.skip) % size;
            if places[place] == NOBODY {
                return place;
            }
        }
    }
}

/// For a table every place of which an order comes to.
pub fn is_prime(number: u64) -> bool {
    let mut divisors = (2..).take_while(|divisor: &u64| divisor.saturating_mul(*divisor) <= number);
    number >= 2 && !divisors.any(|divisor| number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES_MAX, is_prime};

    #[test]
    fn primes() {
        for prime in [2, 3, 5, 251, 65_537, ENTRIES_MAX] {
            assert!(is_prime(prime), "{prime}");
        }
        for other in [0, 1, 4, 9, 65_536, 65_539 * 65_539] {
            assert!(!is_prime(other), "{other}");
        }
    }
}
