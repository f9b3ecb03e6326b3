//! The flags of `ringmain load`, as written.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::parse::{self, Budget, Goal};
use crate::output::Format;

#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Where requests go: `[WEIGHT@]URL`, several with weights relative to each other.
    #[arg(value_name = "URL", required = true, value_parser = parse::goal)]
    pub(super) goals: Vec<Goal>,

    /// Requests per second of an open loop, all URLs together: 500, 20k, 1.5M.
    #[arg(short = 'R', long, value_name = "NUMBER", value_parser = parse::rate,
        help_heading = PACE)]
    pub(super) rate: Option<f64>,
    /// How the send times of an open loop are spread.
    #[arg(long, value_enum, default_value_t, requires = "rate", help_heading = PACE)]
    pub(super) arrivals: Arrivals,
    /// For exponential arrivals: the same seed gives the same send times.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "rate", help_heading = PACE)]
    pub(super) seed: u64,
    /// Measure for this long [default: 10s].
    #[arg(short, long, value_name = "TIME", value_parser = parse::time, help_heading = PACE)]
    pub(super) duration: Option<Duration>,
    /// Measure this many requests instead.
    #[arg(short = 'n', long, value_name = "NUMBER", conflicts_with = "duration",
        value_parser = clap::value_parser!(u64).range(1..), help_heading = PACE)]
    pub(super) requests: Option<u64>,
    /// Send for this long before anything is measured.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse::time,
        hide_default_value = true, help_heading = PACE)]
    pub(super) warmup: Duration,
    /// Rise to the full rate, or to all connections, over this time from the start.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse::time,
        hide_default_value = true, help_heading = PACE)]
    pub(super) ramp: Duration,

    /// Connections per address [default: 64; in an open loop as many as are needed, up to 256].
    #[arg(short, long, value_name = "NUMBER", help_heading = CONNECTIONS)]
    pub(super) connections: Option<usize>,
    /// Requests at the same time on each HTTP/2 or gRPC connection.
    #[arg(short = 'm', long, value_name = "NUMBER", default_value_t = 1,
        help_heading = CONNECTIONS)]
    pub(super) streams: usize,
    /// Threads that send, each pinned to a CPU [default: 1, not pinned].
    #[arg(short = 't', long, visible_alias = "threads", value_name = "NUMBER",
        help_heading = CONNECTIONS)]
    pub(super) workers: Option<usize>,
    /// Open a connection for every request, as part of it.
    #[arg(long, visible_alias = "disable-keepalive", help_heading = CONNECTIONS)]
    pub(super) connect_per_request: bool,
    /// Connect there, whatever the host of a URL is: the way through a proxy that routes by host.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = CONNECTIONS)]
    pub(super) connect_to: Option<SocketAddr>,
    /// For a connection to be ready: TCP, TLS and upgrade.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse::time,
        help_heading = CONNECTIONS)]
    pub(super) connect_timeout: Duration,
    /// For a request: until its answer is complete, from the time from which latency counts.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse::time,
        help_heading = CONNECTIONS)]
    pub(super) timeout: Duration,
    /// How the kernel is asked.
    #[arg(long, value_enum, default_value_t, help_heading = CONNECTIONS)]
    pub(super) io: Io,

    /// Request method [default: GET, with a body POST].
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = REQUEST)]
    pub(super) method: Option<String>,
    /// A header field, `name: value`; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = parse::header,
        help_heading = REQUEST)]
    pub(super) headers: Vec<(String, String)>,
    /// What to send: a text, or @FILE for the bytes of a file.
    #[arg(long, value_name = "TEXT|@FILE", help_heading = REQUEST)]
    pub(super) body: Option<String>,
    /// Send this many bytes that do not compress: 100, 64KiB, 1MiB.
    #[arg(long, value_name = "SIZE", value_parser = parse::size, conflicts_with = "body",
        help_heading = REQUEST)]
    pub(super) body_size: Option<usize>,
    /// Speak HTTP/1.1, even where https would agree on HTTP/2.
    #[arg(long, visible_aliases = ["h1", "http1.1"], conflicts_with = "http2",
        help_heading = REQUEST)]
    pub(super) http1: bool,
    /// Speak HTTP/2: by ALPN over https, with prior knowledge (h2c) over http.
    #[arg(long, visible_aliases = ["h2", "h2c"], help_heading = REQUEST)]
    pub(super) http2: bool,
    /// For tcp-stream and tls-stream: which way the bytes go.
    #[arg(long, value_enum, default_value_t, help_heading = REQUEST)]
    pub(super) direction: Direction,

    /// Take any certificate of the server.
    #[arg(short = 'k', long, help_heading = TLS)]
    pub(super) insecure: bool,
    /// PEM file of the authorities to trust, instead of those of this host.
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    pub(super) cacert: Option<PathBuf>,
    /// PEM file of this client's certificate chain.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = TLS)]
    pub(super) cert: Option<PathBuf>,
    /// PEM file of its private key.
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = TLS)]
    pub(super) key: Option<PathBuf>,
    /// Every handshake is a full one: no session is resumed.
    #[arg(long, help_heading = TLS)]
    pub(super) full_handshakes: bool,
    /// Name to ask for (SNI) and to verify, instead of the URL's host.
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub(super) server_name: Option<String>,

    #[command(flatten)]
    pub(super) demands: Demands,

    /// How to print the result.
    #[arg(short, long, value_enum, default_value_t, help_heading = RESULT)]
    pub(super) output: Format,
    /// Write a page with plots as well.
    #[arg(long, value_name = "FILE", help_heading = RESULT)]
    pub(super) report: Option<PathBuf>,
    /// Write the distribution of latencies as HdrHistogram does, in milliseconds.
    #[arg(long, value_name = "FILE", help_heading = RESULT)]
    pub(super) hdr: Option<PathBuf>,
    /// No progress bar, even on a terminal.
    #[arg(short, long, help_heading = RESULT)]
    pub(super) quiet: bool,
}

