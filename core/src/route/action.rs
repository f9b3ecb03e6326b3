//! What a route does with a request: the compiled form of what the Document says.

use std::{sync::Arc, time::Duration};

use ringmain_config::{
    origin::Origin,
    route::{Redirect, Rewrite},
};

use super::matcher::Matcher;
use crate::{header::Edits, snapshot::ClusterIndex};

/// A match and what to do with what it matched.
#[derive(Debug)]
pub struct Route {
    /// ROUTE_NAME of the access log.
    pub name: Box<str>,
    /// All of its conditions must hold.
    pub matcher: Matcher,
    /// What is done.
    pub action: Action,
    /// On the request, after the destination's; absent when it changes nothing.
    pub request_headers: Option<Box<Edits>>,
    /// On the response, after the destination's; absent when it changes nothing.
    pub response_headers: Option<Box<Edits>>,
    /// From the end of the request to the end of the response, all tries together. Absent:
    /// no limit.
    pub timeout: Option<Duration>,
    /// Who asked for it.
    pub origin: Option<Origin>,
}

/// What is done with a request that a route matched.
#[derive(Debug)]
pub enum Action {
    /// Sent on to a cluster.
    Forward(Forward),
    /// Answered with a redirect; [`crate::target::location`] says where to.
    Redirect(Box<Redirect>),
    /// Answered as written.
    Direct(Direct),
}

/// An answer as written in the configuration.
#[derive(Debug)]
pub struct Direct {
    /// 200 to 599.
    pub status: u16,
    /// At most 1 MiB.
    pub body: Arc<[u8]>,
}

/// Sent on to one of several clusters.
#[derive(Debug)]
pub struct Forward {
    /// Never empty.
    pub destinations: Box<[Destination]>,
    /// Of all destinations; never 0.
    pub weight_sum: u64,
    /// Changes to path and authority.
    pub rewrite: Option<Box<Rewrite>>,
}

/// A cluster and its share.
#[derive(Debug)]
pub struct Destination {
    /// Where to.
    pub cluster: ClusterIndex,
    /// Relative to [`Forward::weight_sum`]; 0 is never drawn.
    pub weight: u32,
    /// Sum of the weights up to and with this one.
    pub(super) weight_upto: u64,
    /// On the request, before the route's; absent when it changes nothing.
    pub request_headers: Option<Box<Edits>>,
    /// On the response, before the route's; absent when it changes nothing.
    pub response_headers: Option<Box<Edits>>,
}

impl Forward {
    /// The destination that `random`, 64 evenly distributed bits, falls to. Each share is exact up
    /// to `weight_sum` / 2^64.
    pub fn draw(&self, random: u64) -> &Destination {
        if let [only] = &*self.destinations {
            return only;
        }
        let point = (u128::from(random) * u128::from(self.weight_sum)) >> 64;
        let drawn = self
            .destinations
            .partition_point(|destination| u128::from(destination.weight_upto) <= point);
        &self.destinations[drawn]
    }
}
