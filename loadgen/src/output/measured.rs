//! From the numbers of a run to what is reported of it.

use std::{collections::BTreeMap, time::Duration};

use super::{
    objective::Objective,
    summary::{
        FORMAT, Generator, Interval, Latency, LatencyFrom, Mode, Slip, Summary, TargetSummary,
        ThreadShare,
    },
};
use crate::{
    plan::{Arrivals, Kind, Pace, Plan, Target},
    report::{Report, Second, TargetReport, ThreadUse},
};

/// A run that is over.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    /// What was asked.
    pub plan: &'a Plan,
    /// What came of it.
    pub report: &'a Report,
    /// Name and version of the program.
    pub program: &'a str,
    /// When the measured part began, RFC 3339 in UTC.
    pub started: &'a str,
    /// It was ended before its time.
    pub interrupted: bool,
}

impl Summary {
    /// Everything that is reported, with a verdict for each of `objectives`.
    pub fn new(measured: &Measured<'_>, objectives: &[Objective]) -> Self {
        let &Measured { plan, report, .. } = measured;
        let total = report.total();
        let mode = mode(plan);
        let rate = round(report.achieved_rate(), 1);
        let mut summary = Self {
            format: FORMAT,
            program: measured.program.to_owned(),
            started: measured.started.to_owned(),
            mode,
            latency_from: match mode {
                Mode::Open => LatencyFrom::IntendedSendTime,
                Mode::Closed | Mode::Stream => LatencyFrom::SendTime,
            },
            arrivals: arrivals(plan),
            protocol: plan.kind.name().to_owned(),
            connections: plan.connections as u64,
            streams: plan.streams as u64,
            connect_per_request: plan.connect_per_request,
            workers: plan.workers as u64,
            interrupted: measured.interrupted,
            warmup_s: seconds(plan.warmup),
            duration_s: seconds(report.duration),
            requests: total.requests,
            answered: total.answered,
            failed: failed(plan.kind, &total),
            errors: errors(&total),
            error_examples: error_examples(&total),
            status: total.statuses.clone(),
            rate,
            intended_rate: report.intended_rate,
            achieved_rate: rate,
            bytes_in: total.bytes_in,
            bytes_out: total.bytes_out,
            latency_us: Latency::of(&total.latency),
            connect_us: Latency::of(&report.connect),
            drained: (mode == Mode::Stream).then_some(report.drained),
            generator: generator(report, mode),
            targets: targets(plan, report),
            objectives: Vec::new(),
            intervals: report.series.iter().map(interval).collect(),
        };
        let verdicts = objectives.iter().map(|objective| objective.judge(&summary));
        summary.objectives = verdicts.collect();
        summary
    }
}

fn mode(plan: &Plan) -> Mode {
    match plan.pace {
        _ if plan.kind.is_stream() => Mode::Stream,
        Pace::Open { .. } => Mode::Open,
        Pace::Closed => Mode::Closed,
    }
}

fn arrivals(plan: &Plan) -> Option<String> {
    match plan.pace {
        Pace::Open { arrivals, .. } => Some(match arrivals {
            Arrivals::Constant => "constant".to_owned(),
            Arrivals::Exponential { seed } => format!("exponential, seed {seed}"),
        }),
        Pace::Closed => None,
    }
}

/// Without a complete answer, or with one that says so.
fn failed(kind: Kind, report: &TargetReport) -> u64 {
    let statuses = report.statuses.iter();
    let bad = statuses.filter(|(status, _)| !kind.is_success(**status));
    report.failed() + bad.map(|(_, count)| count).sum::<u64>()
}

fn errors(report: &TargetReport) -> BTreeMap<String, u64> {
    let kinds = crate::ErrorKind::ALL.into_iter();
    let counts = kinds.map(|kind| (kind.name().to_owned(), report.error(kind).count));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn error_examples(report: &TargetReport) -> BTreeMap<String, String> {
    let kinds = crate::ErrorKind::ALL.into_iter();
    kinds
        .filter_map(|kind| Some((kind.name().to_owned(), report.error(kind).first.clone()?)))
        .collect()
}

fn generator(report: &Report, mode: Mode) -> Generator {
    let slip = Latency::of(&report.slip).filter(|_| mode == Mode::Open);
    let cpu = report.workers.iter().map(|thread| thread.cpu);
    Generator {
        bottleneck: report.bottleneck.is_some(),
        reason: report.bottleneck.map(|reason| reason.to_string()),
        threads: report.workers.iter().map(thread).collect(),
        cpu_s: seconds(cpu.sum()),
        slip_us: slip.map(|slip| Slip {
            p50: slip.p50,
            p99: slip.p99,
            max: slip.max,
        }),
        io: report.rung.name().to_owned(),
        connections_opened: report.connections,
        resumed: report.resumed,
        resent: report.resent,
    }
}

fn thread(thread: &ThreadUse) -> ThreadShare {
    let share = |part: Duration| match thread.wall.as_secs_f64() {
        0.0 => 0.0,
        wall => round(part.as_secs_f64() / wall, 3),
    };
    ThreadShare {
        ran: share(thread.cpu),
        waited: share(thread.waited),
    }
}

fn targets(plan: &Plan, report: &Report) -> Vec<TargetSummary> {
    let targets = plan.targets.iter().zip(&report.targets);
    targets
        .map(|(target, report)| of_target(plan.kind, target, report))
        .collect()
}

fn of_target(kind: Kind, target: &Target, report: &TargetReport) -> TargetSummary {
    let has_method = matches!(kind, Kind::Http1 | Kind::Http2 | Kind::Negotiated);
    TargetSummary {
        url: target.name.clone(),
        method: has_method.then(|| target.method.clone()),
        weight: target.weight,
        body_bytes: target.body.len() as u64,
        requests: report.requests,
        answered: report.answered,
        failed: failed(kind, report),
        errors: errors(report),
        status: report.statuses.clone(),
        bytes_in: report.bytes_in,
        bytes_out: report.bytes_out,
        latency_us: Latency::of(&report.latency),
    }
}

fn interval(second: &Second) -> Interval {
    let micros = |latency: Option<Duration>| {
        latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX))
    };
    let length = second.length.as_secs_f64();
    let answered = second.requests.saturating_sub(second.errors) as f64;
    Interval {
        start_s: seconds(second.end.saturating_sub(second.length)),
        length_s: seconds(second.length),
        requests: second.requests,
        errors: second.errors,
        rate: if length > 0.0 {
            round(answered / length, 1)
        } else {
            0.0
        },
        bytes_in: second.bytes_in,
        bytes_out: second.bytes_out,
        p50_us: micros(second.p50),
        p90_us: micros(second.p90),
        p99_us: micros(second.p99),
    }
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    round(duration.as_secs_f64(), 3)
}

fn round(number: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (number * factor).round() / factor
}

#[cfg(test)]
mod tests;
