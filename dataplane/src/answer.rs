//! The upstream's answer on its way to the client: interim heads, the final head, the body.

use std::cell::Cell;

use ringmain_core::{
    failure::Failure,
    header::Edits,
    http1::{
        BodyDecoder, Framing, Known, MethodKind, ResponseHead, ResponseWrite, encode_response,
    },
};

use crate::{
    io::{
        buffer::Buffer,
        deadline::{Expiry, Micros},
        stream::{Received, Stream},
    },
    record::Record,
    relay::{Body, Broken, Relay, micros},
    session::Session,
    worker::Worker,
};

/// Bytes of room before an answer, so that the head that is sent, which may be a little longer than
/// the one that was received, fits between it and a body that is not copied.
const MARGIN: usize = 64;

/// How far an answer has come, for those who must know after it failed.
#[derive(Debug, Default)]
pub struct Progress {
    /// The upstream has sent something.
    pub heard: Cell<bool>,
    /// Something of the final answer was sent to the client, so there can be no other.
    pub begun: Cell<bool>,
    /// The client was told that it may send another request behind this one.
    pub keeps: Cell<bool>,
}

/// One answer on its way.
pub struct Answer<'a> {
    /// Whose core.
    pub worker: &'a Worker,
    /// Where it goes.
    pub session: &'a Session,
    /// Where it comes from.
    pub upstream: &'a Stream,
    /// Its head is decoded into this.
    pub head: &'a mut ResponseHead,
    /// The method that it answers.
    pub method: MethodKind,
    /// The client wants to send another request behind this one.
    pub keep_alive: bool,
    /// Of the destination, then of the route.
    pub edits: &'a [&'a Edits],
    /// The request was sent to its end. Until then it is the client that is waited for, and an
    /// answer is an early one, behind which no request can be told from the rest of the body.
    pub complete: &'a Cell<bool>,
    /// When the request was sent.
    pub sent_at: Micros,
    /// When the route's timeout passes.
    pub until: &'a Cell<Micros>,
    /// How far it has come.
    pub progress: &'a Progress,
    /// The request, kept for as long as it may have to be sent once more.
    pub request: Option<&'a mut Buffer>,
}

