//! Waiting for a state, with a deadline: the only way in which a test waits.

use std::{
    fmt::Display,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Nothing that works takes so long, on however busy a machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often a state is looked at that nobody announces.
const PAUSE: Duration = Duration::from_millis(5);

/// The first value of `look`; a panic that names `what` and the last `Err` when there is none in
/// time.
pub fn until<T, E: Display>(what: impl Display, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if Instant::now() > deadline => {
                panic!("waited {PATIENCE:?} for {what}; last seen: {seen}")
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// As [`until`], for a number that must become `expected`.
pub fn until_equal<T: PartialEq + std::fmt::Debug>(
    what: impl Display,
    expected: T,
    mut look: impl FnMut() -> T,
) {
    until(format!("{what} to be {expected:?}"), || {
        let seen = look();
        if seen == expected {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
}

/// Something that one thread waits for and another lets happen.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Closed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open. Gives up after [`PATIENCE`]: whoever should open it has failed, and
    /// says so elsewhere.
    pub fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(closed, PATIENCE, |open| !*open));
    }
}
