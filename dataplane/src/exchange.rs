//! One request, top to bottom.
//!
//! Pin the snapshot, open the record, decide, pick an endpoint, check out a connection, send,
//! answer, close the record. Deciding is pure and lives in `ringmain-core`; what is here moves
//! bytes and keeps promises: an answer that has begun is never begun again, a connection that did
//! not end in order is never used again, and every request is recorded exactly once.

use std::{cell::Cell, pin::pin, rc::Rc};

use bytes::Bytes;
use h2::Reason;
use ringmain_config::listener::Direction;
use ringmain_core::{
    failure::{Failure, Fault},
    http1::{Framing, MethodKind, encode_local_response},
    http2::local_response,
    metrics::Reporter,
};

use crate::{
    answer::{Answer, Progress},
    downstream::Downstream,
    http2::{self, server::Client},
    io::{
        deadline::{Expiry, Micros},
        race::join,
        stream::Stream,
    },
    plan::{Forwarding, HttpVersion, LocalAnswer, Plan},
    pool::{self, ClusterState, Lease, Unreached},
    record::Record,
    relay::{Broken, micros},
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
    let mut plan = match listener {
        Some(listener) => Plan::make(worker, &snapshot, listener, downstream, &mut record),
        None => Err(Failure::NoRoute),
    };
    // By reference: what a plan holds is large.
    let result = match &mut plan {
        Ok(Plan::Forward(forwarding)) => {
            let outgoing = forwarding.outgoing.take();
            let forward = Forward {
                worker,
                forwarding,
                progress: &progress,
            };
            match outgoing {
                // In a box of its own: few requests are one.
                Some(outgoing) if forward.forwarding.upgrade.is_some() => {
                    Box::pin(forward.upgrade(downstream, outgoing, &mut record)).await
                }
                Some(outgoing) => forward.run(downstream, outgoing, &mut record).await,
                None => Err(Failure::NoCluster),
            }
        }
        Ok(Plan::Answer(local)) => {
            record.answering(local.status);
            respond(worker, downstream, local, true, &mut record).await
        }
        Err(failure) => Err(*failure),
    };
    let after = match result {
        Ok(After::Switched(mut switched)) => {
            switched.hand_over(record, direction);
            return After::Switched(switched);
        }
        Ok(after) => after,
        Err(failure) => fail(worker, downstream, failure, &progress, &mut record).await,
    };
    record.close_at(downstream.answered);
    after
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
        &Progress::default(),
        &mut record,
    )
    .await;
    record.close_at(downstream.answered);
}

/// A request that goes to one of a cluster's endpoints.
struct Forward<'a, 'p> {
    worker: &'a Rc<Worker>,
    forwarding: &'a Forwarding<'p>,
    progress: &'a Progress,
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

