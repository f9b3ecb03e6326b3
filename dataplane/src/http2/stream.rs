//! The two directions of one stream of HTTP/2, as bodies see them.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use ringmain_config::tuning::UnderscoresInHeaders;
use ringmain_core::{
    http1::{Framing, Limits, Reject},
    http2,
};

use super::gathered::{Gathered, SHORT_BYTES};
use crate::{carry::Piece, io::alarm::Alarm, relay::Broken};

/// Why a stream has ended before its message did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The peer did nothing with it (RFC 9113 sections 6.8 and 8.7).
    Refused,
    /// The peer reset it.
    Reset,
    /// The peer broke the rules, which ended the stream or all of them (RFC 9113 section 5.4).
    Fault,
    /// The connection has ended, or the stream was ended on purpose.
    Closed,
}

impl Cause {
    /// What h2 says of it.
    pub fn of(error: &h2::Error) -> Self {
        match error.reason() {
            Some(Reason::REFUSED_STREAM) if error.is_remote() => Self::Refused,
            _ if error.is_go_away() && error.is_remote() => Self::Refused,
            Some(reason) if error.is_library() && is_complaint(reason) => Self::Fault,
            Some(_) if error.is_reset() && error.is_remote() => Self::Reset,
            Some(_) if error.is_library() => Self::Fault,
            // A flood is all that the bridge itself finds fault with.
            None if error
                .get_io()
                .is_some_and(|error| error.kind() == io::ErrorKind::Other) =>
            {
                Self::Fault
            }
            _ => Self::Closed,
        }
    }

    /// The same of a body that has begun: whoever refuses it then resets it, or leaves.
    fn within_body(error: &h2::Error) -> Broken {
        match Self::of(error) {
            Self::Reset => Broken::Reset,
            Self::Refused if error.is_reset() => Broken::Reset,
            Self::Fault => Broken::Fault,
            Self::Refused | Self::Closed => Broken::Source,
        }
    }
}

/// It was not ended on purpose.
fn is_complaint(reason: Reason) -> bool {
    !matches!(reason, Reason::NO_ERROR | Reason::CANCEL)
}

/// What comes on a stream behind the head of its message.
pub struct Incoming {
    stream: RecvStream,
    /// Payload that was passed on, and for which the sender has no room yet.
    unreleased: usize,
    /// What was taken and not passed on.
    gathered: Option<Box<Gathered>>,
    /// Bytes of payload that may still come.
    left: u64,
    /// Of trailers.
    limits: Limits,
    underscores: UnderscoresInHeaders,
}

impl Incoming {
    /// A body of at most `bytes_max` bytes; 0: of any size.
    pub fn new(stream: RecvStream, bytes_max: u64, limits: &Limits) -> Self {
        let left = match bytes_max {
            0 => u64::MAX,
            max => max,
        };
        Self {
            stream,
            unreleased: 0,
            gathered: None,
            left,
            limits: *limits,
            underscores: UnderscoresInHeaders::Allow,
        }
    }

    /// What is done with trailers whose name holds `_`.
    #[must_use]
    pub fn with_underscores(mut self, underscores: UnderscoresInHeaders) -> Self {
        self.underscores = underscores;
        self
    }

    /// A body is to come that is framed so.
    ///
    /// # Errors
    /// [`Broken::Malformed`]: it says that it is longer than it may be.
    pub fn check_length(&self, framing: Framing) -> Result<(), Broken> {
        match framing {
            Framing::Length(bytes) if bytes > self.left => {
                Err(Broken::Malformed(Reject::BodyTooLarge))
            }
            _ => Ok(()),
        }
    }

    /// Nothing comes any more.
    pub fn is_over(&self) -> bool {
        self.gathered
            .as_ref()
            .is_none_or(|gathered| gathered.is_empty())
            && self.stream.is_end_stream()
    }

    /// Takes what has come, for whoever asks for it later: the piece before it has not gone on yet.
    /// Wakes when more comes.
    fn gather(&mut self, context: &mut Context<'_>) {
        // The end, and why it came, is told once more to whoever asks for it.
        while let Poll::Ready(Some(Ok(payload))) = self.stream.poll_data(context) {
            self.gathered.get_or_insert_default().push(payload);
        }
    }

