//! Wakes a core from another one: a byte on a socket pair, of which only its arrival matters.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream as StdUnixStream,
};

use monoio::{io::AsyncReadRent, net::UnixStream};

/// The side that rings, on any thread.
#[derive(Debug)]
pub struct Button(StdUnixStream);

/// The side that is woken. Made on any thread, turned into a [`Bell`] on its own.
#[derive(Debug)]
pub struct BellSocket(StdUnixStream);

/// The side that is woken, on its core.
pub struct Bell {
    socket: UnixStream,
    bytes: Vec<u8>,
}

/// A connected pair.
///
/// # Errors
/// When there are no descriptors left.
pub fn doorbell() -> io::Result<(Button, BellSocket)> {
    let (button, bell) = StdUnixStream::pair()?;
    button.set_nonblocking(true)?;
    Ok((Button(button), BellSocket(bell)))
}

impl Button {
    /// Wakes the other side, unless it is being woken already.
    pub fn ring(&self) {
        // A full socket means that the other side has not looked yet, and it will.
        drop((&self.0).write(&[1]));
    }
}

impl BellSocket {
    /// On the core that is to be woken.
    ///
    /// # Errors
    /// When the socket cannot be registered with epoll.
    pub fn hang(self, epoll: bool) -> io::Result<Bell> {
        self.0.set_nonblocking(epoll)?;
        Ok(Bell {
            socket: UnixStream::from_std(self.0)?,
            bytes: Vec::with_capacity(64),
        })
    }
}

impl Bell {
    /// Waits until it rings. False when nobody can ring it any more.
    pub async fn rung(&mut self) -> bool {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        let (result, bytes) = self.socket.read(bytes).await;
        self.bytes = bytes;
        !matches!(result, Ok(0))
    }
}
