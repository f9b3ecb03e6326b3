//! Why a request has no complete answer.

use std::io;

/// Why a request has no complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The connection was refused, or the network or this host could not make it.
    Connect,
    /// The connection was not ready in time.
    ConnectTimeout,
    /// No TLS with this server: its certificate, its versions, or what it sent.
    Tls,
    /// The answer was not complete in time.
    Timeout,
    /// The server reset the connection, or one stream of it.
    Reset,
    /// The server ended a connection of many streams before it answered on this one (GOAWAY).
    GoAway,
    /// The connection ended in order, but before the answer was complete.
    Closed,
    /// The answer is not what the protocol allows, or not the bytes that should have come back.
    Protocol,
    /// Not sent: too many requests waited for a connection.
    Backlog,
}

impl ErrorKind {
    /// In the order of reports.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Timeout,
        Self::Reset,
        Self::GoAway,
        Self::Closed,
        Self::Protocol,
        Self::Backlog,
    ];

    /// As in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::GoAway => "goaway",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Backlog => "backlog",
        }
    }
}

/// Why a request failed, and what happened in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) kind: ErrorKind,
    pub(crate) what: String,
}

impl Failed {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
        }
    }

    /// An operation on an open connection failed; `when` follows "the connection failed when".
    pub(crate) fn io(when: &str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::UnexpectedEof => ErrorKind::Closed,
            // TLS reports what the peer sent, and its alerts, as invalid data.
            io::ErrorKind::InvalidData => ErrorKind::Tls,
            _ => ErrorKind::Reset,
        };
        Self::new(kind, format!("the connection failed when {when}: {error}"))
    }

    /// The peer ended the connection where more of an answer was due.
    pub(crate) fn closed() -> Self {
        let text = "the server closed the connection before its answer was complete";
        Self::new(ErrorKind::Closed, text)
    }

    /// The peer sent what the protocol does not allow.
    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_indices() {
        for (index, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
        }
    }

    #[test]
    fn operations_have_kinds() {
        for (error, expected) in [
            (io::ErrorKind::ConnectionReset, ErrorKind::Reset),
            (io::ErrorKind::BrokenPipe, ErrorKind::Reset),
            (io::ErrorKind::UnexpectedEof, ErrorKind::Closed),
            (io::ErrorKind::InvalidData, ErrorKind::Tls),
        ] {
            let failed = Failed::io("sending", &error.into());
            assert_eq!(failed.kind, expected, "{error:?}");
            assert!(failed.what.contains("when sending"), "{}", failed.what);
        }
    }
}
