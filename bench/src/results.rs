//! What a run leaves behind: `machine.toml`, `raw.csv`, `summary.md` and charts.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    chart, marks,
    report::Report,
    samples::{Sample, Samples},
};

/// A directory for results of today that does not exist yet: the date, or the date and a number.
pub fn directory(date: &str, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let folder = Path::new("bench/results");
    let numbered = (2..).map(|number| folder.join(format!("{date}-{number}")));
    let mut candidates = std::iter::once(folder.join(date)).chain(numbered);
    candidates
        .find(|candidate| !exists(candidate))
        .unwrap_or_else(|| folder.join(date))
}

/// How long a run took, as a sentence.
#[derive(Clone, Debug)]
pub struct Times {
    /// All of it.
    pub total: Duration,
    /// Each scenario's, in their order.
    pub scenarios: Vec<(&'static str, Duration)>,
}

impl fmt::Display for Times {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "The run took {:.0} s", self.total.as_secs_f64())?;
        for (number, (name, time)) in self.scenarios.iter().enumerate() {
            let before = if number == 0 { ":" } else { "," };
            write!(formatter, "{before} {name} {:.0}", time.as_secs_f64())?;
        }
        formatter.write_str(".")
    }
}

/// Whether results can be written to `directory`. One that was not there is not there afterwards.
///
/// # Errors
/// When it cannot be made.
pub fn try_directory(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    tempfile::tempfile_in(directory)
        .with_context(|| format!("cannot write to {}", directory.display()))?;
    // Not when there is something in it.
    let _ = fs::remove_dir(directory);
    Ok(())
}

/// Writes the reports of a run down; the text of its summary.
///
/// # Errors
/// When the files cannot be written.
pub fn write(directory: &Path, machine: &str, reports: &[Report], times: &Times) -> Result<String> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let mut charts = String::new();
    for report in reports {
        for file in chart::draw(report, directory)? {
            let _ = writeln!(charts, "![{file}]({file})\n");
        }
    }
    let summary = format!("{}\n{times}\n", summary(reports).trim_end());
    let with_charts = format!("{summary}\n{charts}");
    for (name, text) in [
        ("machine.toml", machine),
        ("raw.csv", &csv(reports)),
        ("summary.md", &with_charts),
    ] {
        let path = directory.join(name);
        fs::write(&path, format!("{}\n", text.trim_end()))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(summary)
}

fn csv(reports: &[Report]) -> String {
    let mut csv = "scenario,case,round,program,quantity,value,quiet\n".to_owned();
    for sample in reports.iter().flat_map(|report| report.samples.iter()) {
        let Sample {
            scenario,
            case,
            round,
            peer,
            quantity,
            value,
            quiet,
        } = sample;
        let case = field(case);
        let _ = writeln!(
            csv,
            "{scenario},{case},{round},{peer},{quantity},{value},{quiet}"
        );
    }
    csv
}

/// As RFC 4180 section 2 asks for: a case is the only field that is free text.
fn field(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

/// All sections in the order of the run, then the marks.
fn summary(reports: &[Report]) -> String {
    let mut text = "# Results\n\nMachine and versions: `machine.toml`. Every figure: `raw.csv`. \
                    Method and unfair cases: `docs/benchmarks.md`. Medians over the rounds; where \
                    two figures stand behind one, they are the least and the greatest.\n"
        .to_owned();
    for report in reports {
        let _ = write!(text, "\n{}", report.section());
    }
    text + "\n" + &verdicts(reports)
}

/// The figures to reach, and how much others used the machine.
pub fn verdicts(reports: &[Report]) -> String {
    let mut all = Samples::default();
    for report in reports {
        all.extend(report.samples.iter().cloned());
    }
    let names: Vec<_> = reports.iter().map(|report| report.outline.name).collect();
    let mut text = marks::section(&all, &names);
    let rounds = all
        .iter()
        .filter(|sample| sample.quantity.ends_with("others_share"));
    let (mut turns, mut noisy) = (0, 0);
    for sample in rounds {
        turns += 1;
        noisy += u32::from(!sample.quiet);
    }
    if noisy > 0 {
        let _ = writeln!(
            text,
            "\n{noisy} of {turns} turns were in rounds during which others used the machine. They \
             are left out where a case has quiet rounds; where it has none, its figures are those \
             of a busy machine (`raw.csv`, column `quiet`)."
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::{Times, directory, field, write};
    use crate::report::{Column, Outline, Report};

    const COLUMNS: &[Column] = &[Column::median("rss", "RSS", 0)];

    #[test]
    fn results_do_not_replace_each_other() {
        let check = |existing: &[&str], expected: &str| {
            let exists = |path: &Path| existing.iter().any(|name| path.ends_with(name));
            let expected = Path::new("bench/results").join(expected);
            assert_eq!(directory("2026-01-31", exists), expected);
        };
        check(&[], "2026-01-31");
        check(&["2026-01-31"], "2026-01-31-2");
        check(&["2026-01-31", "2026-01-31-2"], "2026-01-31-3");
    }

    #[test]
    fn fields() {
        for (text, expected) in [
            ("1000 routes", "1000 routes"),
            ("at once, small", "\"at once, small\""),
            ("\"small\"", "\"\"\"small\"\"\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn a_run_leaves_four_kinds_of_file() {
        let mut report = Report::new(Outline {
            name: "idle",
            title: "memory",
            about: "About.",
            columns: COLUMNS,
            charts: &["rss"],
        });
        report.push("1000", "ringmain", "rss", 7.0);
        let folder = tempfile::tempdir().unwrap();
        let times = Times {
            total: Duration::from_millis(61_400),
            scenarios: vec![("idle", Duration::from_secs(61))],
        };
        write(folder.path(), "host = \"a\"\n", &[report], &times).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("machine.toml"), "host = \"a\"\n");
        assert!(read("raw.csv").ends_with("idle,1000,1,ringmain,rss,7,true\n"));
        let summary = read("summary.md");
        assert!(summary.contains("| 1000 | ringmain | 7   |"), "{summary}");
        assert!(summary.contains("## Figures to reach"), "{summary}");
        assert!(
            summary.contains("\nThe run took 61 s: idle 61.\n"),
            "{summary}"
        );
        assert!(summary.contains("(idle-rss.svg)"), "{summary}");
        assert!(read("idle-rss.svg").contains("</svg>"));
    }
}
