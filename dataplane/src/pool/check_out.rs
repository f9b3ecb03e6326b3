//! How requests get at connections, and give them back.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use ringmain_core::{
    ending::Ending,
    failure::Failure,
    limit::{Counted, Full, OpenConnection},
};

use super::{Connection, Count, Held, Idle, Lease, Loan, Purpose, Spoken, Target};
use crate::{
    call::{Call, Gone},
    io::{
        alarm::{Late, Why},
        deadline::Micros,
        stream::Stream,
    },
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

    /// Why a request waits no more for a connection.
    pub fn given_up(why: Why) -> Self {
        Self::new(match why {
            Why::Late => Failure::RouteTimeout,
            Why::Called => Failure::DownstreamGone,
        })
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
    if let Some(max) = lease.connections_max() {
        // In a box of its own: most clusters have no such limit.
        return Box::pin(check_out_limited(worker, lease, call, fresh, (max, until))).await;
    }
    if !fresh && let Some(connection) = lease.state().take_idle() {
        return lend(worker, lease, connection);
    }
    let _waiting = waiting(worker, lease)?;
    // In a box of its own: its timer makes it large, and most requests do without.
    let connected = connect(worker, lease, None, until.saturating_sub(now));
    let connected = Box::pin(call.unless_gone(connected)).await;
    connected.map_err(|Gone| Unreached::new(Failure::DownstreamGone))?
}

/// As [`check_out`], where there may be `max` connections. With all of them in use, a request waits
/// until one is given back.
async fn check_out_limited(
    worker: &Worker,
    lease: &Lease,
    call: &Call,
    fresh: bool,
    (max, until): (u32, Micros),
) -> Result<Loan, Unreached> {
    let state = lease.state();
    let mut counted = None;
    let mut was_called = false;
    loop {
        if was_called || !state.turnstile.is_crowded() {
            match state.take_idle() {
                Some(connection) if !fresh => return lend(worker, lease, connection),
                // It makes room.
                idle => drop(idle),
            }
            if let Some(held) = lease.enter(max) {
                // Until it is open.
                let _counted = match counted {
                    Some(counted) => counted,
                    None => waiting(worker, lease)?,
                };
                let left = until.saturating_sub(worker.now());
                let connected = connect(worker, lease, Some(held), left);
                let connected = Box::pin(call.unless_gone(connected)).await;
                return connected.map_err(|Gone| Unreached::new(Failure::DownstreamGone))?;
            }
        }
        if counted.is_none() {
            counted = Some(waiting(worker, lease)?);
        }
        call.wait_for(None);
        let alarm = call.alarm(&worker.deadlines);
        alarm.set(until);
        let waited = alarm.guard(state.turnstile.wait(was_called)).await;
        waited.map_err(|Late(why)| Unreached::given_up(why))?;
        alarm.clear();
        was_called = true;
    }
}

/// An idle connection for the lease's request.
fn lend(worker: &Worker, lease: &Lease, mut connection: Connection) -> Result<Loan, Unreached> {
    if lease.purpose != connection.count.purpose() {
        connection.count = room(worker, lease.purpose)?;
    }
    worker.counters.upstream_connections_reused.increment();
    Ok(Loan {
        connection,
        reused: true,
    })
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
async fn connect(
    worker: &Worker,
    lease: &Lease,
    held: Option<Held>,
    left: Micros,
) -> Result<Loan, Unreached> {
    let timeout = lease.cluster.cluster.connections.connect_timeout;
    let left = Duration::from_micros(left);
    let count = room(worker, lease.purpose)?;
    let (target, address) = (Target::of(lease), lease.state().address);
    let stream = open(worker, address, timeout, left).await?;
    secure(worker, &target, &stream, Spoken::Any, (timeout, left)).await?;
    let connection = Connection {
        stream,
        requests: 0,
        count,
        held,
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

/// Begins the TLS that is asked for on a new connection. Times as of [`open`].
///
/// # Errors
/// Why there is none.
pub async fn secure(
    worker: &Worker,
    target: &Target,
    stream: &Stream,
    spoken: Spoken,
    (timeout, left): (Duration, Duration),
) -> Result<(), Unreached> {
    let secured = target.secure(worker, stream, spoken, timeout.min(left));
    secured.await.map_err(|error| {
        worker.counters.upstream_connect_failures.increment();
        let failure = match error.kind() {
            io::ErrorKind::TimedOut if left < timeout => Failure::RouteTimeout,
            io::ErrorKind::TimedOut => Failure::ConnectTimeout,
            _ => Failure::ConnectFailed,
        };
        Unreached {
            failure,
            error: Some(Rc::new(error)),
        }
    })
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
    match connect(worker, lease, None, Micros::MAX).await {
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
    let is_limited = connection.held.is_some();
    idle.push(Idle {
        connection,
        since: now,
    });
    if is_limited {
        state.turnstile.call();
    }
}
