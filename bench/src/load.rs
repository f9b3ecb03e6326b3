//! Load at full speed: wrk, one thread, so many connections that are kept.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{process::Program, table::Table};

const SCRIPT: &str = include_str!("../peers/wrk/routes.lua");

/// What is to be sent where.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// Every route of it in turn.
    pub table: Table,
    /// Connections, each with one request under way.
    pub connections: u32,
    /// How long, in whole seconds.
    pub seconds: u32,
    /// wrk's core.
    pub core: usize,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that were answered.
    pub requests: u64,
    /// Of them, answers with a status of 400 and above.
    pub refused: u64,
    /// Connections that failed, in any way.
    pub socket_errors: u64,
    /// How long it took.
    pub took: Duration,
    /// Median time to an answer. Closed loop: a stalled proxy is asked less often.
    pub p50: Duration,
    /// 99th percentile of it.
    pub p99: Duration,
    /// Longest.
    pub max: Duration,
}

impl Load {
    /// Sends it. `directory` is for wrk's script.
    ///
    /// # Errors
    /// When wrk cannot be run.
    pub fn run(&self, directory: &Path) -> Result<Outcome> {
        let script = directory.join("routes.lua");
        fs::write(&script, SCRIPT)?;
        let output = Program::on_core(self.core, &[], &PathBuf::from("wrk"), "wrk")
            .args(["-t1", &format!("-c{}", self.connections)])
            .args([&format!("-d{}s", self.seconds), "--timeout", "10s", "-s"])
            .args([&script])
            .args([&format!("http://{}/", self.address), "--"])
            .args([self.table.hosts, self.table.routes].map(|count| count.to_string()))
            .output()?;
        Outcome::parse(&output).with_context(|| format!("wrk printed no result: {output}"))
    }
}

impl Outcome {
    fn parse(output: &str) -> Option<Self> {
        let line = output
            .lines()
            .find_map(|line| line.strip_prefix("result "))?;
        let value = |name: &str| -> Option<u64> {
            let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|(key, _)| *key == name);
            found.next()?.1.parse().ok()
        };
        let micros = |name| value(name).map(Duration::from_micros);
        Some(Self {
            requests: value("requests")?,
            refused: value("status")?,
            socket_errors: value("connect")? + value("read")? + value("write")? + value("timeout")?,
            took: micros("microseconds")?,
            p50: micros("p50")?,
            p99: micros("p99")?,
            max: micros("max")?,
        })
    }

    /// Requests for each second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.took.as_secs_f64()
    }

    /// Requests that got no answer, or not the right one.
    pub fn failures(&self) -> u64 {
        self.refused + self.socket_errors
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn reads_the_result_line() {
        let line = "result requests=30 microseconds=2000000 status=1 connect=2 read=3 write=4 \
                    timeout=5 p50=6 p99=7 max=8";
        let outcome = Outcome::parse(&format!("Running 2s test\n{line}\n")).unwrap();
        assert_eq!((outcome.requests, outcome.refused), (30, 1));
        assert_eq!((outcome.socket_errors, outcome.failures()), (14, 15));
        assert!((outcome.rate() - 15.0).abs() < 1e-9);
        assert_eq!(Outcome::parse("Running 2s test\n"), None);
        assert_eq!(Outcome::parse("result requests=1\n"), None);
    }
}
