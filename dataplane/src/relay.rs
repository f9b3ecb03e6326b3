//! A body on its way from one socket to the other, in either direction.
//!
//! One buffer is read, unframed in place, framed anew and sent, and only then the next is read: a
//! slow receiver slows the sender, and nothing grows. A long body of known length is sent from the
//! buffer that it was received in; what is short, or sent in chunks, is copied behind its head.

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
    deadline::{Deadlines, Expiry, Micros},
    stream::{Received, Stream},
};

/// A payload of at most so many bytes is copied behind what it follows, to be sent with it: up to
/// here the copy costs less than another system call.
const COALESCED_MAX: usize = 8 << 10;
/// More than a chunk's head, its end and the last chunk take.
const FRAMING_BYTES: usize = 64;

/// Why a body did not arrive whole.
#[derive(Debug)]
pub enum Broken {
    /// The sender closed its connection before the body's end, or was too slow.
    Ended,
    /// The sender's connection failed.
    Source,
    /// The receiver's connection failed.
    Target,
    /// What came is not a body of its framing, or is longer than it may be.
    Malformed(Reject),
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
    /// Where it comes from.
    pub source: &'a Stream,
    /// Where it goes.
    pub target: &'a Stream,
    /// Of both sockets.
    pub deadlines: &'a Deadlines,
    /// How long either side may take for its next move.
    pub idle: Duration,
    /// When every wait ends, whatever `idle` says.
    pub until: &'a Cell<Micros>,
    /// Nobody wants the rest any more. Looked at whenever the relay is polled while it waits for the
    /// sender.
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
        loop {
            let (mut staged, mut consumed) = body.stage(received, &mut outgoing)?;
            if let Staged::InPlace(payload) = &mut staged
                && payload.start == 0
                && received.prepend(outgoing.filled())
            {
                // One send instead of two.
                payload.end += outgoing.filled().len();
                consumed += outgoing.filled().len();
                outgoing.clear();
            }
            if body.is_done() && self.nothing_follows {
                self.source.expect_nothing();
            }
            let is_framed = !matches!(staged, Staged::InPlace(_));
            let mut sent;
            (sent, outgoing) = self.send(outgoing).await;
            if let (
                Ok(()),
                Staged::InPlace(Range {
                    start: from,
                    end: to,
                }),
            ) = (&sent, staged)
            {
                let part = Part {
                    buffer: received.take(),
                    from,
                    to,
                };
                (sent, *received) = self.target.send_part(part).await;
            }
            if sent.is_err() {
                return Err(Broken::Target);
            }
            let was_full = received.room() == 0;
            // What is sent from now on is sent from where it was received, unless it is framed. Then a
            // transfer that fills its buffer has made this one larger, and will again.
            if !(is_framed && was_full) {
                outgoing.release();
            }
            received.consume(consumed);
            if body.is_done() {
                return Ok(());
            }
            // A transfer that fills its buffer is worth a larger one.
            if was_full {
                received.grow();
            }
            match self.receive(received).await? {
                Received::Bytes(_) => {}
                // A body that lasts until its sender closes is not whole because we closed.
                Received::End if self.source.was_stopped() => return Err(Broken::Ended),
                Received::End => return self.end(body, outgoing).await,
            }
        }
    }

    async fn send(&self, outgoing: Buffer) -> (io::Result<()>, Buffer) {
        self.target.deadline().set(self.late(), Expiry::Close);
        self.source.deadline().clear();
        self.target.send(outgoing).await
    }

    async fn receive(&self, buffer: &mut Buffer) -> Result<Received, Broken> {
        self.source.deadline().set(self.late(), Expiry::StopReading);
        // It is the sender that is waited for: the receiver must not be found late first.
        self.target.deadline().clear();
        let mut receive = pin!(self.source.receive(buffer));
        poll_fn(|context| {
            if self.stopped.is_some_and(Cell::get) {
                return Poll::Ready(Err(Broken::Stopped));
            }
            let received = receive.as_mut().poll(context);
            received.map_err(|_| Broken::Source)
        })
        .await
    }

    async fn end(&self, body: &Body<'_>, mut outgoing: Buffer) -> Result<(), Broken> {
        body.end(&mut outgoing)?;
        let (sent, _) = self.send(outgoing).await;
        sent.map_err(|_| Broken::Target)
    }

    fn late(&self) -> Micros {
        (self.deadlines.now() + micros(self.idle)).min(self.until.get())
    }
}

/// In microseconds; what does not fit is for ever.
pub fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX / 2)
}
