//! Configuration changes under half load: how long one takes from the file to all workers, and that
//! no request is lost by it.
//!
//! The proxy's admin endpoint says which generation all workers use, and since when.

use std::{
    ops::RangeInclusive,
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
    load::{Extent, Load, Outcome, What, own},
    origin::Origin,
    peer::{
        Carries, Size, Task,
        ringmain::{Ringmain, Setup},
    },
    quiet::{Noise, Watch},
    report::{Column, Outline, Report},
    table::Table,
    turns::{Comparison, Stage},
};

mod changing;
mod stages;

pub(super) const OUTLINE: Outline = Outline {
    name: "reload",
    title: "configuration changes under half load",
    about: "A file is replaced again and again: that of all routes, every route of which differs \
            each time, or that of one workload among a hundred services with a thousand each. Time \
            from the file's replacement to its use by all workers, under load and without; \
            requests that were lost; p99 with the changes and without, in open loops at the same \
            rate.",
    columns: &[
        Column::spread(stages::APPLIED, "applied after ms", 0),
        Column::spread("at_rest_ms", "without load ms", 0),
        Column::median("changes", "changes", 0),
        Column::median("requests", "requests", 0),
        Column::median("lost_requests", "lost", 0),
        Column::median("steady_p99_us", "p99 us without", 0),
        Column::median("p99_us", "p99 us with", 0),
        Column::median("max_us", "longest us", 0),
        Column::median("rss_growth_bytes", "RSS growth MiB", 1).per(1_048_576.0),
    ],
    charts: &[stages::APPLIED],
};

/// How long a change may take before it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one change's use to the next change.
const BETWEEN: Duration = Duration::from_millis(250);
/// How often it is asked whether the change is used. The proxy names the moment itself, so nothing
/// is gained by asking more often, and the answers take time from the core that is measured.
const ASK: Duration = Duration::from_millis(5);

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
    let rate = half_load(bench, report)?;
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
            // As its users start it: it may run wherever there is room.
            control_cores: [bench.arguments.core, bench.arguments.load_core],
            ..Setup::new(bench, directory, &cores)
        };
        let ringmain = setup.start(&task, Some(0))?;
        bench.wait_for_quiet(bench.deadline())?;
        Run {
            bench,
            ringmain: &ringmain,
            changing: case,
            case: name,
            rate,
        }
        .measure(&origin, report)?;
        ringmain.stop()?;
    }
    let names = cases.map(|case| case.case());
    report.notes.push(stages::note(report, &names));
    Ok(())
}

/// Requests per second under which the changes are made: the same half load as when programs are
/// compared, found with one route that takes everything.
fn half_load(bench: &Bench, report: &mut Report) -> Result<f64> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::own(bench, directory)?;
    let task = Task {
        carries: Carries::Http(Table::SMALL, Size::Small),
        origin: origin.http,
        workers: 1,
    };
    let stage = Stage {
        bench,
        directory,
        contenders: &bench.start_all(directory, &task)?,
        origin: &origin,
    };
    let comparison = Comparison {
        case: "all cases",
        what: What::Get("/bytes/100"),
        connections: CONNECTIONS,
        half_load: false,
    };
    // The table of this scenario has changes only; what went wrong belongs to it all the same.
    let mut full = Report::new(OUTLINE);
    comparison.run(stage, &mut full)?;
    report.failures.append(&mut full.failures);
    report.notes.append(&mut full.notes);
    let (rate, note) = comparison.half_of_slowest(stage, &full)?;
    report.notes.push(note);
    Ok(rate)
}

/// What came of the changes of one case.
struct Seen {
    outcome: Outcome,
    /// Figures of each.
    changes: Vec<Figures>,
    noise: Noise,
}

/// Quantities and values.
type Figures = Vec<(&'static str, f64)>;

struct Run<'a> {
    bench: &'a Bench,
    ringmain: &'a Ringmain,
    changing: &'a dyn Changing,
    case: &'a str,
    /// Requests per second, of the load that is made meanwhile.
    rate: f64,
}

