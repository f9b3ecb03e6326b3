//! A body on its way when it cannot go from socket to socket as it is: one end is a stream of
//! HTTP/2, or a copy of it is kept for another try.
//!
//! Payload is taken from a [`Source`] and put to a [`Sink`], a piece at a time: the next is taken
//! when the one before it has gone, so a slow receiver slows the sender, and what is held for it is
//! one piece. The window that a sender of HTTP/2 was given grows again when its bytes have gone on.
//! Where both ends are sockets and nothing is kept, [`crate::relay`] does it for less.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use bytes::Bytes;
use ringmain_core::{
    grpc,
    http1::{BodyDecoder, CRLF, EndOfStream, Framing, encode_chunk_head, encode_last_chunk},
};

use crate::{
    call::Call,
    http2::stream::{Incoming, Outlet, meanwhile},
    io::{
        alarm::Alarm,
        buffer::Buffer,
        deadline::{Expiry, Micros},
        stream::{Received, Stream},
    },
    relay::{Broken, micros},
    replay::Replay,
    worker::Worker,
};

/// Payload that is staged for a socket before it is sent, when more is at hand.
const STAGED_MAX: usize = 16 << 10;
/// More than a chunk's head, its end and the last chunk take.
const FRAMING_BYTES: usize = 64;

/// Where a body comes from.
pub enum Source<'a> {
    /// A connection of HTTP/1.
    Http1 {
        /// It.
        stream: &'a Stream,
        /// What was received and not consumed. The body begins at its front.
        received: &'a mut Buffer,
        /// Takes the framing off.
        decoder: &'a mut BodyDecoder,
    },
    /// A stream of HTTP/2.
    Http2(&'a mut Incoming),
}

/// A part of a body.
pub enum Piece {
    /// Payload; whether it is the last of the body, which then has no trailers.
    Data(Bytes, bool),
    /// The end, with trailers as lines that end with CRLF.
    End(Vec<u8>),
}

/// How far a body went without waiting.
pub enum Reached {
    /// It is complete; to a connection of HTTP/1, what is staged is still to be sent.
    End,
    /// The receiver has no room for this, which was taken.
    Full(Piece),
    /// Nothing more has come.
    Empty,
}

/// Where a body goes.
pub enum Sink<'a> {
    /// A connection of HTTP/1.
    Http1 {
        /// It.
        stream: &'a Stream,
        /// What the receiver was told; never [`Framing::UntilClose`].
        framing: Framing,
        /// Bytes of payload that it expects, whatever the sender sends.
        left: u64,
        /// What is to be sent before it, such as the head.
        outgoing: Buffer,
    },
    /// A stream of HTTP/2.
    Http2(&'a Outlet),
}

/// What a body is carried under.
pub struct Carry<'a> {
    /// Whose core.
    pub worker: &'a Worker,
    /// Whose body.
    pub call: &'a Call,
    /// When every wait ends. Before that, something has to move within the worker's stream idle
    /// timeout.
    pub until: &'a Cell<Micros>,
    /// Nobody wants the rest any more. Looked at whenever this is polled while it waits.
    pub stopped: Option<&'a Cell<bool>>,
    /// Counts the payload.
    pub bytes: &'a Cell<u64>,
    /// Is given the `grpc-status` of the trailers, if there is one.
    pub grpc_status: Option<&'a Cell<Option<u32>>>,
}

