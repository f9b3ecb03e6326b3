//! The tries of one request: which endpoints they went to, and whether there is to be another one.
//!
//! What is worth another try is `ringmain-core`'s decision; here it is asked with what is known of
//! the request, and the room that another try needs is taken.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use ringmain_core::{
    failure::{Failure, Flag, Flags},
    limit::Counted,
    retry::{Ended, Policy, Verdict},
    snapshot::ClusterEntry,
};
use smallvec::SmallVec;

use crate::{
    call::{Call, Gone},
    io::deadline::Micros,
    relay::micros,
    session::Session,
    worker::Worker,
};

/// Whether what was sent of a request can be sent again.
enum Replayable {
    /// All of it is at hand.
    Always,
    /// As long as the copy is whole, which may change while an answer comes.
    UnlessLost(Rc<Cell<bool>>),
    /// Nothing of it was kept.
    Never,
}

/// The tries of one request.
pub struct Tries<'a> {
    worker: &'a Worker,
    /// Whose request it is.
    session: Rc<Session>,
    policy: Option<&'a Policy>,
    entry: &'a ClusterEntry,
    /// Positions of the endpoints that were tried.
    tried: RefCell<SmallVec<[usize; 4]>>,
    /// Tries behind the first.
    further: Cell<u32>,
    /// The next one needs no wait, and a new connection: one that was kept had been closed.
    is_at_once: Cell<bool>,
    needs_fresh: Cell<bool>,
    /// One ended because it took too long.
    was_late: Cell<bool>,
    /// Held while a further one is under way.
    counted: Cell<Option<Counted>>,
    /// Something was given to the connection of this try.
    pub sent: Cell<bool>,
    /// What was sent of the request can be sent again.
    replayable: RefCell<Replayable>,
    /// What the log says of the tries beside how the last one ended.
    flags: Cell<Flags>,
}

impl<'a> Tries<'a> {
    /// None was made yet.
    pub fn new(
        worker: &'a Worker,
        session: &Rc<Session>,
        policy: Option<&'a Policy>,
        entry: &'a ClusterEntry,
    ) -> Self {
        Self {
            worker,
            session: Rc::clone(session),
            policy,
            entry,
            tried: RefCell::default(),
            further: Cell::new(0),
            is_at_once: Cell::new(false),
            needs_fresh: Cell::new(false),
            was_late: Cell::new(false),
            counted: Cell::new(None),
            sent: Cell::new(false),
            replayable: RefCell::new(Replayable::Always),
            flags: Cell::new(Flags::NONE),
        }
    }

    /// There may be more than one.
    pub fn may_be_several(&self) -> bool {
        self.policy.is_some_and(|policy| policy.attempts > 0)
    }

    /// Number of the try that is being made, 1 for the first.
    pub fn number(&self) -> u32 {
        self.further.get() + 1
    }

    /// What the log says of them beside how the last one ended.
    pub fn flags(&self) -> Flags {
        self.flags.get()
    }

    /// One ended because it took too long.
    pub fn was_late(&self) -> bool {
        self.was_late.get()
    }

    /// A connection that was kept is not to be used: one turned out to be closed.
    pub fn needs_fresh(&self) -> bool {
        self.needs_fresh.get()
    }

    /// Endpoints that the next try is to avoid.
    pub fn avoided(&self) -> SmallVec<[usize; 4]> {
        let avoids = self
            .policy
            .is_some_and(|policy| policy.avoids_previous_endpoints);
        match avoids && self.further.get() > 0 {
            true => self.tried.borrow().clone(),
            false => SmallVec::new(),
        }
    }

    /// A try goes to the endpoint at this position.
    pub fn goes_to(&self, position: usize) {
        if self.policy.is_some() {
            self.tried.borrow_mut().push(position);
        }
        self.sent.set(false);
    }

    /// The body goes out as it comes: it can be sent again unless the copy of it is `lost`; `None`:
    /// there is no copy.
    pub fn depends_on_copy(&self, lost: Option<Rc<Cell<bool>>>) {
        *self.replayable.borrow_mut() = lost.map_or(Replayable::Never, Replayable::UnlessLost);
    }

    fn is_replayable(&self) -> bool {
        match &*self.replayable.borrow() {
            Replayable::Always => true,
            Replayable::UnlessLost(lost) => !lost.get(),
            Replayable::Never => false,
        }
    }

    /// When the head of the answer has to be there for a try that was sent at `now`.
    pub fn late(&self, now: Micros) -> Micros {
        let timeout = self.policy.and_then(|policy| policy.per_try_timeout);
        timeout.map_or(Micros::MAX, |timeout| now.saturating_add(micros(timeout)))
    }

    /// See [`Policy::may_want`].
    pub fn may_want(&self, status: u16, grpc_status: Option<u32>) -> bool {
        self.policy
            .is_some_and(|policy| policy.may_want(status, grpc_status))
    }

    /// A try has ended: is there to be another one? Takes the room for it.
    pub fn again(&self, ended: Ended) -> bool {
        let Some(policy) = self.policy else {
            return false;
        };
        // The one that has ended makes room.
        self.counted.set(None);
        let verdict = policy.verdict(ended, self.further.get(), self.is_replayable());
        // Nobody works for a client that has probably gone.
        if verdict == Verdict::Again && !self.session.client_is_open() {
            return false;
        }
        if verdict != Verdict::Again {
            self.flags.set(verdict.flags());
            return false;
        }
        match self.entry.limits.try_again(&self.entry.load) {
            Ok(counted) => {
                self.counted.set(Some(counted));
                self.further.set(self.further.get() + 1);
                self.worker.counters.upstream_retries.increment();
                if let Ended::Failed {
                    failure: Failure::PerTryTimeout,
                    ..
                } = ended
                {
                    self.was_late.set(true);
                }
                if Policy::is_at_once(ended) {
                    self.worker.counters.upstream_stale_retries.increment();
                    self.is_at_once.set(true);
                    self.needs_fresh.set(true);
                }
                true
            }
            Err(_) => {
                self.worker.counters.upstream_retry_overflows.increment();
                self.flags.set(Flag::Uo.into());
                false
            }
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// The client has gone, or the time of the request is over at `until`.
    pub async fn back_off(&self, call: &Call, until: Micros) -> Result<(), Failure> {
        let Some(policy) = self.policy else {
            return Ok(());
        };
        if self.is_at_once.take() {
            return Ok(());
        }
        let now = self.worker.now();
        let wait = micros(policy.back_off(self.further.get(), self.worker.random()));
        let left = until.saturating_sub(now);
        let wait = Duration::from_micros(wait.min(left));
        let waited = call.sleep(&self.worker.deadlines, wait).await;
        waited.map_err(|Gone| Failure::DownstreamGone)?;
        match self.worker.now() >= until {
            true => Err(Failure::RouteTimeout),
            false => Ok(()),
        }
    }
}