/// What decides the exit code.
#[derive(Debug, Args)]
pub(super) struct Demands {
    /// The mean latency must not exceed this.
    #[arg(long, value_name = "TIME", value_parser = parse::time, help_heading = OBJECTIVES)]
    pub(super) max_mean: Option<Duration>,
    /// Half of the answers must not take longer.
    #[arg(long, value_name = "TIME", value_parser = parse::time, help_heading = OBJECTIVES)]
    pub(super) max_p50: Option<Duration>,
    /// 90 % of the answers must not take longer.
    #[arg(long, value_name = "TIME", value_parser = parse::time, help_heading = OBJECTIVES)]
    pub(super) max_p90: Option<Duration>,
    /// 99 % of the answers must not take longer.
    #[arg(long, value_name = "TIME", value_parser = parse::time, help_heading = OBJECTIVES)]
    pub(super) max_p99: Option<Duration>,
    /// 99.9 % of the answers must not take longer.
    #[arg(long, value_name = "TIME", value_parser = parse::time, help_heading = OBJECTIVES)]
    pub(super) max_p999: Option<Duration>,
    /// No answer must take longer.
    #[arg(long, value_name = "TIME", value_parser = parse::time, help_heading = OBJECTIVES)]
    pub(super) max_latency: Option<Duration>,
    /// Failed requests to tolerate, a number or a share: 0, 0.1%. A status outside of 2xx and 3xx
    /// fails a request as well.
    #[arg(long, value_name = "NUMBER", value_parser = parse::budget, help_heading = OBJECTIVES)]
    pub(super) max_errors: Option<Budget>,
    /// Complete answers per second must reach this.
    #[arg(long, value_name = "NUMBER", value_parser = parse::rate, help_heading = OBJECTIVES)]
    pub(super) min_rate: Option<f64>,
}

const PACE: &str = "Pace";
const CONNECTIONS: &str = "Connections";
const REQUEST: &str = "Request";
const TLS: &str = "TLS";
const OBJECTIVES: &str = "Objectives";
const RESULT: &str = "Result";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Arrivals {
    /// At even distances.
    #[default]
    Constant,
    /// At random, as those of many independent users.
    #[value(alias = "poisson")]
    Exponential,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Direction {
    /// To the server.
    #[default]
    Send,
    /// From the server.
    Receive,
    /// Both at the same time.
    Both,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Io {
    /// io_uring where the kernel allows it.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// epoll.
    Epoll,
}
