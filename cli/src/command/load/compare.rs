//! `ringmain load compare`: two results side by side.

use std::path::{Path, PathBuf};

use clap::Args;
use ringmain_loadgen::output::{Summary, compare::Comparison};

use crate::{
    fault::{Exit, Fault},
    output::{self, Format},
};

/// Show what changed from one result to another, and whether it may be believed.
///
/// Reads what `ringmain load -o json` printed. A figure is better or worse when the two runs differ
/// by more than they vary from second to second; what cannot be judged is said so. Warns when the
/// runs did not do the same, and when the generator itself was the bottleneck of one. Exits with 0
/// whatever changed, with 1 when a file is no such result.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringmain load compare before.json after.json
  ringmain load compare before.json after.json -o json")]
pub(super) struct Arguments {
    /// The result that is compared with.
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The result that is judged.
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let names = [&arguments.before, &arguments.after].map(|file| file.display().to_string());
    let (before, after) = (read(&arguments.before)?, read(&arguments.after)?);
    let comparison = Comparison::new((&names[0], &before), (&names[1], &after));
    match arguments.output {
        Format::Text => output::print(&comparison.text())?,
        Format::Json => output::json(&comparison)?,
    }
    Ok(Exit::Fine)
}

fn read(file: &Path) -> Result<Summary, Fault> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Fault::new(format!("cannot read {}: {error}", file.display())))?;
    Summary::from_json(&text).map_err(|error| Fault::new(format!("{}: {error}", file.display())))
}
