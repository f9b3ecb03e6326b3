//! A stream that carries TLS: what is received is decrypted on its way to the caller, what is sent
//! is encrypted before. Everything above a [`Stream`] knows nothing of it, but that bytes cannot be
//! moved through a pipe.

use std::{
    cell::{Cell, RefCell, RefMut},
    io::{self, IoSlice},
    mem::MaybeUninit,
};

use super::{Received, Stream};
use crate::{
    io::buffer::{Buffer, Part},
    tls::session::{Phase, Session, Sink},
};

/// Plaintext that is encrypted before some of it is sent: with its records' heads it fits a buffer
/// of the second size.
const PIECE_BYTES: usize = 62 << 10;

/// A session, and who uses it.
pub(super) struct Secure {
    session: RefCell<Session>,
    /// A send is under way: nothing may be sent past it.
    is_sending: Cell<bool>,
    /// The last receive was of as much as there was room for: there may be more that the socket
    /// knows nothing of.
    holds_more: Cell<bool>,
}

/// The room behind what is filled.
impl Sink for Buffer {
    fn put(&mut self, plaintext: &[u8]) -> usize {
        self.hold();
        let count = plaintext.len().min(self.room());
        self.tail().extend_from_slice(&plaintext[..count]);
        count
    }

    fn is_full(&self) -> bool {
        !self.has_no_memory() && self.room() == 0
    }
}

/// Somebody's memory, from the front.
struct Space<'a> {
    left: &'a mut [MaybeUninit<u8>],
}

impl Sink for Space<'_> {
    fn put(&mut self, plaintext: &[u8]) -> usize {
        let count = plaintext.len().min(self.left.len());
        let (front, left) = std::mem::take(&mut self.left).split_at_mut(count);
        for (place, byte) in front.iter_mut().zip(plaintext) {
            place.write(*byte);
        }
        self.left = left;
        count
    }

    fn is_full(&self) -> bool {
        self.left.is_empty()
    }
}

impl Secure {
    fn session(&self) -> RefMut<'_, Session> {
        self.session.borrow_mut()
    }
}

impl Stream {
    /// It carries TLS from now on. What has come already was given to the session.
    pub fn secure(&self, session: Session) {
        let secure = Secure {
            session: RefCell::new(session),
            is_sending: Cell::new(false),
            holds_more: Cell::new(false),
        };
        let is_first = self.secure.set(Box::new(secure)).is_ok();
        debug_assert!(is_first, "TLS within TLS is not carried");
        self.try_first.set(true);
    }

    /// What is received and sent is on the wire as it is.
    pub fn is_plain(&self) -> bool {
        self.secure.get().is_none()
    }

    /// Calls `ask` with its session; `None` when it has none.
    pub fn with_session<R>(&self, ask: impl FnOnce(&mut Session) -> R) -> Option<R> {
        self.secure.get().map(|secure| ask(&mut secure.session()))
    }

