//! Which completion machinery a thread runs on: the ladder from the best ring to epoll.
//!
//! Flags are worth 40 % of a request's CPU, and every rung has places where it is refused: old
//! kernels do not know the flags, containers' seccomp profiles and the sysctl
//! `kernel.io_uring_disabled` refuse io_uring as a whole. monoio's own fallback does not retry on
//! refused flags, so the ladder is climbed here. A rung is built inside the thread that uses it:
//! a SINGLE_ISSUER ring belongs to the thread that made it.
//!
//! What runs on it is the caller's: the workers of a proxy, the threads of a load generator.

use std::{fmt, future::Future, io};

use monoio::{Driver, IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder, time::TimeDriver};

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

    /// As in metrics, results, `/server_info` and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::UringDefer => "uring-defer",
            Self::UringCoop => "uring-coop",
            Self::UringPlain => "uring",
            Self::Epoll => "epoll",
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The rungs in order; only io_uring's when `uring_only`.
pub fn ladder(uring_only: bool) -> &'static [Rung] {
    if uring_only {
        &Rung::ALL[..3]
    } else {
        &Rung::ALL
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
            Some(libc::ENOMEM) => {
                "not enough memory for the ring: lower workers.entries of a proxy, or raise the \
                 limit of locked memory (ulimit -l)"
            }
            Some(libc::EMFILE | libc::ENFILE) => "too many open files: raise the limit (ulimit -n)",
            _ => "see `man io_uring_setup` for this error",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rung, error } = self;
        write!(formatter, "{rung}: {error}; {}", self.remedy())
    }
}

/// How runtimes are finished: with timers, which cost something at every turn of the loop, or
/// without.
pub trait Finish {
    /// Of rungs of io_uring.
    type Uring: Driver;
    /// Of epoll.
    type Epoll: Driver;

    /// # Errors
    /// The kernel's answer.
    fn uring(builder: RuntimeBuilder<IoUringDriver>) -> io::Result<Runtime<Self::Uring>>;

    /// # Errors
    /// The kernel's answer.
    fn epoll(builder: RuntimeBuilder<LegacyDriver>) -> io::Result<Runtime<Self::Epoll>>;
}

/// monoio's timers work.
#[derive(Debug)]
pub struct WithTimers;

/// monoio's timers panic.
#[derive(Debug)]
pub struct WithoutTimers;

impl Finish for WithTimers {
    type Uring = TimeDriver<IoUringDriver>;
    type Epoll = TimeDriver<LegacyDriver>;

    fn uring(builder: RuntimeBuilder<IoUringDriver>) -> io::Result<Runtime<Self::Uring>> {
        builder.enable_timer().build()
    }

    fn epoll(builder: RuntimeBuilder<LegacyDriver>) -> io::Result<Runtime<Self::Epoll>> {
        builder.enable_timer().build()
    }
}

impl Finish for WithoutTimers {
    type Uring = IoUringDriver;
    type Epoll = LegacyDriver;

    fn uring(builder: RuntimeBuilder<IoUringDriver>) -> io::Result<Runtime<Self::Uring>> {
        builder.build()
    }

    fn epoll(builder: RuntimeBuilder<LegacyDriver>) -> io::Result<Runtime<Self::Epoll>> {
        builder.build()
    }
}

/// Runs `body` to its end on the first of `rungs` that this thread can build. `entries`: of the
/// submission queue.
///
/// `body` is told the rung and every refusal before it.
///
/// # Errors
/// Every refusal when no rung could be built.
pub fn run<R: Finish, F: Future>(
    rungs: &[Rung],
    entries: u32,
    body: impl FnOnce(Rung, &[Refused]) -> F,
) -> Result<F::Output, Vec<Refused>> {
    let mut refusals = Vec::new();
    for &rung in rungs {
        // Runtimes of both kinds are different types, so each arm runs the body itself.
        let refused = match rung {
            Rung::Epoll => match R::epoll(RuntimeBuilder::new()) {
                Ok(mut runtime) => return Ok(runtime.block_on(body(rung, &refusals))),
                Err(error) => Refused { rung, error },
            },
            Rung::UringDefer | Rung::UringCoop | Rung::UringPlain => {
                match R::uring(uring(rung, entries)) {
                    Ok(mut runtime) => return Ok(runtime.block_on(body(rung, &refusals))),
                    Err(error) => Refused { rung, error },
                }
            }
        };
        refusals.push(refused);
    }
    Err(refusals)
}

fn uring(rung: Rung, entries: u32) -> RuntimeBuilder<IoUringDriver> {
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
    RuntimeBuilder::new()
        .uring_builder(builder)
        .with_entries(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do() {
        for (code, part) in [
            (libc::EPERM, "uring-defer: Operation not permitted"),
            (libc::EPERM, "kernel.io_uring_disabled=0"),
            (libc::ENOSYS, "use Linux 5.15 or later"),
            (libc::EINVAL, "too old for these ring flags"),
            (libc::ENOMEM, "workers.entries"),
            (libc::EMFILE, "ulimit -n"),
            (libc::EIO, "man io_uring_setup"),
        ] {
            let refused = Refused {
                rung: Rung::UringDefer,
                error: io::Error::from_raw_os_error(code),
            };
            let text = refused.to_string();
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_body_runs_on_the_first_rung_that_can_be_built() {
        let found = run::<WithoutTimers, _>(&[Rung::Epoll], 8, |rung, refusals| {
            let refusals = refusals.len();
            async move { (rung, refusals) }
        });
        assert_eq!(found.unwrap(), (Rung::Epoll, 0));
        // Not asked for anything, nothing is refused.
        assert!(
            run::<WithTimers, _>(&[], 8, |_, _| async {})
                .unwrap_err()
                .is_empty()
        );
        assert_eq!(ladder(true).len() + 1, ladder(false).len());
    }
}