impl Answer<'_> {
    /// Receives it and sends it on. True when the upstream connection can carry another request.
    ///
    /// # Errors
    /// Why it did not arrive, or did not get through.
    pub async fn forward(&mut self, record: &mut Record<'_>) -> Result<bool, Failure> {
        let (mut received, head_bytes) = self.receive_head().await?;
        if let Some(request) = self.request.take() {
            request.clear();
            request.release();
        }
        let framing = match self.head.framing() {
            Framing::UntilClose => Framing::Chunked,
            framing => framing,
        };
        let mut outgoing = self.worker.buffers.take();
        self.encode_head(
            &received.filled()[..head_bytes],
            framing,
            &mut outgoing,
            record,
        );
        received.consume(head_bytes);

        let bytes = Cell::new(0);
        let mut body = Body::new(BodyDecoder::new(self.head.framing()), framing, &bytes);
        let result = self.forward_body(&mut body, &mut received, outgoing).await;
        record.sent(bytes.get());
        result?;
        // Bytes behind the answer belong to nothing that we asked for.
        Ok(self.head.keep_alive() && received.is_empty())
    }

    async fn forward_body(
        &self,
        body: &mut Body<'_>,
        received: &mut Buffer,
        mut outgoing: Buffer,
    ) -> Result<(), Failure> {
        self.progress.begun.set(true);
        let nothing_follows = self.head.keep_alive();
        body.stage_short(received, &mut outgoing)
            .map_err(|broken| self.failure(&broken))?;
        if body.is_done() {
            received.release();
            self.upstream.expect_bulk(false);
            if nothing_follows {
                self.upstream.expect_nothing();
            }
            let (sent, _) = self.session.stream.send(outgoing).await;
            return sent.map_err(|_| Failure::DownstreamGone);
        }
        let relay = Relay {
            worker: self.worker,
            source: self.upstream,
            target: &self.session.stream,
            until: self.until,
            stopped: None,
            nothing_follows,
        };
        // In a box of its own: it is large, and most answers were sent above.
        Box::pin(relay.run(body, received, outgoing))
            .await
            .map_err(|broken| self.failure(&broken))
    }

    /// The final head, at the front of the buffer; interim ones are sent on.
    async fn receive_head(&mut self) -> Result<(Buffer, usize), Failure> {
        let mut received = self.worker.buffers.none().with_margin(MARGIN);
        self.head.reset();
        if self.complete.get() {
            let late = self.sent_at + micros(self.worker.limits.stream_idle_timeout);
            let late = late.min(self.until.get());
            self.upstream.deadline().set(late, Expiry::Close);
        }
        loop {
            match self.upstream.receive(&mut received).await {
                Ok(Received::Bytes(_)) => self.progress.heard.set(true),
                Ok(Received::End) | Err(_) => {
                    return Err(self.late_or(Failure::UpstreamClosed));
                }
            }
            while !received.is_empty() {
                let limits = &self.worker.limits.head;
                match self.head.decode(received.filled(), limits, self.method) {
                    Ok(Some(length)) if self.head.is_interim() => {
                        self.send_interim(&received.filled()[..length]).await?;
                        received.consume(length);
                    }
                    Ok(Some(length)) => return Ok((received, length)),
                    Ok(None) => break,
                    Err(reject) => return Err(Failure::BadResponse(reject)),
                }
            }
            // The limit of a head is far below the largest buffer.
            received.make_room();
        }
    }

    /// A client that does not read its answer is cut off after a while.
    fn wait_for_client(&self, now: Micros) {
        let late = now + micros(self.worker.limits.stream_idle_timeout);
        self.session.stream.deadline().set(late, Expiry::Close);
    }

    async fn send_interim(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.wait_for_client(self.worker.now());
        let mut outgoing = self.worker.buffers.take();
        let write = ResponseWrite {
            keep_alive: true,
            request: self.method,
            ..Default::default()
        };
        encode_response(outgoing.tail(), self.head, bytes, &write);
        let (sent, _) = self.session.stream.send(outgoing).await;
        // It is the rest of the request that is waited for again, or the upstream.
        let deadline = self.session.stream.deadline();
        if self.complete.get() {
            deadline.clear();
        } else {
            deadline.set_after(self.worker.limits.stream_idle_timeout, Expiry::StopReading);
        }
        sent.map_err(|_| Failure::DownstreamGone)
    }

    fn encode_head(
        &self,
        bytes: &[u8],
        framing: Framing,
        outgoing: &mut Buffer,
        record: &mut Record<'_>,
    ) {
        let now = self.worker.now();
        let waited = now - self.sent_at;
        self.wait_for_client(now);
        record.upstream_service_time(waited);
        record.forwarding(self.head.status());
        let keep_alive =
            self.keep_alive && self.complete.get() && !self.worker.is_closing(self.session);
        self.progress.keeps.set(keep_alive);
        let mut digits = itoa::Buffer::new();
        let service_time = digits.format(waited / 1000).as_bytes();
        let set = [(Known::XEnvoyUpstreamServiceTime.name(), service_time)];
        let write = ResponseWrite {
            edits: self.edits,
            set: &set,
            append: &[],
            framing,
            request: self.method,
            keep_alive,
        };
        encode_response(outgoing.tail(), self.head, bytes, &write);
    }

    fn failure(&self, broken: &Broken) -> Failure {
        match broken {
            Broken::Target if self.is_over() => Failure::RouteTimeout,
            Broken::Target => Failure::DownstreamGone,
            Broken::Malformed(reject) => Failure::BadResponse(*reject),
            Broken::Ended | Broken::Source | Broken::Stopped => {
                self.late_or(Failure::UpstreamTruncated)
            }
        }
    }

    /// Why the upstream's socket ended: nobody waits any more, a deadline of ours, or else
    /// `failure`.
    pub fn late_or(&self, failure: Failure) -> Failure {
        if self.session.is_gone() {
            return Failure::DownstreamGone;
        }
        if !self.upstream.deadline().expired() {
            return failure;
        }
        match self.is_over() {
            true => Failure::RouteTimeout,
            false => Failure::UpstreamIdle,
        }
    }

    /// The route's timeout has passed.
    fn is_over(&self) -> bool {
        self.worker.now() >= self.until.get()
    }
}
