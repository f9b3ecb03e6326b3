//! A connection as tokio's traits want it, for the h2 crate, which is polled.
//!
//! What arrives is received straight into the caller's memory. What is to be sent is put together
//! until the turn of the connection's task is over ([`Line::poll_flush`]), since the crate flushes
//! after every frame with a payload of 256 bytes; what is long goes straight from the caller's
//! memory, together with what is before it. An idle connection has what h2 keeps, the wait of its
//! [`Stream`], and no more.
//!
//! Reads try to receive and then wait, as `Stream::receive` does. Writes are system calls of their
//! own, not the ring's, which would have to own a copy. Where the send buffer is full they wait for
//! room, for as long as the flush timeout allows without any progress; then the stream's deadline
//! closes the connection. A bridge is the only one to set that deadline. Whoever holds the stream
//! too may end the connection at any time ([`Stream::abort`]), and all that is polled here ends.
//!
//! Since h2 does not tell of frames that bring nothing, of heads that do not end, and of requests
//! that it refuses itself, they are seen here ([`Bridge::watch_frames`]).

mod line;
mod seen;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::seen::Guard;
pub use self::{line::Line, seen::Seen};
use super::{buffer::Buffer, stream::Stream};

/// A stream, to be polled by one task.
pub struct Bridge {
    stream: Rc<Stream>,
    /// Received before there was a bridge.
    received: Buffer,
    /// A read waits for bytes.
    is_waiting: bool,
    reads: Turn,
    line: Rc<Line>,
    guard: Option<Guard>,
}

/// How long one direction has gone on without a wait that lets others have their turn.
#[derive(Default)]
struct Turn {
    moves: u8,
    /// It gives way.
    is_over: bool,
}

/// Receives or sends of a connection before others have their turn.
const MOVES_MAX: u8 = 32;

impl Bridge {
    /// Over `stream`, which nobody else reads or writes from now on; `received` came before what
    /// it brings, `outgoing` is empty. A write that makes no progress for `flush_timeout` ends the
    /// connection; zero: never.
    pub fn new(
        stream: Rc<Stream>,
        received: Buffer,
        outgoing: Buffer,
        flush_timeout: Duration,
    ) -> Self {
        Self {
            line: Line::new(Rc::clone(&stream), outgoing, flush_timeout),
            stream,
            received,
            is_waiting: false,
            reads: Turn::default(),
            guard: None,
        }
    }

    /// What is written goes this way, and has to be flushed by whoever polls the connection,
    /// whenever it has.
    pub fn line(&self) -> Rc<Line> {
        Rc::clone(&self.line)
    }

    /// Ends the connection when the peer sends more than `per_second` frames that bring nothing
    /// (`IdleFrames`): it is told with GOAWAY, and reads fail from then on. What is returned says
    /// why, which h2's error does not, and what else was seen. `from_client`: what is received
    /// begins with the preface.
    pub fn watch_frames(&mut self, per_second: u32, from_client: bool) -> Rc<Seen> {
        let now = self.stream.deadline().table().now();
        let guard = Guard::new(per_second, from_client, now);
        let seen = guard.seen();
        self.guard = Some(guard);
        seen
    }

    /// The last `count` bytes of `buffer` have just been read.
    fn count(&mut self, buffer: &ReadBuf<'_>, count: usize) -> io::Result<()> {
        let Some(guard) = &mut self.guard else {
            return Ok(());
        };
        let bytes = &buffer.filled()[buffer.filled().len() - count..];
        let now = || self.stream.deadline().table().now();
        guard.received(bytes, now).map_err(|end| {
            if let Some(go_away) = end.go_away {
                self.line.send_last(&go_away);
            }
            io::Error::other(end.flood.reason())
        })
    }

    /// What was received already: as much as fits.
    fn read_received(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let bytes = self.received.filled();
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(&bytes[..count]);
        self.received.consume(count);
        self.received.release();
        self.count(buffer, count)
    }

    /// Receives once, unless it would have to wait. False: nothing has arrived.
    fn receive(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        // SAFETY: nothing uninitialised is written to it.
        let space = unsafe { buffer.unfilled_mut() };
        match self.stream.receive_to(space) {
            Ok(count) => {
                // SAFETY: the kernel wrote so many bytes to the front of the unfilled part.
                unsafe { buffer.assume_init(count) };
                buffer.advance(count);
                self.count(buffer, count)?;
                Ok(true)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(false),
                _ => Err(error),
            },
        }
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = self.line.poll_send(context, slices);
        if let Some(guard) = &mut self.guard {
            match &sent {
                Poll::Ready(Ok(count)) => guard.sent(slices, *count),
                Poll::Ready(Err(_)) => {}
                Poll::Pending => guard.is_held_up(),
            }
        }
        sent
    }

    /// Before a receive: with epoll it gives way now and then; on a ring the next one waits.
    fn poll_read_turn(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.stream.is_epoll() {
            return self.reads.poll(&self.stream, context);
        }
        if !self.is_waiting && self.reads.ends() {
            self.stream.wait_first();
        }
        Poll::Ready(())
    }
}

impl Turn {
    /// Counts a move; true for the last one of a turn.
    fn ends(&mut self) -> bool {
        self.moves = (self.moves + 1) % MOVES_MAX;
        self.moves == 0
    }

    fn poll(&mut self, stream: &Stream, context: &Context<'_>) -> Poll<()> {
        if !std::mem::take(&mut self.is_over) && self.ends() {
            self.is_over = stream.deadline().table().turns.queue(context.waker());
            if self.is_over {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Bridge {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bridge = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if !bridge.received.is_empty() {
            return Poll::Ready(bridge.read_received(buffer));
        }
        if !bridge.is_waiting {
            ready!(bridge.poll_read_turn(context));
        }
        loop {
            ready!(bridge.stream.poll_readable(&mut bridge.is_waiting, context))?;
            if bridge.receive(buffer)? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Bridge {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Whoever polls the connection flushes the [`Line`], once all has been written that it has to
    /// say. The crate would do so in between.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Nothing more is sent; the socket is closed when the stream is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(self.line.poll_flush(context));
        self.stream.finish();
        Poll::Ready(flushed)
    }
}

#[cfg(test)]
mod tests;
