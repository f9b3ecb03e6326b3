//! `RANDOM`: each request at random, by weight. Keeps no state.

use super::draw::draw;
use crate::snapshot::Endpoints;

pub(super) fn pick(
    endpoints: &Endpoints,
    is_excluded: impl Fn(usize) -> bool,
    random: &mut impl FnMut() -> u64,
) -> Option<usize> {
    draw(endpoints, &is_excluded, random)
}