impl Run<'_> {
    fn measure(&self, origin: &Origin, report: &mut Report) -> Result<()> {
        let count = self.bench.arguments.rounds().max(2);
        let at_rest = self.at_rest(1..=count)?;
        let turn = self.bench.arguments.turn();
        let rate = self.rate;
        let progress = &self.bench.progress;
        progress.say(format!("reload: steady, {}", self.case));
        let steady = own::start(&self.load(turn), self.bench)?.finish()?;
        report
            .failures
            .extend(self.lost(&steady, "before the changes"));
        let resident = || self.ringmain.proxy.process.resident_bytes();
        let resident_before = resident()?;
        let Seen {
            outcome,
            mut changes,
            noise,
        } = self.under_load(count + 1..=2 * count, origin, report)?;
        let grown = resident()? as f64 - resident_before as f64;
        for (quantity, value) in [
            ("changes", changes.len() as f64),
            ("requests", outcome.requests as f64),
            ("lost_requests", outcome.failures as f64),
            ("rate", rate),
            ("steady_p99_us", steady.p99),
            ("p99_us", outcome.p99),
            ("max_us", outcome.max),
            ("rss_growth_bytes", grown),
            ("others_share", noise.others),
        ] {
            report.push(self.case, "ringmain", quantity, value);
        }
        let quiet = self.bench.is_quiet([noise.others]);
        let figures = changes.iter_mut().zip(at_rest);
        figures.for_each(|(figures, took)| figures.push(("at_rest_ms", took)));
        for (round, figures) in (1..).zip(changes) {
            report.push_round(self.case, round, "ringmain", quiet, figures);
        }
        Ok(())
    }

    /// Changes one after the other while nothing else is asked of the machine: what each took.
    fn at_rest(&self, numbers: RangeInclusive<u32>) -> Result<Vec<f64>> {
        let progress = &self.bench.progress;
        progress.say(format!("reload: changes at rest, {}", self.case));
        let applied = |number| {
            thread::sleep(BETWEEN);
            let figures = self.change(number)?;
            self.changing.verify(number, self.ringmain)?;
            let mut figures = figures.into_iter();
            let applied = figures.find(|(quantity, _)| *quantity == stages::APPLIED);
            Ok(applied.context("a change took no time")?.1)
        };
        let last = *numbers.end();
        let took = numbers.map(applied).collect::<Result<_>>()?;
        self.changing.verify_last(last, self.ringmain)?;
        Ok(took)
    }

    /// Changes one after the other under load; what is lost by them goes to `report`.
    fn under_load(
        &self,
        numbers: RangeInclusive<u32>,
        origin: &Origin,
        report: &mut Report,
    ) -> Result<Seen> {
        let last = *numbers.end();
        let (proxy, control) = (&self.ringmain.proxy.process, &self.ringmain.control);
        let used = || proxy.cpu() + control.cpu() + origin.process.cpu();
        let before = origin.counts()?;
        let (watch, used_before) = (Watch::begin()?, used());
        // Load that outlasts all changes.
        let load = self.load(2 * PATIENCE * last);
        let load = own::start(&load, self.bench)?;
        let mut asked = 0;
        let mut changes = Vec::new();
        for number in numbers {
            let progress = &self.bench.progress;
            let case = self.case;
            progress.say(format!("reload: change {number} of {last}, {case}"));
            thread::sleep(BETWEEN);
            changes.push(self.change(number)?);
            asked += u64::from(self.changing.verify(number, self.ringmain)?);
        }
        thread::sleep(BETWEEN);
        let outcome = load.stop()?;
        let noise = watch.end(used() - used_before)?;
        if let (Some(before), Some(after)) = (before, origin.counts()?) {
            let arrived = after.requests - before.requests;
            let problem = self.account(asked + outcome.requests, arrived);
            report.failures.extend(problem);
        }
        report
            .failures
            .extend(self.lost(&outcome, "with the changes"));
        self.changing.verify_last(last, self.ringmain)?;
        stages::add_control(self.bench, self.ringmain, &mut changes)?;
        Ok(Seen {
            outcome,
            changes,
            noise,
        })
    }

    /// No request may be without an answer.
    fn lost(&self, outcome: &Outcome, when: &str) -> Option<String> {
        let (case, complaint) = (self.case, &outcome.complaint);
        (outcome.failures > 0).then(|| format!("{case}: lost requests {when}: {complaint}"))
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

    fn load(&self, time: Duration) -> Load {
        Load {
            address: self.ringmain.proxy.address,
            what: self.changing.load(),
            connections: CONNECTIONS,
            rate: Some(self.rate),
            extent: Extent::Time(time),
        }
    }

    /// Replaces the file; how long it took until all workers used it, and what the proxy says of
    /// it.
    fn change(&self, number: u32) -> Result<Figures> {
        let before = generation(&self.server_info()?)?;
        let (file, content) = self.changing.file(number);
        let replaced = self.ringmain.rewrite(file, &content)?;
        let at = SystemTime::now() - replaced.elapsed();
        loop {
            let info = self.server_info()?;
            if generation(&info)? != before {
                let took = applied(&info)?.duration_since(at);
                let took = took.context("the clock was set back")?;
                let mut figures = stages::of_proxy(&info).context("the proxy names no stages")?;
                figures.push((stages::APPLIED, took.as_secs_f64() * 1e3));
                return Ok(figures);
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
