//! h2load over HTTP/1.1, in a closed loop or at a rate, to compare generators with each other. It
//! prints no percentiles; they are taken from its log of every request.

use std::{fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, Result};

use super::Outcome;
use crate::{bench::Bench, process::Program};

/// Sends requests for `path` over so many connections for so many whole seconds: `rate` of them
/// each second, or as many as are answered.
///
/// # Errors
/// When it cannot be run.
pub fn run(
    bench: &Bench,
    directory: &Path,
    target: (SocketAddr, &str),
    connections: u32,
    rate: Option<f64>,
    time: Duration,
) -> Result<Outcome> {
    let log = directory.join("h2load.log");
    // It appends.
    drop(fs::remove_file(&log));
    let (address, path) = target;
    let each = rate.map(|rate| format!("--rps={:.1}", rate / f64::from(connections)));
    let seconds = time.as_secs().max(1);
    let output = Program::on_cores(&bench.load_cores(), &[], Path::new("h2load"), "h2load")
        .args(["--h1", "--threads=1", &format!("--clients={connections}")])
        .args([&format!("--duration={seconds}")])
        .args(each)
        .args([&format!("--log-file={}", log.display())])
        .args([&format!("http://{address}{path}")])
        .output()?;
    let text = fs::read_to_string(&log).context("h2load wrote no log")?;
    parse(&text, seconds as f64).with_context(|| format!("h2load printed no result: {output}"))
}

/// Lines of start, status and microseconds, with tabs between.
fn parse(log: &str, seconds: f64) -> Option<Outcome> {
    let mut micros = Vec::new();
    let mut failures = 0;
    for line in log.lines() {
        let mut fields = line.split('\t').skip(1);
        let (status, took): (i32, f64) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        if (200..400).contains(&status) {
            micros.push(took);
        } else {
            failures += 1;
        }
    }
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (micros.len() as f64 * share).ceil() as usize;
        micros.get(index.saturating_sub(1)).copied()
    };
    Some(Outcome {
        requests: micros.len() as u64,
        failures,
        seconds,
        p50: at(0.50)?,
        p99: at(0.99)?,
        max: at(1.0)?,
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn percentiles_come_from_the_log() {
        let mut log: String = (1..=100).map(|n| format!("7\t200\t{n}\n")).collect();
        log.push_str("7\t503\t9999\n");
        let outcome = parse(&log, 1.0).unwrap();
        assert_eq!((outcome.requests, outcome.failures), (100, 1));
        assert_eq!((outcome.p50, outcome.p99, outcome.max), (50.0, 99.0, 100.0));
        assert_eq!(parse("", 1.0), None);
        assert_eq!(parse("7\tx\t1\n", 1.0), None);
    }
}
