//! How long to wait before the next try: doubling from a first wait to a greatest one, jittered so
//! that many proxies of one host do not try in step. Pure; random bits are arguments.

use std::time::Duration;

/// The waits of one thing that is tried again and again.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    first: Duration,
    max: Duration,
    next: Duration,
}

impl BackOff {
    /// Waits grow from `first` to `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            next: first,
        }
    }

    /// The next wait, between half of its step and all of it; the step after it is twice as long.
    pub fn wait(&mut self, random: u64) -> Duration {
        let step = self.next.min(self.max);
        self.next = step.saturating_mul(2).min(self.max);
        jittered(step, random)
    }

    /// The thing went well: the next wait is a first one.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between half of `duration` and all of it, by `random`.
pub fn jittered(duration: Duration, random: u64) -> Duration {
    let half = duration / 2;
    let span = u64::try_from((duration - half).as_nanos()).unwrap_or(u64::MAX);
    half + Duration::from_nanos(random % span.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::{BackOff, jittered};
    use std::time::Duration;

    #[test]
    fn doubles_to_the_greatest_and_starts_again() {
        let milliseconds = Duration::from_millis;
        let mut back_off = BackOff::new(milliseconds(100), milliseconds(500));
        for step in [100, 200, 400, 500, 500] {
            let wait = back_off.wait(u64::MAX / 3);
            assert!(
                (milliseconds(step / 2)..=milliseconds(step)).contains(&wait),
                "{step}: {wait:?}"
            );
        }
        back_off.reset();
        assert!(back_off.wait(7) <= milliseconds(100));
    }

    #[test]
    fn jitter_is_between_half_and_whole() {
        for (duration, random) in [
            (Duration::ZERO, 9),
            (Duration::from_secs(60), 0),
            (Duration::from_secs(60), u64::MAX),
            (Duration::MAX, u64::MAX),
        ] {
            let wait = jittered(duration, random);
            assert!(wait >= duration / 2 && wait <= duration, "{duration:?}");
        }
    }
}
