//! The one-threaded tokio runtime of commands that wait for something, and the signals they end at.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::fault::Fault;

/// Runs `work` to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::new(format!("cannot start: {error}")))?
        .block_on(work)
}

/// The signals that end a command: SIGINT and SIGTERM. While one of these lives they do nothing
/// else.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Handles them from now on; must be called inside a tokio runtime.
    pub(crate) fn new() -> Result<Self, Fault> {
        let open = |kind| {
            signal(kind).map_err(|error| Fault::new(format!("cannot wait for signals: {error}")))
        };
        Ok(Self {
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
        })
    }

    /// The next of them. May be dropped and called again.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
