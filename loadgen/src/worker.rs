//! One thread of load: its connections, its requests, its numbers.
//!
//! [`work`] conducts: it hands out requests when they are due, looks for lanes that are late, and
//! ends the run. What becomes of a request is told in `lane.rs`. Nothing here knows what is spoken.

mod conductor;
mod lane;
mod queue;
mod tally;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::Waker,
};

pub(crate) use conductor::work;
pub(crate) use tally::Tally;

use crate::{
    budget::Budget,
    live::Live,
    plan::{Kind, Pace, Plan, PlanError, Stop, Usage},
    protocol::{Endpoint, Protocol},
    schedule::{Mix, Share},
    time::{Clock, NEVER, Nanos, nanos},
};
use lane::Lane;
use queue::{Group, Job};

/// What one thread has to do.
#[derive(Clone)]
pub(crate) struct Assignment {
    pub(crate) plan: Arc<Plan>,
    /// For each target.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) share: Share,
    /// Counted requests of a closed loop that all workers together may still send.
    pub(crate) budget: Option<Arc<AtomicU64>>,
    pub(crate) live: Arc<Live>,
    pub(crate) control: Arc<Control>,
}

/// How a run is ended from outside.
#[derive(Debug, Default)]
pub(crate) struct Control(AtomicU8);

/// What was asked of a run, in the order in which one thing takes the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Run,
    /// Nothing more is sent; what is under way comes to its end.
    Finish,
    /// What is under way is given up and counts as if it had never been sent.
    Abandon,
}

impl Control {
    pub(crate) fn give(&self, order: Order) {
        self.0.fetch_max(order as u8, Ordering::Release);
    }

    fn order(&self) -> Order {
        match self.0.load(Ordering::Acquire) {
            0 => Order::Run,
            1 => Order::Finish,
            _ => Order::Abandon,
        }
    }
}

/// The state of a worker. Its lanes share it; nothing holds a borrow across an await.
struct Worker<P: Protocol> {
    protocol: P,
    settings: Settings,
    clock: Clock,
    targets: Vec<Destination<P>>,
    groups: Vec<Group>,
    mix: RefCell<Mix>,
    budget: Budget,
    tally: RefCell<Tally>,
    live: Arc<Live>,
    /// All that were ever started; those that have ended hold nothing.
    lanes: RefCell<Vec<Rc<Lane>>>,
    /// Lanes that have not ended.
    active: Cell<usize>,
    phase: Cell<Order>,
    /// Requests are begun before it; never, when it is their number that ends the run.
    end: Cell<Nanos>,
    /// When the last counted request ended.
    last_end: Cell<Nanos>,
    conductor: RefCell<Option<Waker>>,
}

/// Where a target's requests go, and what is sent.
struct Destination<P: Protocol> {
    message: P::Message,
    /// Index into the groups.
    group: usize,
    idempotent: bool,
}

/// The plan, in the units that are needed all the time.
#[derive(Clone, Copy, Debug)]
struct Settings {
    kind: Kind,
    is_open: bool,
    usage: Usage,
    /// On each connection.
    lanes: usize,
    connect_per_request: bool,
    backlog_max: usize,
    warmup: Nanos,
    connect_timeout: Nanos,
    request_timeout: Nanos,
}

impl<P: Protocol> Worker<P> {
    fn new(assignment: &Assignment, tally: Tally, clock: Clock) -> Result<Rc<Self>, PlanError> {
        let plan = &assignment.plan;
        let protocol = P::new(plan)?;
        let connections = assignment.share.of(plan.connections as u64) as usize;
        let mut groups: Vec<Group> = Vec::new();
        let mut targets = Vec::new();
        for (target, endpoint) in plan.targets.iter().zip(&assignment.endpoints) {
            let known = groups.iter().position(|group| group.endpoint == *endpoint);
            targets.push(Destination {
                message: protocol.message(target)?,
                group: known.unwrap_or(groups.len()),
                idempotent: target.is_idempotent(),
            });
            if known.is_none() {
                groups.push(Group::new(endpoint.clone(), connections));
            }
        }
        let warmup = nanos(plan.warmup);
        let weights: Vec<u32> = plan.targets.iter().map(|target| target.weight).collect();
        Ok(Rc::new(Self {
            protocol,
            settings: Settings {
                kind: plan.kind,
                is_open: matches!(plan.pace, Pace::Open { .. }),
                usage: plan.usage,
                lanes: plan.kind.lanes(plan.streams),
                connect_per_request: plan.connect_per_request,
                backlog_max: plan.backlog_max,
                warmup,
                connect_timeout: nanos(plan.connect_timeout),
                request_timeout: nanos(plan.request_timeout),
            },
            clock,
            groups,
            mix: RefCell::new(Mix::new(&weights)),
            budget: Budget::new(assignment.budget.clone(), plan.workers),
            tally: RefCell::new(tally),
            targets,
            live: Arc::clone(&assignment.live),
            lanes: RefCell::default(),
            active: Cell::new(0),
            phase: Cell::new(Order::Run),
            end: Cell::new(match plan.stop {
                Stop::After(duration) => nanos(plan.warmup + duration),
                Stop::Asked | Stop::Requests(_) => NEVER,
            }),
            last_end: Cell::new(warmup),
            conductor: RefCell::default(),
        }))
    }

    fn is_running(&self) -> bool {
        self.phase.get() == Order::Run
    }

    /// No further request is begun. Requests of an open loop that wait for a connection were due
    /// and are still sent.
    fn finish(&self) {
        if !self.is_running() {
            return;
        }
        self.phase.set(Order::Finish);
        for group in &self.groups {
            if !self.settings.is_open {
                group.waiting.borrow_mut().clear();
            }
            for lane in group.idle.borrow_mut().drain(..) {
                lane.wake();
            }
        }
        self.wake_conductor();
    }

    /// As [`Self::finish`], before its time.
    fn stop(&self, now: Nanos) {
        if self.is_running() {
            self.end.set(self.end.get().min(now));
            self.finish();
        }
    }

    /// Gives up what is under way.
    fn abandon(&self) {
        self.phase.set(Order::Abandon);
        for group in &self.groups {
            group.waiting.borrow_mut().clear();
        }
        for lane in self.lanes.borrow().iter() {
            lane.expire();
        }
    }

    fn wake_conductor(&self) {
        if let Some(waker) = self.conductor.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The next request of a closed loop.
    fn draw(&self, now: Nanos) -> Job {
        Job {
            target: self.mix.borrow_mut().next(),
            due: now,
        }
    }
}
