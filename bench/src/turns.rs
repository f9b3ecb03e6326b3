//! How programs are compared: in each round every program has a turn, A B C A B C, so that what the
//! machine does besides falls on all of them. A turn is a warm-up and then the load, between two
//! readings of the program's CPU time and of what the origin has answered.
//!
//! First a closed loop, which asks for as much as the program can do: CPU time for each request,
//! and the knee, the most requests per second. Then an open loop at half the knee of the slowest
//! program, the same for all: there latencies can be compared.

mod account;
mod turn;

use std::{collections::BTreeMap, fmt::Write, path::Path};

use anyhow::{Context, Result};

use crate::{
    bench::Bench,
    load::{Generator, What},
    origin::Origin,
    peer::Running,
    report::{Column, Report},
};

/// Who takes part.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// The surroundings.
    pub bench: &'a Bench,
    /// For files of generators.
    pub directory: &'a Path,
    /// What is compared.
    pub contenders: &'a [Running],
    /// Behind all of them.
    pub origin: &'a Origin,
}

/// What is done.
#[derive(Clone, Debug)]
pub struct Comparison<'a> {
    /// Name of the case in results.
    pub case: &'a str,
    /// What is sent.
    pub what: What,
    /// Over so many connections.
    pub connections: u32,
    /// Latency at half load is measured as well.
    pub half_load: bool,
}

/// The columns of what is sent as requests.
pub const REQUEST_COLUMNS: &[Column] = &[
    Column::spread("cpu_us_per_request", "CPU us/request", 1),
    Column::median("requests_per_second", "requests/s", 0),
    Column::median("core_percent", "of its core %", 0),
    Column::median("half_rate", "half load/s", 0),
    Column::median("half_cpu_us_per_request", "CPU us there", 1),
    Column::median("half_p50_us", "p50 us", 0),
    Column::spread("half_p99_us", "p99 us", 0),
    Column::median("rss_bytes", "RSS MiB", 1).per(1_048_576.0),
];

impl Comparison<'_> {
    /// Does it; figures, notes and failures go to `report`.
    ///
    /// # Errors
    /// When a program ends or cannot be asked. A lost request is a failure in the report.
    pub fn run(&self, stage: Stage<'_>, report: &mut Report) -> Result<()> {
        self.load(stage, None, report)?;
        if !self.half_load || stage.bench.arguments.generator == Generator::Wrk {
            return Ok(());
        }
        let (rate, note) = self.half_of_slowest(stage, report)?;
        report.notes.push(note);
        self.load(stage, Some(rate), report)
    }

    /// Half of the fewest requests per second that one of the programs could do at full load, as
    /// `report` has it, and how it was found.
    ///
    /// # Errors
    /// When a program has no such figure.
    pub fn half_of_slowest(&self, stage: Stage<'_>, report: &Report) -> Result<(f64, String)> {
        let knee = |contender: &Running| {
            let (scenario, name) = (report.outline.name, contender.name);
            let samples = &report.samples;
            let knee = samples.median(scenario, self.case, name, "requests_per_second");
            Ok((
                name,
                knee.with_context(|| format!("{name} has no requests per second"))?,
            ))
        };
        let knees: Vec<_> = stage.contenders.iter().map(knee).collect::<Result<_>>()?;
        Ok(half_load(self.case, &knees))
    }

    /// All rounds at one pace, and a note when the generator was at its limit.
    fn load(&self, stage: Stage<'_>, rate: Option<f64>, report: &mut Report) -> Result<()> {
        let mut late = Vec::new();
        self.rounds(stage, rate, report, &mut late)?;
        // A moment of load is mostly start.
        if !stage.bench.is_smoke() {
            report.notes.extend(self.late_note(rate, &late));
        }
        Ok(())
    }

    /// Turns in which the generator was at its limit say less about the proxy.
    fn late_note(&self, rate: Option<f64>, late: &[(&'static str, String)]) -> Option<String> {
        let (_, reason) = late.first()?;
        let mut turns: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, _) in late {
            *turns.entry(name).or_default() += 1;
        }
        let turns: Vec<_> = turns
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let what = match rate {
            Some(_) => "at half load the generator was late itself, which its latencies include,",
            None => {
                "at full load the generator was at its limit, so that requests per second may be \
                 its own and not the program's (CPU per request is not touched by that),"
            }
        };
        Some(format!(
            "{}: {what} in turns of: {}. The first time, {reason}.",
            self.case,
            turns.join(", ")
        ))
    }

    /// All turns at one pace. Why the generator was late, if it was, goes to `late`.
    fn rounds(
        &self,
        stage: Stage<'_>,
        rate: Option<f64>,
        report: &mut Report,
        late: &mut Vec<(&'static str, String)>,
    ) -> Result<()> {
        let bench = stage.bench;
        let (scenario, rounds) = (report.outline.name, bench.arguments.rounds());
        let deadline = bench.deadline();
        for round in 1..=rounds {
            bench.wait_for_quiet(deadline)?;
            let mut turns = Vec::new();
            for contender in stage.contenders {
                let pace = rate.map_or("full", |_| "half");
                bench.progress.say(format!(
                    "{scenario} {}: {} at {pace} load, round {round} of {rounds}",
                    self.case, contender.name
                ));
                let turn = self.turn(stage, contender, rate, round)?;
                let problem = turn.problem.as_ref();
                report.failures.extend(
                    problem.map(|problem| format!("{} {}: {problem}", self.case, turn.name)),
                );
                late.extend(turn.outcome.bottleneck.clone().map(|why| (turn.name, why)));
                turns.push(turn);
            }
            let quiet = bench.is_quiet(turns.iter().map(|turn| turn.noise.others));
            for turn in turns {
                let figures = match rate {
                    Some(rate) => turn.at_half_load(rate),
                    None => turn.at_full_load(&self.what),
                };
                report.push_round(self.case, round, turn.name, quiet, figures);
            }
        }
        Ok(())
    }
}

/// Half of the fewest requests per second among `knees`, and how it was found.
fn half_load(case: &str, knees: &[(&str, f64)]) -> (f64, String) {
    let slowest = knees.iter().map(|(_, rate)| *rate).fold(f64::MAX, f64::min);
    let rate = slowest / 2.0;
    let mut note =
        format!("{case}: half load is {rate:.0}/s, half the knee of the slowest; knees:");
    for (number, (name, knee)) in knees.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(note, "{comma} {name} {knee:.0}/s");
    }
    (rate, note + ".")
}
