//! What is reported of a run: one document, printed as JSON and read back to compare runs.
//!
//! The names and units of its fields are an interface, described for users in `docs/load.md`. A
//! field may be added; one that changes its meaning or goes away raises [`FORMAT`].

use std::{collections::BTreeMap, fmt};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::objective::Verdict;
use crate::Drained;

/// Of the fields below, as this program writes them.
pub const FORMAT: u32 = 1;

/// A run and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`FORMAT`] of the program that wrote it.
    pub format: u32,
    /// Name and version of that program.
    pub program: String,
    /// When the measured part began, RFC 3339 in UTC.
    pub started: String,
    /// What paced the requests.
    pub mode: Mode,
    /// From when latency counts.
    pub latency_from: LatencyFrom,
    /// How intended send times were spread; `None` in a closed loop.
    pub arrivals: Option<String>,
    /// What was spoken: `http/1.1`, `h2`, `tcp-echo`, ...
    pub protocol: String,
    /// Connections: in an open loop at most, in a closed loop always.
    pub connections: u64,
    /// Requests at the same time on a connection at most.
    pub streams: u64,
    /// Whether every request had a connection of its own.
    pub connect_per_request: bool,
    /// Threads that sent.
    pub workers: u64,
    /// True when the run was ended before its time.
    pub interrupted: bool,
    /// Seconds before the measured part, of which nothing is in the figures.
    pub warmup_s: f64,
    /// Seconds that were measured.
    pub duration_s: f64,
    /// Requests that have ended: complete answers and errors.
    pub requests: u64,
    /// Of them, those with a complete answer, whatever it says.
    pub answered: u64,
    /// Of them, those without a complete answer and those whose answer says that the request
    /// failed: an HTTP status outside of 2xx and 3xx, or a gRPC status other than 0.
    pub failed: u64,
    /// Requests without a complete answer, by kind; only kinds that occurred.
    pub errors: BTreeMap<String, u64>,
    /// What happened to the first request of each kind of error.
    pub error_examples: BTreeMap<String, String>,
    /// Complete answers by status; only statuses that occurred.
    pub status: BTreeMap<u16, u64>,
    /// Complete answers per second, of those that came within [`Self::duration_s`].
    pub rate: f64,
    /// Requests per second that the plan asked for; `None` when it asked for none.
    pub intended_rate: Option<f64>,
    /// The same as [`Self::rate`], under the name that is compared with `intended_rate`.
    pub achieved_rate: f64,
    /// Bytes received with complete answers: heads and framing included, TLS not.
    pub bytes_in: u64,
    /// Bytes sent with requests that were answered, counted alike.
    pub bytes_out: u64,
    /// Of complete answers, in microseconds; `None` when there was none.
    pub latency_us: Option<Latency>,
    /// Time that connections took to be ready for their first request, in microseconds; `None` when
    /// none was.
    pub connect_us: Option<Latency>,
    /// Of streams: how they came to their ends; `None` for what has requests.
    #[serde(default)]
    pub drained: Option<Drained>,
    /// What the generator itself did to the figures.
    pub generator: Generator,
    /// The same by target, in the order of the command line.
    pub targets: Vec<TargetSummary>,
    /// What was demanded of the run, and whether it held.
    pub objectives: Vec<Verdict>,
    /// The run second by second, in order.
    pub intervals: Vec<Interval>,
}

/// What paced the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A rate, whatever became of earlier requests.
    Open,
    /// The answers: a connection sends when its last request was answered.
    Closed,
    /// The connections themselves: there are no requests, only bytes.
    Stream,
}

/// From when latency counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyFrom {
    /// The time at which the plan meant the request to be sent.
    IntendedSendTime,
    /// The time at which it was sent.
    SendTime,
}

/// Latency in microseconds: the least, the mean, percentiles, and the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The least.
    pub min: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Half of the answers took no longer.
    pub p50: u64,
    /// 75 %.
    pub p75: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p999: u64,
    /// 99.99 %.
    pub p9999: u64,
    /// The greatest.
    pub max: u64,
}

impl Latency {
    /// `None` without a value.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile);
        (!histogram.is_empty()).then(|| Self {
            min: histogram.min(),
            mean: (histogram.mean() * 10.0).round() / 10.0,
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        })
    }

    /// Names of [`Self::figures`], for people.
    pub const NAMES: [&str; 9] = [
        "min", "mean", "p50", "p75", "p90", "p99", "p99.9", "p99.99", "max",
    ];

    /// All of it, in the order of [`Self::NAMES`].
    pub fn figures(&self) -> [f64; 9] {
        [
            self.min as f64,
            self.mean,
            self.p50 as f64,
            self.p75 as f64,
            self.p90 as f64,
            self.p99 as f64,
            self.p999 as f64,
            self.p9999 as f64,
            self.max as f64,
        ]
    }
}

