//! Time of a run, and waking up at a time.
//!
//! Times are nanoseconds since the start of the run, the same for all workers. The runtime's own
//! timers have a resolution of a millisecond, which is more than the latencies that are measured,
//! and cost something at every turn of the loop; so an [`Alarm`] is a timer of the kernel's that
//! the worker waits for like for a socket.

use std::{
    io,
    net::TcpStream as StdTcpStream,
    time::{Duration, Instant},
};

use monoio::net::TcpStream;
use rustix::{
    fd::OwnedFd,
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};

/// Nanoseconds since the start of the run.
pub(crate) type Nanos = u64;

/// Later than everything.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// Tells the time of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// The run starts at `start`; times before it are 0.
    pub(crate) fn new(start: Instant) -> Self {
        Self { start }
    }

    pub(crate) fn now(&self) -> Nanos {
        nanos(self.start.elapsed())
    }
}

pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// A timer with the kernel's resolution.
pub(crate) struct Alarm {
    timer: OwnedFd,
    /// The same timer, as what the runtime can wait for. It is never read from: setting a timer
    /// anew makes it unreadable until its time.
    waiter: TcpStream,
}

impl Alarm {
    /// # Errors
    /// When there is no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let waiter = TcpStream::from_std(StdTcpStream::from(timer.try_clone()?))?;
        Ok(Self { timer, waiter })
    }

    /// Returns when `after` has passed. May be dropped and called again.
    ///
    /// # Errors
    /// When the kernel refuses the timer, which it has no reason to.
    pub(crate) async fn wait(&self, after: Duration) -> io::Result<()> {
        // A time of 0 would stop the timer.
        let after = after.max(Duration::from_nanos(1));
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let setting = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(after.subsec_nanos()),
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &setting)?;
        self.waiter.readable(false).await
    }
}
