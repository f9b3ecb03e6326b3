//! A connection as tokio's traits want it, for the h2 crate, which is polled.
//!
//! It holds no bytes: what arrives is received straight into the caller's memory, and what is sent
//! goes straight from there. So h2 has the only buffers of a connection, and one that is idle has
//! what h2 keeps, the wait of its [`Stream`], and no more.
//!
//! Reads try to receive and then wait, as `Stream::receive` does. Writes are system calls of their
//! own, not the ring's, which would have to own a copy. Where the send buffer is full they wait for
//! room, for as long as the flush timeout allows without any progress; then the stream's deadline
//! closes the connection. A bridge is the only one to set that deadline. Whoever holds the stream
//! too may end the connection at any time ([`Stream::abort`]), and all that is polled here ends.
//!
//! Since h2 does not tell of frames that bring nothing, they are counted here
//! ([`Bridge::count_idle_frames`]).

use std::{
    cell::Cell,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use ringmain_core::http2::{Flood, IdleFrames};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{buffer::Buffer, deadline::Expiry, stream::Stream};

/// A stream, to be polled by one task.
pub struct Bridge {
    stream: Rc<Stream>,
    /// Received before there was a bridge.
    received: Buffer,
    /// A read waits for bytes.
    is_waiting: bool,
    /// A write waits for room. Made for each wait: there are few.
    room: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
    /// Without progress.
    flush_timeout: Duration,
    reads: Turn,
    writes: Turn,
    guard: Option<Guard>,
}

/// Counts what the peer sends.
struct Guard {
    frames: IdleFrames,
    verdict: Rc<Cell<Option<Flood>>>,
    /// All that was written has been sent, so that another frame may follow.
    is_between_frames: bool,
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
    /// it brings. A write that makes no progress for `flush_timeout` ends the connection; zero:
    /// never.
    pub fn new(stream: Rc<Stream>, received: Buffer, flush_timeout: Duration) -> Self {
        Self {
            stream,
            received,
            is_waiting: false,
            room: None,
            flush_timeout,
            reads: Turn::default(),
            writes: Turn::default(),
            guard: None,
        }
    }

    /// Ends the connection when the peer sends more than `per_second` frames that bring nothing
    /// ([`IdleFrames`]): it is told with GOAWAY, reads fail from then on, and what is returned says
    /// why, which h2's error does not. `from_client`: what is received begins with the preface.
    pub fn count_idle_frames(
        &mut self,
        per_second: u32,
        from_client: bool,
    ) -> Rc<Cell<Option<Flood>>> {
        let verdict = Rc::new(Cell::new(None));
        let now = self.stream.deadline().table().now();
        self.guard = Some(Guard {
            frames: IdleFrames::new(per_second, from_client, now),
            verdict: Rc::clone(&verdict),
            is_between_frames: true,
        });
        verdict
    }

    /// The last `count` bytes of `buffer` have just been read.
    fn count(&mut self, buffer: &ReadBuf<'_>, count: usize) -> io::Result<()> {
        let Some(guard) = &mut self.guard else {
            return Ok(());
        };
        let bytes = &buffer.filled()[buffer.filled().len() - count..];
        let now = || self.stream.deadline().table().now();
        let Err(flood) = guard.frames.received(bytes, now) else {
            return Ok(());
        };
        if guard.verdict.replace(Some(flood)).is_none() && guard.is_between_frames {
            let go_away = go_away(guard.frames.last_stream());
            // Who reads nothing is not told.
            let _ = self.stream.send_now(&[IoSlice::new(&go_away)]);
        }
        Err(io::Error::other(flood.reason()))
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
        loop {
            if let Some(room) = &mut self.room {
                let waited = ready!(room.as_mut().poll(context));
                self.room = None;
                waited?;
            } else {
                ready!(self.poll_write_turn(context));
            }
            match self.stream.send_now(slices) {
                Ok(count) => {
                    // Nothing else sets it. When nothing has, this is one store.
                    self.stream.deadline().clear();
                    if let Some(guard) = &mut self.guard {
                        guard.sent(slices, count);
                    }
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait_for_room(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn wait_for_room(&mut self) {
        self.writes.moves = 0;
        let deadline = self.stream.deadline();
        deadline.set_after(self.flush_timeout, Expiry::Close);
        let stream = Rc::clone(&self.stream);
        self.room = Some(Box::pin(async move { stream.writable().await }));
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

    /// Before a send: with epoll it gives way now and then. On a ring whatever is sent has been
    /// received by way of the ring.
    fn poll_write_turn(&mut self, context: &Context<'_>) -> Poll<()> {
        match self.stream.is_epoll() {
            true => self.writes.poll(&self.stream, context),
            false => Poll::Ready(()),
        }
    }
}

impl Guard {
    /// The first `count` bytes of `slices` have been sent.
    fn sent(&mut self, slices: &[IoSlice<'_>], count: usize) {
        let mut rest = count;
        self.is_between_frames = true;
        for slice in slices {
            let taken = slice.len().min(rest);
            self.frames.sent(&slice[..taken]);
            rest -= taken;
            self.is_between_frames &= taken == slice.len();
        }
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

    /// Everything written is the kernel's already.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Nothing more is sent; the socket is closed when the stream is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.finish();
        Poll::Ready(Ok(()))
    }
}

/// GOAWAY with ENHANCE_YOUR_CALM (RFC 9113 sections 6.8 and 7).
fn go_away(last_stream: u32) -> [u8; 17] {
    let mut frame = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    frame[9..13].copy_from_slice(&last_stream.to_be_bytes());
    frame
}

#[cfg(test)]
mod tests;
