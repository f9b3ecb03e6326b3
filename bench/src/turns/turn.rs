//! One turn of one program: a warm-up and then the load, between two readings of what it has used
//! and of what the origin has answered.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Comparison, Stage, account};
use crate::{
    load::{Extent, Load, Outcome, What},
    origin::Counts,
    peer::Running,
    quiet::{Noise, Watch},
};

/// Requests of a turn of a smoke test.
const SMOKE_REQUESTS: u64 = 500;

/// What came of it.
pub(super) struct Turn {
    pub(super) name: &'static str,
    pub(super) outcome: Outcome,
    pub(super) noise: Noise,
    /// What was lost, or arrived twice.
    pub(super) problem: Option<String>,
    cpu_seconds: f64,
    rss_bytes: f64,
}

impl Comparison<'_> {
    /// `rate`: of an open loop.
    ///
    /// # Errors
    /// When a program ends or cannot be asked.
    pub(super) fn turn(
        &self,
        stage: Stage<'_>,
        contender: &Running,
        rate: Option<f64>,
        round: u32,
    ) -> Result<Turn> {
        let Stage { bench, origin, .. } = stage;
        let mut load = Load {
            address: contender.address,
            what: self.what.clone(),
            connections: self.connections,
            rate,
            extent: Extent::Time(bench.warm_up(round)),
        };
        let slack = account::slack(bench.arguments.generator, self.connections);
        let mut problem = None;
        if !bench.is_smoke() {
            let outcome = load.run(bench, stage.directory)?;
            let warm_up = account::problem(&self.what, &outcome, None, slack);
            problem = warm_up.map(|problem| format!("in the warm-up, {problem}"));
        }
        let is_stream = matches!(self.what, What::Stream(_));
        load.extent = match bench.is_smoke() && !is_stream {
            true => Extent::Requests(SMOKE_REQUESTS),
            false => Extent::Time(bench.arguments.turn()),
        };
        // The connections by which a program was found ready may still be closing.
        let counts = || match self.what {
            What::Stream(_) | What::Echo(_) => origin.counts_without_streams(),
            What::Get(_)
            | What::Table(_)
            | What::Connect(_)
            | What::Secured(_)
            | What::Handshakes(..)
            | What::Post(..)
            | What::Streams(..)
            | What::Calls(..) => origin.counts(),
        };
        let before = counts()?;
        let (outcome, used, noise) = measured(&load, stage, contender)?;
        let counts: Option<(Counts, Counts)> = before.zip(counts()?);
        problem = problem.or_else(|| account::problem(&self.what, &outcome, counts, slack));
        ensure!(
            outcome.seconds > 0.0,
            "{} {}: no time has passed",
            self.case,
            contender.name
        );
        Ok(Turn {
            name: contender.name,
            outcome,
            noise,
            problem,
            cpu_seconds: used.as_secs_f64(),
            rss_bytes: contender.process.resident_bytes()? as f64,
        })
    }
}

/// What came of the load, the CPU time that the program has used for it, and what others used.
fn measured(
    load: &Load,
    stage: Stage<'_>,
    contender: &Running,
) -> Result<(Outcome, Duration, Noise)> {
    let origin = &stage.origin.process;
    let watch = Watch::begin()?;
    let (cpu, origin_cpu) = (contender.process.cpu(), origin.cpu());
    let began = Instant::now();
    let mut outcome = load.run(stage.bench, stage.directory)?;
    let used = contender.process.cpu() - cpu;
    let noise = watch.end(used + (origin.cpu() - origin_cpu))?;
    if outcome.seconds <= 0.0 {
        outcome.seconds = began.elapsed().as_secs_f64();
    }
    Ok((outcome, used, noise))
}

impl Turn {
    pub(super) fn at_full_load(&self, what: &What) -> Vec<(&'static str, f64)> {
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

    pub(super) fn at_half_load(&self, rate: f64) -> Vec<(&'static str, f64)> {
        let Self { outcome, noise, .. } = self;
        let requests = outcome.requests as f64;
        vec![
            ("half_rate", rate),
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
