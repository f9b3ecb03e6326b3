//! A run from its start to its report, seen from the thread that asked for it.

use std::{
    io,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

use thiserror::Error;

use crate::{
    connection::{self, Limits, Message},
    pacer::pace,
    plan::{Pace, Plan, PlanError, Stop},
    report::Report,
    ring::{self, Rung},
    schedule::Schedule,
    worker::{Assignment, work},
};

/// Reports on their way from one worker to [`Run::progress`]. When it is full, a worker adds up
/// until there is room.
const REPORTS_MAX: usize = 4;

/// A run under way. Dropping it stops it and waits for its requests to end.
#[derive(Debug)]
pub struct Run {
    start: Instant,
    total: Report,
    reports: Receiver<Report>,
    workers: Vec<JoinHandle<io::Result<Report>>>,
    pacers: Vec<JoinHandle<io::Result<()>>>,
    stopper: Stopper,
    rung: Rung,
}

/// Ends a run from anywhere, for example from where signals are received.
#[derive(Clone, Debug)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    pacers: Vec<Thread>,
}

impl Stopper {
    /// No further request is sent; those under way come to their ends.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        for pacer in &self.pacers {
            pacer.unpark();
        }
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
    /// Begins to send. The first request is due at once.
    ///
    /// # Errors
    /// When the plan is not possible, a name has no address, or the host refuses a thread, a socket
    /// or a ring.
    pub fn start(plan: &Plan) -> Result<Self, RunError> {
        plan.check()?;
        let messages = messages(plan)?;
        let threads = plan.workers as u64;
        let Pace::Open { rate, .. } = plan.pace else {
            return Err(PlanError::Rate(0.0).into());
        };
        let duration = match plan.stop {
            Stop::After(duration) => Some(duration),
            Stop::Asked | Stop::Requests(_) => None,
        };
        let (sender, reports) = sync_channel(REPORTS_MAX * plan.workers);
        let stop = Arc::new(AtomicBool::new(false));
        let start = Instant::now();
        let mut run = Self {
            start,
            total: Report::new(plan.targets.len()),
            reports,
            workers: Vec::new(),
            pacers: Vec::new(),
            stopper: Stopper {
                stop: Arc::clone(&stop),
                pacers: Vec::new(),
            },
            rung: Rung::Epoll,
        };
        for index in 0..threads {
            let assignment = Assignment {
                schedule: Schedule::new(rate, duration, index, threads),
                start,
                weights: plan.targets.iter().map(|target| target.weight).collect(),
                messages: messages.clone(),
                connections_max: plan.connections.div_ceil(plan.workers),
                backlog_max: plan.backlog_max,
                limits: Limits {
                    connect_timeout: plan.connect_timeout,
                    request_timeout: plan.request_timeout,
                },
                report_interval: Duration::from_millis(250),
            };
            run.spawn(plan, assignment, sender.clone())?;
        }
        Ok(run)
    }

    fn spawn(
        &mut self,
        plan: &Plan,
        assignment: Assignment,
        reports: SyncSender<Report>,
    ) -> Result<(), RunError> {
        let host = |what| move |error| RunError::Host(what, error);
        let (button, bell) = UnixStream::pair().map_err(host("cannot make a socket pair"))?;
        let (schedule, start, interval) = (
            assignment.schedule,
            assignment.start,
            assignment.report_interval,
        );
        let io = plan.io;
        let (tell, told) = sync_channel(1);
        let worker = thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || {
                ring::run(io, |rung| {
                    // The receiver is gone only when the start failed for another thread.
                    let _ = tell.send(rung);
                    work(assignment, rung, bell, reports)
                })?
            })
            .map_err(host("cannot start a thread"))?;
        let Ok(rung) = told.recv() else {
            let error = match worker.join() {
                Ok(Err(error)) => error,
                _ => io::Error::other("the thread ended before it began"),
            };
            return Err(RunError::Host(
                "neither io_uring nor epoll can be used",
                error,
            ));
        };
        self.rung = rung;
        self.workers.push(worker);
        let stop = Arc::clone(&self.stopper.stop);
        let pacer = thread::Builder::new()
            .name("load-pacer".to_owned())
            .spawn(move || pace(schedule, start, interval, &stop, button))
            .map_err(host("cannot start a thread"))?;
        self.stopper.pacers.push(pacer.thread().clone());
        self.pacers.push(pacer);
        Ok(())
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
        self.stopper.clone()
    }

    /// What has been reported up to now, at most the plan's report interval ago.
    pub fn progress(&mut self) -> &Report {
        for report in self.reports.try_iter() {
            self.total.add(&report);
        }
        &self.total
    }

    /// True when no request will be sent or is under way any more.
    pub fn is_over(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Waits for the end, which [`Stopper::stop`] or the plan's duration brings, and for every
    /// request to end.
    ///
    /// # Errors
    /// When a thread lost its ring or its pacer.
    pub fn finish(mut self) -> Result<Report, RunError> {
        self.join()?;
        self.progress();
        Ok(std::mem::replace(&mut self.total, Report::new(0)))
    }

    /// The first thing that went wrong, once every thread has ended.
    fn join(&mut self) -> Result<(), RunError> {
        let panicked = || io::Error::other("the thread panicked");
        let mut outcome = Ok(());
        for pacer in self.pacers.drain(..) {
            let result = pacer.join().unwrap_or_else(|_| Err(panicked()));
            let result =
                result.map_err(|error| RunError::Host("the pacer of a load thread failed", error));
            outcome = outcome.and(result);
        }
        for worker in self.workers.drain(..) {
            match worker.join().unwrap_or_else(|_| Err(panicked())) {
                Ok(report) => self.total.add(&report),
                Err(error) => {
                    outcome = outcome.and(Err(RunError::Host("a load thread failed", error)));
                }
            }
        }
        outcome
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stopper.stop();
        // Who drops a run does not want its numbers, nor what went wrong with them.
        drop(self.join());
    }
}

fn messages(plan: &Plan) -> Result<Vec<Message>, PlanError> {
    plan.targets
        .iter()
        .map(|target| {
            Ok(Message {
                address: target.url.resolve()?,
                bytes: Arc::new(connection::request(target)),
                head: target.method == "HEAD",
                idempotent: target.is_idempotent(),
            })
        })
        .collect()
}
