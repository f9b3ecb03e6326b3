//! What a thread has used of its CPU, as the kernel counts it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Of the calling thread, since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) cpu: Duration,
    /// It could have run, but its CPU ran something else. 0 where the kernel does not say.
    pub(crate) waited: Duration,
}

impl Used {
    pub(crate) fn now() -> Self {
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat");
        Self {
            cpu: Duration::try_from(cpu).unwrap_or_default(),
            waited: waited(&schedstat.unwrap_or_default()).unwrap_or_default(),
        }
    }
}

/// The second number: nanoseconds on a run queue.
fn waited(schedstat: &str) -> Option<Duration> {
    let nanos = schedstat.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_uses_its_cpu() {
        let before = Used::now();
        let spent = || Used::now().cpu.saturating_sub(before.cpu);
        while spent() < Duration::from_millis(2) {}
        assert!(Used::now().waited >= before.waited);
    }

    #[test]
    fn schedstat() {
        for (text, expected) in [("12 345 6\n", Some(345)), ("", None), ("1 x 2", None)] {
            assert_eq!(waited(text), expected.map(Duration::from_nanos), "{text:?}");
        }
    }
}