    /// What has come already. The piece before it has gone on.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn at_hand(&mut self) -> Result<Option<Piece>, Broken> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(piece) => piece.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// What comes next, as long as `alarm` does not ring. May be dropped. The piece before it has
    /// gone on, so its sender may send as much again.
    ///
    /// # Errors
    /// [`Broken::Late`], [`Broken::Malformed`], or why the stream ended: [`Broken::Reset`],
    /// [`Broken::Fault`], [`Broken::Source`].
    pub async fn next(&mut self, alarm: &Alarm) -> Result<Piece, Broken> {
        let piece = poll_fn(|context| self.poll(context));
        alarm.guard(piece).await.map_err(|_| Broken::Late)?
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        if self.unreleased > 0 {
            let released = std::mem::take(&mut self.unreleased);
            // It cannot be more than was received.
            drop(self.stream.flow_control().release_capacity(released));
        }
        loop {
            if let Some(payload) = self.gathered.as_mut().and_then(|gathered| gathered.pop()) {
                return Poll::Ready(self.pass_on(payload));
            }
            match std::task::ready!(self.stream.poll_data(context)) {
                Some(Ok(payload)) if payload.len() >= SHORT_BYTES || self.is_over() => {
                    return Poll::Ready(self.pass_on(payload));
                }
                // What is short goes on in one piece with what has come behind it.
                Some(Ok(payload)) => match self.stream.poll_data(context) {
                    Poll::Ready(Some(Ok(more))) => {
                        let gathered = self.gathered.get_or_insert_default();
                        gathered.push(payload);
                        gathered.push(more);
                        self.gather(context);
                    }
                    _ if payload.is_empty() => {}
                    _ => return Poll::Ready(self.pass_on(payload)),
                },
                Some(Err(error)) => return Poll::Ready(Err(Cause::within_body(&error))),
                None => break,
            }
        }
        let trailers = std::task::ready!(self.stream.poll_trailers(context));
        Poll::Ready(match trailers {
            Ok(None) => Ok(Piece::End(Vec::new())),
            Ok(Some(trailers)) => {
                let mut lines = Vec::new();
                http2::trailers_text(&mut lines, &trailers, &self.limits, self.underscores)
                    .map(|()| Piece::End(lines))
                    .map_err(Broken::Malformed)
            }
            Err(error) => Err(Cause::within_body(&error)),
        })
    }

    fn pass_on(&mut self, payload: Bytes) -> Result<Piece, Broken> {
        self.unreleased = payload.len();
        let is_last = self.is_over();
        let left = self.left.checked_sub(payload.len() as u64);
        self.left = left.ok_or(Broken::Malformed(Reject::BodyTooLarge))?;
        Ok(Piece::Data(payload, is_last))
    }
}

/// What `wait`, for the receiver of what is `incoming`, brings. What comes until then is gathered:
/// there may be many frames for little payload, and what they cost the stream's window does not
/// bound.
pub async fn meanwhile<T>(mut incoming: Option<&mut Incoming>, wait: impl Future<Output = T>) -> T {
    let mut wait = pin!(wait);
    poll_fn(|context| {
        let waited = wait.as_mut().poll(context);
        if let (Poll::Pending, Some(incoming)) = (&waited, &mut incoming) {
            incoming.gather(context);
        }
        waited
    })
    .await
}

/// Where the body of a message goes on a stream whose head was sent.
pub struct Outlet(RefCell<SendStream<Bytes>>);

impl Outlet {
    pub(super) fn new(stream: SendStream<Bytes>) -> Self {
        Self(RefCell::new(stream))
    }

    /// How many of `wanted` bytes the receiver takes now.
    pub fn room(&self, wanted: usize) -> usize {
        let mut stream = self.0.borrow_mut();
        stream.reserve_capacity(wanted);
        stream.capacity()
    }

    /// Waits until the receiver takes some of `wanted` bytes, as long as `alarm` does not ring: so
    /// many. May be dropped.
    ///
    /// # Errors
    /// [`Broken::Late`], or [`Broken::Target`] when the stream was reset.
    pub async fn room_for(&self, alarm: &Alarm, wanted: usize) -> Result<usize, Broken> {
        let room = poll_fn(|context| match self.room(wanted) {
            0 => self.0.borrow_mut().poll_capacity(context),
            room => Poll::Ready(Some(Ok(room))),
        });
        match alarm.guard(room).await {
            Ok(Some(Ok(room))) => Ok(room),
            Ok(Some(Err(_)) | None) => Err(Broken::Target),
            Err(_) => Err(Broken::Late),
        }
    }

    /// Sends payload for which there is room; `ends`: it is the last of the body.
    ///
    /// # Errors
    /// When the stream was reset.
    pub fn send(&self, payload: Bytes, ends: bool) -> Result<(), h2::Error> {
        self.0.borrow_mut().send_data(payload, ends)
    }

    /// Ends the body, with trailers as lines that end with CRLF.
    ///
    /// # Errors
    /// When the stream was reset.
    pub fn end(&self, trailers: &[u8]) -> Result<(), h2::Error> {
        let mut stream = self.0.borrow_mut();
        match trailers {
            [] => stream.send_data(Bytes::new(), true),
            lines => stream.send_trailers(http2::trailer_map(lines)),
        }
    }

    /// The receiver is told that what it has is not the whole.
    pub fn reset(&self, reason: Reason) {
        self.0.borrow_mut().send_reset(reason);
    }

    /// Whether the receiver has reset the stream. Wakes when it does.
    pub fn poll_reset(&self, context: &mut Context<'_>) -> Poll<()> {
        let reset = self.0.borrow_mut().poll_reset(context);
        reset.map(|_| ())
    }
}
