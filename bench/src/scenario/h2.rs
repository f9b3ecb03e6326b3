//! HTTP/2 from the client, many streams on few connections, to an origin that speaks HTTP/1.1.

use anyhow::Result;

use super::compare_versions;
use crate::{
    bench::Bench,
    load::What,
    peer::Version,
    report::{Outline, Report},
    turns::{Comparison, REQUEST_COLUMNS},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "h2",
    title: "HTTP/2 to an origin of HTTP/1.1",
    about: "HTTP/2 in plain text, 100 streams on each of 8 connections that are kept, one route \
            that takes everything, answers of 100 B.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

/// Of every scenario of HTTP/2 from the client.
pub(super) const CONNECTIONS: u32 = 8;
pub(super) const STREAMS: u32 = 100;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let comparison = Comparison {
        case: "100 B",
        what: What::Streams("/bytes/100", STREAMS),
        connections: CONNECTIONS,
        half_load: true,
    };
    compare_versions(bench, report, (Version::Two, Version::One), comparison)
}
