//! A downstream connection that speaks HTTP/1.1: where requests come from and answers go.

use std::{io, rc::Rc, time::Duration};

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

/// What came of waiting for a request's head.
#[derive(Debug)]
pub enum Arrival {
    /// A complete head, at the front of [`Downstream::received`].
    Request,
    /// The client closed in mid-head.
    Closed,
    /// Something that is not a request, or too slowly.
    Refused(Failure),
}

/// Decoded heads, which hold memory.
#[derive(Debug, Default)]
pub struct Heads {
    request: Box<RequestHead>,
    response: Box<ResponseHead>,
}

/// A downstream connection from the first byte of a request until nothing of it is left to do.
pub struct Downstream {
    /// The connection.
    pub session: Rc<Session>,
    /// The head of the request that is being served.
    pub request: Box<RequestHead>,
    /// Kept here for its memory: the head of the answer that is being forwarded.
    pub response: Box<ResponseHead>,
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
}

impl Downstream {
    /// A connection from which `received` has come just now. `heads` are those of another one, for
    /// their memory.
    pub fn new(worker: &Worker, session: Rc<Session>, received: Buffer, heads: Heads) -> Self {
        let now = worker.now();
        let Heads {
            mut request,
            response,
        } = heads;
        request.reset();
        Self {
            session,
            request,
            response,
            received,
            head_bytes: 0,
            started: now,
            head_at: now,
            answered: now,
        }
    }

    /// Its heads, for the next one.
    pub fn into_heads(self) -> Heads {
        Heads {
            request: self.request,
            response: self.response,
        }
    }

    /// Its socket.
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

    /// Waits for the rest of the head whose beginning was received.
    pub async fn next_request(&mut self, worker: &Worker) -> Arrival {
        self.head_bytes = 0;
        // Of one that stood behind the last, the time is known.
        self.started = self.answered;
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
            match self.more().await {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::End) if self.stream().deadline().expired() => {
                    return Arrival::Refused(Failure::RequestHeadTimeout);
                }
                Ok(Received::End) | Err(_) => return Arrival::Closed,
            }
        }
    }

    async fn more(&mut self) -> io::Result<Received> {
        if !self.received.make_room() {
            // The head's limit is far below the largest buffer.
            return Ok(Received::End);
        }
        self.session.stream.receive(&mut self.received).await
    }

    /// Closes the connection so that the client can read an answer that it may not have read yet:
    /// a socket closed with bytes unread would reset it. Takes and forgets what the client still
    /// sends, for a bounded time and amount.
    pub async fn linger(&mut self) {
        self.stream().finish();
        self.stream()
            .deadline()
            .set_after(LINGER, Expiry::StopReading);
        let mut bytes = 0;
        while bytes < LINGER_BYTES_MAX {
            self.received.clear();
            let result = self.session.stream.receive(&mut self.received).await;
            let Ok(Received::Bytes(count)) = result else {
                return;
            };
            bytes += count;
        }
    }
}
