//! What a run is shown as: a table, JSON, a page with plots, a percentile distribution, and the
//! comparison of two runs.
//!
//! All of it is written from a [`Summary`], so that no two outputs can disagree. Nothing here
//! measures or does I/O.

mod chart;
pub mod compare;
pub mod hgrm;
mod html;
mod measured;
pub mod number;
mod objective;
mod plots;
mod significance;
mod summary;
mod table;
mod text;

pub use chart::ChartError;
pub use html::page;
pub use measured::Measured;
pub use objective::{Figure, Objective, Unit, Verdict};
pub use summary::{
    FORMAT, Generator, Interval, Latency, LatencyFrom, Mode, NotASummary, Slip, Summary,
    TargetSummary, ThreadShare,
};
pub use text::text;
