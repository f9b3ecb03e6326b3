//! The runtime of a load thread: the best ring that the kernel grants, or epoll.
//!
//! A rung is built inside the thread that uses it, since a SINGLE_ISSUER ring belongs to the thread
//! that made it. monoio does not go on to another rung by itself when flags are refused. Its timers
//! are left out: they cost something at every turn of the loop, and `time.rs` does without them.

use std::{fmt, future::Future, io};

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

/// How the kernel is asked to complete operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Io {
    /// The best of io_uring's rungs, or epoll where io_uring is refused.
    #[default]
    Auto,
    /// io_uring or nothing.
    Uring,
    /// Readiness by epoll.
    Epoll,
}

/// What a thread runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// io_uring with SINGLE_ISSUER and DEFER_TASKRUN (kernel 6.1).
    UringDefer,
    /// io_uring with COOP_TASKRUN (kernel 5.19).
    UringCoop,
    /// io_uring without flags.
    Uring,
    /// epoll.
    Epoll,
}

impl Rung {
    const LADDER: [Self; 4] = [Self::UringDefer, Self::UringCoop, Self::Uring, Self::Epoll];

    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::UringDefer => "uring-defer",
            Self::UringCoop => "uring-coop",
            Self::Uring => "uring",
            Self::Epoll => "epoll",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Entries of the submission queue: enough that it does not fill up within one turn of the loop.
const ENTRIES: u32 = 4096;

/// Runs `body` on the best rung that `io` allows and this thread can build.
///
/// # Errors
/// The kernel's answer to the last rung that was tried.
pub(crate) fn run<F: Future>(io: Io, body: impl FnOnce(Rung) -> F) -> io::Result<F::Output> {
    let rungs = match io {
        Io::Auto => &Rung::LADDER[..],
        Io::Uring => &Rung::LADDER[..3],
        Io::Epoll => &Rung::LADDER[3..],
    };
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for &rung in rungs {
        // The two runtimes are different types, so each arm runs the body itself.
        if rung == Rung::Epoll {
            match RuntimeBuilder::<LegacyDriver>::new().build() {
                Ok(mut runtime) => return Ok(runtime.block_on(body(rung))),
                Err(error) => last = error,
            }
        } else {
            match uring(rung) {
                Ok(mut runtime) => return Ok(runtime.block_on(body(rung))),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn uring(rung: Rung) -> io::Result<monoio::Runtime<IoUringDriver>> {
    let mut builder = io_uring::IoUring::builder();
    match rung {
        Rung::UringDefer => builder.setup_single_issuer().setup_defer_taskrun(),
        Rung::UringCoop => builder.setup_coop_taskrun(),
        Rung::Uring | Rung::Epoll => &mut builder,
    };
    RuntimeBuilder::<IoUringDriver>::new()
        .uring_builder(builder)
        .with_entries(ENTRIES)
        .build()
}
