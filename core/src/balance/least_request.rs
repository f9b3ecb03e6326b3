//! `LEAST_REQUEST`, the default: the less loaded of two different endpoints drawn at random (the
//! power of two choices). Keeps no state.
//!
//! With unequal weights the two are drawn by weight and their load is active requests / weight. So
//! shares follow the weights when nothing is active, where a comparison of weight / (active + 1)
//! would send everything to the heavier of each two, and follow them under load as well.

use super::draw::draw;
use crate::snapshot::Endpoints;

pub(super) fn pick(
    endpoints: &Endpoints,
    active: impl Fn(usize) -> u32,
    is_excluded: impl Fn(usize) -> bool,
    random: &mut impl FnMut() -> u64,
) -> Option<usize> {
    let first = draw(endpoints, &is_excluded, random)?;
    let is_excluded = |index| index == first || is_excluded(index);
    let Some(second) = draw(endpoints, &is_excluded, random) else {
        return Some(first);
    };
    // first / its weight > second / its weight, without the division.
    let load =
        |index: usize, other: usize| u64::from(active(index)) * u64::from(endpoints[other].weight);
    match load(first, second) > load(second, first) {
        true => Some(second),
        false => Some(first),
    }
}
