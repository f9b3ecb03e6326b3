//! A body on its way from one socket to the other, in either direction.
//!
//! One buffer is read, unframed in place, framed anew and sent, and only then the next is read: a
//! slow receiver slows the sender, and nothing grows. A long body of known length is sent from the
//! buffer that it was received in; what is short, or sent in chunks, is copied behind its head.
//! What is left of a long one after a full buffer is moved through a pipe and never copied.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    ops::Range,
    pin::pin,
    task::Poll,
    time::Duration,
};

use ringmain_core::http1::{
    BodyDecoder, CRLF, EndOfStream, Framing, Reject, encode_chunk_head, encode_last_chunk,
};

use crate::io::{
    buffer::{Buffer, Part},
    deadline::{Expiry, Micros},
    pipe::PIPE_BYTES,
    stream::{Received, Stream},
};
use crate::worker::Worker;

/// A payload of at most so many bytes is copied behind what it follows, to be sent with it: up to
/// here the copy costs less than another system call.
pub const COALESCED_MAX: usize = 8 << 10;
/// With so many bytes still to come, a pipe costs less than a buffer.
const MOVED_MIN: u64 = 16 << 10;
/// Full buffers that are copied when there was no pipe, before one is asked for again.
const COPIES: u32 = 8;
/// More than a chunk's head, its end and the last chunk take.
const FRAMING_BYTES: usize = 64;

/// Why a body did not arrive whole.
#[derive(Debug)]
pub enum Broken {
    /// The sender closed its connection before the body's end, or was too slow.
    Ended,
    /// The sender's connection failed.
    Source,
    /// The sender reset its stream of HTTP/2.
    Reset,
    /// The sender broke the rules of HTTP/2, which ended its stream or all of them.
    Fault,
    /// The receiver's connection failed.
    Target,
    /// What came is not a body of its framing, or is longer than it may be.
    Malformed(Reject),
    /// Nothing moved for too long.
    Late,
    /// Nobody wants the rest.
    Stopped,
}

/// A body: its framing taken off on one side, put on anew on the other.
pub struct Body<'a> {
    decoder: BodyDecoder,
    framing: Framing,
    bytes: &'a Cell<u64>,
}

/// What became of the payload that was received.
enum Staged {
    /// It stands in the outgoing buffer.
    Copied,
    /// It is too long to be copied: it is to be sent from this range of the received buffer.
    InPlace(Range<usize>),
}

impl<'a> Body<'a> {
    /// A body that `decoder` unframes. `framing` is what the receiver was told, never
    /// [`Framing::UntilClose`]; payload is counted in `bytes`.
    pub fn new(decoder: BodyDecoder, framing: Framing, bytes: &'a Cell<u64>) -> Self {
        Self {
            decoder,
            framing,
            bytes,
        }
    }

    /// Takes what is received of the body into `outgoing` as far as it is short, without sending.
    ///
    /// # Errors
    /// [`Broken::Malformed`].
    pub fn stage_short(
        &mut self,
        received: &mut Buffer,
        outgoing: &mut Buffer,
    ) -> Result<(), Broken> {
        if received.filled().len() + FRAMING_BYTES <= COALESCED_MAX.min(outgoing.room()) {
            // So short a payload is never left in place.
            let (_, consumed) = self.stage(received, outgoing)?;
            received.consume(consumed);
        }
        Ok(())
    }

    /// Bytes still to come that go on as they are, if they are worth a pipe.
    fn movable(&self) -> Option<u64> {
        let is_as_it_was = matches!(self.framing, Framing::Length(_));
        let bytes = self.decoder.remaining();
        (is_as_it_was && bytes >= MOVED_MIN).then_some(bytes)
    }

    /// So many of them went on.
    fn pass(&mut self, count: usize) -> Result<(), Broken> {
        let count = count as u64;
        self.decoder.pass(count).map_err(Broken::Malformed)?;
        self.bytes.set(self.bytes.get() + count);
        Ok(())
    }

