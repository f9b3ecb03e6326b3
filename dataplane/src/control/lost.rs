//! Every way a connection to the control plane ends, and which of them are worth a line of the log.

use std::{collections::BTreeSet, io, path::PathBuf};

use ringmain_config::{problem::Problem, wire::WireError};
use thiserror::Error;

/// Why there is no connection any more, or none yet.
#[derive(Debug, Error)]
pub enum Lost {
    /// Nobody answers at the socket.
    #[error(
        "cannot connect to the control plane at {}: {source}; {}",
        socket.display(),
        connect_hint(source)
    )]
    Connect {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not want to serve us.
    #[error("the control plane refused this proxy: {0}")]
    Refused(String),
    /// It closed the connection.
    #[error("the control plane closed the connection {0}")]
    Closed(&'static str),
    /// It sent what is not a frame.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It sent a frame that has no place there.
    #[error("the control plane sent {0}; is the socket a ringmain control plane's?")]
    Unexpected(&'static str),
    /// It sent changes on top of a generation that was refused.
    #[error(
        "the control plane went on before it knew that generation {0} was refused; connecting anew \
         to agree on what this proxy holds"
    )]
    OutOfStep(u64),
    /// It was too slow.
    #[error("the control plane did not {0} in time")]
    Deadline(&'static str),
    /// One generation is too large.
    #[error(
        "one generation of the control plane has more than the {0} bytes that may be staged; let \
         the proxy reach fewer services (Sidecar egress hosts), or raise the limit"
    )]
    StagingFull(usize),
    /// Our own side of the connection failed.
    #[error("cannot {operation} the control plane's socket: {source}")]
    Io {
        /// `read from` or `write to`.
        operation: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The supervisor is gone: no further try.
    #[error("the proxy is stopping")]
    Stopped,
}

impl Lost {
    /// Equal for losses that are the same news: bytes of rubbish differ from try to try.
    fn cause(&self) -> String {
        match self {
            Self::Connect { source, .. } => format!("connect {}", source.kind()),
            Self::Refused(reason) => format!("refused {reason}"),
            Self::Closed(when) => format!("closed {when}"),
            Self::Wire(WireError::Magic(_)) => "magic".into(),
            Self::Wire(WireError::Major(major)) => format!("major {major}"),
            Self::Wire(WireError::TooLong(_)) => "too long".into(),
            Self::Wire(WireError::Payload { kind, .. }) => format!("payload {kind}"),
            Self::Unexpected(frame) => format!("unexpected {frame}"),
            Self::OutOfStep(_) => "out of step".into(),
            Self::Deadline(action) => format!("deadline {action}"),
            Self::StagingFull(_) => "staging".into(),
            Self::Io { operation, source } => format!("{operation} {}", source.kind()),
            Self::Stopped => "stopped".into(),
        }
    }
}

fn connect_hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "is `ringmain control` running with this --socket?",
        io::ErrorKind::ConnectionRefused => {
            "the socket is left from a control plane that has ended; start `ringmain control`"
        }
        io::ErrorKind::PermissionDenied => {
            "let this user into the socket's directory, or run the proxy as another user"
        }
        _ => "check `[control] socket`",
    }
}

/// What the log has said since the connection was last in order. A cause is said once; so many
/// distinct ones at most.
#[derive(Debug, Default)]
pub(super) struct Announced {
    causes: BTreeSet<String>,
}

/// Distinct causes said between two connections that were in order.
const CAUSES_MAX: usize = 16;

impl Announced {
    pub(super) fn clear(&mut self) {
        self.causes.clear();
    }

    /// Whether this is news; it is none a second time.
    fn news(&mut self, cause: String) -> bool {
        self.causes.len() < CAUSES_MAX && self.causes.insert(cause)
    }

    pub(super) fn lost(&mut self, lost: &Lost) {
        if self.news(lost.cause()) {
            tracing::warn!("{lost}; the configuration in force stays, trying again");
        }
    }

    pub(super) fn welcomed(&mut self, socket: &std::path::Path, program: &str) {
        if self.news("welcomed".into()) {
            let socket = socket.display();
            tracing::info!("connected to the control plane at {socket} (version {program})");
        }
    }

    pub(super) fn nack(&mut self, generation: u64, problems: &[Problem]) {
        let first = problems
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        if self.news(format!("nack {first}")) {
            let count = problems.len();
            // The supervisor, which refused it, says why in full.
            tracing::debug!(
                "generation {generation} of the configuration is refused, the one in force stays; \
                 {count} problems, the first: {first}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Announced, CAUSES_MAX, Lost};
    use ringmain_config::wire::WireError;

    #[test]
    fn a_cause_is_news_once() {
        let mut announced = Announced::default();
        let rubbish = |byte| Lost::Wire(WireError::Magic([byte, byte])).cause();
        assert!(announced.news(rubbish(1)));
        assert!(!announced.news(rubbish(2)), "other rubbish is no news");
        assert!(announced.news(Lost::Deadline("answer").cause()));
        announced.clear();
        assert!(announced.news(rubbish(3)), "news again after a good time");
    }

    #[test]
    fn distinct_causes_are_bounded() {
        let mut announced = Announced::default();
        let said = (0..1000)
            .filter(|number| announced.news(Lost::Refused(format!("{number}")).cause()))
            .count();
        assert_eq!(said, CAUSES_MAX);
    }
}
