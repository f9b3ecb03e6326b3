//! HTTP/1.1 with a connection for each request: accepting, reading once, closing.

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
    name: "h1-connect",
    title: "a connection for each request",
    about: "64 requests at a time, each on a connection that is opened for it and closed after it; \
            connections to the origin are kept. Answers of 100 B.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let task = Task {
        carries: Carries::Http(Table::SMALL, Size::Small),
        origin: origin.http,
        workers: 1,
    };
    let comparison = Comparison {
        case: "100 B",
        what: What::Connect("/bytes/100"),
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
