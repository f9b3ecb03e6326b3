//! What happened second by second, noted by a thread that mostly sleeps.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    live::{Live, Snapshot},
    report::Second,
};

/// The last part of a run counts as a second of its own from this length on; a shorter one belongs
/// to the second before, where its few requests do not look like a rate.
const TAIL_MIN: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);

/// The seconds that are over.
pub(crate) type Seconds = Arc<Mutex<Vec<Second>>>;

/// Notes seconds from `origin` on, until `over` is set and its thread is unparked.
pub(crate) fn keep(workers: &[Arc<Live>], origin: Instant, seconds: &Seconds, over: &AtomicBool) {
    let mut book = Book {
        looks: vec![(Duration::ZERO, Snapshot::empty())],
    };
    loop {
        let next = origin + book.last() + SECOND;
        loop {
            let pause = next.saturating_duration_since(Instant::now());
            if pause.is_zero() || over.load(Ordering::Acquire) {
                break;
            }
            thread::park_timeout(pause);
        }
        // Read before the counts, so that the last look sees all of them.
        let is_over = over.load(Ordering::Acquire);
        let at = Instant::now().saturating_duration_since(origin);
        let noted = book.look(at, sum(workers), is_over);
        let mut seconds = seconds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Noted::Longer(_) = noted {
            seconds.pop();
        }
        if let Noted::New(second) | Noted::Longer(second) = noted {
            seconds.push(second);
        }
        if is_over {
            return;
        }
    }
}

pub(crate) fn sum(workers: &[Arc<Live>]) -> Snapshot {
    let mut sum = Snapshot::empty();
    for live in workers {
        sum.add(live);
    }
    sum
}

/// What was there at the last looks.
struct Book {
    /// The last two at most.
    looks: Vec<(Duration, Snapshot)>,
}

/// What a look found.
enum Noted {
    New(Second),
    /// It takes the place of the last one.
    Longer(Second),
    Nothing,
}

impl Book {
    fn last(&self) -> Duration {
        self.looks.last().map_or(Duration::ZERO, |look| look.0)
    }

    fn look(&mut self, at: Duration, now: Snapshot, is_over: bool) -> Noted {
        let is_tail = is_over && at.saturating_sub(self.last()) < TAIL_MIN;
        if is_tail && self.looks.len() > 1 {
            return Noted::Longer(second(&self.looks[0], at, &now));
        }
        let (last, before) = self.looks.last().expect("there is a first look");
        if at <= *last && now.requests == before.requests {
            return Noted::Nothing;
        }
        let noted = second(&(*last, before.clone()), at, &now);
        if self.looks.len() > 1 {
            self.looks.remove(0);
        }
        self.looks.push((at, now));
        Noted::New(noted)
    }
}

fn second(from: &(Duration, Snapshot), end: Duration, now: &Snapshot) -> Second {
    let part = now.since(&from.1);
    Second {
        end,
        length: end.saturating_sub(from.0),
        requests: part.requests,
        errors: part.errors,
        bytes_in: part.bytes_in,
        bytes_out: part.bytes_out,
        p50: part.latency_at(0.5),
        p90: part.latency_at(0.9),
        p99: part.latency_at(0.99),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(requests: u64) -> Snapshot {
        let mut snapshot = Snapshot::empty();
        snapshot.requests = requests;
        snapshot
    }

    /// Feeds looks at milliseconds with requests seen until then; the last one ends the run.
    fn check(looks: &[(u64, u64)], expected: &[(u64, u64, u64)]) {
        let mut book = Book {
            looks: vec![(Duration::ZERO, Snapshot::empty())],
        };
        let mut seconds = Vec::new();
        for (index, &(millis, requests)) in looks.iter().enumerate() {
            let is_over = index + 1 == looks.len();
            match book.look(Duration::from_millis(millis), counted(requests), is_over) {
                Noted::New(second) => seconds.push(second),
                Noted::Longer(second) => {
                    seconds.pop();
                    seconds.push(second);
                }
                Noted::Nothing => {}
            }
        }
        let found: Vec<_> = seconds
            .iter()
            .map(|second| {
                let millis = |duration: Duration| duration.as_millis() as u64;
                (millis(second.end), millis(second.length), second.requests)
            })
            .collect();
        assert_eq!(found, expected, "{looks:?}");
    }

    #[test]
    fn every_request_is_in_one_second() {
        check(&[(0, 0)], &[]);
        check(&[(300, 7)], &[(300, 300, 7)]);
        check(
            &[(1000, 5), (2003, 9), (2600, 10)],
            &[(1000, 1000, 5), (2003, 1003, 4), (2600, 597, 1)],
        );
        check(
            &[(1000, 5), (2000, 9), (2001, 10)],
            &[(1000, 1000, 5), (2001, 1001, 5)],
        );
        check(&[(1000, 5), (1001, 6)], &[(1001, 1001, 6)]);
    }
}
