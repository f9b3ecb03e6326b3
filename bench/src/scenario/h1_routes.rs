//! HTTP/1.1 by a table of a thousand routes. The same requests go to a Ringmain with one route that
//! takes them all, in turn with the others: what the table costs is the difference.

use std::fs;

use anyhow::Result;

use super::CONNECTIONS;
use crate::{
    bench::Bench,
    load::What,
    origin::Origin,
    peer::{Carries, Size, Task, ringmain::Setup},
    report::{Outline, Report},
    table::Table,
    turns::{Comparison, REQUEST_COLUMNS, Stage},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "h1-routes",
    title: "requests by a table of 100 hosts with 10 routes each",
    about: "As h1 with 100 B, requests to every route of every host in turn. `one route` is \
            Ringmain with one route that takes the same requests.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

/// Ringmain without the table.
pub(crate) const ONE_ROUTE: &str = "one route";

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let task = |table| Task {
        carries: Carries::Http(table, Size::Small),
        origin: origin.http,
        workers: 1,
    };
    let mut contenders = bench.start_all(directory, &task(Table::LARGE))?;
    let folder = directory.join("one-route");
    fs::create_dir_all(&folder)?;
    let cores = bench.proxy_cores(1);
    let setup = Setup {
        name: ONE_ROUTE,
        ..Setup::new(bench, &folder, &cores)
    };
    let one_route = setup.start(&task(Table::SMALL), None)?;
    contenders.insert(1, one_route.into_running());
    let comparison = Comparison {
        case: "1000 routes",
        what: What::Table(Table::LARGE),
        connections: CONNECTIONS,
        half_load: true,
    };
    let stage = Stage {
        bench,
        directory,
        contenders: &contenders,
        origin: &origin,
    };
    comparison.run(stage, report)
}
