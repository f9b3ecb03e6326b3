//! Peers, and what they need.

pub(crate) mod certificates;
pub(crate) mod http2;
pub(crate) mod nginx;
pub(crate) mod websocket;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A connection of a peer, with or without TLS.
pub(crate) trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// Accepts until the process ends; `serve` has each connection on a thread of its own. Connections
/// whose handshake fails are dropped.
pub(crate) fn listen(
    tls: Option<ServerConfig>,
    serve: impl Fn(Box<dyn Wire>) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tls, serve) = (tls.map(Arc::new), Arc::new(serve));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (tls, serve) = (tls.clone(), Arc::clone(&serve));
            let stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || {
                if let Some(wire) = wrap(stream, tls) {
                    serve(wire);
                }
            });
        }
    });
    address
}

fn wrap(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Option<Box<dyn Wire>> {
    let Some(config) = tls else {
        return Some(Box::new(stream));
    };
    let mut connection = ServerConnection::new(config).unwrap();
    while connection.is_handshaking() {
        if connection.complete_io(&mut stream).is_err() {
            // The alert that says why.
            let _ = connection.write_tls(&mut stream);
            return None;
        }
    }
    Some(Box::new(StreamOwned::new(connection, stream)))
}

/// Reads to the end of a request's head; false at the end of the connection.
pub(crate) fn read_head(wire: &mut dyn Wire) -> bool {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if wire.read(&mut byte).unwrap_or(0) == 0 {
            return false;
        }
        head.push(byte[0]);
    }
    true
}
