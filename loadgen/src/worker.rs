//! One thread of load: takes requests when they are due, keeps the connections, counts.
//!
//! Each connection is a task that performs one request after another. A request that is due goes to
//! the connection that became idle last; without one, to a new connection; at the limit of
//! connections it waits in line, and its wait counts.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    net::SocketAddr,
    os::unix::net::UnixStream as StdUnixStream,
    rc::Rc,
    sync::mpsc::SyncSender,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use monoio::{io::AsyncReadRent, net::UnixStream};

use crate::{
    connection::{Connection, Limits, Message},
    failure::{ErrorKind, Failed},
    protocol::Answer,
    report::{ErrorCount, Report, micros},
    ring::Rung,
    schedule::{Mix, Schedule},
};

/// What one thread has to do.
pub(crate) struct Assignment {
    pub(crate) schedule: Schedule,
    pub(crate) start: Instant,
    pub(crate) weights: Vec<u32>,
    pub(crate) messages: Vec<Message>,
    pub(crate) connections_max: usize,
    pub(crate) backlog_max: usize,
    pub(crate) limits: Limits,
    pub(crate) report_interval: Duration,
}

/// Runs until the pacer closes `bell` and every request has ended. What was not handed over to
/// `reports` is returned.
pub(crate) async fn work(
    assignment: Assignment,
    rung: Rung,
    bell: StdUnixStream,
    reports: SyncSender<Report>,
) -> std::io::Result<Report> {
    // A ring waits by itself on a blocking socket and would answer EAGAIN on another; epoll needs
    // the opposite.
    bell.set_nonblocking(rung == Rung::Epoll)?;
    let mut bell = UnixStream::from_std(bell)?;
    let worker = Worker::new(assignment);
    let mut mix = Mix::new(&worker.assignment.weights);
    let mut handed_over = Instant::now();
    let mut taken = 0;
    let mut bytes = vec![0; 64];
    loop {
        let (read, buffer) = bell.read(bytes).await;
        bytes = buffer;
        let over = read? == 0;
        let schedule = &worker.assignment.schedule;
        let now = Instant::now();
        let elapsed = now.duration_since(worker.assignment.start);
        // A run that was stopped sends nothing more, not even what became due in the meantime.
        let due = if over {
            taken
        } else {
            schedule.due_by(elapsed)
        };
        while taken < due {
            let after = schedule.due(taken).expect("it is due");
            taken += 1;
            let lateness = elapsed.saturating_sub(after);
            worker
                .report
                .borrow_mut()
                .slip
                .saturating_record(micros(lateness.as_nanos() as u64));
            worker.dispatch(Job {
                target: mix.next(),
                due: worker.assignment.start + after,
            });
        }
        if over {
            break;
        }
        if handed_over.elapsed() >= worker.assignment.report_interval {
            handed_over = Instant::now();
            worker.hand_over(&reports);
        }
    }
    worker.finish().await;
    Ok(worker.take_report())
}

#[derive(Clone, Copy, Debug)]
struct Job {
    target: usize,
    due: Instant,
}

struct Worker {
    assignment: Assignment,
    /// One for each address, and for each target the index of its own.
    lanes: Vec<Lane>,
    lane_of: Vec<usize>,
    report: RefCell<Report>,
    /// Nothing more will be due: connections end when nothing waits for them.
    finishing: Cell<bool>,
    finished: RefCell<Option<Waker>>,
}

/// The connections to one address.
struct Lane {
    address: SocketAddr,
    open: Cell<usize>,
    /// The one that became idle last is at the end, and is used first: the others may then be
    /// closed by the server as idle.
    idle: RefCell<Vec<Rc<Seat>>>,
    waiting: RefCell<VecDeque<Job>>,
}

/// Where an idle connection's task is given its next request.
#[derive(Default)]
struct Seat {
    job: Cell<Option<Job>>,
    waker: RefCell<Option<Waker>>,
}

impl Worker {
    fn new(assignment: Assignment) -> Rc<Self> {
        let mut lanes: Vec<Lane> = Vec::new();
        let mut lane_of = Vec::new();
        for message in &assignment.messages {
            let known = lanes
                .iter()
                .position(|lane| lane.address == message.address);
            lane_of.push(known.unwrap_or(lanes.len()));
            if known.is_none() {
                lanes.push(Lane {
                    address: message.address,
                    open: Cell::new(0),
                    idle: RefCell::default(),
                    waiting: RefCell::default(),
                });
            }
        }
        Rc::new(Self {
            report: RefCell::new(Report::new(assignment.messages.len())),
            assignment,
            lanes,
            lane_of,
            finishing: Cell::new(false),
            finished: RefCell::default(),
        })
    }

