//! A TLS connection that is used by one exchange at a time: a socket and its session.

use std::io;

use monoio::{
    buf::{IoBuf, IoBufMut},
    io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt},
    net::TcpStream,
};

use super::{Phase, Session, reason};

/// Ciphertext is sent when so much has collected, so that a long body does not stand in memory
/// twice.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// A future of it that was dropped in the middle leaves it unusable: its next use is an error.
/// Mostly it is closed by dropping it, without a farewell: what matters was answered, or has
/// failed.
pub(crate) struct Stream {
    tcp: TcpStream,
    session: Session,
}

impl Stream {
    /// Shakes hands. The last flight may still wait for the first bytes that are sent.
    ///
    /// # Errors
    /// Of the socket; [`refused`] when TLS is the reason.
    pub(crate) async fn open(tcp: TcpStream, session: Session) -> io::Result<Self> {
        let mut stream = Self { tcp, session };
        loop {
            match stream.session.advance() {
                Ok(Phase::Handshake) => {
                    stream.flush().await?;
                    stream.receive().await?;
                }
                Ok(Phase::Open | Phase::Ended) => return Ok(stream),
                Err(error) => return Err(stream.refuse(error).await),
            }
        }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn into_parts(self) -> (TcpStream, Session) {
        (self.tcp, self.session)
    }

    /// Reads into the spare capacity of `buffer`. 0 when the peer said that it has ended, or
    /// without spare capacity.
    ///
    /// # Errors
    /// Of the socket; [`refused`]; an end that was not said, which anyone on the way may have
    /// caused (RFC 8446 section 6.1).
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let filled = buffer.len();
        if filled == buffer.capacity() {
            return Ok(0);
        }
        loop {
            let phase = match self.session.read(buffer) {
                Ok(phase) => phase,
                Err(error) => return Err(self.refuse(error).await),
            };
            if buffer.len() > filled {
                return Ok(buffer.len() - filled);
            }
            if phase == Phase::Ended {
                return Ok(0);
            }
            // Answers to key updates, and the last flight of a handshake.
            self.flush().await?;
            self.receive().await?;
        }
    }

    /// # Errors
    /// Of the socket; [`refused`].
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            if let Err(error) = self.session.write(piece) {
                return Err(self.refuse(error).await);
            }
            self.flush().await?;
        }
        Ok(())
    }

    /// Says `close_notify`, and that nothing comes behind it.
    ///
    /// # Errors
    /// Of the socket; [`refused`].
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        if let Err(error) = self.session.close() {
            return Err(self.refuse(error).await);
        }
        self.flush().await?;
        self.tcp.shutdown().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.session.outgoing_bytes() == 0 {
            return Ok(());
        }
        let (bytes, filled) = self.session.take_outgoing();
        let (sent, slice) = self.tcp.write_all(bytes.slice(..filled)).await;
        self.session.give_outgoing(slice.into_inner());
        sent.map(drop)
    }

    async fn receive(&mut self) -> io::Result<()> {
        let incoming = self.session.take_incoming().ok_or_else(no_room)?;
        let (held, capacity) = (incoming.len(), incoming.capacity());
        let (read, slice) = self.tcp.read(incoming.slice_mut(held..capacity)).await;
        self.session.give_incoming(slice.into_inner());
        match read? {
            0 => Err(cut_off()),
            _ => Ok(()),
        }
    }

    /// Tells the peer, as far as it can still be told.
    async fn refuse(&mut self, error: rustls::Error) -> io::Error {
        // The cause is the error that counts, not what became of the alert.
        let _ = self.flush().await;
        refused(error)
    }
}

/// As an error of the connection. Invalid data is what tells it from the socket's own errors.
pub(crate) fn refused(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason(&error))
}

/// The end of a stream that was not announced.
pub(crate) fn cut_off() -> io::Error {
    let text = "the server closed the connection without TLS's close_notify";
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// There is nowhere to read to.
fn no_room() -> io::Error {
    let text = "a read was given up, or a TLS message is too long";
    io::Error::new(io::ErrorKind::InvalidData, text)
}
