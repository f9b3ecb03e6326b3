//! From a request that is due to the lane that sends it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::Poll,
};

use super::{
    Worker,
    lane::{Lane, Link},
};
use crate::{
    failure::{ErrorKind, Failed},
    plan::Usage,
    protocol::{Endpoint, Protocol},
    time::Nanos,
};

/// A request to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) target: usize,
    /// When it was meant to be sent, in an open loop; when it was drawn, in a closed one.
    pub(super) due: Nanos,
}

/// The connections to one endpoint.
pub(super) struct Group {
    pub(super) endpoint: Endpoint,
    connections_max: usize,
    /// Connections that were ever begun; each of them is opened again after it was closed.
    connections: Cell<usize>,
    /// In the order in which they became idle.
    pub(super) idle: RefCell<VecDeque<Rc<Lane>>>,
    pub(super) waiting: RefCell<VecDeque<Job>>,
}

impl Group {
    pub(super) fn new(endpoint: Endpoint, connections_max: usize) -> Self {
        Self {
            endpoint,
            connections_max,
            connections: Cell::new(0),
            idle: RefCell::default(),
            waiting: RefCell::default(),
        }
    }
}

impl<P: Protocol> Worker<P> {
    /// All connections of an open loop that uses all of them.
    pub(super) fn open_all(self: &Rc<Self>) {
        for group in 0..self.groups.len() {
            while self.begin_connection(group, None) {}
        }
    }

    /// Gives a request to an idle lane, to a new connection, or to the queue.
    pub(super) fn dispatch(self: &Rc<Self>, job: Job) {
        let index = self.targets[job.target].group;
        let group = &self.groups[index];
        let idle = match self.settings.usage {
            Usage::All => group.idle.borrow_mut().pop_front(),
            // The others may then be closed by the server as idle.
            Usage::Few => group.idle.borrow_mut().pop_back(),
        };
        if let Some(lane) = idle {
            return lane.give(job);
        }
        if self.begin_connection(index, Some(job)) {
            return;
        }
        // A closed loop has no more requests than lanes.
        let is_full =
            self.settings.is_open && group.waiting.borrow().len() >= self.settings.backlog_max;
        if is_full {
            let what = format!(
                "{} requests waited for one of {} connections",
                self.settings.backlog_max, group.connections_max
            );
            self.record(
                job.due,
                job,
                job.due,
                Err(Failed::new(ErrorKind::Backlog, what)),
            );
        } else {
            group.waiting.borrow_mut().push_back(job);
        }
    }

    /// False when there are as many as there may be.
    fn begin_connection(self: &Rc<Self>, index: usize, first: Option<Job>) -> bool {
        let group = &self.groups[index];
        if group.connections.get() == group.connections_max {
            return false;
        }
        group.connections.set(group.connections.get() + 1);
        self.begin_lane(&Rc::new(Link::new(index)), first);
        true
    }

    /// The next request for a lane that is free, as soon as there is one; `None` when there will be
    /// none.
    pub(super) async fn next_job(&self, lane: &Rc<Lane>, group: usize) -> Option<Job> {
        let group = &self.groups[group];
        if let Some(job) = group.waiting.borrow_mut().pop_front() {
            return Some(self.taken(job));
        }
        if !self.is_running() {
            return None;
        }
        group.idle.borrow_mut().push_back(Rc::clone(lane));
        poll_fn(|_| match lane.take() {
            Some(job) => Poll::Ready(Some(self.taken(job))),
            None if self.is_running() => Poll::Pending,
            None => Poll::Ready(None),
        })
        .await
    }

    /// A request of a closed loop begins when a lane takes it.
    fn taken(&self, job: Job) -> Job {
        match self.settings.is_open {
            true => job,
            false => Job {
                due: self.clock.now(),
                ..job
            },
        }
    }

    /// A closed loop's request after one that ended at `now`: the same lane's if it leads where the
    /// lane does, else another one's.
    pub(super) fn follow_up(self: &Rc<Self>, group: usize, now: Nanos) -> Option<Job> {
        if self.settings.is_open || !self.is_running() {
            return None;
        }
        let job = self.draw(now);
        if self.targets[job.target].group == group {
            return Some(job);
        }
        self.dispatch(job);
        None
    }
}
