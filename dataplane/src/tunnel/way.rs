//! One direction of a tunnel: bytes from a source to a target, until the source sends no more.
//!
//! It copies through a buffer of the pool while little moves, which it holds only while there is
//! something in it; when a peer keeps filling that buffer, what has arrived is moved on through a
//! pipe instead, without being copied. The other direction and the worker's tick know of it by the
//! [`Tunnel`] only.

use std::{cell::Cell, io};

use ringmain_core::ending::Ending;

use super::Tunnel;
use crate::{
    io::{
        buffer::{Buffer, Part},
        pipe::PIPE_BYTES,
        stream::{Received, Stream},
    },
    metrics::Series,
    worker::Worker,
};

/// So many buffers in a row were full: it is a transfer, not an exchange of messages.
const FULL_IN_A_ROW: u32 = 2;
/// So many moves in a row were smaller than a buffer: the transfer is over.
const SMALL_IN_A_ROW: u32 = 8;

/// One direction of a tunnel.
pub(super) struct Way<'a> {
    pub(super) worker: &'a Worker,
    pub(super) tunnel: &'a Tunnel,
    pub(super) source: &'a Stream,
    pub(super) target: &'a Stream,
    /// Bytes that this connection has carried this way.
    pub(super) moved: &'a Cell<u64>,
    /// The same, in the metrics.
    pub(super) counted: fn(&Series, u64),
    /// What it means when the source's connection fails.
    pub(super) source_lost: Ending,
    /// What it means when the target's does.
    pub(super) target_lost: Ending,
}

impl Way<'_> {
    /// Carries bytes until the source sends no more, and tells the target so. What is in `first`
    /// has come already.
    pub(super) async fn run(&self, first: Option<Box<Buffer>>) {
        if let Some(first) = first
            && !Box::pin(self.pass_on(*first)).await
        {
            return;
        }
        let mut bulk = false;
        loop {
            let pause = match bulk {
                true => Box::pin(self.splice()).await,
                false => Box::pin(self.copy()).await,
            };
            bulk = match pause {
                Pause::Over => return,
                Pause::Bulk => true,
                Pause::Small => false,
            };
        }
    }

    /// Sends what was received before. False when the target is lost.
    async fn pass_on(&self, first: Buffer) -> bool {
        let count = first.filled().len();
        self.begin_sending();
        let (sent, _) = self.target.send(first).await;
        match sent {
            Ok(()) => {
                self.end_sending();
                self.count(count);
            }
            Err(_) => self.lose(self.target_lost),
        }
        self.tunnel.ending.get().is_none()
    }

    fn begin_sending(&self) {
        let sending = &self.tunnel.sending;
        sending.set(sending.get() + 1);
    }

    fn end_sending(&self) {
        let sending = &self.tunnel.sending;
        sending.set(sending.get() - 1);
    }

    /// Copies through a buffer.
    pub(super) async fn copy(&self) -> Pause {
        let mut buffer = self.worker.buffers.none();
        let mut full = 0;
        loop {
            let count = match self.source.receive(&mut buffer).await {
                Ok(Received::Bytes(count)) => count,
                Ok(Received::End) => return self.finish(),
                // Within TLS, without a farewell: what came before is as good as ever.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.finish();
                }
                Err(_) => {
                    self.lose(self.source_lost);
                    return Pause::Over;
                }
            };
            let is_full = buffer.room() == 0;
            let sent;
            // Not `send`, whose future is larger: this one is kept while nothing moves.
            self.begin_sending();
            (sent, buffer) = self.target.send_part(Part::whole(buffer)).await;
            self.end_sending();
            if sent.is_err() {
                self.lose(self.target_lost);
                return Pause::Over;
            }
            buffer.clear();
            self.count(count);
            full = if is_full { full + 1 } else { 0 };
            if full >= FULL_IN_A_ROW {
                if self.worker.pipes.is_allowed() && self.is_plain() {
                    return Pause::Bulk;
                }
                // Without pipes a larger buffer is the next best.
                buffer.grow();
            }
        }
    }

    /// Moves what arrives through a pipe that is held only while there is something in it.
    pub(super) async fn splice(&self) -> Pause {
        let mut small = 0;
        while small < SMALL_IN_A_ROW {
            if self.source.spliceable().await.is_err() {
                self.lose(self.source_lost);
                return Pause::Over;
            }
            let Some(mut pipe) = self.worker.pipes.take() else {
                self.worker.counters.pipes_exhausted.increment();
                return Pause::Small;
            };
            let count = match self.source.receive_into(&mut pipe, PIPE_BYTES) {
                Ok(Received::Bytes(count)) => count,
                // The kernel moves no urgent data, and calls it an end when the peer's end is
                // behind it: what cannot be moved is received, and so is the end.
                Ok(Received::End) => {
                    self.worker.pipes.give_back(pipe);
                    return Pause::Small;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.worker.pipes.give_back(pipe);
                    return Pause::Small;
                }
                Err(_) => {
                    self.lose(self.source_lost);
                    return Pause::Over;
                }
            };
            self.begin_sending();
            let sent = self.target.send_from(&mut pipe, |count| self.count(count));
            let sent = sent.await;
            self.end_sending();
            if sent.is_err() {
                self.lose(self.target_lost);
                return Pause::Over;
            }
            self.worker.pipes.give_back(pipe);
            let is_small = count < self.worker.limits.buffer_bytes;
            small = if is_small { small + 1 } else { 0 };
        }
        Pause::Small
    }

    /// Bytes can go from socket to socket.
    fn is_plain(&self) -> bool {
        self.source.is_plain() && self.target.is_plain()
    }

    /// The source sends no more. Its end is passed on, unless it was made here.
    fn finish(&self) -> Pause {
        if !self.source.was_stopped() {
            self.tunnel.half_closed.set(true);
            self.target.finish();
        }
        Pause::Over
    }

    /// One side's connection has failed: the other side is told by a reset, too.
    fn lose(&self, ending: Ending) {
        if self.tunnel.ending.get().is_none() {
            self.tunnel.ending.set(Some(ending));
            self.source.reset();
            self.target.reset();
        }
    }

    fn count(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.moved.set(self.moved.get() + bytes);
        if let Some(series) = &self.tunnel.series {
            (self.counted)(series, bytes);
        }
    }
}

/// Why a direction goes on in another way.
pub(super) enum Pause {
    /// Little moves, it cannot be moved, or there is no pipe.
    Small,
    /// It fills its buffer each time.
    Bulk,
    /// It is over.
    Over,
}
