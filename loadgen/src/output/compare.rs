//! Two runs side by side: what changed, and whether it may be believed.

use std::fmt::Write;

use serde::Serialize;

use super::{
    number,
    significance::{self, Finding, INTERVALS_MIN},
    summary::{Interval, Latency, Mode, Summary},
    table,
};

/// What became of each figure from one run to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The run that is compared with.
    pub before: Run,
    /// The run that is judged.
    pub after: Run,
    /// Why the two should not be compared, or not without care.
    pub warnings: Vec<String>,
    /// In the order of the table.
    pub figures: Vec<Change>,
}

/// Which run it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Where its result was read.
    pub file: String,
    /// [`Summary::started`].
    pub started: String,
    /// [`Summary::program`].
    pub program: String,
}

/// What became of one figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Its name, as in the table.
    pub figure: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// In the first run; `None` when it was not measured.
    pub before: Option<f64>,
    /// In the second run.
    pub after: Option<f64>,
    /// (after - before) / before; `None` when there is no such number.
    pub change: Option<f64>,
    /// What to think of it.
    pub verdict: Verdict,
    /// Why it was not judged.
    pub reason: Option<&'static str>,
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Per second; more is better.
    PerSecond,
    /// Bytes per second; more is better.
    BytesPerSecond,
    /// A part of all requests; less is better.
    Share,
    /// Microseconds; less is better.
    Us,
}

/// What to think of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The runs differ by more than they vary within themselves, for the better.
    Better,
    /// The same, for the worse.
    Worse,
    /// The runs vary as much within themselves.
    WithinNoise,
    /// Nothing can be said.
    NotJudged,
}

impl Comparison {
    /// Of two runs, each with the name of its file.
    pub fn new(before: (&str, &Summary), after: (&str, &Summary)) -> Self {
        let (old, new) = (before.1, after.1);
        let figures = if old.mode == Mode::Stream {
            vec![RECEIVED.compare(old, new), SENT.compare(old, new)]
        } else {
            let first = [RATE.compare(old, new), of_failures(old, new)];
            let latencies = FIGURES.iter().map(|figure| figure.compare(old, new));
            first.into_iter().chain(latencies).collect()
        };
        Self {
            before: Run::of(before),
            after: Run::of(after),
            warnings: warnings(old, new),
            figures,
        }
    }

    /// As a table for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, run) in [("A", &self.before), ("B", &self.after)] {
            let Run {
                file,
                started,
                program,
            } = run;
            let _ = writeln!(text, "{name}  {file}, {started}, {program}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "\nWARNING: {warning}");
        }
        let rows: Vec<_> = self.figures.iter().map(Change::row).collect();
        let header = ["FIGURE", "A", "B", "CHANGE", "VERDICT"].map(str::to_owned);
        let _ = write!(text, "\n{}", table::text(&header, &rows));
        text.push_str(CAVEAT);
        text
    }
}

const CAVEAT: &str = "
better, worse: the runs differ by more than their intervals vary (rank test, 1 % level).
One run of each cannot tell a change from another mood of the machine: run both again, in turns.
";

impl Run {
    fn of((file, summary): (&str, &Summary)) -> Self {
        Self {
            file: file.to_owned(),
            started: summary.started.clone(),
            program: summary.program.clone(),
        }
    }
}

impl Change {
    fn new(figure: &'static str, unit: Unit, values: [Option<f64>; 2], finding: Judged) -> Self {
        let [before, after] = values;
        let change = match (before, after) {
            (Some(before), Some(after)) if before != 0.0 => Some((after - before) / before),
            _ => None,
        };
        let (verdict, reason) = match finding {
            Ok(Finding::Differs) => (direction(unit, before, after), None),
            Ok(Finding::Noise) => (Verdict::WithinNoise, None),
            Ok(Finding::TooLittle) => (Verdict::NotJudged, Some("too little was measured")),
            Err(reason) => (Verdict::NotJudged, Some(reason)),
        };
        Self {
            figure,
            unit,
            before,
            after,
            change,
            verdict,
            reason,
        }
    }

