//! What a scenario found, and its section of the summary.

use std::fmt::Write;

use crate::samples::{Sample, Samples};

/// How a scenario's samples are shown.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// The scenario's name on the command line.
    pub name: &'static str,
    /// What it measures, as a heading.
    pub title: &'static str,
    /// What was done, for readers of the table.
    pub about: &'static str,
    /// The columns after case and program.
    pub columns: &'static [Column],
    /// Columns that are drawn as well, by their quantities.
    pub charts: &'static [&'static str],
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// [`crate::samples::Sample::quantity`].
    pub quantity: &'static str,
    /// What stands above it.
    pub header: &'static str,
    /// Digits after the point.
    pub digits: usize,
    /// What is shown is the value divided by this.
    pub per: f64,
    /// Least and greatest are shown beside the median.
    pub spread: bool,
}

impl Column {
    /// The median alone.
    pub const fn median(quantity: &'static str, header: &'static str, digits: usize) -> Self {
        Self {
            quantity,
            header,
            digits,
            per: 1.0,
            spread: false,
        }
    }

    /// Median, least and greatest.
    pub const fn spread(quantity: &'static str, header: &'static str, digits: usize) -> Self {
        Self {
            spread: true,
            ..Self::median(quantity, header, digits)
        }
    }

    /// In a larger unit.
    pub const fn per(self, per: f64) -> Self {
        Self { per, ..self }
    }
}

/// What a scenario found.
#[derive(Clone, Debug)]
pub struct Report {
    /// How to show it.
    pub outline: Outline,
    /// Every figure of every round.
    pub samples: Samples,
    /// What a reader must know besides, such as who was not there.
    pub notes: Vec<String>,
    /// What may not happen and did: a request that was lost, a program that did not start.
    pub failures: Vec<String>,
}

impl Report {
    /// An empty one.
    pub fn new(outline: Outline) -> Self {
        Self {
            outline,
            samples: Samples::default(),
            notes: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Adds a figure that is no round's.
    pub fn push(&mut self, case: &str, peer: &'static str, quantity: &'static str, value: f64) {
        let scenario = self.outline.name;
        self.samples.push(scenario, case, peer, quantity, value);
    }

    /// Adds what a program's turn in a round showed: quantities and their values. `quiet`: others
    /// used little of the machine in the whole round ([`crate::bench::Bench::is_quiet`]).
    pub fn push_round(
        &mut self,
        case: &str,
        round: u32,
        peer: &'static str,
        quiet: bool,
        figures: impl IntoIterator<Item = (&'static str, f64)>,
    ) {
        let scenario = self.outline.name;
        let samples = figures.into_iter().map(|(quantity, value)| Sample {
            scenario,
            case: case.to_owned(),
            round,
            peer,
            quantity,
            value,
            quiet,
        });
        self.samples.extend(samples);
    }

    /// Its section of the summary, in Markdown that can be read as it is.
    pub fn section(&self) -> String {
        let Outline {
            name, title, about, ..
        } = self.outline;
        let mut text = format!("## {name}: {title}\n\n{about}\n\n{}", self.table());
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        for failure in &self.failures {
            let _ = writeln!(text, "\n**Failed:** {failure}");
        }
        text
    }

    fn table(&self) -> String {
        let columns = self.outline.columns;
        let headers = columns.iter().map(|column| column.header);
        let headers = ["case", "program"].into_iter().chain(headers);
        let mut rows = vec![headers.map(str::to_owned).collect::<Vec<_>>()];
        for (case, peer) in self.samples.rows() {
            let cells = columns.iter().map(|column| self.cell(case, peer, column));
            let row = [case.to_owned(), peer.to_owned()].into_iter().chain(cells);
            rows.push(row.collect());
        }
        markdown(&rows)
    }

    fn cell(&self, case: &str, peer: &str, column: &Column) -> String {
        let name = self.outline.name;
        let Some(spread) = self.samples.spread(name, case, peer, column.quantity) else {
            return "-".to_owned();
        };
        let (spread, digits) = (spread.divided_by(column.per), column.digits);
        if column.spread && spread.min < spread.max {
            format!("{spread:.digits$}")
        } else {
            format!("{:.digits$}", spread.median)
        }
    }
}

/// A table whose columns stand below each other in plain text too. The first row is its head.
pub fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "|{}", "-".repeat(width + 2));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Column, Outline, Report};

    const COLUMNS: &[Column] = &[
        Column::spread("cpu", "CPU us", 1),
        Column::median("rss", "RSS MiB", 2).per(1_048_576.0),
    ];

    #[test]
    fn a_section_has_every_row_and_says_who_is_missing() {
        let mut report = Report::new(Outline {
            name: "h1",
            title: "requests",
            about: "About.",
            columns: COLUMNS,
            charts: &[],
        });
        for (round, value) in [(1, 1.0), (2, 2.0), (3, 4.0)] {
            report.push_round("100 B", round, "ringmain", true, [("cpu", value)]);
        }
        report.push("100 B", "haproxy", "rss", 3_145_728.0);
        report.notes.push("envoy: not found".to_owned());
        report.failures.push("lost".to_owned());
        assert_eq!(
            report.section(),
            "## h1: requests\n\nAbout.\n\n\
             | case  | program  | CPU us           | RSS MiB |\n\
             |-------|----------|------------------|---------|\n\
             | 100 B | ringmain | 2.0 (1.0 to 4.0) | -       |\n\
             | 100 B | haproxy  | -                | 3.00    |\n\
             \nenvoy: not found\n\n**Failed:** lost\n"
        );
    }
}
