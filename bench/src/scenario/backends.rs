//! The ways in which Ringmain can ask the kernel, beside each other.

use std::fs;

use anyhow::Result;

use super::CONNECTIONS;
use crate::{
    bench::Bench,
    client::fetch,
    load::What,
    origin::Origin,
    peer::{Carries, Size, Task, ringmain::Setup},
    report::{Outline, Report},
    table::Table,
    turns::{Comparison, REQUEST_COLUMNS, Stage},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "backends",
    title: "Ringmain on io_uring and on epoll",
    about: "As h1 with 100 B, by what `workers.io` may be.",
    columns: REQUEST_COLUMNS,
    charts: &["cpu_us_per_request"],
};

/// Names in results as `/server_info` says them, and `workers.io`.
const RUNGS: [(&str, &str); 3] = [
    ("uring-defer", "uring"),
    ("uring-coop", "uring-coop"),
    ("epoll", "epoll"),
];

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let task = Task {
        carries: Carries::Http(Table::SMALL, Size::Small),
        origin: origin.http,
        workers: 1,
    };
    let cores = bench.proxy_cores(1);
    let mut contenders = Vec::new();
    for (name, io) in RUNGS {
        let folder = directory.join(name);
        fs::create_dir_all(&folder)?;
        let setup = Setup {
            name,
            io,
            ..Setup::new(bench, &folder, &cores)
        };
        let started = setup.start(&task, None).and_then(|ringmain| {
            let info = fetch(ringmain.admin, "/server_info")?;
            Ok((ringmain, info))
        });
        match started {
            // The kernel may grant less than the best rung of io_uring.
            Ok((ringmain, info)) if info.contains(name) => contenders.push(ringmain.into_running()),
            Ok(_) => report.notes.push(not_granted(name)),
            Err(error) if is_refusal(&format!("{error:#}")) => {
                report.notes.push(not_granted(name));
            }
            Err(error) => return Err(error.context(format!("{name} does not start"))),
        }
    }
    let comparison = Comparison {
        case: "100 B",
        what: What::Get("/bytes/100"),
        connections: CONNECTIONS,
        half_load: false,
    };
    let stage = Stage {
        bench,
        directory,
        contenders: &contenders,
        origin: &origin,
    };
    comparison.run(stage, report)
}

fn not_granted(name: &str) -> String {
    format!("{name}: not granted by this kernel.")
}

/// The proxy ended because the kernel grants it none of the rungs that it was told to use; it says
/// so in these words (`dataplane/src/supervisor/workers.rs`). Everything else is a failure.
fn is_refusal(error: &str) -> bool {
    error.contains("no way to do I/O")
}

#[cfg(test)]
mod tests {
    use super::is_refusal;

    #[test]
    fn only_a_refused_rung_is_no_failure() {
        let supervisor = include_str!("../../../dataplane/src/supervisor/workers.rs");
        assert!(supervisor.contains("no way to do I/O: {}"));
        let refused = "ringmain ended with exit status: 1: no way to do I/O: uring-defer: ...";
        for (error, expected) in [
            (refused, true),
            (
                "uring-coop ended with exit status: 1: address in use",
                false,
            ),
            ("no answer", false),
        ] {
            assert_eq!(is_refusal(error), expected, "{error}");
        }
    }
}
