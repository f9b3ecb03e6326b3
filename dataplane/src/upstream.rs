//! Whoever answers a request, over HTTP/1 or HTTP/2: what is on loan for one try.

use std::{io, net::SocketAddr, rc::Rc};

use bytes::Bytes;
use h2::{Reason, ext::Protocol};
use http::{HeaderValue, Request};
use memchr::memmem;
use ringmain_core::{
    failure::Failure,
    http1::{Framing, Known, encode_last_chunk},
    http2::KeptRequest,
};

use crate::{
    call::Call,
    carry::{self, Piece},
    http2::{self, stream::Outlet},
    io::{
        buffer::{Buffer, Part},
        deadline::{Expiry, Micros},
        stream::Stream,
    },
    pool,
};

/// What a request is sent on.
pub enum Upstream {
    /// A connection of its own, for as long as it takes.
    Http1(pool::Loan),
    /// A stream.
    Http2(http2::client::Loan),
}

/// A request as it is sent: its head, and as much of its body as was at hand.
pub enum Outgoing {
    /// Ready for the wire.
    Http1(Buffer),
    /// For the h2 crate.
    Http2(Box<Message>),
}

/// A request for a stream of HTTP/2.
#[derive(Debug, Default)]
pub struct Message {
    /// Its head, until it is sent.
    head: Option<Request<()>>,
    /// What is spoken on the stream of an extended CONNECT.
    protocol: Option<Protocol>,
    /// The head of one that may be sent once more, or of a copy.
    kept: KeptRequest,
    /// Its body, as far as it was taken.
    pub payload: Vec<u8>,
    /// Lines that end with CRLF.
    pub trailers: Vec<u8>,
}

impl Upstream {
    /// It has carried requests before, so it may be about to end.
    pub fn reused(&self) -> bool {
        match self {
            Self::Http1(loan) => loan.reused,
            Self::Http2(loan) => loan.reused,
        }
    }

    /// Our end of the connection.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Http1(loan) => loan.stream().local_address(),
            Self::Http2(loan) => loan.local_address(),
        }
    }

    /// From now on `call` waits for it.
    pub fn is_awaited_by(&self, call: &Call) {
        call.wait_for(match self {
            Self::Http1(loan) => Some(Rc::clone(loan.stream())),
            Self::Http2(_) => None,
        });
    }

    /// It has to make its next move before `late`.
    pub fn set_late(&self, call: &Call, late: Micros) {
        match self {
            Self::Http1(loan) => loan.stream().deadline().set(late, Expiry::Close),
            Self::Http2(_) => call.moved(late),
        }
    }

    /// Where the rest of the request's body goes, once its head was sent.
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Http1(loan) => Some(Target::Http1(Rc::clone(loan.stream()))),
            Self::Http2(loan) => loan.outlet.clone().map(Target::Http2),
        }
    }

    /// Sends what is at hand of a request; `ends`: it is all of it. With `keeps`, what was sent
    /// stays in `outgoing`, to be sent once more.
    ///
    /// # Errors
    /// Why it was not sent.
    pub async fn send(
        &mut self,
        outgoing: &mut Outgoing,
        ends: bool,
        keeps: bool,
    ) -> Result<(), Failure> {
        match (self, outgoing) {
            (Self::Http1(loan), Outgoing::Http1(buffer)) => {
                let sent;
                (sent, *buffer) = loan.stream().send_part(Part::whole(buffer.take())).await;
                sent.map_err(|_| Failure::UpstreamClosed)
            }
            (Self::Http2(loan), Outgoing::Http2(message)) => message.send(loan, ends, keeps),
            (Self::Http1(_), Outgoing::Http2(_)) | (Self::Http2(_), Outgoing::Http1(_)) => {
                unreachable!("a request is encoded for what its cluster speaks")
            }
        }
    }
}

/// Where the rest of a request's body goes.
pub enum Target {
    /// A connection.
    Http1(Rc<Stream>),
    /// A stream.
    Http2(Rc<Outlet>),
}

impl Target {
    /// Nothing more is sent there, nor awaited from there.
    pub fn end(&self) {
        match self {
            Self::Http1(stream) => stream.abort(),
            Self::Http2(outlet) => outlet.reset(Reason::CANCEL),
        }
    }

    /// See [`Upstream::set_late`].
    pub fn set_late(&self, call: &Call, late: Micros) {
        match self {
            Self::Http1(stream) => stream.deadline().set(late, Expiry::Close),
            Self::Http2(_) => call.moved(late),
        }
    }
}

impl Outgoing {
    /// Adds a part of the body. `framing` is what an upstream of HTTP/1 was told. True when it was
    /// the last.
    pub fn stage(&mut self, piece: Piece, framing: Framing) -> bool {
        match (self, piece) {
            (Self::Http1(buffer), Piece::Data(payload, is_last)) => {
                carry::stage(buffer, framing, &payload);
                if is_last && framing == Framing::Chunked {
                    encode_last_chunk(buffer.tail(), &[]);
                }
                is_last
            }
            (Self::Http1(buffer), Piece::End(trailers)) => {
                if framing == Framing::Chunked {
                    encode_last_chunk(buffer.tail(), &trailers);
                }
                true
            }
            (Self::Http2(message), Piece::Data(payload, is_last)) => {
                message.payload.extend_from_slice(&payload);
                is_last
            }
            (Self::Http2(message), Piece::End(trailers)) => {
                message.trailers = trailers;
                true
            }
        }
    }

