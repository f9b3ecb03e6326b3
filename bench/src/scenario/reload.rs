//! Configuration changes under half load: how long one takes from the file to all workers, and that
//! no request is lost by it.
//!
//! Every route differs from one version of the file to the next. The generation that all workers use
//! is asked of the proxy's admin endpoint.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, Result, bail};

use super::CONNECTIONS;
use crate::{
    bench::Bench,
    client::{Connection, fetch},
    load::{Extent, Load, Outcome, What},
    origin::Origin,
    peer::{
        Carries, Size, Task,
        ringmain::{Ringmain, Setup},
    },
    report::{Column, Outline, Report},
    samples::Sample,
    table::{GENERATION, Table},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "reload",
    title: "configuration changes under half load",
    about: "The file of all routes is replaced again and again, and every route differs each time. Time \
            from the file's replacement to its use by all workers; requests that were lost; p99 with the \
            changes and without, in open loops at the same rate.",
    columns: &[
        Column::spread("applied_ms", "applied after ms", 0),
        Column::median("changes", "changes", 0),
        Column::median("requests", "requests", 0),
        Column::median("lost_requests", "lost", 0),
        Column::median("steady_p99_us", "p99 us without", 0),
        Column::median("p99_us", "p99 us with", 0),
        Column::median("max_us", "longest us", 0),
        Column::median("rss_growth_bytes", "RSS growth MiB", 1).per(1_048_576.0),
    ],
    charts: &["applied_ms"],
};

/// How long a change may take before it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one change's use to the next change.
const BETWEEN: Duration = Duration::from_millis(250);
/// How often the generation is asked for. That it costs the proxy something is part of the figure.
const ASK: Duration = Duration::from_millis(2);

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for (case, table) in [("1000 routes", Table::LARGE), ("10000 routes", Table::HUGE)] {
        let directory = bench.directory()?;
        let directory = directory.path();
        let origin = Origin::start(bench, directory)?;
        let task = Task {
            carries: Carries::Http(table, Size::Small),
            origin: origin.http,
            workers: 1,
        };
        bench.progress.say(format!("reload: starting, {case}"));
        let cores = bench.proxy_cores(1);
        let ringmain = Setup::new(bench, directory, &cores).start(&task, Some(0))?;
        bench.wait_for_quiet(bench.deadline())?;
        Run {
            bench,
            directory,
            ringmain: &ringmain,
            table,
            case,
        }
        .measure(&origin, report)?;
        ringmain.stop()?;
    }
    Ok(())
}

struct Run<'a> {
    bench: &'a Bench,
    directory: &'a Path,
    ringmain: &'a Ringmain,
    table: Table,
    case: &'a str,
}

impl Run<'_> {
    fn measure(&self, origin: &Origin, report: &mut Report) -> Result<()> {
        let bench = self.bench;
        let changes = bench.arguments.rounds().max(2);
        let turn = bench.arguments.turn();
        let full = self.load(None, turn).run(bench, self.directory)?;
        let rate = full.rate() / 2.0;
        bench.progress.say(format!("reload: steady, {}", self.case));
        let steady = self.load(Some(rate), turn).run(bench, self.directory)?;
        let rss = || self.ringmain.proxy.process.resident_bytes();
        let rss_before = rss()?;
        let before = origin.counts()?;
        let mut applied = Vec::new();
        let (mut requests, mut lost, mut worst) = (0, 0, Outcome::default());
        for change in 1..=changes {
            bench.progress.say(format!(
                "reload: change {change} of {changes}, {}",
                self.case
            ));
            // Load that outlasts the change and what it costs afterwards.
            let load = self.load(Some(rate), BETWEEN * 4);
            let load = load.start(bench, self.directory)?;
            thread::sleep(BETWEEN);
            applied.push(self.change(change)?);
            let outcome = load.finish()?;
            requests += outcome.requests;
            lost += outcome.failures;
            if outcome.failures > 0 {
                let complaint = &outcome.complaint;
                report
                    .failures
                    .push(format!("{}: lost requests: {complaint}", self.case));
            }
            if outcome.p99 > worst.p99 {
                worst = outcome;
            }
        }
        if let (Some(before), Some(after)) = (before, origin.counts()?) {
            // The ones that asked which generation is served are the difference.
            let arrived = after.requests - before.requests;
            if arrived < requests {
                report.failures.push(format!(
                    "{}: {requests} requests were answered, but {arrived} arrived",
                    self.case
                ));
            }
        }
        let grown = rss()? as f64 - rss_before as f64;
        for (round, applied) in (1..).zip(&applied) {
            report.samples.extend([Sample {
                scenario: OUTLINE.name,
                case: self.case.to_owned(),
                round,
                peer: "ringmain",
                quantity: "applied_ms",
                value: applied.as_secs_f64() * 1e3,
                quiet: true,
            }]);
        }
        for (quantity, value) in [
            ("changes", f64::from(changes)),
            ("requests", requests as f64),
            ("lost_requests", lost as f64),
            ("rate", rate),
            ("steady_p99_us", steady.p99),
            ("p99_us", worst.p99),
            ("max_us", worst.max),
            ("rss_growth_bytes", grown),
        ] {
            report.push(self.case, "ringmain", quantity, value);
        }
        Ok(())
    }

    fn load(&self, rate: Option<f64>, time: Duration) -> Load {
        Load {
            address: self.ringmain.proxy.address,
            // The first routes of either table.
            what: What::Table(Table::LARGE),
            connections: CONNECTIONS,
            rate,
            extent: Extent::Time(time),
        }
    }

    /// Replaces the file; how long it took until all workers used it. Then asks a route of it.
    fn change(&self, number: u32) -> Result<Duration> {
        let before = self.generation()?;
        let content = self.table.virtual_services(Some(number));
        let began = self.ringmain.rewrite(&content)?;
        while self.generation()? == before {
            if began.elapsed() > PATIENCE {
                bail!("change {number} was not applied within {PATIENCE:?}");
            }
            thread::sleep(ASK);
        }
        let took = began.elapsed();
        let mut connection = Connection::open(self.ringmain.proxy.address)?;
        let answer = connection.ask(&self.table.request(number))?;
        let seen = answer.header(GENERATION).context("no generation")?;
        if seen != number.to_string() {
            bail!("generation {number} is said to be applied, but {seen} is served");
        }
        Ok(took)
    }

    /// What all workers use.
    fn generation(&self) -> Result<u64> {
        let text = fetch(self.ringmain.admin, "/server_info")?;
        generation(&text).with_context(|| format!("no generation in {text}"))
    }
}

fn generation(server_info: &str) -> Option<u64> {
    let info: serde_json::Value = serde_json::from_str(server_info).ok()?;
    info.get("generation")?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::generation;

    #[test]
    fn reads_the_generation() {
        assert_eq!(generation(r#"{"state":"LIVE","generation":7}"#), Some(7));
        assert_eq!(generation(r#"{"state":"LIVE"}"#), None);
        assert_eq!(generation("nonsense"), None);
    }
}
