//! A request that goes to one of a cluster's endpoints: its tries, each with an endpoint, a
//! connection, the request sent, the answer passed on.
//!
//! Most requests are at hand as a whole when they are sent; one whose body is still arriving is in
//! [`streaming`](super::streaming).

use std::{cell::Cell, rc::Rc, time::Duration};

use ringmain_core::{
    failure::Failure,
    header::Edits,
    http1::Framing,
    limit::{Counted, Full},
    retry::{self, Ended},
};

use super::{After, streaming::Streamed};
use crate::{
    answer::{Answer, Forwarded, Progress},
    downstream::Downstream,
    http2,
    io::deadline::Micros,
    mirror,
    plan::{Forwarding, HttpVersion},
    pool::{self, ClusterState, Lease, Unreached},
    record::Record,
    relay::{Broken, micros},
    replay::Replay,
    tries::Tries,
    upgrade::Switched,
    upload::Upload,
    upstream::{Outgoing, Upstream},
    worker::Worker,
};

/// A request that goes to one of a cluster's endpoints.
pub(super) struct Forward<'a, 'p> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) forwarding: &'a mut Forwarding<'p>,
    pub(super) edits: &'a [&'a Edits],
    pub(super) is_grpc: bool,
    pub(super) progress: &'a Progress,
}

/// How a try ended.
pub(super) enum Tried {
    Done(After),
    /// There is to be another one.
    Again,
}

/// What every try of a request needs.
pub(super) struct Request<'a> {
    pub(super) cluster: &'a Rc<ClusterState>,
    pub(super) tries: &'a Tries<'a>,
    /// When its time is over: see [`Forward::until`].
    pub(super) until: Cell<Micros>,
    /// When the timeout of the try that is made passes; it begins when the request is complete.
    pub(super) try_until: Cell<Micros>,
    /// It was sent to its end.
    pub(super) complete: Cell<bool>,
    /// When its last byte was sent; the first, while others follow.
    pub(super) sent_at: Cell<Micros>,
}

impl<'a> Request<'a> {
    fn new(cluster: &'a Rc<ClusterState>, tries: &'a Tries<'a>) -> Self {
        Self {
            cluster,
            tries,
            until: Cell::new(Micros::MAX),
            try_until: Cell::new(Micros::MAX),
            complete: Cell::new(false),
            sent_at: Cell::new(0),
        }
    }
}

