//! A question to a running control plane, for the command line.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use ringmain_config::wire::{Message, Query};
use thiserror::Error;
use tokio::{net::UnixStream, time::timeout};

use crate::publish::{Frames, FramesError};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// Nobody listens.
    #[error(
        "no control plane at {}: {source}; start one with `ringmain control`, or name its socket \
         with --socket",
        socket.display()
    )]
    Absent {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket may not be used.
    #[error(
        "cannot use the socket {}: permission denied; run as the control plane's user or as root, \
         or start the control plane with --allow-gid and your group",
        .0.display()
    )]
    Permission(PathBuf),
    /// The control plane does not want to answer.
    #[error("the control plane at {} answers: {reason}", socket.display())]
    Refused {
        /// The socket.
        socket: PathBuf,
        /// In its words.
        reason: String,
    },
    /// Something else went wrong on the way.
    #[error("no answer from the control plane at {}: {message}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
        /// What.
        message: String,
    },
}

/// Asks the control plane at `socket`, and waits ten seconds at most. The shape of the answer:
/// [`Status`](crate::status::Status), a list of
/// [`ResourceSummary`](crate::status::ResourceSummary), or a
/// [`Document`](ringmain_config::document::Document).
///
/// # Errors
/// See [`QueryError`].
pub async fn query(socket: &Path, query: Query) -> Result<serde_json::Value, QueryError> {
    let broken = |message: String| QueryError::Broken {
        socket: socket.to_owned(),
        message,
    };
    let connected = timeout(LIMIT, UnixStream::connect(socket)).await;
    let stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(explain(socket, error)),
        Err(_) => return Err(broken(format!("it accepted no connection for {LIMIT:?}"))),
    };
    let mut frames = Frames::new(stream);
    // Refused before it was read, the question cannot be written, but the reason can be read.
    let written = frames.write(&Message::Query(query), LIMIT).await;
    match (frames.read_within(LIMIT).await, written) {
        (Ok(Message::Answer(answer)), _) => Ok(answer.body),
        (Ok(Message::Refused(refused)), _) => Err(QueryError::Refused {
            socket: socket.to_owned(),
            reason: refused.reason,
        }),
        (Ok(_), _) => Err(broken(FramesError::OutOfPlace.to_string())),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(broken(error.to_string())),
    }
}

fn explain(socket: &Path, source: io::Error) -> QueryError {
    let socket = socket.to_owned();
    match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => QueryError::Absent { socket, source },
        ErrorKind::PermissionDenied => QueryError::Permission(socket),
        _ => QueryError::Broken {
            socket,
            message: source.to_string(),
        },
    }
}

/// A control plane under load answers in milliseconds.
const LIMIT: Duration = Duration::from_secs(10);
