//! The body of a request on its way to the upstream.

use std::{cell::Cell, rc::Rc};

use ringmain_core::http1::{BodyDecoder, Framing};

use crate::{
    call::Call,
    carry::{Carry, Piece, Sink, Source, decoded},
    downstream::{Downstream, Wire},
    http2::stream::Incoming,
    io::{buffer::Buffer, deadline::Micros},
    relay::{Body, Broken, COALESCED_MAX, Relay},
    replay::Replay,
    session::Session,
    upstream::{Outgoing, Target},
    worker::Worker,
};

/// How it gets there.
pub enum Upload<'a> {
    /// From socket to socket.
    Relayed(Body<'a>),
    /// From a connection of HTTP/1, to a stream, or with a copy kept.
    Decoded {
        /// Takes the framing off.
        decoder: BodyDecoder,
        /// Counts the payload.
        bytes: &'a Cell<u64>,
    },
    /// From a stream.
    Streamed {
        /// It; `None`: there is no body.
        incoming: Option<Box<Incoming>>,
        /// Counts the payload.
        bytes: &'a Cell<u64>,
    },
}

/// What it takes to send the rest of a body.
pub struct Way<'a> {
    /// Whose core.
    pub worker: &'a Rc<Worker>,
    /// Whose connection it comes on.
    pub session: &'a Session,
    /// Whose request it belongs to.
    pub call: &'a Call,
    /// See [`Carry::until`].
    pub until: &'a Cell<Micros>,
    /// Nobody wants the rest any more.
    pub stopped: &'a Cell<bool>,
    /// What an upstream of HTTP/1 was told.
    pub framing: Framing,
    /// Bytes of payload that stand behind the head in what is sent first.
    pub staged: u64,
}

impl<'a> Upload<'a> {
    /// Of the request whose head was just taken from `downstream`. Payload is counted in `bytes`.
    /// `keeps`: a copy is kept of what is taken.
    pub fn of(
        worker: &Worker,
        downstream: &mut Downstream,
        outgoing: &Outgoing,
        keeps: bool,
        bytes: &'a Cell<u64>,
    ) -> Self {
        if let Wire::Http2 { incoming, .. } = &mut downstream.wire {
            let incoming = incoming.take();
            return Self::Streamed { incoming, bytes };
        }
        let framing = downstream.request.framing();
        let mut decoder = BodyDecoder::new(framing).with_underscores(worker.http.underscores);
        if worker.limits.body_bytes_max > 0 {
            decoder = decoder.with_limit(worker.limits.body_bytes_max);
        }
        match outgoing {
            Outgoing::Http1(_) if !keeps => Self::Relayed(Body::new(decoder, framing, bytes)),
            Outgoing::Http1(_) | Outgoing::Http2(_) => Self::Decoded { decoder, bytes },
        }
    }

    /// Takes what has come of the body as far as it is short, to be sent with the head. True when
    /// that is all.
    ///
    /// # Errors
    /// Why the body is refused.
    pub fn stage(
        &mut self,
        received: &mut Buffer,
        outgoing: &mut Outgoing,
        framing: Framing,
        replay: Option<&mut Replay>,
    ) -> Result<bool, Broken> {
        match (&mut *self, &mut *outgoing) {
            (Self::Relayed(body), Outgoing::Http1(buffer)) => {
                body.stage_short(received, buffer)?;
                Ok(body.is_done())
            }
            (Self::Streamed { incoming: None, .. }, _) => Ok(true),
            (
                Self::Streamed {
                    incoming: Some(incoming),
                    ..
                },
                _,
            ) => {
                // Before anything of it goes on.
                incoming.check_length(framing)?;
                self.stage_pieces(received, outgoing, framing, replay)
            }
            _ => self.stage_pieces(received, outgoing, framing, replay),
        }
    }

    fn stage_pieces(
        &mut self,
        received: &mut Buffer,
        outgoing: &mut Outgoing,
        framing: Framing,
        mut replay: Option<&mut Replay>,
    ) -> Result<bool, Broken> {
        let mut staged = 0;
        while staged < COALESCED_MAX && received.filled().len() <= COALESCED_MAX {
            let piece = match self {
                Self::Relayed(_) | Self::Streamed { incoming: None, .. } => return Ok(false),
                Self::Decoded { decoder, .. } => decoded(decoder, received)?,
                Self::Streamed {
                    incoming: Some(incoming),
                    ..
                } => incoming.at_hand()?,
            };
            let Some(piece) = piece else {
                return Ok(false);
            };
            if let Piece::Data(payload, _) = &piece {
                staged += payload.len();
                self.count(payload.len());
            }
            if let Some(replay) = &mut replay {
                replay.keep(&piece);
            }
            if outgoing.stage(piece, framing) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn count(&self, count: usize) {
        let (Self::Decoded { bytes, .. } | Self::Streamed { bytes, .. }) = self else {
            return;
        };
        bytes.set(bytes.get() + count as u64);
    }

    /// Sends `outgoing`, which begins the request, and the body to its end.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub async fn run(
        &mut self,
        way: &Way<'_>,
        target: &Target,
        received: &mut Buffer,
        outgoing: Outgoing,
        replay: Option<&mut Replay>,
    ) -> Result<(), Broken> {
        let source_stream = &way.session.stream;
        let (mut source, bytes) = match self {
            Self::Relayed(body) => {
                let (Target::Http1(stream), Outgoing::Http1(buffer)) = (target, outgoing) else {
                    return Err(Broken::Target);
                };
                let relay = Relay {
                    worker: way.worker,
                    source: source_stream,
                    target: stream,
                    until: way.until,
                    stopped: Some(way.stopped),
                    nothing_follows: false,
                };
                return relay.run(body, received, buffer).await;
            }
            Self::Decoded { decoder, bytes } => {
                let source = Source::Http1 {
                    stream: source_stream,
                    received,
                    decoder,
                };
                (source, *bytes)
            }
            Self::Streamed { incoming, bytes } => match incoming {
                Some(incoming) => (Source::Http2(incoming), *bytes),
                None => return Ok(()),
            },
        };
        let mut sink = match (target, outgoing) {
            (Target::Http1(stream), Outgoing::Http1(buffer)) => {
                Sink::http1(stream, way.framing, way.staged, buffer)
            }
            (Target::Http2(outlet), _) => Sink::Http2(outlet),
            (Target::Http1(_), Outgoing::Http2(_)) => return Err(Broken::Target),
        };
        let carry = Carry {
            worker: way.worker,
            call: way.call,
            until: way.until,
            stopped: Some(way.stopped),
            bytes,
            grpc_status: None,
        };
        carry.run(&mut source, &mut sink, None, replay).await
    }
}
