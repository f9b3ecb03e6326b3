//! Load: what is sent, who sends it, and what came of it.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{bench::Bench, process::Captured, table::Table};

pub mod h2load;
pub mod iperf3;
pub mod own;
pub mod wrk;

/// What sends the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Generator {
    /// `ringmain load` of this program.
    #[default]
    Ringmain,
    /// wrk, in a closed loop over HTTP only.
    Wrk,
}

/// What is to be sent where.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// What.
    pub what: What,
    /// Connections.
    pub connections: u32,
    /// Requests per second of an open loop; none: a closed loop.
    pub rate: Option<f64>,
    /// When it ends.
    pub extent: Extent,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Requests for a path.
    Get(&'static str),
    /// Requests for every route of a table in turn.
    Table(Table),
    /// Requests that each open a connection of their own.
    Connect(&'static str),
    /// Requests for a path within TLS, over HTTP/1.1.
    Secured(&'static str),
    /// The same, each on a connection of its own; whether sessions are resumed.
    Handshakes(&'static str, bool),
    /// Requests with a body of so many bytes.
    Post(&'static str, u32),
    /// Requests for a path over HTTP/2, so many at a time on each connection.
    Streams(&'static str, u32),
    /// Unary calls of gRPC with a message of so many bytes, so many at a time on each connection.
    Calls(u32, u32),
    /// So many bytes, and the same back.
    Echo(u32),
    /// Bytes as fast as they go.
    Stream(Direction),
}

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the origin.
    Up,
    /// From the origin.
    Down,
}

/// When load ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// After a time.
    Time(Duration),
    /// After exactly so many requests.
    Requests(u64),
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Requests that were answered as they should be.
    pub requests: u64,
    /// Those that were not, in any way.
    pub failures: u64,
    /// What is known of the failures.
    pub complaint: String,
    /// How long it took.
    pub seconds: f64,
    /// Bytes received, of bodies or of streams.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes of streams that were received behind the end of the load, until each stream ended.
    pub drained_in: u64,
    /// The same of bytes that were sent.
    pub drained_out: u64,
    /// Directions of streams that did not come to their ends.
    pub cut: u64,
    /// Median time to an answer, microseconds.
    pub p50: f64,
    /// 99th percentile of it.
    pub p99: f64,
    /// Longest.
    pub max: f64,
    /// CPU time of the generator, seconds, when it says so.
    pub cpu_seconds: Option<f64>,
    /// Why the generator could not do what it was asked to.
    pub bottleneck: Option<String>,
}

impl Outcome {
    /// Requests for each second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Load under way.
#[derive(Debug)]
pub struct Started {
    program: Captured,
    read: fn(&str) -> Result<Outcome>,
}

impl Started {
    /// Lets requests under way end, and sends no more.
    ///
    /// # Errors
    /// When the generator fails.
    pub fn stop(self) -> Result<Outcome> {
        self.program.interrupt();
        self.finish()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the generator fails.
    pub fn finish(self) -> Result<Outcome> {
        (self.read)(&self.program.finish()?)
    }
}

impl Load {
    /// Begins to send it with the run's generator. `directory` is for that one's files.
    ///
    /// # Errors
    /// When it cannot be run, or cannot send such load.
    pub fn start(&self, bench: &Bench, directory: &Path) -> Result<Started> {
        match bench.arguments.generator {
            Generator::Ringmain => own::start(self, bench),
            Generator::Wrk => wrk::start(self, bench, directory),
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// As above.
    pub fn run(&self, bench: &Bench, directory: &Path) -> Result<Outcome> {
        let outcome = self.start(bench, directory)?.finish()?;
        let nothing = outcome.requests == 0 && outcome.bytes_in + outcome.bytes_out == 0;
        if nothing {
            bail!("nothing was answered: {}", outcome.complaint);
        }
        Ok(outcome)
    }
}
