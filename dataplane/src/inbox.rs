//! Everything that crosses cores, and nothing else does.
//!
//! Into a worker: a snapshot (latest wins), accepted sockets and commands. Out of it: which
//! snapshot it uses, how many connections it has, snapshots to be freed; counters and log lines
//! have their own queues ([`crate::metrics`], [`crate::access_log`]). Every queue is bounded.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use crossbeam::{atomic::AtomicCell, queue::ArrayQueue};
use ringmain_core::snapshot::ListenerId;
use tokio::sync::Notify;

use crate::{
    configuration::Configuration,
    io::{doorbell::Button, stream::Accepted},
};

/// Sockets that wait for a worker to take them. A worker that does not keep up is not handed more.
const HANDED_MAX: usize = 1024;
/// Commands that wait for a worker: listeners that come and go, and two for its end.
const COMMANDS_MAX: usize = 4096;
/// Snapshots that wait to be freed; beyond it the worker frees them itself.
const RETIRED_MAX: usize = 64;

/// A snapshot on its way to a worker.
struct Published {
    number: u64,
    configuration: Arc<Configuration>,
}

/// What a worker is told to do.
pub enum Command {
    /// Accept on this socket for the listener.
    Listen(ListenerId, TcpListener),
    /// Accept what is waiting, then stop accepting for the listener.
    Unlisten(ListenerId),
    /// Stop accepting, let requests end, close what is idle, then end.
    Drain,
    /// Cut what is still open, then end; a second time: end now.
    Stop,
}

/// One worker's side of everything that crosses cores.
pub struct Inbox {
    /// The newest snapshot that the worker has not yet looked at, with its number. In a box, so
    /// that swapping it is one instruction.
    configuration: AtomicCell<Option<Box<Published>>>,
    commands: ArrayQueue<Command>,
    handed: ArrayQueue<(ListenerId, Accepted)>,
    retired: ArrayQueue<Arc<Configuration>>,
    button: Button,
    /// Number of the snapshot in use. Written by the worker only.
    adopted: AtomicU64,
    /// Rung by the worker when that changes.
    noticed: Arc<Notify>,
    /// Connections it has. Written by the worker only.
    connections: AtomicU32,
    /// It may still accept sockets, and hand them over. Written by the worker only, once.
    accepts: AtomicBool,
}

impl Inbox {
    /// An empty inbox of the worker that `button` wakes; `noticed` wakes the supervisor.
    pub fn new(button: Button, noticed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            configuration: AtomicCell::new(None),
            commands: ArrayQueue::new(COMMANDS_MAX),
            handed: ArrayQueue::new(HANDED_MAX),
            retired: ArrayQueue::new(RETIRED_MAX),
            button,
            adopted: AtomicU64::new(0),
            noticed,
            connections: AtomicU32::new(0),
            accepts: AtomicBool::new(true),
        })
    }

    /// Supervisor: makes `configuration` the one to use. Numbers ascend.
    pub fn publish(&self, number: u64, configuration: Arc<Configuration>) {
        drop(self.configuration.swap(Some(Box::new(Published {
            number,
            configuration,
        }))));
        self.button.ring();
    }

    /// Supervisor: tells the worker to do something.
    ///
    /// # Errors
    /// The command, when the worker does not keep up.
    pub fn command(&self, command: Command) -> Result<(), Command> {
        let queued = self.commands.push(command);
        self.button.ring();
        queued
    }

    /// Another worker: gives it a socket that nothing was read from yet.
    ///
    /// # Errors
    /// The socket, when the worker does not keep up.
    pub fn hand(&self, listener: ListenerId, accepted: Accepted) -> Result<(), Accepted> {
        self.handed
            .push((listener, accepted))
            .map_err(|(_, accepted)| accepted)?;
        self.button.ring();
        Ok(())
    }

    /// Anybody: how many connections it has or is about to have. May be a moment old.
    pub fn load(&self) -> usize {
        self.connections.load(Ordering::Relaxed) as usize + self.handed.len()
    }

    /// Anybody: it may still hand over sockets. Once this is false, all that it handed over can be
    /// seen by those it went to.
    pub(crate) fn accepts(&self) -> bool {
        self.accepts.load(Ordering::Acquire)
    }

    /// Anybody: makes the worker look at how things are.
    pub(crate) fn wake(&self) {
        self.button.ring();
    }

    /// Supervisor: the number of the snapshot it uses.
    pub fn adopted(&self) -> u64 {
        self.adopted.load(Ordering::Acquire)
    }

    /// Supervisor: frees what the worker is done with.
    pub fn free_retired(&self) {
        while self.retired.pop().is_some() {}
    }

    /// Worker: the newest snapshot, once.
    pub(crate) fn take_configuration(&self) -> Option<(u64, Arc<Configuration>)> {
        let published = self.configuration.take()?;
        Some((published.number, published.configuration))
    }

    /// Worker: the oldest command.
    pub(crate) fn next_command(&self) -> Option<Command> {
        self.commands.pop()
    }

    /// Worker: the oldest handed socket.
    pub(crate) fn next_handed(&self) -> Option<(ListenerId, Accepted)> {
        self.handed.pop()
    }

    /// Worker: says which snapshot it uses.
    pub(crate) fn set_adopted(&self, number: u64) {
        self.adopted.store(number, Ordering::Release);
        self.noticed.notify_one();
    }

    /// Worker: says that it hands over no socket any more.
    pub(crate) fn set_accepts_no_more(&self) {
        self.accepts.store(false, Ordering::Release);
    }

    /// Worker: says how many connections it has.
    pub(crate) fn set_connections(&self, count: u32) {
        self.connections.store(count, Ordering::Relaxed);
    }

    /// Worker: lets the supervisor free a snapshot, since that can take long.
    pub(crate) fn retire(&self, configuration: Arc<Configuration>) {
        drop(self.retired.push(configuration));
    }
}
