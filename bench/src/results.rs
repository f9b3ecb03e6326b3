//! What a run leaves behind: `machine.toml`, `raw.csv`, `summary.md`.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where it comes from.
    pub scenario: &'static str,
    /// Which round, from 1.
    pub round: u32,
    /// Of which program.
    pub peer: &'static str,
    /// What, with its unit.
    pub quantity: &'static str,
    /// How much.
    pub value: f64,
}

/// What a scenario found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every figure of every round.
    pub samples: Vec<Sample>,
    /// Its section of the summary, in Markdown.
    pub summary: String,
}

/// Writes the reports of a run down.
///
/// # Errors
/// When the files cannot be written.
pub fn write(directory: &Path, machine: &str, reports: &[Report]) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut csv = "scenario,round,peer,quantity,value\n".to_owned();
    for sample in reports.iter().flat_map(|report| &report.samples) {
        let Sample {
            scenario,
            round,
            peer,
            quantity,
            value,
        } = sample;
        let _ = writeln!(csv, "{scenario},{round},{peer},{quantity},{value}");
    }
    let summary = summary(reports);
    for (name, text) in [
        ("machine.toml", machine),
        ("raw.csv", &csv),
        ("summary.md", &summary),
    ] {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// All sections, in the order of the run.
pub fn summary(reports: &[Report]) -> String {
    let sections = reports.iter().map(|report| report.summary.trim_end());
    let sections: Vec<_> = sections.collect();
    format!(
        "# Results\n\nMachine and versions: `machine.toml`. Every figure: `raw.csv`. Method and \
         unfair cases: `docs/benchmarks.md`.\n\n{}\n",
        sections.join("\n\n")
    )
}
