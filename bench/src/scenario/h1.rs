//! HTTP/1.1 on connections that are kept, with answers of three sizes.

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
    name: "h1",
    title: "requests on connections that are kept",
    about: "One core for the proxy, 64 connections, one route that takes everything.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request", "half_p99_us"],
};

const CASES: [(&str, &str, Size); 3] = [
    ("100 B", "/bytes/100", Size::Small),
    ("1 KiB", "/bytes/1024", Size::Small),
    ("64 KiB", "/bytes/65536", Size::Large),
];

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for (case, path, size) in CASES {
        let comparison = Comparison {
            case,
            what: What::Get(path),
            connections: CONNECTIONS,
            half_load: true,
        };
        compare(bench, report, size, 1, comparison)?;
    }
    Ok(())
}
