//! `ringmain load` beside wrk and h2load in a closed loop, beside h2load at a rate, against the
//! same origin, and beside iperf3 with streams, in turns. The origin has the proxy's core, and no
//! proxy is there.

use std::{path::Path, time::Duration};

use anyhow::Result;

use crate::{
    bench::{Bench, missing_program},
    load::{Extent, Load, Outcome, What, h2load, own, wrk},
    origin::Origin,
    process::find,
    quiet::Watch,
    report::{Column, Outline, Report},
};

mod stream;

pub(super) const OUTLINE: Outline = Outline {
    name: "generators",
    title: "`ringmain load` beside other generators",
    about: "Against the origin, without a proxy, 64 connections. Requests, p50 and p99 as the \
            generator says; more requests than that as the origin does; CPU as the kernel does.",
    columns: &[
        Column::median("requests_per_second", "requests/s", 0),
        Column::median("requests", "requests", 0),
        Column::median("uncounted_requests", "more arrived", 0),
        Column::spread("p50_us", "p50 us", 0),
        Column::spread("p99_us", "p99 us", 0),
        Column::spread("requests_per_cpu_second", "requests/CPU s", 0),
        Column::median("mib_per_second", "MiB/s", 0),
        Column::spread("mib_per_cpu_second", "MiB/CPU s", 0),
    ],
    charts: &["requests_per_cpu_second"],
};

const CONNECTIONS: u32 = 64;
/// Of the open loop; half of what 64 connections can do when each answer takes 4 ms.
const RATE: f64 = 8000.0;
const OWN: &str = "ringmain load";
/// A closed loop far from every generator's limit: what they then disagree about is how they
/// measure.
pub(crate) const CLOSED: &str = "closed loop, answers after 4 ms";
/// A closed loop at the limit of the generator, or of the origin.
pub(crate) const FULL: &str = "closed loop, answers at once";
const SMOKE_REQUESTS: u64 = 500;

/// What is done by several generators.
struct Case {
    name: &'static str,
    path: &'static str,
    rate: Option<f64>,
    others: &'static [&'static str],
}

const CASES: [Case; 3] = [
    Case {
        name: CLOSED,
        path: "/delay/4",
        rate: None,
        others: &["wrk", "h2load"],
    },
    Case {
        name: FULL,
        path: "/bytes/100",
        rate: None,
        others: &["wrk"],
    },
    Case {
        name: "8000/s, answers after 4 ms",
        path: "/delay/4",
        rate: Some(RATE),
        others: &["h2load"],
    },
];

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::alone(bench, directory)?;
    for case in &CASES {
        let others = available(case, report);
        let rounds = bench.arguments.rounds();
        let deadline = bench.deadline();
        for round in 1..=rounds {
            bench.wait_for_quiet(deadline)?;
            let mut figures = Vec::new();
            for program in std::iter::once(OWN).chain(others.iter().copied()) {
                bench.progress.say(format!(
                    "generators {}: {program}, round {round} of {rounds}",
                    case.name
                ));
                let turn = turn(bench, directory, &origin, case, program, report)?;
                figures.push((program, turn));
            }
            let quiet = bench.is_quiet(figures.iter().map(|(_, turn)| turn.others));
            for (program, turn) in figures {
                report.push_round(case.name, round, program, quiet, turn.figures());
            }
        }
        if !bench.is_smoke() {
            let notes: Vec<_> = others
                .iter()
                .filter_map(|other| comparison(case, other, report))
                .collect();
            report.notes.extend(notes);
        }
    }
    stream::measure(bench, directory, &origin, report)
}

/// The other generators of a case that are there. What is missing is noted once.
fn available(case: &Case, report: &mut Report) -> Vec<&'static str> {
    let (there, absent): (Vec<_>, Vec<_>) = case
        .others
        .iter()
        .partition(|program| find(program).is_some());
    for program in absent {
        let note = missing_program(program);
        if !report.notes.contains(&note) {
            report.notes.push(note);
        }
    }
    there
}

struct Turn {
    outcome: Outcome,
    arrived: u64,
    cpu_seconds: f64,
    others: f64,
}

fn turn(
    bench: &Bench,
    directory: &Path,
    origin: &Origin,
    case: &Case,
    program: &str,
    report: &mut Report,
) -> Result<Turn> {
    // wrk and h2load count whole seconds.
    let time = Duration::from_secs_f64(bench.arguments.turn().as_secs_f64().ceil());
    let load = Load {
        address: origin.http,
        what: What::Get(case.path),
        connections: CONNECTIONS,
        rate: case.rate,
        extent: match bench.is_smoke() && program == OWN {
            true => Extent::Requests(SMOKE_REQUESTS),
            false => Extent::Time(time),
        },
    };
    let before = origin.counts_at_rest()?;
    let origin_cpu = origin.process.cpu();
    let watch = Watch::begin()?;
    let outcome = match program {
        "wrk" => wrk::start(&load, bench, directory)?.finish()?,
        "h2load" => {
            let target = (origin.http, case.path);
            h2load::run(bench, directory, target, CONNECTIONS, case.rate, time)?
        }
        _ => own::start(&load, bench)?.finish()?,
    };
    let noise = watch.end(origin.process.cpu() - origin_cpu)?;
    // Both by the same clock, start and end of the process included.
    let cpu_seconds = watch.ended_children()?.as_secs_f64();
    let arrived = origin.counts_at_rest()?.requests - before.requests;
    if outcome.failures > 0 {
        let complaint = &outcome.complaint;
        report
            .failures
            .push(format!("{}: {program}: {complaint}", case.name));
    } else if program == OWN && arrived != outcome.requests {
        report.failures.push(format!(
            "{}: {program} counted {} requests, the origin {arrived}",
            case.name, outcome.requests
        ));
    }
    Ok(Turn {
        outcome,
        arrived,
        cpu_seconds,
        others: noise.others,
    })
}

impl Turn {
    fn figures(&self) -> [(&'static str, f64); 7] {
        let requests = self.outcome.requests as f64;
        [
            ("requests", requests),
            ("uncounted_requests", self.arrived as f64 - requests),
            ("requests_per_second", self.outcome.rate()),
            ("p50_us", self.outcome.p50),
            ("p99_us", self.outcome.p99),
            ("requests_per_cpu_second", requests / self.cpu_seconds),
            ("others_share", self.others),
        ]
    }
}

/// Ours as a multiple of the other's.
fn comparison(case: &Case, other: &str, report: &Report) -> Option<String> {
    let ratio = |quantity: &str| {
        let of = |program: &str| {
            let samples = &report.samples;
            samples.median(OUTLINE.name, case.name, program, quantity)
        };
        Some(of(OWN)? / of(other)?)
    };
    Some(format!(
        "{}: of {}'s, ours are {:.3} of the requests per second, {:.3} of p50, {:.3} of p99, \
         {:.2} of the requests per CPU second.",
        case.name,
        other,
        ratio("requests_per_second")?,
        ratio("p50_us")?,
        ratio("p99_us")?,
        ratio("requests_per_cpu_second")?,
    ))
}
