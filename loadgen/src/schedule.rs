//! When requests are meant to be sent, and to which target each one goes.
//!
//! The times are fixed before the run starts, whatever becomes of the requests. Latency is counted
//! from these times, so that a server which stalls cannot hide the requests that it kept from being
//! sent.

use std::time::Duration;

use crate::{
    plan::{Arrivals, Stop},
    time::{Nanos, nanos},
};

/// A worker among all that share a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) worker: u64,
    pub(crate) workers: u64,
}

impl Share {
    /// The worker's part of `count` things; the parts of all workers add up to it.
    pub(crate) fn of(self, count: u64) -> u64 {
        count / self.workers + u64::from(self.worker < count % self.workers)
    }
}

/// How many requests are meant to have been sent by which time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// Nanoseconds from one to the next, once the ramp is over.
    interval: f64,
    ramp_nanos: f64,
}

impl Profile {
    /// `rate` per second is greater than 0 and reached at the end of `ramp`.
    pub(crate) fn new(rate: f64, ramp: Duration) -> Self {
        Self {
            interval: 1e9 / rate,
            ramp_nanos: nanos(ramp) as f64,
        }
    }

    /// When `count` requests have been sent: during the ramp count = rate * time^2 / (2 * ramp).
    fn time_of(&self, count: f64) -> Nanos {
        let in_ramp = self.ramp_nanos / (2.0 * self.interval);
        let time = if count < in_ramp {
            (2.0 * count * self.interval * self.ramp_nanos).sqrt()
        } else {
            count * self.interval + self.ramp_nanos / 2.0
        };
        time.round() as Nanos
    }

    /// The first whole count whose time is `time` or later.
    fn first_at(&self, time: Nanos) -> u64 {
        let at = time as f64;
        let guess = if at < self.ramp_nanos {
            at * at / (2.0 * self.ramp_nanos * self.interval)
        } else {
            (at - self.ramp_nanos / 2.0) / self.interval
        };
        // The inverse can be off by one either way; `time_of` decides.
        let mut count = guess as u64;
        while count > 0 && self.time_of((count - 1) as f64) >= time {
            count -= 1;
        }
        while self.time_of(count as f64) < time {
            count += 1;
        }
        count
    }
}

/// The due times of one worker, one after another.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    profile: Profile,
    process: Process,
    /// Requests due before it are not counted.
    counted_from: Nanos,
    /// Requests due at it or later are not part of the run.
    end: Nanos,
    /// Counted requests still to come.
    left: u64,
    next: Option<Nanos>,
}

/// Where requests stand between those of the whole run (even) or of this worker alone (random).
#[derive(Clone, Debug)]
enum Process {
    Even {
        index: u64,
        share: Share,
    },
    Random {
        position: f64,
        random: fastrand::Rng,
    },
}

impl Schedule {
    /// The share of a worker in a run of `rate` requests per second for all workers together.
    pub(crate) fn new(
        rate: f64,
        arrivals: Arrivals,
        ramp: Duration,
        warmup: Duration,
        stop: Stop,
        share: Share,
    ) -> Self {
        let counted_from = nanos(warmup);
        let (profile, process) = match arrivals {
            Arrivals::Constant => (
                Profile::new(rate, ramp),
                Process::Even {
                    index: share.worker,
                    share,
                },
            ),
            // Independent Poisson processes make up one with the sum of their rates.
            Arrivals::Exponential { seed } => (
                Profile::new(rate / share.workers as f64, ramp),
                Process::Random {
                    position: 0.0,
                    random: fastrand::Rng::with_seed(seed.wrapping_add(share.worker)),
                },
            ),
        };
        let (end, left) = match (stop, arrivals) {
            (Stop::Asked, _) => (Nanos::MAX, u64::MAX),
            (Stop::After(duration), _) => (nanos(warmup + duration), u64::MAX),
            (Stop::Requests(requests), Arrivals::Exponential { .. }) => {
                (Nanos::MAX, share.of(requests))
            }
            // Worker w has the indices w, w + workers, ...: as many below n as its share of n.
            (Stop::Requests(requests), Arrivals::Constant) => {
                let first = profile.first_at(counted_from);
                (Nanos::MAX, share.of(first + requests) - share.of(first))
            }
        };
        let mut schedule = Self {
            profile,
            process,
            counted_from,
            end,
            left,
            next: None,
        };
        schedule.advance();
        schedule
    }

    /// When the next request is due; `None` when there is none any more.
    pub(crate) fn due(&self) -> Option<Nanos> {
        self.next
    }

    /// Goes on to the request after the next.
    pub(crate) fn advance(&mut self) {
        let time = self.profile.time_of(self.process.step());
        let is_counted = time >= self.counted_from;
        let is_part = time < self.end && !(is_counted && self.left == 0);
        if is_counted {
            self.left = self.left.saturating_sub(1);
        }
        self.next = is_part.then_some(time);
    }
}

impl Process {
    /// The position of the next request.
    fn step(&mut self) -> f64 {
        match self {
            Self::Even { index, share } => {
                let position = *index as f64;
                *index += share.workers;
                position
            }
            Self::Random { position, random } => {
                // In (0, 1], so that the logarithm is finite.
                *position -= (1.0 - random.f64()).ln();
                *position
            }
        }
    }
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

    /// Index of the next request's target: each target gains its weight in credit, the one with
    /// most credit is chosen and pays the sum of all.
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
mod tests;
