//! HTTP/1.1 requests with large bodies.

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
    name: "h1-post",
    title: "requests with bodies of 64 KiB",
    about: "As h1, with requests of 64 KiB and answers of 100 B.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let comparison = Comparison {
        case: "64 KiB",
        what: What::Post("/bytes/100", 64 << 10),
        connections: CONNECTIONS,
        half_load: true,
    };
    compare(bench, report, Size::Large, 1, comparison)
}
