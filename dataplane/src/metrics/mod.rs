//! What the proxy counts. Workers write, the supervisor reads; no lock and no read-modify-write
//! lies between them.
//!
//! - A worker counts a request in the series of its labels ([`WorkerMetrics::observe`]), which it
//!   finds in the [`Edge`] the request took. [`crate::record`] is the only caller.
//! - Everything else it counts in [`WorkerCounters`].
//! - The supervisor's [`Registry`] learns of new series by a queue and sums equal ones over the
//!   workers when it is scraped; [`Scrape::render`] writes the text.
//!
//! Names, labels and buckets stand in [`ringmain_core::metrics`].

mod counters;
mod owned;
mod registry;
mod scrape;
mod series;
mod worker;

pub use self::{
    counters::WorkerCounters,
    owned::{Counter, Gauge, HistogramTotals},
    registry::{Registry, RegistryLimits},
    scrape::{Metric, Scrape, SeriesTotals, Value},
    series::{Answer, ConnectionTotals, Edge, Sample, Series, SeriesCache, Totals},
    worker::{WorkerMetrics, WorkerParts},
};

#[cfg(test)]
mod tests;
