//! Edges as lines of text, in columns that stay where they are.

use std::time::Duration;

use super::observe::{Counts, EDGES, Edge};

/// Head and a line for each edge: what happened on it in `period`.
pub(super) fn live(counts: &Counts, period: Duration) -> Vec<String> {
    let mut lines = vec![head("rate/s")];
    for (edge, count) in EDGES.iter().zip(counts) {
        let rate = count.requests as f64 / period.as_secs_f64().max(0.001);
        let rate = (count.requests > 0).then(|| format!("{rate:.1}"));
        lines.push(line(
            edge,
            [
                rate,
                count.success().map(percent),
                count.quantile(0.5).map(short),
                count.quantile(0.99).map(short),
            ],
        ));
    }
    lines
}

/// Head and a line for each edge: what happened on it in all.
pub(super) fn summary(counts: &Counts) -> Vec<String> {
    let mut lines = vec![head("requests")];
    for (edge, count) in EDGES.iter().zip(counts) {
        lines.push(line(
            edge,
            [
                Some(count.requests.to_string()),
                count.success().map(percent),
                count.quantile(0.5).map(short),
                count.quantile(0.99).map(short),
            ],
        ));
    }
    lines
}

/// `v1 89.6 %, v2 0.0 %, v3 10.4 %`.
pub(super) fn shares(observed: [u64; 3]) -> String {
    let all = observed.iter().sum::<u64>().max(1) as f64;
    let mut number = 0;
    let shares = observed.map(|count| {
        number += 1;
        format!("v{number} {:.1} %", count as f64 / all * 100.0)
    });
    shares.join(", ")
}

fn head(first: &str) -> String {
    format!(
        "  {:<28}{first:>10}{:>12}{:>11}{:>11}",
        "edge", "success", "p50", "p99"
    )
}

fn line(edge: &Edge, cells: [Option<String>; 4]) -> String {
    let [first, success, p50, p99] = cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
    format!(
        "  {:<28}{first:>10}{success:>12}{p50:>11}{p99:>11}",
        name(edge)
    )
}

/// `productpage -> reviews v3`.
pub(super) fn name(edge: &Edge) -> String {
    let version = edge.version.map(|version| format!(" {version}"));
    format!(
        "{} -> {}{}",
        edge.from,
        edge.to,
        version.unwrap_or_default()
    )
}

/// Cut, not rounded: 100 % means all.
fn percent(share: f64) -> String {
    let cut = (share * 1e4).floor() / 1e2;
    match cut.fract() == 0.0 {
        true => format!("{cut:.0} %"),
        false => format!("{cut:.2} %"),
    }
}

/// With as many digits as are worth reading.
pub(super) fn short(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        ..10.0 => format!("{millis:.2} ms"),
        10.0..100.0 => format!("{millis:.1} ms"),
        100.0..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.2} s", millis / 1e3),
    }
}

/// `02:05`.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::observe::read;

    #[test]
    fn numbers() {
        for (share, expected) in [
            (1.0, "100 %"),
            (0.99999, "99.99 %"),
            (0.5, "50 %"),
            (0.104, "10.40 %"),
            (0.0, "0 %"),
        ] {
            assert_eq!(percent(share), expected);
        }
        for (micros, expected) in [
            (120, "0.12 ms"),
            (9_990, "9.99 ms"),
            (22_040, "22.0 ms"),
            (987_000, "987 ms"),
            (1_234_000, "1.23 s"),
        ] {
            assert_eq!(short(Duration::from_micros(micros)), expected);
        }
        assert_eq!(clock(Duration::from_millis(125_900)), "02:05");
        assert_eq!(shares([9, 0, 1]), "v1 90.0 %, v2 0.0 %, v3 10.0 %");
        assert_eq!(shares([0, 0, 0]), "v1 0.0 %, v2 0.0 %, v3 0.0 %");
    }

    #[test]
    fn tables() {
        let labels = "reporter=\"source\",destination_service_name=\"productpage\"";
        let scrape = format!(
            "istio_requests_total{{{labels},response_code=\"200\"}} 99\n\
             istio_requests_total{{{labels},response_code=\"503\"}} 1\n\
             istio_request_duration_milliseconds_bucket{{{labels},le=\"10\"}} 100\n\
             istio_request_duration_milliseconds_bucket{{{labels},le=\"+Inf\"}} 100\n"
        );
        let mut counts = Counts::default();
        read(&mut counts, "gateway", &scrape);
        let lines = live(&counts, Duration::from_secs(2));
        assert_eq!(lines.len(), 1 + EDGES.len());
        assert_eq!(
            lines[1],
            "  gateway -> productpage            50.0        99 %    5.00 ms    9.90 ms"
        );
        assert_eq!(
            lines[5],
            "  productpage -> reviews v3            -           -          -          -"
        );
        let lines = summary(&counts);
        assert!(lines[1].contains(" 100        99 % "), "{}", lines[1]);
        let width = lines[0].len();
        assert!(lines.iter().all(|line| line.len() == width), "{lines:?}");
    }
}
