//! The percentile distribution as HdrHistogram writes it (`.hgrm`), for its plotter and for scripts
//! that read what wrk2 prints.
//!
//! Values are in milliseconds, as in wrk2's. Four columns: value, share of the answers that did not
//! take longer, how many these are, and 1 / (1 - share); the last line has no fourth column,
//! because nothing is left above it.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// Steps each time that the distance to 100 % halves; five is what wrk2 and the plotter's examples
/// use.
const STEPS_PER_HALF: u32 = 5;

/// `latency` in microseconds, as text.
pub fn text(latency: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut count = 0;
    for step in latency.iter_quantiles(STEPS_PER_HALF) {
        count += step.count_since_last_iteration();
        let value = millis(step.value_iterated_to() as f64);
        let share = step.quantile_iterated_to();
        let _ = write!(text, "{value:>12.3} {share:>14.12} {count:>10}");
        if share < 1.0 {
            let _ = write!(text, " {:>14.2}", 1.0 / (1.0 - share));
        }
        text.push('\n');
    }
    let _ = write!(
        text,
        "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]
#[Max     = {:>12.3}, Total count    = {:>12}]
#[Buckets = {:>12}, SubBuckets     = {:>12}]
",
        millis(latency.mean()),
        millis(latency.stdev()),
        millis(latency.max() as f64),
        latency.len(),
        buckets(latency),
        SUB_BUCKETS,
    );
    text
}

/// Of three significant digits: the least power of two that tells 2000 values apart.
const SUB_BUCKETS: u64 = 2048;

/// Each bucket doubles the range of the one before it.
fn buckets(latency: &Histogram<u64>) -> u32 {
    let mut covered = SUB_BUCKETS;
    let mut buckets = 1;
    while covered <= latency.high() {
        covered *= 2;
        buckets += 1;
    }
    buckets
}

fn millis(micros: f64) -> f64 {
    micros / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        millis: f64,
        share: f64,
        count: u64,
        inverse: Option<f64>,
    }

    fn rows(text: &str) -> Vec<Row> {
        let mut lines = text.lines();
        let header: Vec<_> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(
            header,
            ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
        );
        assert_eq!(lines.next(), Some(""));
        lines
            .take_while(|line| !line.starts_with('#'))
            .map(|line| {
                let mut words = line.split_whitespace();
                let mut word = || words.next();
                let row = Row {
                    millis: word().unwrap().parse().unwrap(),
                    share: word().unwrap().parse().unwrap(),
                    count: word().unwrap().parse().unwrap(),
                    inverse: word().map(|word| word.parse().unwrap()),
                };
                assert_eq!(word(), None, "{line}");
                row
            })
            .collect()
    }

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
        for value in values {
            histogram.record(value).unwrap();
        }
        histogram
    }

    #[test]
    fn a_distribution_reads_back() {
        let latency = histogram(1..=10_000);
        let text = text(&latency);
        let rows = rows(&text);
        for pair in rows.windows(2) {
            assert!(pair[0].millis <= pair[1].millis && pair[0].share <= pair[1].share);
            assert!(pair[0].count <= pair[1].count);
        }
        let median = rows.iter().find(|row| row.share >= 0.5).unwrap();
        assert!((median.millis - 5.0).abs() < 0.01, "{}", median.millis);
        assert_eq!(median.inverse, Some(2.0));
        for row in &rows {
            let expected = row.share * 10_000.0;
            let error = (row.count as f64 - expected).abs() / expected.max(1.0);
            assert!(error < 0.002 || row.count < 100, "{} {expected}", row.count);
        }
        let last = rows.last().unwrap();
        assert_eq!(
            (last.share, last.count, last.inverse),
            (1.0, 10_000, None),
            "{text}"
        );
        assert!((last.millis - 10.0).abs() < 0.01);
    }

    #[test]
    fn the_footer_has_mean_and_count() {
        let text = text(&histogram([1000, 3000]));
        let footer: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(
            footer,
            [
                "#[Mean    =        2.001, StdDeviation   =        1.000]",
                "#[Max     =        3.001, Total count    =            2]",
                "#[Buckets =           22, SubBuckets     =         2048]",
            ],
            "{text}"
        );
    }

    #[test]
    fn nothing_measured_is_an_empty_distribution() {
        let text = text(&histogram([]));
        assert!(rows(&text).is_empty(), "{text}");
        assert!(text.contains("Total count    =            0]"), "{text}");
    }
}
