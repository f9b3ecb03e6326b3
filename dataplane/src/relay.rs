//! A body on its way from one socket to the other, in either direction.
//!
//! One buffer is read, unframed in place, framed anew and sent, and only then the next is read: a
//! slow receiver slows the sender, and nothing grows. A long body of known length is sent from the
//! buffer that it was received in; what is short, or sent in chunks, is copied behind its head.

use std::{cell::Cell, io, ops::Range, time::Duration};

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
    /// The read was cancelled: nobody wants the rest.
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
        outgoing
            .tail()
            .extend_from_slice(&received.filled()[payload]);
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
    /// Its reads can be stopped by [`Stream::cancel_receive`].
    pub cancelable: bool,
}

impl Relay<'_> {
    /// Sends `outgoing`, then the body to its end. What was received behind the body is left in
    /// the buffer that is given back.
    pub async fn run(
        &self,
        body: &mut Body<'_>,
        mut received: Buffer,
        mut outgoing: Buffer,
    ) -> (Result<(), Broken>, Buffer) {
        loop {
            let (staged, consumed) = match body.stage(&mut received, &mut outgoing) {
                Ok(staged) => staged,
                Err(broken) => return (Err(broken), received),
            };
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
                    buffer: received,
                    from,
                    to,
                };
                (sent, received) = self.target.send_part(part).await;
            }
            if sent.is_err() {
                return (Err(Broken::Target), received);
            }
            let was_full = received.room() == 0;
            received.consume(consumed);
            if body.is_done() {
                return (Ok(()), received);
            }
            // A transfer that fills its buffer is worth a larger one.
            if was_full {
                received.grow();
            }
            let result;
            (result, received) = self.receive(received).await;
            match result {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::Cancelled) => return (Err(Broken::Stopped), received),
                // A body that lasts until its sender closes is not whole because we closed.
                Ok(Received::End) if self.source.was_stopped() => {
                    return (Err(Broken::Ended), received);
                }
                Ok(Received::End) => return (self.end(body, outgoing).await, received),
                Err(_) => return (Err(Broken::Source), received),
            }
        }
    }

    async fn send(&self, outgoing: Buffer) -> (io::Result<()>, Buffer) {
        self.target.deadline().set(self.late(), Expiry::Close);
        self.source.deadline().clear();
        self.target.send(outgoing).await
    }

    async fn receive(&self, buffer: Buffer) -> (io::Result<Received>, Buffer) {
        self.source.deadline().set(self.late(), Expiry::StopReading);
        // It is the sender that is waited for: the receiver must not be found late first.
        self.target.deadline().clear();
        if self.cancelable {
            return self.source.receive_cancelable(buffer).await;
        }
        self.source.receive(buffer).await
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
