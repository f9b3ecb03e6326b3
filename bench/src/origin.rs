//! What answers behind every proxy, on the load's core.

use std::{
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    arguments,
    bench::Bench,
    client::fetch,
    peer::{Version, nginx},
    process::{Process, Program, wait_until},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A running origin.
#[derive(Debug)]
pub struct Origin {
    /// HTTP/1.1.
    pub http: SocketAddr,
    tcp: Option<Tcp>,
    http2: Option<SocketAddr>,
    /// What its CPU time is read from.
    pub process: Process,
}

/// The services without a protocol, which nginx does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Sends back what it receives.
    pub echo: SocketAddr,
    /// Takes what it receives.
    pub sink: SocketAddr,
    /// Sends until the connection is closed.
    pub source: SocketAddr,
}

/// What an origin has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Counts {
    /// HTTP requests.
    pub requests: u64,
    /// HTTP connections that were opened.
    pub connections: u64,
    /// Those among them that are closed.
    pub closed: u64,
    /// Of requests' bodies.
    pub body_bytes: u64,
    /// Connections to the services without a protocol that were opened.
    pub streams: u64,
    /// Those among them that are closed.
    pub streams_closed: u64,
    /// Bytes sent back.
    pub echo_bytes: u64,
    /// Bytes taken.
    pub sink_bytes: u64,
    /// Bytes given.
    pub source_bytes: u64,
}

impl Origin {
    /// Starts the one that the run was asked to use.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(bench: &Bench, directory: &Path) -> Result<Self> {
        match bench.arguments.origin {
            arguments::Origin::Ringmain => Self::own(bench, directory),
            arguments::Origin::Nginx => {
                let (http, process) = nginx::origin(directory, &bench.load_cores())?;
                Ok(Self {
                    http,
                    tcp: None,
                    http2: None,
                    process,
                })
            }
        }
    }

    /// Starts this program's own, beside the load.
    ///
    /// # Errors
    /// When it does not start.
    pub fn own(bench: &Bench, directory: &Path) -> Result<Self> {
        Self::on_cores(&bench.load_cores(), bench, directory)
    }

    /// Starts this program's own where a proxy would be.
    ///
    /// # Errors
    /// When it does not start.
    pub fn alone(bench: &Bench, directory: &Path) -> Result<Self> {
        Self::on_cores(&bench.proxy_cores(1), bench, directory)
    }

    fn on_cores(cores: &str, bench: &Bench, directory: &Path) -> Result<Self> {
        let program = Program::on_cores(cores, &[], &bench.own, "origin");
        let mut process = program.args(["bench", "origin"]).start(directory)?;
        wait_until(&mut process, PATIENCE, |origin| {
            origin.printed().ends_with('\n')
        })?;
        let printed = process.printed();
        let address = |name: &str| -> Result<SocketAddr> {
            let pairs = printed
                .split_whitespace()
                .filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|(key, _)| *key == name);
            let (_, address) = found
                .next()
                .with_context(|| format!("no {name} in {printed}"))?;
            Ok(address.parse()?)
        };
        Ok(Self {
            http: address("http")?,
            http2: Some(address("http2")?),
            tcp: Some(Tcp {
                echo: address("echo")?,
                sink: address("sink")?,
                source: address("source")?,
            }),
            process,
        })
    }

    /// Where such HTTP is spoken.
    ///
    /// # Errors
    /// When this origin does not speak it.
    pub fn speaks(&self, version: Version) -> Result<SocketAddr> {
        match version {
            Version::One => Ok(self.http),
            Version::Two => self
                .http2
                .context("nginx is no origin for HTTP/2: run this scenario without --origin nginx"),
        }
    }

    /// Where the services without a protocol are.
    ///
    /// # Errors
    /// When this origin has none.
    pub fn tcp(&self) -> Result<Tcp> {
        self.tcp
            .context("nginx is no origin for TCP: run this scenario without --origin nginx")
    }

    /// What it has done once every HTTP connection but the one that asks is closed: a generator may
    /// leave requests on its connections that have yet to be read.
    ///
    /// # Errors
    /// When it does not answer, or connections stay open.
    pub fn counts_at_rest(&self) -> Result<Counts> {
        let counts =
            self.counts_when(|counts| counts.connections.saturating_sub(counts.closed) <= 1)?;
        Ok(counts.unwrap_or_default())
    }

    /// What it has done once every connection to the services without a protocol is closed; `None`
    /// when it does not count.
    ///
    /// # Errors
    /// As above.
    pub fn counts_without_streams(&self) -> Result<Option<Counts>> {
        self.counts_when(|counts| counts.streams == counts.streams_closed)
    }

    fn counts_when(&self, is_enough: impl Fn(&Counts) -> bool) -> Result<Option<Counts>> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.counts()? {
                Some(counts) if !is_enough(&counts) => thread::sleep(Duration::from_millis(5)),
                counts => return Ok(counts),
            }
        }
        bail!("connections to the origin stay open")
    }

    /// What it has done; `None` when it does not count.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn counts(&self) -> Result<Option<Counts>> {
        if self.tcp.is_none() {
            return Ok(None);
        }
        let text = fetch(self.http, "/origin/counts")?;
        let counts = serde_json::from_str(&text);
        Ok(Some(counts.with_context(|| format!("no counts: {text}"))?))
    }
}