impl Carry<'_> {
    /// Carries the body to its end, behind a `piece` that the sink had no room for when
    /// [`Self::pass_on`] was asked. With `replay`, keeps a copy of what is taken.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn run(
        &self,
        source: &mut Source<'_>,
        sink: &mut Sink<'_>,
        mut piece: Option<Piece>,
        mut replay: Option<&mut Replay>,
    ) -> Result<(), Broken> {
        loop {
            match piece.take() {
                Some(Piece::Data(payload, is_last)) => {
                    self.put(sink, payload, is_last, source.incoming()).await?;
                    if is_last {
                        return self.flush(sink).await;
                    }
                }
                Some(Piece::End(trailers)) => {
                    sink.end(&trailers)?;
                    return self.flush(sink).await;
                }
                None => {}
            }
            match self.pass_on(source, sink, replay.as_deref_mut())? {
                Reached::End => return self.flush(sink).await,
                Reached::Full(rest) => piece = Some(rest),
                Reached::Empty => {
                    meanwhile(source.incoming(), self.flush(sink)).await?;
                    let next = self.wait_for(source).await?;
                    self.take(&next, sink, replay.as_deref_mut())?;
                    piece = Some(next);
                }
            }
        }
    }

    /// As far as it goes without waiting for anybody: often to the end, and then the body takes no
    /// future of its own. What an upstream or a client of HTTP/1 is to get is staged.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn pass_on(
        &self,
        source: &mut Source<'_>,
        sink: &mut Sink<'_>,
        mut replay: Option<&mut Replay>,
    ) -> Result<Reached, Broken> {
        loop {
            if self.stopped.is_some_and(Cell::get) {
                return Err(Broken::Stopped);
            }
            // Of an answer, the end is waited for: to cut it off is an error to its sender.
            if self.stopped.is_some() && sink.is_satisfied() {
                return Ok(Reached::End);
            }
            let Some(piece) = source.at_hand()? else {
                return Ok(Reached::Empty);
            };
            self.take(&piece, sink, replay.as_deref_mut())?;
            match piece {
                Piece::Data(mut payload, is_last) => {
                    if !sink.put_at_once(&mut payload, is_last)? {
                        return Ok(Reached::Full(Piece::Data(payload, is_last)));
                    }
                    if is_last {
                        return Ok(Reached::End);
                    }
                }
                Piece::End(trailers) => {
                    sink.end(&trailers)?;
                    return Ok(Reached::End);
                }
            }
        }
    }

    /// A piece was taken from the source.
    ///
    /// # Errors
    /// See [`Sink::expect`].
    fn take(
        &self,
        piece: &Piece,
        sink: &mut Sink<'_>,
        replay: Option<&mut Replay>,
    ) -> Result<(), Broken> {
        if let Some(replay) = replay {
            replay.keep(piece);
        }
        match piece {
            Piece::Data(payload, _) => {
                self.bytes.set(self.bytes.get() + payload.len() as u64);
                sink.expect(payload)
            }
            Piece::End(trailers) => {
                if let Some(status) = self.grpc_status {
                    status.set(grpc::status_of_trailers(trailers));
                }
                Ok(())
            }
        }
    }

    /// Gives payload to the sink, which may have to wait for its receiver. What is `incoming`
    /// behind it is gathered meanwhile.
    ///
    /// # Errors
    /// [`Broken::Target`] or [`Broken::Stopped`].
    pub async fn put(
        &self,
        sink: &mut Sink<'_>,
        mut payload: Bytes,
        is_last: bool,
        mut incoming: Option<&mut Incoming>,
    ) -> Result<(), Broken> {
        while !sink.put_at_once(&mut payload, is_last)? {
            match sink {
                Sink::Http1 { .. } => {
                    meanwhile(incoming.as_deref_mut(), self.flush(sink)).await?;
                }
                Sink::Http2(outlet) => {
                    self.moved();
                    let room = outlet.room_for(self.alarm(), payload.len());
                    let room = self.unless_stopped(room);
                    meanwhile(incoming.as_deref_mut(), room).await?;
                }
            }
        }
        Ok(())
    }

    /// Sends what is staged.
    ///
    /// # Errors
    /// [`Broken::Target`].
    pub async fn flush(&self, sink: &mut Sink<'_>) -> Result<(), Broken> {
        let Sink::Http1 {
            stream, outgoing, ..
        } = sink
        else {
            return Ok(());
        };
        if outgoing.is_empty() {
            return Ok(());
        }
        stream.deadline().set(self.late(), Expiry::Close);
        let sent;
        (sent, *outgoing) = stream.send(outgoing.take()).await;
        stream.deadline().clear();
        outgoing.release();
        self.moved();
        sent.map_err(|_| Broken::Target)
    }

    async fn wait_for(&self, source: &mut Source<'_>) -> Result<Piece, Broken> {
        match source {
            Source::Http2(incoming) => {
                self.moved();
                let next = incoming.next(self.alarm());
                self.unless_stopped(next).await
            }
            Source::Http1 { .. } => loop {
                source.receive(self).await?;
                if let Some(piece) = source.at_hand()? {
                    return Ok(piece);
                }
            },
        }
    }

    fn alarm(&self) -> &Alarm {
        self.call.alarm(&self.worker.deadlines)
    }

    /// What `wait` brings, unless nobody wants it any more.
    async fn unless_stopped<T>(
        &self,
        wait: impl Future<Output = Result<T, Broken>>,
    ) -> Result<T, Broken> {
        let mut wait = pin!(wait);
        poll_fn(|context| {
            if self.stopped.is_some_and(Cell::get) {
                return Poll::Ready(Err(Broken::Stopped));
            }
            wait.as_mut().poll(context)
        })
        .await
    }

    /// Something has moved: until the next thing has to, it is a while.
    fn moved(&self) {
        self.alarm().set(self.late());
    }

    fn late(&self) -> Micros {
        let idle = micros(self.worker.limits.stream_idle_timeout);
        (self.worker.deadlines.now() + idle).min(self.until.get())
    }
}

