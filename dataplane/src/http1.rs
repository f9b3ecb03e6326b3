//! A downstream connection that speaks HTTP/1.1: how requests come from it, and how it ends.

use std::{io, time::Duration};

use ringmain_core::failure::Failure;

use crate::{
    downstream::Downstream,
    io::{deadline::Expiry, stream::Received},
    relay::micros,
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

impl Downstream {
    /// Waits for the rest of the head whose beginning was received.
    pub async fn next_request(&mut self, worker: &Worker) -> Arrival {
        self.head_bytes = 0;
        self.is_understood = false;
        self.is_taken = false;
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
                    self.is_understood = true;
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
