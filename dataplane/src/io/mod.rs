//! The runtime and its sockets. monoio is named nowhere else in the data plane, and this folder is
//! the only one with `unsafe`.
//!
//! Three rules hold the rest of the data plane together:
//!
//! - A read or write owns its buffer until it completes, and its future is never dropped before: a
//!   dropped read may have consumed bytes. What must stop is stopped by [`deadline`], which shuts
//!   the socket down or cancels the read, and then the future completes.
//! - Nothing here blocks the core: no name resolution, no files.
//! - Everything belongs to one core; nothing is `Send`.

#![allow(unsafe_code)]

pub mod buffer;
pub mod deadline;
pub mod doorbell;
pub mod listen;
pub mod memory;
pub mod pipe;
pub mod race;
pub mod ring;
pub mod stream;

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
