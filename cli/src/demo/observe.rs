//! What the proxies say of the requests between two services, as anybody who scrapes them sees it.
//!
//! An edge is counted where its requests are sent (`reporter="source"`): by the proxy beside the
//! caller, from `istio_requests_total` and `istio_request_duration_milliseconds` of its
//! `/stats/prometheus`.

use std::time::Duration;

/// A caller and a service that it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    /// Only requests to this version of the service.
    pub(super) version: Option<&'static str>,
    /// The proxies that count it.
    observers: &'static [&'static str],
}

/// In the order they are shown.
pub(super) const EDGES: [Edge; 6] = [
    edge("gateway", "productpage", None, &["gateway"]),
    edge("productpage", "details", None, &["productpage-v1"]),
    edge("productpage", "reviews", Some("v1"), &["productpage-v1"]),
    edge("productpage", "reviews", Some("v2"), &["productpage-v1"]),
    edge("productpage", "reviews", Some("v3"), &["productpage-v1"]),
    edge("reviews", "ratings", None, &["reviews-v2", "reviews-v3"]),
];

/// The edges to the versions of reviews, v1 to v3.
pub(super) const REVIEWS: std::ops::Range<usize> = 2..5;
/// The proxy that counts them.
pub(super) const REVIEWS_OBSERVER: &str = "productpage-v1";

const fn edge(
    from: &'static str,
    to: &'static str,
    version: Option<&'static str>,
    observers: &'static [&'static str],
) -> Edge {
    Edge {
        from,
        to,
        version,
        observers,
    }
}

/// What was counted on one edge since its proxies started, or between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) requests: u64,
    /// Those whose answer was not of status 200 to 399.
    pub(super) failed: u64,
    /// Upper bound in milliseconds and the number of requests that took no longer, bounds
    /// ascending.
    buckets: Vec<(f64, u64)>,
}

/// Counts of all [`EDGES`].
pub(super) type Counts = [Count; EDGES.len()];

/// Adds what the scrape of the proxy `observer` says to the counts of its edges.
pub(super) fn read(counts: &mut Counts, observer: &str, scrape: &str) {
    for line in scrape.lines() {
        let Some(sample) = Sample::parse(line) else {
            continue;
        };
        if sample.label("reporter") != Some("source") {
            continue;
        }
        for (edge, count) in EDGES.iter().zip(&mut *counts) {
            if edge.is_of(observer, &sample) {
                count.add(&sample);
            }
        }
    }
}

impl Edge {
    fn is_of(&self, observer: &str, sample: &Sample<'_>) -> bool {
        self.observers.contains(&observer)
            && sample.label("destination_service_name") == Some(self.to)
            && (self.version.is_none() || sample.label("destination_version") == self.version)
    }
}

impl Count {
    fn add(&mut self, sample: &Sample<'_>) {
        match sample.name {
            "istio_requests_total" => {
                let count = sample.value as u64;
                let status = sample
                    .label("response_code")
                    .and_then(|code| code.parse().ok());
                self.requests += count;
                if !status.is_some_and(|status: u16| (200..400).contains(&status)) {
                    self.failed += count;
                }
            }
            "istio_request_duration_milliseconds_bucket" => {
                let bound = match sample.label("le") {
                    Some("+Inf") => Some(f64::INFINITY),
                    bound => bound.and_then(|bound| bound.parse().ok()),
                };
                if let Some(bound) = bound {
                    self.add_bucket(bound, sample.value as u64);
                }
            }
            _ => {}
        }
    }

    fn add_bucket(&mut self, bound: f64, count: u64) {
        let place = self.buckets.partition_point(|bucket| bucket.0 < bound);
        match self.buckets.get_mut(place) {
            Some(bucket) if bucket.0 == bound => bucket.1 += count,
            _ => self.buckets.insert(place, (bound, count)),
        }
    }

    /// What was counted since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let before = |bound: f64| {
            let bucket = earlier.buckets.iter().find(|bucket| bucket.0 == bound);
            bucket.map_or(0, |bucket| bucket.1)
        };
        let buckets = self.buckets.iter();
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            failed: self.failed.saturating_sub(earlier.failed),
            buckets: buckets
                .map(|&(bound, count)| (bound, count.saturating_sub(before(bound))))
                .collect(),
        }
    }

    /// Share of the requests that succeeded; `None` without any.
    pub(super) fn success(&self) -> Option<f64> {
        let succeeded = self.requests.saturating_sub(self.failed);
        (self.requests > 0).then(|| succeeded as f64 / self.requests as f64)
    }

    /// The duration that the share `quantile` of the requests did not exceed, as Prometheus'
    /// `histogram_quantile` estimates it: spread evenly within a bucket, and never above the last
    /// bound. `None` without requests.
    pub(super) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let total = self.buckets.last().filter(|bucket| bucket.1 > 0)?.1;
        let rank = quantile * total as f64;
        let place = self
            .buckets
            .partition_point(|bucket| (bucket.1 as f64) < rank);
        let below = match place {
            0 => (0.0, 0),
            place => self.buckets[place - 1],
        };
        let bucket = self.buckets[place];
        if bucket.0.is_infinite() {
            return Some(millis(below.0));
        }
        let within = (bucket.1 - below.1).max(1) as f64;
        let share = (rank - below.1 as f64) / within;
        Some(millis(below.0 + (bucket.0 - below.0) * share))
    }
}

fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64(millis / 1e3)
}

/// One line of Prometheus' text format.
#[derive(Debug, PartialEq)]
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
}

impl<'a> Sample<'a> {
    /// `None` for comments, and for what is not a sample with labels. Values keep their escapes:
    /// none of those compared here has any.
    fn parse(line: &'a str) -> Option<Self> {
        let (name, mut rest) = line.split_once('{')?;
        let mut labels = Vec::new();
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let end = end_of_value(after)?;
            labels.push((label, &after[..end]));
            rest = &after[end + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        let value = rest[1..].split_whitespace().next()?.parse().ok()?;
        Some(Self {
            name,
            labels,
            value,
        })
    }

    fn label(&self, name: &str) -> Option<&'a str> {
        let found = self.labels.iter().find(|(label, _)| *label == name);
        found.map(|(_, value)| *value)
    }
}

/// Position of the quote that is not escaped.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples() {
        check("# HELP a b", None);
        check("up 1", None);
        check("a{b=\"c\"}", None);
        check("a{b=\"c} 1", None);
        check("a{b=\"c\"} x", None);
        check("a{} 2", Some(("a", &[], 2.0)));
        check(
            "a{b=\"c\",d=\"\"} 3 1700000000",
            Some(("a", &[("b", "c"), ("d", "")], 3.0)),
        );
        check(
            r#"a{b="q\"\\",c="}"} 1e3"#,
            Some(("a", &[("b", r#"q\"\\"#), ("c", "}")], 1000.0)),
        );
    }

    type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

    fn check(line: &str, expected: Option<Expected<'_>>) {
        let expected = expected.map(|(name, labels, value)| Sample {
            name,
            labels: labels.to_vec(),
            value,
        });
        assert_eq!(Sample::parse(line), expected, "{line}");
    }

    fn requests(reporter: &str, to: &str, version: &str, code: u16, count: u64) -> String {
        format!(
            "istio_requests_total{{reporter=\"{reporter}\",destination_service_name=\"{to}\",\
             destination_version=\"{version}\",response_code=\"{code}\"}} {count}\n"
        )
    }

    #[test]
    fn edges_count_where_they_begin() {
        let scrape = [
            requests("source", "reviews", "v1", 200, 90),
            requests("source", "reviews", "v3", 200, 7),
            requests("source", "reviews", "v3", 503, 2),
            requests("source", "reviews", "v3", 0, 1),
            requests("source", "details", "v1", 302, 100),
            requests("destination", "productpage", "v1", 200, 100),
        ]
        .concat();
        let mut counts = Counts::default();
        read(&mut counts, "productpage-v1", &scrape);
        let seen: Vec<_> = counts
            .iter()
            .map(|count| (count.requests, count.failed))
            .collect();
        assert_eq!(seen, [(0, 0), (100, 0), (90, 0), (0, 0), (10, 3), (0, 0)]);
        for observer in ["reviews-v2", "reviews-v3"] {
            read(
                &mut counts,
                observer,
                &requests("source", "ratings", "v1", 200, 5),
            );
            read(
                &mut counts,
                observer,
                &requests("source", "details", "v1", 200, 5),
            );
        }
        assert_eq!((counts[5].requests, counts[1].requests), (10, 100));
        assert_eq!(counts[4].success(), Some(0.7));
        assert_eq!(counts[3].success(), None);
        assert_eq!(
            EDGES[REVIEWS].map_versions(),
            [Some("v1"), Some("v2"), Some("v3")]
        );
    }

    trait Versions {
        fn map_versions(&self) -> Vec<Option<&'static str>>;
    }

    impl Versions for [Edge] {
        fn map_versions(&self) -> Vec<Option<&'static str>> {
            self.iter().map(|edge| edge.version).collect()
        }
    }

    #[test]
    fn quantiles() {
        let bucket = |bound: &str, count: u64| {
            format!(
                "istio_request_duration_milliseconds_bucket{{reporter=\"source\",\
                 destination_service_name=\"productpage\",le=\"{bound}\"}} {count}\n"
            )
        };
        let scrape = |counts: [u64; 4]| {
            ["1", "5", "10", "+Inf"]
                .iter()
                .zip(counts)
                .map(|(bound, count)| bucket(bound, count))
                .collect::<String>()
        };
        let count = |text: &str| {
            let mut counts = Counts::default();
            read(&mut counts, "gateway", text);
            counts[0].clone()
        };
        let first = count(&scrape([10, 10, 10, 10]));
        let second = count(&scrape([60, 110, 110, 111]));
        let micros = |count: &Count, quantile| {
            count
                .quantile(quantile)
                .map(|duration| duration.as_micros())
        };
        assert_eq!(micros(&first, 0.5), Some(500));
        let between = second.since(&first);
        assert_eq!(micros(&between, 0.25), Some(505));
        assert_eq!(micros(&between, 0.5), Some(1040));
        assert_eq!(micros(&between, 1.0), Some(10_000));
        assert_eq!(micros(&first.since(&first), 0.5), None);
        assert_eq!(micros(&Count::default(), 0.5), None);
        assert_eq!(first.since(&Count::default()), first);
    }
}
