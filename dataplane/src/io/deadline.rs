//! Deadlines of sockets and of tasks, kept by one sweeper per core.
//!
//! A request moves its connection's deadline several times; a timer for each move would cost more
//! than the request's routing. So a deadline is a number in a table: setting it is a store, and the
//! sweeper looks at the table when the earliest could have passed. A socket that is late is shut
//! down; the operation that waited on it then completes by itself, with its buffer. Nothing is ever
//! dropped in mid-operation. A task that waits for what may be dropped, such as a future of h2's,
//! is woken instead: that is [`Alarm`](super::alarm::Alarm).

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    os::fd::RawFd,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

use super::{
    race::{Either, race},
    ring::Rung,
    turn::Turns,
};

/// What happens to a socket that is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It receives nothing more: a pending read ends as if the peer had closed. What was received
    /// can still be answered.
    StopReading,
    /// It neither receives nor sends any more.
    Close,
}

/// Microseconds since the worker started.
pub type Micros = u64;

const NEVER: Micros = Micros::MAX;
/// The sweeper does not run more often than this, so that many short deadlines cost little; it is
/// also how late a deadline can be noticed.
const SWEEP_INTERVAL_MIN: Micros = 2_000;

/// One deadline.
struct Slot {
    at: Cell<Micros>,
    expired: Cell<bool>,
    /// Of a socket.
    expiry: Cell<Expiry>,
    target: Target,
}

/// What a deadline is about.
enum Target {
    Socket(RawFd),
    /// Who waits, if somebody does.
    Task(Cell<Option<Waker>>),
}

/// The deadlines of one core.
pub struct Deadlines {
    /// What the core runs on.
    pub(super) rung: Rung,
    /// Of its sockets.
    pub(super) turns: Turns,
    epoch: Micros,
    slots: RefCell<Vec<Option<Rc<Slot>>>>,
    free: RefCell<Vec<u32>>,
    /// When the sweeper runs next.
    next: Cell<Micros>,
    waker: RefCell<Option<Waker>>,
    is_moved: Cell<bool>,
}

/// A socket's deadline.
pub struct Deadline(Place);

/// A place in the table. Given back when dropped.
pub(super) struct Place {
    slot: Rc<Slot>,
    index: u32,
    table: Rc<Deadlines>,
}

impl Deadlines {
    /// An empty table. [`Self::sweep`] must run on this core for it to have any effect.
    pub fn new(rung: Rung) -> Rc<Self> {
        Rc::new(Self {
            rung,
            turns: Turns::default(),
            epoch: monotonic(),
            slots: RefCell::default(),
            free: RefCell::default(),
            next: Cell::new(NEVER),
            waker: RefCell::default(),
            is_moved: Cell::new(false),
        })
    }

    /// Time since the table was made.
    pub fn now(&self) -> Micros {
        monotonic() - self.epoch
    }

    /// A place for the socket `fd`, which must stay open until the place is dropped.
    pub(super) fn watch(self: &Rc<Self>, fd: RawFd) -> Deadline {
        Deadline(self.place(Target::Socket(fd)))
    }

    /// A place for a task.
    pub(super) fn place_for_task(self: &Rc<Self>) -> Place {
        self.place(Target::Task(Cell::default()))
    }

