//! One request, top to bottom.
//!
//! Pin the snapshot, open the record, decide, pick an endpoint, check out a connection, send,
//! answer, close the record. Deciding is pure and lives in `ringmain-core`; what is here moves
//! bytes and keeps promises: an answer that has begun is never begun again, a connection that did
//! not end in order is never used again, and every request is recorded exactly once.

mod respond;

use std::{cell::Cell, pin::pin, rc::Rc, time::Duration};

use ringmain_config::listener::Direction;
use ringmain_core::{
    failure::{Failure, Flag},
    header::Edits,
    http1::Framing,
    limit::{Counted, Full},
    metrics::Reporter,
    retry::Ended,
};

use self::respond::{Ours, fail, respond};
use crate::{
    answer::{Answer, Forwarded, Progress},
    downstream::Downstream,
    http2,
    io::{
        self,
        deadline::{Expiry, Micros},
        race::join,
        stream::Stream,
    },
    mirror,
    plan::{Decided, EditsList, Forwarding, HttpVersion, Plan},
    pool::{self, ClusterState, Lease, Unreached},
    record::Record,
    relay::{Broken, micros},
    replay::Replay,
    tries::Tries,
    upgrade::Switched,
    upload::{Upload, Way},
    upstream::{Outgoing, Upstream},
    worker::Worker,
};

/// What happens to the downstream connection after a request.
pub enum After {
    /// It waits for the next request.
    Next,
    /// It is closed: nothing follows.
    Close,
    /// It is closed once the client had time to read the answer: it may still be sending.
    Linger,
    /// It, or its stream, carries another protocol.
    Switched(Box<Switched>),
}

/// Serves the request whose head is at the front of `downstream.received`.
pub async fn exchange(worker: &Rc<Worker>, downstream: &mut Downstream) -> After {
    let snapshot = worker.snapshot(downstream.session.listener);
    let listener = snapshot.listener(downstream.session.listener);
    let direction = listener.map_or(Direction::Gateway, |listener| listener.config.direction);
    let mut record = Record::open(
        &worker.recorder,
        Reporter::of(direction),
        downstream.started,
    );
    record.describe(|| downstream.describe());
    downstream.wants_upgrade = downstream.asks_for_upgrade();

    let progress = Progress::default();
    let mut decided = match listener {
        Some(listener) => Decided::about(worker, &snapshot, listener, downstream, &mut record),
        None => Decided::no_route(),
    };
    let edits = decided.edits.take();
    let mut result = Ok(());
    if let Some(delay) = decided.delay {
        // In a box of its own: its timer makes it large.
        result = Box::pin(self::delay(worker, downstream, delay, &mut record)).await;
    }
    // By reference: what a plan holds is large.
    let result = match (result, &mut decided.plan) {
        (Err(failure), _) => Err(failure),
        (Ok(()), Ok(Plan::Forward(forwarding))) => {
            let outgoing = forwarding.outgoing.take();
            let mut all = EditsList::new();
            if let Some(edits) = edits.as_deref() {
                all.push(edits);
            }
            for more in &forwarding.response_edits {
                all.push(more);
            }
            let forward = Forward {
                worker,
                forwarding,
                edits: &all,
                is_grpc: decided.is_grpc,
                progress: &progress,
            };
            match outgoing {
                Some(outgoing) => forward.run(downstream, outgoing, &mut record).await,
                None => Err(Failure::NoCluster),
            }
        }
        (Ok(()), Ok(Plan::Answer(local))) => {
            record.answering(local.status);
            respond(
                worker,
                downstream,
                local,
                edits.as_deref(),
                true,
                &mut record,
            )
            .await
        }
        (Ok(()), Err(failure)) => Err(*failure),
    };
    let after = match result {
        Ok(After::Switched(mut switched)) => {
            switched.hand_over(record, direction);
            return After::Switched(switched);
        }
        Ok(after) => after,
        Err(failure) => {
            let ours = Ours {
                edits: edits.as_deref(),
                is_grpc: decided.is_grpc,
            };
            fail(worker, downstream, failure, &ours, &progress, &mut record).await
        }
    };
    record.close_at(downstream.answered);
    after
}

