//! A run while it is under way: its progress on a terminal, and its end before time.

use std::{
    io::IsTerminal,
    time::{Duration, SystemTime},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringmain_loadgen::{Plan, PlanError, Progress, Report, Run, RunError, Stop, output::number};

use crate::{fault::Fault, runtime::Signals};

/// Between two looks at the run.
const LOOK: Duration = Duration::from_millis(100);
/// For requests under way to end once the run was interrupted; what has not ended then is left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) report: Report,
    /// When the first request was due or sent.
    pub(super) started: SystemTime,
    /// A signal ended it before its time.
    pub(super) interrupted: bool,
}

/// Runs `plan` to its end, or until a signal. A second signal ends it without a result.
pub(super) async fn drive(plan: &Plan, quiet: bool) -> Result<Outcome, Fault> {
    let mut signals = Signals::new()?;
    let started = SystemTime::now() + plan.warmup;
    let run = Run::start(plan).map_err(fault)?;
    let bar = Bar::new(plan, quiet);
    let mut interrupted = None;
    while !run.is_over() {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = signals.stop() => {
                if interrupted.is_some() {
                    return Err(Fault::new("stopped at once by a second signal, without a result"));
                }
                interrupted = Some(run.elapsed());
                run.stopper().stop();
                bar.say("ending: waiting for requests under way");
            }
        }
        match interrupted {
            Some(at) if run.elapsed() > at + PATIENCE => run.stopper().abandon(),
            Some(_) => {}
            None => {
                let elapsed = run.elapsed();
                bar.show(elapsed, &run.progress());
            }
        }
    }
    drop(bar);
    Ok(Outcome {
        report: run.finish().map_err(fault)?,
        started,
        interrupted: interrupted.is_some(),
    })
}

fn fault(error: RunError) -> Fault {
    match error {
        // These two depend on the host, not on how the command is written.
        RunError::Plan(error @ (PlanError::Resolve { .. } | PlanError::Tls { .. })) => {
            Fault::new(error.to_string())
        }
        RunError::Plan(error) => Fault::Usage(error.to_string()),
        error @ RunError::Host(..) => Fault::new(format!("cannot measure: {error}")),
    }
}

/// A line on the terminal, gone when dropped. Where standard error is no terminal there is none.
struct Bar {
    bar: ProgressBar,
    warmup: Duration,
    stop: Stop,
}

impl Bar {
    fn new(plan: &Plan, quiet: bool) -> Self {
        let length = match plan.stop {
            Stop::Asked => None,
            Stop::After(duration) => Some(millis(duration)),
            Stop::Requests(requests) => Some(requests),
        };
        let target = if quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(length, target);
        let style = ProgressStyle::with_template("{prefix} {bar:24} {msg}");
        bar.set_style(style.expect("the template is constant and valid"));
        Self {
            bar,
            warmup: plan.warmup,
            stop: plan.stop,
        }
    }

    fn show(&self, elapsed: Duration, progress: &Progress) {
        if self.bar.is_hidden() {
            return;
        }
        let Some(measured) = elapsed.checked_sub(self.warmup) else {
            let left = self.warmup - elapsed;
            self.bar.set_prefix("warm-up");
            self.bar.set_message(format!("{} left", seconds(left)));
            return;
        };
        self.bar.set_prefix(format!("{}s", measured.as_secs()));
        let left = match self.stop {
            Stop::Asked => String::new(),
            Stop::After(duration) => {
                self.bar.set_position(millis(measured.min(duration)));
                format!("{} left", seconds(duration.saturating_sub(measured)))
            }
            Stop::Requests(requests) => {
                self.bar.set_position(progress.requests);
                format!(
                    "{} requests left",
                    requests.saturating_sub(progress.requests)
                )
            }
        };
        self.bar.set_message(format!("{left}  {}", live(progress)));
    }

    fn say(&self, message: &'static str) {
        if !self.bar.is_hidden() {
            self.bar.set_message(message);
            self.bar.tick();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The last whole second: what happens now, rather than what happened on the whole.
fn live(progress: &Progress) -> String {
    let Some(second) = progress.second else {
        return String::new();
    };
    let p99 = match second.p99 {
        Some(p99) => number::micros(p99.as_secs_f64() * 1e6),
        None => "-".to_owned(),
    };
    format!(
        "{}/s  p99 {p99}  errors {}",
        number::rate(second.rate()),
        progress.errors
    )
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Rounded up, so that a run with 0 s left is over.
fn seconds(duration: Duration) -> String {
    format!("{:.0}s", duration.as_secs_f64().ceil())
}
