//! Answers of our own: what a route says, and failures.

use std::cell::Cell;

use bytes::Bytes;
use h2::Reason;
use ringmain_core::{
    failure::{Failure, Fault},
    header::Edits,
    http1::encode_local_response,
    http2::local_response,
};

use super::After;
use crate::{
    answer::Progress,
    carry::{Carry, Sink},
    downstream::Downstream,
    io::deadline::{Expiry, Micros},
    plan::LocalAnswer,
    record::Record,
    relay::micros,
    worker::Worker,
};

/// Bytes of a body of ours that wait for the client's room at a time.
const PART_BYTES: usize = 16 << 10;

/// What answers of our own need to know.
#[derive(Default)]
pub(super) struct Ours<'a> {
    /// Applied to them.
    pub(super) edits: Option<&'a Edits>,
    /// The request is one of gRPC.
    pub(super) is_grpc: bool,
}

/// Answers without asking an upstream.
pub(super) async fn respond(
    worker: &Worker,
    downstream: &mut Downstream,
    local: &LocalAnswer<'_>,
    edits: Option<&Edits>,
    may_keep: bool,
    record: &mut Record<'_>,
) -> Result<After, Failure> {
    if downstream.wire.http2().is_some() {
        // In a box of its own: its body may have to wait.
        let responded = respond_on_stream(worker, downstream, local, edits, record);
        let responded = Box::pin(responded).await;
        downstream.answered = worker.now();
        return responded;
    }
    let is_head = downstream.asks_for_head();
    // A body that nobody wants is not waited for, and behind one that has not come the next request
    // is not found.
    let keep_alive = may_keep
        && downstream.may_go_on()
        && !worker.is_closing(&downstream.session)
        && downstream.take_request(|bytes| record.received(bytes));
    downstream.consume_head();
    let mut outgoing = worker.buffers.take();
    {
        // Gone before anything is waited for.
        let date = worker.recorder.date();
        let headers = local.headers(edits, worker.http.server(|| false), &date);
        encode_local_response(
            outgoing.tail(),
            local.status,
            &headers,
            &local.body,
            keep_alive,
            is_head,
        );
    }
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
async fn respond_on_stream(
    worker: &Worker,
    downstream: &Downstream,
    local: &LocalAnswer<'_>,
    edits: Option<&Edits>,
    record: &mut Record<'_>,
) -> Result<After, Failure> {
    let Some(client) = downstream.wire.http2() else {
        return Err(Failure::DownstreamGone);
    };
    let date = worker.recorder.date();
    let headers = local.headers(edits, worker.http.server(|| false), &date);
    let ends = downstream.asks_for_head() || local.body.is_empty();
    let head = local_response(local.status, &headers, local.body.len());
    let responded = client.respond(head, ends);
    responded.map_err(|_| Failure::DownstreamGone)?;
    if ends {
        return Ok(After::Next);
    }
    // The client gives room for it, or is cut off after a while.
    let (until, bytes) = (Cell::new(Micros::MAX), Cell::new(0));
    let carry = Carry {
        worker,
        call: &downstream.call,
        until: &until,
        stopped: None,
        bytes: &bytes,
        grpc_status: None,
    };
    let mut sink = Sink::Http2(client.outlet());
    let mut left: &[u8] = &local.body;
    while !left.is_empty() {
        let (part, rest) = left.split_at(left.len().min(PART_BYTES));
        let part_sent = carry.put(
            &mut sink,
            Bytes::copy_from_slice(part),
            rest.is_empty(),
            None,
        );
        part_sent.await.map_err(|_| Failure::DownstreamGone)?;
        record.sent(part.len() as u64);
        left = rest;
    }
    Ok(After::Next)
}

/// Answers with a failure, unless an answer was begun or there is nobody to answer.
pub(super) async fn fail(
    worker: &Worker,
    downstream: &mut Downstream,
    failure: Failure,
    ours: &Ours<'_>,
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
    let local = LocalAnswer::failure(failure, ours.is_grpc);
    record.telling(local.status);
    record.grpc_status(|| local.grpc_status());
    respond(worker, downstream, &local, ours.edits, may_keep, record)
        .await
        .unwrap_or(After::Close)
}
