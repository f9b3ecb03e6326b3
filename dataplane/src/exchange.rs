//! One request, top to bottom.
//!
//! Pin the snapshot, open the record, decide, pick an endpoint, check out a connection, send,
//! answer, close the record. Deciding is pure and lives in `ringmain-core`; what is here moves
//! bytes and keeps promises: an answer that has begun is never begun again, a connection that did
//! not end in order is never used again, and every request is recorded exactly once.

mod forward;
mod respond;
mod streaming;

use std::{rc::Rc, time::Duration};

use ringmain_config::listener::Direction;
use ringmain_core::{
    failure::{Failure, Flag},
    metrics::Reporter,
};

use self::{
    forward::Forward,
    respond::{Ours, fail, respond},
};
use crate::{
    answer::Progress,
    call::Gone,
    downstream::Downstream,
    plan::{Decided, EditsList, Plan},
    record::Record,
    upgrade::Switched,
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
    let delayed = match decided.delay {
        // In a box of its own: its timer makes it large.
        Some(time) => Box::pin(delay(worker, downstream, (time, &mut decided), &mut record)).await,
        None => Ok(()),
    };
    // By reference: what a plan holds is large.
    let result = match (delayed, &mut decided.plan) {
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
            record.grpc_status(|| local.grpc_status());
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

/// Waits because the route says so. The upstream has no part in it: its time, and the route's
/// timeout, begin behind it. The time that the client gives has begun before.
async fn delay(
    worker: &Worker,
    downstream: &mut Downstream,
    (time, decided): (Duration, &mut Decided<'_>),
    record: &mut Record<'_>,
) -> Result<(), Failure> {
    record.flag(Flag::Di.into());
    let call = &downstream.call;
    // Somebody who has gone is not waited for.
    call.wait_for(None);
    let waited = call.sleep(&worker.deadlines, time).await;
    call.end_wait();
    downstream.head_at = worker.now();
    if let Ok(Plan::Forward(forwarding)) = &mut decided.plan
        && let Some(left) = &mut forwarding.grpc_timeout
    {
        *left = left.saturating_sub(time);
    }
    waited.map_err(|Gone| Failure::DownstreamGone)
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
    record.describe(|| downstream.describe_refused());
    if downstream.is_refused_call {
        record.speaks_grpc();
    }
    let ours = Ours {
        is_grpc: downstream.is_refused_call,
        ..Ours::default()
    };
    fail(
        worker,
        downstream,
        failure,
        &ours,
        &Progress::default(),
        &mut record,
    )
    .await;
    record.close_at(downstream.answered);
}
