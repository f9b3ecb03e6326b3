//! Which endpoint of a cluster a request goes to.
//!
//! One file per policy; [`POLICIES`] and [`State`] list them. A worker owns one [`State`] per
//! cluster and shares it with nobody; random bits, hashes, active requests and who is excluded are
//! arguments. Adding a policy: a file, a line in each of the two, and the property suite in
//! `tests/balance.rs` runs it.

mod draw;
mod hash;
mod least_request;
mod maglev;
mod random;
mod ring_hash;
mod round_robin;

use ringmain_config::cluster::Balancer;

pub(crate) use hash::HashTable;
pub use hash::hash;
pub use maglev::{ENTRIES_MAX as TABLE_ENTRIES_MAX, is_prime};
pub use ring_hash::ENTRIES_MAX as RING_ENTRIES_MAX;

use crate::{
    place::{Place, Problems},
    snapshot::Endpoints,
};
use round_robin::RoundRobin;

/// Every policy; those with settings have Istio's.
pub const POLICIES: [Balancer; 5] = [
    Balancer::LeastRequest,
    Balancer::RoundRobin,
    Balancer::Random,
    Balancer::RingHash { entries_min: 1024 },
    Balancer::Maglev { entries: 65_537 },
];

/// What one worker remembers of its picks among the endpoints of one cluster.
#[derive(Debug)]
pub struct State(Policy);

#[derive(Debug)]
enum Policy {
    LeastRequest,
    RoundRobin(RoundRobin),
    Random,
    /// What it looks at is in the endpoints, for all workers.
    Hash(Balancer),
}

impl State {
    /// Nothing is picked yet.
    pub fn new(balancer: Balancer) -> Self {
        Self(match balancer {
            Balancer::LeastRequest => Policy::LeastRequest,
            Balancer::RoundRobin => Policy::RoundRobin(RoundRobin::default()),
            Balancer::Random => Policy::Random,
            Balancer::RingHash { .. } | Balancer::Maglev { .. } => Policy::Hash(balancer),
        })
    }

    /// The policy it was made for.
    pub fn balancer(&self) -> Balancer {
        match self.0 {
            Policy::LeastRequest => Balancer::LeastRequest,
            Policy::RoundRobin(_) => Balancer::RoundRobin,
            Policy::Random => Balancer::Random,
            Policy::Hash(balancer) => balancer,
        }
    }

    /// Position in `endpoints` of the one to send a request to; `None` exactly when all are
    /// excluded. Takes note itself when `endpoints` are others than at the last pick.
    ///
    /// `active` is the number of this worker's requests at an endpoint; `is_excluded` says which
    /// must not be picked (ejected, or tried before); `random` gives 64 evenly distributed bits.
    /// `hash` is the request's, for the policies that look at it; without one, and with endpoints
    /// that were not [made for it](Endpoints::for_balancer), they draw at random, by weight.
    pub fn pick(
        &mut self,
        endpoints: &Endpoints,
        hash: Option<u64>,
        active: impl Fn(usize) -> u32,
        is_excluded: impl Fn(usize) -> bool,
        random: &mut impl FnMut() -> u64,
    ) -> Option<usize> {
        if endpoints.len() <= 1 {
            return (0..endpoints.len()).find(|only| !is_excluded(*only));
        }
        match &mut self.0 {
            Policy::LeastRequest => least_request::pick(endpoints, active, is_excluded, random),
            Policy::RoundRobin(state) => state.pick(endpoints, is_excluded, random),
            Policy::Random => random::pick(endpoints, is_excluded, random),
            Policy::Hash(_) => match hash.zip(endpoints.hash_table()) {
                Some((hash, table)) => table.pick(hash, endpoints.len(), &is_excluded),
                None => random::pick(endpoints, is_excluded, random),
            },
        }
    }
}

/// Reports settings that no table can be made with, and says whether there are none.
pub(crate) fn check(balancer: Balancer, place: &Place<'_>, problems: &mut Problems) -> bool {
    let (message, hint) = match balancer {
        Balancer::LeastRequest | Balancer::RoundRobin | Balancer::Random => return true,
        Balancer::RingHash { entries_min } => {
            if (1..=RING_ENTRIES_MAX).contains(&entries_min) {
                return true;
            }
            let message =
                format!("a ring of {entries_min} entries, which must be 1 to {RING_ENTRIES_MAX}");
            (message, "1024 is usual")
        }
        Balancer::Maglev { entries } => {
            if entries <= TABLE_ENTRIES_MAX && is_prime(entries) {
                return true;
            }
            let message = format!(
                "a table of {entries} entries, which must be a prime number up to \
                 {TABLE_ENTRIES_MAX}"
            );
            (message, "65537 is usual")
        }
    };
    problems.add_with_hint(place, message, hint);
    false
}
