//! wrk: one thread, a closed loop.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use super::{Extent, Load, Outcome, Started, What};
use crate::{bench::Bench, process::Program};

const SCRIPT: &str = include_str!("../../peers/wrk/requests.lua");

/// Begins to send `load`.
///
/// # Errors
/// When wrk cannot send such load, or cannot be run.
pub fn start(load: &Load, bench: &Bench, directory: &Path) -> Result<Started> {
    let (Extent::Time(time), None) = (load.extent, load.rate) else {
        bail!("wrk knows neither a rate nor a number of requests");
    };
    let what: Vec<String> = match load.what {
        What::Get(path) => vec!["path".into(), path.into()],
        What::Table(table) => vec![
            "table".into(),
            table.hosts.to_string(),
            table.routes.to_string(),
        ],
        What::Connect(path) => vec!["connect".into(), path.into()],
        What::Post(path, bytes) => vec!["post".into(), path.into(), bytes.to_string()],
        What::Secured(_)
        | What::Handshakes(..)
        | What::Streams(..)
        | What::Calls(..)
        | What::Echo(_)
        | What::Stream(_) => {
            bail!("wrk sends HTTP/1.1 in plain text only")
        }
    };
    let script = directory.join("requests.lua");
    fs::write(&script, SCRIPT)?;
    // wrk counts whole seconds.
    let seconds = time.as_secs_f64().ceil().max(1.0);
    let program = Program::on_cores(&bench.load_cores(), &[], Path::new("wrk"), "wrk")
        .args(["-t1", &format!("-c{}", load.connections)])
        .args([&format!("-d{seconds}s"), "--timeout", "10s", "-s"])
        .args([&script])
        .args([&format!("http://{}/", load.address), "--"])
        .args(what);
    Ok(Started {
        program: program.capture()?,
        read,
    })
}

fn read(output: &str) -> Result<Outcome> {
    parse(output).with_context(|| format!("wrk printed no result: {output}"))
}

fn parse(output: &str) -> Option<Outcome> {
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix("result "))?;
    let value = |name: &str| -> Option<f64> {
        let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(key, _)| *key == name);
        found.next()?.1.parse().ok()
    };
    let mut failures = 0.0;
    for kind in ["status", "connect", "read", "write", "timeout"] {
        failures += value(kind)?;
    }
    Some(Outcome {
        requests: value("requests")? as u64 - value("status")? as u64,
        failures: failures as u64,
        complaint: line.to_owned(),
        seconds: value("microseconds")? / 1e6,
        bytes_in: value("bytes")? as u64,
        p50: value("p50")?,
        p99: value("p99")?,
        max: value("max")?,
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_the_result_line() {
        let line = "result requests=30 microseconds=2000000 bytes=9 status=1 connect=2 read=3 \
                    write=4 timeout=5 p50=6 p99=7 max=8";
        let outcome = parse(&format!("Running 2s test\n{line}\n")).unwrap();
        assert_eq!((outcome.requests, outcome.failures), (29, 15));
        assert!((outcome.rate() - 14.5).abs() < 1e-9);
        assert!((outcome.p99 - 7.0).abs() < 1e-9);
        assert_eq!(parse("Running 2s test\n"), None);
        assert_eq!(parse("result requests=1\n"), None);
    }
}
