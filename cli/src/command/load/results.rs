//! Where the result goes, and what the process exits with.

use std::{fs::OpenOptions, path::Path};

use ringmain_loadgen::{
    Plan,
    output::{Measured, Summary, hgrm, page, text},
};

use super::{drive::Outcome, flags::Flags, plan};
use crate::{
    fault::{Exit, Fault},
    output::{self, Format},
};

/// Files that cannot be written are known before the run, not after it.
pub(super) fn check_files(flags: &Flags) -> Result<(), Fault> {
    for file in [&flags.report, &flags.hdr].into_iter().flatten() {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        options
            .open(file)
            .map_err(|error| cannot_write(file, &error))?;
    }
    Ok(())
}

/// Writes everything that the flags ask for. The exit code follows from the objectives.
pub(super) fn write(flags: &Flags, plan: &Plan, outcome: &Outcome) -> Result<Exit, Fault> {
    let measured = Measured {
        plan,
        report: &outcome.report,
        program: concat!("ringmain ", env!("CARGO_PKG_VERSION")),
        started: &humantime::format_rfc3339_seconds(outcome.started).to_string(),
        interrupted: outcome.interrupted,
    };
    let summary = Summary::new(&measured, &plan::objectives(&flags.demands));
    // What is asked for on the terminal first: nothing below can take it back.
    match flags.output {
        Format::Text => output::print(&text(&summary))?,
        Format::Json => output::print(&summary.to_json())?,
    }
    let latency = outcome.report.total().latency;
    if let Some(file) = &flags.hdr {
        save(file, &hgrm::text(&latency))?;
    }
    if let Some(file) = &flags.report {
        let page = page(&summary, &latency).map_err(|error| Fault::new(error.to_string()))?;
        save(file, &page)?;
    }
    Ok(exit(&summary))
}

/// Says on standard error what made it bad, so that it is seen beside JSON as well.
fn exit(summary: &Summary) -> Exit {
    let mut exit = Exit::Fine;
    let mut bad = |why: String| {
        output::complain(&format!("ringmain: {why}"));
        exit = Exit::Bad;
    };
    for verdict in summary.objectives.iter().filter(|verdict| !verdict.held) {
        bad(format!("missed {verdict}: {}", verdict.measured_text()));
    }
    if summary.interrupted && !summary.objectives.is_empty() {
        bad("the objectives cannot be held by a run that was interrupted".to_owned());
    }
    if summary.is_empty() {
        let example = summary.error_examples.values().next();
        bad(match example {
            Some(example) => format!("nothing was answered; the first error: {example}"),
            None => "nothing was answered".to_owned(),
        });
    }
    exit
}

fn save(file: &Path, text: &str) -> Result<(), Fault> {
    std::fs::write(file, text).map_err(|error| cannot_write(file, &error))
}

fn cannot_write(file: &Path, error: &std::io::Error) -> Fault {
    Fault::new(format!("cannot write {}: {error}", file.display()))
}
