//! The runtime of a load thread: the best ring that the kernel grants, or epoll.
//!
//! The runtime's timers are left out: they cost something at every turn of the loop, and `time.rs`
//! does without them.

use std::{future::Future, io};

pub use ringmain_ring::Rung;
use ringmain_ring::{Refused, WithoutTimers, ladder};

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

/// Entries of the submission queue: enough that it does not fill up within one turn of the loop.
const ENTRIES: u32 = 4096;

/// Runs `body` on the best rung that `io` allows and this thread can build.
///
/// # Errors
/// The kernel's answers to all rungs that were tried.
pub(crate) fn run<F: Future>(io: Io, body: impl FnOnce(Rung) -> F) -> io::Result<F::Output> {
    let rungs = match io {
        Io::Auto => ladder(false),
        Io::Uring => ladder(true),
        Io::Epoll => &[Rung::Epoll],
    };
    ringmain_ring::run::<WithoutTimers, F>(rungs, ENTRIES, |rung, _| body(rung))
        .map_err(|refusals| refused(io, &refusals))
}

fn refused(io: Io, refusals: &[Refused]) -> io::Error {
    let mut text = match io {
        Io::Auto => "the kernel grants neither io_uring nor epoll".to_owned(),
        Io::Uring => "the kernel grants no io_uring (--io epoll does without)".to_owned(),
        Io::Epoll => "the kernel grants no epoll".to_owned(),
    };
    for refusal in refusals {
        text += &format!("\n  {refusal}");
    }
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_that_was_tried_is_named() {
        let refusal = |rung, code| Refused {
            rung,
            error: io::Error::from_raw_os_error(code),
        };
        let refusals = [refusal(Rung::UringDefer, 22), refusal(Rung::UringPlain, 1)];
        let text = refused(Io::Uring, &refusals).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "the kernel grants no io_uring (--io epoll does without)"
        );
        assert!(
            lines[1].starts_with("  uring-defer: Invalid argument"),
            "{text}"
        );
        assert!(
            lines[2].starts_with("  uring: Operation not permitted"),
            "{text}"
        );
        assert_eq!(lines.len(), 3);
    }
}
