//! `ringmain check`: every problem of every file, before any proxy sees it.

use std::path::{Path, PathBuf};

use clap::Args;
use ringmain_config::{
    problem::{Problem, Severity},
    tuning::Tuning,
};
use ringmain_controlplane::{
    analyze::{self, Extent},
    compile, source,
    world::World,
};
use serde::Serialize;

use crate::{
    fault::{Exit, Fault},
    output::{self, Format},
};

/// Check resources and tuning files without starting anything.
///
/// Reads YAML files, directories of them, and ringmain.toml files. Names every problem of all of
/// them with file, line and remedy, then compiles what every proxy would be given, as the proxies
/// do. Exits with 1 when there is an error; with --strict, also when there is a warning.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain check examples/bookinfo/mesh
  ringmain check mesh/ ringmain.toml --strict -o json")]
pub(crate) struct Arguments {
    /// Files and directories; together they are one mesh. When there are only files, what they name
    /// but do not define is taken to stand elsewhere.
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Warnings are bad as well.
    #[arg(long)]
    strict: bool,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Findings {
    files: usize,
    resources: usize,
    errors: usize,
    warnings: usize,
    problems: Vec<Problem>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let findings = check(&arguments.paths);
    match arguments.output {
        Format::Text => output::print(&text(&findings))?,
        Format::Json => output::json(&findings)?,
    }
    let bad = findings.errors > 0 || arguments.strict && findings.warnings > 0;
    Ok(if bad { Exit::Bad } else { Exit::Fine })
}

fn check(paths: &[PathBuf]) -> Findings {
    let mut findings = Findings::default();
    let mut resources = Vec::new();
    for path in paths {
        if let Some(file) = tuning_file(path) {
            findings.files += 1;
            findings.problems.extend(tuning(&file));
        }
        if is_tuning(path) {
            continue;
        }
        match source::load(path) {
            Ok(reading) => {
                findings.files += reading.files.len();
                findings.problems.extend(reading.problems().cloned());
                resources.extend(reading.resources);
            }
            Err(problem) => findings.problems.push(problem),
        }
    }
    findings.resources = resources.len();
    let errors = |problems: &[Problem]| {
        let is_error = |problem: &&Problem| problem.severity == Severity::Error;
        problems.iter().filter(is_error).count()
    };
    // What a broken document defines is missing from the world; to call what refers to it wrong
    // would be a second message about the same slip.
    let extent = match errors(&findings.problems) {
        0 => extent(paths),
        _ => Extent::Files,
    };
    let world = World::new(&resources, []);
    findings.problems.extend(compile::check_world(&world, []));
    findings.problems.extend(analyze::analyze(&world, extent));
    if findings.files == 0 && findings.problems.is_empty() {
        let names: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let nothing = Problem::error(names.join(", "), "there is no YAML file here")
            .hint("name the files or directories of your resources");
        findings.problems.push(nothing);
    }
    findings.errors = errors(&findings.problems);
    findings.warnings = findings.problems.len() - findings.errors;
    findings
}

/// Single files are taken for a part of a mesh, a directory for all of one.
fn extent(paths: &[PathBuf]) -> Extent {
    if paths.iter().any(|path| path.is_dir()) {
        Extent::Mesh
    } else {
        Extent::Files
    }
}

fn is_tuning(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

/// The file itself, or the `ringmain.toml` of a directory.
fn tuning_file(path: &Path) -> Option<PathBuf> {
    if is_tuning(path) {
        return Some(path.to_owned());
    }
    let inside = path.join("ringmain.toml");
    inside.is_file().then_some(inside)
}

fn tuning(file: &Path) -> Vec<Problem> {
    let name = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => Tuning::parse(&text, &name).err().unwrap_or_default(),
        Err(error) => vec![Problem {
            file: Some(name),
            ..Problem::error("file", format!("cannot be read: {error}"))
        }],
    }
}

fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for problem in &findings.problems {
        text.push_str(&format!("{problem}\n"));
    }
    let count = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {what}{plural}")
    };
    text + &format!(
        "{} of {}: {}, {}\n",
        count(findings.resources, "resource"),
        count(findings.files, "file"),
        count(findings.errors, "error"),
        count(findings.warnings, "warning"),
    )
}
