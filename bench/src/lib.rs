//! Ringmain beside its peers, measured in one run on one machine: `ringmain bench`.
//!
//! [`scenario`] has one file for each thing that is measured, [`peer`] one for each program that
//! is measured; their configurations lie in `bench/peers/`. A scenario returns samples; its table
//! ([`report`]), its charts ([`chart`]), the verdict on the figures to reach ([`marks`]) and the
//! files that are kept ([`results`]) are all made from the samples. [`turns`] is how programs are
//! compared: one after another, round by round.
//!
//! Figures are CPU time, memory and counts rather than wall time, because they are the same
//! whatever else the machine does, or nearly so: [`quiet`] says how much else it did. A figure that
//! misses its mark is printed like any other and is no failure; a request that was lost is one.

pub mod arguments;
pub mod bench;
pub mod budget;
pub mod certificates;
pub mod chart;
pub mod client;
pub mod document;
pub mod load;
pub mod machine;
pub mod marks;
pub mod origin;
pub mod peer;
pub mod process;
pub mod progress;
pub mod quiet;
pub mod report;
pub mod results;
pub mod run;
pub mod samples;
pub mod scenario;
pub mod statistics;
pub mod table;
pub mod turns;
pub mod workspace;

pub use arguments::Arguments;
pub use run::run;
