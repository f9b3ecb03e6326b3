//! What is demanded of a run, and whether it was held: the flags `--max-...` and `--min-rate`.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    number,
    summary::{Latency, Summary},
};

/// One demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// A latency that must not be exceeded.
    Latency(Figure, Duration),
    /// Failed requests that are tolerated, as a count.
    Errors(u64),
    /// Failed requests that are tolerated, as a share of all from 0 to 1.
    ErrorShare(f64),
    /// Complete answers per second that are needed.
    Rate(f64),
}

/// Which of the latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Arithmetic mean.
    Mean,
    /// 50 %.
    P50,
    /// 90 %.
    P90,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
    /// The greatest.
    Max,
}

impl Figure {
    fn of(self, latency: &Latency) -> f64 {
        match self {
            Self::Mean => latency.mean,
            Self::P50 => latency.p50 as f64,
            Self::P90 => latency.p90 as f64,
            Self::P99 => latency.p99 as f64,
            Self::P999 => latency.p999 as f64,
            Self::Max => latency.max as f64,
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Mean => "max-mean",
            Self::P50 => "max-p50",
            Self::P90 => "max-p90",
            Self::P99 => "max-p99",
            Self::P999 => "max-p999",
            Self::Max => "max-latency",
        }
    }
}

/// A demand and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the flag that demanded it.
    pub objective: String,
    /// What the limit and the figure are counted in.
    pub unit: Unit,
    /// What was demanded.
    pub limit: f64,
    /// What was measured; `None` when nothing was answered.
    pub measured: Option<f64>,
    /// Whether it was held. What was not measured was not held.
    pub held: bool,
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds.
    Us,
    /// Requests.
    Requests,
    /// A part of all requests, from 0 to 1.
    Share,
    /// Answers per second.
    PerSecond,
}

impl Unit {
    fn write(self, number: f64) -> String {
        match self {
            Self::Us => number::micros(number),
            Self::Requests => format!("{number:.0}"),
            Self::Share => number::share(number),
            // Not rounded to where a missed limit would look held.
            Self::PerSecond if number.fract() == 0.0 => format!("{number:.0}/s"),
            Self::PerSecond => format!("{number:.1}/s"),
        }
    }
}

impl Objective {
    /// Whether `summary` holds it.
    pub fn judge(self, summary: &Summary) -> Verdict {
        let (objective, unit, limit, measured) = match self {
            Self::Latency(figure, limit) => (
                figure.flag(),
                Unit::Us,
                limit.as_secs_f64() * 1e6,
                summary
                    .latency_us
                    .as_ref()
                    .map(|latency| figure.of(latency)),
            ),
            Self::Errors(limit) => (
                "max-errors",
                Unit::Requests,
                limit as f64,
                Some(summary.failed as f64),
            ),
            Self::ErrorShare(limit) => (
                "max-errors",
                Unit::Share,
                limit,
                (summary.requests > 0).then(|| summary.failed_share()),
            ),
            Self::Rate(limit) => ("min-rate", Unit::PerSecond, limit, Some(summary.rate)),
        };
        let held = measured.is_some_and(|measured| match self {
            Self::Rate(_) => measured >= limit,
            Self::Latency(..) | Self::Errors(_) | Self::ErrorShare(_) => measured <= limit,
        });
        Verdict {
            objective: objective.to_owned(),
            unit,
            limit,
            measured,
            held,
        }
    }
}

impl Verdict {
    /// The figure as measured, for people.
    pub fn measured_text(&self) -> String {
        match self.measured {
            Some(measured) => self.unit.write(measured),
            None => "nothing was answered".to_owned(),
        }
    }
}

/// `--max-p99 5.00ms`, as on the command line.
impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "--{} {}",
            self.objective,
            self.unit.write(self.limit)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{super::summary::tests::summary, *};

    #[test]
    fn verdicts() {
        // The summary has p50 800us, p99 5.2ms, 12 failed of 60000, 1998.6 answers per second.
        let millis = Duration::from_millis;
        let cases = [
            (Objective::Latency(Figure::P50, millis(1)), true, "800us"),
            (Objective::Latency(Figure::P99, millis(5)), false, "5.20ms"),
            (
                Objective::Latency(Figure::P99, Duration::from_micros(5200)),
                true,
                "5.20ms",
            ),
            (Objective::Latency(Figure::Mean, millis(2)), true, "1.02ms"),
            (Objective::Latency(Figure::P90, millis(1)), false, "1.90ms"),
            (Objective::Latency(Figure::P999, millis(10)), true, "9.10ms"),
            (Objective::Latency(Figure::Max, millis(20)), false, "21.0ms"),
            (Objective::Errors(11), false, "12"),
            (Objective::Errors(12), true, "12"),
            (Objective::ErrorShare(0.0001), false, "0.0200%"),
            (Objective::ErrorShare(0.001), true, "0.0200%"),
            (Objective::Rate(2000.0), false, "1998.6/s"),
            (Objective::Rate(1990.0), true, "1998.6/s"),
        ];
        for (objective, held, measured) in cases {
            let verdict = objective.judge(&summary());
            assert_eq!(
                (verdict.held, verdict.measured_text().as_str()),
                (held, measured),
                "{verdict}"
            );
        }
    }

    #[test]
    fn what_was_not_measured_is_not_held() {
        let mut nothing = summary();
        nothing.latency_us = None;
        nothing.requests = 0;
        nothing.failed = 0;
        let limit = Duration::from_secs(1);
        for objective in [
            Objective::Latency(Figure::P99, limit),
            Objective::ErrorShare(1.0),
        ] {
            let verdict = objective.judge(&nothing);
            assert!(!verdict.held, "{verdict}");
            assert_eq!(verdict.measured_text(), "nothing was answered");
        }
        assert!(Objective::Errors(0).judge(&nothing).held);
    }

    #[test]
    fn verdicts_read_as_flags() {
        let limit = Duration::from_micros(5000);
        let verdict = Objective::Latency(Figure::P99, limit).judge(&summary());
        assert_eq!(verdict.to_string(), "--max-p99 5.00ms");
        let verdict = Objective::Errors(0).judge(&summary());
        assert_eq!(verdict.to_string(), "--max-errors 0");
        let verdict = Objective::ErrorShare(0.001).judge(&summary());
        assert_eq!(verdict.to_string(), "--max-errors 0.100%");
    }
}
