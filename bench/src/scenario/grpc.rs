//! Unary calls of gRPC, HTTP/2 on both sides.

use anyhow::Result;

use super::{
    compare_versions,
    h2::{CONNECTIONS, STREAMS},
};
use crate::{
    bench::Bench,
    load::What,
    peer::Version,
    report::{Outline, Report},
    turns::{Comparison, REQUEST_COLUMNS},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "grpc",
    title: "unary gRPC, HTTP/2 to HTTP/2",
    about: "As h2, to an origin of HTTP/2: messages of 100 B and answers of 100 B with trailers.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let comparison = Comparison {
        case: "unary",
        what: What::Calls(100, STREAMS),
        connections: CONNECTIONS,
        half_load: true,
    };
    compare_versions(bench, report, (Version::Two, Version::Two), comparison)
}
