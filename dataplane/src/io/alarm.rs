//! Deadlines for what is waited for by being polled, and may be dropped: the futures of h2.
//!
//! A timer for each wait would cost more than the wait. An alarm is a number in the core's table of
//! deadlines, as a socket's is; the sweeper wakes the task when it is late. [`Alarm::guard`] then
//! gives up the future that was waited for.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use super::deadline::{Deadlines, Micros, Place};

/// A deadline of one task, which waits for one thing after another with it.
pub struct Alarm {
    place: Place,
    /// By hand: it rings for ever.
    is_ringing: Cell<bool>,
}

/// Why an alarm rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its time has come.
    Late,
    /// By hand ([`Alarm::ring`]).
    Called,
}

/// What was waited for did not come before the alarm rang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("given up: {}", match .0 {
    Why::Late => "it took too long",
    Why::Called => "it is not wanted any more",
})]
pub struct Late(pub Why);

impl Deadlines {
    /// An alarm of this core, which is not set.
    pub fn alarm(self: &Rc<Self>) -> Alarm {
        Alarm {
            place: self.place_for_task(),
            is_ringing: Cell::new(false),
        }
    }
}

impl Alarm {
    /// It rings at `at`, which may have passed. Replaces what was set before, and silences it if it
    /// rings for that.
    pub fn set(&self, at: Micros) {
        self.place.forget_expiry();
        self.place.set(at);
    }

    /// As [`Self::set`], `after` from now. Zero and durations beyond a century: never.
    pub fn set_after(&self, after: Duration) {
        self.place.forget_expiry();
        self.place.set_after(after);
    }

    /// It is not set any more, and silent unless it was rung by hand.
    pub fn clear(&self) {
        self.place.forget_expiry();
        self.place.clear();
    }

    /// Rings now, and from now on: nothing silences it. For others than the task that waits.
    pub fn ring(&self) {
        self.is_ringing.set(true);
        if let Some(waker) = self.place.take_waker() {
            waker.wake();
        }
    }

    /// It rings.
    pub fn rang(&self) -> Option<Why> {
        match (self.is_ringing.get(), self.place.expired()) {
            (true, _) => Some(Why::Called),
            (false, true) => Some(Why::Late),
            (false, false) => None,
        }
    }

    /// Waits for `future` until the alarm rings; what is ready comes first. Several waits may be
    /// under way in one task, but not in several tasks: only one is woken.
    ///
    /// # Errors
    /// The alarm rang, and `future` was dropped.
    pub async fn guard<F: Future>(&self, future: F) -> Result<F::Output, Late> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if let Some(why) = self.rang() {
                return Poll::Ready(Err(Late(why)));
            }
            self.place.wake_later(context.waker());
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        rc::Rc,
        time::Duration,
    };

    use super::{Alarm, Deadlines, Late, Why};
    use crate::io::{
        race::join,
        ring::{self, Rung},
        spawn,
    };

    /// Far beyond anything that happens in a test.
    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(3);

    /// Runs `body` with an alarm, on a ring and with epoll, while the sweeper runs.
    fn check(body: impl AsyncFn(Alarm, Rc<Deadlines>)) {
        let run = async |rung| {
            let table = Deadlines::new(rung);
            spawn(Rc::clone(&table).sweep());
            body(table.alarm(), table).await;
        };
        // Where the kernel refuses rings, it is epoll twice.
        for rungs in [ring::ladder(false), &[Rung::Epoll]] {
            assert!(ring::run(rungs, 64, |rung, _| run(rung)).is_ok());
        }
    }

    #[test]
    fn what_is_ready_comes_first() {
        check(async |alarm, table| {
            assert_eq!(alarm.guard(ready(1)).await, Ok(1));
            alarm.set_after(LONG);
            assert_eq!(alarm.guard(ready(2)).await, Ok(2));
            alarm.set(table.now());
            assert_eq!(alarm.guard(ready(3)).await, Ok(3));
            alarm.ring();
            assert_eq!(alarm.guard(ready(4)).await, Ok(4));
        });
    }

    #[test]
    fn it_rings_when_its_time_has_come_and_can_be_set_again() {
        check(async |alarm, table| {
            for _ in 0..3 {
                let start = table.now();
                alarm.set_after(SHORT);
                assert_eq!(alarm.rang(), None);
                let late = alarm.guard(pending::<()>()).await;
                assert_eq!(late, Err(Late(Why::Late)));
                assert!(table.now() - start >= SHORT.as_micros() as u64);
                assert_eq!(alarm.rang(), Some(Why::Late));
                assert_eq!(alarm.guard(pending::<()>()).await, late, "it still rings");
            }
            alarm.clear();
            assert_eq!(alarm.rang(), None);
        });
    }

    /// Whoever rings is another task, and nothing silences it.
    #[test]
    fn it_is_rung_by_hand() {
        check(async |alarm, table| {
            let alarm = Rc::new(alarm);
            alarm.set_after(LONG);
            let other = Rc::clone(&alarm);
            let bell = table.alarm();
            spawn(async move {
                bell.set_after(SHORT);
                assert!(bell.guard(pending::<()>()).await.is_err());
                other.ring();
            });
            let rung = alarm.guard(pending::<()>()).await;
            assert_eq!(rung, Err(Late(Why::Called)));
            alarm.set_after(LONG);
            alarm.clear();
            assert_eq!(alarm.guard(pending::<()>()).await, rung);
        });
    }

    #[test]
    fn one_that_was_cleared_or_moved_does_not_ring() {
        check(async |alarm, table| {
            let other = table.alarm();
            alarm.set_after(SHORT);
            alarm.set_after(LONG);
            other.set_after(3 * SHORT);
            assert!(other.guard(pending::<()>()).await.is_err());
            assert_eq!(alarm.rang(), None);
            alarm.set_after(SHORT);
            alarm.clear();
            other.set_after(3 * SHORT);
            let waits = std::pin::pin!(other.guard(pending::<()>()));
            let guarded = std::pin::pin!(alarm.guard(async {
                let late = table.alarm();
                late.set_after(2 * SHORT);
                late.guard(pending::<()>()).await
            }));
            let (first, second) = join(waits, guarded, |_| {}).await;
            assert_eq!(first, Err(Late(Why::Late)));
            assert_eq!(second, Ok(Err(Late(Why::Late))));
        });
    }
}