    fn dispatch(self: &Rc<Self>, job: Job) {
        let lane = &self.lanes[self.lane_of[job.target]];
        if let Some(seat) = lane.idle.borrow_mut().pop() {
            seat.give(job);
        } else if lane.open.get() < self.assignment.connections_max {
            lane.open.set(lane.open.get() + 1);
            let serve = Self::serve(Rc::clone(self), self.lane_of[job.target], job);
            drop(monoio::spawn(serve));
        } else if lane.waiting.borrow().len() < self.assignment.backlog_max {
            lane.waiting.borrow_mut().push_back(job);
        } else {
            let message = format!(
                "{} requests waited for one of {} connections",
                self.assignment.backlog_max, self.assignment.connections_max
            );
            self.record(job, Err(Failed::new(ErrorKind::Backlog, message)));
        }
    }

    /// The life of one connection's task.
    async fn serve(self: Rc<Self>, lane: usize, first: Job) {
        let lane = &self.lanes[lane];
        let seat = Rc::new(Seat::default());
        let mut connection = Connection::new(lane.address, self.assignment.limits);
        let mut next = Some(first);
        while let Some(job) = next {
            let message = &self.assignment.messages[job.target];
            let outcome = connection.perform(message, job.due).await;
            self.record(job, outcome);
            {
                let mut report = self.report.borrow_mut();
                report.connections += u64::from(connection.take_opened());
                report.resent += u64::from(connection.take_resent());
            }
            next = lane.waiting.borrow_mut().pop_front();
            if next.is_none() && !self.finishing.get() {
                lane.idle.borrow_mut().push(Rc::clone(&seat));
                next = seat.wait(&self.finishing).await;
            }
        }
        drop(connection);
        lane.open.set(lane.open.get() - 1);
        if let Some(waker) = self.finished.borrow_mut().take() {
            waker.wake();
        }
    }

    fn record(&self, job: Job, outcome: Result<Answer, Failed>) {
        let latency = job.due.elapsed();
        let target = &mut self.report.borrow_mut().targets[job.target];
        target.requests += 1;
        match outcome {
            Ok(answer) => {
                target.answered += 1;
                *target
                    .statuses
                    .entry(answer.status.unwrap_or(0))
                    .or_default() += 1;
                target.bytes_in += answer.bytes_in;
                target.bytes_out += answer.bytes_out;
                target
                    .latency
                    .saturating_record(micros(latency.as_nanos() as u64));
            }
            Err(failed) => {
                let ErrorCount { count, first } = &mut target.errors[failed.kind as usize];
                *count += 1;
                first.get_or_insert(failed.what);
            }
        }
    }

    /// Lets every request end and every connection close.
    async fn finish(&self) {
        self.finishing.set(true);
        for lane in &self.lanes {
            for seat in lane.idle.borrow_mut().drain(..) {
                seat.wake();
            }
        }
        poll_fn(|context| {
            if self.lanes.iter().all(|lane| lane.open.get() == 0) {
                return Poll::Ready(());
            }
            *self.finished.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// When nobody has taken the last ones, the numbers go on being added up here.
    fn hand_over(&self, reports: &SyncSender<Report>) {
        let report = self.take_report();
        if let Err(error) = reports.try_send(report) {
            let (std::sync::mpsc::TrySendError::Full(report)
            | std::sync::mpsc::TrySendError::Disconnected(report)) = error;
            *self.report.borrow_mut() = report;
        }
    }

    fn take_report(&self) -> Report {
        let fresh = Report::new(self.assignment.messages.len());
        self.report.replace(fresh)
    }
}

impl Seat {
    fn give(&self, job: Job) {
        self.job.set(Some(job));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The next request, or `None` when there will be none.
    async fn wait(&self, finishing: &Cell<bool>) -> Option<Job> {
        poll_fn(|context| {
            if let Some(job) = self.job.take() {
                return Poll::Ready(Some(job));
            }
            if finishing.get() {
                return Poll::Ready(None);
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
