//! Which plots a page shows of a run.

use hdrhistogram::Histogram;

use super::{
    chart::{self, Across, Chart, ChartError, Curve},
    summary::{Interval, Mode, Summary},
};

/// Titles and `<svg>` elements of the plots that have something to show.
pub(super) fn of(
    summary: &Summary,
    latency: &Histogram<u64>,
) -> Result<Vec<(&'static str, String)>, ChartError> {
    let mut charts = Vec::new();
    if !latency.is_empty() {
        charts.push(by_percentile(latency));
    }
    if !summary.intervals.is_empty() {
        if summary.mode == Mode::Stream {
            charts.push(bytes(summary));
        } else {
            charts.push(rate(summary));
            charts.push(over_time(summary));
            charts.push(errors(summary));
        }
    }
    let charts = charts.into_iter().filter(Chart::shows_something);
    charts
        .map(|chart| Ok((chart.title, chart.svg()?)))
        .collect()
}

/// Rules that replace the plots' colours by the page's variables.
pub(super) fn style() -> String {
    let names = [
        (chart::INK, "ink"),
        (chart::GRID, "grid"),
        (chart::FIRST, "first"),
        (chart::SECOND, "second"),
        (chart::BAD, "bad"),
    ];
    let rules = names.map(|(colour, name)| {
        let chart::Colour(red, green, blue) = colour;
        let code = format!("#{red:02X}{green:02X}{blue:02X}");
        format!(
            "svg [fill=\"{code}\"] {{ fill: var(--{name}); }}
svg [stroke=\"{code}\"] {{ stroke: var(--{name}); }}
"
        )
    });
    rules.concat()
}

/// As HdrHistogram plots it: every further nine is as wide as the one before.
fn by_percentile(latency: &Histogram<u64>) -> Chart {
    let unit = TimeUnit::for_up_to(latency.max());
    // Beyond it there is less than one answer.
    let end = (latency.len() as f64).log10();
    let steps = latency.iter_quantiles(STEPS_PER_HALF);
    let steps = steps.map(|step| (step.quantile_iterated_to(), step.value_iterated_to()));
    let mut points: Vec<_> = steps
        .filter(|(share, _)| *share < 1.0)
        .map(|(share, value)| (Across::nines(share), unit.of(value)))
        .filter(|(across, _)| *across <= end)
        .collect();
    points.push((end, unit.of(latency.max())));
    Chart {
        title: "Latency by percentile",
        across: Across::Nines(end),
        upwards: unit.name.to_owned(),
        curves: vec![Curve {
            name: None,
            colour: chart::FIRST,
            points,
        }],
    }
}

/// Points of the curve each time that the distance to 100 % halves.
const STEPS_PER_HALF: u32 = 20;

fn rate(summary: &Summary) -> Chart {
    let end = end(summary);
    // What was intended lies below what became of it.
    let intended = summary.intended_rate.map(|intended| Curve {
        name: Some("intended"),
        colour: chart::SECOND,
        points: vec![(0.0, intended), (end, intended)],
    });
    let mut curves = Vec::from_iter(intended);
    curves.push(curve(
        summary,
        "answered",
        chart::FIRST,
        Merge::Mean,
        |interval| Some(interval.rate),
    ));
    Chart {
        title: "Rate",
        across: Across::Time(end),
        upwards: "answers per second".to_owned(),
        curves,
    }
}

fn over_time(summary: &Summary) -> Chart {
    let values = summary.intervals.iter();
    let greatest = values
        .filter_map(|interval| interval.p99_us.max(interval.p50_us))
        .max();
    let unit = TimeUnit::for_up_to(greatest.unwrap_or_default());
    Chart {
        title: "Latency over time",
        across: Across::Time(end(summary)),
        upwards: unit.name.to_owned(),
        curves: vec![
            curve(summary, "p99", chart::SECOND, Merge::Greatest, |interval| {
                interval.p99_us.map(|micros| unit.of(micros))
            }),
            curve(summary, "p50", chart::FIRST, Merge::Greatest, |interval| {
                interval.p50_us.map(|micros| unit.of(micros))
            }),
        ],
    }
}

fn errors(summary: &Summary) -> Chart {
    let errors = |interval: &Interval| {
        (interval.length_s > 0.0).then(|| interval.errors as f64 / interval.length_s)
    };
    Chart {
        title: "Requests without a complete answer",
        across: Across::Time(end(summary)),
        upwards: "per second".to_owned(),
        curves: vec![Curve {
            name: None,
            ..curve(summary, "", chart::BAD, Merge::Mean, errors)
        }],
    }
}

fn bytes(summary: &Summary) -> Chart {
    let mebibytes = |count: u64, interval: &Interval| {
        (interval.length_s > 0.0).then(|| count as f64 / MEBIBYTE / interval.length_s)
    };
    Chart {
        title: "Bytes",
        across: Across::Time(end(summary)),
        upwards: "MiB per second".to_owned(),
        curves: vec![
            curve(summary, "received", chart::FIRST, Merge::Mean, |interval| {
                mebibytes(interval.bytes_in, interval)
            }),
            curve(summary, "sent", chart::SECOND, Merge::Mean, |interval| {
                mebibytes(interval.bytes_out, interval)
            }),
        ],
    }
}

const MEBIBYTE: f64 = 1_048_576.0;

/// A step for each interval, so that one by itself can be seen. In a long run several intervals
/// share a step, which `merge` makes of their values.
fn curve(
    summary: &Summary,
    name: &'static str,
    colour: chart::Colour,
    merge: Merge,
    value: impl Fn(&Interval) -> Option<f64>,
) -> Curve {
    let together = summary.intervals.len().div_ceil(STEPS_MAX).max(1);
    let steps = summary.intervals.chunks(together).filter_map(|intervals| {
        let (first, last) = (intervals.first()?, intervals.last()?);
        let values: Vec<f64> = intervals.iter().filter_map(&value).collect();
        let value = merge.of(&values)?;
        let end = last.start_s + last.length_s;
        Some([(first.start_s, value), (end, value)])
    });
    Curve {
        name: Some(name),
        colour,
        points: steps.flatten().collect(),
    }
}

/// More steps than this are narrower than the line.
const STEPS_MAX: usize = 600;

/// What becomes of the values of several intervals.
#[derive(Clone, Copy)]
enum Merge {
    Mean,
    Greatest,
}

impl Merge {
    fn of(self, values: &[f64]) -> Option<f64> {
        match self {
            Self::Mean => {
                let sum: f64 = values.iter().sum();
                (!values.is_empty()).then(|| sum / values.len() as f64)
            }
            Self::Greatest => values.iter().copied().max_by(f64::total_cmp),
        }
    }
}

fn end(summary: &Summary) -> f64 {
    let last = summary.intervals.last();
    last.map_or(0.0, |interval| interval.start_s + interval.length_s)
}

/// What an axis of times is counted in.
struct TimeUnit {
    name: &'static str,
    micros: f64,
}

impl TimeUnit {
    fn for_up_to(micros: u64) -> Self {
        let (name, unit) = match micros {
            0..1000 => ("microseconds", 1.0),
            1000..1_000_000 => ("milliseconds", 1e3),
            _ => ("seconds", 1e6),
        };
        Self { name, micros: unit }
    }

    fn of(&self, micros: u64) -> f64 {
        micros as f64 / self.micros
    }
}

#[cfg(test)]
mod tests {
    use super::{super::summary::tests::summary, *};

    #[test]
    fn units_of_time() {
        for (micros, name, value) in [
            (0, "microseconds", 0.0),
            (999, "microseconds", 999.0),
            (1500, "milliseconds", 1.5),
            (2_000_000, "seconds", 2.0),
        ] {
            let unit = TimeUnit::for_up_to(micros);
            assert_eq!((unit.name, unit.of(micros)), (name, value));
        }
    }

    #[test]
    fn long_runs_have_as_many_steps_as_can_be_seen() {
        let mut long = summary();
        let interval = long.intervals[0].clone();
        long.intervals = (0..5000)
            .map(|index| Interval {
                start_s: f64::from(index),
                rate: f64::from(index % 9),
                ..interval.clone()
            })
            .collect();
        for (merge, expected) in [(Merge::Mean, 4.0), (Merge::Greatest, 8.0)] {
            let curve = curve(&long, "", chart::FIRST, merge, |interval| {
                Some(interval.rate)
            });
            // Nine intervals make a step of two points.
            assert_eq!(curve.points.len(), 5000_usize.div_ceil(9) * 2);
            assert_eq!(curve.points[0], (0.0, expected));
            assert_eq!(curve.points[1], (9.0, expected));
            assert_eq!(curve.points.last().unwrap().0, 5000.0);
        }
    }

    #[test]
    fn what_has_nothing_to_show_is_left_out() {
        let latency = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        let titles = |summary: &Summary| -> Vec<_> {
            let plots = of(summary, &latency).unwrap();
            plots.into_iter().map(|(title, _)| title).collect()
        };
        let mut quiet = summary();
        assert_eq!(
            titles(&quiet),
            [
                "Rate",
                "Latency over time",
                "Requests without a complete answer"
            ]
        );
        quiet
            .intervals
            .iter_mut()
            .for_each(|interval| interval.errors = 0);
        assert_eq!(titles(&quiet), ["Rate", "Latency over time"]);
        quiet.mode = Mode::Stream;
        assert_eq!(titles(&quiet), ["Bytes"]);
    }
}
