//! The runtime and its sockets. monoio is named nowhere else in the data plane, and this folder is
//! the only one with `unsafe`.
//!
//! Three rules hold the rest of the data plane together:
//!
//! - A write owns its buffer until it completes, and its future is never dropped before: nobody
//!   would know what was sent. What must stop is stopped by [`deadline`], which shuts the socket
//!   down, and then the future completes. A receive waits without a buffer and may be dropped.
//! - Nothing here blocks the core: no name resolution, no files.
//! - Everything belongs to one core; nothing is `Send`.

#![allow(unsafe_code)]

pub mod alarm;
pub mod bridge;
pub mod buffer;
pub mod deadline;
pub mod doorbell;
pub mod listen;
pub mod memory;
pub mod pipe;
pub mod race;
pub mod ring;
mod socket;
pub mod stream;
pub mod turn;

use std::{future::Future, time::Duration};

/// Starts a task on this core. It is never cancelled.
#[allow(clippy::disallowed_methods, reason = "everybody else calls this")]
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(task));
}

/// Completes after `duration`, rounded up to a millisecond.
pub async fn sleep(duration: Duration) {
    monoio::time::sleep(duration).await;
}
