//! Copies of requests for the clusters of mirrors: sent when the request has ended, and forgotten.
//!
//! Nobody waits for a copy or its answer, and neither is logged as a request of its own; copies are
//! counted. A copy is sent as a whole, so there is none of a request whose body was longer than is
//! kept of it, or did not arrive.

use std::rc::Rc;

use ringmain_core::{
    failure::Failure,
    http1::{BodyDecoder, Framing, MethodKind, ResponseHead},
};

use crate::{
    call::Call,
    carry::Piece,
    http2::{self, client::Head},
    io::{self, stream::Received},
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
        let mut outgoing = mirrored.outgoing;
        match replay {
            None if has_body => {
                worker.counters.mirrors_dropped.increment();
                continue;
            }
            Some(replay) if has_body => replay.stage(&mut outgoing, framing),
            Some(_) | None => {}
        }
        let copy = Copy {
            worker: Rc::clone(worker),
            cluster: worker.clusters.state(mirrored.cluster, mirrored.entry),
            protocol: mirrored.protocol,
            method,
        };
        io::spawn(copy.run(outgoing));
    }
}

/// One copy on its way.
struct Copy {
    worker: Rc<Worker>,
    cluster: Rc<ClusterState>,
    protocol: HttpVersion,
    method: MethodKind,
}

impl Copy {
    async fn run(self, outgoing: Outgoing) {
        let counters = &self.worker.counters;
        match self.exchange(outgoing).await {
            Ok(()) => counters.mirrors_sent.increment(),
            Err(_) => counters.mirrors_dropped.increment(),
        }
    }

    async fn exchange(&self, mut outgoing: Outgoing) -> Result<(), Failure> {
        let worker = &self.worker;
        let call = Call::default();
        let now = worker.now();
        let until = now + micros(worker.limits.stream_idle_timeout);
        let lease = self.cluster.pick(None, &[], &mut || worker.random());
        let lease = lease.ok_or(Failure::NoEndpoint)?;
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
        upstream.send(&mut outgoing, true).await?;
        drop(outgoing);
        match upstream {
            Upstream::Http1(loan) => {
                if self.swallow(&loan).await {
                    pool::put_back(worker, &lease, loan, worker.now());
                }
            }
            Upstream::Http2(mut loan) => {
                let alarm = call.alarm(&worker.deadlines);
                let limits = &worker.limits.head;
                while let Ok(Ok(Head::Interim(_))) = alarm.guard(loan.head(limits)).await {}
                if let Some(incoming) = &mut loan.incoming {
                    while let Ok(Piece::Data(_, false)) = incoming.next(alarm).await {}
                }
            }
        }
        Ok(())
    }

    /// Receives an answer and forgets it. True when the connection can carry another request.
    async fn swallow(&self, loan: &Loan) -> bool {
        let (stream, limits) = (loan.stream(), &self.worker.limits.head);
        let mut received = self.worker.buffers.none();
        let mut head = ResponseHead::default();
        let mut body: Option<BodyDecoder> = None;
        loop {
            while body.is_none() && !received.is_empty() {
                match head.decode(received.filled(), limits, self.method) {
                    Ok(Some(length)) => {
                        received.consume(length);
                        if !head.is_interim() {
                            body = Some(BodyDecoder::new(head.framing()));
                        }
                    }
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
            if let Some(decoder) = &mut body {
                let Ok(decoded) = decoder.decode(received.filled_mut()) else {
                    return false;
                };
                received.consume(decoded.consumed);
                if decoded.done {
                    let is_clean = head.keep_alive() && received.is_empty();
                    if is_clean {
                        stream.expect_nothing();
                    }
                    return is_clean;
                }
            } else if !received.is_empty() && !received.make_room() {
                return false;
            }
            match stream.receive(&mut received).await {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::End) | Err(_) => return false,
            }
        }
    }
}
