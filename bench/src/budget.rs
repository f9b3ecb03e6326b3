//! Instructions that were recorded as what a request may cost.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

/// The recorded figures.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// A figure may be so much above its budget.
    pub tolerance_percent: f64,
    /// Of each case.
    pub instructions_per_request: BTreeMap<String, f64>,
}

/// How a figure stands to its budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// In words.
    pub text: String,
    /// It is above the budget and the tolerance.
    pub exceeded: bool,
}

impl Budget {
    /// Reads it.
    ///
    /// # Errors
    /// When there is no such file, or it is none.
    pub fn read(file: &Path) -> Result<Self> {
        let place = file.display();
        let text = fs::read_to_string(file).with_context(|| {
            format!(
                "cannot read {place}: run this in the repository, or name the file with --budget, \
                 or make it with --record"
            )
        })?;
        toml::from_str(&text).with_context(|| format!("{place} is no budget"))
    }

    /// What is to be said of a figure.
    pub fn judge(&self, case: &str, figure: f64) -> Standing {
        let Some(&budget) = self.instructions_per_request.get(case) else {
            let text = format!("{case}: {figure:.0}, without a budget; record one with --record");
            return Standing {
                text,
                exceeded: true,
            };
        };
        let percent = 100.0 * (figure - budget) / budget;
        let tolerance = self.tolerance_percent;
        let exceeded = percent > tolerance;
        let verdict = if exceeded {
            "more than it may be: make it less, or record it with --record and say why"
        } else if percent < -tolerance {
            "less than recorded: record it with --record"
        } else {
            "within the tolerance"
        };
        let text = format!(
            "{case}: {figure:.0} of {budget:.0} ({percent:+.1} %, tolerance {tolerance} %): \
             {verdict}"
        );
        Standing { text, exceeded }
    }

    /// Writes figures down as the budget, with the tolerance of the file that was there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(file: &Path, figures: &[(String, f64)]) -> Result<()> {
        let tolerance = Self::read(file).map_or(TOLERANCE_PERCENT, |old| old.tolerance_percent);
        let mut text = format!(
            "# Instructions of `ringmain proxy` outside the kernel for a request, by valgrind's \
             callgrind,\n\
             # of a build with the profile `ci`. `ringmain bench instructions --check` compares \
             with them;\n\
             # `--record` writes them anew. A figure that grows on purpose is recorded in the \
             commit that\n\
             # makes it grow, which says why.\n\
             tolerance_percent = {tolerance:?}\n\n[instructions_per_request]\n"
        );
        for (case, figure) in figures {
            let _ = writeln!(text, "{case:?} = {figure:.0}");
        }
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Above what two runs of one build differ by.
const TOLERANCE_PERCENT: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn only_more_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("instructions.toml");
        assert!(Budget::read(&file).is_err());
        Budget::record(&file, &[("100 B".to_owned(), 10_000.4)]).unwrap();
        let budget = Budget::read(&file).unwrap();
        let check = |figure: f64, exceeded: bool, part: &str| {
            let standing = budget.judge("100 B", figure);
            assert_eq!(standing.exceeded, exceeded, "{}", standing.text);
            assert!(standing.text.contains(part), "{}", standing.text);
        };
        check(10_301.0, true, "+3.0 %, tolerance 3 %): more");
        check(10_300.0, false, "within");
        check(10_000.0, false, "+0.0 %");
        check(9_699.0, false, "less than recorded");
        assert!(budget.judge("1 KiB", 1.0).exceeded);
        std::fs::write(&file, "tolerance_percent = 1\n").unwrap();
        assert!(Budget::read(&file).is_err());
    }
}