impl Source<'_> {
    fn incoming(&mut self) -> Option<&mut Incoming> {
        match self {
            Self::Http2(incoming) => Some(incoming),
            Self::Http1 { .. } => None,
        }
    }

    /// What has come already.
    ///
    /// # Errors
    /// [`Broken::Malformed`] or [`Broken::Source`].
    pub fn at_hand(&mut self) -> Result<Option<Piece>, Broken> {
        match self {
            Self::Http2(incoming) => incoming.at_hand(),
            Self::Http1 {
                received, decoder, ..
            } => decoded(decoder, received),
        }
    }

    /// Takes what arrives next.
    async fn receive(&mut self, carry: &Carry<'_>) -> Result<(), Broken> {
        let Self::Http1 {
            stream,
            received,
            decoder,
        } = self
        else {
            return Ok(());
        };
        carry.moved();
        let arrival = async {
            let received = carry.alarm().guard(stream.receive(received)).await;
            received
                .map_err(|_| Broken::Late)?
                .map_err(|_| Broken::Source)
        };
        let arrived = carry.unless_stopped(arrival).await?;
        carry.moved();
        match arrived {
            Received::Bytes(_) => Ok(()),
            Received::End if stream.was_stopped() => Err(Broken::Ended),
            Received::End => match decoder.on_end_of_stream() {
                EndOfStream::Truncated => Err(Broken::Ended),
                // What is left to be said is that it is complete.
                EndOfStream::Complete => {
                    **decoder = BodyDecoder::new(Framing::None);
                    Ok(())
                }
            },
        }
    }
}

impl<'a> Sink<'a> {
    /// A connection of HTTP/1 whose receiver was told `framing`, and to which `outgoing` goes
    /// first. That holds `staged` bytes of the payload.
    pub fn http1(stream: &'a Stream, framing: Framing, staged: u64, outgoing: Buffer) -> Self {
        let left = match framing {
            Framing::None => 0,
            Framing::Length(bytes) => bytes.saturating_sub(staged),
            Framing::Chunked | Framing::UntilClose => u64::MAX,
        };
        Self::Http1 {
            stream,
            framing,
            left,
            outgoing,
        }
    }

