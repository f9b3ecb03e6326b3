//! The admin endpoint of a proxy.

use std::net::{SocketAddr, TcpStream};

use crate::message::{Message, Wire};

/// Asks once. `None` when nobody answers there.
pub fn ask(address: SocketAddr, method: &str, path: &str) -> Option<Message> {
    let stream = TcpStream::connect(address).ok()?;
    let mut wire = Wire::new(stream);
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    wire.send(request).ok()?;
    wire.response(method).ok()
}
