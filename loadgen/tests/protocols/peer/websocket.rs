//! A WebSocket server on the tungstenite crate.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustls::ServerConfig;
use tungstenite::{
    Message, WebSocket,
    handshake::server::{Request, Response},
};

use super::{Wire, listen};

/// A connection after its handshake.
pub(crate) type Socket = WebSocket<Box<dyn Wire>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    connections: Arc<AtomicU64>,
    messages: Arc<AtomicU64>,
}

impl Seen {
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::SeqCst)
    }
}

/// Serves until the process ends. `answer` gets every message, and the path that was asked for.
pub(crate) fn serve(
    tls: Option<ServerConfig>,
    answer: impl Fn(&mut Socket, &str, Vec<u8>) -> tungstenite::Result<()> + Send + Sync + 'static,
) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let counts = seen.clone();
    let address = listen(tls, move |wire| {
        let mut path = String::new();
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let note = |request: &Request, response: Response| {
            path = request.uri().path().to_owned();
            Ok(response)
        };
        let Ok(mut socket) = tungstenite::accept_hdr(wire, note) else {
            return;
        };
        counts.connections.fetch_add(1, Ordering::SeqCst);
        while let Ok(message) = socket.read() {
            let Message::Binary(payload) = message else {
                continue;
            };
            counts.messages.fetch_add(1, Ordering::SeqCst);
            if answer(&mut socket, &path, payload.into()).is_err() {
                return;
            }
        }
    });
    (address, seen)
}

/// Sends every message back.
pub(crate) fn echo(tls: Option<ServerConfig>) -> (SocketAddr, Seen) {
    serve(tls, |socket, _, payload| {
        socket.send(Message::binary(payload))
    })
}
