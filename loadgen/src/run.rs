//! A run from its start to its report, seen from the thread that asked for it.

use std::{
    io,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{
    live::Live,
    plan::{Kind, Pace, Plan, PlanError, Stop},
    protocol::{
        Endpoint, Protocol, echo::Echo, grpc::Grpc, h2::Http2, http1::Http1,
        negotiated::Negotiated, stream::Stream, websocket, websocket::WebSocket,
    },
    report::{Report, Second},
    ring::{self, Rung},
    schedule::Share,
    series::{self, Seconds},
    time::Clock,
    verdict,
    worker::{Assignment, Control, Order, Tally, work},
};

/// A run under way. Dropping it gives up what is under way.
#[derive(Debug)]
pub struct Run {
    /// When the first request is due.
    start: Instant,
    targets: usize,
    intended_rate: Option<f64>,
    lives: Vec<Arc<Live>>,
    seconds: Seconds,
    workers: Vec<JoinHandle<io::Result<Report>>>,
    series: Option<JoinHandle<()>>,
    control: Arc<Control>,
    rung: Rung,
}

/// What has been counted up to now.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Requests that have ended since the end of the warm-up.
    pub requests: u64,
    /// Those among them without a complete answer.
    pub errors: u64,
    /// Answers whose status says that not all is well ([`Kind::is_success`]).
    pub refused: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// The last second that is over.
    pub second: Option<Second>,
}

/// Ends a run from anywhere, for example from where signals are received. It takes a tenth of a
/// second at most until the run notices.
#[derive(Clone, Debug)]
pub struct Stopper {
    control: Arc<Control>,
}

impl Stopper {
    /// No further request is sent; those under way come to their ends and count.
    pub fn stop(&self) {
        self.control.give(Order::Finish);
    }

    /// No further request is sent; those under way are given up and in no count.
    pub fn abandon(&self) {
        self.control.give(Order::Abandon);
    }
}

/// Why a run did not begin or not end as planned.
#[derive(Debug, Error)]
pub enum RunError {
    /// The plan is not possible.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// This host refused a thread, a socket or a ring.
    #[error("{0}: {1}")]
    Host(&'static str, io::Error),
}

impl Run {
    /// Opens the rings, then begins to send. The first request is due at once.
    ///
    /// # Errors
    /// When the plan is not possible, a name has no address, or the host refuses a thread, a socket
    /// or a ring.
    pub fn start(plan: &Plan) -> Result<Self, RunError> {
        plan.check()?;
        match plan.kind {
            Kind::Http1 => Self::begin::<Http1>(plan),
            Kind::TcpEcho => Self::begin::<Echo>(plan),
            Kind::TcpStream(_) => Self::begin::<Stream>(plan),
            Kind::Http2 => Self::begin::<Http2>(plan),
            Kind::Negotiated => Self::begin::<Negotiated>(plan),
            Kind::Grpc => Self::begin::<Grpc>(plan),
            Kind::WebSocket => Self::begin::<WebSocket>(plan),
        }
    }

    fn begin<P: Protocol>(plan: &Plan) -> Result<Self, RunError> {
        let endpoints = endpoints(plan)?;
        // What a worker would find wrong is found here, where it can be said well.
        let protocol = P::new(plan)?;
        for target in &plan.targets {
            protocol.message(target)?;
        }
        let control = Arc::new(Control::default());
        let budget = match (plan.pace, plan.stop) {
            (Pace::Closed, Stop::Requests(requests)) => Some(Arc::new(AtomicU64::new(requests))),
            _ => None,
        };
        let lives: Vec<_> = (0..plan.workers).map(|_| Arc::new(Live::new())).collect();
        let shared = Arc::new(plan.clone());
        let mut starting = Starting::default();
        let (series, ending) = starting.series(&lives, plan)?;
        for (index, live) in lives.iter().enumerate() {
            let assignment = Assignment {
                plan: Arc::clone(&shared),
                endpoints: endpoints.clone(),
                share: Share {
                    worker: index as u64,
                    workers: plan.workers as u64,
                },
                budget: budget.clone(),
                live: Arc::clone(live),
                control: Arc::clone(&control),
            };
            starting.worker::<P>(assignment, Arc::clone(&ending))?;
        }
        let rung = starting.rungs.last().copied().unwrap_or(Rung::Epoll);
        let start = Instant::now();
        for go in &starting.go {
            // One that has ended already says why when it is joined.
            let _ = go.send(start);
        }
        Ok(Self {
            start,
            targets: plan.targets.len(),
            intended_rate: match plan.pace {
                Pace::Open { rate, .. } => Some(rate),
                Pace::Closed => None,
            },
            lives,
            seconds: series.1,
            workers: starting.workers,
            series: Some(series.0),
            control,
            rung,
        })
    }

    /// What the threads run on.
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Time since the first request was due.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ends the run from another thread or a signal.
    pub fn stopper(&self) -> Stopper {
        Stopper {
            control: Arc::clone(&self.control),
        }
    }

    /// What has been counted up to now. Costs the workers nothing.
    pub fn progress(&self) -> Progress {
        let sum = series::sum(&self.lives);
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        Progress {
            requests: sum.requests,
            errors: sum.errors,
            refused: sum.refused,
            bytes_in: sum.bytes_in,
            bytes_out: sum.bytes_out,
            second: seconds.last().copied(),
        }
    }

