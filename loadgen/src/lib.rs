//! Load with honest latency, over HTTP, gRPC, WebSocket and TCP.
//!
//! A [`Plan`] says what to send and how fast; [`Run::start`] sends it from threads of its own, each
//! with a ring ([`Io`]); [`Run::progress`] and [`Run::finish`] give the numbers as a [`Report`].
//!
//! In an open loop requests are due at times that are fixed before the run starts, and latency
//! counts from these times: when a server stalls, the requests that had to wait behind the stall
//! show it (what is left out otherwise is known as coordinated omission). A closed loop measures
//! what a number of connections gets through, and hides exactly that.
//!
//! What is spoken on the connections is behind the seam in `protocol/`.

mod budget;
mod failure;
mod live;
pub mod origin;
pub mod output;
mod plan;
mod protocol;
mod report;
mod ring;
mod run;
mod schedule;
mod series;
mod time;
mod tls;
mod transport;
mod usage;
mod verdict;
mod worker;

pub use failure::ErrorKind;
pub use plan::{
    Arrivals, Direction, Identity, Kind, Pace, Plan, PlanError, Scheme, Stop, Target, Tls, Url,
    Usage,
};
pub use report::{Drained, ErrorCount, Report, Second, TargetReport, ThreadUse};
pub use ring::{Io, Rung};
pub use run::{Progress, Run, RunError, Stopper};
pub use verdict::Bottleneck;
