//! A lane: one request after another, on a connection that it may share with other lanes.
//!
//! Each lane is a task. A request that takes too long is dropped in the middle by the lane itself,
//! when the conductor finds it late: there is no timer per request.

use std::{
    cell::{Cell, RefCell},
    future::{pending, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use super::{Order, Worker, queue::Job};
use crate::{
    failure::{ErrorKind, Failed},
    plan::Usage,
    protocol::{Answer, Protocol},
    report::{micros, record},
    time::{NEVER, Nanos},
};

/// A lane of a closed loop that got no connection waits for this long before it tries again. A
/// refusal takes microseconds, and a loop of them measures nothing.
const PAUSE: Nanos = 10_000_000;

/// What the others see of a lane.
pub(super) struct Lane {
    job: Cell<Option<Job>>,
    waker: RefCell<Option<Waker>>,
    deadline: Cell<Nanos>,
    expired: Cell<bool>,
}

/// A connection that lanes share. It is opened by the first lane that needs it, and again by the
/// first that finds it closed.
pub(super) struct Link<P: Protocol> {
    group: usize,
    /// Sessions of an open connection for lanes that have none.
    spare: RefCell<Vec<P::Session>>,
    opening: Cell<bool>,
    /// Lanes that wait for the one that is opening.
    waiting: RefCell<Vec<Waker>>,
    /// All its lanes have been started.
    complete: Cell<bool>,
}

impl Lane {
    fn new() -> Self {
        Self {
            job: Cell::new(None),
            waker: RefCell::default(),
            deadline: Cell::new(NEVER),
            expired: Cell::new(false),
        }
    }

    pub(super) fn give(&self, job: Job) {
        self.job.set(Some(job));
        self.wake();
    }

    pub(super) fn take(&self) -> Option<Job> {
        self.job.take()
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// What is under way is late if it was to end before `now`.
    pub(super) fn check(&self, now: Nanos) {
        if self.deadline.get() <= now {
            self.expire();
        }
    }

    /// Ends what is under way, if anything is.
    pub(super) fn expire(&self) {
        self.expired.set(true);
        self.wake();
    }

    /// `future` until the conductor finds it later than `at`; then it is dropped.
    async fn limit<F: Future>(&self, at: Nanos, future: F) -> Option<F::Output> {
        self.expired.set(false);
        self.deadline.set(at);
        let mut future = pin!(future);
        let output = poll_fn(|context| match self.expired.get() {
            true => Poll::Ready(None),
            false => future.as_mut().poll(context).map(Some),
        });
        let output = output.await;
        self.deadline.set(NEVER);
        output
    }
}

impl<P: Protocol> Link<P> {
    pub(super) fn new(group: usize) -> Self {
        Self {
            group,
            spare: RefCell::default(),
            opening: Cell::new(false),
            waiting: RefCell::default(),
            complete: Cell::new(false),
        }
    }
}

/// Ends the opening of a connection, however it went.
struct Opening<'a, P: Protocol>(&'a Link<P>);

impl<P: Protocol> Drop for Opening<'_, P> {
    fn drop(&mut self) {
        self.0.opening.set(false);
        for waker in self.0.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

impl<P: Protocol> Worker<P> {
    /// Starts the task of a lane.
    pub(super) fn begin_lane(self: &Rc<Self>, link: &Rc<Link<P>>, first: Option<Job>) {
        let lane = Rc::new(Lane::new());
        self.lanes.borrow_mut().push(Rc::clone(&lane));
        self.active.set(self.active.get() + 1);
        drop(monoio::spawn(Self::serve(
            Rc::clone(self),
            lane,
            Rc::clone(link),
            first,
        )));
    }

    /// The life of a lane.
    async fn serve(self: Rc<Self>, lane: Rc<Lane>, link: Rc<Link<P>>, first: Option<Job>) {
        // The task's waker stays the same for its life.
        poll_fn(|context| {
            *lane.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Ready(())
        })
        .await;
        let mut session = None;
        let mut next = first;
        if next.is_none() && self.opens_early() && !link.complete.get() {
            // Without one, the first request tries again, and says why it failed.
            session = self.open(&lane, &link, NEVER).await.ok();
        }
        loop {
            let job = match next.take() {
                Some(job) => job,
                None => match self.next_job(&lane, link.group).await {
                    Some(job) => job,
                    None => break,
                },
            };
            if let Some(ended) = self.perform(&lane, &link, &mut session, job).await {
                next = self.follow_up(link.group, ended);
            }
        }
        if let Some(session) = session
            && self.settings.kind.is_stream()
        {
            self.end(&lane, session).await;
        }
        link.spare.borrow_mut().clear();
        self.active.set(self.active.get() - 1);
        if self.active.get() == 0 {
            self.wake_conductor();
        }
    }

    /// The end of a stream after the time of the run.
    async fn end(&self, lane: &Lane, session: P::Session) {
        let ended = match self.phase.get() {
            Order::Abandon => None,
            // The conductor ends the patience with it.
            Order::Run | Order::Finish => lane.limit(NEVER, self.protocol.end(session)).await,
        };
        let drained = &mut self.tally.borrow_mut().drained;
        match ended {
            Some(Ok(answer)) => drained.bytes_in += answer.bytes_in,
            Some(Err(_)) | None => drained.cut += 1,
        }
    }

    fn opens_early(&self) -> bool {
        self.settings.is_open
            && self.settings.usage == Usage::All
            && !self.settings.connect_per_request
    }

    /// Sends a request, waits for its answer, and records it; when it ended. `None`: it was not
    /// sent, because the run is over.
    async fn perform(
        self: &Rc<Self>,
        lane: &Lane,
        link: &Rc<Link<P>>,
        session: &mut Option<P::Session>,
        mut job: Job,
    ) -> Option<Nanos> {
        if !self.settings.is_open && !self.begin(job.due) {
            return None;
        }
        let begun = job.due;
        let outcome = self.attempt(lane, link, session, &mut job).await;
        let failure = outcome.as_ref().err().map(|failed| failed.kind);
        let refused = matches!(failure, Some(ErrorKind::Connect | ErrorKind::Tls));
        if self.phase.get() == Order::Abandon {
            *session = None;
            let was_open = !refused && failure != Some(ErrorKind::ConnectTimeout);
            if was_open && self.settings.kind.is_stream() {
                self.tally.borrow_mut().drained.cut += 1;
            }
            return None;
        }
        let ended = self.clock.now();
        self.record(begun, job, ended, outcome);
        if refused && !self.settings.is_open {
            let pause = pending::<()>();
            lane.limit(ended + PAUSE, pause).await;
            return Some(self.clock.now());
        }
        Some(ended)
    }

    /// A closed loop may send one more request at `now`.
    fn begin(&self, now: Nanos) -> bool {
        if !self.is_running() {
            return false;
        }
        if now >= self.end.get() || (now >= self.settings.warmup && !self.budget.take()) {
            self.finish();
            return false;
        }
        true
    }

    async fn attempt(
        self: &Rc<Self>,
        lane: &Lane,
        link: &Rc<Link<P>>,
        session: &mut Option<P::Session>,
        job: &mut Job,
    ) -> Result<Answer, Failed> {
        let target = &self.targets[job.target];
        let mut is_second = false;
        loop {
            let limit = job.due.saturating_add(self.settings.request_timeout);
            let reused = session.is_some();
            if !reused {
                *session = Some(self.open(lane, link, limit).await?);
                // A closed loop counts from the first time at which the request is sent.
                let is_first = !is_second && !self.settings.is_open;
                if is_first && !self.settings.connect_per_request {
                    job.due = self.clock.now();
                }
            } else if self.settings.is_open && limit <= self.clock.now() {
                return Err(self.late(link, "no connection was free"));
            }
            let limit = job.due.saturating_add(self.settings.request_timeout);
            let open = session.as_mut().expect("it was opened");
            let exchange = self.protocol.exchange(open, &target.message);
            let outcome = lane.limit(limit, exchange).await;
            let is_complete = matches!(outcome, Some(Ok(_)));
            if self.settings.connect_per_request || !self.protocol.is_reusable(open, is_complete) {
                *session = None;
            }
            match outcome {
                Some(Ok(answer)) => return Ok(answer),
                // A server may close an idle connection just when a request is on its way to it.
                Some(Err(broken))
                    if broken.before_answer && reused && target.idempotent && !is_second =>
                {
                    *session = None;
                    is_second = true;
                    self.tally.borrow_mut().resent += 1;
                }
                Some(Err(broken)) => return Err(broken.failed),
                None => return Err(self.late(link, "no complete answer")),
            }
        }
    }

    fn late(&self, link: &Link<P>, what: &str) -> Failed {
        let address = self.groups[link.group].endpoint.address;
        let limit = Duration::from_nanos(self.settings.request_timeout);
        Failed::new(
            ErrorKind::Timeout,
            format!("{what} from {address} within {limit:?}"),
        )
    }

    /// A session, on the link's open connection or on a new one. `limit`: when the request that
    /// needs it is to be complete.
    async fn open(
        self: &Rc<Self>,
        lane: &Lane,
        link: &Rc<Link<P>>,
        limit: Nanos,
    ) -> Result<P::Session, Failed> {
        let connect_limit = self.clock.now() + self.settings.connect_timeout;
        let opened = lane
            .limit(connect_limit.min(limit), self.obtain(link))
            .await;
        opened.unwrap_or_else(|| {
            if limit < connect_limit {
                return Err(self.late(link, "no connection, and no complete answer"));
            }
            let address = self.groups[link.group].endpoint.address;
            let limit = Duration::from_nanos(self.settings.connect_timeout);
            Err(Failed::new(
                ErrorKind::ConnectTimeout,
                format!("no connection to {address} was ready within {limit:?}"),
            ))
        })
    }

    async fn obtain(self: &Rc<Self>, link: &Rc<Link<P>>) -> Result<P::Session, Failed> {
        loop {
            while let Some(session) = { link.spare.borrow_mut().pop() } {
                if self.protocol.is_reusable(&session, true) {
                    return Ok(session);
                }
            }
            if !link.opening.get() {
                break;
            }
            let mut is_registered = false;
            poll_fn(|context| {
                if std::mem::replace(&mut is_registered, true) {
                    return Poll::Ready(());
                }
                link.waiting.borrow_mut().push(context.waker().clone());
                Poll::Pending
            })
            .await;
        }
        link.opening.set(true);
        let _opening = Opening(link);
        let from = self.clock.now();
        let endpoint = &self.groups[link.group].endpoint;
        let session = self.protocol.open(endpoint).await?;
        {
            let mut tally = self.tally.borrow_mut();
            let took = micros(self.clock.now() - from);
            record(&mut tally.connect, took);
            tally.connections += 1;
        }
        self.share(link, &session);
        Ok(session)
    }

    /// Makes the other lanes of a connection that was opened.
    fn share(self: &Rc<Self>, link: &Rc<Link<P>>, session: &P::Session) {
        let forks = (1..self.settings.lanes).map_while(|_| self.protocol.fork(session));
        let forks: Vec<P::Session> = forks.collect();
        let count = forks.len();
        *link.spare.borrow_mut() = forks;
        if !link.complete.replace(true) {
            for _ in 0..count {
                self.begin_lane(link, None);
            }
        }
    }
}