/// Waits because the route says so.
async fn delay(
    worker: &Worker,
    downstream: &Downstream,
    delay: Duration,
    record: &mut Record<'_>,
) -> Result<(), Failure> {
    record.flag(Flag::Di.into());
    let call = &downstream.call;
    let alarm = call.alarm(&worker.deadlines);
    // Somebody who has gone is not waited for.
    call.wait_for(None);
    let waited = alarm.guard(io::sleep(delay)).await;
    call.end_wait();
    waited.map_err(|_| Failure::DownstreamGone)
}

/// Answers something that is not a request, or that came too slowly.
pub async fn refuse(worker: &Rc<Worker>, downstream: &mut Downstream, failure: Failure) {
    let snapshot = worker.snapshot(downstream.session.listener);
    let listener = snapshot.listener(downstream.session.listener);
    let direction = listener.map_or(Direction::Gateway, |listener| listener.config.direction);
    let mut record = Record::open(
        &worker.recorder,
        Reporter::of(direction),
        downstream.started,
    );
    record.describe(|| downstream.describe_peer());
    fail(
        worker,
        downstream,
        failure,
        &Ours::default(),
        &Progress::default(),
        &mut record,
    )
    .await;
    record.close_at(downstream.answered);
}

/// A request that goes to one of a cluster's endpoints.
struct Forward<'a, 'p> {
    worker: &'a Rc<Worker>,
    forwarding: &'a mut Forwarding<'p>,
    edits: &'a [&'a Edits],
    is_grpc: bool,
    progress: &'a Progress,
}

/// How a try ended.
enum Tried {
    Done(After),
    /// There is to be another one.
    Again,
}

/// What every try of a request needs.
struct Request<'a> {
    cluster: &'a Rc<ClusterState>,
    tries: &'a Tries<'a>,
    /// A new connection is to be used: one that was kept turned out to be closed.
    fresh: Cell<bool>,
    /// When the route's timeout passes.
    until: Cell<Micros>,
    /// It was sent to its end.
    complete: Cell<bool>,
}

impl Forward<'_, '_> {
    async fn run(
        self,
        downstream: &mut Downstream,
        mut outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        let entry = self.forwarding.entry;
        let cluster = self.worker.clusters.state(self.forwarding.cluster, entry);
        record.cluster(&cluster.cluster.name, &cluster.edge);
        let active = entry.limits.begin(&entry.load).map_err(|Full| {
            self.worker.counters.upstream_overflows.increment();
            Failure::Overflow
        })?;

        if self.forwarding.upgrade.is_some() {
            // In a box of its own: few requests want one.
            return Box::pin(self.upgrade(downstream, (&cluster, active), outgoing, record)).await;
        }
        let mirrors = std::mem::take(&mut self.forwarding.mirrors);
        let mut replay = (self.needs_replay() || !mirrors.is_empty())
            .then(|| Replay::new(self.worker.limits.replay_bytes));
        let bytes = Cell::new(0);
        // What stands behind the head, which is encoded for the upstream already, is the body's
        // beginning, and often all of it.
        downstream.consume_head();
        let bytes_max = self.worker.limits.body_bytes_max;
        let keeps = replay.is_some();
        let mut upload = Upload::of(downstream, &outgoing, keeps, bytes_max, &bytes);
        let first = keeps.then(|| outgoing.copy());
        let staged = upload.stage(
            &mut downstream.received,
            &mut outgoing,
            self.forwarding.framing,
            replay.as_mut(),
        );
        // Nothing is held for the client while the upstream thinks.
        downstream.received.release();
        let call = Rc::clone(&downstream.call);
        let tries = Tries::new(self.worker, self.forwarding.retry, entry);
        let request = Request {
            cluster: &cluster,
            tries: &tries,
            fresh: Cell::new(false),
            until: Cell::new(Micros::MAX),
            complete: Cell::new(false),
        };
        let result = match staged {
            Ok(true) => {
                downstream.stream().expect_bulk(false);
                drop(upload);
                self.whole(downstream, &request, outgoing, record).await
            }
            // In a box of its own: it is large, and most requests do without.
            Ok(false) => {
                let body = Streamed {
                    upload: &mut upload,
                    outgoing,
                    first,
                    replay: replay.as_mut(),
                    bytes: &bytes,
                };
                Box::pin(self.streaming(downstream, &request, body, record)).await
            }
            Err(broken) => Err(request_failure(downstream, &broken)),
        };
        call.end_wait();
        record.received(bytes.get());
        record.flag(tries.flags());
        if !mirrors.is_empty() {
            let (framing, method) = (self.forwarding.framing, self.forwarding.method);
            mirror::send(self.worker, mirrors, framing, method, replay.as_ref());
        }
        result
    }

