//! What a worker counts.

use hdrhistogram::Histogram;

use super::{Worker, queue::Job};
use crate::{
    failure::Failed,
    protocol::{Answer, Protocol},
    report::{Drained, ErrorCount, Report, TargetReport, histogram, micros, record},
    time::Nanos,
};

pub(crate) struct Tally {
    targets: Vec<TargetTally>,
    pub(super) slip: Histogram<u64>,
    pub(super) connect: Histogram<u64>,
    pub(super) connections: u64,
    pub(super) resent: u64,
    pub(super) drained: Drained,
    answered_in_time: u64,
}

struct TargetTally {
    report: TargetReport,
    /// The status of the last answers and how many they are, on their way into the report: one
    /// status follows the same one nearly always.
    status: (u16, u64),
}

impl Tally {
    /// The distributions of many targets are much memory, which takes a while to become resident.
    pub(crate) fn new(targets: usize) -> Self {
        let target = || TargetTally {
            report: TargetReport::new(),
            status: (0, 0),
        };
        Self {
            targets: (0..targets).map(|_| target()).collect(),
            slip: histogram(),
            connect: histogram(),
            connections: 0,
            resent: 0,
            drained: Drained::default(),
            answered_in_time: 0,
        }
    }

    pub(super) fn into_report(self, report: &mut Report) {
        report.targets = self
            .targets
            .into_iter()
            .map(|mut target| {
                target.flush_status();
                target.report
            })
            .collect();
        report.slip = self.slip;
        report.connect = self.connect;
        report.connections = self.connections;
        report.resent = self.resent;
        report.drained = self.drained;
        report.answered_in_time = self.answered_in_time;
    }

    /// Part of a stream.
    fn moved(&mut self, target: usize, answer: &Answer, in_time: bool) {
        let report = &mut self.targets[target].report;
        let (bytes_in, bytes_out) = match in_time {
            true => (&mut report.bytes_in, &mut report.bytes_out),
            false => (&mut self.drained.bytes_in, &mut self.drained.bytes_out),
        };
        *bytes_in += answer.bytes_in;
        *bytes_out += answer.bytes_out;
    }

    fn answered(&mut self, target: usize, latency: Nanos, answer: &Answer, in_time: bool) {
        let target = &mut self.targets[target];
        let report = &mut target.report;
        report.bytes_in += answer.bytes_in;
        report.bytes_out += answer.bytes_out;
        report.requests += 1;
        report.answered += 1;
        record(&mut report.latency, micros(latency));
        self.answered_in_time += u64::from(in_time);
        if let Some(status) = answer.status {
            if target.status.0 != status {
                target.flush_status();
                target.status.0 = status;
            }
            target.status.1 += 1;
        }
    }

    fn failed(&mut self, target: usize, failed: Failed) {
        let report = &mut self.targets[target].report;
        report.requests += 1;
        let ErrorCount { count, first } = &mut report.errors[failed.kind as usize];
        *count += 1;
        first.get_or_insert(failed.what);
    }
}

impl TargetTally {
    fn flush_status(&mut self) {
        let (status, count) = std::mem::take(&mut self.status);
        if count > 0 {
            *self.report.statuses.entry(status).or_default() += count;
        }
    }
}

impl<P: Protocol> Worker<P> {
    /// A request has ended. It counts if it was begun after the warm-up: at `begun`, which may be
    /// before the time from which its latency counts.
    pub(super) fn record(
        &self,
        begun: Nanos,
        job: Job,
        ended: Nanos,
        outcome: Result<Answer, Failed>,
    ) {
        if begun < self.settings.warmup {
            return;
        }
        self.last_end.set(ended);
        let in_time = ended <= self.end.get();
        let mut tally = self.tally.borrow_mut();
        match outcome {
            Ok(answer) if self.settings.kind.is_stream() => {
                tally.moved(job.target, &answer, in_time);
                if in_time {
                    self.live.moved(answer.bytes_in, answer.bytes_out);
                }
            }
            Ok(answer) => {
                let latency = ended.saturating_sub(job.due);
                tally.answered(job.target, latency, &answer, in_time);
                self.live.moved(answer.bytes_in, answer.bytes_out);
                let kind = self.settings.kind;
                let is_refusal = answer.status.is_some_and(|status| !kind.is_success(status));
                self.live.answered(latency, is_refusal);
            }
            Err(failed) => {
                tally.failed(job.target, failed);
                self.live.failed();
            }
        }
    }
}
