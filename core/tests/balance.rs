//! What holds for every balancing policy.

use std::{collections::HashMap, net::SocketAddr};

use proptest::prelude::*;
use ringmain_config::cluster::Balancer;
use ringmain_core::{
    balance::{POLICIES, State},
    snapshot::{Endpoint, Endpoints},
};

fn endpoints(id: u64, weights: &[u32], policy: Balancer) -> Endpoints {
    let endpoints = weights.iter().zip(1..).map(|(weight, port)| Endpoint {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        weight: *weight,
        is_in_mesh: false,
        workload: Default::default(),
    });
    Endpoints::new(id, endpoints).for_balancer(policy)
}

/// splitmix64: any seed gives an even sequence.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn policies() -> impl Strategy<Value = Balancer> {
    let policies = POLICIES.map(|policy| match policy {
        // Small tables are made in no time and have collisions.
        Balancer::RingHash { .. } => Balancer::RingHash { entries_min: 16 },
        Balancer::Maglev { .. } => Balancer::Maglev { entries: 23 },
        Balancer::LeastRequest | Balancer::RoundRobin | Balancer::Random => policy,
    });
    prop::sample::select(policies.to_vec())
}

fn weights() -> impl Strategy<Value = Vec<u32>> {
    let weight = prop_oneof![Just(1), 1..5_u32, Just(u32::MAX), 1..=u32::MAX];
    let equal = (1..5_u32, 0..20_usize).prop_map(|(weight, count)| vec![weight; count]);
    prop_oneof![prop::collection::vec(weight, 0..20), equal]
}

