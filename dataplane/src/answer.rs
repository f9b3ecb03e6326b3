//! The upstream's answer on its way to the client: interim heads, the final head, the body.

use std::cell::Cell;

use ringmain_core::{
    failure::Failure,
    grpc,
    header::Edits,
    http1::{
        BodyDecoder, Framing, Known, MethodKind, Reject, ResponseHead, ResponseWrite,
        encode_response,
    },
    http2::{self, ReceivedResponse},
    retry::{self, Ended},
};

use smallvec::SmallVec;

use crate::{
    call::Call,
    carry::{Carry, Reached, Sink, Source},
    http2::{client::Head, server::Client, stream::Incoming},
    io::{
        buffer::Buffer,
        deadline::{Expiry, Micros},
        stream::{Received, Stream},
    },
    record::Record,
    relay::{Body, Broken, Relay, micros},
    session::Session,
    tries::Tries,
    upgrade::Wanted,
    upstream::{Outgoing, Upstream},
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
    /// Whose connection it goes to.
    pub session: &'a Session,
    /// Whose answer it is.
    pub call: &'a Call,
    /// Where it goes when the client speaks HTTP/2.
    pub client: Option<&'a Client>,
    /// Where it comes from.
    pub upstream: &'a mut Upstream,
    /// Its head is decoded into this.
    pub head: &'a mut ResponseHead,
    /// The method that it answers.
    pub method: MethodKind,
    /// What is to be spoken behind the answer, if the upstream agrees.
    pub upgrade: Option<&'a Wanted>,
    /// The client wants to send another request behind this one.
    pub keep_alive: bool,
    /// Of the destination, then of the route.
    pub edits: &'a [&'a Edits],
    /// The request was sent to its end. Until then it is the client that is waited for, and an
    /// answer is an early one, behind which no request can be told from the rest of the body.
    pub complete: &'a Cell<bool>,
    /// When the last byte of the request was sent; the first, while others follow.
    pub sent_at: &'a Cell<Micros>,
    /// When the route's timeout passes.
    pub until: &'a Cell<Micros>,
    /// When the timeout of this try passes, which holds up to the head of the answer.
    pub try_until: &'a Cell<Micros>,
    /// How far it has come.
    pub progress: &'a Progress,
    /// Bytes of interim heads that were sent on.
    pub interim_bytes: usize,
    /// The request, kept for as long as it may have to be sent once more.
    pub request: Option<&'a mut Outgoing>,
    /// Those of the request.
    pub tries: &'a Tries<'a>,
}

/// What became of an answer.
pub enum Forwarded {
    /// The client has it. Whether the upstream connection can carry another request.
    Sent(bool),
    /// The client has its head: another protocol is spoken from now on. What of that has come from
    /// a connection of HTTP/1.
    Switched(Box<Buffer>),
    /// Nothing of it has gone to the client: the request is to be tried once more.
    Refused,
}