    fn row(&self) -> Vec<String> {
        let value = |value: Option<f64>| match (value, self.unit) {
            (None, _) => "-".to_owned(),
            (Some(value), Unit::PerSecond) => format!("{}/s", number::rate(value)),
            (Some(value), Unit::BytesPerSecond) => format!("{}/s", number::bytes(value)),
            (Some(value), Unit::Share) => number::share(value),
            (Some(value), Unit::Us) => number::micros(value),
        };
        let change = match self.change {
            Some(change) => format!("{:+.1}%", change * 100.0),
            None if self.before == self.after => "0".to_owned(),
            None => "-".to_owned(),
        };
        let verdict = match (self.verdict, self.reason) {
            (Verdict::Better, _) => "better".to_owned(),
            (Verdict::Worse, _) => "WORSE".to_owned(),
            (Verdict::WithinNoise, _) => "within noise".to_owned(),
            (Verdict::NotJudged, reason) => {
                format!("not judged: {}", reason.unwrap_or("no reason"))
            }
        };
        vec![
            self.figure.to_owned(),
            value(self.before),
            value(self.after),
            change,
            verdict,
        ]
    }
}

/// A finding, or why none was sought.
type Judged = Result<Finding, &'static str>;

fn direction(unit: Unit, before: Option<f64>, after: Option<f64>) -> Verdict {
    let grew = after > before;
    let good = match unit {
        Unit::PerSecond | Unit::BytesPerSecond => grew,
        Unit::Share | Unit::Us => !grew,
    };
    if good {
        Verdict::Better
    } else {
        Verdict::Worse
    }
}

/// Something that goes on at a speed.
struct Speed {
    name: &'static str,
    unit: Unit,
    of: fn(&Summary) -> f64,
    by_interval: fn(&Interval) -> f64,
}

const RATE: Speed = Speed {
    name: "rate",
    unit: Unit::PerSecond,
    of: |summary| summary.rate,
    by_interval: |interval| interval.rate,
};

const RECEIVED: Speed = Speed {
    name: "received",
    unit: Unit::BytesPerSecond,
    of: |summary| summary.bytes_in as f64 / summary.duration_s.max(INSTANT_S),
    by_interval: |interval| interval.bytes_in as f64 / interval.length_s.max(INSTANT_S),
};

const SENT: Speed = Speed {
    name: "sent",
    unit: Unit::BytesPerSecond,
    of: |summary| summary.bytes_out as f64 / summary.duration_s.max(INSTANT_S),
    by_interval: |interval| interval.bytes_out as f64 / interval.length_s.max(INSTANT_S),
};

/// The least time that the format expresses.
const INSTANT_S: f64 = 0.001;

impl Speed {
    fn compare(&self, old: &Summary, new: &Summary) -> Change {
        let row = |summary| whole(summary).map(self.by_interval).collect::<Vec<_>>();
        let finding = significance::rows(&row(old), &row(new));
        let values = [old, new].map(|summary| Some((self.of)(summary)));
        Change::new(self.name, self.unit, values, Ok(finding))
    }
}

fn of_failures(old: &Summary, new: &Summary) -> Change {
    let counts = |summary: &Summary| (summary.failed, summary.requests);
    let finding = significance::shares(counts(old), counts(new));
    let share = |summary: &Summary| (summary.requests > 0).then(|| summary.failed_share());
    let values = [share(old), share(new)];
    Change::new("failed", Unit::Share, values, Ok(finding))
}

/// Seconds of full length: the last one may hold only what came late.
fn whole(summary: &Summary) -> impl Iterator<Item = &Interval> {
    let intervals = summary.intervals.iter();
    intervals.filter(|interval| interval.length_s >= 0.9)
}

/// A latency that is compared.
struct LatencyFigure {
    name: &'static str,
    of: fn(&Latency) -> f64,
    /// `None` for figures that are known of the whole run only.
    by_interval: Option<ByInterval>,
}

/// What a figure is in one interval, and the share of the answers beyond it.
type ByInterval = (fn(&Interval) -> Option<u64>, f64);

