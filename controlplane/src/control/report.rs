//! Problems in the log: each once, when it is new.

use std::collections::BTreeMap;

use ringmain_config::problem::{Problem, Severity};

use crate::source::{FileReport, FileState, Reading};

/// One line for each problem, up to a limit; the rest is in the status.
pub(super) fn log<'a>(problems: impl IntoIterator<Item = &'a Problem>) {
    let mut problems = problems.into_iter();
    for problem in problems.by_ref().take(LINES_MAX) {
        match problem.severity {
            Severity::Error => tracing::error!("{problem}"),
            Severity::Warning => tracing::warn!("{problem}"),
        }
    }
    let rest = problems.count();
    if rest > 0 {
        tracing::warn!("{rest} more problems; `ringmain status` shows all of them");
    }
}

/// What became of files since `before`.
pub(super) fn log_changes(before: &Reading, now: &Reading) {
    if before.problems != now.problems {
        log(&now.problems);
    }
    let mut known: BTreeMap<&str, &FileReport> = by_name(before);
    for file in &now.files {
        let held = known.remove(file.file.as_str());
        if held != Some(file) {
            log_file(file, held);
        }
    }
    for (file, held) in known {
        let resources = held.resources;
        tracing::info!(file, resources, "file removed; its resources are gone");
    }
}

fn log_file(file: &FileReport, before: Option<&FileReport>) {
    let (name, resources) = (&file.file, file.resources);
    match (file.state, before) {
        (FileState::InForce, Some(before)) if before.state != FileState::InForce => {
            tracing::info!(file = name, resources, "file is good again");
        }
        (FileState::InForce, Some(_)) => tracing::info!(file = name, resources, "file changed"),
        (FileState::InForce, None) => tracing::info!(file = name, resources, "file read"),
        (FileState::LastGood, _) => tracing::error!(
            file = name,
            resources,
            "file cannot be used; what it said before stays in force"
        ),
        (FileState::Refused, _) => {
            tracing::error!(
                file = name,
                "file cannot be used; nothing of it is in force"
            );
        }
    }
    log(&file.problems);
}

fn by_name(reading: &Reading) -> BTreeMap<&str, &FileReport> {
    let files = reading.files.iter();
    files.map(|file| (file.file.as_str(), file)).collect()
}

/// Of one cause: what a human reads.
const LINES_MAX: usize = 50;
