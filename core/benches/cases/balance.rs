//! A pick among ten endpoints.

use std::{hint::black_box, sync::Arc};

use ringmain_core::{
    balance::{POLICIES, State},
    snapshot::{Endpoint, Endpoints},
};

use super::Run;

pub(super) fn pick(policy: usize) -> Run {
    picks(policy, |_| 1)
}

pub(super) fn pick_weighted(policy: usize) -> Run {
    picks(policy, |endpoint| u32::from(endpoint) + 1)
}

fn picks(policy: usize, weight: fn(u8) -> u32) -> Run {
    let endpoint = |number: u8| Endpoint {
        address: ([127, 0, 0, number], 80).into(),
        weight: weight(number),
        is_in_mesh: false,
        workload: Arc::default(),
    };
    let endpoints = Endpoints::new(1, (0..10).map(endpoint));
    let mut state = State::new(POLICIES[policy]);
    let active = [3_u32, 1, 4, 1, 5, 9, 2, 6, 5, 3];
    let mut random = super::hosts::random();
    Box::new(move |times| {
        for _ in 0..times {
            let active = black_box(&active);
            let picked = state.pick(&endpoints, Some(1), |at| active[at], |_| false, &mut random);
            black_box(picked);
        }
    })
}