    /// A request for another protocol. It has no body: what has come behind the head is kept until
    /// the upstream agrees. Nor has it copies, since nobody would speak that protocol with them.
    async fn upgrade(
        self,
        downstream: &mut Downstream,
        (cluster, active): (&Rc<ClusterState>, Option<Counted>),
        outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        downstream.consume_head();
        downstream.received.release();
        let call = Rc::clone(&downstream.call);
        let tries = Tries::new(self.worker, self.forwarding.retry, self.forwarding.entry);
        let request = Request {
            cluster,
            tries: &tries,
            fresh: Cell::new(false),
            until: Cell::new(Micros::MAX),
            complete: Cell::new(false),
        };
        let mut result = self.whole(downstream, &request, outgoing, record).await;
        if let Ok(After::Switched(switched)) = &mut result {
            switched.counts(active);
        }
        call.end_wait();
        record.flag(tries.flags());
        result
    }

    /// A copy of the body is kept: a try may fail after some of it was sent, and be made again.
    fn needs_replay(&self) -> bool {
        let to_http2 = self.forwarding.protocol == HttpVersion::Http2;
        let has_body = !matches!(self.forwarding.framing, Framing::None | Framing::Length(0));
        has_body
            && self
                .forwarding
                .retry
                .is_some_and(|policy| policy.needs_replay(self.is_grpc, to_http2))
    }

    /// The whole request is in `outgoing`, so that it can be sent once more.
    async fn whole(
        &self,
        downstream: &mut Downstream,
        request: &Request<'_>,
        mut outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        if request.until.get() == Micros::MAX {
            request.until.set(self.until(downstream.head_at));
        }
        request.complete.set(true);
        loop {
            let tried = self
                .try_whole(downstream, request, &mut outgoing, record)
                .await;
            match tried? {
                Tried::Done(after) => return Ok(after),
                Tried::Again => self.pause(downstream, request, record).await?,
            }
            outgoing.set_attempt(request.tries.number());
        }
    }

    /// One try, or two when a pooled connection turns out to be closed before a byte of an answer.
    async fn try_whole(
        &self,
        downstream: &mut Downstream,
        request: &Request<'_>,
        outgoing: &mut Outgoing,
        record: &mut Record<'_>,
    ) -> Result<Tried, Failure> {
        loop {
            let (lease, mut upstream) = match self.check_out(downstream, request, record).await {
                Ok(checked_out) => checked_out,
                Err(failure) => return self.failed(request, failure),
            };
            let sent_at = self.sent_at(downstream, request, &upstream);
            let late = sent_at + micros(self.worker.limits.stream_idle_timeout);
            let late = late
                .min(request.until.get())
                .min(request.tries.late(sent_at));
            upstream.set_late(&downstream.call, late);
            request.tries.sent.set(true);
            let ends = self.forwarding.upgrade.is_none();
            let sent = upstream.send(outgoing, ends).await;
            let reused = upstream.reused();
            let mut answer = self.answer(downstream, request, &mut upstream, sent_at);
            answer.request = Some(&mut *outgoing);
            let answered = match sent {
                Ok(()) => answer.forward(record).await,
                Err(failure) => Err(answer.late_or(failure)),
            };
            match answered {
                Ok(Forwarded::Sent(keep)) => {
                    downstream.answered = self.worker.now();
                    self.give_back(&lease, upstream, keep, downstream.answered);
                    return Ok(Tried::Done(self.after(downstream)));
                }
                Ok(Forwarded::Switched(behind)) => {
                    let switched = Switched::new(self.worker, downstream, lease, upstream, behind);
                    return Ok(Tried::Done(After::Switched(Box::new(switched))));
                }
                Ok(Forwarded::Refused) => return Ok(Tried::Again),
                Err(failure) if reused && !request.fresh.get() && self.may_repeat(failure) => {
                    self.worker.counters.upstream_stale_retries.increment();
                    request.fresh.set(true);
                }
                Err(failure) => return self.failed(request, failure),
            }
        }
    }

