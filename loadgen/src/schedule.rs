//! When requests are meant to be sent, and to which target each one goes.
//!
//! The times are fixed before the run starts: request `k` of a rate `r` is due `k / r` seconds after
//! the start, whatever happened to the requests before it. Latency is counted from these times, so
//! that a server which stalls cannot hide the requests that it kept from being sent.

use std::time::Duration;

/// The due times of one worker: every `stride`-th request of the run, from `offset` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    interval_nanos: f64,
    offset: u64,
    stride: u64,
    /// Requests of this worker; `u64::MAX` when the run has no end of its own.
    count: u64,
}

impl Schedule {
    /// The share of worker `offset` among `stride`. `rate` is per second for the whole run and is
    /// greater than 0.
    pub(crate) fn new(rate: f64, duration: Option<Duration>, offset: u64, stride: u64) -> Self {
        let all = Self {
            interval_nanos: 1e9 / rate,
            offset: 0,
            stride: 1,
            count: u64::MAX,
        };
        let count = match duration {
            // A request due at the very end is not part of the run.
            Some(duration) => (all.due_by(duration) - u64::from(all.is_due_at(duration)))
                .saturating_sub(offset)
                .div_ceil(stride),
            None => u64::MAX,
        };
        Self {
            offset,
            stride,
            count,
            ..all
        }
    }

    /// Time from the start to the worker's request `index`; `None` when there is no such request.
    pub(crate) fn due(&self, index: u64) -> Option<Duration> {
        (index < self.count).then(|| self.time_of(index))
    }

    /// How many of the worker's requests are due when `elapsed` has passed.
    pub(crate) fn due_by(&self, elapsed: Duration) -> u64 {
        let nanos = nanos(elapsed) as f64;
        let step = self.interval_nanos * self.stride as f64;
        let guess = (nanos - self.offset as f64 * self.interval_nanos) / step;
        // The division can be off by one either way; `time_of` decides.
        let mut count = if guess < 0.0 { 0 } else { guess as u64 + 1 };
        while count > 0 && self.time_of(count - 1) > elapsed {
            count -= 1;
        }
        while self.time_of(count) <= elapsed {
            count += 1;
        }
        count.min(self.count)
    }

    fn is_due_at(&self, elapsed: Duration) -> bool {
        let count = self.due_by(elapsed);
        count > 0 && self.time_of(count - 1) == elapsed
    }

    fn time_of(&self, index: u64) -> Duration {
        let place = self.offset as f64 + index as f64 * self.stride as f64;
        Duration::from_nanos((place * self.interval_nanos) as u64)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Chooses targets in proportion to their weights, as evenly spread as the weights allow: after any
/// multiple of the weights' sum each target was chosen exactly in its proportion.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    weights: Vec<i64>,
    credit: Vec<i64>,
    sum: i64,
}

impl Mix {
    /// At least one of `weights` is greater than 0.
    pub(crate) fn new(weights: &[u32]) -> Self {
        let weights: Vec<i64> = weights.iter().map(|&weight| i64::from(weight)).collect();
        assert!(
            weights.iter().any(|&weight| weight > 0),
            "a checked plan has a target with weight"
        );
        Self {
            credit: vec![0; weights.len()],
            sum: weights.iter().sum(),
            weights,
        }
    }

    /// Index of the next request's target: each target gains its weight in credit, the one with most
    /// credit is chosen and pays the sum of all.
    pub(crate) fn next(&mut self) -> usize {
        let mut best = 0;
        for index in 0..self.weights.len() {
            self.credit[index] += self.weights[index];
            if self.credit[index] > self.credit[best] {
                best = index;
            }
        }
        self.credit[best] -= self.sum;
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn due_times() {
        check(
            10.0,
            Some(1000),
            0,
            1,
            &[0, 100, 200, 300, 400, 500, 600, 700, 800, 900],
        );
        check(
            10.0,
            Some(1001),
            0,
            1,
            &[0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000],
        );
        check(4.0, Some(1000), 0, 2, &[0, 500]);
        check(4.0, Some(1000), 1, 2, &[250, 750]);
        check(4.0, Some(750), 1, 2, &[250]);
        check(2.0, Some(400), 1, 2, &[]);
        check(1000.0, Some(3), 0, 1, &[0, 1, 2]);
    }

    fn check(rate: f64, millis: Option<u64>, offset: u64, stride: u64, expected_millis: &[u64]) {
        let schedule = Schedule::new(rate, millis.map(Duration::from_millis), offset, stride);
        let due: Vec<u64> = (0..)
            .map_while(|index| schedule.due(index))
            .map(|due| due.as_millis() as u64)
            .collect();
        assert_eq!(due, expected_millis, "{rate}/s, {offset} of {stride}");
    }

    #[test]
    fn mix() {
        check_mix(&[1], 5, &[5]);
        check_mix(&[3, 1], 8, &[6, 2]);
        check_mix(&[90, 10, 0], 1000, &[900, 100, 0]);
        check_mix(&[1, 1, 1], 4, &[2, 1, 1]);
    }

    fn check_mix(weights: &[u32], draws: usize, expected: &[usize]) {
        let mut mix = Mix::new(weights);
        let mut counts = vec![0; weights.len()];
        for _ in 0..draws {
            counts[mix.next()] += 1;
        }
        assert_eq!(counts, expected, "{weights:?}");
    }

    proptest! {
        #[test]
        fn due_by_agrees_with_due(
            rate in 0.1f64..2_000_000.0,
            stride in 1u64..8,
            millis in 0u64..100_000,
        ) {
            let offset = stride - 1;
            let schedule = Schedule::new(rate, None, offset, stride);
            let elapsed = Duration::from_millis(millis);
            let count = schedule.due_by(elapsed);
            prop_assert!(schedule.due(count).is_some_and(|due| due > elapsed));
            if count > 0 {
                prop_assert!(schedule.due(count - 1).is_some_and(|due| due <= elapsed));
            }
        }

        #[test]
        fn workers_share_the_whole(rate in 0.1f64..100_000.0, stride in 1u64..8, millis in 0u64..10_000) {
            let duration = Some(Duration::from_millis(millis));
            let whole = Schedule::new(rate, duration, 0, 1).count;
            let parts: u64 = (0..stride)
                .map(|offset| Schedule::new(rate, duration, offset, stride).count)
                .sum();
            prop_assert_eq!(whole, parts);
        }
    }
}