proptest! {
    #[test]
    fn never_excluded_and_none_only_when_none_is_left(
        policy in policies(),
        weights in weights(),
        excluded in prop::collection::vec(any::<bool>(), 20),
        active in prop::collection::vec(0..4_u32, 20),
        hashes in prop::collection::vec(any::<Option<u64>>(), 50),
        seed: u64,
    ) {
        let endpoints = endpoints(1, &weights, policy);
        let mut state = State::new(policy);
        let mut random = random(seed);
        let is_left = excluded[..weights.len()].contains(&false);
        for hash in hashes {
            let is_excluded = |at: usize| excluded[at];
            let picked = state.pick(&endpoints, hash, |at| active[at], is_excluded, &mut random);
            prop_assert_eq!(picked.is_some(), is_left);
            if let Some(picked) = picked {
                prop_assert!(picked < weights.len());
                prop_assert!(!excluded[picked]);
            }
        }
    }

    #[test]
    fn same_seed_same_picks(policy in policies(), weights in weights(), seed: u64) {
        let endpoints = endpoints(1, &weights, policy);
        let run = || {
            let mut state = State::new(policy);
            let mut random = random(seed);
            let hash = |at: u64| at.is_multiple_of(2).then_some(at << 56);
            let picks = (0..50)
                .map(|at| state.pick(&endpoints, hash(at), |_| 0, |_| false, &mut random));
            picks.collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    /// The list may change between any two picks.
    #[test]
    fn follows_its_endpoints(
        policy in policies(),
        lists in prop::collection::vec(weights(), 1..10),
        seed: u64,
    ) {
        let mut state = State::new(policy);
        let mut random = random(seed);
        for (weights, id) in lists.iter().zip(0..) {
            let endpoints = endpoints(id, weights, policy);
            for at in 0..5_u64 {
                let hash = at.is_multiple_of(2).then_some(at << 56);
                let picked = state.pick(&endpoints, hash, |_| 0, |_| false, &mut random);
                prop_assert_eq!(picked.is_some(), !weights.is_empty());
                prop_assert!(picked.is_none_or(|picked| picked < weights.len()));
            }
        }
    }
}

/// Shares of `picks` picks must be those of the weights, within `tolerance` of all picks.
fn check_shares(policy: Balancer, weights: &[u32], excluded: &[usize], tolerance: f64) {
    const PICKS: u32 = 10_000;
    let endpoints = endpoints(1, weights, policy);
    let mut state = State::new(policy);
    let mut random = random(7);
    let mut counts: HashMap<usize, u32> = HashMap::new();
    for _ in 0..PICKS {
        let is_excluded = |at: usize| excluded.contains(&at);
        let picked = state
            .pick(&endpoints, None, |_| 0, is_excluded, &mut random)
            .expect("not all are excluded");
        *counts.entry(picked).or_default() += 1;
    }
    let left = || (0..weights.len()).filter(|at| !excluded.contains(at));
    let sum: f64 = left().map(|at| f64::from(weights[at])).sum();
    for at in left() {
        let expected = f64::from(weights[at]) / sum;
        let found = f64::from(counts.get(&at).copied().unwrap_or(0)) / f64::from(PICKS);
        assert!(
            (found - expected).abs() <= tolerance,
            "{policy:?} {weights:?} without {excluded:?}: {at} has {found}, not {expected}"
        );
    }
}

#[test]
fn shares_are_those_of_the_weights() {
    for policy in POLICIES {
        for (weights, excluded) in [
            (vec![1, 1, 1, 1], vec![]),
            (vec![1, 1, 1, 1], vec![2]),
            (vec![1, 3], vec![]),
            (vec![90, 10], vec![]),
            (vec![5, 1, 1], vec![]),
            (vec![5, 1, 3], vec![0]),
            (vec![100, 1, 3, 2], vec![0, 3]),
            (vec![u32::MAX, u32::MAX / 2], vec![]),
            (vec![1; 30], (0..28).collect()),
        ] {
            check_shares(policy, &weights, &excluded, 0.015);
        }
    }
}

/// In turn means: after every pick, each endpoint has its share up to one.
#[test]
fn round_robin_is_smooth() {
    for weights in [vec![1, 1, 1], vec![5, 1, 1], vec![3, 2, 7, 1]] {
        let endpoints = endpoints(1, &weights, Balancer::RoundRobin);
        let mut state = State::new(Balancer::RoundRobin);
        let mut random = random(3);
        let sum: u32 = weights.iter().sum();
        let mut counts = vec![0_u32; weights.len()];
        for picks in 1..=10 * sum {
            counts[state
                .pick(&endpoints, None, |_| 0, |_| false, &mut random)
                .unwrap()] += 1;
            for (count, weight) in counts.iter().zip(&weights) {
                let share = f64::from(picks * weight) / f64::from(sum);
                let off = (f64::from(*count) - share).abs();
                assert!(off < 2.0, "{weights:?} after {picks}: {counts:?}");
            }
        }
    }
}

/// Workers that start together must not all begin with the same endpoint.
#[test]
fn round_robin_begins_anywhere() {
    for weights in [vec![1; 4], vec![1, 2, 2, 1]] {
        let endpoints = endpoints(1, &weights, Balancer::RoundRobin);
        let first = |seed| {
            let mut state = State::new(Balancer::RoundRobin);
            state
                .pick(&endpoints, None, |_| 0, |_| false, &mut random(seed))
                .unwrap()
        };
        let firsts: std::collections::HashSet<usize> = (0..64).map(first).collect();
        assert_eq!(firsts.len(), 4, "{weights:?}");
    }
}

/// Requests that never end must spread as the weights say, and no endpoint may fall behind.
#[test]
fn least_request_evens_out_the_load() {
    for weights in [vec![1; 10], vec![1, 2, 3, 4]] {
        let endpoints = endpoints(1, &weights, Balancer::LeastRequest);
        let mut state = State::new(Balancer::LeastRequest);
        let mut random = random(11);
        let mut active = vec![0_u32; weights.len()];
        let sum: u32 = weights.iter().sum();
        for _ in 0..1000 * sum {
            let picked = state.pick(&endpoints, None, |at| active[at], |_| false, &mut random);
            active[picked.unwrap()] += 1;
        }
        for (active, weight) in active.iter().zip(&weights) {
            let expected = 1000 * weight;
            assert!(
                active.abs_diff(expected) <= expected / 50,
                "{weights:?}: {active}"
            );
        }
    }
}

/// An endpoint that is slow has more active requests and so gets fewer new ones.
#[test]
fn least_request_avoids_the_busy() {
    let endpoints = endpoints(1, &[1, 1], Balancer::LeastRequest);
    let mut state = State::new(Balancer::LeastRequest);
    let mut random = random(5);
    for _ in 0..100 {
        let picked = state.pick(&endpoints, None, |at| [9, 8][at], |_| false, &mut random);
        assert_eq!(picked, Some(1));
    }
}

#[test]
fn repeated_addresses_count_once() {
    let twice = |weight| Endpoint {
        address: SocketAddr::from(([127, 0, 0, 1], 1)),
        weight,
        is_in_mesh: false,
        workload: Default::default(),
    };
    let endpoints = Endpoints::new(1, [twice(2), twice(3)]);
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0].weight, 2);
}

