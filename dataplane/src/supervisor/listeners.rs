//! The listening sockets: bound before a snapshot is published, handed to the workers after.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use ringmain_config::problem::Problem;
use ringmain_core::snapshot::{Listener, ListenerId, Snapshot};

use super::workers::Workers;
use crate::{
    inbox::Command,
    io::listen::{self, Sharing},
};

/// The listeners that the workers accept on.
#[derive(Default)]
pub struct Listeners {
    bound: BTreeMap<ListenerId, BoundListener>,
    /// By [`Self::stop`]: nothing is bound any more, whatever a snapshot brings.
    stopped: bool,
    /// Ports of listeners that are gone, and since when: workers take a moment to close them.
    gone: Vec<(u16, Instant)>,
}

/// After this, no worker holds a socket of a listener that is gone.
const CLOSED_AFTER: Duration = Duration::from_secs(2);

/// A listener that is bound.
#[derive(Clone, Debug)]
pub struct BoundListener {
    /// Its name.
    pub name: String,
    /// Where it really listens.
    pub address: SocketAddr,
}

/// Sockets for the listeners that a snapshot brings, one for each worker.
pub struct Prepared(Vec<(Arc<Listener>, Vec<TcpListener>)>);

impl Listeners {
    /// Binds what `snapshot` has and this has not. Nothing is accepted yet.
    ///
    /// # Errors
    /// Every address that cannot be bound, with the reason; then nothing stays bound.
    pub fn prepare(&self, snapshot: &Snapshot, workers: usize) -> Result<Prepared, Vec<Problem>> {
        let mut prepared = Vec::new();
        let mut problems = Vec::new();
        for listener in snapshot.listeners() {
            if self.stopped || self.bound.contains_key(&listener.id) {
                continue;
            }
            let address = listener.config.address;
            match listen::bind(address, workers, self.sharing(address, snapshot)) {
                Ok(sockets) => prepared.push((Arc::clone(listener), sockets)),
                Err(error) => problems.push(problem(listener, &error)),
            }
        }
        if problems.is_empty() {
            Ok(Prepared(prepared))
        } else {
            Err(problems)
        }
    }

    /// A listener of this port that goes away is still bound, and must not be in the way of one
    /// that comes in its place: of every address instead of one, or the other way round.
    fn sharing(&self, address: SocketAddr, snapshot: &Snapshot) -> Sharing {
        let goes = self.bound.iter().any(|(&id, bound)| {
            bound.address.port() == address.port() && snapshot.listener(id).is_none()
        });
        let has_gone = self
            .gone
            .iter()
            .any(|&(port, since)| port == address.port() && since.elapsed() < CLOSED_AFTER);
        match goes || has_gone {
            true => Sharing::WithOwn,
            false => Sharing::WithNobody,
        }
    }

    /// Hands new sockets to the workers and takes back those of listeners that are gone. Says
    /// which are new.
    pub fn follow(
        &mut self,
        snapshot: &Snapshot,
        prepared: Prepared,
        workers: &Workers,
    ) -> Vec<BoundListener> {
        let gone: Vec<_> = self
            .bound
            .keys()
            .copied()
            .filter(|&id| snapshot.listener(id).is_none())
            .collect();
        for id in gone {
            self.gone
                .retain(|(_, since)| since.elapsed() < CLOSED_AFTER);
            if let Some(bound) = self.bound.remove(&id) {
                self.gone.push((bound.address.port(), Instant::now()));
            }
            workers.command(|| Command::Unlisten(id));
        }
        let mut new = Vec::new();
        for (listener, sockets) in prepared.0 {
            let address = sockets.first().and_then(|socket| socket.local_addr().ok());
            let bound = BoundListener {
                name: listener.config.name.clone(),
                address: address.unwrap_or(listener.config.address),
            };
            for (inbox, socket) in workers.inboxes.iter().zip(sockets) {
                if inbox.command(Command::Listen(listener.id, socket)).is_err() {
                    tracing::error!("listener {}: a worker does not keep up", bound.name);
                }
            }
            self.bound.insert(listener.id, bound.clone());
            new.push(bound);
        }
        new
    }

    /// Those that are bound.
    pub fn bound(&self) -> Vec<BoundListener> {
        self.bound.values().cloned().collect()
    }

    /// None is accepted on any more, and none that comes later.
    pub fn stop(&mut self) {
        self.bound.clear();
        self.stopped = true;
    }
}

fn problem(listener: &Listener, error: &std::io::Error) -> Problem {
    let address = listener.config.address;
    let remedy = match error.raw_os_error() {
        Some(libc::EADDRINUSE) => format!(
            "another process listens there: find it with `ss -ltnp 'sport = :{}'`, or change the port",
            address.port()
        ),
        Some(libc::EADDRNOTAVAIL) => {
            format!("{} is not an address of this host", address.ip())
        }
        Some(libc::EACCES) => format!(
            "port {} is privileged: grant CAP_NET_BIND_SERVICE, or use a port from 1024 on",
            address.port()
        ),
        Some(libc::EMFILE | libc::ENFILE) => "raise the limit on open files (`ulimit -n`)".into(),
        _ => "see `man 2 bind` for this error".into(),
    };
    let path = match &listener.config.origin {
        Some(origin) => format!("listener {:?} from {origin}", listener.config.name),
        None => format!("listener {:?}", listener.config.name),
    };
    Problem::error(path, format!("cannot listen on {address}: {error}")).hint(remedy)
}
