//! Failures on purpose (`HTTPFaultInjection`): some requests wait, some are answered here.
//!
//! Whether a request waits and whether it is answered here are drawn independently, so with 50 %
//! each a quarter of the requests wait and are then aborted.

use std::time::Duration;

use ringmain_config::filter::{Abort, AbortWith, Delay, Fault as Source};

use super::is_drawn;

/// Failures on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    delay: Option<Delay>,
    abort: Option<Abort>,
}

impl From<Source> for Fault {
    fn from(source: Source) -> Self {
        Self {
            delay: source.delay.filter(|delay| !delay.duration.is_zero()),
            abort: source.abort,
        }
    }
}

impl Fault {
    /// How long a request waits; drawn only if some do.
    pub(super) fn delay(&self, random: &mut impl FnMut() -> u64) -> Option<Duration> {
        let delay = self.delay?;
        is_drawn(delay.share, random()).then_some(delay.duration)
    }

    /// How a request is answered; drawn only if some are.
    pub(super) fn abort(&self, random: &mut impl FnMut() -> u64) -> Option<AbortWith> {
        let abort = self.abort?;
        is_drawn(abort.share, random()).then_some(abort.with)
    }

    /// Both, for explanations.
    pub fn parts(&self) -> (Option<&Delay>, Option<&Abort>) {
        (self.delay.as_ref(), self.abort.as_ref())
    }
}
