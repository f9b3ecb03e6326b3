//! HTTP/1.1 with a connection for each request: accepting, reading once, closing.

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
    name: "h1-connect",
    title: "a connection for each request",
    about: "64 requests at a time, each on a connection that is opened for it and closed after it; \
            connections to the origin are kept. Answers of 100 B.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let comparison = Comparison {
        case: "100 B",
        what: What::Connect("/bytes/100"),
        connections: CONNECTIONS,
        half_load: true,
    };
    compare(bench, report, Size::Small, 1, comparison)
}
