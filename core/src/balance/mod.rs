//! Which endpoint of a cluster a request goes to.
//!
//! One file per policy; [`POLICIES`] and [`State`] list them. A worker owns one [`State`] per
//! cluster and shares it with nobody; random bits, active requests and who is excluded are
//! arguments. Adding a policy: a file, a line in each of the two, and the property suite in
//! `tests/balance.rs` runs it.

mod draw;
mod least_request;
mod random;
mod round_robin;

use ringmain_config::cluster::Balancer;

use crate::snapshot::Endpoints;
use round_robin::RoundRobin;

/// Every policy.
pub const POLICIES: [Balancer; 3] = [
    Balancer::LeastRequest,
    Balancer::RoundRobin,
    Balancer::Random,
];

/// What one worker remembers of its picks among the endpoints of one cluster.
#[derive(Debug)]
pub struct State(Policy);

#[derive(Debug)]
enum Policy {
    LeastRequest,
    RoundRobin(RoundRobin),
    Random,
}

impl State {
    /// Nothing is picked yet.
    pub fn new(balancer: Balancer) -> Self {
        Self(match balancer {
            Balancer::LeastRequest => Policy::LeastRequest,
            Balancer::RoundRobin => Policy::RoundRobin(RoundRobin::default()),
            Balancer::Random => Policy::Random,
        })
    }

    /// The policy it was made for.
    pub fn balancer(&self) -> Balancer {
        match self.0 {
            Policy::LeastRequest => Balancer::LeastRequest,
            Policy::RoundRobin(_) => Balancer::RoundRobin,
            Policy::Random => Balancer::Random,
        }
    }

    /// Position in `endpoints` of the one to send a request to; `None` exactly when all are
    /// excluded. Takes note itself when `endpoints` are others than at the last pick.
    ///
    /// `active` is the number of this worker's requests at an endpoint; `is_excluded` says which
    /// must not be picked (ejected, or tried before); `random` gives 64 evenly distributed bits.
    pub fn pick(
        &mut self,
        endpoints: &Endpoints,
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
        }
    }
}
