//! What callgrind wrote: the sum, and the functions that changed.

use std::{collections::HashMap, ffi::OsStr, path::Path};

use anyhow::{Result, ensure};

use crate::{process::Program, report::markdown};

/// Rows of the table.
const FUNCTIONS_SHOWN: usize = 25;

/// Instructions by function.
type Profile = HashMap<String, u64>;

/// The instructions of a whole run: the last line `totals:` of callgrind's file.
pub(super) fn total(file: &str) -> Option<u64> {
    let mut lines = file.lines().rev();
    lines
        .find_map(|line| line.strip_prefix("totals:"))?
        .trim()
        .parse()
        .ok()
}

/// The functions with the most instructions per request, as a table.
pub(super) fn table(few: &Path, many: &Path, requests: f64) -> Result<String> {
    let (before, after) = (annotate(few)?, annotate(many)?);
    let mut functions: Vec<(&str, f64)> = after
        .iter()
        .map(|(name, count)| {
            let grown = *count as f64 - before.get(name).copied().unwrap_or(0) as f64;
            (&**name, grown / requests)
        })
        .collect();
    functions.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let mut rows = vec![vec!["instructions".to_owned(), "function".to_owned()]];
    let shown = functions.iter().take(FUNCTIONS_SHOWN);
    rows.extend(shown.map(|(name, count)| vec![format!("{count:.0}"), format!("`{name}`")]));
    Ok(markdown(&rows))
}

fn annotate(file: &Path) -> Result<Profile> {
    let program = Path::new("callgrind_annotate");
    let text = Program::on_cores("0", &[], program, "callgrind_annotate")
        .args([
            OsStr::new("--threshold=100"),
            OsStr::new("--auto=no"),
            file.as_os_str(),
        ])
        .output()?;
    let profile = parse(&text);
    ensure!(
        !profile.is_empty(),
        "callgrind_annotate listed no function: {text}"
    );
    Ok(profile)
}

/// Lines as `1,234 (5.67%)  file.rs:function [object]`.
fn parse(text: &str) -> Profile {
    let mut profile = Profile::new();
    for line in text.lines() {
        if let Some((count, name)) = parse_line(line) {
            *profile.entry(name).or_default() += count;
        }
    }
    profile
}

fn parse_line(line: &str) -> Option<(u64, String)> {
    let (count, rest) = line.trim_start().split_once(' ')?;
    let count = count.replace(',', "").parse().ok()?;
    let (_, name) = rest.split_once(')')?;
    let name = name.trim().split(" [").next()?;
    if name == "PROGRAM TOTALS" {
        return None;
    }
    // The file is part of an inlined function's name for callgrind; its folder says nothing.
    let (file, function) = name.split_once(':').unwrap_or(("", name));
    let file = file.rsplit('/').next().unwrap_or_default();
    Some((count, format!("{file}:{function}")))
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_line, total};

    #[test]
    fn reads_annotations() {
        let check = |line: &str, expected: Option<(u64, &str)>| {
            let expected = expected.map(|(count, name)| (count, name.to_owned()));
            assert_eq!(parse_line(line), expected, "{line}");
        };
        check(
            "1,234 ( 5.67%)  /a/b/worker.rs:ringmain::worker::turn [/x/ringmain]",
            Some((1234, "worker.rs:ringmain::worker::turn")),
        );
        check(
            "12 (0.01%)  ???:memcpy [/lib/libc.so]",
            Some((12, "???:memcpy")),
        );
        check("99,999 (100.0%)  PROGRAM TOTALS", None);
        check("Ir                  file:function", None);
        check("-----------------", None);
        let both = parse("2 (1%) a.rs:f [x]\n3 (1%) /b/a.rs:f [y]\n");
        assert_eq!(both.get("a.rs:f"), Some(&5));
    }

    #[test]
    fn reads_the_total() {
        assert_eq!(total("events: Ir\nfn=(1)\n3 5\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("events: Ir\n"), None);
    }
}
