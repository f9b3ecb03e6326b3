//! Whoever sends a request and waits for its answer, over HTTP/1 or HTTP/2.

use std::rc::Rc;

use h2::{RecvStream, ext};
use http::{Request, header::CONTENT_TYPE, request, uri::PathAndQuery};
use ringmain_core::{
    access_log::Protocol,
    failure::Failure,
    grpc,
    http1::{BodyDecoder, Framing, Known, MethodKind, Reject, RequestHead, ResponseHead, glimpse},
    http2::{self, Extended, ReceivedRequest},
};

use crate::{
    call::Call,
    http1::Arrival,
    http2::{server::Client, stream::Incoming},
    io::{buffer::Buffer, deadline::Micros, stream::Stream},
    plan::HttpVersion,
    record::Description,
    session::Session,
    upgrade,
    worker::Worker,
};

/// What is spoken on a downstream connection.
pub enum Wire {
    /// HTTP/1.1: the body follows the head in [`Downstream::received`] and on the socket.
    Http1,
    /// HTTP/2.
    Http2 {
        /// Takes the answer.
        client: Rc<Client>,
        /// The body; `None` when there is none, or once it is being sent on.
        incoming: Option<Box<Incoming>>,
    },
}

impl Wire {
    /// What is spoken.
    pub fn version(&self) -> HttpVersion {
        match self {
            Self::Http1 => HttpVersion::Http1,
            Self::Http2 { .. } => HttpVersion::Http2,
        }
    }

    /// The client, if it speaks HTTP/2.
    pub fn http2(&self) -> Option<&Rc<Client>> {
        match self {
            Self::Http1 => None,
            Self::Http2 { client, .. } => Some(client),
        }
    }
}

/// Decoded heads, which hold memory.
#[derive(Debug, Default)]
pub struct Heads {
    request: Box<RequestHead>,
    response: Box<ResponseHead>,
}

/// Whoever sends a request and waits for its answer.
pub struct Downstream {
    /// The connection.
    pub session: Rc<Session>,
    /// The request that is being served, as others see it.
    pub call: Rc<Call>,
    /// What is spoken on the connection.
    pub wire: Wire,
    /// The head of the request that is being served.
    pub request: Box<RequestHead>,
    /// Kept here for its memory: the head of the answer that is being forwarded.
    pub response: Box<ResponseHead>,
    /// The head, in the form of HTTP/1, then whatever was received behind it, unless that comes on
    /// a stream of HTTP/2.
    pub received: Buffer,
    /// Length of the head in `received`; 0 once it is consumed.
    pub head_bytes: usize,
    /// `request` is the head of a request, rather than of what could not be read.
    pub is_understood: bool,
    /// It is none that is understood, but says that it is a call of gRPC.
    pub is_refused_call: bool,
    /// All of its body has come and gone on.
    pub is_taken: bool,
    /// It asks for another protocol behind its answer, so until then nothing may stand behind it.
    pub wants_upgrade: bool,
    /// When the request's first byte was there.
    pub started: Micros,
    /// When its head was there, or when a delay that a rule asked for was over.
    pub head_at: Micros,
    /// When its last answer was sent: the clock is not asked again for what follows at once.
    pub answered: Micros,
}

impl Downstream {
    /// A connection from which `received` has come just now. `heads` are those of another one, for
    /// their memory.
    pub fn http1(worker: &Worker, session: Rc<Session>, received: Buffer, heads: Heads) -> Self {
        let now = worker.now();
        let Heads {
            mut request,
            response,
        } = heads;
        request.reset();
        Self {
            call: Rc::clone(&session.call),
            session,
            wire: Wire::Http1,
            request,
            response,
            received,
            head_bytes: 0,
            is_understood: false,
            is_refused_call: false,
            is_taken: false,
            wants_upgrade: false,
            started: now,
            head_at: now,
            answered: now,
        }
    }

    /// A request that came on a stream of HTTP/2, and whether it is one. `heads` as above.
    pub fn http2(
        worker: &Worker,
        session: Rc<Session>,
        request: Request<RecvStream>,
        client: Rc<Client>,
        heads: Heads,
    ) -> (Self, Arrival) {
        let (parts, stream) = request.into_parts();
        let limits = &worker.limits.head;
        let protocol = parts.extensions.get::<ext::Protocol>();
        let bytes_max = match protocol {
            Some(_) => 0,
            None => worker.limits.body_bytes_max,
        };
        let incoming = Incoming::new(stream, bytes_max, limits);
        let incoming = incoming.with_underscores(worker.http.underscores);
        let ends = incoming.is_over();
        let mut received = worker.buffers.take();
        let arrived = ReceivedRequest {
            extended: protocol.map(|protocol| Extended {
                protocol: protocol.as_str(),
                random: upgrade::nonce(worker),
            }),
            end_of_stream: ends,
        };
        let written = http2::request_text(received.tail(), &parts, arrived, limits);
        let mut downstream = Self::http1(worker, session, received, heads);
        // It was bounded while it arrived; what bounds its waits is its own.
        downstream.call = Rc::default();
        downstream.call.alarm(&worker.deadlines);
        downstream.wire = Wire::Http2 {
            client,
            incoming: (!ends).then(|| Box::new(incoming)),
        };
        let head = match written {
            Ok(_) => downstream
                .request
                .decode(downstream.received.filled(), limits),
            Err(reject) => Err(reject),
        };
        let arrival = match head {
            Ok(Some(length)) => {
                downstream.head_bytes = length;
                downstream.is_understood = true;
                match protocol.is_some() && !downstream.asks_for_upgrade() {
                    // Behind any other request its bytes would be a body.
                    true => Arrival::Refused(Failure::BadRequest(Reject::ExtendedConnect)),
                    false => Arrival::Request,
                }
            }
            Ok(None) => Arrival::Refused(Failure::BadRequest(Reject::HeadTooLarge)),
            Err(reject) => Arrival::Refused(Failure::BadRequest(reject)),
        };
        if matches!(arrival, Arrival::Refused(_)) {
            downstream.note_refused(&parts);
        }
        (downstream, arrival)
    }

