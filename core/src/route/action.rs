//! What a route does with a request: the compiled form of what the Document says.

use std::{ops::Deref, sync::Arc, time::Duration};

use ringmain_config::{filter::Share, origin::Origin, route::Redirect};

use super::{matcher::Matcher, rewrite::Rewrite};
use crate::{
    filter::{self, Filters},
    header::Edits,
    retry,
    snapshot::ClusterIndex,
};

/// A match and what to do with what it matched. What every request needs stands here, in two lines
/// of memory; the rest is behind a pointer.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Route {
    /// What is done.
    pub action: Action,
    /// From the end of the request to the end of the response, all tries together. Absent:
    /// no limit.
    pub timeout: Option<Duration>,
    /// On the request, after the destination's; absent when it changes nothing.
    pub request_headers: Option<Box<Edits>>,
    /// On the response, after the destination's; absent when it changes nothing.
    pub response_headers: Option<Box<Edits>>,
    /// ROUTE_NAME of the access log.
    pub name: Box<str>,
    /// What few requests need.
    pub details: Box<Details>,
    /// What is done about tries that fail: the route's own policy, else the table's. Absent: there
    /// is one try.
    pub retry: Option<Arc<retry::Policy>>,
    /// What few routes have.
    pub extras: Option<Box<Extras>>,
}

/// What a route does besides its action.
#[derive(Debug)]
pub struct Extras {
    /// What requests meet before the action.
    pub filters: Filters,
    /// Copies of requests, each drawn for itself.
    pub mirrors: Box<[Mirror]>,
}

/// A copy of each of some requests, whose answer nobody waits for.
#[derive(Debug)]
pub struct Mirror {
    /// Where to.
    pub cluster: ClusterIndex,
    /// Of how many.
    pub share: Share,
}

/// What is asked of a route only when its path alone does not decide, or to explain it.
#[derive(Debug)]
pub struct Details {
    /// All of its conditions must hold.
    pub matcher: Matcher,
    /// Who asked for it.
    pub origin: Option<Origin>,
    /// It has a policy of retries of its own, even if one that makes none.
    pub retries_itself: bool,
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
    /// Never empty; the sum of their weights is never 0.
    pub destinations: Destinations,
    /// Changes to path and authority.
    pub rewrite: Option<Box<Rewrite>>,
}

/// Where a route sends to; reads as a list.
#[derive(Debug)]
pub struct Destinations(Places);

#[derive(Debug)]
enum Places {
    /// Nearly always. It stands in the route itself: behind a pointer it would cost a line of
    /// memory for each request.
    One(Destination),
    Several(Box<Several>),
}

#[derive(Debug)]
struct Several {
    list: Box<[Destination]>,
    /// Sums of the weights up to and with each.
    weights_upto: Box<[u64]>,
}

/// A cluster and its share.
#[derive(Debug)]
pub struct Destination {
    /// Where to; [`ClusterIndex::NOWHERE`] with an answer.
    pub cluster: ClusterIndex,
    /// Its share is answered so. No request that is sent on needs to ask for it: only one whose
    /// cluster is not found.
    pub answer: Option<Box<Answer>>,
    /// Relative to [`Destinations::weight_sum`]; 0 is never drawn.
    pub weight: u32,
    /// On the request, before the route's; absent when it changes nothing.
    pub request_headers: Option<Box<Edits>>,
    /// On the response, before the route's; absent when it changes nothing.
    pub response_headers: Option<Box<Edits>>,
}

/// The answer to requests for something that is not there.
#[derive(Debug)]
pub struct Answer {
    /// 500 to 599.
    pub status: u16,
    /// What is not there.
    pub name: Box<str>,
}

impl Extras {
    /// The copies that are made of one request.
    pub fn drawn_mirrors(&self, random: &mut impl FnMut() -> u64) -> impl Iterator<Item = &Mirror> {
        let mirrors = self.mirrors.iter();
        mirrors.filter(|mirror| filter::is_drawn(mirror.share, random()))
    }
}

impl Destinations {
    pub(super) fn new(mut list: Vec<Destination>) -> Self {
        if list.len() == 1
            && let Some(only) = list.pop()
        {
            return Self(Places::One(only));
        }
        let mut sum = 0;
        let weights_upto = list.iter().map(|destination| {
            sum += u64::from(destination.weight);
            sum
        });
        Self(Places::Several(Box::new(Several {
            weights_upto: weights_upto.collect(),
            list: list.into(),
        })))
    }

    /// Of the weights of all.
    pub fn weight_sum(&self) -> u64 {
        match &self.0 {
            Places::One(only) => u64::from(only.weight),
            Places::Several(several) => several.weights_upto.last().copied().unwrap_or(0),
        }
    }
}

impl Deref for Destinations {
    type Target = [Destination];

    fn deref(&self) -> &[Destination] {
        match &self.0 {
            Places::One(only) => std::slice::from_ref(only),
            Places::Several(several) => &several.list,
        }
    }
}

impl Forward {
    /// The destination that `random`, 64 evenly distributed bits, falls to. Each share is exact up
    /// to the sum of the weights / 2^64.
    pub fn draw(&self, random: u64) -> &Destination {
        match &self.destinations.0 {
            Places::One(only) => only,
            Places::Several(several) => {
                let sum = self.destinations.weight_sum();
                let point = (u128::from(random) * u128::from(sum)) >> 64;
                let upto = &several.weights_upto;
                &several.list[upto.partition_point(|upto| u128::from(*upto) <= point)]
            }
        }
    }
}

const _: () = assert!(
    size_of::<Route>() <= 128,
    "a table of many routes is read line by line"
);
