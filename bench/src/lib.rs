//! Ringmain beside its peers, measured in one run on one machine.
//!
//! [`scenario`] has one file for each thing that is measured, [`peer`] one for each program that
//! is measured; their configurations lie in `bench/peers/`. A scenario returns samples and a
//! section of the summary, and [`results`] writes both down beside a description of the
//! [`machine`]. Nothing is judged here: a figure that misses its mark is printed like any other.
//!
//! Figures are CPU time, memory and counts rather than wall time, because they are the same
//! whatever else the machine does, or nearly so: [`quiet`] says how much else it did.

pub mod bench;
pub mod client;
pub mod load;
pub mod machine;
pub mod peer;
pub mod process;
pub mod quiet;
pub mod results;
pub mod scenario;
pub mod statistics;
pub mod table;