    /// What the log, and an answer, need to know of a request that was refused.
    fn note_refused(&mut self, parts: &request::Parts) {
        let content_type = parts.headers.get(CONTENT_TYPE);
        self.is_refused_call = content_type.is_some_and(|value| grpc::is_grpc(value.as_bytes()));
        if self.received.is_empty() {
            // In the form of HTTP/1, as all that is looked at.
            let target = parts.uri.path_and_query().map(PathAndQuery::as_str);
            let out = self.received.tail();
            for word in [parts.method.as_str(), " ", target.unwrap_or_default()] {
                out.extend_from_slice(word.as_bytes());
            }
        }
    }

    /// Its heads, for the next one.
    pub fn into_heads(self) -> Heads {
        Heads {
            request: self.request,
            response: self.response,
        }
    }

    /// The connection's socket.
    pub fn stream(&self) -> &Stream {
        &self.session.stream
    }

    /// The client's address, for `x-forwarded-for`.
    pub fn peer_text(&self) -> &str {
        self.session.peer_text()
    }

    /// The bytes of the request's head.
    pub fn head(&self) -> &[u8] {
        &self.received.filled()[..self.head_bytes]
    }

    /// The head asks for another protocol behind its answer.
    pub fn asks_for_upgrade(&self) -> bool {
        self.request.upgrade(self.head()).is_some()
    }

    /// The client may send another request behind the answer. Not one that wanted an upgrade and
    /// has sent something before it was answered: that is no request, whatever it looks like.
    pub fn may_go_on(&self) -> bool {
        let is_silent =
            || self.received.filled().len() == self.head_bytes && self.stream().is_quiet();
        self.request.keep_alive() && (!self.wants_upgrade || is_silent())
    }

    /// Takes what is left of a request of HTTP/1 that goes nowhere. False when some of it is still
    /// to come, or is not known to be all: what stands behind is then no request. `bytes` are told
    /// how many there are of the body.
    pub fn take_request(&mut self, bytes: impl FnOnce(u64)) -> bool {
        let framing = self.request.framing();
        if self.is_taken || matches!(framing, Framing::None | Framing::Length(0)) {
            self.consume_head();
            return true;
        }
        if self.head_bytes == 0 {
            // Some of it has gone on.
            return false;
        }
        self.consume_head();
        let mut decoder = BodyDecoder::new(framing);
        let Ok(decoded) = decoder.decode(self.received.filled_mut()) else {
            return false;
        };
        bytes(decoded.data.len() as u64);
        self.received.consume(decoded.consumed);
        decoded.done
    }

    /// Its answer has no body, whatever it says (RFC 9110 section 9.3.2).
    pub fn asks_for_head(&self) -> bool {
        self.is_understood && self.request.method_kind() == MethodKind::Head
    }

    /// The head is dealt with; what stands behind it is next.
    pub fn consume_head(&mut self) {
        self.received.consume(std::mem::take(&mut self.head_bytes));
    }

    /// What the access log says of the request.
    pub fn describe(&self) -> Description<'_> {
        let head = self.head();
        let header = |known| self.request.header(head, known).unwrap_or_default();
        Description {
            method: self.request.method(head).as_bytes(),
            path: self.request.target(head).as_bytes(),
            protocol: Some(match self.wire.version() {
                HttpVersion::Http1 => Protocol::Http11,
                HttpVersion::Http2 => Protocol::Http2,
            }),
            authority: self.request.authority(head).as_bytes(),
            user_agent: header(Known::UserAgent),
            request_id: header(Known::XRequestId),
            forwarded_for: header(Known::XForwardedFor),
            ..self.session.describe()
        }
    }

    /// What the access log says of something that was refused before it was understood.
    pub fn describe_refused(&self) -> Description<'_> {
        let (method, path) = glimpse(self.received.filled());
        Description {
            method,
            path,
            protocol: self.wire.http2().map(|_| Protocol::Http2),
            ..self.session.describe()
        }
    }
}
