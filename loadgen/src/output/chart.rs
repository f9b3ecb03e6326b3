//! SVG plots of a run, to stand in a page.
//!
//! The colours below are names as much as colours: the page's style sheet replaces each by one that
//! suits a light or a dark background. Text is never taken from what was measured, so nothing here
//! needs to be escaped.

use std::ops::Range;

use plotters::{
    coord::{
        Shift,
        ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter},
    },
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use thiserror::Error;

pub(super) use plotters::style::RGBColor as Colour;

/// Text and axes.
pub(super) const INK: Colour = Colour(0x33, 0x33, 0x33);
/// Lines behind the curves.
pub(super) const GRID: Colour = Colour(0xdd, 0xdd, 0xdd);
/// The curve of a plot with one.
pub(super) const FIRST: Colour = Colour(0x1f, 0x6f, 0xb4);
/// The next one.
pub(super) const SECOND: Colour = Colour(0xd9, 0x63, 0x1e);
/// What went wrong.
pub(super) const BAD: Colour = Colour(0xc6, 0x28, 0x28);

/// In the plot's own units; the page scales it to its width.
const SIZE: (u32, u32) = (1600, 560);
const TEXT: i32 = 26;

/// Why a plot could not be drawn.
#[derive(Debug, Error)]
#[error("cannot draw the plot {title:?}: {reason}")]
pub struct ChartError {
    title: &'static str,
    reason: String,
}

/// A plot.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) across: Across,
    /// What is drawn upwards, with its unit.
    pub(super) upwards: String,
    pub(super) curves: Vec<Curve>,
}

/// What lies on the horizontal axis.
#[derive(Clone, Copy)]
pub(super) enum Across {
    /// Seconds from the begin of the measured part, up to this many.
    Time(f64),
    /// Shares of the answers up to 100 %, each nine as wide as the one before it.
    Nines(f64),
}

/// One line of a plot.
pub(super) struct Curve {
    /// `None` where the title says it.
    pub(super) name: Option<&'static str>,
    pub(super) colour: Colour,
    pub(super) points: Vec<(f64, f64)>,
}

impl Across {
    /// Where a share of the answers lies on an axis of nines.
    pub(super) fn nines(share: f64) -> f64 {
        -(1.0 - share).log10()
    }

    fn axis(self) -> Axis {
        match self {
            Self::Time(end) => Axis::of_numbers(end, 10),
            Self::Nines(end) => {
                // An axis needs a length.
                let end = end.max(1.0);
                let at = |(share, name): &(f64, &str)| (Self::nines(*share), format!("{name}%"));
                let ticks = NINES.iter().map(at);
                Axis {
                    end,
                    ticks: ticks.filter(|(at, _)| *at <= end + 1e-9).collect(),
                }
            }
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Time(_) => "seconds",
            Self::Nines(_) => "share of the answers that took no longer",
        }
    }
}

/// Shares that are marked on an axis of nines.
const NINES: [(f64, &str); 9] = [
    (0.0, "0"),
    (0.5, "50"),
    (0.9, "90"),
    (0.99, "99"),
    (0.999, "99.9"),
    (0.9999, "99.99"),
    (0.999_99, "99.999"),
    (0.999_999, "99.9999"),
    (0.999_999_9, "99.99999"),
];

impl Chart {
    /// Some curve rises above 0.
    pub(super) fn shows_something(&self) -> bool {
        let mut points = self.curves.iter().flat_map(|curve| &curve.points);
        points.any(|(_, value)| *value > 0.0)
    }

    /// An `<svg>` element.
    pub(super) fn svg(&self) -> Result<String, ChartError> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            self.draw(&area).map_err(|error| ChartError {
                title: self.title,
                reason: error.to_string(),
            })?;
        }
        Ok(svg)
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), Problem> {
        let text = |colour: &Colour| ("sans-serif", TEXT).into_font().color(colour);
        let vertical = Axis::of_numbers(self.top(), 5);
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .margin_right(60)
            .x_label_area_size(80)
            .y_label_area_size(130)
            .build_cartesian_2d(self.across.axis(), vertical)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(text(&INK))
            .axis_desc_style(text(&INK))
            .x_desc(self.across.title())
            .y_desc(self.upwards.as_str())
            .draw()?;
        for curve in &self.curves {
            let style = curve.colour.stroke_width(3);
            chart.draw_series(LineSeries::new(curve.points.iter().copied(), style))?;
        }
        self.legend(area, &text(&INK))?;
        area.present()
    }

    /// Names of the curves, in a row above the plot's right end.
    fn legend(&self, area: &Area<'_>, style: &TextStyle<'_>) -> Result<(), Problem> {
        let style = style.pos(Pos::new(HPos::Right, VPos::Center));
        let mut right = SIZE.0 as i32 - 60;
        for curve in self.curves.iter().rev() {
            let Some(name) = curve.name else { continue };
            area.draw_text(name, &style, (right, LEGEND_TOP))?;
            right -= LETTER * name.len() as i32 + 14;
            let line = [(right - 40, LEGEND_TOP), (right, LEGEND_TOP)];
            area.draw(&PathElement::new(line, curve.colour.stroke_width(5)))?;
            right -= 70;
        }
        Ok(())
    }

    /// Some room above the greatest value.
    fn top(&self) -> f64 {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let greatest = points.map(|(_, y)| *y).fold(0.0, f64::max);
        if greatest > 0.0 { greatest * 1.12 } else { 1.0 }
    }
}

