//! A downstream connection that speaks HTTP/1.1: where requests come from and answers go.

use std::{cell::OnceCell, rc::Rc, time::Duration};

use ringmain_core::{
    access_log::Protocol,
    failure::Failure,
    http1::{Known, RequestHead, ResponseHead},
};

use crate::{
    io::{
        buffer::Buffer,
        deadline::{Expiry, Micros},
        stream::{Received, Stream},
    },
    record::Description,
    relay::micros,
    session::Session,
    worker::Worker,
};

/// Bytes that a closing connection still takes from a client that has not finished its request.
const LINGER_BYTES_MAX: usize = 1 << 20;

/// How long a closing connection waits for its client to have read the answer.
const LINGER: Duration = Duration::from_secs(1);

/// What came of waiting for a request.
#[derive(Debug)]
pub enum Arrival {
    /// A complete head, at the front of [`Downstream::received`].
    Request,
    /// Nothing, for so long that the connection should not hold a buffer any more.
    Quiet,
    /// The client closed, in mid-head or before it, or has been idle for too long.
    Closed,
    /// Something that is not a request, or too slowly.
    Refused(Failure),
}

/// A downstream connection while it is busy.
pub struct Downstream {
    /// The connection.
    pub session: Rc<Session>,
    /// The head of the request that is being served.
    pub request: RequestHead,
    /// Kept here for its memory: the head of the answer that is being forwarded.
    pub response: ResponseHead,
    /// What was received and not yet consumed: the head, then whatever follows it.
    pub received: Buffer,
    /// Length of the head in `received`; 0 once it is consumed.
    pub head_bytes: usize,
    /// When the request's first byte was there.
    pub started: Micros,
    /// When its head was there.
    pub head_at: Micros,
    /// When its last answer was sent: the clock is not asked again for what follows at once.
    pub answered: Micros,
    /// The client's address as text, once it was needed.
    peer_text: OnceCell<String>,
}

impl Downstream {
    /// A connection from which something can be received.
    pub fn new(worker: &Worker, session: Rc<Session>) -> Self {
        Self {
            session,
            request: RequestHead::new(),
            response: ResponseHead::new(),
            received: worker.buffers.take(),
            head_bytes: 0,
            started: 0,
            head_at: 0,
            answered: worker.now(),
            peer_text: OnceCell::new(),
        }
    }

    /// Its socket.
    pub fn stream(&self) -> &Stream {
        &self.session.stream
    }

    /// The client's address, for `x-forwarded-for`.
    pub fn peer_text(&self) -> &str {
        let peer = self.session.peer.ip();
        self.peer_text
            .get_or_init(|| peer.to_canonical().to_string())
    }

    /// The bytes of the request's head.
    pub fn head(&self) -> &[u8] {
        &self.received.filled()[..self.head_bytes]
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
            protocol: Some(Protocol::Http11),
            authority: self.request.authority(head).as_bytes(),
            user_agent: header(Known::UserAgent),
            request_id: header(Known::XRequestId),
            forwarded_for: header(Known::XForwardedFor),
            ..self.describe_peer()
        }
    }

    /// What the access log says of something that is not a request.
    pub fn describe_peer(&self) -> Description<'_> {
        Description {
            downstream_local: self.stream().local_address().ok(),
            downstream_remote: Some(self.session.peer),
            ..Description::default()
        }
    }

    /// Waits for the next request's head.
    pub async fn next_request(&mut self, worker: &Worker) -> Arrival {
        self.head_bytes = 0;
        let now = self.answered;
        if self.received.is_empty() {
            match self.first_bytes(worker, now).await {
                Ok(Received::Bytes(_)) => self.started = worker.now(),
                Ok(Received::Cancelled) => return Arrival::Quiet,
                Ok(Received::End) | Err(_) => return Arrival::Closed,
            }
        } else {
            self.started = now;
        }
        let mut waits = false;
        loop {
            match self
                .request
                .decode(self.received.filled(), &worker.limits.head)
            {
                Ok(Some(length)) => {
                    self.head_bytes = length;
                    self.head_at = if waits { worker.now() } else { self.started };
                    // The head's deadline is not the request's.
                    self.stream().deadline().clear();
                    return Arrival::Request;
                }
                Ok(None) => {}
                Err(reject) => return Arrival::Refused(Failure::BadRequest(reject)),
            }
            if !waits {
                waits = true;
                let late = self.started + micros(worker.limits.request_head_timeout);
                self.stream().deadline().set(late, Expiry::StopReading);
            }
            match self.more(worker).await {
                Ok(Received::Bytes(_) | Received::Cancelled) => {}
                Ok(Received::End) if self.stream().deadline().expired() => {
                    return Arrival::Refused(Failure::RequestHeadTimeout);
                }
                Ok(Received::End) | Err(_) => return Arrival::Closed,
            }
        }
    }

    /// Waits for a request's first bytes, for as long as a buffer is granted for that.
    async fn first_bytes(&mut self, worker: &Worker, now: Micros) -> std::io::Result<Received> {
        self.session.set_idle(now);
        let quiet = now + micros(worker.limits.buffer_release);
        self.stream().deadline().set(quiet, Expiry::CancelRead);
        let buffer = std::mem::replace(&mut self.received, worker.buffers.none());
        let (result, buffer) = self.session.stream.receive_cancelable(buffer).await;
        self.received = buffer;
        if matches!(result, Ok(Received::Bytes(_))) {
            self.session.set_busy();
        }
        result
    }

    async fn more(&mut self, worker: &Worker) -> std::io::Result<Received> {
        if !self.received.make_room() {
            // The head's limit is far below the largest buffer.
            return Ok(Received::End);
        }
        let buffer = std::mem::replace(&mut self.received, worker.buffers.none());
        let (result, buffer) = self.session.stream.receive(buffer).await;
        self.received = buffer;
        result
    }

    /// Closes the connection so that the client can read an answer that it may not have read yet:
    /// a socket closed with bytes unread would reset it. Takes and forgets what the client still
    /// sends, for a bounded time and amount.
    pub async fn linger(mut self, worker: &Worker) {
        self.stream().finish();
        self.stream()
            .deadline()
            .set_after(LINGER, Expiry::StopReading);
        let mut bytes = 0;
        while bytes < LINGER_BYTES_MAX {
            self.received.clear();
            let buffer = std::mem::replace(&mut self.received, worker.buffers.none());
            let (result, buffer) = self.session.stream.receive(buffer).await;
            self.received = buffer;
            let Ok(Received::Bytes(count)) = result else {
                return;
            };
            bytes += count;
        }
    }
}
