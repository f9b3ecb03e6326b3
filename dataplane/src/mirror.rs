//! Copies of requests for the clusters of mirrors: sent when the request has ended, and forgotten.
//!
//! Nobody waits for a copy or its answer, and neither is logged as a request of its own; copies are
//! counted. A copy is sent as a whole, so there is none of a request whose body was longer than is
//! kept of it, or did not arrive.
//!
//! Copies take nothing from requests: there are at most `limits.mirrors` of them, with connections
//! that count on their own ([`Purpose::Copy`](pool::Purpose)), and the limits of the mirror's
//! cluster hold for them as for its requests. What is over a limit is dropped.

use std::rc::Rc;

use ringmain_core::{
    failure::Failure,
    http1::{BodyDecoder, Framing, MethodKind, ResponseHead},
    limit::{Counted, Full},
};

use crate::{
    call::Call,
    carry::Piece,
    http2::{self, client::Head},
    io::{self, alarm::Alarm, stream::Received},
    plan::{HttpVersion, Mirrored},
    pool::{self, ClusterState, Loan},
    relay::micros,
    replay::Replay,
    upstream::{Outgoing, Upstream},
    worker::Worker,
};

/// Sends copies of a request whose body is in `replay`. `framing` is what they say of it.
pub fn send(
    worker: &Rc<Worker>,
    mirrors: Vec<Mirrored<'_>>,
    framing: Framing,
    method: MethodKind,
    replay: Option<&Replay>,
) {
    let has_body = !matches!(framing, Framing::None | Framing::Length(0));
    let replay = replay.filter(|replay| replay.is_whole() && replay.is_complete());
    for mirrored in mirrors {
        let is_at_hand = !has_body || replay.is_some();
        let mirroring = match is_at_hand {
            true => Mirroring::begin(worker, &mirrored, method),
            false => None,
        };
        let Some(mirroring) = mirroring else {
            worker.counters.mirrors_dropped.increment();
            continue;
        };
        let mut outgoing = mirrored.outgoing;
        if let Some(replay) = replay.filter(|_| has_body) {
            replay.stage(&mut outgoing, framing);
        }
        io::spawn(mirroring.run(outgoing));
    }
}

/// One copy on its way.
struct Mirroring {
    worker: Rc<Worker>,
    cluster: Rc<ClusterState>,
    protocol: HttpVersion,
    method: MethodKind,
    _counted: Option<Counted>,
}

impl Mirroring {
    /// `None`: a limit allows no more.
    fn begin(worker: &Rc<Worker>, mirrored: &Mirrored<'_>, method: MethodKind) -> Option<Self> {
        let active = &worker.counters.mirrors_active;
        if active.value() >= u64::from(worker.limits.mirrors_max) {
            return None;
        }
        let entry = mirrored.entry;
        let counted = entry.limits.begin(&entry.load);
        let counted = counted.map_err(|Full| ()).ok()?;
        active.increment();
        Some(Self {
            worker: Rc::clone(worker),
            cluster: worker.clusters.state(mirrored.cluster, entry),
            protocol: mirrored.protocol,
            method,
            _counted: counted,
        })
    }

    async fn run(self, outgoing: Outgoing) {
        if self.exchange(outgoing).await.is_err() {
            self.worker.counters.mirrors_failed.increment();
        }
    }

    /// # Errors
    /// Why there is no answer.
    async fn exchange(&self, mut outgoing: Outgoing) -> Result<(), Failure> {
        let worker = &self.worker;
        let call = Call::default();
        let now = worker.now();
        let until = now + micros(worker.limits.stream_idle_timeout);
        let lease = self.cluster.pick(None, &[], &mut || worker.random());
        let lease = lease.ok_or(Failure::NoEndpoint)?.for_copy();
        let mut upstream = match self.protocol {
            HttpVersion::Http1 => pool::check_out(worker, &lease, &call, false, (now, until))
                .await
                .map(Upstream::Http1),
            HttpVersion::Http2 => {
                let alarm = call.alarm(&worker.deadlines);
                alarm.set(until);
                let loan = http2::client::check_out(worker, &lease, alarm).await;
                loan.map(Upstream::Http2)
            }
        }
        .map_err(|unreached| unreached.failure)?;
        upstream.set_late(&call, until);
        upstream.send(&mut outgoing, true, false).await?;
        drop(outgoing);
        worker.counters.mirrors_sent.increment();
        match upstream {
            Upstream::Http1(loan) => {
                if self.swallow(&loan).await? {
                    pool::put_back(worker, &lease, loan, worker.now());
                }
                Ok(())
            }
            Upstream::Http2(loan) => {
                let alarm = call.alarm(&worker.deadlines);
                self.swallow_stream(loan, alarm).await
            }
        }
    }

    /// Receives an answer and forgets it. True when the connection can carry another request.
    ///
    /// # Errors
    /// Nothing came that begins as an answer.
    async fn swallow(&self, loan: &Loan) -> Result<bool, Failure> {
        let (stream, limits) = (loan.stream(), &self.worker.limits.head);
        let mut received = self.worker.buffers.none();
        let mut head = ResponseHead::default();
        let mut body: Option<BodyDecoder> = None;
        loop {
            while body.is_none() && !received.is_empty() {
                let decoded = head.decode(received.filled(), limits, self.method);
                let Some(length) = decoded.map_err(Failure::BadResponse)? else {
                    break;
                };
                received.consume(length);
                if !head.is_interim() {
                    body = Some(BodyDecoder::new(head.framing()));
                }
            }
            if let Some(decoder) = &mut body {
                let Ok(decoded) = decoder.decode(received.filled_mut()) else {
                    return Ok(false);
                };
                received.consume(decoded.consumed);
                if decoded.done {
                    let is_clean = head.keep_alive() && received.is_empty();
                    if is_clean {
                        stream.expect_nothing();
                    }
                    return Ok(is_clean);
                }
            } else if !received.is_empty() && !received.make_room() {
                return Err(Failure::UpstreamClosed);
            }
            match stream.receive(&mut received).await {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::End) | Err(_) if body.is_some() => return Ok(false),
                Ok(Received::End) | Err(_) => return Err(Failure::UpstreamClosed),
            }
        }
    }

    /// As [`Self::swallow`], of a stream.
    async fn swallow_stream(
        &self,
        mut loan: http2::client::Loan,
        alarm: &Alarm,
    ) -> Result<(), Failure> {
        let limits = &self.worker.limits.head;
        loop {
            let head = alarm.guard(loan.head(limits)).await;
            match head.map_err(|_| Failure::UpstreamIdle)?? {
                Head::Interim(_) => {}
                Head::Final(_) => break,
            }
        }
        if let Some(incoming) = &mut loan.incoming {
            while let Ok(Piece::Data(_, false)) = incoming.next(alarm).await {}
        }
        Ok(())
    }
}

impl Drop for Mirroring {
    fn drop(&mut self) {
        self.worker.counters.mirrors_active.decrement();
    }
}
