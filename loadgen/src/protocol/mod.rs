//! The seam between the engine, which decides when and on which connection something is sent, and
//! the protocols, which know what the bytes mean.
//!
//! A protocol is one file with one type that implements [`Protocol`], a line in [`crate::Kind`] and
//! an arm in `run.rs`, where the engine is compiled for it. The engine opens sessions, gives each
//! of their lanes one exchange after another, takes the time, and drops what has failed. An
//! exchange that takes too long is dropped in the middle: what an operation under way still holds
//! must then be given back by whoever owns it (the ring, or a connection's driver task).

pub(crate) mod echo;
pub(crate) mod grpc;
pub(crate) mod h2;
pub(crate) mod http1;
pub(crate) mod negotiated;
pub(crate) mod stream;
pub(crate) mod websocket;

use std::net::SocketAddr;

use crate::{
    failure::Failed,
    plan::{Plan, PlanError, Target},
    transport::Connector,
};

/// A way of speaking, for all connections of a worker.
pub(crate) trait Protocol: Sized + 'static {
    /// What one target sends, prepared so that sending it again costs as little as possible.
    type Message: 'static;
    /// One lane of an open connection: it has at most one exchange under way. Dropping the last
    /// lane closes the connection.
    type Session: 'static;

    /// For one worker of a run. `plan` is checked.
    ///
    /// # Errors
    /// When something that the plan names, such as a certificate, cannot be used.
    fn new(plan: &Plan) -> Result<Self, PlanError>;

    /// What its connections are opened with.
    fn connector(&self) -> &Connector;

    /// Prepares what `target` sends.
    ///
    /// # Errors
    /// When the protocol cannot express it.
    fn message(&self, target: &Target) -> Result<Self::Message, PlanError>;

    /// Opens a connection with everything that comes before the first exchange: TCP, TLS, settings,
    /// upgrade.
    fn open(&self, endpoint: &Endpoint) -> impl Future<Output = Result<Self::Session, Failed>>;

    /// One more lane on the same connection; `None` when there can be no more. The engine asks for
    /// up to [`crate::Plan::streams`] lanes.
    fn fork(&self, session: &Self::Session) -> Option<Self::Session> {
        let _ = session;
        None
    }

    /// Sends `message` and reads its answer to the end.
    fn exchange(
        &self,
        session: &mut Self::Session,
        message: &Self::Message,
    ) -> impl Future<Output = Result<Answer, Broken>>;

    /// Brings a session that is fit to the end that it has with the server, so that whatever was on
    /// its way arrives; the bytes that came meanwhile. Only streams are ended so: the answers of
    /// the others are complete.
    fn end(&self, session: Self::Session) -> impl Future<Output = Result<Answer, Failed>> {
        drop(session);
        async { Ok(Answer::default()) }
    }

    /// The last exchange, which is over, left the session fit for another one. Asked after every
    /// answer, and after an exchange that failed or was dropped in the middle (`complete` is then
    /// false). On a connection of one lane nothing can be trusted after a failure; on a connection
    /// with streams, one of them may fail by itself.
    fn is_reusable(&self, session: &Self::Session, complete: bool) -> bool;
}

/// Where connections lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Name or address as in the URL, without port and brackets.
    pub(crate) host: String,
    /// Over TLS.
    pub(crate) secure: bool,
    /// What is said to make a connection another protocol's, up to what differs from one connection
    /// to the next. Empty for protocols that begin at once.
    pub(crate) upgrade: String,
}

/// A complete answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status, or `grpc-status`; `None` for protocols without.
    pub(crate) status: Option<u16>,
    /// Bytes received for it, as the protocol's framing has them, before TLS.
    pub(crate) bytes_in: u64,
    /// Bytes sent for it.
    pub(crate) bytes_out: u64,
}

/// Why there is no complete answer.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) failed: Failed,
    /// No byte of an answer was received, and the connection was found closed: whether the peer
    /// ever saw the request is unknown, and one that is idempotent may be sent again (RFC 9110
    /// section 9.2.2).
    pub(crate) before_answer: bool,
}

impl From<Failed> for Broken {
    fn from(failed: Failed) -> Self {
        Self {
            failed,
            before_answer: false,
        }
    }
}