const HASHING: [Balancer; 4] = [
    Balancer::RingHash { entries_min: 1024 },
    Balancer::RingHash { entries_min: 64 },
    Balancer::Maglev { entries: 65_537 },
    Balancer::Maglev { entries: 101 },
];

/// The endpoint of each hash, without those that are excluded.
fn hashed(endpoints: &Endpoints, policy: Balancer, excluded: &[usize]) -> Vec<usize> {
    let mut state = State::new(policy);
    let mut no_draw = || panic!("a hash decides alone");
    let mut random = random(1);
    let picks = (0..20_000).map(|_| {
        let is_excluded = |at: usize| excluded.contains(&at);
        let hash = Some(random());
        state.pick(endpoints, hash, |_| 0, is_excluded, &mut no_draw)
    });
    picks
        .map(|picked| picked.expect("not all are excluded"))
        .collect()
}

/// Only keys of an excluded endpoint go elsewhere, and they spread over the others.
#[test]
fn an_excluded_endpoint_moves_only_its_keys() {
    for policy in HASHING {
        let endpoints = endpoints(1, &[1; 6], policy);
        let before = hashed(&endpoints, policy, &[]);
        let after = hashed(&endpoints, policy, &[2]);
        let mut heirs = std::collections::HashSet::new();
        for (before, after) in before.iter().zip(&after) {
            match before {
                2 => heirs.extend([*after]),
                _ => assert_eq!(before, after, "{policy:?}"),
            }
        }
        assert!(
            heirs.len() > 1 && !heirs.contains(&2),
            "{policy:?}: {heirs:?}"
        );
    }
}

/// An endpoint that is gone for good: a ring moves nothing but its keys, a table little else.
#[test]
fn a_removed_endpoint_moves_few_keys() {
    for (policy, others_max) in [
        (Balancer::RingHash { entries_min: 1024 }, 0),
        (Balancer::Maglev { entries: 65_537 }, 1000),
    ] {
        let six = endpoints(1, &[1; 6], policy);
        let five = endpoints(2, &[1; 5], policy);
        let moved = hashed(&six, policy, &[])
            .into_iter()
            .zip(hashed(&five, policy, &[]));
        let others = moved.filter(|(before, after)| *before != 5 && before != after);
        let others = others.count();
        assert!(others <= others_max, "{policy:?}: {others} of 20000");
    }
}

#[test]
fn hashes_spread_by_weight() {
    for (policy, tolerance) in [
        (
            Balancer::RingHash {
                entries_min: 1 << 16,
            },
            0.02,
        ),
        (Balancer::Maglev { entries: 65_537 }, 0.02),
    ] {
        for weights in [vec![1; 4], vec![90, 10], vec![5, 1, 3], vec![1, 1000]] {
            let picks = hashed(&endpoints(1, &weights, policy), policy, &[]);
            let sum: u32 = weights.iter().sum();
            for (at, weight) in weights.iter().enumerate() {
                let count = picks.iter().filter(|picked| **picked == at).count();
                let found = count as f64 / picks.len() as f64;
                let expected = f64::from(*weight) / f64::from(sum);
                let off = (found - expected).abs();
                assert!(off < tolerance, "{policy:?} {weights:?}: {at} has {found}");
            }
        }
    }
}

/// Every proxy sends a key to the same endpoint, in whatever order it knows them.
#[test]
fn the_order_of_endpoints_does_not_matter() {
    let at = |port: u16| Endpoint {
        address: SocketAddr::from(([10, 0, 0, 1], port)),
        weight: 1,
        is_in_mesh: false,
        workload: Default::default(),
    };
    for policy in HASHING {
        let forth = Endpoints::new(1, (1..6).map(at)).for_balancer(policy);
        let back = Endpoints::new(2, (1..6).rev().map(at)).for_balancer(policy);
        let ports = |endpoints: &Endpoints| -> Vec<u16> {
            let picks = hashed(endpoints, policy, &[]);
            picks
                .iter()
                .map(|at| endpoints[*at].address.port())
                .collect()
        };
        assert!(ports(&forth) == ports(&back), "{policy:?}");
    }
}
