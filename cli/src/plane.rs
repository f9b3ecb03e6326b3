//! Asks a running control plane one question over its Unix socket.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use ringmain_config::wire::{Message, Query};
use serde_json::Value;

use crate::fault::Fault;

/// Where a control plane listens unless told otherwise.
pub(crate) const DEFAULT_SOCKET: &str = "/run/ringmain/control.sock";

/// A control plane that is not stuck answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the control plane at `socket` answers to `query`.
pub(crate) fn ask(socket: &Path, query: Query) -> Result<Value, Fault> {
    let failed = |error: std::io::Error| {
        Fault::with(
            format!(
                "no answer from the control plane at {}: {error}",
                socket.display()
            ),
            "is `ringmain control` running, and may this user open its socket? \
             `--socket` names another",
        )
    };
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let mut frame = Vec::new();
    Message::Query(query)
        .encode(&mut frame)
        .map_err(|error| Fault::new(error.to_string()))?;
    // A refusal may come before the question is read: its reason is worth more than the failure.
    let written = stream.write_all(&frame);
    let message = read(&mut stream, socket);
    match (message, written) {
        (Ok(Some(Message::Answer(answer))), _) => Ok(answer.body),
        (Ok(Some(Message::Refused(refused))), _) => Err(Fault::new(format!(
            "the control plane at {} refused: {}",
            socket.display(),
            refused.reason
        ))),
        (_, Err(error)) | (Err(Lost::Socket(error)), _) => Err(failed(error)),
        (Err(Lost::Wire(cause)), _) => Err(Fault::new(format!("{}: {cause}", socket.display()))),
        (Ok(_), _) => Err(Fault::new(format!(
            "the control plane at {} did not answer the question; it may be of another version",
            socket.display()
        ))),
    }
}

enum Lost {
    Socket(std::io::Error),
    Wire(String),
}

/// The first message that this version knows; `None` when there is none before the end.
fn read(stream: &mut UnixStream, _socket: &Path) -> Result<Option<Message>, Lost> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        while let Some((message, taken)) =
            Message::decode(&bytes).map_err(|error| Lost::Wire(error.to_string()))?
        {
            bytes.drain(..taken);
            if !matches!(message, Message::Unknown(_)) {
                return Ok(Some(message));
            }
        }
        match stream.read(&mut chunk).map_err(Lost::Socket)? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}
