//! Whether everything that was sent has arrived, once.

use crate::{
    load::{Direction, Generator, Outcome, What},
    origin::Counts,
};

/// What the origin was asked must be what the generator asked for, each once, and nothing may have
/// failed; what is wrong if anything is.
///
/// `origin`: what it had counted before and after; `None` of one that does not count.
pub(super) fn problem(
    what: &What,
    outcome: &Outcome,
    origin: Option<(Counts, Counts)>,
    slack: u64,
) -> Option<String> {
    if outcome.failures > 0 {
        let (failures, all) = (outcome.failures, outcome.failures + outcome.requests);
        return Some(format!(
            "{failures} of {all} requests failed: {}",
            outcome.complaint
        ));
    }
    if outcome.cut > 0 {
        return Some(format!(
            "{} directions of streams did not come to their ends",
            outcome.cut
        ));
    }
    let (before, after) = origin?;
    difference(what, outcome, before, after, slack)
}

/// Requests that the generator may have left without waiting for their answers.
pub(super) fn slack(generator: Generator, connections: u32) -> u64 {
    match generator {
        Generator::Ringmain => 0,
        // wrk neither counts its first answers nor waits for its last ones.
        Generator::Wrk => 4 * u64::from(connections),
    }
}

fn difference(
    what: &What,
    outcome: &Outcome,
    before: Counts,
    after: Counts,
    slack: u64,
) -> Option<String> {
    let (name, unit, exchanged, arrived) = match *what {
        What::Get(_)
        | What::Table(_)
        | What::Connect(_)
        | What::Secured(_)
        | What::Handshakes(..)
        | What::Streams(..)
        | What::Calls(..) => (
            "requests",
            1,
            outcome.requests,
            after.requests - before.requests,
        ),
        What::Post(_, bytes) => (
            "bytes of bodies",
            u64::from(bytes),
            outcome.requests * u64::from(bytes),
            after.body_bytes - before.body_bytes,
        ),
        What::Echo(bytes) => (
            "bytes",
            u64::from(bytes),
            outcome.requests * u64::from(bytes),
            after.echo_bytes - before.echo_bytes,
        ),
        // Streams are drained: nothing is on its way any more.
        What::Stream(Direction::Down) => (
            "bytes",
            0,
            outcome.bytes_in + outcome.drained_in,
            after.source_bytes - before.source_bytes,
        ),
        What::Stream(Direction::Up) => (
            "bytes",
            0,
            outcome.bytes_out + outcome.drained_out,
            after.sink_bytes - before.sink_bytes,
        ),
    };
    let accounted = (exchanged..=exchanged.saturating_add(slack * unit)).contains(&arrived);
    (!accounted).then(|| {
        format!("{exchanged} {name} were exchanged by the generator, {arrived} by the origin")
    })
}

#[cfg(test)]
mod tests {
    use super::{difference, problem};
    use crate::{
        load::{Direction, Outcome, What},
        origin::Counts,
    };

    fn outcome() -> Outcome {
        Outcome {
            requests: 10,
            bytes_in: 900,
            bytes_out: 800,
            drained_in: 100,
            drained_out: 200,
            ..Outcome::default()
        }
    }

    #[test]
    fn every_request_is_accounted_for() {
        let check = |what: What, arrived: Counts, slack: u64, expected: bool| {
            let problem = difference(&what, &outcome(), Counts::default(), arrived, slack);
            assert_eq!(problem.is_none(), expected, "{what:?} {problem:?}");
        };
        let none = Counts::default();
        let requests = |requests| Counts { requests, ..none };
        check(What::Get("/"), requests(10), 0, true);
        check(What::Get("/"), requests(9), 0, false);
        check(What::Get("/"), requests(11), 0, false);
        check(What::Get("/"), requests(11), 64, true);
        check(What::Connect("/"), requests(75), 64, false);
        let bodies = |body_bytes| Counts { body_bytes, ..none };
        check(What::Post("/", 7), bodies(70), 0, true);
        check(What::Post("/", 7), bodies(69), 0, false);
        check(What::Post("/", 7), bodies(77), 1, true);
        let echoed = |echo_bytes| Counts { echo_bytes, ..none };
        check(What::Echo(3), echoed(30), 0, true);
        check(What::Echo(3), echoed(33), 0, false);
        let taken = |sink_bytes| Counts { sink_bytes, ..none };
        let given = |source_bytes| Counts {
            source_bytes,
            ..none
        };
        for (bytes, expected) in [(1000, true), (999, false), (1001, false)] {
            // Whatever a generator may leave behind: streams are drained.
            for slack in [0, 64] {
                check(What::Stream(Direction::Up), taken(bytes), slack, expected);
                check(What::Stream(Direction::Down), given(bytes), slack, expected);
            }
        }
    }

    #[test]
    fn what_failed_is_a_problem_whatever_the_counts_are() {
        let check = |outcome: Outcome, expected: &str| {
            let found = problem(&What::Get("/"), &outcome, None, 0).unwrap();
            assert!(found.contains(expected), "{found}");
        };
        let failed = Outcome {
            failures: 2,
            complaint: "late".to_owned(),
            ..outcome()
        };
        check(failed, "2 of 12 requests failed: late");
        check(
            Outcome {
                cut: 1,
                ..outcome()
            },
            "1 directions of streams",
        );
        assert_eq!(problem(&What::Get("/"), &outcome(), None, 0), None);
    }
}
