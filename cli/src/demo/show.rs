//! The demo while it runs: traffic, phases, and what is seen of them.

use std::time::Duration;

use ringmain_loadgen::{Arrivals, Pace, Plan, Report, Run, Target, Usage};
use tokio::time::{Instant, sleep_until};

use super::{
    Arguments, Ends,
    effect::{self, Held, Progress},
    observe::{Counts, EDGES, REVIEWS},
    screen::Screen,
    stage::Stage,
    summary::{Observed, Summary},
    table,
    timeline::{PHASES, ends},
};
use crate::{
    fault::{Exit, Fault},
    output,
};

/// Between two tables.
const REFRESH: Duration = Duration::from_secs(1);
/// Between two looks whether a change has arrived, so that the time it took is known as well.
const LOOK: Duration = Duration::from_millis(10);
/// For a change to be used by all proxies.
const APPLY_PATIENCE: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Opened only when slow answers make them necessary.
const CONNECTIONS_MAX: usize = 256;

/// Sends traffic through the phases until they are over or a signal comes, and says how it went.
pub(super) async fn show(
    arguments: &Arguments,
    stage: &mut Stage,
    screen: &mut Screen,
    signals: &mut Ends,
) -> Result<Exit, Fault> {
    // Before the traffic, so that all of it is counted.
    let counts = stage.counts().await?;
    let run = start_load(arguments, stage)?;
    let mut show = Show::new(arguments, stage, screen, counts, run);
    let outcome = tokio::select! {
        outcome = show.play() => outcome,
        () = signals.stop() => Ok(()),
    };
    outcome?;
    show.end().await
}

fn start_load(arguments: &Arguments, stage: &Stage) -> Result<Run, Fault> {
    let failed = |error: &dyn std::error::Error| Fault::new(format!("cannot send: {error}"));
    let url = stage.page().parse().map_err(|error| failed(&error))?;
    let pace = Pace::Open {
        rate: arguments.rate,
        arrivals: Arrivals::Constant,
    };
    let plan = Plan {
        request_timeout: REQUEST_TIMEOUT,
        connections: CONNECTIONS_MAX,
        usage: Usage::Few,
        ..Plan::new(vec![Target::get(url)], pace)
    };
    Run::start(&plan).map_err(|error| failed(&error))
}

struct Show<'a> {
    stage: &'a mut Stage,
    screen: &'a mut Screen,
    run: Run,
    rate: f64,
    start: Instant,
    ends: [Option<Duration>; PHASES.len()],
    /// Index of the phase.
    phase: usize,
    /// A change whose effect is not complete.
    change: Option<Change>,
    /// Counts when the phase's rule was first in force everywhere.
    baseline: Option<Counts>,
    /// Counts when traffic began, to leave out the request before it.
    first: Counts,
    shown: Shown,
    phases: Vec<Observed>,
}

/// A change of the rule, on its way.
struct Change {
    made: Instant,
    /// What the proxies used before it.
    before: Held,
    applied: Option<Duration>,
    /// Requests to v3 before it, when there were none; nothing is awaited when there were some.
    awaits_v3: bool,
}

/// What the last table was made from.
struct Shown {
    at: Instant,
    counts: Counts,
}

impl<'a> Show<'a> {
    fn new(
        arguments: &Arguments,
        stage: &'a mut Stage,
        screen: &'a mut Screen,
        counts: Counts,
        run: Run,
    ) -> Self {
        let start = Instant::now();
        screen.say(&format!(
            "sending {} requests per second from here to the gateway",
            arguments.rate
        ));
        let mut show = Self {
            stage,
            screen,
            run,
            rate: arguments.rate,
            start,
            ends: ends(arguments.duration),
            phase: 0,
            change: None,
            baseline: Some(counts.clone()),
            first: counts.clone(),
            shown: Shown { at: start, counts },
            phases: Vec::new(),
        };
        show.announce(PHASES[0].title);
        show
    }

    /// Returns when the last phase is over.
    async fn play(&mut self) -> Result<(), Fault> {
        loop {
            sleep_until(self.next_look()).await;
            self.stage.check()?;
            if self.run.is_over() {
                return Err(Fault::new("the load generator ended by itself"));
            }
            if self.change.is_some() {
                self.look_for_effect().await?;
            }
            if self.shown.at.elapsed() >= REFRESH {
                self.refresh().await?;
            }
            let over = self.ends[self.phase].is_some_and(|end| self.start.elapsed() >= end);
            if over {
                self.close_phase().await?;
                if self.phase + 1 == PHASES.len() {
                    return Ok(());
                }
                self.phase += 1;
                self.open_phase().await?;
            }
        }
    }

    fn next_look(&self) -> Instant {
        if self.change.is_some() {
            return Instant::now() + LOOK;
        }
        let refresh = self.shown.at + REFRESH;
        match self.ends[self.phase] {
            Some(end) => refresh.min(self.start + end),
            None => refresh,
        }
    }

    async fn open_phase(&mut self) -> Result<(), Fault> {
        let phase = PHASES[self.phase];
        let Some(file) = phase.file else {
            return Ok(());
        };
        let before = effect::held(&self.stage.status().await?);
        let reviews = versions(&self.stage.page_counts().await?);
        self.stage.shift(file)?;
        self.change = Some(Change {
            made: Instant::now(),
            before,
            applied: None,
            awaits_v3: reviews[2] == 0,
        });
        self.baseline = None;
        self.announce(&format!(
            "mesh/reviews.yaml is now shift/{file}: {}",
            phase.title
        ));
        Ok(())
    }

