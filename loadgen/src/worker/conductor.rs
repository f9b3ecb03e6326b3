//! Begins requests when they are due, finds those that are late, and ends the run.

use std::{future::poll_fn, io, pin::pin, rc::Rc, task::Poll, time::Duration};

use super::{Assignment, Order, Tally, Worker};
use crate::{
    plan::{Pace, Plan, Usage},
    protocol::Protocol,
    report::{Report, ThreadUse, micros, record},
    schedule::{Schedule, Share},
    time::{Alarm, Clock, NEVER, Nanos, nanos},
    usage::Used,
};

/// Requests that are due within it are sent together, so that a high rate does not turn the worker
/// into a loop without sleep. A core wakes and sleeps again in about this time.
const SLEEP_MIN: Nanos = 20_000;
/// How late a deadline or an order to end may be noticed: a part of the shortest timeout ...
const SWEEPS_PER_TIMEOUT: Nanos = 20;
/// ... but often enough for who waits for the end, and not so often that it costs anything.
const SWEEP_MIN: Nanos = 1_000_000;
const SWEEP_MAX: Nanos = 100_000_000;

/// A stream whose other side does not let it come to its end is given up so long after the time of
/// the run. What sockets and a proxy hold takes a small part of that.
const STREAM_PATIENCE: Nanos = 3_000_000_000;

/// Runs until everything was sent, or `control` says so, and every request has ended.
pub(crate) async fn work<P: Protocol>(
    assignment: Assignment,
    tally: Tally,
    clock: Clock,
) -> io::Result<Report> {
    let plan = &assignment.plan;
    let worker = Worker::<P>::new(&assignment, tally, clock).map_err(io::Error::other)?;
    let mut conductor = Conductor {
        arrivals: Arrivals::new(plan, assignment.share),
        sweep_interval: (worker
            .settings
            .connect_timeout
            .min(worker.settings.request_timeout)
            / SWEEPS_PER_TIMEOUT)
            .clamp(SWEEP_MIN, SWEEP_MAX),
        sweep_at: 0,
        warm: None,
        thread: None,
        assignment: &assignment,
        alarm: Alarm::new()?,
        worker,
    };
    conductor.conduct().await?;
    Ok(conductor.report())
}

struct Conductor<'a, P: Protocol> {
    assignment: &'a Assignment,
    worker: Rc<Worker<P>>,
    alarm: Alarm,
    arrivals: Arrivals,
    sweep_interval: Nanos,
    sweep_at: Nanos,
    /// When the warm-up ended, and what the thread had used until then.
    warm: Option<(Nanos, Used)>,
    /// What it used from then until nothing more was sent.
    thread: Option<ThreadUse>,
}

/// When lanes get requests that they did not draw themselves.
enum Arrivals {
    Open(Schedule),
    /// The first request of each user of a closed loop. A user has one request at a time, and goes
    /// on with the next by itself.
    Closed {
        begun: u64,
        users: u64,
        ramp: Nanos,
        share: Share,
    },
}

impl Arrivals {
    fn new(plan: &Plan, share: Share) -> Self {
        match plan.pace {
            Pace::Open { rate, arrivals } => Self::Open(Schedule::new(
                rate,
                arrivals,
                plan.ramp,
                plan.warmup,
                plan.stop,
                share,
            )),
            Pace::Closed => Self::Closed {
                begun: 0,
                users: share.of(plan.connections as u64) * plan.kind.lanes(plan.streams) as u64,
                ramp: nanos(plan.ramp),
                share,
            },
        }
    }

    fn due(&self) -> Option<Nanos> {
        match self {
            Self::Open(schedule) => schedule.due(),
            Self::Closed {
                begun,
                users,
                ramp,
                share,
            } => {
                // Users of all workers take turns.
                let place = begun * share.workers + share.worker;
                let all = users * share.workers;
                let at = u128::from(*ramp) * u128::from(place) / u128::from(all.max(1));
                (begun < users).then_some(Nanos::try_from(at).unwrap_or(NEVER))
            }
        }
    }

    fn advance(&mut self) {
        match self {
            Self::Open(schedule) => schedule.advance(),
            Self::Closed { begun, .. } => *begun += 1,
        }
    }
}

