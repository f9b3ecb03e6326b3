//! What a run is asked to do, checked before anything is sent.

mod kind;
mod problem;
mod target;
mod url;

use std::{path::PathBuf, time::Duration};

pub use kind::{Direction, Kind};
pub use problem::PlanError;
pub use target::Target;
pub use url::{Scheme, Url};

use crate::ring::Io;

/// One run of load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where requests go; at least one.
    pub targets: Vec<Target>,
    /// What is spoken.
    pub kind: Kind,
    /// What decides when a request is sent.
    pub pace: Pace,
    /// When the run ends. Requests under way then come to their ends and count.
    pub stop: Stop,
    /// Requests begun in this time after the start are sent and not counted. [`Self::stop`] counts
    /// from its end.
    pub warmup: Duration,
    /// From the start, the rate of an open loop grows evenly from 0 over this time; the connections
    /// of a closed loop are opened one after another over this time.
    pub ramp: Duration,
    /// Connections per address at most, all workers together.
    pub connections: usize,
    /// Which of the connections are used.
    pub usage: Usage,
    /// Requests at a time on one connection, for protocols that can
    /// ([`Kind::has_streams`]); 1 for the others.
    pub streams: usize,
    /// Every request gets a connection of its own, which is opened as part of it.
    pub connect_per_request: bool,
    /// Requests of an open loop per worker and address that may wait for a connection; one more is
    /// not sent and counted as [`crate::ErrorKind::Backlog`].
    pub backlog_max: usize,
    /// For a connection to be ready for its first request: TCP, TLS and what else is before it.
    pub connect_timeout: Duration,
    /// From the time a request was due (open loop) or begun (closed loop) to the end of its answer.
    pub request_timeout: Duration,
    /// Threads that send, each with a ring and connections of its own.
    pub workers: usize,
    /// Each worker stays on one of the CPUs that this process may use.
    pub pin: bool,
    /// How the kernel is asked to complete operations.
    pub io: Io,
    /// For targets that are reached over TLS.
    pub tls: Tls,
}

/// What decides when a request is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Requests are due at times fixed beforehand, whatever becomes of the earlier ones, and
    /// latency counts from these times.
    Open {
        /// Requests per second, all targets and workers together.
        rate: f64,
        /// How the times are spread.
        arrivals: Arrivals,
    },
    /// Every connection sends its next request when it has the answer to its last one. Latency
    /// counts from sending: requests that a stall kept from being sent do not show in it.
    Closed,
}

/// How due times are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// At even distances.
    Constant,
    /// At distances that are distributed exponentially: a Poisson process, as of many independent
    /// users.
    Exponential {
        /// The same seed gives the same times.
        seed: u64,
    },
}

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Only by [`crate::Run::stopper`].
    Asked,
    /// When requests were begun for this long.
    After(Duration),
    /// After exactly this many requests, all workers together.
    Requests(u64),
}

/// Which connections an open loop uses. A closed loop always uses all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// All are opened at the start and used in turn.
    #[default]
    All,
    /// One is opened when all that are open are busy; the one used last is used first.
    Few,
}

/// How TLS is spoken to targets that want it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Any certificate will do.
    pub insecure: bool,
    /// PEM file with the authorities to trust; without it those of this host.
    pub authorities: Option<PathBuf>,
    /// PEM files with this client's certificate chain and key, when the server asks for them.
    pub identity: Option<Identity>,
    /// Name to ask for and to verify instead of the URL's host.
    pub server_name: Option<String>,
    /// Every handshake is a full one. Otherwise a worker resumes its earlier sessions with a server
    /// where the server lets it (RFC 8446 section 2.2).
    pub full_handshakes: bool,
}

/// PEM files that say who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Beyond it, due times are closer than the clock can tell.
const RATE_MAX: f64 = 10_000_000.0;
const COUNT_MAX: u64 = 1 << 20;
/// So that sums of times stay far from what the clock can express.
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);

impl Plan {
    /// Requests to `targets` over HTTP/1.1 until stopped, from one worker that is not pinned, with
    /// limits that suit one host.
    pub fn new(targets: Vec<Target>, pace: Pace) -> Self {
        Self {
            targets,
            kind: Kind::Http1,
            pace,
            stop: Stop::Asked,
            warmup: Duration::ZERO,
            ramp: Duration::ZERO,
            connections: 64,
            usage: Usage::All,
            streams: 1,
            connect_per_request: false,
            backlog_max: 65_536,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            workers: 1,
            pin: false,
            io: Io::Auto,
            tls: Tls::default(),
        }
    }

    /// # Errors
    /// The first thing that makes the plan impossible.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.targets.iter().all(|target| target.weight == 0) {
            return Err(PlanError::NoTarget);
        }
        if let Pace::Open { rate, .. } = self.pace
            && !(rate > 0.0 && rate <= RATE_MAX)
        {
            return Err(PlanError::Rate(rate));
        }
        self.check_counts()?;
        self.check_times()?;
        self.check_kind()?;
        self.targets
            .iter()
            .try_for_each(|target| target.check(self.kind))
    }

    /// Some target is reached over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.url.scheme.is_secure())
    }

    fn check_counts(&self) -> Result<(), PlanError> {
        let numbers = [
            ("connections", self.connections),
            ("streams", self.streams),
            ("workers", self.workers),
            ("backlog_max", self.backlog_max),
        ];
        for (name, value) in numbers {
            let value = value as u64;
            if value == 0 || value > COUNT_MAX {
                return Err(PlanError::Count { name, value });
            }
        }
        if self.workers > self.connections {
            return Err(PlanError::Workers {
                workers: self.workers,
                connections: self.connections,
            });
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), PlanError> {
        let duration = match self.stop {
            Stop::After(duration) => duration,
            Stop::Asked | Stop::Requests(_) => DURATION_MAX,
        };
        let some = Duration::from_nanos(1);
        let times = [
            ("duration", duration),
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            // These two may be 0.
            ("warmup", self.warmup.max(some)),
            ("ramp", self.ramp.max(some)),
        ];
        for (name, value) in times {
            if value.is_zero() || value > DURATION_MAX {
                return Err(PlanError::Time { name, value });
            }
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), PlanError> {
        let unsuited = |setting: String, reason| {
            Err(PlanError::Unsuited {
                setting,
                kind: self.kind.name(),
                reason,
            })
        };
        if self.streams > 1 && !self.kind.has_streams() {
            return unsuited(
                format!("streams = {}", self.streams),
                "it has one request at a time on a connection",
            );
        }
        if self.connect_per_request && self.streams > 1 {
            return unsuited(
                format!("streams = {}", self.streams),
                "a connection per request has one stream",
            );
        }
        if !self.kind.is_stream() {
            return Ok(());
        }
        let no_requests = "it has no requests, only bytes";
        if let Pace::Open { rate, .. } = self.pace {
            return unsuited(format!("a rate of {rate}"), no_requests);
        }
        if let Stop::Requests(requests) = self.stop {
            return unsuited(format!("an end after {requests} requests"), no_requests);
        }
        if self.connect_per_request {
            return unsuited("a connection per request".to_owned(), no_requests);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