    /// Goes on with the handshake as far as what has come allows, without waiting.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] with rustls' error; the kernel's;
    /// [`io::ErrorKind::UnexpectedEof`] when the peer closed.
    pub async fn handshake(&self) -> io::Result<()> {
        loop {
            let advanced = self.with_session(Session::advance);
            // An alert is sent, too.
            let flushed = self.flush_secure().await;
            match advanced.unwrap_or(Ok(Phase::Open)).map_err(invalid)? {
                Phase::Handshake => flushed?,
                Phase::Open | Phase::Ended => {
                    // What the client said with its last flight is here already.
                    self.try_first.set(true);
                    return flushed;
                }
            }
            self.readable().await?;
            match self.receive_ciphertext() {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives what has come into the session's buffer, without waiting: how many bytes.
    fn receive_ciphertext(&self) -> io::Result<usize> {
        let Some(secure) = self.secure.get() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut session = secure.session();
        let Some(incoming) = session.incoming() else {
            let message = "a TLS message is longer than any buffer";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        let room = incoming.room();
        let received = self.socket.receive(incoming, room);
        match received {
            Ok(count) => {
                self.try_first.set(count == room || self.socket.is_epoll());
                if count == 0 {
                    self.ended.set(true);
                }
            }
            Err(_) => session.release(),
        }
        received
    }

    /// As [`Stream::receive_now`], of plaintext.
    pub(super) fn receive_secure(&self, sink: &mut impl Sink) -> io::Result<Received> {
        let Some(secure) = self.secure.get() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        loop {
            let read = secure.session().read(sink);
            // An alert, or an answer to the peer's question for other keys.
            self.send_secure_now();
            let (phase, count) = read.map_err(invalid)?;
            if count > 0 {
                let is_full = sink.is_full();
                self.has_more.set(is_full);
                secure.holds_more.set(is_full);
                if is_full {
                    self.try_first.set(true);
                }
                return Ok(Received::Bytes(count));
            }
            secure.holds_more.set(false);
            if phase == Phase::Ended {
                self.ended.set(true);
                return Ok(Received::End);
            }
            if self.receive_ciphertext()? == 0 {
                return match self.was_stopped() {
                    true => Ok(Received::End),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// As [`Stream::receive_to`], of plaintext. HTTP/2 knows by itself what is complete, so the end
    /// of the connection is one, however it came.
    pub(super) fn receive_secure_to(&self, space: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        let mut sink = Space { left: space };
        match self.receive_secure(&mut sink) {
            Ok(Received::Bytes(count)) => Ok(count),
            Ok(Received::End) => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// As [`Stream::peek`], of plaintext.
    pub(super) fn peek_secure(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(secure) = self.secure.get() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let received = self.receive_ciphertext();
        let advanced = secure.session().advance();
        self.send_secure_now();
        let phase = advanced.map_err(invalid)?;
        let session = secure.session();
        let plaintext = session.plaintext();
        if plaintext.is_empty() {
            return match (received, phase) {
                (_, Phase::Ended) | (Ok(0), _) => Ok(0),
                (Ok(_), _) => Err(io::ErrorKind::WouldBlock.into()),
                (Err(error), _) => Err(error),
            };
        }
        let count = plaintext.len().min(bytes.len());
        bytes[..count].copy_from_slice(&plaintext[..count]);
        self.try_first.set(true);
        Ok(count)
    }

    /// There may be plaintext here, whatever the socket says.
    pub(super) fn holds_more(&self) -> bool {
        self.secure
            .get()
            .is_some_and(|secure| secure.holds_more.get())
    }

    /// Nothing of the application has come: what has, if anything, was about the session, such as
    /// tickets for later ones (RFC 8446 section 4.6.1).
    pub(super) fn secure_stayed_silent(&self) -> bool {
        let Some(secure) = self.secure.get() else {
            return true;
        };
        loop {
            match self.receive_ciphertext() {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => {
                    let is_silent = error.kind() == io::ErrorKind::WouldBlock;
                    let nothing = secure.session().plaintext().is_empty();
                    return is_silent && nothing;
                }
            }
            let advanced = secure.session().advance();
            self.send_secure_now();
            if advanced != Ok(Phase::Open) || !secure.session().plaintext().is_empty() {
                return false;
            }
        }
    }

    /// As [`Stream::send_part`], of plaintext.
    pub(super) async fn send_secure(&self, mut part: Part) -> (io::Result<()>, Buffer) {
        while part.from < part.to {
            let to = part.to.min(part.from + PIECE_BYTES);
            let plaintext = &part.buffer.filled()[part.from..to];
            let written = self.with_session(|session| session.write(plaintext));
            let written = written.unwrap_or(Ok(())).map_err(invalid);
            let flushed = self.flush_secure().await;
            if let Err(error) = written.and(flushed) {
                return (Err(error), part.buffer);
            }
            part.from = to;
        }
        (Ok(()), part.buffer)
    }

    /// Sends all that the session has to send.
    async fn flush_secure(&self) -> io::Result<()> {
        let Some(secure) = self.secure.get() else {
            return Ok(());
        };
        loop {
            let outgoing = secure.session().outgoing().take();
            if outgoing.is_empty() {
                return Ok(());
            }
            secure.is_sending.set(true);
            let (sent, _) = self.send_raw(Part::whole(outgoing)).await;
            secure.is_sending.set(false);
            sent?;
        }
    }

    /// Sends what the session has to send and the socket takes at once. The rest goes with what is
    /// sent next.
    fn send_secure_now(&self) {
        let Some(secure) = self.secure.get() else {
            return;
        };
        let mut session = secure.session();
        if secure.is_sending.get() || session.outgoing().is_empty() {
            return;
        }
        let outgoing = session.outgoing();
        if let Ok(count) = self.socket.send_now(&[IoSlice::new(outgoing.filled())]) {
            outgoing.consume(count);
            outgoing.release();
        }
    }

    /// As [`Stream::send_now`], of plaintext. What was encrypted and not sent is to be flushed by
    /// further calls ([`Stream::has_unsent`]).
    pub(super) fn send_secure_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(secure) = self.secure.get() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let mut session = secure.session();
        let mut taken = 0;
        if session.outgoing().is_empty() {
            for slice in slices {
                let count = slice.len().min(PIECE_BYTES - taken);
                session.write(&slice[..count]).map_err(invalid)?;
                taken += count;
            }
        }
        let outgoing = session.outgoing();
        if outgoing.is_empty() {
            return Ok(taken);
        }
        match self.socket.send_now(&[IoSlice::new(outgoing.filled())]) {
            Ok(count) => {
                outgoing.consume(count);
                outgoing.release();
                Ok(taken)
            }
            // What was taken is encrypted, and cannot be given back.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken > 0 => Ok(taken),
            Err(error) => Err(error),
        }
    }

    /// Something was taken that is not sent yet.
    pub fn has_unsent(&self) -> bool {
        let unsent = self.with_session(|session| !session.outgoing().is_empty());
        unsent.unwrap_or(false)
    }

    /// Says that nothing more comes (`close_notify`), as far as the socket takes it at once.
    pub(super) fn close_secure(&self) {
        if let Some(Ok(())) = self.with_session(Session::close) {
            self.send_secure_now();
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// For whoever closes it without more ado.
impl Drop for Stream {
    fn drop(&mut self) {
        if !self.aborted.get() {
            self.close_secure();
        }
    }
}