impl<P: Protocol> Conductor<'_, P> {
    async fn conduct(&mut self) -> io::Result<()> {
        if self.worker.settings.is_open && self.worker.settings.usage == Usage::All {
            self.worker.open_all();
        }
        loop {
            let now = self.worker.clock.now();
            self.note_use(now);
            if now >= self.sweep_at {
                self.sweep_at = now + self.sweep_interval;
                self.sweep(now);
            }
            if self.worker.is_running() {
                self.begin_what_is_due(now);
            }
            if !self.worker.is_running() && self.worker.active.get() == 0 {
                self.note_use(self.worker.clock.now());
                self.worker.protocol.connector().undriven().await;
                return Ok(());
            }
            self.rest(now).await?;
        }
    }

    fn begin_what_is_due(&mut self, now: Nanos) {
        let worker = &self.worker;
        if now >= worker.end.get() && !worker.settings.is_open {
            return worker.finish();
        }
        let mut due = self.arrivals.due();
        while let Some(at) = due.filter(|at| *at <= now) {
            self.arrivals.advance();
            due = self.arrivals.due();
            if !worker.settings.is_open {
                worker.dispatch(worker.draw(now));
                continue;
            }
            if at >= worker.settings.warmup {
                let mut tally = worker.tally.borrow_mut();
                record(&mut tally.slip, micros(now - at));
            }
            worker.dispatch(worker.draw(at));
        }
        if due.is_none() && worker.settings.is_open {
            worker.finish();
        }
    }

    fn sweep(&self, now: Nanos) {
        let worker = &self.worker;
        match self.assignment.control.order() {
            Order::Run => {}
            Order::Finish => worker.stop(now),
            Order::Abandon => {
                worker.stop(now);
                worker.abandon();
            }
        }
        let is_draining = worker.settings.kind.is_stream() && worker.phase.get() == Order::Finish;
        if is_draining && now >= worker.end.get().saturating_add(STREAM_PATIENCE) {
            worker.abandon();
        }
        for lane in worker.lanes.borrow().iter() {
            match worker.phase.get() {
                Order::Abandon => lane.expire(),
                Order::Run | Order::Finish => lane.check(now),
            }
        }
    }

    /// Looks at the clock of the thread when the warm-up ends, and when nothing more is sent.
    fn note_use(&mut self, now: Nanos) {
        if self.warm.is_none() && now >= self.worker.settings.warmup {
            self.warm = Some((now, Used::now()));
        }
        if let Some((from, before)) = self.warm
            && self.thread.is_none()
            && !self.worker.is_running()
        {
            let used = Used::now();
            self.thread = Some(ThreadUse {
                wall: Duration::from_nanos(now - from),
                cpu: used.cpu.saturating_sub(before.cpu),
                waited: used.waited.saturating_sub(before.waited),
            });
        }
    }

    /// Sleeps until something is due or the run ends.
    async fn rest(&self, now: Nanos) -> io::Result<()> {
        let worker = &self.worker;
        let was_running = worker.is_running();
        let mut next = self.sweep_at;
        if was_running {
            let end = match worker.settings.is_open {
                true => NEVER,
                false => worker.end.get(),
            };
            next = next.min(end).min(self.arrivals.due().unwrap_or(NEVER));
        }
        if self.warm.is_none() {
            next = next.min(worker.settings.warmup);
        }
        let pause = next.saturating_sub(now).max(SLEEP_MIN);
        let mut alarm = pin!(self.alarm.wait(Duration::from_nanos(pause)));
        poll_fn(|context| {
            let is_changed = worker.is_running() != was_running;
            if is_changed || (!was_running && worker.active.get() == 0) {
                return Poll::Ready(Ok(()));
            }
            *worker.conductor.borrow_mut() = Some(context.waker().clone());
            alarm.as_mut().poll(context)
        })
        .await
    }

    fn report(self) -> Report {
        let worker = &self.worker;
        let warmup = worker.settings.warmup;
        let end = match worker.end.get() {
            NEVER => worker.last_end.get(),
            end => end,
        };
        let mut report = Report::new(0);
        report.duration = Duration::from_nanos(end.saturating_sub(warmup));
        report.workers = vec![self.thread.unwrap_or_default()];
        let tally = worker.tally.replace(Tally::new(0));
        tally.into_report(&mut report);
        report.resumed = worker.protocol.connector().resumed();
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Target;

    #[test]
    fn users_of_a_closed_loop_begin_one_after_another() {
        let check = |connections, ramp, worker, workers, expected: &[Nanos]| {
            let target = Target::get("http://a/".parse().unwrap());
            let plan = Plan {
                connections,
                ramp: Duration::from_nanos(ramp),
                ..Plan::new(vec![target], Pace::Closed)
            };
            let mut arrivals = Arrivals::new(&plan, Share { worker, workers });
            let mut found = Vec::new();
            while let Some(due) = arrivals.due() {
                found.push(due);
                arrivals.advance();
            }
            assert_eq!(
                found, expected,
                "{connections} in {ramp} ns, {worker} of {workers}"
            );
        };
        check(3, 0, 0, 1, &[0, 0, 0]);
        check(4, 100, 0, 1, &[0, 25, 50, 75]);
        check(4, 100, 0, 2, &[0, 50]);
        check(4, 100, 1, 2, &[25, 75]);
    }
}