impl Forward<'_, '_> {
    pub(super) async fn run(
        self,
        downstream: &mut Downstream,
        mut outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        let entry = self.forwarding.entry;
        let cluster = self.worker.clusters.state(self.forwarding.cluster, entry);
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
        let keeps = replay.is_some();
        let mut upload = Upload::of(self.worker, downstream, &outgoing, keeps, &bytes);
        let head_bytes = outgoing.staged_bytes();
        let staged = upload.stage(
            &mut downstream.received,
            &mut outgoing,
            self.forwarding.framing,
            replay.as_mut(),
        );
        // Nothing is held for the client while the upstream thinks.
        downstream.received.release();
        let call = Rc::clone(&downstream.call);
        let tries = Tries::new(
            self.worker,
            &downstream.session,
            self.forwarding.retry,
            entry,
        );
        let request = Request::new(&cluster, &tries);
        request.until.set(self.until(downstream.head_at, None));
        let result = match staged {
            Ok(true) => {
                downstream.is_taken = true;
                downstream.stream().expect_bulk(false);
                drop(upload);
                self.whole(downstream, &request, outgoing, record).await
            }
            // In a box of its own: it is large, and most requests do without.
            Ok(false) => {
                let body = Streamed {
                    upload: &mut upload,
                    first: keeps.then(|| outgoing.copy_head(head_bytes)),
                    outgoing,
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
        let tries = Tries::new(
            self.worker,
            &downstream.session,
            self.forwarding.retry,
            self.forwarding.entry,
        );
        let request = Request::new(cluster, &tries);
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
        // An empty one may end with a frame of its own, after the head was sent.
        let has_body = self.forwarding.framing != Framing::None;
        has_body
            && self
                .forwarding
                .retry
                .is_some_and(|policy| policy.needs_replay(self.is_grpc, to_http2))
    }

    /// The whole request is in `outgoing`, so that it can be sent once more.
    pub(super) async fn whole(
        &self,
        downstream: &mut Downstream,
        request: &Request<'_>,
        mut outgoing: Outgoing,
        record: &mut Record<'_>,
    ) -> Result<After, Failure> {
        if !request.complete.replace(true) {
            let head_at = downstream.head_at;
            request.until.set(self.until(head_at, Some(head_at)));
        }
        loop {
            let tried = self
                .try_whole(downstream, request, &mut outgoing, record)
                .await;
            match tried? {
                Tried::Done(after) => return Ok(after),
                Tried::Again => self.pause(downstream, request, record).await?,
            }
            self.set_attempt(&mut outgoing, request);
        }
    }

    /// Tells the upstream which try it is, unless that is the client's to say.
    pub(super) fn set_attempt(&self, outgoing: &mut Outgoing, request: &Request<'_>) {
        if self.forwarding.tells_attempt {
            let tries = request.tries;
            outgoing.set_attempt(tries.number(), tries.was_late());
        }
    }

    /// One try.
    async fn try_whole(
        &self,
        downstream: &mut Downstream,
        request: &Request<'_>,
        outgoing: &mut Outgoing,
        record: &mut Record<'_>,
    ) -> Result<Tried, Failure> {
        let (lease, mut upstream) = match self.check_out(downstream, request, record).await {
            Ok(checked_out) => checked_out,
            Err(failure) => return self.failed(request, failure, false),
        };
        let sent_at = self.sent_at(downstream, request, &upstream);
        request.try_until.set(request.tries.late(sent_at));
        let late = sent_at + micros(self.worker.limits.stream_idle_timeout);
        let late = late.min(request.until.get()).min(request.try_until.get());
        upstream.set_late(&downstream.call, late);
        request.tries.sent.set(true);
        let ends = self.forwarding.upgrade.is_none();
        let keeps = request.tries.may_be_several();
        let sent = upstream.send(outgoing, ends, keeps).await;
        let reused = upstream.reused();
        request.sent_at.set(sent_at);
        let mut answer = self.answer(downstream, request, &mut upstream);
        answer.request = Some(&mut *outgoing);
        let answered = match sent {
            Ok(()) => answer.forward(record).await,
            Err(failure) => Err(answer.late_or(failure)),
        };
        match answered {
            Ok(Forwarded::Sent(keep)) => {
                downstream.answered = self.worker.now();
                self.give_back(&lease, upstream, keep, downstream.answered);
                Ok(Tried::Done(self.after(downstream)))
            }
            Ok(Forwarded::Switched(behind)) => {
                let switched = Switched::new(self.worker, downstream, lease, upstream, behind);
                Ok(Tried::Done(After::Switched(Box::new(switched))))
            }
            Ok(Forwarded::Refused) => Ok(Tried::Again),
            Err(failure) => self.failed(request, failure, reused),
        }
    }

    /// A try has failed, on a connection that had carried others if it was `reused`: is there
    /// another one?
    pub(super) fn failed(
        &self,
        request: &Request<'_>,
        failure: Failure,
        reused: bool,
    ) -> Result<Tried, Failure> {
        let on = retry::Connection {
            sent: request.tries.sent.get(),
            is_stale: reused && !self.progress.heard.get(),
            is_idempotent: self.forwarding.idempotent,
        };
        let may_be_told = !self.progress.begun.get();
        match may_be_told && request.tries.again(Ended::Failed { failure, on }) {
            true => Ok(Tried::Again),
            false => Err(failure),
        }
    }

    /// Between two tries.
    pub(super) async fn pause(
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

    /// A connection that can carry another request goes back to its pool.
    pub(super) fn give_back(&self, lease: &Lease, upstream: Upstream, keep: bool, now: Micros) {
        if let (Upstream::Http1(loan), true) = (upstream, keep) {
            pool::put_back(self.worker, lease, loan, now);
        }
    }

    /// An endpoint, and a connection to it.
    pub(super) async fn check_out(
        &self,
        downstream: &Downstream,
        request: &Request<'_>,
        record: &mut Record<'_>,
    ) -> Result<(Lease, Upstream), Failure> {
        if downstream.call.is_gone() {
            return Err(Failure::DownstreamGone);
        }
        let (fresh, until) = (request.tries.needs_fresh(), request.until.get());
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
        // Nothing moves while a connection is waited for.
        let late = until.min(now + micros(self.worker.limits.stream_idle_timeout));
        let checked_out = match self.forwarding.protocol {
            HttpVersion::Http1 => {
                let call = &downstream.call;
                pool::check_out(self.worker, &lease, call, fresh, (now, late))
                    .await
                    .map(Upstream::Http1)
            }
            HttpVersion::Http2 => {
                downstream.call.wait_for(None);
                let alarm = downstream.call.alarm(&self.worker.deadlines);
                alarm.set(late);
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
                Err(match failure {
                    Failure::RouteTimeout if self.worker.now() < until => Failure::UpstreamIdle,
                    failure => failure,
                })
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

    pub(super) fn answer<'a>(
        &'a self,
        downstream: &'a mut Downstream,
        request: &'a Request<'_>,
        upstream: &'a mut Upstream,
    ) -> Answer<'a> {
        Answer {
            complete: &request.complete,
            sent_at: &request.sent_at,
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
            try_until: &request.try_until,
            progress: self.progress,
            interim_bytes: 0,
            request: None,
            tries: request.tries,
        }
    }

    /// When the time is over for a request whose head was there at `head_at`. The route's timeout
    /// begins when all of it has come; the time that the client of a call gives does not wait for
    /// that, since a call of gRPC may send as long as it is answered.
    pub(super) fn until(&self, head_at: Micros, complete_at: Option<Micros>) -> Micros {
        let behind = |from: Micros, time: Option<Duration>| {
            time.map_or(Micros::MAX, |time| from.saturating_add(micros(time)))
        };
        let timeout = complete_at.map_or(Micros::MAX, |at| behind(at, self.forwarding.timeout));
        timeout.min(behind(head_at, self.forwarding.grpc_timeout))
    }

    /// What the client was told, and nothing that has changed since: it relies on it.
    pub(super) fn after(&self, downstream: &Downstream) -> After {
        match self.progress.keeps.get() {
            true => After::Next,
            // It may have sent a request before it was told that none would be read.
            false if downstream.request.keep_alive() => After::Linger,
            false => After::Close,
        }
    }
}

/// What a request's body that does not arrive means.
pub(super) fn request_failure(downstream: &Downstream, broken: &Broken) -> Failure {
    match broken {
        _ if downstream.call.is_gone() => Failure::DownstreamGone,
        Broken::Malformed(reject) => Failure::BadRequest(*reject),
        Broken::Late => Failure::RequestBodyTimeout,
        Broken::Ended if downstream.stream().deadline().expired() => Failure::RequestBodyTimeout,
        _ => Failure::DownstreamGone,
    }
}
