//! How programs are compared: in each round every program has a turn, A B C A B C, so that what the
//! machine does besides falls on all of them. A turn is a warm-up and then the load, between two
//! readings of the program's CPU time and of what the origin has answered.
//!
//! First a closed loop, which asks for as much as the program can do: CPU time for each request, and
//! the knee, the most requests per second. Then an open loop at half the knee of the slowest
//! program, the same for all: there latencies can be compared.

use std::{collections::BTreeMap, fmt::Write, path::Path, time::Instant};

use anyhow::{Result, ensure};

use crate::{
    bench::Bench,
    load::{Direction, Extent, Generator, Load, Outcome, What},
    origin::{Counts, Origin},
    peer::Running,
    quiet::{Noise, Watch},
    report::{Column, Report},
    samples::Sample,
};

/// Requests of a turn of a smoke test.
const SMOKE_REQUESTS: u64 = 500;
/// Bytes of one stream that may be on their way: in four socket buffers, which Linux lets grow to 4
/// MiB for sending and 6 MiB for receiving, and in the proxy.
const UNDER_WAY_MAX: u64 = 32 << 20;

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

/// One turn of one program.
struct Turn {
    name: &'static str,
    outcome: Outcome,
    cpu_seconds: f64,
    rss_bytes: f64,
    noise: Noise,
}