/// What the generator itself did to the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// True when it could not do what was asked, so that the figures describe it rather than what
    /// was measured.
    pub bottleneck: bool,
    /// Why, for people.
    pub reason: Option<String>,
    /// What each of its threads did, as shares of the time from 0 to 1.
    pub threads: Vec<ThreadShare>,
    /// CPU seconds of all its threads.
    pub cpu_s: f64,
    /// How late requests were handed to a connection, which is part of every latency; `None` in a
    /// closed loop, where nothing is due.
    pub slip_us: Option<Slip>,
    /// What its threads waited on: io_uring with some flags, or epoll.
    pub io: String,
    /// Connections that were established.
    pub connections_opened: u64,
    /// Those among them whose TLS handshake took up an earlier session.
    #[serde(default)]
    pub resumed: u64,
    /// Requests sent once more because a kept connection turned out to be closed.
    pub resent: u64,
}

/// What one thread did, as shares of the time from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadShare {
    /// It ran, in the kernel or not.
    pub ran: f64,
    /// It could have run, but its CPU ran something else.
    pub waited: f64,
}

/// How late requests were handed to a connection, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slip {
    /// Half of them were no later.
    pub p50: u64,
    /// 99 %.
    pub p99: u64,
    /// The greatest.
    pub max: u64,
}

/// One target's part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetSummary {
    /// As on the command line, without its weight.
    pub url: String,
    /// Request method; `None` when the protocol has none.
    pub method: Option<String>,
    /// Share of the requests, relative to the other targets.
    pub weight: u32,
    /// Size of the body of each request.
    pub body_bytes: u64,
    /// As [`Summary::requests`].
    pub requests: u64,
    /// As [`Summary::answered`].
    pub answered: u64,
    /// As [`Summary::failed`].
    pub failed: u64,
    /// As [`Summary::errors`].
    pub errors: BTreeMap<String, u64>,
    /// As [`Summary::status`].
    pub status: BTreeMap<u16, u64>,
    /// As [`Summary::bytes_in`].
    pub bytes_in: u64,
    /// As [`Summary::bytes_out`].
    pub bytes_out: u64,
    /// As [`Summary::latency_us`].
    pub latency_us: Option<Latency>,
}

/// A second of a run; the last one may be shorter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its begin, in seconds from the begin of the measured part.
    pub start_s: f64,
    /// Its length in seconds.
    pub length_s: f64,
    /// Requests that ended in it.
    pub requests: u64,
    /// Of them, those without a complete answer.
    pub errors: u64,
    /// Complete answers per second.
    pub rate: f64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Latency of its complete answers in microseconds, to within 2 %; `None` when there was none.
    pub p50_us: Option<u64>,
    /// As `p50_us`.
    pub p90_us: Option<u64>,
    /// As `p50_us`.
    pub p99_us: Option<u64>,
}

impl Summary {
    /// Reads what [`Self::to_json`] has written.
    ///
    /// # Errors
    /// When it is not such a document, or one of a format that this program does not know.
    pub fn from_json(text: &str) -> Result<Self, NotASummary> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head =
            serde_json::from_str(text).map_err(|error| NotASummary(error.to_string()))?;
        if head.format != FORMAT {
            return Err(NotASummary(format!(
                "its format is {}, and this program reads format {FORMAT}; measure again, or use \
                 the program that wrote it",
                head.format
            )));
        }
        serde_json::from_str(text).map_err(|error| NotASummary(error.to_string()))
    }

    /// Indented JSON, with a newline at its end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self)
            .expect("it has names for keys and its numbers are finite");
        text + "\n"
    }

    /// What the latencies mean, for people.
    pub fn label(&self) -> &'static str {
        match (self.mode, self.latency_from) {
            (Mode::Open, LatencyFrom::IntendedSendTime) => {
                "open loop, latency from the intended send time"
            }
            (Mode::Open, LatencyFrom::SendTime) => {
                "open loop, latency from the time of sending (requests that had to wait do \
                 not show it)"
            }
            (Mode::Stream, _) => "streams of bytes, no requests and no latency",
            (Mode::Closed, _) => {
                "closed loop, latency from the time of sending (a connection that waits for an \
                 answer sends nothing, so stalls are counted once and not for every request that \
                 they would have delayed; give --rate to see them)"
            }
        }
    }

    /// Nothing came back: no answer, or of a stream no byte either way.
    pub fn is_empty(&self) -> bool {
        match self.mode {
            Mode::Open | Mode::Closed => self.answered == 0,
            Mode::Stream => self.bytes_in + self.bytes_out == 0,
        }
    }

    /// Share of the requests that failed.
    pub fn failed_share(&self) -> f64 {
        if self.requests == 0 {
            0.0
        } else {
            self.failed as f64 / self.requests as f64
        }
    }
}

/// Why a text is not a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotASummary(String);

impl fmt::Display for NotASummary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "not a result of `ringmain load -o json`: {}",
            self.0
        )
    }
}

impl std::error::Error for NotASummary {}

#[cfg(test)]
pub(crate) mod tests;
