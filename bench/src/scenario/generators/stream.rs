//! Bytes as fast as they go, ours to our origin and iperf3's to its own server.

use std::{path::Path, time::Duration};

use anyhow::Result;

use super::{OUTLINE, OWN};
use crate::{
    bench::{Bench, missing_program},
    load::{Direction, Extent, Load, Outcome, What, iperf3, own},
    origin::Origin,
    process::{Process, find},
    quiet::Watch,
    report::Report,
    samples::Sample,
};

const CASE: &str = "4 streams";
const OTHER: &str = "iperf3";
const STREAMS: u32 = 4;

pub(super) fn measure(
    bench: &Bench,
    directory: &Path,
    origin: &Origin,
    report: &mut Report,
) -> Result<()> {
    let server = match find(OTHER) {
        Some(_) => Some(iperf3::Server::start(bench, directory)?),
        None => {
            report.notes.push(missing_program(OTHER));
            None
        }
    };
    // iperf3 counts whole seconds.
    let time = Duration::from_secs_f64(bench.arguments.turn().as_secs_f64().ceil());
    let load = Load {
        address: origin.tcp()?.sink,
        what: What::Stream(Direction::Up),
        connections: STREAMS,
        rate: None,
        extent: Extent::Time(time),
    };
    let deadline = bench.deadline();
    let rounds = bench.arguments.rounds();
    for round in 1..=rounds {
        bench.wait_for_quiet(deadline)?;
        let place = format!("generators {CASE}, round {round} of {rounds}");
        bench.progress.say(&place);
        let send = || own::start(&load, bench)?.finish();
        let mut turns = vec![(OWN, Turn::of(&origin.process, send)?)];
        if let Some(server) = &server {
            let send = || server.send(bench, STREAMS, time);
            turns.push((OTHER, Turn::of(&server.process, send)?));
        }
        let noise_max = bench.arguments.noise / 100.0;
        let quiet = turns.iter().all(|(_, turn)| turn.others < noise_max);
        for (program, turn) in turns {
            let Turn {
                outcome,
                cpu,
                others,
            } = turn;
            if outcome.cut > 0 {
                let cut = outcome.cut;
                let failure =
                    format!("{CASE}: {program}: {cut} streams did not come to their ends");
                report.failures.push(failure);
            }
            let mebibytes = outcome.bytes_out as f64 / 1_048_576.0;
            for (quantity, value) in [
                ("mib_per_second", mebibytes / outcome.seconds),
                ("mib_per_cpu_second", mebibytes / cpu.as_secs_f64()),
                ("others_share", others),
            ] {
                report.samples.extend([Sample {
                    scenario: OUTLINE.name,
                    case: CASE.to_owned(),
                    round,
                    peer: program,
                    quantity,
                    value,
                    quiet,
                }]);
            }
        }
    }
    if let Some(server) = server {
        server.process.stop(Duration::from_secs(10))?;
    }
    Ok(())
}

struct Turn {
    outcome: Outcome,
    /// Of the generator, start and end included.
    cpu: Duration,
    /// Share of the machine that others used meanwhile.
    others: f64,
}

impl Turn {
    /// `server`: the other end.
    fn of(server: &Process, run: impl FnOnce() -> Result<Outcome>) -> Result<Self> {
        let watch = Watch::begin()?;
        let before = server.cpu();
        let outcome = run()?;
        let others = watch.end(server.cpu() - before)?.others;
        let cpu = watch.ended_children()?;
        Ok(Self {
            outcome,
            cpu,
            others,
        })
    }
}
