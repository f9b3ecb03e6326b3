//! Deadlines on sockets, kept by one sweeper per core.
//!
//! A request moves its connection's deadline several times; a timer for each move would cost more
//! than the request's routing. So a deadline is a number in a table: setting it is a store, and the
//! sweeper looks at the table when the earliest could have passed. A socket that is late is shut
//! down, or its read is cancelled; the operation that waited on it then completes by itself, with
//! its buffer. Nothing is ever dropped in mid-operation.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    os::fd::RawFd,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use monoio::io::{CancelHandle, Canceller};

use super::race::{Either, race};

/// What happens to a socket that is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Its pending cancelable read is cancelled; nothing is lost and the socket stays open.
    CancelRead,
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

struct Slot {
    fd: RawFd,
    at: Cell<Micros>,
    expiry: Cell<Expiry>,
    expired: Cell<bool>,
    canceller: RefCell<Option<Canceller>>,
}

/// The deadlines of one core's sockets.
pub struct Deadlines {
    epoch: Instant,
    slots: RefCell<Vec<Option<Slot>>>,
    free: RefCell<Vec<u32>>,
    /// When the sweeper runs next.
    next: Cell<Micros>,
    waker: RefCell<Option<Waker>>,
    rung: Cell<bool>,
}

/// A socket's place in the table. Given back when dropped.
pub struct Deadline {
    index: u32,
    table: Rc<Deadlines>,
}

impl Deadlines {
    /// An empty table. [`Self::sweep`] must run on this core for it to have any effect.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            epoch: Instant::now(),
            slots: RefCell::default(),
            free: RefCell::default(),
            next: Cell::new(NEVER),
            waker: RefCell::default(),
            rung: Cell::new(false),
        })
    }

    /// Time since the table was made.
    pub fn now(&self) -> Micros {
        u64::try_from(self.epoch.elapsed().as_micros()).expect("half a million years are enough")
    }

    /// A place for the socket `fd`, which must stay open until the place is dropped.
    pub(super) fn watch(self: &Rc<Self>, fd: RawFd) -> Deadline {
        let slot = Slot {
            fd,
            at: Cell::new(NEVER),
            expiry: Cell::new(Expiry::Close),
            expired: Cell::new(false),
            canceller: RefCell::default(),
        };
        let mut slots = self.slots.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => {
                slots[index as usize] = Some(slot);
                index
            }
            None => {
                slots.push(Some(slot));
                u32::try_from(slots.len() - 1).expect("sockets are limited by file descriptors")
            }
        };
        Deadline {
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
                if self.rung.take() {
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

    fn bring_forward(&self, at: Micros) {
        self.next.set(at);
        self.rung.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Deadline {
    /// From `at` on, the socket suffers `expiry`. Replaces what was set before.
    pub fn set(&self, at: Micros, expiry: Expiry) {
        self.with(|slot| {
            slot.at.set(at);
            slot.expiry.set(expiry);
        });
        if at < self.table.next.get() {
            self.table
                .bring_forward(at.max(self.table.now() + SWEEP_INTERVAL_MIN));
        }
    }

    /// As [`Self::set`], `after` from now. Zero and durations beyond a century: never.
    pub fn set_after(&self, after: Duration, expiry: Expiry) {
        if after.is_zero() || after > Duration::from_secs(100 * 366 * 86_400) {
            return self.clear();
        }
        let after = u64::try_from(after.as_micros()).expect("a century in microseconds fits");
        self.set(self.table.now() + after, expiry);
    }

    /// No deadline any more.
    pub fn clear(&self) {
        self.with(|slot| slot.at.set(NEVER));
    }

    /// It passed, and the socket was shut down for it. A cancelled read does not count.
    pub fn expired(&self) -> bool {
        self.with(|slot| slot.expired.get())
    }

    /// As if [`Expiry::CancelRead`] had been set to now.
    pub(super) fn cancel_receive(&self) {
        let canceller = self.with(|slot| slot.canceller.borrow_mut().take());
        drop(canceller.map(Canceller::cancel));
    }

    /// For a read that [`Expiry::CancelRead`] is to cancel. The canceller is kept from read to read
    /// until it is used.
    pub(super) fn cancel_handle(&self) -> CancelHandle {
        self.with(|slot| slot.canceller.borrow_mut().get_or_insert_default().handle())
    }

    fn with<T>(&self, read: impl FnOnce(&Slot) -> T) -> T {
        let slots = self.table.slots.borrow();
        read(
            slots[self.index as usize]
                .as_ref()
                .expect("a slot lives as long as its deadline"),
        )
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.table.slots.borrow_mut()[self.index as usize] = None;
        self.table.free.borrow_mut().push(self.index);
    }
}

impl Slot {
    fn expire(&self) {
        self.at.set(NEVER);
        let how = match self.expiry.get() {
            Expiry::CancelRead => {
                let canceller = self.canceller.borrow_mut().take();
                drop(canceller.map(Canceller::cancel));
                return;
            }
            Expiry::StopReading => libc::SHUT_RD,
            Expiry::Close => libc::SHUT_RDWR,
        };
        self.expired.set(true);
        // SAFETY: shutdown touches no memory; the descriptor is open because the stream that owns
        // it drops its Deadline first. An error means that the peer was faster.
        unsafe { libc::shutdown(self.fd, how) };
    }
}