const FIGURES: [LatencyFigure; 9] = [
    LatencyFigure::of_run("min", |latency| latency.min as f64),
    LatencyFigure::of_run("mean", |latency| latency.mean),
    LatencyFigure {
        name: "p50",
        of: |latency| latency.p50 as f64,
        by_interval: Some((|interval| interval.p50_us, 0.5)),
    },
    LatencyFigure::of_run("p75", |latency| latency.p75 as f64),
    LatencyFigure {
        name: "p90",
        of: |latency| latency.p90 as f64,
        by_interval: Some((|interval| interval.p90_us, 0.1)),
    },
    LatencyFigure {
        name: "p99",
        of: |latency| latency.p99 as f64,
        by_interval: Some((|interval| interval.p99_us, 0.01)),
    },
    LatencyFigure::of_run("p99.9", |latency| latency.p999 as f64),
    LatencyFigure::of_run("p99.99", |latency| latency.p9999 as f64),
    LatencyFigure::of_run("max", |latency| latency.max as f64),
];

impl LatencyFigure {
    const fn of_run(name: &'static str, of: fn(&Latency) -> f64) -> Self {
        Self {
            name,
            of,
            by_interval: None,
        }
    }

    fn compare(&self, old: &Summary, new: &Summary) -> Change {
        let of = |summary: &Summary| summary.latency_us.as_ref().map(self.of);
        Change::new(
            self.name,
            Unit::Us,
            [of(old), of(new)],
            self.judge(old, new),
        )
    }

    fn judge(&self, old: &Summary, new: &Summary) -> Judged {
        let (of, beyond) = self.by_interval.ok_or("one number of each run")?;
        let row = |summary| {
            let intervals: Vec<&Interval> = whole(summary).collect();
            if intervals.len() < INTERVALS_MIN {
                return Err("too few seconds, run for longer");
            }
            let requests: u64 = intervals.iter().map(|interval| interval.requests).sum();
            if requests as f64 / intervals.len() as f64 * beyond < BEYOND_MIN {
                return Err("too few answers beyond it in each second");
            }
            let values = intervals.into_iter().filter_map(of);
            Ok(values.map(|micros| micros as f64).collect::<Vec<_>>())
        };
        Ok(significance::rows(&row(old)?, &row(new)?))
    }
}

/// An interval's percentile that fewer answers exceed is an accident.
const BEYOND_MIN: f64 = 5.0;

/// What makes the figures of two runs incomparable, or one of them worthless.
fn warnings(old: &Summary, new: &Summary) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, run) in [("A", old), ("B", new)] {
        if run.generator.bottleneck {
            warnings.push(format!(
                "in {name} the generator was the bottleneck, its figures \
                 describe the generator: {}",
                run.generator
                    .reason
                    .as_deref()
                    .unwrap_or("it does not say why")
            ));
        }
        if run.interrupted {
            warnings.push(format!("{name} was interrupted"));
        }
    }
    let mut differs = |what: &str, values: [String; 2]| {
        let [old, new] = values;
        if old != new {
            warnings.push(format!("the runs differ in {what}: A {old}, B {new}"));
        }
    };
    differs("pace", [pace(old), pace(new)]);
    differs("protocol", [old.protocol.clone(), new.protocol.clone()]);
    differs("what is requested", [targets(old), targets(new)]);
    differs("connections", [connections(old), connections(new)]);
    differs(
        "workers",
        [old.workers.to_string(), new.workers.to_string()],
    );
    let lengths = [old.duration_s, new.duration_s];
    if (lengths[0] - lengths[1]).abs() > 0.1 * lengths[0].max(lengths[1]) {
        differs("length", lengths.map(number::seconds));
    }
    warnings
}

fn pace(summary: &Summary) -> String {
    match (summary.mode, summary.intended_rate) {
        (Mode::Open, rate) => format!(
            "open loop, {}/s {}",
            number::rate(rate.unwrap_or_default()),
            summary.arrivals.as_deref().unwrap_or("constant")
        ),
        (Mode::Closed, _) => "closed loop".to_owned(),
        (Mode::Stream, _) => "streams".to_owned(),
    }
}

fn connections(summary: &Summary) -> String {
    let each = if summary.connect_per_request {
        ", one per request"
    } else {
        ""
    };
    format!(
        "{} of {} streams{each}",
        summary.connections, summary.streams
    )
}

fn targets(summary: &Summary) -> String {
    let targets = summary.targets.iter().map(|target| {
        let method = target.method.as_deref().unwrap_or("send");
        let (url, bytes, weight) = (&target.url, target.body_bytes, target.weight);
        format!("{weight} x {method} {url} with {bytes} bytes")
    });
    targets.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
