//! `ROUND_ROBIN`: in turn, by weight.
//!
//! With unequal weights an endpoint of weight w has its turns at (o + k) / w for k = 0, 1, 2, …,
//! and the earliest turn is next: at every moment each endpoint has had its share up to one pick.
//! The offsets o are random, so that workers that start together do not all begin with the same
//! one. An excluded endpoint loses its turn to one that is drawn by weight, so the others keep
//! their proportions.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::draw::draw;
use crate::snapshot::Endpoints;

#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    /// Those that `turns` is for; `None` before the first pick.
    endpoints_id: Option<u64>,
    turns: Turns,
}

#[derive(Debug)]
enum Turns {
    /// All weights are equal.
    Equal {
        next: usize,
    },
    Weighted(BinaryHeap<Reverse<Turn>>),
}

impl Default for Turns {
    fn default() -> Self {
        Self::Equal { next: 0 }
    }
}

impl RoundRobin {
    pub(super) fn pick(
        &mut self,
        endpoints: &Endpoints,
        is_excluded: impl Fn(usize) -> bool,
        random: &mut impl FnMut() -> u64,
    ) -> Option<usize> {
        if self.endpoints_id != Some(endpoints.id()) {
            self.endpoints_id = Some(endpoints.id());
            self.turns = Turns::new(endpoints, random);
        }
        let next = self.turns.next(endpoints.len());
        match is_excluded(next) {
            true => draw(endpoints, &is_excluded, random),
            false => Some(next),
        }
    }
}

impl Turns {
    fn new(endpoints: &Endpoints, random: &mut impl FnMut() -> u64) -> Self {
        if endpoints.weights_upto().is_none() {
            let next = random() % endpoints.len() as u64;
            return Self::Equal {
                next: next as usize,
            };
        }
        let turns = endpoints.iter().enumerate().map(|(index, endpoint)| {
            Reverse(Turn {
                due: u128::from(random() >> 32),
                weight: endpoint.weight,
                index,
            })
        });
        Self::Weighted(turns.collect())
    }

    /// `count`, the number of endpoints, is not 0.
    fn next(&mut self, count: usize) -> usize {
        match self {
            Self::Equal { next } => {
                let index = *next;
                *next = (index + 1) % count;
                index
            }
            Self::Weighted(turns) => {
                let mut first = turns.peek_mut().expect("there is a turn for each endpoint");
                first.0.due += Turn::ROUND;
                first.0.index
            }
        }
    }
}

/// The next turn of an endpoint.
#[derive(Debug)]
struct Turn {
    /// When, in units of 1 / ([`Self::ROUND`] * weight). Grows by one round per pick: 2^64 picks
    /// fit beside the factor of the comparison.
    due: u128,
    weight: u32,
    index: usize,
}

impl Turn {
    const ROUND: u128 = 1 << 32;
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let left = self.due * u128::from(other.weight);
        let right = other.due * u128::from(self.weight);
        left.cmp(&right).then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Turn {}
