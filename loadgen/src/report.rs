//! What came of the requests: counts that add up, latencies, and how far they can be trusted.

use std::{collections::BTreeMap, fmt, time::Duration};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{failure::ErrorKind, ring::Rung, verdict::Bottleneck};

/// Numbers of a run, without those of its warm-up.
#[derive(Clone)]
pub struct Report {
    /// In the order of [`crate::Plan::targets`].
    pub targets: Vec<TargetReport>,
    /// Time in which requests were begun: from the end of the warm-up to the end of the schedule,
    /// or to the last answer when the run ended after a number of requests.
    pub duration: Duration,
    /// Answers that were complete within [`Self::duration`].
    pub answered_in_time: u64,
    /// Requests per second that were asked for; `None` in a closed loop.
    pub intended_rate: Option<f64>,
    /// How late requests of an open loop were handed to a connection that was free, or to the queue
    /// when none was: the generator's own error, which is part of every latency. In microseconds.
    pub slip: Histogram<u64>,
    /// Time that connections took to be ready for their first request, in microseconds.
    pub connect: Histogram<u64>,
    /// Connections that were established.
    pub connections: u64,
    /// Those among them whose TLS handshake took up an earlier session.
    pub resumed: u64,
    /// Requests sent once more because a kept-alive connection was found closed before any byte of
    /// the answer (RFC 9112 section 9.3.1).
    pub resent: u64,
    /// Of streams: what came behind [`Self::duration`], and is in no other number.
    pub drained: Drained,
    /// What happened in each second, in order.
    pub series: Vec<Second>,
    /// What each worker's thread used.
    pub workers: Vec<ThreadUse>,
    /// Why the generator itself, not the server, decided the result; `None` when it did not.
    pub bottleneck: Option<Bottleneck>,
    /// How the kernel was asked.
    pub rung: Rung,
}

/// Numbers of one target.
#[derive(Clone)]
pub struct TargetReport {
    /// Requests that have ended; the sum of all statuses and errors, for protocols with statuses.
    pub requests: u64,
    /// Complete answers, whatever their status.
    pub answered: u64,
    /// Complete answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a complete answer.
    pub errors: [ErrorCount; ErrorKind::ALL.len()],
    /// Bytes of complete answers with their framing, before TLS.
    pub bytes_in: u64,
    /// Bytes of requests that were answered, as in `bytes_in`.
    pub bytes_out: u64,
    /// Complete answers, from the time the request was due (open loop) or sent (closed loop) to the
    /// answer's last byte, in microseconds.
    pub latency: Histogram<u64>,
}

/// Failed requests of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorCount {
    /// How many.
    pub count: u64,
    /// What happened to the first of them.
    pub first: Option<String>,
}

/// How streams came to their ends. No more is sent when the time is over, and whatever was on its
/// way arrives: then a server that counts has counted what the report has, here and within the
/// time. What moved during a warm-up is in neither, but the server has counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Directions of connections that did not come to their ends in time: of what was on its way
    /// there, nothing is known.
    pub cut: u64,
}

/// One second of a run, or what there was of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Second {
    /// Its end, from the end of the warm-up.
    pub end: Duration,
    /// Its length.
    pub length: Duration,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those among them without a complete answer.
    pub errors: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Latency that half of its complete answers did not exceed, to within 2 %; `None` without any.
    pub p50: Option<Duration>,
    /// The same for 9 of 10.
    pub p90: Option<Duration>,
    /// The same for 99 of 100.
    pub p99: Option<Duration>,
}

impl Second {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.length.as_secs_f64()
    }
}

/// Processor time of one worker's thread, from the end of the warm-up to its last answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadUse {
    /// Time that passed.
    pub wall: Duration,
    /// Time that it ran, in the kernel or not.
    pub cpu: Duration,
    /// Time that it could have run and its CPU ran something else; 0 where the kernel does not say.
    pub waited: Duration,
}

impl Report {
    /// Nothing has happened yet.
    pub fn new(targets: usize) -> Self {
        Self {
            targets: vec![TargetReport::new(); targets],
            duration: Duration::ZERO,
            answered_in_time: 0,
            intended_rate: None,
            slip: histogram(),
            connect: histogram(),
            connections: 0,
            resumed: 0,
            resent: 0,
            drained: Drained::default(),
            series: Vec::new(),
            workers: Vec::new(),
            bottleneck: None,
            rung: Rung::Epoll,
        }
    }

    /// Complete answers per second while requests were sent.
    pub fn achieved_rate(&self) -> f64 {
        match self.duration.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.answered_in_time as f64 / seconds,
        }
    }

    /// All targets as one.
    pub fn total(&self) -> TargetReport {
        let mut total = TargetReport::new();
        for target in &self.targets {
            total.add(target);
        }
        total
    }

    /// Adds the counts of another worker of the same run.
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.targets.iter_mut().zip(&other.targets) {
            mine.add(theirs);
        }
        add_histogram(&mut self.slip, &other.slip);
        add_histogram(&mut self.connect, &other.connect);
        self.duration = self.duration.max(other.duration);
        self.answered_in_time += other.answered_in_time;
        self.connections += other.connections;
        self.resumed += other.resumed;
        self.resent += other.resent;
        self.drained.bytes_in += other.drained.bytes_in;
        self.drained.bytes_out += other.drained.bytes_out;
        self.drained.cut += other.drained.cut;
        self.workers.extend_from_slice(&other.workers);
    }
}

impl TargetReport {
    pub(crate) fn new() -> Self {
        Self {
            requests: 0,
            answered: 0,
            statuses: BTreeMap::new(),
            errors: Default::default(),
            bytes_in: 0,
            bytes_out: 0,
            latency: histogram(),
        }
    }