    /// A try has failed: is there another one?
    fn failed(&self, request: &Request<'_>, failure: Failure) -> Result<Tried, Failure> {
        let sent = request.tries.sent.get();
        let may_be_told = !self.progress.begun.get();
        match may_be_told && request.tries.again(Ended::Failed { failure, sent }) {
            true => Ok(Tried::Again),
            false => Err(failure),
        }
    }

    /// Between two tries.
    async fn pause(
        &self,
        downstream: &Downstream,
        request: &Request<'_>,
        record: &mut Record<'_>,
    ) -> Result<(), Failure> {
        self.progress.heard.set(false);
        record.flag(request.tries.flags());
        let until = request.until.get();
        Box::pin(request.tries.back_off(&downstream.call, until)).await
    }

    /// The body is still arriving: it goes out while the answer comes in. Either may end first.
    async fn streaming(
        &self,
        downstream: &mut Downstream,
        request: &Request<'_>,
        mut body: Streamed<'_, '_>,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        loop {
            let tried = self
                .try_streaming(downstream, request, &mut body, record)
                .await;
            match tried? {
                Tried::Done(after) => return Ok(after),
                Tried::Again => self.pause(downstream, request, record).await?,
            }
            let is_complete = body.begin_again(request, self.forwarding.framing)?;
            body.outgoing.set_attempt(request.tries.number());
            if is_complete {
                let outgoing = body.outgoing;
                return Box::pin(self.whole(downstream, request, outgoing, record)).await;
            }
        }
    }

    async fn try_streaming(
        &self,
        downstream: &mut Downstream,
        request: &Request<'_>,
        body: &mut Streamed<'_, '_>,
        record: &mut Record<'_>,
    ) -> Result<Tried, Failure> {
        // The route's timeout begins when the request is complete.
        let Request {
            until, complete, ..
        } = request;
        let (lease, mut upstream) = match self.check_out(downstream, request, record).await {
            Ok(checked_out) => checked_out,
            Err(failure) => return self.failed(request, failure),
        };
        request.tries.sent.set(true);
        let lost = body.replay.as_deref().map(Replay::lost);
        request.tries.depends_on_copy(lost);
        if matches!(upstream, Upstream::Http2(_))
            && let Err(failure) = upstream.send(&mut body.outgoing, false).await
        {
            return self.failed(request, failure);
        }
        let (session, call) = (Rc::clone(&downstream.session), Rc::clone(&downstream.call));
        let mut received = downstream.received.take();
        let is_socket = downstream.wire.http2().is_none();
        let unwanted = Cell::new(false);
        let target = upstream.target().ok_or(Failure::UpstreamClosed)?;
        let Streamed {
            upload,
            outgoing,
            replay,
            bytes,
            ..
        } = body;
        let outgoing = outgoing.take();
        let upload = async {
            let way = Way {
                worker: self.worker,
                session: &session,
                call: &call,
                until,
                stopped: &unwanted,
                framing: self.forwarding.framing,
                staged: bytes.get(),
            };
            let kept = replay.as_deref_mut();
            let result = upload
                .run(&way, &target, &mut received, outgoing, kept)
                .await;
            // Without its body the request has no answer. When it is the upstream that takes no
            // more, it may have answered all the same.
            if matches!(
                result,
                Err(Broken::Ended | Broken::Source | Broken::Late | Broken::Malformed(_))
            ) {
                target.end();
            }
            if result.is_ok() {
                complete.set(true);
                let now = self.worker.now();
                until.set(self.until(now));
                let late = (now + micros(self.worker.limits.stream_idle_timeout)).min(until.get());
                target.set_late(&call, late.min(request.tries.late(now)));
            }
            if is_socket {
                self.hand_over_deadline(&session.stream);
            }
            result
        };
        let (answered, uploaded) = {
            let sent_at = self.worker.now();
            let mut answer = self.answer(downstream, request, &mut upstream, sent_at);
            let (answer, upload) = (pin!(answer.forward(record)), pin!(upload));
            let stop = |_: &_| {
                // Nobody wants the rest of the body.
                unwanted.set(true);
                target.end();
            };
            // The end of the upload is noted before an answer that came with it is looked at.
            join(answer, upload, stop).await
        };
        downstream.received = received;
        downstream.answered = self.worker.now();
        match (uploaded, answered) {
            (Ok(()), Ok(Forwarded::Sent(keep))) => {
                self.give_back(&lease, upstream, keep, downstream.answered);
                Ok(Tried::Done(self.after(downstream)))
            }
            (Ok(()) | Err(Broken::Target | Broken::Stopped), answered) => match answered {
                // Nobody switches before a body.
                Ok(Forwarded::Sent(_) | Forwarded::Switched(_)) => Ok(Tried::Done(After::Linger)),
                Ok(Forwarded::Refused) => Ok(Tried::Again),
                Err(failure) => self.failed(request, failure),
            },
            (Err(broken), _) => Err(request_failure(downstream, &broken)),
        }
    }

