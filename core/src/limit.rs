//! Promises about numbers that hold for a whole proxy, whatever the number of its cores.
//!
//! Connections are counted once each. Requests are counted only where a cluster has a limit that
//! asks for their number: without one, a request touches no memory that cores share. Further tries
//! are counted always, since a try that failed has cost more than that.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use ringmain_config::{cluster::Cluster, retry::RetryBudget};

/// A number that all cores count together.
#[derive(Debug, Default)]
struct Count(AtomicU32);

impl Count {
    /// Counts one more, unless there are `max` already. Exact: cores that ask at the same time
    /// never get more than there are left.
    fn take(&self, max: u32) -> bool {
        let more = |held: u32| (held < max).then(|| held + 1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn held(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Connections that all cores together have open to a cluster, as far as they are counted.
#[derive(Debug, Default)]
pub struct OpenConnections(Count);

/// One of them. Dropping it makes room for another.
#[derive(Debug)]
pub struct OpenConnection(Arc<OpenConnections>);

impl OpenConnections {
    /// Counts one more, unless there are `max` already.
    pub fn take(self: &Arc<Self>, max: Option<u32>) -> Option<OpenConnection> {
        let is_taken = self.0.take(max.unwrap_or(u32::MAX));
        is_taken.then(|| OpenConnection(Arc::clone(self)))
    }

    /// Counts one more, however many there are.
    pub fn take_beyond(self: &Arc<Self>) -> OpenConnection {
        self.0.0.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.held()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.give_back();
    }
}

/// Requests that all cores together carry to a cluster, as far as they are counted.
#[derive(Debug, Default)]
pub struct Load {
    active: OnItsLine,
    waiting: OnItsLine,
    further: OnItsLine,
}

/// Numbers that change at different times do not share a line of memory.
#[derive(Debug, Default)]
#[repr(align(64))]
struct OnItsLine(Count);

/// Which requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Active,
    Waiting,
    Further,
}

impl Load {
    fn count(&self, kind: Kind) -> &Count {
        match kind {
            Kind::Active => &self.active.0,
            Kind::Waiting => &self.waiting.0,
            Kind::Further => &self.further.0,
        }
    }

    /// Requests under way, if they are counted.
    pub fn active(&self) -> u32 {
        self.count(Kind::Active).held()
    }

    /// Requests that wait for a connection, if they are counted.
    pub fn waiting(&self) -> u32 {
        self.count(Kind::Waiting).held()
    }

    /// Further tries under way.
    pub fn further(&self) -> u32 {
        self.count(Kind::Further).held()
    }
}

/// One request that is counted in a [`Load`]. Dropping it makes room for another.
#[derive(Debug)]
pub struct Counted {
    load: Arc<Load>,
    kind: Kind,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.load.count(self.kind).give_back();
    }
}

/// A limit is reached: the request is refused as [`crate::failure::Failure::Overflow`], the further
/// try is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What a cluster allows of requests at a time (`connectionPool.http`, `retryBudget`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    active_max: Option<u32>,
    waiting_max: Option<u32>,
    further_max: Option<u32>,
    budget: Option<RetryBudget>,
}

impl Limits {
    /// Those of `cluster`.
    pub fn of(cluster: &Cluster) -> Self {
        let http = &cluster.connections.http;
        Self {
            active_max: http.active_max,
            waiting_max: http.pending_max,
            further_max: http.retries_max,
            budget: cluster.retry_budget,
        }
    }

    /// A request begins. `None`: nobody asks how many there are, and nothing was touched.
    ///
    /// # Errors
    /// As many are under way as are allowed. Exact, but for requests that began before the cluster
    /// had a limit: those are not counted.
    pub fn begin(&self, load: &Arc<Load>) -> Result<Option<Counted>, Full> {
        if self.active_max.is_none() && self.budget.is_none() {
            return Ok(None);
        }
        take(load, Kind::Active, self.active_max.unwrap_or(u32::MAX)).map(Some)
    }

    /// A request begins to wait for a connection, until what is returned is dropped. `None`: nobody
    /// asks how many there are.
    ///
    /// # Errors
    /// As many wait as are allowed. Exact.
    pub fn wait(&self, load: &Arc<Load>) -> Result<Option<Counted>, Full> {
        match self.waiting_max {
            None => Ok(None),
            Some(max) => take(load, Kind::Waiting, max).map(Some),
        }
    }