        let bytes = Cell::new(0);
        // What stands behind the head, which is encoded for the upstream already, is the body's
        // beginning, and often all of it.
        downstream.consume_head();
        let bytes_max = self.worker.limits.body_bytes_max;
        let mut upload = Upload::of(downstream, &outgoing, bytes_max, &bytes);
        let staged = upload.stage(
            &mut downstream.received,
            &mut outgoing,
            self.forwarding.framing,
        );
        // Nothing is held for the client while the upstream thinks.
        downstream.received.release();
        let call = Rc::clone(&downstream.call);
        let result = match staged {
            Ok(true) => {
                downstream.stream().expect_bulk(false);
                drop(upload);
                self.whole(downstream, &cluster, outgoing, record).await
            }
            // In a box of its own: it is large, and most requests do without.
            Ok(false) => {
                Box::pin(self.streaming(downstream, &cluster, &mut upload, outgoing, record)).await
            }
            Err(broken) => Err(request_failure(downstream, &broken)),
        };
        call.end_wait();
        record.received(bytes.get());
        result
    }

    /// A request for another protocol. It has no body: what has come behind the head is kept until
    /// the upstream agrees.
    async fn upgrade(
        self,
        downstream: &mut Downstream,
        outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        let entry = self.forwarding.entry;
        let cluster = self.worker.clusters.state(self.forwarding.cluster, entry);
        record.cluster(&cluster.cluster.name, &cluster.edge);
        downstream.consume_head();
        downstream.received.release();
        let call = Rc::clone(&downstream.call);
        let result = self.whole(downstream, &cluster, outgoing, record).await;
        call.end_wait();
        result
    }

    /// The whole request is in `outgoing`, so that it can be sent once more, on a new connection,
    /// when a pooled one turns out to be closed before a byte of an answer.
    async fn whole(
        &self,
        downstream: &mut Downstream,
        cluster: &Rc<ClusterState>,
        mut outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        let until = Cell::new(self.until(downstream.head_at));
        let complete = Cell::new(true);
        let mut fresh = false;
        loop {
            let (lease, mut upstream) = self
                .check_out(downstream, cluster, fresh, until.get(), record)
                .await?;
            let late = downstream.head_at + micros(self.worker.limits.stream_idle_timeout);
            upstream.set_late(&downstream.call, late.min(until.get()));
            let ends = self.forwarding.upgrade.is_none();
            let sent = upstream.send(&mut outgoing, ends).await;
            let reused = upstream.reused();
            let mut answer = self.answer(downstream, &mut upstream, &until, &complete);
            answer.request = Some(&mut outgoing);
            let answered = match sent {
                Ok(()) => answer.forward(record).await,
                Err(failure) => Err(answer.late_or(failure)),
            };
            match answered {
                Ok(keep) => {
                    if let Some(behind) = self.progress.switched.take() {
                        let switched =
                            Switched::new(self.worker, downstream, lease, upstream, behind);
                        return Ok(After::Switched(Box::new(switched)));
                    }
                    downstream.answered = self.worker.now();
                    self.give_back(&lease, upstream, keep, downstream.answered);
                    return Ok(self.after(downstream));
                }
                Err(failure) if reused && !fresh && self.may_repeat(failure) => {
                    self.worker.counters.upstream_stale_retries.increment();
                    fresh = true;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The body is still arriving: it goes out while the answer comes in. Either may end first.
    async fn streaming(
        &self,
        downstream: &mut Downstream,
        cluster: &Rc<ClusterState>,
        upload: &mut Upload<'_>,
        mut outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        // The route's timeout begins when the request is complete.
        let until = Cell::new(Micros::MAX);
        let complete = Cell::new(false);
        let (lease, mut upstream) = self
            .check_out(downstream, cluster, false, until.get(), record)
            .await?;
        if let Upstream::Http2(_) = upstream {
            upstream.send(&mut outgoing, false).await?;
        }
        let (session, call) = (Rc::clone(&downstream.session), Rc::clone(&downstream.call));
        let mut received = downstream.received.take();
        let is_socket = downstream.wire.http2().is_none();
        let unwanted = Cell::new(false);
        let target = upstream.target().ok_or(Failure::UpstreamClosed)?;
        let upload = async {
            let way = Way {
                worker: self.worker,
                session: &session,
                call: &call,
                until: &until,
                stopped: &unwanted,
                framing: self.forwarding.framing,
            };
            let result = upload.run(&way, &target, &mut received, outgoing).await;
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
                target.set_late(&call, late);
            }
            if is_socket {
                self.hand_over_deadline(&session.stream);
            }
            result
        };
        let (answered, uploaded) = {
            let mut answer = self.answer(downstream, &mut upstream, &until, &complete);
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
        match uploaded {
            Ok(()) => {
                let keep = answered?;
                self.give_back(&lease, upstream, keep, downstream.answered);
                Ok(self.after(downstream))
            }
            Err(Broken::Target | Broken::Stopped) => answered.map(|_| After::Linger),
            Err(broken) => Err(request_failure(downstream, &broken)),
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
        cluster: &Rc<ClusterState>,
        fresh: bool,
        until: Micros,
        record: &mut Record<'_>,
    ) -> Result<(Lease, Upstream), Failure> {
        let lease = cluster
            .pick(None, &[], &mut || self.worker.random())
            .ok_or(Failure::NoEndpoint)?;
        record.endpoint(lease.state().address, &lease.state().edge);
        let now = match fresh {
            true => self.worker.now(),
            false => downstream.head_at,
        };
        let checked_out = match self.forwarding.protocol {
            HttpVersion::Http1 => pool::check_out(self.worker, &lease, fresh, now, until)
                .await
                .map(Upstream::Http1),
            HttpVersion::Http2 => {
                let alarm = downstream.call.alarm(&self.worker.deadlines);
                alarm.set(until);
                let loan = async {
                    let loan = http2::client::check_out(self.worker, &lease, alarm).await?;
                    match self.forwarding.upgrade {
                        Some(_) => loan.for_upgrade(alarm).await,
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

    fn answer<'a>(
        &'a self,
        downstream: &'a mut Downstream,
        upstream: &'a mut Upstream,
        until: &'a Cell<Micros>,
        complete: &'a Cell<bool>,
    ) -> Answer<'a> {
        // A connection at hand took no time to be found.
        let sent_at = if upstream.reused() {
            downstream.head_at
        } else {
            self.worker.now()
        };
        Answer {
            complete,
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
            edits: &self.forwarding.response_edits,
            until,
            progress: self.progress,
            request: None,
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

/// What a request's body that does not arrive means.
fn request_failure(downstream: &Downstream, broken: &Broken) -> Failure {
    match broken {
        Broken::Malformed(reject) => Failure::BadRequest(*reject),
        Broken::Late => Failure::RequestBodyTimeout,
        Broken::Ended if downstream.stream().deadline().expired() => Failure::RequestBodyTimeout,
        _ => Failure::DownstreamGone,
    }
}

/// Answers without asking an upstream.
async fn respond(
    worker: &Worker,
    downstream: &mut Downstream,
    local: &LocalAnswer<'_>,
    may_keep: bool,
    record: &mut Record<'_>,
) -> Result<After, Failure> {
    if let Some(client) = downstream.wire.http2() {
        let is_head = downstream.request.method_kind() == MethodKind::Head;
        let responded = respond_on_stream(client, local, is_head, record);
        downstream.answered = worker.now();
        return responded;
    }
    // A body that nobody wants is not read; without reading it, the next request is not found.
    let request = &downstream.request;
    let keep_alive = may_keep
        && downstream.may_go_on()
        && matches!(request.framing(), Framing::None | Framing::Length(0))
        && !worker.is_closing(&downstream.session);
    let is_head = may_keep && request.method_kind() == MethodKind::Head;
    downstream.consume_head();
    let mut outgoing = worker.buffers.take();
    let headers = local.headers();
    let out = outgoing.tail();
    encode_local_response(
        out,
        local.status,
        &headers,
        &local.body,
        keep_alive,
        is_head,
    );
    let late = worker.now() + micros(worker.limits.stream_idle_timeout);
    downstream.stream().deadline().set(late, Expiry::Close);
    let (sent, _) = downstream.stream().send(outgoing).await;
    if sent.is_err() {
        return Err(Failure::DownstreamGone);
    }
    if !is_head {
        record.sent(local.body.len() as u64);
    }
    downstream.answered = worker.now();
    Ok(if keep_alive {
        After::Next
    } else {
        After::Linger
    })
}

/// The same on a stream of HTTP/2. Its client may send requests on others.
fn respond_on_stream(
    client: &Client,
    local: &LocalAnswer<'_>,
    is_head: bool,
    record: &mut Record<'_>,
) -> Result<After, Failure> {
    let ends = is_head || local.body.is_empty();
    let head = local_response(local.status, &local.headers(), local.body.len());
    let sent = client.respond(head, ends).and_then(|()| match ends {
        true => Ok(()),
        // It waits in the connection for room, and has a limit where it was written.
        false => {
            record.sent(local.body.len() as u64);
            client
                .outlet()
                .send(Bytes::copy_from_slice(&local.body), true)
        }
    });
    sent.map(|()| After::Next)
        .map_err(|_| Failure::DownstreamGone)
}

/// Answers with a failure, unless an answer was begun or there is nobody to answer.
async fn fail(
    worker: &Worker,
    downstream: &mut Downstream,
    failure: Failure,
    progress: &Progress,
    record: &mut Record<'_>,
) -> After {
    record.fail(failure);
    downstream.answered = worker.now();
    if progress.begun.get() || failure.facts().status == 0 {
        // Closing tells the client that what it has is not the whole.
        if let Some(client) = downstream.wire.http2() {
            client.reset(Reason::INTERNAL_ERROR);
        }
        return After::Close;
    }
    // What the client still sends cannot be told from the next request when its head or body was
    // not understood.
    let may_keep = failure.facts().fault != Fault::Downstream;
    let local = LocalAnswer::failure(failure);
    respond(worker, downstream, &local, may_keep, record)
        .await
        .unwrap_or(After::Close)
}
