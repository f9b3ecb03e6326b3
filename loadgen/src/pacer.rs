//! Wakes a worker whenever requests are due, and tells it when the run is over.
//!
//! monoio's timers have a resolution of one millisecond, which is more than the latencies that are
//! measured. So the times are kept by a thread that sleeps on the kernel's high-resolution timer and
//! writes a byte to a socket pair of which the worker reads the other end. End of file means that
//! nothing will be due any more.

use std::{
    io::{self, Write},
    num::NonZeroU64,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::schedule::Schedule;

/// Requests that are due within it are sent together, so that a high rate does not turn the pacer
/// into a loop without sleep. A core wakes and sleeps again in about this time.
const SLEEP_MIN: Duration = Duration::from_micros(20);
/// The kernel may delay a wake-up by this to merge it with others; its default is 50 us.
const TIMER_SLACK_NANOS: NonZeroU64 = NonZeroU64::new(1_000).expect("not zero");

/// Runs until the schedule's last request is due or `stop` is set and the thread unparked. The
/// socket is closed when it returns.
pub(crate) fn pace(
    schedule: Schedule,
    start: Instant,
    report_interval: Duration,
    stop: &Arc<AtomicBool>,
    mut worker: UnixStream,
) -> io::Result<()> {
    // Refused only where prctl is; the run is then a little less exact, which its report shows.
    let _ = rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NANOS));
    worker.set_nonblocking(true)?;
    while !stop.load(Ordering::Relaxed) {
        let elapsed = start.elapsed();
        let Some(due) = schedule.due(schedule.due_by(elapsed)) else {
            return ring(&mut worker);
        };
        let pause = due.saturating_sub(elapsed).max(SLEEP_MIN);
        thread::park_timeout(pause.min(report_interval));
        ring(&mut worker)?;
    }
    Ok(())
}

fn ring(worker: &mut UnixStream) -> io::Result<()> {
    match worker.write(&[1]) {
        // A full socket means that the worker is being woken already.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
