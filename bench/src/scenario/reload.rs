//! Configuration changes under half load: how long one takes from the file to all workers, and that
//! no request is lost by it.
//!
//! The generation that all workers use is asked of the proxy's admin endpoint.

use std::{
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::changing::{Changing, OneEndpoint, Routes};
use super::CONNECTIONS;
use crate::{
    bench::Bench,
    client::fetch,
    load::{Extent, Load, own},
    origin::Origin,
    peer::{
        Carries, Size, Task,
        ringmain::{Ringmain, Setup},
    },
    quiet::Watch,
    report::{Column, Outline, Report},
    samples::Sample,
    table::Table,
};

mod changing;
mod stages;

pub(super) const OUTLINE: Outline = Outline {
    name: "reload",
    title: "configuration changes under half load",
    about: "A file is replaced again and again: that of all routes, every route of which differs each time, or \
            that of one workload among a hundred services with a thousand each. Time from the file's \
            replacement to its use by all workers; requests that were lost; p99 with the changes and \
            without, in open loops at the same rate.",
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
const ASK: Duration = Duration::from_millis(1);

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let few = Routes {
        case: "1000 routes",
        table: Table::LARGE,
    };
    let many = Routes {
        case: "10000 routes",
        table: Table::HUGE,
    };
    let cases: [&dyn Changing; 3] = [&few, &many, &OneEndpoint];
    for case in cases {
        let directory = bench.directory()?;
        let directory = directory.path();
        let origin = Origin::own(bench, directory)?;
        let task = Task {
            carries: Carries::Http(case.table(), Size::Small),
            origin: origin.http,
            workers: 1,
        };
        let name = case.case();
        bench.progress.say(format!("reload: starting, {name}"));
        let (cores, files) = (bench.proxy_cores(1), case.files());
        let setup = Setup {
            files: &files,
            ..Setup::new(bench, directory, &cores)
        };
        let ringmain = setup.start(&task, Some(0))?;
        bench.wait_for_quiet(bench.deadline())?;
        Run {
            bench,
            ringmain: &ringmain,
            changing: case,
            case: name,
        }
        .measure(&origin, report)?;
        ringmain.stop()?;
    }
    let names = cases.map(|case| case.case());
    report.notes.push(stages::note(report, &names));
    Ok(())
}

struct Run<'a> {
    bench: &'a Bench,
    ringmain: &'a Ringmain,
    changing: &'a dyn Changing,
    case: &'a str,
}

