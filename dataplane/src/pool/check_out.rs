//! How requests get at connections, and give them back.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use ringmain_core::{
    ending::Ending,
    failure::Failure,
    limit::{Counted, Full, OpenConnection},
};

use super::{Connection, Count, Idle, Lease, Loan, Purpose};
use crate::{
    call::{Call, Gone},
    io::{deadline::Micros, stream::Stream},
    worker::Worker,
};

/// Why there is no connection to an endpoint.
#[derive(Clone, Debug)]
pub struct Unreached {
    /// What it means for a request.
    pub failure: Failure,
    /// What the kernel said, or what was seen of the endpoint.
    pub error: Option<Rc<io::Error>>,
}

impl Unreached {
    /// The kernel was not asked.
    pub fn new(failure: Failure) -> Self {
        Self {
            failure,
            error: None,
        }
    }

    /// As many connections or requests as are allowed.
    fn overflow(worker: &Worker, purpose: Purpose) -> Self {
        // Whoever sends copies counts those that are not sent.
        if purpose == Purpose::Request {
            worker.counters.upstream_overflows.increment();
        }
        Self::new(Failure::Overflow)
    }
}

/// A connection to the leased endpoint: an idle one unless `fresh`, else a new one, which takes
/// until `until` at most, and which nobody waits for any more when `call` has ended.
///
/// # Errors
/// Why there is none, and what the kernel said about it.
pub async fn check_out(
    worker: &Worker,
    lease: &Lease,
    call: &Call,
    fresh: bool,
    (now, until): (Micros, Micros),
) -> Result<Loan, Unreached> {
    if !fresh && let Some(mut connection) = lease.state().take_idle() {
        if lease.purpose != connection.count.purpose() {
            connection.count = room(worker, lease.purpose)?;
        }
        worker.counters.upstream_connections_reused.increment();
        return Ok(Loan {
            connection,
            reused: true,
        });
    }
    let _waiting = waiting(worker, lease)?;
    // In a box of its own: its timer makes it large, and most requests do without.
    let connected = connect(worker, lease, until.saturating_sub(now));
    let connected = Box::pin(call.unless_gone(connected)).await;
    connected.map_err(|Gone| Unreached::new(Failure::DownstreamGone))?
}

/// Counts a request that begins to wait for a connection, if that is limited.
///
/// # Errors
/// As many wait as are allowed.
pub fn waiting(worker: &Worker, lease: &Lease) -> Result<Option<Counted>, Unreached> {
    let counted = lease.wait();
    counted.map_err(|Full| Unreached::overflow(worker, lease.purpose))
}

/// Room for one more connection, made by closing an idle one if need be.
///
/// # Errors
/// There are as many as are allowed, and all are in use.
pub fn room(worker: &Worker, purpose: Purpose) -> Result<Count, Unreached> {
    let max = purpose.connections_max(&worker.limits);
    let clusters = &worker.clusters;
    let mut count = clusters.rooms.take(purpose, max);
    if count.is_none() && clusters.close_oldest_idle(purpose) {
        count = clusters.rooms.take(purpose, max);
    }
    count.ok_or_else(|| Unreached::overflow(worker, purpose))
}

/// `left`: microseconds until the route's timeout.
async fn connect(worker: &Worker, lease: &Lease, left: Micros) -> Result<Loan, Unreached> {
    let timeout = lease.cluster.cluster.connections.connect_timeout;
    let left = Duration::from_micros(left);
    let count = room(worker, lease.purpose)?;
    let stream = open(worker, lease.state().address, timeout, left).await?;
    let connection = Connection {
        stream,
        requests: 0,
        count,
    };
    Ok(Loan {
        connection,
        reused: false,
    })
}

/// A new connection to `address`, for which there is [`room`], within `timeout`; when `left` is
/// shorter, that is the time left for the request.
///
/// # Errors
/// Why there is none.
pub async fn open(
    worker: &Worker,
    address: SocketAddr,
    timeout: Duration,
    left: Duration,
) -> Result<Rc<Stream>, Unreached> {
    match Stream::connect(address, timeout.min(left), &worker.deadlines).await {
        Ok(stream) => {
            worker.counters.upstream_connections_total.increment();
            Ok(Rc::new(stream))
        }
        Err(error) => {
            worker.counters.upstream_connect_failures.increment();
            let failure = match error.kind() {
                io::ErrorKind::TimedOut if left < timeout => Failure::RouteTimeout,
                io::ErrorKind::TimedOut => Failure::ConnectTimeout,
                _ => Failure::ConnectFailed,
            };
            Err(Unreached {
                failure,
                error: Some(Rc::new(error)),
            })
        }
    }
}

/// A new connection to the leased endpoint that carries bytes and is nobody else's. One try: that
/// is Envoy's `max_connect_attempts`.
///
/// # Errors
/// Why there is none, and what the kernel said about it.
pub async fn connect_for_bytes(
    worker: &Worker,
    lease: &Lease,
) -> Result<(Loan, OpenConnection), (Ending, Option<Rc<io::Error>>)> {
    let cluster = &lease.cluster;
    let max = cluster.cluster.connections.tcp.connections_max;
    let Some(open) = cluster.open.take(max) else {
        worker.counters.upstream_overflows.increment();
        return Err((Ending::Overflow, None));
    };
    match connect(worker, lease, Micros::MAX).await {
        Ok(loan) => Ok((loan, open)),
        Err(unreached) => {
            let ending = match unreached.failure {
                Failure::Overflow => Ending::Overflow,
                Failure::ConnectTimeout => Ending::ConnectTimeout,
                _ => Ending::ConnectFailed,
            };
            Err((ending, unreached.error))
        }
    }
}

/// Keeps a connection whose request and answer are complete, and which was told to
/// [expect nothing](Stream::expect_nothing), for the next request, if it may be.
pub fn put_back(worker: &Worker, lease: &Lease, loan: Loan, now: Micros) {
    let Loan { mut connection, .. } = loan;
    let state = lease.state();
    connection.requests += 1;
    let requests_max = lease.cluster.cluster.connections.requests_max;
    // Its deadline may have passed while the answer was on its way to the client.
    let stopped = connection.stream.was_stopped();
    let spent = stopped || requests_max != 0 && connection.requests >= requests_max;
    let mut idle = state.idle.borrow_mut();
    if spent || state.gone.get() || idle.len() >= worker.limits.upstream_idle_max {
        return;
    }
    if connection.count.purpose() != Purpose::Request {
        let max = worker.limits.upstream_connections_max;
        match worker.clusters.rooms.take(Purpose::Request, max) {
            Some(count) => connection.count = count,
            None => return,
        }
    }
    connection.stream.deadline().clear();
    idle.push(Idle {
        connection,
        since: now,
    });
}
