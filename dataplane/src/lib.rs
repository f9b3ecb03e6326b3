//! The proxy: sockets and cores around the decisions of `ringmain-core`.
//!
//! A connection's way begins in [`connection`]; a request's is told in [`exchange`]. The
//! [`supervisor`] does everything that may block, on a thread of its own.

pub mod access_log;
pub mod admin;
pub mod answer;
pub mod back_off;
pub mod call;
pub mod carry;
pub mod configuration;
pub mod connection;
pub mod control;
pub mod cpus;
pub mod detect;
pub mod downstream;
pub mod exchange;
pub mod front;
pub mod http1;
pub mod http2;
pub mod http_policy;
pub mod inbox;
pub mod io;
pub mod last_good;
pub mod listener;
pub mod metrics;
pub mod mirror;
pub mod plan;
pub mod pool;
pub mod record;
pub mod relay;
pub mod replay;
pub mod resolve;
pub mod secrets;
pub mod session;
pub mod shelf;
pub mod supervisor;
pub mod tls;
pub mod tries;
pub mod tunnel;
pub mod upgrade;
pub mod upload;
pub mod upstream;
pub mod worker;
