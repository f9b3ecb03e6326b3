//! The figures to reach, all of them, and how far they are reached.

use crate::{
    report::markdown,
    samples::Samples,
    scenario::{CLOSED, FULL, H1_TO_H1},
};

/// One figure to reach.
struct Mark {
    /// Where it is measured.
    scenario: &'static str,
    /// What it is of.
    what: &'static str,
    /// The most it may be; of a deviation, in either direction.
    at_most: f64,
    /// After a figure: a unit, or what it is a multiple of.
    unit: &'static str,
    /// Digits after the point.
    digits: usize,
    /// It is above or below something, and its sign says which.
    is_deviation: bool,
    /// What was measured.
    figure: fn(&Samples) -> Option<f64>,
}

const MARKS: [Mark; 26] = [
    Mark {
        scenario: "h1",
        what: "h1: CPU per request, 100 B, 64 connections",
        at_most: 0.70,
        unit: "x haproxy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h1", "100 B", CPU), "haproxy"),
    },
    Mark {
        scenario: "h1",
        what: "h1: CPU per request, 100 B, 64 connections",
        at_most: 0.20,
        unit: "x envoy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h1", "100 B", CPU), "envoy"),
    },
    Mark {
        scenario: "h1-routes",
        what: "h1-routes: CPU per request",
        at_most: 1.05,
        unit: "x one route",
        digits: 2,
        is_deviation: false,
        figure: |samples| {
            let with = samples.median("h1-routes", "1000 routes", "ringmain", CPU)?;
            Some(with / samples.median("h1-routes", "1000 routes", "one route", CPU)?)
        },
    },
    Mark {
        scenario: "h1-connect",
        what: "h1-connect: CPU per request",
        at_most: 0.80,
        unit: "x haproxy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h1-connect", "100 B", CPU), "haproxy"),
    },
    Mark {
        scenario: "h1",
        what: "h1: CPU per KiB of 64 KiB answers",
        at_most: 0.80,
        unit: "x haproxy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h1", "64 KiB", CPU), "haproxy"),
    },
    Mark {
        scenario: "h2",
        what: "h2: CPU per request, 8 connections of 100 streams",
        at_most: 0.85,
        unit: "x haproxy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h2", "100 B", CPU), "haproxy"),
    },
    Mark {
        scenario: "h2",
        what: "h2: CPU per request, 8 connections of 100 streams",
        at_most: 0.35,
        unit: "x envoy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h2", "100 B", CPU), "envoy"),
    },
    Mark {
        scenario: "h1-to-h2",
        what: "h1-to-h2: CPU per request, 256 connections",
        at_most: 0.90,
        unit: "x h1 to h1",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h1-to-h2", "100 B", CPU), H1_TO_H1),
    },
    Mark {
        scenario: "grpc",
        what: "grpc: CPU per unary call",
        at_most: 0.35,
        unit: "x envoy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("grpc", "unary", CPU), "envoy"),
    },
    Mark {
        scenario: "tcp",
        what: "tcp: CPU per KiB, from the client",
        at_most: 0.85,
        unit: "x envoy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("tcp", "stream up", "cpu_ns_per_kib"), "envoy"),
    },
    Mark {
        scenario: "tcp",
        what: "tcp: CPU per KiB, to the client",
        at_most: 0.85,
        unit: "x envoy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("tcp", "stream down", "cpu_ns_per_kib"), "envoy"),
    },
    Mark {
        scenario: "h1",
        what: "h1: p99 at half load, 100 B",
        at_most: 1.0,
        unit: "x haproxy",
        digits: 2,
        is_deviation: false,
        figure: |samples| ratio(samples, ("h1", "100 B", "half_p99_us"), "haproxy"),
    },
    Mark {
        scenario: "idle",
        what: "idle: resident memory after start",
        at_most: 8.0,
        unit: "MiB",
        digits: 2,
        is_deviation: false,
        figure: |samples| {
            let bytes =
                samples.median("idle", "1000 connections", "ringmain", "start_rss_bytes")?;
            Some(bytes / f64::from(1 << 20))
        },
    },
    Mark {
        scenario: "idle",
        what: "idle: memory of a connection, the worse of both",
        at_most: 1536.0,
        unit: "B",
        digits: 0,
        is_deviation: false,
        figure: |samples| {
            let of = |case| samples.median("idle", case, "ringmain", "rss_bytes_per_connection");
            let (few, many) = (of("1000 connections"), of("8000 connections"));
            few.into_iter().chain(many).reduce(f64::max)
        },
    },
    Mark {
        scenario: "idle",
        what: "idle: memory of a connection of HTTP/2",
        at_most: 24.0,
        unit: "KiB",
        digits: 1,
        is_deviation: false,
        figure: |samples| {
            let case = "1000 of HTTP/2";
            let bytes = samples.median("idle", case, "ringmain", "rss_bytes_per_connection")?;
            Some(bytes / 1024.0)
        },
    },
    Mark {
        scenario: "reload",
        what: "reload: 10 000 routes, from the file to all workers",
        at_most: 150.0,
        unit: "ms",
        digits: 0,
        is_deviation: false,
        figure: |samples| samples.median("reload", "10000 routes", "ringmain", "applied_ms"),
    },
    Mark {
        scenario: "reload",
        what: "reload: requests lost",
        at_most: 0.0,
        unit: "requests",
        digits: 0,
        is_deviation: false,
        // Each of them counts, whichever round it was lost in.
        figure: |samples| samples.absolutes("reload", "ringmain", "lost_requests"),
    },
    // The control plane waits for further changes before it reads a file, and says for how long.
    Mark {
        scenario: "reload",
        what: "reload: one endpoint of 100 000, once the control plane knows",
        at_most: 10.0,
        unit: "ms",
        digits: 1,
        is_deviation: false,
        figure: |samples| {
            let case = "1 of 100000 endpoints";
            samples.median("reload", case, "ringmain", "applied_once_known_ms")
        },
    },
    Mark {
        scenario: "match",
        what: "match: the same of 100 000 routes again",
        at_most: 2.0,
        unit: "x 10 routes",
        digits: 2,
        is_deviation: false,
        figure: |samples| match_ratio(samples, "same_ns"),
    },
    Mark {
        scenario: "match",
        what: "match: all of 100 000 routes in turn",
        at_most: 2.0,
        unit: "x 10 routes",
        digits: 2,
        is_deviation: false,
        figure: |samples| match_ratio(samples, "spread_ns"),
    },
    Mark {
        scenario: "generators",
        what: "load: requests that the origin counted otherwise",
        at_most: 0.0,
        unit: "requests",
        digits: 0,
        is_deviation: false,
        // Too many in one round do not make up for too few in another.
        figure: |samples| samples.absolutes("generators", "ringmain load", "uncounted_requests"),
    },
    Mark {
        scenario: "generators",
        what: "load: p50 of a closed loop",
        at_most: 10.0,
        unit: "% from wrk",
        digits: 1,
        is_deviation: true,
        figure: |samples| deviation(samples, (CLOSED, "p50_us"), "wrk"),
    },
    Mark {
        scenario: "generators",
        what: "load: p99 of a closed loop",
        at_most: 10.0,
        unit: "% from wrk",
        digits: 1,
        is_deviation: true,
        figure: |samples| deviation(samples, (CLOSED, "p99_us"), "wrk"),
    },
    Mark {
        scenario: "generators",
        what: "load: p50 of a closed loop",
        at_most: 10.0,
        unit: "% from h2load",
        digits: 1,
        is_deviation: true,
        figure: |samples| deviation(samples, (CLOSED, "p50_us"), "h2load"),
    },
    Mark {
        scenario: "generators",
        what: "load: p99 of a closed loop",
        at_most: 10.0,
        unit: "% from h2load",
        digits: 1,
        is_deviation: true,
        figure: |samples| deviation(samples, (CLOSED, "p99_us"), "h2load"),
    },
    Mark {
        scenario: "generators",
        what: "load: CPU per request of a closed loop at full speed",
        at_most: 1.0,
        unit: "x wrk",
        digits: 2,
        is_deviation: false,
        figure: |samples| {
            let of =
                |program| samples.median("generators", FULL, program, "requests_per_cpu_second");
            Some(of("wrk")? / of("ringmain load")?)
        },
    },
];