    async fn look_for_effect(&mut self) -> Result<(), Fault> {
        let Some(mut change) = self.change.take() else {
            return Ok(());
        };
        if change.applied.is_none() {
            self.look_for_application(&mut change).await?;
        }
        if change.awaits_v3 {
            let reviews = versions(&self.stage.page_counts().await?);
            if reviews[2] > 0 {
                change.awaits_v3 = false;
                let took = table::short(change.made.elapsed());
                self.announce(&format!("first request to v3 seen after {took}"));
            }
        }
        if change.applied.is_none() || change.awaits_v3 {
            self.change = Some(change);
        }
        Ok(())
    }

    async fn look_for_application(&mut self, change: &mut Change) -> Result<(), Fault> {
        let progress = effect::progress(&self.stage.status().await?, &change.before);
        let took = change.made.elapsed();
        match progress {
            Progress::Applied => {
                change.applied = Some(took);
                self.baseline = Some(self.stage.page_counts().await?);
                let proxies = self.stage.proxies();
                let took = table::short(took);
                self.announce(&format!(
                    "all {proxies} proxies use it {took} after the file changed"
                ));
                Ok(())
            }
            Progress::Refused(reason) => {
                Err(Fault::new(format!("the change was refused: {reason}")))
            }
            Progress::Pending(_) if took < APPLY_PATIENCE => Ok(()),
            Progress::Pending(proxy) => Err(Fault::new(format!(
                "the change was not used by all proxies within {APPLY_PATIENCE:?}; waiting for {}",
                proxy.as_deref().unwrap_or("the control plane to see it")
            ))),
        }
    }

    async fn close_phase(&mut self) -> Result<(), Fault> {
        if self.baseline.is_none() {
            return Err(Fault::new(format!(
                "the phase ended before the change was used by all proxies: {}",
                PHASES[self.phase].title
            )));
        }
        let requests = self.observed().await?;
        self.note(requests);
        Ok(())
    }

    /// Requests to each version since the phase's rule is in force.
    async fn observed(&self) -> Result<[u64; 3], Fault> {
        let now = versions(&self.stage.page_counts().await?);
        let before = self.baseline.as_ref().map_or(now, versions);
        Ok([0, 1, 2].map(|version| now[version].saturating_sub(before[version])))
    }

    fn note(&mut self, requests: [u64; 3]) {
        self.announce(&format!(
            "observed {} of {} requests",
            table::shares(requests),
            requests.iter().sum::<u64>()
        ));
        self.phases.push(Observed {
            phase: PHASES[self.phase],
            requests,
        });
    }

    /// Redraws the table with what happened since the last one.
    async fn refresh(&mut self) -> Result<(), Fault> {
        let counts = self.stage.counts().await?;
        let at = Instant::now();
        let between = since(&counts, &self.shown.counts);
        let mut lines = vec![String::new(), self.headline()];
        lines.extend(table::live(&between, at - self.shown.at));
        self.screen.draw(&lines);
        self.shown = Shown { at, counts };
        Ok(())
    }

    fn headline(&self) -> String {
        let elapsed = table::clock(self.start.elapsed());
        let last = self.ends[PHASES.len() - 1];
        let time = match last {
            Some(end) => format!("{elapsed} of {}", table::clock(end)),
            None => format!("{elapsed}, Ctrl-C to end"),
        };
        let [v1, v2, v3] = PHASES[self.phase].wanted;
        let rate = self.rate;
        let progress = self.run.progress();
        let failed = progress.errors + progress.refused;
        format!(
            "  {time}   reviews wanted v1 {v1} %, v2 {v2} %, v3 {v3} %   {rate}/s sent, {failed} \
             failed"
        )
    }

    fn announce(&mut self, text: &str) {
        let time = table::clock(self.start.elapsed());
        self.screen.say(&format!("{time}  {text}"));
    }

    /// Ends the traffic and says how it went.
    async fn end(mut self) -> Result<Exit, Fault> {
        let elapsed = self.run.elapsed();
        self.run.stopper().stop();
        // A phase that was interrupted counts when its rule was in force and used.
        let is_open = self.phases.len() == self.phase;
        let requests = self.observed().await?;
        if is_open && requests != [0; 3] {
            self.note(requests);
        }
        let run = self.run;
        let load = finish(run).await?;
        let counts = since(&self.stage.counts().await?, &self.first);
        self.screen.clear();
        let summary = Summary {
            elapsed,
            load,
            counts,
            phases: self.phases,
        };
        for line in summary.lines() {
            self.screen.say(&line);
        }
        let problems = summary.problems();
        if problems.is_empty() {
            self.screen.say("every request that should succeed did");
            return Ok(Exit::Fine);
        }
        for problem in problems {
            output::complain(&format!("failed: {problem}"));
        }
        Ok(Exit::Bad)
    }
}

/// Waits for the requests under way without holding up the runtime.
async fn finish(run: Run) -> Result<Report, Fault> {
    let finished = tokio::task::spawn_blocking(move || run.finish()).await;
    match finished {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(error)) => Err(Fault::new(error.to_string())),
        Err(error) => Err(Fault::new(format!("the load generator failed: {error}"))),
    }
}

/// Requests to v1, v2 and v3 of reviews.
fn versions(counts: &Counts) -> [u64; 3] {
    let [v1, v2, v3] = &counts[REVIEWS] else {
        unreachable!("{} edges lead to reviews", REVIEWS.len());
    };
    [v1.requests, v2.requests, v3.requests]
}

fn since(now: &Counts, before: &Counts) -> Counts {
    let mut counts = Counts::default();
    for index in 0..EDGES.len() {
        counts[index] = now[index].since(&before[index]);
    }
    counts
}