    /// A connection that can carry another request goes back to its pool.
    fn give_back(&self, lease: &Lease, upstream: Upstream, keep: bool, now: Micros) {
        if let (Upstream::Http1(loan), true) = (upstream, keep) {
            pool::put_back(self.worker, lease, loan, now);
        }
    }

    /// An endpoint, and a connection to it.
    async fn check_out(
        &self,
        downstream: &Downstream,
        request: &Request<'_>,
        record: &mut Record<'_>,
    ) -> Result<(Lease, Upstream), Failure> {
        let (fresh, until) = (request.fresh.get(), request.until.get());
        let (hash, avoided) = (self.forwarding.hash, request.tries.avoided());
        let lease = request
            .cluster
            .pick(hash, &avoided, &mut || self.worker.random())
            .ok_or(Failure::NoEndpoint)?;
        request.tries.goes_to(lease.index());
        record.endpoint(lease.state().address, &lease.state().edge);
        let now = match fresh || request.tries.number() > 1 {
            true => self.worker.now(),
            false => downstream.head_at,
        };
        let checked_out = match self.forwarding.protocol {
            HttpVersion::Http1 => {
                let call = &downstream.call;
                pool::check_out(self.worker, &lease, call, fresh, (now, until))
                    .await
                    .map(Upstream::Http1)
            }
            HttpVersion::Http2 => {
                downstream.call.wait_for(None);
                let alarm = downstream.call.alarm(&self.worker.deadlines);
                alarm.set(until);
                let loan = async {
                    let loan = http2::client::check_out(self.worker, &lease, alarm).await?;
                    match self.forwarding.upgrade {
                        Some(_) => loan.for_upgrade(),
                        None => Ok(loan),
                    }
                };
                Box::pin(loan).await.map(Upstream::Http2)
            }
        };
        match checked_out {
            Ok(upstream) => {
                record.upstream_local(|| upstream.local_address().ok());
                upstream.is_awaited_by(&downstream.call);
                Ok((lease, upstream))
            }
            Err(Unreached { failure, error }) => {
                if let Some(error) = error {
                    record.transport_failure(&error);
                }
                Err(failure)
            }
        }
    }