impl Mark {
    fn measured(&self, figure: f64) -> String {
        let (digits, unit) = (self.digits, self.unit);
        match self.is_deviation {
            true => format!("{figure:+.digits$} {unit}"),
            false => format!("{figure:.digits$} {unit}"),
        }
    }
}

const CPU: &str = "cpu_us_per_request";

/// What 100 000 routes cost, as a multiple of ten.
fn match_ratio(samples: &Samples, quantity: &str) -> Option<f64> {
    let of = |case: &str| samples.median("match", case, "ringmain", quantity);
    Some(of("100000 routes")? / of("10 routes")?)
}

/// How far `ringmain load` is above another generator, or below, in percent of that one's figure.
fn deviation(samples: &Samples, (case, quantity): (&str, &str), other: &str) -> Option<f64> {
    let of = |program| samples.median("generators", case, program, quantity);
    Some(100.0 * (of("ringmain load")? / of(other)? - 1.0))
}

/// Ringmain's median as a multiple of `peer`'s.
fn ratio(
    samples: &Samples,
    (scenario, case, quantity): (&str, &str, &str),
    peer: &str,
) -> Option<f64> {
    let of = |peer: &str| samples.median(scenario, case, peer, quantity);
    Some(of("ringmain")? / of(peer)?)
}

