//! The end of the demo: what happened in all, and whether it is what should have.

use std::time::Duration;

use ringmain_loadgen::{ErrorKind, Report};

use super::{
    observe::{Counts, EDGES},
    table,
    timeline::{Phase, judge},
};

/// A phase that is over.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) phase: Phase,
    /// Requests to v1, v2 and v3 of reviews, from the time the rule was in force.
    pub(super) requests: [u64; 3],
}

/// Everything the demo did.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) elapsed: Duration,
    pub(super) load: Report,
    pub(super) counts: Counts,
    pub(super) phases: Vec<Observed>,
}

impl Summary {
    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let total = self.load.total();
        let quantile = |quantile| {
            total
                .latency_at(quantile)
                .map_or("-".to_owned(), table::short)
        };
        let mut lines = vec![
            String::new(),
            format!(
                "sent {} requests in {:.1} s, {} succeeded; p50 {}, p99 {} from the time each was \
                 due",
                total.requests,
                self.elapsed.as_secs_f64(),
                total.succeeded(),
                quantile(0.5),
                quantile(0.99),
            ),
        ];
        lines.extend(table::summary(&self.counts));
        lines.push("  reviews by version".to_owned());
        for observed in &self.phases {
            let [v1, v2, v3] = observed.phase.wanted;
            lines.push(format!(
                "    wanted v1 {v1} %, v2 {v2} %, v3 {v3} %; observed {} of {} requests",
                table::shares(observed.requests),
                observed.requests.iter().sum::<u64>()
            ));
        }
        lines
    }

    /// Every way in which it is not what should have happened; empty when all is well.
    pub(super) fn problems(&self) -> Vec<String> {
        let total = self.load.total();
        let mut problems = Vec::new();
        if total.requests == 0 {
            problems.push("no request was sent".to_owned());
        }
        for kind in ErrorKind::ALL {
            let error = total.error(kind);
            if let Some(first) = &error.first {
                problems.push(format!(
                    "{} requests to the gateway failed ({}); the first: {first}",
                    error.count,
                    kind.name()
                ));
            }
        }
        for (status, count) in &total.statuses {
            if !(200..400).contains(status) {
                problems.push(format!(
                    "{count} requests to the gateway were answered {status}"
                ));
            }
        }
        for (edge, count) in EDGES.iter().zip(&self.counts) {
            if count.failed > 0 {
                let (failed, all) = (count.failed, count.requests);
                let edge = table::name(edge);
                problems.push(format!("{failed} of {all} requests {edge} failed"));
            }
        }
        for observed in &self.phases {
            if let Err(problem) = judge(observed.phase.wanted, observed.requests) {
                let title = observed.phase.title;
                problems.push(format!("while {title}: {problem}"));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{observe::read, timeline::PHASES};

    fn summary(requests: [u64; 3], status: u16) -> Summary {
        let mut counts = Counts::default();
        let scrape = format!(
            "istio_requests_total{{reporter=\"source\",destination_service_name=\"productpage\",\
             response_code=\"{status}\"}} 4\n"
        );
        read(&mut counts, "gateway", &scrape);
        let mut load = Report::new(1);
        load.targets[0].requests = 4;
        load.targets[0].statuses.insert(status, 4);
        Summary {
            elapsed: Duration::from_secs(2),
            load,
            counts,
            phases: vec![Observed {
                phase: PHASES[0],
                requests,
            }],
        }
    }

    #[test]
    fn all_well() {
        let summary = summary([4, 0, 0], 200);
        assert_eq!(summary.problems(), Vec::<String>::new());
        let text = summary.lines().join("\n");
        for part in [
            "sent 4 requests in 2.0 s, 4 succeeded",
            "gateway -> productpage",
            "wanted v1 100 %, v2 0 %, v3 0 %; observed v1 100.0 %, v2 0.0 %, v3 0.0 % of 4 requests",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_went_wrong_is_named() {
        check(
            summary([4, 0, 0], 503),
            &["answered 503", "4 of 4 requests gateway -> productpage"],
        );
        check(summary([3, 0, 1], 200), &["v3 got 1 requests"]);
        let mut broken = summary([4, 0, 0], 200);
        let timeouts = &mut broken.load.targets[0].errors[ErrorKind::Timeout as usize];
        timeouts.count = 2;
        timeouts.first = Some("late".to_owned());
        check(
            broken,
            &["2 requests to the gateway failed (timeout); the first: late"],
        );
        let mut silent = summary([4, 0, 0], 200);
        silent.load = Report::new(1);
        check(silent, &["no request was sent"]);
    }

    fn check(summary: Summary, expected: &[&str]) {
        let problems = summary.problems();
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{problem}");
        }
    }
}
