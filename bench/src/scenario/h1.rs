//! HTTP/1.1 on connections that are kept, with answers of three sizes.

use anyhow::Result;

use super::CONNECTIONS;
use crate::{
    bench::Bench,
    load::What,
    origin::Origin,
    peer::{Carries, Size, Task},
    report::{Outline, Report},
    table::Table,
    turns::{Comparison, REQUEST_COLUMNS, Stage},
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
        let directory = bench.directory()?;
        let directory = directory.path();
        let origin = Origin::start(bench, directory)?;
        let task = Task {
            carries: Carries::Http(Table::SMALL, size),
            origin: origin.http,
            workers: 1,
        };
        let comparison = Comparison {
            case,
            what: What::Get(path),
            connections: CONNECTIONS,
            half_load: true,
        };
        let stage = Stage {
            bench,
            directory,
            contenders: &bench.start_all(directory, &task)?,
            origin: &origin,
        };
        comparison.run(stage, report)?;
    }
    Ok(())
}