    /// Moves it out.
    pub fn take(&mut self) -> Self {
        match self {
            Self::Http1(buffer) => Self::Http1(buffer.take()),
            Self::Http2(message) => Self::Http2(std::mem::take(message)),
        }
    }

    /// How many bytes are ready for the wire so far: a head's own, too, if it is one of HTTP/1.
    pub fn staged_bytes(&self) -> usize {
        match self {
            Self::Http1(buffer) => buffer.filled().len(),
            Self::Http2(message) => message.payload.len(),
        }
    }

    /// The head once more; `head_bytes`: [`Self::staged_bytes`] before anything came behind it.
    pub fn copy_head(&self, head_bytes: usize) -> Self {
        match self {
            Self::Http1(buffer) => Self::Http1(buffer.copy_front(head_bytes)),
            Self::Http2(message) => Self::Http2(Box::new(message.copy_head())),
        }
    }

    /// Says which try it is, and whether one before it took too long. Its head says so of another
    /// try already.
    pub fn set_attempt(&mut self, number: u32, after_timeout: bool) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        match self {
            Self::Http1(buffer) => set_attempt(buffer, digits, after_timeout),
            Self::Http2(message) => {
                let Some(head) = message.head_mut() else {
                    return;
                };
                let fields = head.headers_mut();
                if let Ok(value) = HeaderValue::from_bytes(digits) {
                    fields.insert(Known::XEnvoyAttemptCount.name(), value);
                }
                if after_timeout {
                    fields.insert(IS_TIMEOUT_RETRY, HeaderValue::from_static("true"));
                }
            }
        }
    }

    /// Nothing of it is needed any more.
    pub fn release(&mut self) {
        match self {
            Self::Http1(buffer) => {
                buffer.clear();
                buffer.release();
            }
            Self::Http2(message) => **message = Message::default(),
        }
    }
}

const IS_TIMEOUT_RETRY: &str = "x-envoy-is-timeout-retry";

/// Writes a number in the place of the one that the head says, which stands there as
/// [`encode_request`](ringmain_core::http1::encode_request) writes it.
fn set_attempt(buffer: &mut Buffer, digits: &[u8], after_timeout: bool) {
    const FIELD: &[u8] = b"\r\nx-envoy-attempt-count: ";
    let filled = buffer.filled();
    let head = memmem::find(filled, b"\r\n\r\n").unwrap_or(filled.len());
    let head = &filled[..head];
    let Some(start) = memmem::find(head, FIELD).map(|start| start + FIELD.len()) else {
        return;
    };
    let says_timeout = memmem::find(head, IS_TIMEOUT_RETRY.as_bytes()).is_some();
    let length = filled[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let rest = filled[start + length.count()..].to_vec();
    let kept = filled[..start].to_vec();
    buffer.clear();
    let out = buffer.tail();
    out.extend_from_slice(&kept);
    out.extend_from_slice(digits);
    if after_timeout && !says_timeout {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(IS_TIMEOUT_RETRY.as_bytes());
        out.extend_from_slice(b": true");
    }
    out.extend_from_slice(&rest);
}

impl Message {
    /// One of which nothing but the head is taken yet.
    pub fn new(mut head: Request<()>) -> Self {
        Self {
            protocol: head.extensions_mut().remove(),
            head: Some(head),
            ..Self::default()
        }
    }

    fn copy_head(&self) -> Self {
        Self {
            head: None,
            protocol: self.protocol.clone(),
            kept: match &self.head {
                Some(head) => KeptRequest::of(head),
                None => self.kept.clone(),
            },
            ..Self::default()
        }
    }

    /// The head that is to be sent; `None` when it was sent and not kept.
    fn head_mut(&mut self) -> Option<&mut Request<()>> {
        if self.head.is_none() {
            self.head = self.kept.request();
        }
        self.head.as_mut()
    }

    /// Its payload is short: it may wait in the connection for room.
    fn send(
        &mut self,
        loan: &mut http2::client::Loan,
        ends: bool,
        keeps: bool,
    ) -> Result<(), Failure> {
        self.head_mut();
        let mut head = self.head.take().ok_or(Failure::UpstreamClosed)?;
        if keeps {
            self.kept = KeptRequest::of(&head);
        }
        if let Some(protocol) = &self.protocol {
            head.extensions_mut().insert(protocol.clone());
        }
        let has_body = !self.payload.is_empty() || !self.trailers.is_empty();
        loan.send(head, ends && !has_body)?;
        let Some(outlet) = loan.outlet.as_ref().filter(|_| has_body) else {
            return Ok(());
        };
        let ends_with_payload = ends && self.trailers.is_empty();
        let mut sent = Ok(());
        if !self.payload.is_empty() {
            let payload = Bytes::copy_from_slice(&self.payload);
            sent = outlet.send(payload, ends_with_payload);
        }
        if ends && !ends_with_payload {
            sent = sent.and_then(|()| outlet.end(&self.trailers));
        }
        sent.map_err(|_| Failure::UpstreamClosed)
    }
}