    /// When a request is sent on `upstream`, which was just checked out.
    fn sent_at(
        &self,
        downstream: &Downstream,
        request: &Request<'_>,
        upstream: &Upstream,
    ) -> Micros {
        // A connection at hand took no time to be found.
        match upstream.reused() && request.tries.number() == 1 {
            true => downstream.head_at,
            false => self.worker.now(),
        }
    }

    fn answer<'a>(
        &'a self,
        downstream: &'a mut Downstream,
        request: &'a Request<'_>,
        upstream: &'a mut Upstream,
        sent_at: Micros,
    ) -> Answer<'a> {
        Answer {
            complete: &request.complete,
            sent_at,
            worker: self.worker,
            upgrade: self.forwarding.upgrade.as_deref(),
            keep_alive: downstream.may_go_on(),
            session: &downstream.session,
            call: &downstream.call,
            client: downstream.wire.http2().map(Rc::as_ref),
            head: &mut downstream.response,
            upstream,
            method: self.forwarding.method,
            edits: self.edits,
            until: &request.until,
            try_until: request.tries.late(sent_at),
            progress: self.progress,
            request: None,
            tries: request.tries,
        }
    }

    /// From the upload, which has ended, to an answer that may be on its way to the same client: a
    /// client that takes no more of it is cut off. One that waits for its answer waits as long as
    /// the upstream may.
    fn hand_over_deadline(&self, client: &Stream) {
        if self.progress.begun.get() {
            let late = self.worker.now() + micros(self.worker.limits.stream_idle_timeout);
            client.deadline().set(late, Expiry::Close);
        } else {
            client.deadline().clear();
        }
    }

    /// It was not received, or the upstream cannot have begun to answer it and its method may be
    /// sent twice (RFC 9110 section 9.2.2).
    fn may_repeat(&self, failure: Failure) -> bool {
        match failure {
            Failure::StreamRefused => true,
            Failure::UpstreamClosed => !self.progress.heard.get() && self.forwarding.idempotent,
            _ => false,
        }
    }

    /// When the route's timeout passes for a request that was complete at `started`.
    fn until(&self, started: Micros) -> Micros {
        self.forwarding
            .timeout
            .map_or(Micros::MAX, |timeout| started + micros(timeout))
    }

    /// What the client was told, and nothing that has changed since: it relies on it.
    fn after(&self, downstream: &Downstream) -> After {
        match self.progress.keeps.get() {
            true => After::Next,
            // It may have sent a request before it was told that none would be read.
            false if downstream.request.keep_alive() => After::Linger,
            false => After::Close,
        }
    }
}

/// A body that is still arriving.
struct Streamed<'u, 'b> {
    upload: &'u mut Upload<'b>,
    /// The head, and what has come of the body: what is sent first.
    outgoing: Outgoing,
    /// The head alone, if there may be another try.
    first: Option<Outgoing>,
    /// What was taken of the body, if there may be another try.
    replay: Option<&'u mut Replay>,
    /// Counts what was taken.
    bytes: &'b Cell<u64>,
}

impl Streamed<'_, '_> {
    /// Puts together what the next try sends first. True when that is the whole request.
    ///
    /// # Errors
    /// It cannot be sent once more.
    fn begin_again(&mut self, request: &Request<'_>, framing: Framing) -> Result<bool, Failure> {
        if !request.tries.sent.get() {
            // It is as it was.
            return Ok(false);
        }
        let (Some(first), Some(replay)) = (&self.first, self.replay.as_deref()) else {
            return Err(Failure::UpstreamClosed);
        };
        if !replay.is_whole() {
            return Err(Failure::UpstreamClosed);
        }
        self.outgoing = first.copy();
        replay.stage(&mut self.outgoing, framing);
        Ok(replay.is_complete())
    }
}

/// What a request's body that does not arrive means.
fn request_failure(downstream: &Downstream, broken: &Broken) -> Failure {
    match broken {
        Broken::Malformed(reject) => Failure::BadRequest(*reject),
        Broken::Late => Failure::RequestBodyTimeout,
        Broken::Ended if downstream.stream().deadline().expired() => Failure::RequestBodyTimeout,
        _ => Failure::DownstreamGone,
    }
}
