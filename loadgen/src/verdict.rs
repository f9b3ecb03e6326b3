//! Whether the generator itself decided the result.
//!
//! A generator that cannot keep up adds its own delay to every latency, and sends fewer requests
//! than the server could answer. Either makes the numbers say something about the wrong program.

use std::{fmt, time::Duration};

use crate::report::{Report, ThreadUse};

/// Why the generator, not the server, decided the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bottleneck {
    /// A worker's thread had no time left.
    Cpu {
        /// Which worker.
        worker: usize,
        /// Share of the time that it ran, 0 to 1.
        ran: f64,
        /// Share of the time that it could have run while its CPU ran something else, 0 to 1.
        waited: f64,
    },
    /// Requests were sent late although a connection was free.
    Slip {
        /// Lateness that 99 of 100 requests did not exceed.
        slip: Duration,
        /// Latency that 99 of 100 answers did not exceed, which includes it.
        latency: Duration,
    },
}

/// A thread that ran or waited to run for longer than this share of the time had no reserve: what
/// it would have done in the rest is lost in waiting for completions that come together.
const BUSY_SHARE: f64 = 0.95;
/// Waking a thread that sleeps takes some ten microseconds, some hundred on a virtual machine; a
/// lateness above this means that the thread did not get a CPU, for which the scheduler's slices
/// are of this size.
const SLIP_MAX: Duration = Duration::from_millis(1);
/// A lateness that is a smaller share of the latency changes nothing of what that says.
const SLIP_SHARE_MIN: f64 = 0.1;
/// A shorter lateness is a fault, too, when this share of the latency is not the server's ...
const SLIP_SHARE: f64 = 0.5;
/// ... unless it is what waking up takes, which no generator that sleeps can do without.
const SLIP_MIN: Duration = Duration::from_micros(200);

impl fmt::Display for Bottleneck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu {
                worker,
                ran,
                waited,
            } => write!(
                formatter,
                "worker {worker} of the generator ran {:.0} % of the time and waited {:.0} % of it \
                 for its CPU; use more workers, other CPUs, or a lower rate",
                ran * 100.0,
                waited * 100.0
            ),
            Self::Slip { slip, latency } => write!(
                formatter,
                "the generator sent 1 of 100 requests {slip:?} late or later although a connection \
                 was free, and the p99 of {latency:?} includes that; give it CPUs of its own, or a \
                 lower rate",
            ),
        }
    }
}

/// The reason that weighs most, if there is one.
pub(crate) fn bottleneck(report: &Report) -> Option<Bottleneck> {
    busy(&report.workers).or_else(|| {
        let slip = Duration::from_micros(report.slip.value_at_quantile(0.99));
        let latency = report.total().latency_at(0.99)?;
        late(slip, latency)
    })
}

fn busy(workers: &[ThreadUse]) -> Option<Bottleneck> {
    let share = |part: Duration, thread: &ThreadUse| match thread.wall.as_secs_f64() {
        0.0 => 0.0,
        wall => part.as_secs_f64() / wall,
    };
    workers
        .iter()
        .enumerate()
        .map(|(worker, thread)| {
            (
                worker,
                share(thread.cpu, thread),
                share(thread.waited, thread),
            )
        })
        .filter(|(_, ran, waited)| ran + waited > BUSY_SHARE)
        .max_by(|one, other| (one.1 + one.2).total_cmp(&(other.1 + other.2)))
        .map(|(worker, ran, waited)| Bottleneck::Cpu {
            worker,
            ran,
            waited,
        })
}

fn late(slip: Duration, latency: Duration) -> Option<Bottleneck> {
    let share = slip.as_secs_f64() / latency.as_secs_f64();
    let is_late =
        slip > SLIP_MAX && share > SLIP_SHARE_MIN || slip > SLIP_MIN && share > SLIP_SHARE;
    is_late.then_some(Bottleneck::Slip { slip, latency })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_without_reserve() {
        let thread = |cpu, waited| ThreadUse {
            wall: Duration::from_millis(1000),
            cpu: Duration::from_millis(cpu),
            waited: Duration::from_millis(waited),
        };
        assert_eq!(busy(&[]), None);
        assert_eq!(busy(&[ThreadUse::default()]), None);
        assert_eq!(busy(&[thread(940, 0), thread(500, 400)]), None);
        let found = busy(&[thread(100, 0), thread(960, 0), thread(500, 490)]);
        let expected = Bottleneck::Cpu {
            worker: 2,
            ran: 0.5,
            waited: 0.49,
        };
        assert_eq!(found, Some(expected));
        let text = expected.to_string();
        assert!(text.contains("ran 50 %") && text.contains("49 %"), "{text}");
    }

    #[test]
    fn lateness() {
        let cases = [
            (10, 20, false),
            (199, 200, false),
            (300, 500, true),
            (300, 700, false),
            (1_001, 10_000, true),
            (1_001, 1_000_000, false),
            (50_000, 1_000_000, false),
            (150_000, 1_000_000, true),
        ];
        for (slip, latency, expected) in cases {
            let found = late(Duration::from_micros(slip), Duration::from_micros(latency));
            assert_eq!(found.is_some(), expected, "{slip} of {latency}");
        }
    }
}
