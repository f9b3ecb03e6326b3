//! iperf3: streams of bytes to a server of its own, to compare generators with each other.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Outcome;
use crate::{
    bench::Bench,
    peer::free_port,
    process::{Process, Program, wait_until},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A running server, which takes one client after the other.
#[derive(Debug)]
pub struct Server {
    port: u16,
    /// What its CPU time is read from.
    pub process: Process,
}

impl Server {
    /// Starts it where a proxy would be.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(bench: &Bench, directory: &Path) -> Result<Self> {
        let port = free_port()?;
        let mut process = program(&bench.proxy_cores(1))
            .args(["--server", "--forceflush", "--bind"])
            .args([Ipv4Addr::LOCALHOST.to_string()])
            .args(["--port".to_owned(), port.to_string()])
            .start(directory)?;
        wait_until(&mut process, PATIENCE, |server| {
            server.printed().contains("listening")
        })?;
        Ok(Self { port, process })
    }

    /// Sends bytes to it over so many connections for so many whole seconds.
    ///
    /// # Errors
    /// When iperf3 cannot be run.
    pub fn send(&self, bench: &Bench, streams: u32, time: Duration) -> Result<Outcome> {
        let output = program(&bench.load_cores())
            .args(["--json".to_owned(), "--client".to_owned()])
            .args([Ipv4Addr::LOCALHOST.to_string()])
            .args(["--port".to_owned(), self.port.to_string()])
            .args(["--parallel".to_owned(), streams.to_string()])
            .args(["--time".to_owned(), time.as_secs().max(1).to_string()])
            .output()?;
        parse(&output).with_context(|| format!("iperf3 printed no result: {output}"))
    }
}

fn program(cores: &str) -> Program {
    Program::on_cores(cores, &[], Path::new("iperf3"), "iperf3")
}

#[derive(Debug, Deserialize)]
struct Printed {
    end: End,
}

#[derive(Debug, Deserialize)]
struct End {
    sum_sent: Sum,
}

#[derive(Debug, Deserialize)]
struct Sum {
    bytes: u64,
    seconds: f64,
}

fn parse(output: &str) -> Result<Outcome> {
    let Printed { end } = serde_json::from_str(output)?;
    Ok(Outcome {
        bytes_out: end.sum_sent.bytes,
        seconds: end.sum_sent.seconds,
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_what_was_sent() {
        let json = r#"{"start":{},"end":{"streams":[],"sum_sent":{"start":0,"seconds":1.5,
            "bytes":3000,"retransmits":6},"sum_received":{"bytes":2000,"seconds":1.6}}}"#;
        let outcome = parse(json).unwrap();
        assert_eq!(outcome.bytes_out, 3000);
        assert!((outcome.seconds - 1.5).abs() < 1e-9);
        assert!(parse(r#"{"error":"unable to connect"}"#).is_err());
    }
}
