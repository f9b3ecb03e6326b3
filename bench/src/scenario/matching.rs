//! What finding a request's route costs in tables of ten and of 100 000 routes: the program's own
//! table, asked directly (`ringmain bench look-up`), in turns.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    bench::Bench,
    process::Program,
    quiet::Watch,
    report::{Column, Outline, Report},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "match",
    title: "finding a request's route",
    about: "Processor time of a look-up by host and path in a table of hosts with ten prefixes \
            each: the same route again and again, and all routes in an order without pattern.",
    columns: &[
        Column::spread("same_ns", "same route, ns", 0),
        Column::spread("spread_ns", "all routes, ns", 0),
    ],
    charts: &["spread_ns"],
};

/// Of hosts with ten routes each.
const HOSTS: [(u32, &str); 3] = [
    (1, "10 routes"),
    (100, "1000 routes"),
    (10_000, "100000 routes"),
];

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Figures {
    same_ns: f64,
    spread_ns: f64,
}

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let deadline = bench.deadline();
    let rounds = bench.arguments.rounds();
    for round in 1..=rounds {
        bench.wait_for_quiet(deadline)?;
        bench
            .progress
            .say(format!("match: round {round} of {rounds}"));
        let watch = Watch::begin()?;
        let mut figures = Vec::new();
        for (hosts, case) in HOSTS {
            figures.push((case, ask(bench, hosts)?));
        }
        let others = watch.end(Duration::ZERO)?.others;
        let quiet = bench.is_quiet([others]);
        for (case, figures) in figures {
            let figures = [
                ("same_ns", figures.same_ns),
                ("spread_ns", figures.spread_ns),
                ("others_share", others),
            ];
            report.push_round(case, round, "ringmain", quiet, figures);
        }
    }
    Ok(())
}

fn ask(bench: &Bench, hosts: u32) -> Result<Figures> {
    let cores = bench.proxy_cores(1);
    let binary: &Path = &bench.binary;
    let program = Program::on_cores(&cores, &[], binary, "ringmain bench look-up");
    let printed = program
        .args(["bench", "look-up", &hosts.to_string()])
        .output()?;
    serde_json::from_str(&printed).with_context(|| format!("no figures of a match: {printed}"))
}