impl Run<'_> {
    fn measure(&self, origin: &Origin, report: &mut Report) -> Result<()> {
        let bench = self.bench;
        let changes = bench.arguments.rounds().max(2);
        let turn = bench.arguments.turn();
        let full = own::start(&self.load(None, turn), bench)?.finish()?;
        let rate = full.rate() / 2.0;
        bench.progress.say(format!("reload: steady, {}", self.case));
        let steady = own::start(&self.load(Some(rate), turn), bench)?.finish()?;
        let rss = || self.ringmain.proxy.process.resident_bytes();
        let rss_before = rss()?;
        let before = origin.counts()?;
        // Load that outlasts all changes.
        let load = self.load(Some(rate), 2 * PATIENCE * changes);
        let watch = Watch::begin()?;
        let running = [
            &self.ringmain.proxy.process,
            &self.ringmain.control,
            &origin.process,
        ];
        let used = || {
            running
                .iter()
                .map(|process| process.cpu())
                .sum::<Duration>()
        };
        let used_before = used();
        let load = own::start(&load, bench)?;
        let mut asked = 0;
        let mut of_changes = Vec::new();
        for change in 1..=changes {
            bench.progress.say(format!(
                "reload: change {change} of {changes}, {}",
                self.case
            ));
            thread::sleep(BETWEEN);
            let (applied, server_info) = self.change(change)?;
            asked += u64::from(self.changing.verify(change, self.ringmain)?);
            let stages = stages::of_last_change(bench, self.ringmain, &server_info)?;
            let figures = [("applied_ms", applied.as_secs_f64() * 1e3)];
            let figures = figures.into_iter().chain(stages);
            of_changes.extend(figures.map(|(quantity, value)| (change, quantity, value)));
        }
        thread::sleep(BETWEEN);
        let changed = load.stop()?;
        let noise = watch.end(used() - used_before)?;
        let quiet = noise.others < bench.arguments.noise / 100.0;
        let samples = of_changes
            .into_iter()
            .map(|(round, quantity, value)| Sample {
                scenario: OUTLINE.name,
                case: self.case.to_owned(),
                round,
                peer: "ringmain",
                quantity,
                value,
                quiet,
            });
        report.samples.extend(samples);
        if let (Some(before), Some(after)) = (before, origin.counts()?) {
            let arrived = after.requests - before.requests;
            report
                .failures
                .extend(self.account(asked + changed.requests, arrived));
        }
        self.changing.verify_last(changes, self.ringmain)?;
        if changed.failures > 0 {
            let complaint = &changed.complaint;
            report
                .failures
                .push(format!("{}: lost requests: {complaint}", self.case));
        }
        let grown = rss()? as f64 - rss_before as f64;
        for (quantity, value) in [
            ("changes", f64::from(changes)),
            ("requests", changed.requests as f64),
            ("lost_requests", changed.failures as f64),
            ("rate", rate),
            ("steady_p99_us", steady.p99),
            ("p99_us", changed.p99),
            ("max_us", changed.max),
            ("rss_growth_bytes", grown),
            ("others_share", noise.others),
        ] {
            report.push(self.case, "ringmain", quantity, value);
        }
        Ok(())
    }

    /// Every request must have reached the origin once.
    fn account(&self, asked: u64, arrived: u64) -> Option<String> {
        (asked != arrived).then(|| {
            format!(
                "{}: {asked} requests were answered, but {arrived} arrived",
                self.case
            )
        })
    }

    fn load(&self, rate: Option<f64>, time: Duration) -> Load {
        Load {
            address: self.ringmain.proxy.address,
            what: self.changing.load(),
            connections: CONNECTIONS,
            rate,
            extent: Extent::Time(time),
        }
    }

    /// Replaces the file; how long it took until all workers used it, and what the proxy says then.
    fn change(&self, number: u32) -> Result<(Duration, Value)> {
        let before = generation(&self.server_info()?)?;
        let (file, content) = self.changing.file(number);
        let replaced = self.ringmain.rewrite(file, &content)?;
        let at = SystemTime::now() - replaced.elapsed();
        loop {
            let info = self.server_info()?;
            if generation(&info)? != before {
                let applied = applied(&info)?;
                let took = applied.duration_since(at);
                return Ok((took.context("the clock was set back")?, info));
            }
            if replaced.elapsed() > PATIENCE {
                bail!("change {number} was not applied within {PATIENCE:?}");
            }
            thread::sleep(ASK);
        }
    }

    fn server_info(&self) -> Result<Value> {
        let text = fetch(self.ringmain.admin, "/server_info")?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }
}

/// What all workers use.
fn generation(server_info: &Value) -> Result<u64> {
    let generation = server_info["generation"].as_u64();
    generation.with_context(|| format!("no generation in {server_info}"))
}

/// Since when they do.
fn applied(server_info: &Value) -> Result<SystemTime> {
    let applied = server_info["applied"].as_str();
    let applied = applied.and_then(|text| humantime::parse_rfc3339(text).ok());
    applied.with_context(|| format!("no time in {server_info}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::{applied, generation};

    #[test]
    fn reads_what_is_in_use() {
        let info = json!({ "generation": 7, "applied": "1970-01-01T00:00:01.000250Z" });
        assert_eq!(generation(&info).unwrap(), 7);
        let since = Duration::from_micros(1_000_250);
        assert_eq!(applied(&info).unwrap(), SystemTime::UNIX_EPOCH + since);
        let info = json!({ "generation": null, "applied": null });
        assert!(generation(&info).is_err() && applied(&info).is_err());
    }
}
