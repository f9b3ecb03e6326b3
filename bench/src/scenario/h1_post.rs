//! HTTP/1.1 requests with large bodies.

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
    name: "h1-post",
    title: "requests with bodies of 64 KiB",
    about: "As h1, with requests of 64 KiB and answers of 100 B.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let task = Task {
        carries: Carries::Http(Table::SMALL, Size::Large),
        origin: origin.http,
        workers: 1,
    };
    let comparison = Comparison {
        case: "64 KiB",
        what: What::Post("/bytes/100", 64 << 10),
        connections: CONNECTIONS,
        half_load: true,
    };
    let stage = Stage {
        bench,
        directory,
        contenders: &bench.start_all(directory, &task)?,
        origin: &origin,
    };
    comparison.run(stage, report)
}