    fn place(self: &Rc<Self>, target: Target) -> Place {
        let slot = Rc::new(Slot {
            at: Cell::new(NEVER),
            expired: Cell::new(false),
            expiry: Cell::new(Expiry::Close),
            target,
        });
        let entry = Some(Rc::clone(&slot));
        let mut slots = self.slots.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => {
                slots[index as usize] = entry;
                index
            }
            None => {
                slots.push(entry);
                // Sockets are limited by file descriptors, tasks by the streams of each.
                u32::try_from(slots.len() - 1).expect("fewer than 2^32 deadlines")
            }
        };
        Place {
            slot,
            index,
            table: Rc::clone(self),
        }
    }

    /// Runs for ever: waits for the earliest deadline, then acts on all that have passed.
    pub async fn sweep(self: Rc<Self>) {
        loop {
            self.wait().await;
            let now = self.now();
            let mut next = NEVER;
            for slot in self.slots.borrow().iter().flatten() {
                if slot.at.get() <= now {
                    slot.expire();
                } else {
                    next = next.min(slot.at.get());
                }
            }
            self.next.set(if next == NEVER {
                NEVER
            } else {
                next.max(now + SWEEP_INTERVAL_MIN)
            });
        }
    }

    async fn wait(&self) {
        loop {
            let moved = poll_fn(|context| {
                if self.is_moved.take() {
                    return Poll::Ready(());
                }
                *self.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            });
            let next = self.next.get();
            if next == NEVER {
                moved.await;
                continue;
            }
            let pause = Duration::from_micros(next.saturating_sub(self.now()));
            match race(monoio::time::sleep(pause), moved).await {
                Either::First(()) => return,
                Either::Second(()) => {}
            }
        }
    }

    /// Lets the sweeper run at `at`, or as soon as it may; never later than it was to. Deadlines
    /// that have passed when they are set, one soon after the other, would keep it from all others.
    #[cold]
    fn bring_forward(&self, at: Micros) {
        let soonest = at.max(self.now() + SWEEP_INTERVAL_MIN);
        if soonest >= self.next.get() {
            return;
        }
        self.next.set(soonest);
        self.is_moved.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Deadline {
    /// The table that it is in.
    pub(super) fn table(&self) -> &Deadlines {
        &self.0.table
    }

    /// From `at` on, the socket suffers `expiry`. Replaces what was set before.
    #[inline]
    pub fn set(&self, at: Micros, expiry: Expiry) {
        self.0.slot.expiry.set(expiry);
        self.0.set(at);
    }

    /// As [`Self::set`], `after` from now. Zero and durations beyond a century: never.
    pub fn set_after(&self, after: Duration, expiry: Expiry) {
        self.0.slot.expiry.set(expiry);
        self.0.set_after(after);
    }

    /// No deadline any more.
    pub fn clear(&self) {
        self.0.clear();
    }

    /// It passed, and the socket was shut down for it.
    pub fn expired(&self) -> bool {
        self.0.expired()
    }
}

impl Place {
    #[inline]
    pub(super) fn set(&self, at: Micros) {
        self.slot.at.set(at);
        if at < self.table.next.get() {
            self.table.bring_forward(at);
        }
    }

    pub(super) fn set_after(&self, after: Duration) {
        if after.is_zero() || after > Duration::from_secs(100 * 366 * 86_400) {
            return self.clear();
        }
        let after = u64::try_from(after.as_micros()).expect("a century in microseconds fits");
        self.set(self.table.now() + after);
    }

    pub(super) fn clear(&self) {
        self.slot.at.set(NEVER);
    }

    /// It passed, and what was to happen has happened.
    pub(super) fn expired(&self) -> bool {
        self.slot.expired.get()
    }

    /// As if it had not passed yet.
    pub(super) fn forget_expiry(&self) {
        self.slot.expired.set(false);
    }

    /// Of a task: who is to be woken. Whoever was before is not any more.
    pub(super) fn wake_later(&self, waker: &Waker) {
        if let Target::Task(waiting) = &self.slot.target {
            let other = waiting.take().filter(|other| other.will_wake(waker));
            waiting.set(Some(other.unwrap_or_else(|| waker.clone())));
        }
    }

    /// Of a task: nobody is to be woken any more. Says who was.
    pub(super) fn take_waker(&self) -> Option<Waker> {
        match &self.slot.target {
            Target::Task(waiting) => waiting.take(),
            Target::Socket(_) => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.slots.borrow_mut()[self.index as usize] = None;
        self.table.free.borrow_mut().push(self.index);
    }
}

/// Without the arithmetic of [`std::time::Instant`], which costs as much as the reading: a request
/// reads the clock three times.
fn monotonic() -> Micros {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure outlives the call. This clock exists on every Linux, so there is no
    // error.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000 + now.tv_nsec.cast_unsigned() / 1_000
}

impl Slot {
    fn expire(&self) {
        self.at.set(NEVER);
        self.expired.set(true);
        let fd = match &self.target {
            Target::Socket(fd) => *fd,
            Target::Task(waiting) => {
                if let Some(waker) = waiting.take() {
                    waker.wake();
                }
                return;
            }
        };
        let how = match self.expiry.get() {
            Expiry::StopReading => libc::SHUT_RD,
            Expiry::Close => libc::SHUT_RDWR,
        };
        // SAFETY: shutdown touches no memory; the descriptor is open because the stream that owns
        // it drops its Deadline first. An error means that the peer was faster.
        unsafe { libc::shutdown(fd, how) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Deadlines, Expiry, NEVER, Rung};

    /// The descriptor is never used: no sweeper runs.
    const FD: i32 = -1;

    #[test]
    fn the_sweeper_is_brought_forward_and_never_postponed() {
        let table = Deadlines::new(Rung::Epoll);
        let (first, other) = (table.watch(FD), table.watch(FD));
        assert_eq!(table.next.get(), NEVER);
        let hour = table.now() + 3_600_000_000;
        first.set(hour, Expiry::Close);
        assert_eq!(table.next.get(), hour);
        other.set(hour + 1, Expiry::Close);
        assert_eq!(table.next.get(), hour);
        other.set(0, Expiry::Close);
        let next = table.next.get();
        assert!(next < hour);
        for _ in 0..1000 {
            other.set(0, Expiry::Close);
            assert_eq!(table.next.get(), next);
        }
    }
}
