//! Drawing one endpoint at random, by weight, among those that are not excluded.

use crate::snapshot::Endpoints;

/// Draws that may hit an excluded endpoint before all endpoints are looked at. With half of them
/// excluded, one draw of 16 comes to that.
const TRIES: usize = 4;

/// Each endpoint that is not excluded is drawn with its share of their weights. `None` when all are
/// excluded.
pub(super) fn draw(
    endpoints: &Endpoints,
    is_excluded: &impl Fn(usize) -> bool,
    random: &mut impl FnMut() -> u64,
) -> Option<usize> {
    (0..TRIES)
        .map(|_| among_all(endpoints, random()))
        .find(|drawn| !is_excluded(*drawn))
        .or_else(|| among_left(endpoints, is_excluded, random))
}

fn among_all(endpoints: &Endpoints, random: u64) -> usize {
    match endpoints.weights_upto() {
        None => below(endpoints.len() as u64, random) as usize,
        Some(upto) => {
            let sum = upto.last().copied().unwrap_or(1);
            let point = below(sum, random);
            upto.partition_point(|upto| *upto <= point)
        }
    }
}

/// Looks at every endpoint, twice.
fn among_left(
    endpoints: &Endpoints,
    is_excluded: &impl Fn(usize) -> bool,
    random: &mut impl FnMut() -> u64,
) -> Option<usize> {
    let left = || {
        let weights = endpoints.iter().map(|endpoint| u64::from(endpoint.weight));
        weights
            .enumerate()
            .filter(|(index, _)| !is_excluded(*index))
    };
    let sum: u64 = left().map(|(_, weight)| weight).sum();
    let mut point = below(sum, random());
    for (index, weight) in left() {
        if point < weight {
            return Some(index);
        }
        point -= weight;
    }
    None
}

/// Evenly distributed below `end`, up to `end` / 2^64.
fn below(end: u64, random: u64) -> u64 {
    ((u128::from(random) * u128::from(end)) >> 64) as u64
}