    /// A further try begins, until what is returned is dropped. A budget takes the place of the
    /// fixed limit, as in Envoy.
    ///
    /// # Errors
    /// As many are under way as are allowed. The number of active requests that a budget speaks of
    /// is that of the moment before: it is off by the requests that begin or end in between, and by
    /// those that began before the cluster had a budget.
    pub fn try_again(&self, load: &Arc<Load>) -> Result<Counted, Full> {
        let max = match self.budget {
            None => self.further_max.unwrap_or(u32::MAX),
            Some(budget) => {
                let active = u64::from(load.active());
                let share = active * u64::from(budget.share) / SHARE_WHOLE;
                let share = u32::try_from(share).unwrap_or(u32::MAX);
                share.max(budget.concurrency_min)
            }
        };
        take(load, Kind::Further, max)
    }
}

/// [`RetryBudget::share`] of all.
const SHARE_WHOLE: u64 = 10_000;

fn take(load: &Arc<Load>, kind: Kind, max: u32) -> Result<Counted, Full> {
    match load.count(kind).take(max) {
        true => Ok(Counted {
            load: Arc::clone(load),
            kind,
        }),
        false => Err(Full),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringmain_config::retry::RetryBudget;

    use super::{Full, Limits, Load, OpenConnections};

    #[test]
    fn there_are_never_more_than_allowed() {
        let open = Arc::new(OpenConnections::default());
        let first = open.take(Some(2));
        let second = open.take(Some(2));
        assert!(first.is_some() && second.is_some());
        assert!(open.take(Some(2)).is_none());
        assert!(open.take(Some(1)).is_none(), "a limit may be lowered");
        assert_eq!(open.count(), 2);
        assert!(open.take(None).is_some(), "its owner drops it at once");
        drop(first);
        assert!(open.take(Some(2)).is_some());
        drop(second);
        assert_eq!(open.count(), 0);
        assert!(open.take(Some(0)).is_none());
    }

    /// Without a limit nothing is counted: the load stays as it is.
    #[test]
    fn nothing_is_touched_without_a_limit() {
        let load = Arc::new(Load::default());
        let limits = Limits::default();
        assert!(limits.begin(&load).unwrap().is_none());
        assert!(limits.wait(&load).unwrap().is_none());
        assert_eq!(Arc::strong_count(&load), 1);
        let further = limits.try_again(&load).unwrap();
        assert_eq!((load.active(), load.waiting(), load.further()), (0, 0, 1));
        drop(further);
        assert_eq!(load.further(), 0);
    }

    #[test]
    fn each_limit_counts_its_own() {
        let load = Arc::new(Load::default());
        let limits = Limits {
            active_max: Some(1),
            waiting_max: Some(2),
            further_max: Some(0),
            budget: None,
        };
        let active = limits.begin(&load).unwrap();
        assert_eq!(limits.begin(&load).unwrap_err(), Full);
        let waiting = [limits.wait(&load).unwrap(), limits.wait(&load).unwrap()];
        assert_eq!(limits.wait(&load).unwrap_err(), Full);
        assert_eq!(limits.try_again(&load).unwrap_err(), Full);
        assert_eq!((load.active(), load.waiting(), load.further()), (1, 2, 0));
        drop((active, waiting));
        assert_eq!((load.active(), load.waiting()), (0, 0));
        assert!(limits.begin(&load).is_ok());
    }

    #[test]
    fn a_budget_follows_the_active_requests() {
        for (share, concurrency_min, active, expected) in [
            (2000, 3, 0, 3),
            (2000, 3, 15, 3),
            (2000, 3, 20, 4),
            (2000, 0, 4, 0),
            (2000, 0, 5, 1),
            (10_000, 0, 7, 7),
            (0, 2, 100, 2),
        ] {
            let load = Arc::new(Load::default());
            let limits = Limits {
                // It takes the place of this one.
                further_max: Some(1),
                budget: Some(RetryBudget {
                    share,
                    concurrency_min,
                }),
                ..Limits::default()
            };
            let active: Vec<_> = (0..active).map(|_| limits.begin(&load).unwrap()).collect();
            let further: Vec<_> = std::iter::from_fn(|| limits.try_again(&load).ok()).collect();
            let found = further.len();
            assert_eq!(
                found,
                expected,
                "{share} {concurrency_min} {}",
                active.len()
            );
        }
    }
}
