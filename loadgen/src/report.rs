//! What came of the requests: counts that add up, and latencies.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

/// Why a request has no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The connection was refused, or the network or this host could not make it.
    Connect,
    /// The connection was not established in time.
    ConnectTimeout,
    /// The answer was not complete in time.
    Timeout,
    /// The connection ended before the answer was complete.
    Closed,
    /// The answer is not HTTP/1.1.
    Malformed,
    /// Not sent: too many requests waited for a connection.
    Backlog,
}

impl ErrorKind {
    /// In the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Connect,
        Self::ConnectTimeout,
        Self::Timeout,
        Self::Closed,
        Self::Malformed,
        Self::Backlog,
    ];

    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect timeout",
            Self::Timeout => "timeout",
            Self::Closed => "connection closed",
            Self::Malformed => "malformed answer",
            Self::Backlog => "not sent, backlog full",
        }
    }
}

/// Numbers of a run, or of a part of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// In the order of [`crate::Plan::targets`].
    pub targets: Vec<TargetReport>,
    /// How late requests were handed to a connection or to the queue: the generator's own error,
    /// which is part of every latency. In microseconds.
    pub lateness: Histogram<u64>,
    /// Connections that were established.
    pub connections: u64,
    /// Requests sent once more because a kept-alive connection was found closed before any byte of
    /// the answer (RFC 9112 section 9.3.1).
    pub resent: u64,
}

/// Numbers of one target.
#[derive(Clone, Debug)]
pub struct TargetReport {
    /// Requests that have ended; the sum of all statuses and errors.
    pub requests: u64,
    /// Complete answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a complete answer.
    pub errors: [ErrorCount; ErrorKind::ALL.len()],
    /// Bytes received, heads included.
    pub bytes_received: u64,
    /// Complete answers, from the time the request was due to the answer's last byte, in
    /// microseconds.
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

/// A complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

/// Why there is none, and what happened.
pub(crate) type Failed = (ErrorKind, String);

impl Report {
    /// Nothing has happened yet.
    pub fn new(targets: usize) -> Self {
        Self {
            targets: vec![TargetReport::new(); targets],
            lateness: histogram(),
            connections: 0,
            resent: 0,
        }
    }

    /// Adds the numbers of another part of the run.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.targets.iter_mut().zip(&other.targets) {
            mine.add(theirs);
        }
        add_histogram(&mut self.lateness, &other.lateness);
        self.connections += other.connections;
        self.resent += other.resent;
    }

    /// All targets as one.
    pub fn total(&self) -> TargetReport {
        let mut total = TargetReport::new();
        for target in &self.targets {
            total.add(target);
        }
        total
    }
}

impl TargetReport {
    fn new() -> Self {
        Self {
            requests: 0,
            statuses: BTreeMap::new(),
            errors: Default::default(),
            bytes_received: 0,
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

    /// Latency that the share `quantile` of the complete answers did not exceed; `None` without any.
    pub fn latency_at(&self, quantile: f64) -> Option<Duration> {
        let micros = self.latency.value_at_quantile(quantile);
        (!self.latency.is_empty()).then(|| Duration::from_micros(micros))
    }

    pub(crate) fn record(&mut self, latency: Duration, outcome: Result<Answer, Failed>) {
        self.requests += 1;
        match outcome {
            Ok(answer) => {
                *self.statuses.entry(answer.status).or_default() += 1;
                self.bytes_received += answer.bytes;
                self.latency.saturating_record(micros(latency));
            }
            Err((kind, message)) => {
                let error = &mut self.errors[kind as usize];
                error.count += 1;
                error.first.get_or_insert(message);
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (mine, theirs) in self.errors.iter_mut().zip(&other.errors) {
            mine.count += theirs.count;
            if mine.first.is_none() {
                mine.first.clone_from(&theirs.first);
            }
        }
        self.bytes_received += other.bytes_received;
        add_histogram(&mut self.latency, &other.latency);
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// From 1 us to 1 h with three digits; longer ones count as 1 h.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are valid")
}

fn add_histogram(to: &mut Histogram<u64>, from: &Histogram<u64>) {
    to.add(from).expect("all histograms have the same bounds");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let mut first = Report::new(2);
        let mut second = Report::new(2);
        let answer = |status| Ok(Answer { status, bytes: 10 });
        let millis = Duration::from_millis;
        first.targets[0].record(millis(1), answer(200));
        first.targets[1].record(millis(3), answer(503));
        second.targets[0].record(millis(2), answer(200));
        second.targets[0].record(millis(9), Err((ErrorKind::Timeout, "first".into())));
        second.targets[0].record(millis(9), Err((ErrorKind::Timeout, "second".into())));
        second.resent = 1;
        first.add(&second);
        let total = first.total();
        assert_eq!(total.requests, 5);
        assert_eq!(total.statuses, BTreeMap::from([(200, 2), (503, 1)]));
        assert_eq!((total.succeeded(), total.failed()), (2, 2));
        assert_eq!(total.bytes_received, 30);
        let timeouts = total.error(ErrorKind::Timeout);
        assert_eq!(
            (timeouts.count, timeouts.first.as_deref()),
            (2, Some("first"))
        );
        assert_eq!(first.resent, 1);
        assert_eq!(total.latency.len(), 3);
        assert_eq!(
            first.targets[1].latency_at(0.5),
            Some(Duration::from_micros(3001))
        );
        assert_eq!(Report::new(1).total().latency_at(0.5), None);
    }

    #[test]
    fn kinds_are_indices() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
    }
}
