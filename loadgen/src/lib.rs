//! Open-loop HTTP/1.1 load with honest latency.
//!
//! A [`Plan`] says what to send and how fast; [`Run::start`] sends it from threads of its own, each
//! with a ring ([`Io`]); [`Run::progress`] and [`Run::finish`] give the numbers as a [`Report`].
//!
//! Requests are due at times that are fixed before the run starts, and latency counts from these
//! times: when a server stalls, the requests that had to wait behind the stall show it (what is
//! left out otherwise is known as coordinated omission). Nothing spins: between due times all
//! threads sleep.

mod connection;
pub mod origin;
mod pacer;
mod plan;
mod report;
mod ring;
mod run;
mod schedule;
mod worker;

pub use plan::{Plan, PlanError, Target, Url};
pub use report::{ErrorCount, ErrorKind, Report, TargetReport};
pub use ring::{Io, Rung};
pub use run::{Run, RunError, Stopper};
