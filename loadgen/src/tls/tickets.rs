//! Sessions that can be resumed, of one worker.
//!
//! A ticket of TLS 1.3 is used once (RFC 8446 appendix C.4), and a worker may have hundreds of
//! handshakes under way with the same server; rustls' own store keeps eight tickets of a server and
//! would let the others be full handshakes.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

/// Tickets kept of a server; the oldest makes room for one more. Each takes about 2 KiB.
const TICKETS_MAX: usize = 1024;
/// Servers that are remembered. A worker does not connect to more than it has targets.
const SERVERS_MAX: usize = 1024;

/// Tickets by server. rustls wants it to be shareable between threads; only one uses it, so the
/// lock is never waited for.
#[derive(Default)]
pub(super) struct Tickets(Mutex<HashMap<ServerName<'static>, Server>>);

#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Tickets {
    fn lock(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Server>> {
        // Every change leaves the map whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn edit(&self, name: ServerName<'static>, change: impl FnOnce(&mut Server)) {
        let mut servers = self.lock();
        if servers.len() < SERVERS_MAX || servers.contains_key(&name) {
            change(servers.entry(name).or_default());
        }
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.edit(name, |server| server.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().get(name)?.group
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.edit(name, |server| server.tls12 = Some(session));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().get(name)?.tls12.clone()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(server) = self.lock().get_mut(name) {
            server.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.edit(name, |server| {
            if server.tls13.len() == TICKETS_MAX {
                server.tls13.pop_front();
            }
            server.tls13.push_back(ticket);
        });
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The newest: it lives longest.
        self.lock().get_mut(name)?.tls13.pop_back()
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tickets are secrets.
        formatter.debug_struct("Tickets").finish_non_exhaustive()
    }
}