    /// All of it is sent or staged.
    pub fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Unframes all that is received. Says how many bytes to consume, once the payload is sent.
    fn stage(
        &mut self,
        received: &mut Buffer,
        outgoing: &mut Buffer,
    ) -> Result<(Staged, usize), Broken> {
        let decoded = self
            .decoder
            .decode(received.filled_mut())
            .map_err(Broken::Malformed)?;
        let payload = decoded.data;
        self.bytes.set(self.bytes.get() + payload.len() as u64);
        if self.framing == Framing::Chunked {
            let out = outgoing.tail();
            if !payload.is_empty() {
                out.extend_from_slice(&encode_chunk_head(payload.len()));
                out.extend_from_slice(&received.filled()[payload]);
                out.extend_from_slice(CRLF);
            }
            if decoded.done {
                encode_last_chunk(out, self.decoder.trailers());
            }
            return Ok((Staged::Copied, decoded.consumed));
        }
        if payload.len() > COALESCED_MAX.min(outgoing.room()) {
            let head = outgoing.filled();
            if payload.start == 0 && received.prepend(head) {
                // One send instead of two.
                let (length, consumed) = (head.len(), decoded.consumed);
                outgoing.clear();
                return Ok((Staged::InPlace(0..payload.end + length), consumed + length));
            }
            return Ok((Staged::InPlace(payload), decoded.consumed));
        }
        if !payload.is_empty() {
            let out = outgoing.tail();
            out.extend_from_slice(&received.filled()[payload]);
        }
        Ok((Staged::Copied, decoded.consumed))
    }

    /// The sender sends no more: what the receiver must still be told.
    fn end(&self, outgoing: &mut Buffer) -> Result<(), Broken> {
        if self.decoder.on_end_of_stream() == EndOfStream::Truncated {
            return Err(Broken::Ended);
        }
        if self.framing == Framing::Chunked {
            encode_last_chunk(outgoing.tail(), self.decoder.trailers());
        }
        Ok(())
    }
}

/// Moves a body from one socket to the other.
pub struct Relay<'a> {
    /// Whose core.
    pub worker: &'a Worker,
    /// Where it comes from.
    pub source: &'a Stream,
    /// Where it goes.
    pub target: &'a Stream,
    /// When every wait ends. Before that, either side may take the worker's stream idle timeout for
    /// its next move.
    pub until: &'a Cell<Micros>,
    /// Nobody wants the rest any more. Looked at whenever the relay is polled while it waits for
    /// the sender.
    pub stopped: Option<&'a Cell<bool>>,
    /// The sender is to be silent behind the body: see [`Stream::expect_nothing`].
    pub nothing_follows: bool,
}