impl Comparison<'_> {
    /// Does it; figures, notes and failures go to `report`.
    ///
    /// # Errors
    /// When a program ends or cannot be asked. A lost request is a failure in the report.
    pub fn run(&self, stage: Stage<'_>, report: &mut Report) -> Result<()> {
        // In a closed loop the generator is meant to be at its limit, or the proxy at its own.
        self.rounds(stage, None, report, &mut Vec::new())?;
        if !self.half_load || stage.bench.arguments.generator == Generator::Wrk {
            return Ok(());
        }
        let scenario = report.outline.name;
        let knee = |name: &str| {
            let samples = &report.samples;
            samples.median(scenario, self.case, name, "requests_per_second")
        };
        let knees: Vec<(&str, f64)> = stage
            .contenders
            .iter()
            .filter_map(|contender| Some((contender.name, knee(contender.name)?)))
            .collect();
        let slowest = knees.iter().map(|(_, rate)| *rate).fold(f64::MAX, f64::min);
        let rate = slowest / 2.0;
        report.notes.push(self.half_load_note(rate, &knees));
        let mut late = Vec::new();
        self.rounds(stage, Some(rate), report, &mut late)?;
        // A moment of load is mostly start.
        if !stage.bench.is_smoke() {
            report.notes.extend(self.late_note(&late));
        }
        Ok(())
    }

    fn half_load_note(&self, rate: f64, knees: &[(&str, f64)]) -> String {
        let mut note = format!(
            "{}: half load is {rate:.0}/s, half the knee of the slowest; knees:",
            self.case
        );
        for (number, (name, knee)) in knees.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let _ = write!(note, "{comma} {name} {knee:.0}/s");
        }
        note + "."
    }

    /// Turns in which the generator was at its limit say less about the proxy.
    fn late_note(&self, late: &[(&'static str, String)]) -> Option<String> {
        let (_, reason) = late.first()?;
        let mut turns: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, _) in late {
            *turns.entry(name).or_default() += 1;
        }
        let turns: Vec<_> = turns
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        Some(format!(
            "{}: at half load the generator was late itself, which its latencies include, in turns of: \
             {}. The first time, {reason}.",
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
                let turn = self.turn(stage, contender, rate, round, report)?;
                late.extend(turn.outcome.bottleneck.clone().map(|why| (turn.name, why)));
                turns.push(turn);
            }
            let noise_max = bench.arguments.noise / 100.0;
            let quiet = turns.iter().all(|turn| turn.noise.others < noise_max);
            let samples = turns.iter().flat_map(|turn| {
                let figures = if rate.is_some() {
                    turn.at_half_load(rate)
                } else {
                    turn.at_full_load(&self.what)
                };
                figures.into_iter().map(move |(quantity, value)| Sample {
                    scenario,
                    case: self.case.to_owned(),
                    round,
                    peer: turn.name,
                    quantity,
                    value,
                    quiet,
                })
            });
            report.samples.extend(samples);
        }
        Ok(())
    }

    fn turn(
        &self,
        stage: Stage<'_>,
        contender: &Running,
        rate: Option<f64>,
        round: u32,
        report: &mut Report,
    ) -> Result<Turn> {
        let Stage {
            bench,
            directory,
            origin,
            ..
        } = stage;
        let mut load = Load {
            address: contender.address,
            what: self.what.clone(),
            connections: self.connections,
            rate,
            extent: Extent::Time(bench.warm_up(round)),
        };
        let is_stream = matches!(self.what, What::Stream(_));
        if !bench.is_smoke() {
            load.run(bench, directory)?;
        }
        load.extent = match bench.is_smoke() && !is_stream {
            true => Extent::Requests(SMOKE_REQUESTS),
            false => Extent::Time(bench.arguments.turn()),
        };
        let before = origin.counts()?;
        let watch = Watch::begin()?;
        let (cpu, origin_cpu) = (contender.process.cpu(), origin.process.cpu());
        let began = Instant::now();
        let mut outcome = load.run(bench, directory)?;
        let used = contender.process.cpu() - cpu;
        let ours = used + (origin.process.cpu() - origin_cpu);
        let noise = watch.end(ours)?;
        if outcome.seconds <= 0.0 {
            outcome.seconds = began.elapsed().as_secs_f64();
        }
        let asked = format!("{} {}", self.case, contender.name);
        if outcome.failures > 0 {
            let Outcome {
                failures,
                requests,
                complaint,
                ..
            } = &outcome;
            report.failures.push(format!(
                "{asked}: {failures} of {} requests failed: {complaint}",
                failures + requests
            ));
        } else if let (Some(before), Some(after)) = (before, origin.counts()?) {
            let slack = match (is_stream, bench.arguments.generator) {
                (true, _) => UNDER_WAY_MAX,
                (false, Generator::Ringmain) => 0,
                // wrk neither counts its first answers nor waits for its last ones.
                (false, Generator::Wrk) => 4,
            };
            let slack = slack * u64::from(self.connections);
            let problem = account(&self.what, &outcome, before, after, slack);
            report
                .failures
                .extend(problem.map(|problem| format!("{asked}: {problem}")));
        }
        ensure!(outcome.seconds > 0.0, "{asked}: no time has passed");
        Ok(Turn {
            name: contender.name,
            outcome,
            cpu_seconds: used.as_secs_f64(),
            rss_bytes: contender.process.resident_bytes()? as f64,
            noise,
        })
    }
}

impl Turn {
    fn at_full_load(&self, what: &What) -> Vec<(&'static str, f64)> {
        let Self { outcome, noise, .. } = self;
        let mut figures = vec![
            ("core_percent", 100.0 * self.cpu_seconds / outcome.seconds),
            ("rss_bytes", self.rss_bytes),
            ("others_share", noise.others),
            ("stolen_share", noise.stolen),
        ];
        if matches!(what, What::Stream(_)) {
            let kibibytes = (outcome.bytes_in + outcome.bytes_out) as f64 / 1024.0;
            figures.extend([
                ("cpu_ns_per_kib", 1e9 * self.cpu_seconds / kibibytes),
                ("mib_per_second", kibibytes / 1024.0 / outcome.seconds),
            ]);
        } else {
            let requests = outcome.requests as f64;
            figures.extend([
                ("cpu_us_per_request", 1e6 * self.cpu_seconds / requests),
                ("requests_per_second", outcome.rate()),
                ("requests", requests),
            ]);
        }
        figures
    }

