//! HTTP/1.1 from the client to an origin that speaks HTTP/2, beside a Ringmain whose origin speaks
//! HTTP/1.1: what many connections to an origin cost more than the streams of one.

use std::fs;

use anyhow::Result;

use crate::{
    bench::Bench,
    load::What,
    origin::Origin,
    peer::{Carries, Task, Version, ringmain::Setup},
    report::{Outline, Report},
    turns::{Comparison, REQUEST_COLUMNS, Stage},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "h1-to-h2",
    title: "HTTP/1.1 to an origin of HTTP/2",
    about: "HTTP/1.1 on 256 connections that are kept, answers of 100 B. `h1 to h1` is Ringmain \
            with the same load and an origin of HTTP/1.1.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

/// Ringmain with HTTP/1.1 on both sides.
pub(crate) const H1_TO_H1: &str = "h1 to h1";

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let task = |version| -> Result<Task> {
        Ok(Task {
            carries: Carries::Versions(Version::One, version),
            origin: origin.speaks(version)?,
            workers: 1,
        })
    };
    let mut contenders = bench.start_all(directory, &task(Version::Two)?)?;
    let folder = directory.join("h1-to-h1");
    fs::create_dir_all(&folder)?;
    let cores = bench.proxy_cores(1);
    let setup = Setup {
        name: H1_TO_H1,
        ..Setup::new(bench, &folder, &cores)
    };
    let one = setup.start(&task(Version::One)?, None)?;
    contenders.insert(1, one.into_running());
    let comparison = Comparison {
        case: "100 B",
        what: What::Get("/bytes/100"),
        connections: 256,
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
