//! Configuration changes under full load: no request may be lost by one.
//!
//! The file of 1000 routes is replaced five times a second, so that every route differs from one
//! snapshot to the next. Each answer carries the generation of the table that served it, which
//! shows that the changes take effect.

use std::{
    fmt::Write,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    bench::Bench,
    client::Connection,
    load::{Load, Outcome},
    peer::ringmain::Ringmain,
    results::{Report, Sample},
    table::{GENERATION, Table},
};

const NAME: &str = "reload";
const BETWEEN: Duration = Duration::from_millis(200);
/// How long the last change may take to be seen by a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// At least this long, so that there are some dozens of changes.
const SECONDS_MIN: u32 = 10;

struct Found {
    steady: Outcome,
    changing: Outcome,
    written: u32,
    adopted: f64,
    /// From the last file's replacement to the first answer by it.
    seen_after: Duration,
    rss_before: f64,
    rss_after: f64,
}

pub(super) fn run(bench: &Bench) -> Result<Report> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = bench.origin(directory)?;
    let ringmain = bench
        .ringmain(directory)
        .start(Table::LARGE, Some(0), origin.address)?;
    bench.wait_for_quiet(Instant::now() + bench.patience)?;
    let load = Load {
        address: ringmain.proxy.address,
        table: Table::LARGE,
        connections: 64,
        seconds: bench.seconds.max(SECONDS_MIN),
        core: bench.load_core,
    };
    let found = measure(&ringmain, load, directory)?;
    ringmain.stop()?;
    eprintln!(
        "reload: {} of {} requests failed over {} changes, {} adopted",
        found.changing.failures(),
        found.changing.requests,
        found.written,
        found.adopted
    );
    Ok(Report {
        samples: samples(&found),
        summary: summary(&found),
    })
}

fn measure(ringmain: &Ringmain, load: Load, directory: &Path) -> Result<Found> {
    let adopted = || ringmain.metric("ringmain_snapshots_adopted_total");
    Load { seconds: 1, ..load }.run(directory)?;
    let rss_before = ringmain.proxy.process.resident_bytes()? as f64;
    let steady = load.run(directory)?;
    let adopted_before = adopted()?;
    let is_over = AtomicBool::new(false);
    let (changing, written) = thread::scope(|scope| {
        let writer = scope.spawn(|| write_changes(ringmain, &is_over));
        let outcome = load.run(directory);
        is_over.store(true, Ordering::Relaxed);
        let written = writer
            .join()
            .map_err(|_| anyhow!("the writer panicked"))??;
        anyhow::Ok((outcome?, written))
    })?;
    let last = written + 1;
    let began = Instant::now();
    ringmain.rewrite(Table::LARGE, last)?;
    wait_for_generation(ringmain, last)?;
    Ok(Found {
        steady,
        changing,
        written: last,
        adopted: adopted()? - adopted_before,
        seen_after: began.elapsed(),
        rss_before,
        rss_after: ringmain.proxy.process.resident_bytes()? as f64,
    })
}

/// Replaces the file until told to stop; how often it did.
fn write_changes(ringmain: &Ringmain, is_over: &AtomicBool) -> Result<u32> {
    let mut generation = 0;
    while !is_over.load(Ordering::Relaxed) {
        generation += 1;
        ringmain.rewrite(Table::LARGE, generation)?;
        thread::sleep(BETWEEN);
    }
    Ok(generation)
}

fn wait_for_generation(ringmain: &Ringmain, generation: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut connection = Connection::open(ringmain.proxy.address)?;
    loop {
        let answer = connection.ask(&Table::LARGE.request(0))?;
        let seen = answer.header(GENERATION).context("no generation")?;
        if seen == generation.to_string() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("generation {generation} is not served after {PATIENCE:?}, but {seen}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn samples(found: &Found) -> Vec<Sample> {
    let phases = [("steady", found.steady), ("changing", found.changing)];
    let of_phases = phases.into_iter().flat_map(|(peer, outcome)| {
        [
            (peer, "requests", outcome.requests as f64),
            (peer, "refused", outcome.refused as f64),
            (peer, "socket_errors", outcome.socket_errors as f64),
            (peer, "p99_us", outcome.p99.as_secs_f64() * 1e6),
            (peer, "max_us", outcome.max.as_secs_f64() * 1e6),
        ]
    });
    let others = [
        ("changing", "files_written", f64::from(found.written)),
        ("changing", "snapshots_adopted", found.adopted),
        (
            "changing",
            "seen_after_ms",
            found.seen_after.as_secs_f64() * 1e3,
        ),
        ("steady", "rss_bytes", found.rss_before),
        ("changing", "rss_bytes", found.rss_after),
    ];
    let all = of_phases.chain(others);
    all.map(|(peer, quantity, value)| Sample {
        scenario: NAME,
        round: 1,
        peer,
        quantity,
        value,
    })
    .collect()
}

fn summary(found: &Found) -> String {
    let mut text = String::from(
        "## reload: configuration changes under load\n\n\
         | table | requests | non-2xx | socket errors | requests/s | p99 ms | longest ms |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (name, outcome) in [
        ("steady", found.steady),
        ("replaced every 200 ms", found.changing),
    ] {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {:.0} | {:.2} | {:.2} |",
            outcome.requests,
            outcome.refused,
            outcome.socket_errors,
            outcome.rate(),
            millis(outcome.p99),
            millis(outcome.max)
        );
    }
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);
    let lost = found.changing.failures();
    let _ = writeln!(
        text,
        "\n1000 routes, replaced {} times; the proxy adopted {} snapshots. The last change was \
         served {:.0} ms after its file was replaced. Resident memory {:.1} MiB before, {:.1} MiB \
         after. No request lost: {}.",
        found.written,
        found.adopted,
        found.seen_after.as_secs_f64() * 1e3,
        mebibytes(found.rss_before),
        mebibytes(found.rss_after),
        if lost == 0 && found.adopted > 0.0 {
            "reached"
        } else {
            "missed"
        }
    );
    text
}
