//! Both directions of a TLS connection, used at the same time.
//!
//! They share the session, which none of them holds while it waits for the socket: a reader fetches
//! ciphertext into memory of its own and feeds the session with it. What the session has to say by
//! itself, such as an answer to a change of keys, leaves with the next bytes that are sent.

use std::{cell::RefCell, io, rc::Rc};

use monoio::{
    buf::{IoBuf, IoBufMut},
    io::{
        AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable,
    },
    net::TcpStream,
};

use super::{
    Phase, Session,
    stream::{PIECE_BYTES, Stream, cut_off, refused},
};

/// For one read: as many as the session takes in without growing.
const READ_BYTES_MAX: usize = 32 << 10;

/// The direction from the peer.
pub(crate) struct Receiver {
    half: OwnedReadHalf<TcpStream>,
    session: Rc<RefCell<Session>>,
    chunk: Vec<u8>,
}

/// The direction to the peer.
pub(crate) struct Sender {
    half: OwnedWriteHalf<TcpStream>,
    session: Rc<RefCell<Session>>,
}

/// The two directions of a connection on which no operation is under way.
pub(crate) fn split(stream: Stream) -> (Receiver, Sender) {
    let (tcp, session) = stream.into_parts();
    let (read_half, write_half) = tcp.into_split();
    let session = Rc::new(RefCell::new(session));
    let receiver = Receiver {
        half: read_half,
        session: Rc::clone(&session),
        chunk: Session::chunk(),
    };
    let sender = Sender {
        half: write_half,
        session,
    };
    (receiver, sender)
}

impl Receiver {
    /// As [`Stream::read`].
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let filled = buffer.len();
        if filled == buffer.capacity() {
            return Ok(0);
        }
        loop {
            let phase = self.session.borrow_mut().read(buffer).map_err(refused)?;
            if buffer.len() > filled {
                return Ok(buffer.len() - filled);
            }
            if phase == Phase::Ended {
                return Ok(0);
            }
            let mut chunk = std::mem::take(&mut self.chunk);
            chunk.clear();
            if chunk.capacity() == 0 {
                chunk = Session::chunk();
            }
            let room = chunk.capacity().min(READ_BYTES_MAX);
            let (read, slice) = self.half.read(chunk.slice_mut(..room)).await;
            self.chunk = slice.into_inner();
            if read? == 0 {
                return Err(cut_off());
            }
            let mut session = self.session.borrow_mut();
            session.feed(&mut self.chunk).map_err(refused)?;
        }
    }
}

impl Sender {
    /// As [`Stream::write_all`].
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.session.borrow_mut().write(piece).map_err(refused)?;
            self.flush().await?;
        }
        Ok(())
    }

    /// As [`Stream::shutdown`].
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        self.session.borrow_mut().close().map_err(refused)?;
        self.flush().await?;
        self.half.shutdown().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (bytes, filled) = self.session.borrow_mut().take_outgoing();
        let (sent, slice) = self.half.write_all(bytes.slice(..filled)).await;
        self.session.borrow_mut().give_outgoing(slice.into_inner());
        sent.map(drop)
    }
}