    fn at_half_load(&self, rate: Option<f64>) -> Vec<(&'static str, f64)> {
        let Self { outcome, noise, .. } = self;
        let requests = outcome.requests as f64;
        vec![
            ("half_rate", rate.unwrap_or_default()),
            ("half_achieved_rate", outcome.rate()),
            ("half_cpu_us_per_request", 1e6 * self.cpu_seconds / requests),
            ("half_p50_us", outcome.p50),
            ("half_p99_us", outcome.p99),
            ("half_max_us", outcome.max),
            ("half_requests", requests),
            ("half_others_share", noise.others),
        ]
    }
}

/// What the origin was asked must be what the generator asked for, each once. `slack`: requests, or
/// bytes of streams, that the generator may have left without waiting.
fn account(
    what: &What,
    outcome: &Outcome,
    before: Counts,
    after: Counts,
    slack: u64,
) -> Option<String> {
    let (name, sent, arrived, slack) = match *what {
        What::Get(_) | What::Table(_) | What::Connect(_) => (
            "requests",
            outcome.requests,
            after.requests - before.requests,
            slack,
        ),
        What::Post(_, bytes) => (
            "bytes of bodies",
            outcome.requests * u64::from(bytes),
            after.body_bytes - before.body_bytes,
            slack * u64::from(bytes),
        ),
        What::Echo(bytes) => (
            "bytes",
            outcome.requests * u64::from(bytes),
            after.echo_bytes - before.echo_bytes,
            slack * u64::from(bytes),
        ),
        What::Stream(Direction::Down) => (
            "bytes",
            outcome.bytes_in,
            after.source_bytes - before.source_bytes,
            slack,
        ),
        // What is on its way has not arrived, rather than arrived uncounted.
        What::Stream(Direction::Up) => (
            "bytes",
            (after.sink_bytes - before.sink_bytes).min(outcome.bytes_out),
            outcome.bytes_out,
            slack,
        ),
    };
    let accounted = (sent..=sent.saturating_add(slack)).contains(&arrived);
    (!accounted)
        .then(|| format!("{sent} {name} were exchanged by the generator, {arrived} by the origin"))
}

#[cfg(test)]
mod tests {
    use super::account;
    use crate::{
        load::{Direction, Outcome, What},
        origin::Counts,
    };

    #[test]
    fn every_request_is_accounted_for() {
        let check = |what: What, arrived: Counts, slack: u64, expected: bool| {
            let outcome = Outcome {
                requests: 10,
                bytes_in: 1000,
                bytes_out: 1000,
                ..Outcome::default()
            };
            let before = Counts::default();
            let problem = account(&what, &outcome, before, arrived, slack);
            assert_eq!(problem.is_none(), expected, "{what:?} {problem:?}");
        };
        let none = Counts::default();
        let requests = |requests| Counts { requests, ..none };
        check(What::Get("/"), requests(10), 0, true);
        check(What::Get("/"), requests(9), 0, false);
        check(What::Get("/"), requests(11), 0, false);
        check(What::Get("/"), requests(11), 64, true);
        check(What::Connect("/"), requests(75), 64, false);
        let bodies = |body_bytes| Counts { body_bytes, ..none };
        check(What::Post("/", 7), bodies(70), 0, true);
        check(What::Post("/", 7), bodies(69), 0, false);
        let echoed = |echo_bytes| Counts { echo_bytes, ..none };
        check(What::Echo(3), echoed(30), 0, true);
        check(What::Echo(3), echoed(33), 0, false);
        let taken = |sink_bytes| Counts { sink_bytes, ..none };
        check(What::Stream(Direction::Up), taken(900), 100, true);
        check(What::Stream(Direction::Up), taken(900), 99, false);
        let given = |source_bytes| Counts {
            source_bytes,
            ..none
        };
        check(What::Stream(Direction::Down), given(1100), 100, true);
        check(What::Stream(Direction::Down), given(1100), 99, false);
        check(What::Stream(Direction::Down), given(900), 100, false);
    }
}
