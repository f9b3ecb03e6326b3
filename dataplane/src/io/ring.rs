//! Which completion machinery a worker runs on: the ladder from the best ring to epoll.
//!
//! Flags are worth 40 % of a request's CPU, and every rung has places where it is refused: old
//! kernels do not know the flags, containers' seccomp profiles and the sysctl
//! `kernel.io_uring_disabled` refuse io_uring as a whole. monoio's own fallback does not retry on
//! refused flags, so the ladder is climbed here. A rung is built inside the worker's own thread:
//! a SINGLE_ISSUER ring belongs to the thread that made it.

use std::{fmt, future::Future, io};

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder, time::TimeDriver};

/// How the kernel is asked to complete operations, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// io_uring; completions run when the loop waits for them (kernel 6.1).
    UringDefer,
    /// io_uring; completions run at the next system call (kernel 5.19).
    UringCoop,
    /// io_uring without flags.
    UringPlain,
    /// Readiness by epoll.
    Epoll,
}

impl Rung {
    /// Best first.
    pub const ALL: [Self; 4] = [
        Self::UringDefer,
        Self::UringCoop,
        Self::UringPlain,
        Self::Epoll,
    ];

    /// As in metrics, `/server_info` and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::UringDefer => "uring-defer",
            Self::UringCoop => "uring-coop",
            Self::UringPlain => "uring",
            Self::Epoll => "epoll",
        }
    }
}

/// A rung that was tried and refused.
#[derive(Debug)]
pub struct Refused {
    /// Which.
    pub rung: Rung,
    /// The kernel's answer.
    pub error: io::Error,
}

impl Refused {
    /// The likely cause, and what to do about it.
    fn remedy(&self) -> &'static str {
        match self.error.raw_os_error() {
            Some(libc::EPERM) => {
                "io_uring is forbidden here: set sysctl kernel.io_uring_disabled=0, or allow \
                 io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp \
                 profile"
            }
            Some(libc::ENOSYS) => {
                "this kernel has no io_uring, or a seccomp profile hides it: use Linux 5.15 or \
                 later, or allow io_uring_setup, io_uring_enter and io_uring_register"
            }
            Some(libc::EINVAL) => {
                "the kernel is too old for these ring flags (best from Linux 6.1 on)"
            }
            Some(libc::ENOMEM) => "not enough memory for the ring: lower workers.entries",
            _ => "see `man io_uring_setup` for this error",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {}; {}",
            self.rung.name(),
            self.error,
            self.remedy()
        )
    }
}

/// Runs `body` to its end on the first of `rungs` that this thread can build.
///
/// `body` is told the rung and every refusal before it.
///
/// # Errors
/// Every refusal when no rung could be built.
pub fn run<F, T>(
    rungs: &[Rung],
    entries: u32,
    body: impl FnOnce(Rung, &[Refused]) -> F,
) -> Result<T, Vec<Refused>>
where
    F: Future<Output = T>,
{
    let mut refusals = Vec::new();
    for &rung in rungs {
        let refused = match rung {
            Rung::Epoll => match epoll() {
                Ok(mut runtime) => return Ok(runtime.block_on(body(rung, &refusals))),
                Err(error) => Refused { rung, error },
            },
            Rung::UringDefer | Rung::UringCoop | Rung::UringPlain => match uring(rung, entries) {
                Ok(mut runtime) => return Ok(runtime.block_on(body(rung, &refusals))),
                Err(error) => Refused { rung, error },
            },
        };
        refusals.push(refused);
    }
    Err(refusals)
}

/// The rungs below `first` in order, `first` included; only io_uring's when `uring_only`.
pub fn ladder(uring_only: bool) -> &'static [Rung] {
    if uring_only {
        &Rung::ALL[..3]
    } else {
        &Rung::ALL
    }
}

fn uring(rung: Rung, entries: u32) -> io::Result<monoio::Runtime<TimeDriver<IoUringDriver>>> {
    let mut builder = io_uring::IoUring::builder();
    builder.setup_clamp();
    match rung {
        Rung::UringDefer => {
            builder.setup_single_issuer().setup_defer_taskrun();
        }
        Rung::UringCoop => {
            builder.setup_coop_taskrun();
        }
        Rung::UringPlain | Rung::Epoll => {}
    }
    RuntimeBuilder::<IoUringDriver>::new()
        .uring_builder(builder)
        .with_entries(entries)
        .enable_timer()
        .build()
}

fn epoll() -> io::Result<monoio::Runtime<TimeDriver<LegacyDriver>>> {
    RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()
}
