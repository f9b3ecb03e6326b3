//! One worker, and two that share a machine of two cores with the load.

use anyhow::Result;

use super::{CONNECTIONS, compare};
use crate::{
    bench::Bench,
    load::What,
    peer::Size,
    report::{Outline, Report},
    turns::{Comparison, REQUEST_COLUMNS},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "workers",
    title: "one worker and two",
    about: "As h1 with 100 B. The second worker runs on the core of load and origin: CPU per \
            request is comparable, requests per second are not.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for (case, workers) in [("1 worker", 1), ("2 workers", 2)] {
        let comparison = Comparison {
            case,
            what: What::Get("/bytes/100"),
            connections: CONNECTIONS,
            half_load: false,
        };
        compare(bench, report, Size::Small, workers, comparison)?;
    }
    Ok(())
}