impl Relay<'_> {
    /// Sends `outgoing`, then the body to its end. What was received behind the body is left in
    /// `received`.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn run(
        &self,
        body: &mut Body<'_>,
        received: &mut Buffer,
        mut outgoing: Buffer,
    ) -> Result<(), Broken> {
        self.source.expect_bulk(false);
        let mut copies = 0;
        loop {
            let has_more = self.source.has_more();
            let was_full = received.room() == 0;
            let (staged, consumed) = body.stage(received, &mut outgoing)?;
            let is_framed = matches!(staged, Staged::Copied);
            let goes_on = has_more && body.movable().is_some() && self.may_move(&mut copies);
            self.note_end(body);
            let sent = self.send(staged, received, &mut outgoing, goes_on);
            sent.await.map_err(|_| Broken::Target)?;
            // What is sent from now on is sent from where it was received, unless it is framed.
            // Then a transfer that fills its buffer has made this one larger, and will again.
            if goes_on || !(is_framed && was_full) {
                outgoing.release();
            }
            received.consume(consumed);
            if goes_on {
                received.release();
                if !self.go_on(body).await? {
                    copies = COPIES;
                }
            }
            if body.is_done() {
                return Ok(());
            }
            // A transfer that fills its buffer is worth a larger one.
            if was_full && !goes_on {
                received.grow();
            }
            self.wait_for_source();
            match self.unless_stopped(self.source.receive(received)).await? {
                Received::Bytes(_) => {}
                // A body that lasts until its sender closes is not whole because we closed.
                Received::End if self.source.was_stopped() => return Err(Broken::Ended),
                Received::End => return self.end(body, outgoing).await,
            }
        }
    }

    /// Bytes can go from socket to socket.
    fn is_plain(&self) -> bool {
        self.source.is_plain() && self.target.is_plain()
    }

    /// There may be a pipe for what is left.
    fn may_move(&self, copies: &mut u32) -> bool {
        let pipes = &self.worker.pipes;
        if *copies > 0 || !pipes.is_allowed() || !self.is_plain() {
            *copies = copies.saturating_sub(1);
            return false;
        }
        if !pipes.has_room() {
            self.worker.counters.pipes_exhausted.increment();
            *copies = COPIES;
        }
        pipes.has_room()
    }

    /// Sends what is staged, and consumes nothing of what is received. When it `goes_on`, the
    /// kernel may keep some of it for what follows.
    async fn send(
        &self,
        staged: Staged,
        received: &mut Buffer,
        outgoing: &mut Buffer,
        goes_on: bool,
    ) -> io::Result<()> {
        self.wait_for_target();
        let mut sent;
        if goes_on {
            let count = self.target.send_ahead(outgoing.filled())?;
            outgoing.consume(count);
        }
        (sent, *outgoing) = self.target.send(outgoing.take()).await;
        if let (Ok(()), Staged::InPlace(mut payload)) = (&sent, staged) {
            if goes_on {
                payload.start += self
                    .target
                    .send_ahead(&received.filled()[payload.clone()])?;
            }
            let part = Part {
                buffer: received.take(),
                from: payload.start,
                to: payload.end,
            };
            (sent, *received) = self.target.send_part(part).await;
        }
        sent
    }

    /// Moves what is left of a body through a pipe that is held only while there is something in
    /// it. Ends before the body does when that cannot be done, or is not worth it. False when there
    /// is no pipe.
    async fn go_on(&self, body: &mut Body<'_>) -> Result<bool, Broken> {
        // There is more already, for which what was sent waits.
        let mut is_expected = true;
        while let Some(left) = body.movable() {
            let Some(mut pipe) = self.worker.pipes.take() else {
                self.worker.counters.pipes_exhausted.increment();
                if is_expected {
                    self.target.push();
                }
                return Ok(false);
            };
            let bytes_max = usize::try_from(left).unwrap_or(PIPE_BYTES).min(PIPE_BYTES);
            let moved = self.source.receive_into(&mut pipe, bytes_max);
            if let Ok(Received::Bytes(count)) = moved {
                body.pass(count)?;
                self.note_end(body);
                self.wait_for_target();
                self.source.expect_bulk(true);
                let sent = self.target.send_from(&mut pipe, |_| {}).await;
                sent.map_err(|_| Broken::Target)?;
            }
            self.worker.pipes.give_back(pipe);
            match moved {
                Ok(Received::Bytes(_)) => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Err(Broken::Source);
                }
                _ if is_expected => self.target.push(),
                // It is the end, or urgent data, which the kernel does not move: a receive tells.
                _ => break,
            }
            is_expected = false;
            if !body.is_done() {
                self.wait_for_source();
                self.unless_stopped(self.source.spliceable()).await?;
            }
        }
        Ok(true)
    }

    /// What `wait` brings of the sender.
    async fn unless_stopped<T>(
        &self,
        wait: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Broken> {
        let mut wait = pin!(wait);
        poll_fn(|context| {
            if self.stopped.is_some_and(Cell::get) {
                return Poll::Ready(Err(Broken::Stopped));
            }
            let result = wait.as_mut().poll(context);
            result.map_err(|_| Broken::Source)
        })
        .await
    }

    async fn end(&self, body: &Body<'_>, mut outgoing: Buffer) -> Result<(), Broken> {
        body.end(&mut outgoing)?;
        self.wait_for_target();
        let (sent, _) = self.target.send(outgoing).await;
        sent.map_err(|_| Broken::Target)
    }

    fn wait_for_target(&self) {
        self.target.deadline().set(self.late(), Expiry::Close);
        self.source.deadline().clear();
    }

    fn wait_for_source(&self) {
        self.source.deadline().set(self.late(), Expiry::StopReading);
        // It is the sender that is waited for: the receiver must not be found late first.
        self.target.deadline().clear();
    }

    fn note_end(&self, body: &Body<'_>) {
        if body.is_done() && self.nothing_follows {
            self.source.expect_nothing();
        }
    }

    fn late(&self) -> Micros {
        let idle = micros(self.worker.limits.stream_idle_timeout);
        (self.worker.deadlines.now() + idle).min(self.until.get())
    }
}

/// In microseconds; what does not fit is for ever.
pub fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX / 2)
}
