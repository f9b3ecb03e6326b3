//! Bytes as fast as they go, ours to our origin and iperf3's to its own server.

use std::{path::Path, time::Duration};

use anyhow::Result;

use super::OWN;
use crate::{
    bench::{Bench, missing_program},
    load::{Direction, Extent, Load, Outcome, What, iperf3, own},
    origin::Origin,
    process::{Process, find},
    quiet::Watch,
    report::Report,
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
    let server = server(bench, directory, report)?;
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
        let quiet = bench.is_quiet(turns.iter().map(|(_, turn)| turn.others));
        for (program, turn) in turns {
            report.failures.extend(turn.problem(program));
            report.push_round(CASE, round, program, quiet, turn.figures());
        }
    }
    if let Some(server) = server {
        server.process.stop(Duration::from_secs(10))?;
    }
    Ok(())
}

/// iperf3's; when it is not there a note says so.
fn server(bench: &Bench, directory: &Path, report: &mut Report) -> Result<Option<iperf3::Server>> {
    if find(OTHER).is_none() {
        report.notes.push(missing_program(OTHER));
        return Ok(None);
    }
    iperf3::Server::start(bench, directory).map(Some)
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

    /// What did not arrive.
    fn problem(&self, program: &str) -> Option<String> {
        let cut = self.outcome.cut;
        (cut > 0).then(|| format!("{CASE}: {program}: {cut} streams did not come to their ends"))
    }

    fn figures(&self) -> [(&'static str, f64); 3] {
        let mebibytes = self.outcome.bytes_out as f64 / 1_048_576.0;
        [
            ("mib_per_second", mebibytes / self.outcome.seconds),
            ("mib_per_cpu_second", mebibytes / self.cpu.as_secs_f64()),
            ("others_share", self.others),
        ]
    }
}
