//! The Unix socket: who may connect, what each proxy is sent, what it said to it.
//!
//! [`socket`] binds it, [`peer`] decides who is served, [`session`] is one connection, [`plan`]
//! cuts a Document into frames. What the Documents are is not decided here: sessions tell the
//! [`control`](crate::control) loop of proxies that come and go, and it gives each a target.
//!
//! Two proxies of one name are both served, each over its own connection: that is the normal case
//! while one replaces the other. What the later one said of itself counts for endpoints, and if the
//! two differ the log says so.

mod frames;
pub mod peer;
mod plan;
mod session;
pub mod socket;

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ringmain_config::{
    document::Document,
    problem::Problem,
    wire::{Hello, Message, Query, Refused},
};
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

pub(crate) use self::frames::{Frames, FramesError};
use self::{
    peer::{Allowed, Peer},
    socket::Socket,
};
use crate::run::Limits;

/// What sessions tell the control loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// A proxy said hello and was welcomed. What `target` is set to it is brought to hold.
    Connected {
        /// Of the connection, never used again.
        id: u64,
        hello: Box<Hello>,
        peer: Peer,
        target: watch::Sender<Option<Arc<Document>>>,
    },
    /// It got nearer to the target of generation `target`, or did not.
    Progressed {
        id: u64,
        target: u64,
        progress: Progress,
    },
    /// It is gone.
    Disconnected { id: u64, error: FramesError },
    /// A tool asked; the answer, or why there is none.
    Asked {
        query: Query,
        answer: oneshot::Sender<Result<serde_json::Value, String>>,
    },
}

/// How far a proxy is with its target.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It was sent whole.
    Sent,
    /// It uses it; under an older generation when nothing had to be sent.
    Holds { generation: u64 },
    /// It refused it.
    Refused { problems: Vec<Problem> },
    /// The target cannot be sent at all.
    Withheld { problems: Vec<Problem> },
}

/// Who is let in.
#[derive(Debug)]
pub(crate) struct Door {
    allowed: Allowed,
    own_uid: u32,
    limits: Limits,
    ids: AtomicU64,
}

impl Door {
    pub(crate) fn new(allowed: Allowed, own_uid: u32, limits: Limits) -> Self {
        Self {
            allowed,
            own_uid,
            limits,
            ids: AtomicU64::new(0),
        }
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// Accepts connections for ever; dropping the future closes all of them.
pub(crate) async fn accept(socket: &Socket, door: Arc<Door>, events: mpsc::Sender<Event>) {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(_) = sessions.join_next() => continue,
        };
        match accepted {
            Ok(stream) if sessions.len() >= door.limits.connections_max => {
                let limit = door.limits.connections_max;
                let reason = format!("the control plane has its limit of {limit} connections");
                tracing::warn!("refused a connection: {reason}");
                turn_away(stream, reason);
            }
            Ok(stream) => {
                sessions.spawn(session::serve(stream, door.clone(), events.clone()));
            }
            // Most likely no more file descriptors; connections that end give some back.
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sends a refusal as far as it fits into the socket's buffer, which is empty still.
fn turn_away(stream: UnixStream, reason: String) {
    let mut bytes = Vec::new();
    let encoded = Message::Refused(Refused { reason }).encode(&mut bytes);
    if let (Ok(()), Ok(mut stream)) = (encoded, stream.into_std()) {
        let _ = stream.write(&bytes);
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
