//! A request whose body is still arriving: it goes out while the answer comes in, and either may
//! end first.

use std::{cell::Cell, pin::pin, rc::Rc};

use ringmain_core::{failure::Failure, http1::Framing};

use super::{
    After,
    forward::{Forward, Request, Tried, request_failure},
};
use crate::{
    answer::Forwarded,
    downstream::Downstream,
    io::{
        deadline::{Expiry, Micros},
        race::join,
        stream::Stream,
    },
    record::Record,
    relay::{Broken, micros},
    replay::Replay,
    upload::{Upload, Way},
    upstream::{Outgoing, Upstream},
};

impl Forward<'_, '_> {
    /// The body is still arriving: it goes out while the answer comes in. Either may end first.
    pub(super) async fn streaming(
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
            self.set_attempt(&mut body.outgoing, request);
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
            until,
            try_until,
            complete,
            ..
        } = request;
        try_until.set(Micros::MAX);
        let (lease, mut upstream) = match self.check_out(downstream, request, record).await {
            Ok(checked_out) => checked_out,
            Err(failure) => return self.failed(request, failure, false),
        };
        let reused = upstream.reused();
        request.tries.sent.set(true);
        let lost = body.replay.as_deref().map(Replay::lost);
        request.tries.depends_on_copy(lost);
        if matches!(upstream, Upstream::Http2(_))
            && let Err(failure) = upstream.send(&mut body.outgoing, false, false).await
        {
            return self.failed(request, failure, reused);
        }
        let (session, call) = (Rc::clone(&downstream.session), Rc::clone(&downstream.call));
        let head_at = downstream.head_at;
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
            if !matches!(result, Ok(()) | Err(Broken::Target | Broken::Stopped)) {
                target.end();
            }
            if result.is_ok() {
                complete.set(true);
                let now = self.worker.now();
                request.sent_at.set(now);
                until.set(self.until(head_at, Some(now)));
                let mut late =
                    (now + micros(self.worker.limits.stream_idle_timeout)).min(until.get());
                // The time of a try ends with the head of its answer, which may be there by now.
                if !self.progress.heard.get() {
                    try_until.set(request.tries.late(now));
                    late = late.min(try_until.get());
                }
                target.set_late(&call, late);
            }
            if is_socket {
                self.hand_over_deadline(&session.stream);
            }
            result
        };
        let (answered, uploaded) = {
            request.sent_at.set(self.worker.now());
            let mut answer = self.answer(downstream, request, &mut upstream);
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
        downstream.is_taken = uploaded.is_ok();
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
                Err(failure) => self.failed(request, failure, reused),
            },
            (Err(Broken::Late), _) if downstream.answered >= until.get() => {
                Err(Failure::RouteTimeout)
            }
            (Err(broken), _) => Err(request_failure(downstream, &broken)),
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
}

/// A body that is still arriving.
pub(super) struct Streamed<'u, 'b> {
    pub(super) upload: &'u mut Upload<'b>,
    /// The head, and what has come of the body: what is sent first.
    pub(super) outgoing: Outgoing,
    /// The head alone, if there may be another try.
    pub(super) first: Option<Outgoing>,
    /// What was taken of the body, if there may be another try.
    pub(super) replay: Option<&'u mut Replay>,
    /// Counts what was taken.
    pub(super) bytes: &'b Cell<u64>,
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
        self.outgoing = first.copy_head(first.staged_bytes());
        replay.stage(&mut self.outgoing, framing);
        Ok(replay.is_complete())
    }
}