impl Answer<'_> {
    /// Receives it and sends it on.
    ///
    /// # Errors
    /// Why it did not arrive, or did not get through.
    pub async fn forward(&mut self, record: &mut Record<'_>) -> Result<Forwarded, Failure> {
        let (mut received, head_bytes) = self.receive_head().await?;
        if self.tries.may_be_several() && self.is_worth_another(&received.filled()[..head_bytes]) {
            return Ok(Forwarded::Refused);
        }
        if let Some(request) = self.request.take() {
            request.release();
            self.tries.depends_on_copy(None);
        }
        let framing = match self.head.framing() {
            Framing::UntilClose => Framing::Chunked,
            framing => framing,
        };
        let mut outgoing = self.worker.buffers.none();
        let head = &received.filled()[..head_bytes];
        if let Some(wanted) = self.upgrade {
            wanted.check(self.head, head, self.client.is_some())?;
        }
        let ends = self.send_head(head, framing, &mut outgoing, record)?;
        received.consume(head_bytes);
        self.drop_impossible_body();
        if self.switches() {
            received.release();
            // In a box of its own: hardly an answer gets here.
            return Box::pin(self.switch(received, outgoing)).await;
        }
        if ends {
            if let (Upstream::Http1(loan), true) = (&*self.upstream, self.head.keep_alive()) {
                loan.stream().expect_nothing();
            }
            return Ok(Forwarded::Sent(self.may_be_used_again(&received)));
        }
        let bytes = Cell::new(0);
        let result = match (&self.upstream, self.client) {
            (Upstream::Http1(_), None) => {
                let decoder = BodyDecoder::new(self.head.framing());
                let mut body = Body::new(decoder, framing, &bytes);
                self.relay_body(&mut body, &mut received, outgoing).await
            }
            _ => {
                // Nothing is held while the body is awaited.
                received.release();
                self.carry_body(framing, &mut received, outgoing, &bytes, record)
                    .await
            }
        };
        record.sent(bytes.get());
        result?;
        Ok(Forwarded::Sent(self.may_be_used_again(&received)))
    }

    /// No body follows a 204, a 304, or the answer to a HEAD (RFC 9110 section 6.4.1), whatever
    /// frames its sender says one in: it is not waited for, and its sender is told so.
    fn drop_impossible_body(&mut self) {
        let has_none = self.has_no_body();
        if let (Upstream::Http2(loan), true) = (&mut *self.upstream, has_none) {
            loan.incoming = None;
        }
    }

    /// The head says that it is the whole answer.
    fn has_no_body(&self) -> bool {
        self.head.framing() == Framing::None && !self.switches()
    }

    /// The policy asks for another try, and there is room for it.
    fn is_worth_another(&self, bytes: &[u8]) -> bool {
        let field = |name: &str| {
            self.head
                .headers(bytes)
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
        };
        let grpc_status = self.head.header(bytes, Known::GrpcStatus);
        let grpc_status = grpc_status.and_then(grpc::status);
        if !self.tries.may_want(self.head.status(), grpc_status) {
            return false;
        }
        self.tries.again(Ended::Answered(retry::Head {
            status: self.head.status(),
            grpc_status,
            is_rate_limited: field("x-envoy-ratelimited").is_some(),
        }))
    }

    /// What follows the head is another protocol, as the client wanted.
    fn switches(&self) -> bool {
        self.head.status() == 101
    }

    /// Sends the head that agrees.
    async fn switch(&self, received: Buffer, outgoing: Buffer) -> Result<Forwarded, Failure> {
        if self.client.is_none() {
            let (sent, _) = self.session.stream.send(outgoing).await;
            sent.map_err(|_| Failure::DownstreamGone)?;
        }
        Ok(Forwarded::Switched(Box::new(received)))
    }

    fn may_be_used_again(&self, received: &Buffer) -> bool {
        match self.upstream {
            // Bytes behind the answer belong to nothing that we asked for.
            Upstream::Http1(_) => self.head.keep_alive() && received.is_empty(),
            Upstream::Http2(_) => true,
        }
    }

    /// From socket to socket.
    async fn relay_body(
        &self,
        body: &mut Body<'_>,
        received: &mut Buffer,
        mut outgoing: Buffer,
    ) -> Result<(), Failure> {
        let Upstream::Http1(loan) = &*self.upstream else {
            return Ok(());
        };
        let upstream: &Stream = loan.stream();
        let nothing_follows = self.head.keep_alive();
        body.stage_short(received, &mut outgoing)
            .map_err(|broken| self.failure(&broken))?;
        self.progress.begun.set(true);
        if body.is_done() {
            received.release();
            upstream.expect_bulk(false);
            if nothing_follows {
                upstream.expect_nothing();
            }
            let (sent, _) = self.session.stream.send(outgoing).await;
            return sent.map_err(|_| Failure::DownstreamGone);
        }
        let relay = Relay {
            worker: self.worker,
            source: upstream,
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

    /// With a stream of HTTP/2 at one end or both.
    async fn carry_body(
        &mut self,
        framing: Framing,
        received: &mut Buffer,
        outgoing: Buffer,
        bytes: &Cell<u64>,
        record: &mut Record<'_>,
    ) -> Result<(), Failure> {
        let grpc_status = Cell::new(None);
        let carry = Carry {
            worker: self.worker,
            call: self.call,
            until: self.until,
            stopped: None,
            bytes,
            grpc_status: Some(&grpc_status),
        };
        let mut sink = match self.client {
            Some(client) => Sink::Http2(client.outlet()),
            None => Sink::http1(&self.session.stream, framing, 0, outgoing),
        };
        let mut decoder = BodyDecoder::new(self.head.framing());
        let mut source = match &mut *self.upstream {
            Upstream::Http1(loan) => Source::Http1 {
                stream: loan.stream(),
                received,
                decoder: &mut decoder,
            },
            Upstream::Http2(loan) => match &mut loan.incoming {
                Some(incoming) => Source::Http2(incoming),
                None => {
                    self.progress.begun.set(true);
                    let sent = carry.flush(&mut sink).await;
                    return sent.map_err(|broken| self.failure(&broken));
                }
            },
        };
        let passed_on = carry.pass_on(&mut source, &mut sink, None);
        // A client of HTTP/1 has nothing of an answer that was broken from the beginning.
        if passed_on.is_ok() {
            self.progress.begun.set(true);
        }
        let carried = match passed_on {
            Ok(Reached::End) => carry.flush(&mut sink).await,
            Ok(reached) => {
                if let Source::Http1 { stream, .. } = &source {
                    // From here on it is the call's alarm that bounds the waits.
                    stream.deadline().clear();
                }
                let piece = match reached {
                    Reached::Full(piece) => Some(piece),
                    Reached::Empty | Reached::End => None,
                };
                // In a box of its own: it is large, and most answers are short.
                Box::pin(carry.run(&mut source, &mut sink, piece, None)).await
            }
            Err(broken) => Err(broken),
        };
        if let (Ok(()), Source::Http1 { stream, .. }) = (&carried, &source)
            && self.head.keep_alive()
        {
            stream.expect_nothing();
        }
        record.grpc_status(|| grpc_status.get());
        carried.map_err(|broken| self.failure(&broken))
    }

    /// The final head, at the front of the buffer; interim ones are sent on.
    async fn receive_head(&mut self) -> Result<(Buffer, usize), Failure> {
        self.head.reset();
        if self.complete.get() {
            let late = self.sent_at.get() + micros(self.worker.limits.stream_idle_timeout);
            let late = late.min(self.until.get()).min(self.try_until.get());
            self.upstream.set_late(self.call, late);
        }
        match self.upstream {
            Upstream::Http1(_) => self.receive_head_from_socket().await,
            Upstream::Http2(_) => self.receive_head_from_stream().await,
        }
    }

    async fn receive_head_from_socket(&mut self) -> Result<(Buffer, usize), Failure> {
        let mut received = self.worker.buffers.none().with_margin(MARGIN);
        loop {
            let Upstream::Http1(loan) = &*self.upstream else {
                return Err(Failure::UpstreamClosed);
            };
            match loan.stream().receive(&mut received).await {
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

    async fn receive_head_from_stream(&mut self) -> Result<(Buffer, usize), Failure> {
        let limits = &self.worker.limits.head;
        loop {
            let (response, ends) = {
                let Upstream::Http2(loan) = &mut *self.upstream else {
                    return Err(Failure::UpstreamClosed);
                };
                let alarm = self.call.alarm(&self.worker.deadlines);
                let Ok(head) = alarm.guard(loan.head(limits)).await else {
                    return Err(self.too_late());
                };
                match head {
                    Ok(Head::Interim(response)) => (response, false),
                    Ok(Head::Final(response)) => {
                        let incoming = loan.incoming.as_ref();
                        (response, incoming.is_none_or(Incoming::is_over))
                    }
                    Err(failure) => return Err(self.late_or(failure)),
                }
            };
            self.progress.heard.set(true);
            let mut received = self.worker.buffers.take();
            let (parts, ()) = response.into_parts();
            let answered = ReceivedResponse {
                request: self.method,
                upgrade: self.upgrade.map(Wanted::agreement),
                end_of_stream: ends,
            };
            http2::response_text(received.tail(), &parts, answered, limits)
                .map_err(Failure::BadResponse)?;
            match self.head.decode(received.filled(), limits, self.method) {
                Ok(Some(length)) if self.head.is_interim() => {
                    self.send_interim(&received.filled()[..length]).await?;
                }
                Ok(Some(length)) => return Ok((received, length)),
                Ok(None) => return Err(Failure::BadResponse(Reject::HeadTooLarge)),
                Err(reject) => return Err(Failure::BadResponse(reject)),
            }
        }
    }

    /// A client that does not read its answer is cut off after a while.
    fn wait_for_client(&self, now: Micros) {
        let late = now + micros(self.worker.limits.stream_idle_timeout);
        self.session.stream.deadline().set(late, Expiry::Close);
    }

    /// All of them together may be as long as one head: a client of HTTP/2 that does not read
    /// cannot stop them, and they wait in its connection.
    async fn send_interim(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.interim_bytes += bytes.len();
        if self.interim_bytes > self.worker.limits.head.head_bytes_max {
            return Err(Failure::BadResponse(Reject::HeadTooLarge));
        }
        let write = ResponseWrite {
            keep_alive: true,
            request: self.method,
            ..Default::default()
        };
        if let Some(client) = self.client {
            let response = http2::response(self.head, bytes, &write);
            return client.inform(response).map_err(|_| Failure::DownstreamGone);
        }
        self.wait_for_client(self.worker.now());
        let mut outgoing = self.worker.buffers.take();
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

    /// Sends the final head to a client of HTTP/2, or puts it to what is `outgoing` to one of
    /// HTTP/1. True when it is the whole answer, and sent.
    fn send_head(
        &self,
        bytes: &[u8],
        framing: Framing,
        outgoing: &mut Buffer,
        record: &mut Record<'_>,
    ) -> Result<bool, Failure> {
        let now = self.worker.now();
        let waited = now.saturating_sub(self.sent_at.get());
        record.upstream_service_time(waited);
        record.forwarding(match (self.switches(), self.client) {
            // RFC 8441 section 5.
            (true, Some(_)) => 200,
            _ => self.head.status(),
        });
        // Of an answer without a body; else it stands in the trailers.
        record.grpc_status(|| {
            let status = self.head.header(bytes, Known::GrpcStatus);
            status.and_then(grpc::status)
        });
        let mut digits = itoa::Buffer::new();
        let service_time = digits.format(waited / 1000).as_bytes();
        let date = self.worker.recorder.date();
        let mut set: SmallVec<[(Known, &[u8]); 3]> = SmallVec::new();
        set.push((Known::XEnvoyUpstreamServiceTime, service_time));
        if self.head.header(bytes, Known::Date).is_none() {
            set.push((Known::Date, &date));
        }
        let has_server = || self.head.header(bytes, Known::Server).is_some();
        if let Some(server) = self.worker.http.server(has_server) {
            set.push((Known::Server, server));
        }
        let mut write = ResponseWrite {
            edits: self.edits,
            set: &set,
            append: &[],
            framing,
            request: self.method,
            keep_alive: true,
        };
        if let Some(client) = self.client {
            self.progress.begun.set(true);
            let ends = match &*self.upstream {
                _ if self.switches() => false,
                Upstream::Http1(_) => BodyDecoder::new(self.head.framing()).is_done(),
                Upstream::Http2(_) if self.has_no_body() => true,
                Upstream::Http2(loan) => loan.incoming.as_ref().is_none_or(Incoming::is_over),
            };
            let response = http2::response(self.head, bytes, &write);
            let sent = client.respond(response, ends);
            return sent.map(|()| ends).map_err(|_| Failure::DownstreamGone);
        }
        self.wait_for_client(now);
        let keep_alive = self.keep_alive
            && self.complete.get()
            && !self.worker.is_closing(self.session)
            && (self.upgrade.is_none() || self.session.stream.is_quiet());
        self.progress.keeps.set(keep_alive);
        write.keep_alive = keep_alive;
        encode_response(outgoing.tail(), self.head, bytes, &write);
        Ok(false)
    }

    fn failure(&self, broken: &Broken) -> Failure {
        let has_begun = self.progress.begun.get();
        match broken {
            Broken::Target if self.is_over() => Failure::RouteTimeout,
            Broken::Target => Failure::DownstreamGone,
            Broken::Malformed(reject) if has_begun => Failure::BadResponseBody(*reject),
            Broken::Malformed(reject) => Failure::BadResponse(*reject),
            Broken::Late => self.too_late(),
            Broken::Reset if has_begun => self.late_or(Failure::UpstreamResetWithin),
            Broken::Reset => self.late_or(Failure::UpstreamReset),
            Broken::Fault if has_begun => self.late_or(Failure::UpstreamProtocolWithin),
            Broken::Fault => self.late_or(Failure::UpstreamProtocol),
            Broken::Ended | Broken::Source if !has_begun => self.late_or(Failure::UpstreamClosed),
            Broken::Ended | Broken::Source | Broken::Stopped => {
                self.late_or(Failure::UpstreamTruncated)
            }
        }
    }

    /// Why the upstream's socket or stream ended: nobody waits any more, a deadline of ours, or
    /// else `failure`.
    pub fn late_or(&self, failure: Failure) -> Failure {
        if self.call.is_gone() {
            return Failure::DownstreamGone;
        }
        match &*self.upstream {
            Upstream::Http1(loan) if loan.stream().deadline().expired() => self.too_late(),
            Upstream::Http1(_) | Upstream::Http2(_) => failure,
        }
    }

    fn too_late(&self) -> Failure {
        match self.is_over() {
            _ if self.call.is_gone() => Failure::DownstreamGone,
            true => Failure::RouteTimeout,
            false if !self.progress.begun.get() && self.worker.now() >= self.try_until.get() => {
                Failure::PerTryTimeout
            }
            false => Failure::UpstreamIdle,
        }
    }

    /// The route's timeout has passed.
    fn is_over(&self) -> bool {
        self.worker.now() >= self.until.get()
    }
}