    /// Requests without a complete answer.
    pub fn failed(&self) -> u64 {
        self.errors.iter().map(|error| error.count).sum()
    }

    /// Complete answers with a status from 200 to 399.
    pub fn succeeded(&self) -> u64 {
        self.statuses.range(200..400).map(|(_, count)| count).sum()
    }

    /// Requests that failed for `kind`.
    pub fn error(&self, kind: ErrorKind) -> &ErrorCount {
        &self.errors[kind as usize]
    }

    /// Latency that the share `quantile` of the complete answers did not exceed; `None` without
    /// any.
    pub fn latency_at(&self, quantile: f64) -> Option<Duration> {
        let micros = self.latency.value_at_quantile(quantile);
        (!self.latency.is_empty()).then(|| Duration::from_micros(micros))
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.answered += other.answered;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (mine, theirs) in self.errors.iter_mut().zip(&other.errors) {
            mine.count += theirs.count;
            if mine.first.is_none() {
                mine.first.clone_from(&theirs.first);
            }
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        add_histogram(&mut self.latency, &other.latency);
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Histograms are thousands of numbers, nearly all of them 0.
        formatter
            .debug_struct("Report")
            .field("targets", &self.targets)
            .field("duration", &self.duration)
            .field("answered_in_time", &self.answered_in_time)
            .field("intended_rate", &self.intended_rate)
            .field("slips", &self.slip.len())
            .field("connections", &self.connections)
            .field("resent", &self.resent)
            .field("series", &self.series)
            .field("workers", &self.workers)
            .field("bottleneck", &self.bottleneck)
            .field("rung", &self.rung)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TargetReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = ErrorKind::ALL.into_iter().zip(&self.errors);
        let errors: Vec<_> = errors.filter(|(_, error)| error.count > 0).collect();
        formatter
            .debug_struct("TargetReport")
            .field("requests", &self.requests)
            .field("answered", &self.answered)
            .field("statuses", &self.statuses)
            .field("errors", &errors)
            .field("bytes_in", &self.bytes_in)
            .field("bytes_out", &self.bytes_out)
            .field("p50", &self.latency_at(0.5))
            .finish_non_exhaustive()
    }
}

/// To the nearest microsecond, and at least one, which is the least that a histogram tells apart.
pub(crate) fn micros(nanos: u64) -> u64 {
    (nanos.saturating_add(500) / 1000).max(1)
}

/// Microseconds with three digits. It grows as longer ones are recorded: one that reaches an hour
/// is 180 KiB, and a run may have a thousand targets.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits can be kept")
}

/// Adds microseconds; more than an hour counts as an hour.
pub(crate) fn record(histogram: &mut Histogram<u64>, micros: u64) {
    const HOUR: u64 = 3_600_000_000;
    let kept = histogram.record(micros.min(HOUR));
    kept.expect("the histogram grows");
}

fn add_histogram(to: &mut Histogram<u64>, from: &Histogram<u64>) {
    to.add(from).expect("the histogram grows");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let mut first = Report::new(2);
        let mut second = Report::new(2);
        let answer = |report: &mut Report, target: usize, status, micros| {
            let target = &mut report.targets[target];
            target.requests += 1;
            target.answered += 1;
            *target.statuses.entry(status).or_default() += 1;
            target.bytes_in += 10;
            record(&mut target.latency, micros);
        };
        answer(&mut first, 0, 200, 1000);
        answer(&mut first, 1, 503, 3000);
        answer(&mut second, 0, 200, 2000);
        let late = &mut second.targets[0];
        late.requests += 2;
        late.errors[ErrorKind::Timeout as usize] = ErrorCount {
            count: 2,
            first: Some("first".into()),
        };
        second.resent = 1;
        second.workers.push(ThreadUse::default());
        first.add(&second);
        let total = first.total();
        assert_eq!((total.requests, total.answered), (5, 3));
        assert_eq!(total.statuses, BTreeMap::from([(200, 2), (503, 1)]));
        assert_eq!((total.succeeded(), total.failed()), (2, 2));
        assert_eq!(total.bytes_in, 30);
        let timeouts = total.error(ErrorKind::Timeout);
        assert_eq!(
            (timeouts.count, timeouts.first.as_deref()),
            (2, Some("first"))
        );
        assert_eq!((first.resent, first.workers.len()), (1, 1));
        assert_eq!(total.latency.len(), 3);
        assert_eq!(
            first.targets[1].latency_at(0.5),
            Some(Duration::from_micros(3001))
        );
        assert_eq!(Report::new(1).total().latency_at(0.5), None);
    }

    #[test]
    fn histograms_grow_to_an_hour() {
        let mut long = histogram();
        record(&mut long, u64::MAX);
        record(&mut long, 1);
        let mut sum = histogram();
        add_histogram(&mut sum, &long);
        assert_eq!((sum.len(), sum.min()), (2, 1));
        assert!((3_600_000_000..3_604_000_000).contains(&sum.max()));
    }

    #[test]
    fn rates() {
        let mut report = Report::new(1);
        assert_eq!(report.achieved_rate(), 0.0);
        report.duration = Duration::from_millis(500);
        report.answered_in_time = 100;
        assert_eq!(report.achieved_rate(), 200.0);
    }

    #[test]
    fn nanoseconds_are_rounded() {
        for (nanos, expected) in [
            (0, 1),
            (499, 1),
            (1499, 1),
            (1500, 2),
            (u64::MAX, u64::MAX / 1000),
        ] {
            assert_eq!(micros(nanos), expected, "{nanos}");
        }
    }
}
