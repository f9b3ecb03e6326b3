//! The figures of a run inside a document: between two marks everything is replaced, so that a
//! document never shows figures that no run has measured.

use std::{fs, path::Path};

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- figures: written by `ringmain bench --document` -->";
const END: &str = "<!-- end of figures -->";

/// Whether figures can be put into `file`.
///
/// # Errors
/// When the file has no marks, or cannot be read or written.
pub fn look_at(file: &Path) -> Result<()> {
    let place = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?;
    replaced(&text, "").with_context(|| no_marks(file))?;
    let file = fs::OpenOptions::new().append(true).open(file);
    file.with_context(|| format!("cannot write {place}"))?;
    Ok(())
}

fn no_marks(file: &Path) -> String {
    format!("{} has no lines `{BEGIN}` and `{END}`", file.display())
}

/// Puts `summary` of the run whose results lie in `results` between the marks of `file`.
///
/// # Errors
/// When the file has no marks, or cannot be read or written.
pub fn write(file: &Path, summary: &str, machine: &str, results: &Path) -> Result<()> {
    let place = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?;
    let link = link(file, results);
    let figures = format!(
        "\nEvery figure and charts: [`{}`]({link}/summary.md).\n\n```toml\n{}\n```\n\n{}",
        results.display(),
        machine.trim_end(),
        lowered(summary)
    );
    let text = replaced(&text, &figures).with_context(|| no_marks(file))?;
    fs::write(file, text).with_context(|| format!("cannot write {place}"))
}

/// The way from `file`'s folder to `results`, both relative to the same folder.
fn link(file: &Path, results: &Path) -> String {
    let folders = file
        .parent()
        .map_or(0, |folder| folder.components().count());
    format!("{}{}", "../".repeat(folders), results.display())
}

/// The summary's sections one level further down, without its title and what is said of it.
fn lowered(summary: &str) -> String {
    let lines = summary.lines().skip_while(|line| !line.starts_with("## "));
    lines
        .map(|line| {
            let deeper = if line.starts_with("## ") { "#" } else { "" };
            format!("{deeper}{line}\n")
        })
        .collect()
}

fn replaced(text: &str, figures: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{BEGIN, END, link, write};

    #[test]
    fn figures_take_the_place_of_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("benchmarks.md");
        fs::write(&file, format!("# Text\n\n{BEGIN}\nold\n{END}\n\nMore.\n")).unwrap();
        let summary = "# Results\n\nAbout.\n\n## h1: requests\n\n| case |\n";
        for _ in 0..2 {
            write(&file, summary, "cores = \"2\"\n", Path::new("results")).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("# Text\n\n<!-- figures"), "{text}");
            assert!(
                text.ends_with(
                    "\n### h1: requests\n\n| case |\n\n<!-- end of figures -->\n\nMore.\n"
                ),
                "{text}"
            );
            assert!(text.contains("```toml\ncores = \"2\"\n```\n"), "{text}");
            assert!(!text.contains("old") && !text.contains("About"), "{text}");
        }
        fs::write(&file, "# No marks\n").unwrap();
        assert!(write(&file, summary, "", Path::new("results")).is_err());
    }

    #[test]
    fn links_lead_from_the_document() {
        let check = |file: &str, expected: &str| {
            let results = Path::new("bench/results/2026-01-31");
            assert_eq!(link(Path::new(file), results), expected);
        };
        check("docs/benchmarks.md", "../bench/results/2026-01-31");
        check("README.md", "bench/results/2026-01-31");
    }
}
