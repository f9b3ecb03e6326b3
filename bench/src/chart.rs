//! Charts of medians with least and greatest, one SVG file for each quantity that a scenario draws.

use std::{fs, path::Path};

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::{report::Column, report::Report, statistics::Spread};

const WIDTH: u32 = 860;
/// Of a bar and the space below it.
const ROW: u32 = 26;
const LABELS: u32 = 210;
const PALETTE: [(&str, RGBColor); 4] = [
    ("ringmain", RGBColor(200, 62, 36)),
    ("haproxy", RGBColor(58, 99, 168)),
    ("nginx", RGBColor(64, 138, 79)),
    ("envoy", RGBColor(150, 91, 165)),
];

/// A bar.
struct Bar {
    label: String,
    color: RGBColor,
    spread: Spread,
}

/// Draws what `report` wants to be drawn into `directory`; the names of the files.
///
/// # Errors
/// When a file cannot be written.
pub fn draw(report: &Report, directory: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for column in report.outline.columns {
        let bars = bars(report, column);
        if !report.outline.charts.contains(&column.quantity) || bars.is_empty() {
            continue;
        }
        let name = format!("{}-{}.svg", report.outline.name, column.quantity);
        let title = format!("{}: {}", report.outline.name, column.header);
        let svg = svg(&title, &bars, column.digits).map_err(|error| anyhow!("{name}: {error}"))?;
        fs::write(directory.join(&name), svg)?;
        files.push(name);
    }
    Ok(files)
}

fn bars(report: &Report, column: &Column) -> Vec<Bar> {
    let name = report.outline.name;
    let rows = report.samples.rows().into_iter();
    rows.filter_map(|(case, peer)| {
        let spread = report.samples.spread(name, case, peer, column.quantity)?;
        let known = PALETTE.iter().find(|(known, _)| *known == peer);
        Some(Bar {
            label: format!("{case}, {peer}"),
            color: known.map_or(RGBColor(110, 110, 110), |(_, color)| *color),
            spread: spread.divided_by(column.per),
        })
    })
    .collect()
}

fn svg(title: &str, bars: &[Bar], digits: usize) -> Result<String, Box<dyn std::error::Error>> {
    let mut text = String::new();
    let greatest = bars.iter().map(|bar| bar.spread.max).fold(0.0, f64::max);
    let scale = if greatest > 0.0 { greatest } else { 1.0 };
    let rows = u32::try_from(bars.len())?;
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, rows * ROW + 48)).into_drawing_area();
        area.fill(&WHITE)?;
        let heading = ("sans-serif", 17).into_font();
        area.draw(&Text::new(title.to_owned(), (12, 12), heading))?;
        let font = ("sans-serif", 13).into_font();
        // Room for the figure behind the longest bar.
        let room = f64::from(WIDTH - LABELS - 210);
        for (row, bar) in (0..).zip(bars) {
            let top = 44 + row * i32::try_from(ROW)?;
            let left = i32::try_from(LABELS)?;
            let at = |value: f64| left + (room * value / scale) as i32;
            let Spread { median, min, max } = bar.spread;
            area.draw(&Text::new(bar.label.clone(), (12, top + 2), font.clone()))?;
            let ends = [(left, top), (at(median), top + 16)];
            area.draw(&Rectangle::new(ends, bar.color.filled()))?;
            let whisker = vec![(at(min), top + 8), (at(max), top + 8)];
            area.draw(&PathElement::new(whisker, BLACK))?;
            for end in [min, max] {
                let tick = vec![(at(end), top + 5), (at(end), top + 11)];
                area.draw(&PathElement::new(tick, BLACK))?;
            }
            let figure = format!("{:.digits$}", bar.spread);
            area.draw(&Text::new(figure, (at(max) + 8, top + 2), font.clone()))?;
        }
        area.present()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::report::{Column, Outline, Report};

    const COLUMNS: &[Column] = &[
        Column::median("cpu", "CPU us", 1),
        Column::median("rate", "rate", 0),
        Column::median("none", "none", 0),
    ];

    #[test]
    fn draws_what_there_is() {
        let mut report = Report::new(Outline {
            name: "h1",
            title: "",
            about: "",
            columns: COLUMNS,
            charts: &["cpu", "none"],
        });
        report.push("100 B <", "ringmain", "cpu", 1.5);
        report.push("100 B <", "haproxy", "cpu", 0.0);
        report.push("100 B <", "haproxy", "rate", 9.0);
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(draw(&report, directory.path()).unwrap(), ["h1-cpu.svg"]);
        let svg = std::fs::read_to_string(directory.path().join("h1-cpu.svg")).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("</svg>"), "{svg}");
        assert!(svg.contains("100 B &lt;, ringmain"), "{svg}");
        assert!(svg.contains("1.5 (1.5 to 1.5)"), "{svg}");
    }
}