    /// True when no request will be sent or is under way any more.
    pub fn is_over(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end, which [`Stopper`] or the plan brings, and for every request to end.
    ///
    /// # Errors
    /// When a thread lost its ring.
    pub fn finish(mut self) -> Result<Report, RunError> {
        let mut report = self.join()?;
        let seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        report.series.clone_from(&seconds);
        drop(seconds);
        report.intended_rate = self.intended_rate;
        report.rung = self.rung;
        report.bottleneck = verdict::bottleneck(&report);
        Ok(report)
    }

    /// The sum of all workers, or the first thing that went wrong, once every thread has ended.
    fn join(&mut self) -> Result<Report, RunError> {
        let panicked = || io::Error::other("the thread panicked");
        let mut outcome = Ok(Report::new(self.targets));
        for worker in self.workers.drain(..) {
            let result = worker.join().unwrap_or_else(|_| Err(panicked()));
            match (&mut outcome, result) {
                (Ok(total), Ok(report)) => total.add(&report),
                (Err(_), _) => {}
                (Ok(_), Err(error)) => {
                    outcome = Err(RunError::Host("a load thread failed", error));
                }
            }
        }
        if let Some(series) = self.series.take() {
            let ended = series.join();
            debug_assert!(ended.is_ok(), "noting seconds cannot fail");
        }
        outcome
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.control.give(Order::Abandon);
        // Who drops a run does not want its numbers, nor what went wrong with them.
        drop(self.join());
    }
}

/// Threads that wait for the time of the start. Dropping it lets them go without one.
#[derive(Default)]
struct Starting {
    go: Vec<SyncSender<Instant>>,
    workers: Vec<JoinHandle<io::Result<Report>>>,
    rungs: Vec<Rung>,
}

/// Tells the thread that notes seconds when the last worker has ended.
struct Ending {
    workers: AtomicUsize,
    over: Arc<AtomicBool>,
    series: Thread,
}

/// A worker's part in [`Ending`], however it ends.
struct Part(Arc<Ending>);

impl Drop for Part {
    fn drop(&mut self) {
        if self.0.workers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.over.store(true, Ordering::Release);
            self.0.series.unpark();
        }
    }
}

impl Starting {
    #[expect(
        clippy::type_complexity,
        reason = "two things that belong together, once"
    )]
    fn series(
        &mut self,
        lives: &[Arc<Live>],
        plan: &Plan,
    ) -> Result<((JoinHandle<()>, Seconds), Arc<Ending>), RunError> {
        let seconds = Seconds::default();
        let over = Arc::new(AtomicBool::new(false));
        let (go, told) = sync_channel::<Instant>(1);
        let (lives, book, end) = (lives.to_vec(), Arc::clone(&seconds), Arc::clone(&over));
        let warmup = plan.warmup;
        let thread = spawn("load-series", move || {
            if let Ok(start) = told.recv() {
                series::keep(&lives, start + warmup, &book, &end);
            }
        })?;
        self.go.push(go);
        let ending = Arc::new(Ending {
            workers: AtomicUsize::new(plan.workers),
            over,
            series: thread.thread().clone(),
        });
        Ok(((thread, seconds), ending))
    }

    /// Starts a thread and waits until it has its ring.
    fn worker<P: Protocol>(
        &mut self,
        assignment: Assignment,
        ending: Arc<Ending>,
    ) -> Result<(), RunError> {
        let (go, told) = sync_channel(1);
        let (tell, rung) = sync_channel(1);
        let thread = spawn("load", move || {
            let _part = Part(ending);
            drive::<P>(assignment, &tell, told)
        })?;
        let Ok(rung) = rung.recv() else {
            let error = match thread.join() {
                Ok(Err(error)) => error,
                _ => io::Error::other("the thread ended before it began"),
            };
            return Err(RunError::Host("a load thread cannot begin", error));
        };
        self.rungs.push(rung);
        self.go.push(go);
        self.workers.push(thread);
        Ok(())
    }
}

/// A worker's thread.
fn drive<P: Protocol>(
    assignment: Assignment,
    tell: &SyncSender<Rung>,
    told: Receiver<Instant>,
) -> io::Result<Report> {
    if assignment.plan.pin {
        pin(assignment.share.worker as usize);
    }
    let io = assignment.plan.io;
    ring::run(io, |rung| async move {
        // Made before the time of the start is set, which it would delay.
        let tally = Tally::new(assignment.plan.targets.len());
        // Nobody listens only when the start failed for another thread.
        let _ = tell.send(rung);
        match told.recv() {
            Ok(start) => work::<P>(assignment, tally, Clock::new(start)).await,
            Err(_) => Ok(Report::new(0)),
        }
    })?
}

/// Keeps the calling thread on one of the CPUs it may use.
fn pin(worker: usize) {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    if let Some(cpu) = worker.checked_rem(cpus.len()) {
        // Refused only where the call is; the run is then a little less even.
        core_affinity::set_for_current(cpus[cpu]);
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, RunError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| RunError::Host("cannot start a thread", error))
}

fn endpoints(plan: &Plan) -> Result<Vec<Endpoint>, PlanError> {
    plan.targets
        .iter()
        .map(|target| {
            Ok(Endpoint {
                address: target.url.resolve()?,
                host: target.url.host.clone(),
                secure: target.url.scheme.is_secure(),
                upgrade: match plan.kind {
                    Kind::WebSocket => websocket::upgrade(target),
                    _ => String::new(),
                },
            })
        })
        .collect()
}