const LEGEND_TOP: i32 = 20;
/// Width of a letter of the legend, rather too wide than too narrow.
const LETTER: i32 = 13;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Problem = DrawingAreaErrorKind<std::io::Error>;

/// From 0 to `end`, with marks where they are wanted.
struct Axis {
    end: f64,
    /// Place and text.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    fn of_numbers(end: f64, count: u32) -> Self {
        let ticks = steps(end, count).into_iter();
        Self {
            end: if end > 0.0 { end } else { 1.0 },
            ticks: ticks.map(|at| (at, plain(at))).collect(),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let length = f64::from(limit.1 - limit.0);
        limit.0 + (value / self.end * length).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        let wanted = !hint.weight().allow_light_points();
        let ticks = self.ticks.iter().filter(|_| wanted);
        ticks.map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.end
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        plain(*value)
    }

    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|(at, _)| at == value);
        tick.map_or_else(|| plain(*value), |(_, text)| text.clone())
    }
}

/// From 0 to `end` in at most `count` steps of 1, 2 or 5 times a power of ten.
fn steps(end: f64, count: u32) -> Vec<f64> {
    if end.is_nan() || end <= 0.0 {
        return vec![0.0];
    }
    let least = end / f64::from(count);
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power);
    (0..=count)
        .map(|index| f64::from(index) * step)
        .take_while(|at| *at <= end * (1.0 + 1e-9))
        .collect()
}

/// A tick's number: no more digits than it has.
fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() { "0" } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        for (end, count, expected) in [
            (30.0, 10, &[0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0][..]),
            (
                10.0,
                10,
                &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0],
            ),
            (0.9, 5, &[0.0, 0.2, 0.4, 0.6000000000000001, 0.8]),
            (23_456.0, 5, &[0.0, 5000.0, 10_000.0, 15_000.0, 20_000.0]),
            (0.0, 5, &[0.0]),
        ] {
            assert_eq!(steps(end, count), expected, "{end}");
        }
    }

    #[test]
    fn labels() {
        for (number, expected) in [(0.0, "0"), (0.6000000000000001, "0.6"), (20_000.0, "20000")] {
            assert_eq!(plain(number), expected);
        }
        let ticks = Across::Nines(5.0).axis().ticks;
        let labels: Vec<_> = ticks.into_iter().map(|(_, label)| label).collect();
        assert_eq!(
            labels,
            ["0%", "50%", "90%", "99%", "99.9%", "99.99%", "99.999%"]
        );
    }

    #[test]
    fn a_plot_shows_its_curve_and_its_ticks() {
        let chart = Chart {
            title: "rate",
            across: Across::Time(10.0),
            upwards: "answers per second".to_owned(),
            curves: vec![
                Curve {
                    name: Some("answered"),
                    colour: FIRST,
                    points: vec![(0.0, 100.0), (5.0, 120.0), (10.0, 90.0)],
                },
                Curve {
                    name: Some("asked for"),
                    colour: SECOND,
                    points: vec![(0.0, 100.0), (10.0, 100.0)],
                },
            ],
        };
        let svg = chart.svg().unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
        for part in [
            "#1F6FB4",
            "#D9631E",
            "answered",
            "asked for",
            "seconds",
            "\n100\n",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }

    /// Nothing to draw, and no extent in either direction.
    #[test]
    fn an_empty_plot_is_drawn() {
        for across in [Across::Time(0.0), Across::Nines(0.0)] {
            let chart = Chart {
                title: "nothing",
                across,
                upwards: "ms".to_owned(),
                curves: vec![Curve {
                    name: None,
                    colour: BAD,
                    points: Vec::new(),
                }],
            };
            assert!(chart.svg().unwrap().contains("</svg>"));
        }
    }
}