    /// Puts as much as there is room for. True when that was all of it.
    ///
    /// # Errors
    /// [`Broken::Target`].
    fn put_at_once(&mut self, payload: &mut Bytes, is_last: bool) -> Result<bool, Broken> {
        match self {
            Self::Http1 {
                framing, outgoing, ..
            } => {
                while !payload.is_empty() {
                    outgoing.hold();
                    let room = outgoing.room().saturating_sub(FRAMING_BYTES);
                    if room == 0 || outgoing.filled().len() >= STAGED_MAX {
                        return Ok(false);
                    }
                    let part = payload.split_to(payload.len().min(room));
                    stage(outgoing, *framing, &part);
                }
                if is_last {
                    self.end(&[])?;
                }
                Ok(true)
            }
            Self::Http2(outlet) => {
                let room = match payload.len() {
                    0 if !is_last => return Ok(true),
                    0 => 0,
                    wanted => match outlet.room(wanted) {
                        0 => return Ok(false),
                        room => room,
                    },
                };
                let part = payload.split_to(payload.len().min(room));
                let ends = is_last && payload.is_empty();
                outlet.send(part, ends).map_err(|_| Broken::Target)?;
                Ok(payload.is_empty())
            }
        }
    }

    /// Payload is about to be put to it.
    ///
    /// # Errors
    /// [`Broken::Source`] when that is more than the receiver was told: it would take it for the
    /// next message.
    fn expect(&mut self, payload: &[u8]) -> Result<(), Broken> {
        if let Self::Http1 { left, .. } = self {
            *left = left
                .checked_sub(payload.len() as u64)
                .ok_or(Broken::Source)?;
        }
        Ok(())
    }

    /// The receiver has all that it was told of. Whatever the sender still says about the end of
    /// the body, the receiver may answer by now, and its answer is no early one.
    fn is_satisfied(&self) -> bool {
        matches!(
            self,
            Self::Http1 {
                framing: Framing::Length(_),
                left: 0,
                ..
            }
        )
    }

    /// The body is complete; its trailers are lines that end with CRLF.
    ///
    /// # Errors
    /// [`Broken::Target`], or [`Broken::Ended`] when the receiver was told of more.
    pub fn end(&mut self, trailers: &[u8]) -> Result<(), Broken> {
        match self {
            Self::Http1 {
                framing: Framing::Chunked,
                outgoing,
                ..
            } => {
                encode_last_chunk(outgoing.tail(), trailers);
                Ok(())
            }
            Self::Http1 { left: 1.., .. } => Err(Broken::Ended),
            Self::Http1 { .. } => Ok(()),
            Self::Http2(outlet) => outlet.end(trailers).map_err(|_| Broken::Target),
        }
    }
}

/// What has been received of a body of HTTP/1.
///
/// # Errors
/// [`Broken::Malformed`].
pub fn decoded(decoder: &mut BodyDecoder, received: &mut Buffer) -> Result<Option<Piece>, Broken> {
    let decoded = decoder
        .decode(received.filled_mut())
        .map_err(Broken::Malformed)?;
    let payload = Bytes::copy_from_slice(&received.filled()[decoded.data]);
    received.consume(decoded.consumed);
    if decoded.done && payload.is_empty() && !decoder.trailers().is_empty() {
        return Ok(Some(Piece::End(decoder.trailers().to_vec())));
    }
    let is_last = decoded.done && decoder.trailers().is_empty();
    Ok((is_last || !payload.is_empty()).then(|| Piece::Data(payload, is_last)))
}

/// Appends payload to what is to be sent.
pub fn stage(outgoing: &mut Buffer, framing: Framing, payload: &[u8]) {
    if payload.is_empty() {
        return;
    }
    let out = outgoing.tail();
    if framing == Framing::Chunked {
        out.extend_from_slice(&encode_chunk_head(payload.len()));
        out.extend_from_slice(payload);
        out.extend_from_slice(CRLF);
    } else {
        out.extend_from_slice(payload);
    }
}
