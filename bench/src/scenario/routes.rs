//! CPU time of the proxy for a small request: one worker on one core, 64 connections that are kept,
//! answers of 100 bytes, 100 virtual hosts with 10 routes each.
//!
//! The proxies take turns, each with a warm-up of its own, and those of one round are compared with
//! each other: what the machine does besides then falls on both sides.

use std::{fmt::Write, path::Path, time::Instant};

use anyhow::{Context, Result, bail};

use super::verdict;
use crate::{
    bench::Bench,
    load::{Load, Outcome},
    peer::{Peer, haproxy},
    quiet::{Noise, Watch},
    results::{Report, Sample},
    statistics::Spread,
    table::Table,
};

const NAME: &str = "routes";
const CONNECTIONS: u32 = 64;
/// Of haproxy's CPU time per request.
const RATIO_MAX: f64 = 0.80;

/// One turn of one program.
#[derive(Clone, Copy, Debug)]
struct Turn {
    round: u32,
    peer: &'static str,
    outcome: Outcome,
    /// Of the proxy; the origin's when there is none.
    cpu_micros: f64,
    noise: Noise,
}

pub(super) fn run(bench: &Bench) -> Result<Report> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = bench.origin(directory)?;
    let ringmain = bench
        .ringmain(directory)
        .start(Table::LARGE, None, origin.address)?;
    let haproxy = haproxy::start(directory, bench.core, Table::LARGE, origin.address)?;

    let mut turns = Vec::new();
    let deadline = Instant::now() + bench.patience;
    for round in 1..=bench.rounds {
        bench.wait_for_quiet(deadline)?;
        for peer in [&haproxy, &ringmain.proxy, &origin] {
            let turn = turn(bench, directory, round, peer, &origin)?;
            eprintln!(
                "routes: round {round} of {}: {} {:.2} us of CPU a request, {:.0} a second, others \
                 {:.0} %",
                bench.rounds,
                turn.peer,
                turn.cpu_micros,
                turn.outcome.rate(),
                100.0 * turn.noise.others
            );
            turns.push(turn);
        }
    }
    drop(haproxy);
    ringmain.stop()?;
    let samples = turns.iter().flat_map(samples).collect();
    let summary = summary(bench, &turns).context("no rounds")?;
    Ok(Report { samples, summary })
}

fn turn(bench: &Bench, directory: &Path, round: u32, peer: &Peer, origin: &Peer) -> Result<Turn> {
    let load = Load {
        address: peer.address,
        table: Table::LARGE,
        connections: CONNECTIONS,
        seconds: 1,
        core: bench.load_core,
    };
    load.run(directory)?;
    let cpu = |peer: &Peer| peer.process.cpu();
    let watch = Watch::begin()?;
    let (before, origin_before) = (cpu(peer), cpu(origin));
    let outcome = Load {
        seconds: bench.seconds,
        ..load
    }
    .run(directory)?;
    let used = cpu(peer) - before;
    let mut ours = used;
    if peer.process.id() != origin.process.id() {
        ours += cpu(origin) - origin_before;
    }
    let noise = watch.end(ours)?;
    if outcome.failures() > 0 || outcome.requests == 0 {
        bail!("{} failed requests: {outcome:?}", peer.name());
    }
    Ok(Turn {
        round,
        peer: peer.name(),
        outcome,
        cpu_micros: used.as_secs_f64() * 1e6 / outcome.requests as f64,
        noise,
    })
}

fn samples(turn: &Turn) -> impl Iterator<Item = Sample> + use<> {
    let Turn { outcome, noise, .. } = *turn;
    let (round, peer) = (turn.round, turn.peer);
    [
        ("cpu_us_per_request", turn.cpu_micros),
        ("requests_per_second", outcome.rate()),
        ("requests", outcome.requests as f64),
        ("p50_us", outcome.p50.as_secs_f64() * 1e6),
        ("p99_us", outcome.p99.as_secs_f64() * 1e6),
        ("others_share", noise.others),
        ("stolen_share", noise.stolen),
    ]
    .into_iter()
    .map(move |(quantity, value)| Sample {
        scenario: NAME,
        round,
        peer,
        quantity,
        value,
    })
}

/// The figures of quiet rounds: all rounds when none was.
fn summary(bench: &Bench, turns: &[Turn]) -> Option<String> {
    let rounds = |keep: &dyn Fn(u32) -> bool| -> Vec<Turn> {
        turns
            .iter()
            .filter(|turn| keep(turn.round))
            .copied()
            .collect()
    };
    let is_quiet = |round: u32| {
        let mut of_round = turns.iter().filter(|turn| turn.round == round);
        of_round.all(|turn| turn.noise.others < bench.noise_max)
    };
    let quiet = rounds(&is_quiet);
    let noisy = if quiet.is_empty() {
        0
    } else {
        (turns.len() - quiet.len()) / 3
    };
    let chosen = if quiet.is_empty() { turns } else { &quiet };

    let mut text = String::from(
        "## routes: CPU time per request\n\nOne core, 64 connections, 100-byte answers, 100 hosts \
         with 10 routes each. Medians, least and greatest in parentheses.\n\n\
         | through | CPU us/request | requests/s | p50 us | p99 us |\n|---|---|---|---|---|\n",
    );
    for peer in ["ringmain", "haproxy", "direct"] {
        let of = |figure: &dyn Fn(&Turn) -> f64| {
            Spread::of(chosen.iter().filter(|turn| turn.peer == peer).map(figure))
        };
        let micros = |duration: std::time::Duration| duration.as_secs_f64() * 1e6;
        let cpu = match peer {
            "direct" => "-".to_owned(),
            _ => of(&|turn| turn.cpu_micros)?.to_string(),
        };
        let _ = writeln!(
            text,
            "| {peer} | {cpu} | {:.0} | {:.0} | {:.0} |",
            of(&|turn| turn.outcome.rate())?.median,
            of(&|turn| micros(turn.outcome.p50))?.median,
            of(&|turn| micros(turn.outcome.p99))?.median,
        );
    }
    let cpu = |peer: &'static str| {
        let of_peer = chosen.iter().filter(move |turn| turn.peer == peer);
        of_peer.map(|turn| turn.cpu_micros)
    };
    let of_medians = Spread::of(cpu("ringmain"))?.median / Spread::of(cpu("haproxy"))?.median;
    let of_rounds = Spread::of(
        cpu("ringmain")
            .zip(cpu("haproxy"))
            .map(|(ours, theirs)| ours / theirs),
    )?;
    let others = Spread::of(turns.iter().map(|turn| 100.0 * turn.noise.others))?;
    let _ = writeln!(
        text,
        "\nRingmain's CPU time per request is {of_medians:.3} of haproxy's (ratio of medians); \
         round by round {of_rounds:.3}. At most {RATIO_MAX:.2}: {}.\n\n{} rounds, {noisy} left out \
         because others used {:.0} % of the machine or more; others used {others:.1} % over all \
         rounds{}.",
        verdict(Some(of_medians), RATIO_MAX),
        turns.len() / 3,
        100.0 * bench.noise_max,
        if quiet.is_empty() {
            ", and no round was quiet: these are figures of a busy machine"
        } else {
            ""
        },
    );
    Some(text)
}
