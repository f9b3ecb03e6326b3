//! Accepting: which core gets a new connection.
//!
//! The kernel spreads connections over the workers' sockets by a hash, which serves many short
//! connections well and few long ones badly. So a worker that would get ahead of the least loaded
//! one hands the fresh socket over, before anything was read from it.

use std::{rc::Rc, time::Duration};

use ringmain_core::snapshot::{ListenerId, ListenerProtocol};

use crate::{
    connection, detect, front,
    io::{self, listen::Listener, stream::Accepted},
    session::Session,
    tunnel,
    worker::Worker,
};

/// How long accepting rests when the kernel has no descriptor to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the listener is closed.
pub async fn accept(worker: Rc<Worker>, id: ListenerId, listener: Rc<Listener>) {
    while listener.ready().await {
        if !accept_waiting(&worker, id, &listener) {
            // Out of descriptors or memory: the connections stay with the kernel meanwhile.
            io::sleep(ACCEPT_PAUSE).await;
        }
    }
}

/// Accepts all that is waiting. False when the kernel has no descriptor to give.
pub fn accept_waiting(worker: &Rc<Worker>, id: ListenerId, listener: &Listener) -> bool {
    loop {
        match listener.accept() {
            Ok(Some(accepted)) => place(worker, id, accepted),
            Ok(None) => return true,
            Err(error) => {
                worker.counters.accept_failures.increment();
                if worker.may_complain() {
                    tracing::warn!(
                        "cannot accept on listener {}: {error}; connections wait in the kernel \
                         (is the limit on open files too low? see `ulimit -n`)",
                        id.0
                    );
                }
                return false;
            }
        }
    }
}

/// Serves a fresh connection here or on a core that has fewer.
fn place(worker: &Rc<Worker>, id: ListenerId, accepted: Accepted) {
    match worker.less_loaded() {
        None => admit(worker, id, accepted),
        Some(other) => match other.hand(id, accepted) {
            Ok(()) => worker.counters.connections_handed_over.increment(),
            Err(accepted) => admit(worker, id, accepted),
        },
    }
}

/// Serves a connection on this core.
pub fn admit(worker: &Rc<Worker>, listener: ListenerId, accepted: Accepted) {
    if worker.sessions.count() >= worker.limits.connections_max {
        worker.counters.connections_refused.increment();
        return; // dropping the socket closes it
    }
    let Accepted { fd, peer } = accepted;
    let stream = match io::stream::Stream::accepted(fd, &worker.deadlines) {
        Ok(stream) => stream,
        Err(error) => {
            // The peer may be gone already; anything else shows in the counter.
            tracing::debug!("a connection from {peer} could not be set up: {error}");
            worker.counters.connections_refused.increment();
            return;
        }
    };
    let session = Session::new(stream, listener, peer);
    // It counts from now on, not from its task's first turn: the next one may follow at once.
    let place = worker.open(Rc::clone(&session));
    let snapshot = worker.snapshot(listener);
    let found = snapshot.listener(listener);
    if found.is_some_and(|listener| listener.tls.is_some()) {
        return io::spawn(front::serve(Rc::clone(worker), session, place));
    }
    match found.map(|listener| &listener.protocol) {
        Some(ListenerProtocol::Tcp(_)) => {
            io::spawn(tunnel::serve(Rc::clone(worker), session, place));
        }
        Some(ListenerProtocol::Detect(..)) => {
            io::spawn(detect::serve(Rc::clone(worker), session, place));
        }
        Some(ListenerProtocol::Http(_)) | None => {
            io::spawn(connection::serve(Rc::clone(worker), session, place));
        }
    }
}