/// Those of the scenarios that were run, as a section of the summary; nothing when none has any.
pub fn section(samples: &Samples, scenarios: &[&str]) -> String {
    let is_shown = |mark: &&Mark| scenarios.contains(&mark.scenario);
    if MARKS.iter().filter(is_shown).count() == 0 {
        return String::new();
    }
    let head = ["figure to reach", "at most", "measured", "verdict"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(MARKS.iter().filter(is_shown).map(|mark| {
        let figure = (mark.figure)(samples);
        vec![
            mark.what.to_owned(),
            format!("{:.*} {}", mark.digits, mark.at_most, mark.unit),
            figure.map_or_else(|| "-".to_owned(), |figure| mark.measured(figure)),
            verdict(figure, mark.at_most),
        ]
    }));
    format!("## Figures to reach\n\n{}", markdown(&rows))
}

/// Whether a figure is as low as it should be, and by how much. Of a deviation the size counts: a
/// generator that says less than another is as far from it as one that says more.
fn verdict(figure: Option<f64>, at_most: f64) -> String {
    let Some(figure) = figure.map(f64::abs) else {
        return "not measured".to_owned();
    };
    let word = if figure <= at_most {
        "reached"
    } else {
        "missed"
    };
    if at_most == 0.0 {
        return match figure {
            0.0 => word.to_owned(),
            _ => format!("{word} by {figure}"),
        };
    }
    let percent = 100.0 * (figure - at_most).abs() / at_most;
    format!("{word} by {percent:.0} %")
}

#[cfg(test)]
mod tests {
    use super::{MARKS, section, verdict};
    use crate::{
        samples::Samples,
        scenario::{CLOSED, FULL, Scenario},
    };

    #[test]
    fn verdicts() {
        let check = |figure: Option<f64>, at_most: f64, expected: &str| {
            assert_eq!(verdict(figure, at_most), expected, "{figure:?}");
        };
        check(None, 1.0, "not measured");
        check(Some(0.77), 0.70, "missed by 10 %");
        check(Some(0.63), 0.70, "reached by 10 %");
        check(Some(0.70), 0.70, "reached by 0 %");
        check(Some(0.0), 0.0, "reached");
        check(Some(3.0), 0.0, "missed by 3");
        check(Some(-15.0), 10.0, "missed by 50 %");
        check(Some(-5.0), 10.0, "reached by 50 %");
    }

    #[test]
    fn a_deviation_says_its_direction() {
        let mut samples = Samples::default();
        for (generator, p50, p99) in [("ringmain load", 1030.0, 849.0), ("wrk", 1000.0, 1000.0)] {
            samples.push("generators", CLOSED, generator, "p50_us", p50);
            samples.push("generators", CLOSED, generator, "p99_us", p99);
        }
        let text = section(&samples, &["generators"]);
        assert!(text.contains("| +3.0 % from wrk "), "{text}");
        let row = "| 10.0 % from wrk    | -15.1 % from wrk | missed by 51 %";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn counts_that_differ_do_not_make_up_for_each_other() {
        let mut samples = Samples::default();
        for (case, more) in [(CLOSED, 3.0), (FULL, -3.0)] {
            samples.push(
                "generators",
                case,
                "ringmain load",
                "uncounted_requests",
                more,
            );
        }
        let text = section(&samples, &["generators"]);
        assert!(text.contains("| missed by 6 "), "{text}");
    }

    #[test]
    fn marks_of_what_was_run_have_a_row() {
        let mut samples = Samples::default();
        for (peer, value) in [("ringmain", 7.0), ("haproxy", 10.0), ("envoy", 70.0)] {
            samples.push("h1", "100 B", peer, "cpu_us_per_request", value);
        }
        let everything = Scenario::ALL.map(|scenario| scenario.outline().name);
        let text = section(&samples, &everything);
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(rows.len(), MARKS.len());
        assert!(
            rows[0].contains("0.70 x haproxy | reached by 0 %"),
            "{text}"
        );
        assert!(rows[1].contains("0.10 x envoy"), "{text}");
        assert!(rows[3].contains("not measured"), "{text}");
        let text = section(&samples, &["idle", "workers"]);
        assert_eq!(text.lines().skip(4).count(), 3, "{text}");
        assert_eq!(section(&samples, &["workers"]), "");
    }
}
