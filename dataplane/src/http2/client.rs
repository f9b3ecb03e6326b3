//! Upstream connections that speak HTTP/2: each carries many requests at a time.
//!
//! A core has one connection to an endpoint, and another one when the streams of all are in use.
//! Requests that come while one is being opened wait for that one. A connection is closed by
//! forgetting it: when the last request on it has ended, its task says goodbye and ends. While
//! somebody else than [`Shared`] holds a connection, it is in use or about to be.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use http::{Request, Response};
use ringmain_config::cluster::Connections;
use ringmain_core::{failure::Failure, http1::Limits};

use super::{
    keep_alive::keep_alive,
    stream::{Cause, Incoming, Outlet},
};
use crate::{
    io::{
        alarm::{Alarm, Late},
        bridge::Bridge,
        deadline::{Deadlines, Micros},
        spawn,
        stream::Stream,
    },
    pool::{self, Count, Held, Lease, Purpose, Spoken, Target, Unreached},
    relay::micros,
    worker::Worker,
};

/// The connections of one core to one endpoint.
#[derive(Default)]
pub struct Shared {
    open: RefCell<Vec<Rc<Multiplexed>>>,
    opening: RefCell<Option<Rc<Opening>>>,
}

/// A connection that carries many requests.
struct Multiplexed {
    /// Tells how the connection does. Requests are sent by copies of it: of a handle by which the
    /// last stream was opened that the upstream takes, h2 has one waker for that stream and for
    /// whoever asks whether the handle is ready, and whoever asked last is woken.
    requests: RefCell<SendRequest<Bytes>>,
    stream: Rc<Stream>,
    /// Requests under way.
    active: Cell<u32>,
    /// Requests that were sent on it.
    carried: Cell<u32>,
    /// Since when none is under way.
    idle_since: Cell<Micros>,
    clock: Rc<Deadlines>,
    /// Of a connection that carries no further requests, though those under way go on.
    is_spent: Cell<bool>,
    count: Count,
    /// Of one that is limited.
    held: Option<Held>,
}

/// A connection that is being opened, for whoever waits for it.
#[derive(Default)]
struct Opening {
    outcome: RefCell<Option<Result<Rc<Multiplexed>, Unreached>>>,
    waiting: RefCell<Vec<Waker>>,
}

/// Connections that a request waits for and that take none at all: an upstream may say goodbye
/// behind its hello, again and again.
const OPENINGS_MAX: u32 = 2;

impl Shared {
    /// No connection carries further requests.
    pub fn let_go(&self) {
        self.open.borrow_mut().clear();
    }

    /// Lets go of connections that have been idle for `timeout`, and of those that have ended. Says
    /// how many are left that are idle.
    pub fn sweep(&self, now: Micros, timeout: Micros) -> usize {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| {
            let is_idle = connection.active.get() == 0;
            let is_old = is_idle && now.saturating_sub(connection.idle_since.get()) >= timeout;
            !is_old && connection.is_usable()
        });
        let idle = open
            .iter()
            .filter(|connection| connection.active.get() == 0);
        idle.count()
    }

    /// Since when the one is idle that has been so for longest, of those that were opened for
    /// `purpose`.
    pub fn idle_since(&self, purpose: Purpose) -> Option<Micros> {
        let open = self.open.borrow();
        let idle = open.iter().filter(|connection| connection.is_idle(purpose));
        idle.map(|connection| connection.idle_since.get()).min()
    }

    /// Lets go of that one.
    pub fn close_oldest_idle(&self, purpose: Purpose) {
        let mut open = self.open.borrow_mut();
        let idle = (0..open.len()).filter(|&index| open[index].is_idle(purpose));
        if let Some(oldest) = idle.min_by_key(|&index| open[index].idle_since.get()) {
            open.remove(oldest);
        }
    }

    /// One that has a stream to spare. Those that have ended are forgotten.
    fn spare(&self, streams_max: u32) -> Option<Rc<Multiplexed>> {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| connection.is_usable());
        let spare = open
            .iter()
            .find(|connection| connection.has_room(streams_max));
        spare.map(Rc::clone)
    }
}

impl Multiplexed {
    fn is_usable(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        let ready = self.requests.borrow_mut().poll_ready(&mut nobody);
        !self.is_spent.get() && !matches!(ready, Poll::Ready(Err(_)))
    }

    /// It was opened for `purpose`, and nobody uses it or is about to.
    fn is_idle(self: &Rc<Self>, purpose: Purpose) -> bool {
        self.count.purpose() == purpose && Rc::strong_count(self) == 1
    }

    fn takes_upgrades(&self) -> bool {
        let requests = self.requests.borrow();
        requests.is_extended_connect_protocol_enabled()
    }

    fn has_room(&self, streams_max: u32) -> bool {
        let allowed = self.requests.borrow().current_max_send_streams();
        let allowed = allowed.min(streams_max as usize);
        (self.active.get() as usize) < allowed
    }
}

impl Opening {
    fn end(&self, outcome: Result<Rc<Multiplexed>, Unreached>) {
        *self.outcome.borrow_mut() = Some(outcome);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    async fn ended(&self) -> Result<Rc<Multiplexed>, Unreached> {
        poll_fn(|context| match &*self.outcome.borrow() {
            Some(outcome) => Poll::Ready(outcome.clone()),
            None => {
                let mut waiting = self.waiting.borrow_mut();
                if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                    waiting.push(context.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }
}

/// A stream for one request to the leased endpoint, on a connection that is there or on a new one.
/// `alarm` bounds the wait.
///
/// # Errors
/// Why there is none.
pub async fn check_out(
    worker: &Rc<Worker>,
    lease: &Lease,
    alarm: &Alarm,
) -> Result<Loan, Unreached> {
    let settings = lease.cluster().connections;
    let streams_max = worker.limits.http2.upstream_streams_max;
    let streams_max = settings
        .http
        .streams_max
        .unwrap_or(streams_max)
        .min(streams_max);
    let shared = &lease.state().shared;
    let mut reused = true;
    let mut in_vain = 0;
    let mut was_called = false;
    let mut waiting = None;
    // What was waited for stays open until it is used.
    let mut awaited: Option<Rc<Multiplexed>> = None;
    loop {
        if let Some(connection) = shared.spare(streams_max) {
            if reused {
                worker.counters.upstream_connections_reused.increment();
            }
            if was_called {
                // There may be streams for more of those that wait.
                lease.state().turnstile.call();
            }
            return Ok(Loan::new(connection, settings.requests_max, reused));
        }
        reused = false;
        // Another request may have been faster, which is nobody's fault.
        in_vain += u32::from(
            awaited
                .take()
                .is_some_and(|connection| connection.carried.get() == 0),
        );
        if in_vain == OPENINGS_MAX {
            return Err(turned_away());
        }
        if waiting.is_none() {
            waiting = Some(pool::waiting(worker, lease)?);
        }
        let opening = shared.opening.borrow().clone();
        let opening = match opening {
            Some(opening) => opening,
            None => {
                let held = lease.connections_max().map(|max| lease.enter(max));
                if matches!(held, Some(None)) {
                    let called = alarm.guard(lease.state().turnstile.wait(was_called)).await;
                    called.map_err(|Late(why)| Unreached::given_up(why))?;
                    was_called = true;
                    continue;
                }
                begin_to_open(worker, lease, held.flatten())?
            }
        };
        let ended = alarm.guard(opening.ended()).await;
        let ended = ended.map_err(|Late(why)| Unreached::given_up(why));
        awaited = Some(ended??);
    }
}

/// Connections were opened, and none of them took the request.
fn turned_away() -> Unreached {
    Unreached {
        failure: Failure::StreamRefused,
        error: Some(Rc::new(io::Error::other(format!(
            "{OPENINGS_MAX} HTTP/2 connections were opened, and none of them took the request"
        )))),
    }
}

/// A connection is opened by a task of its own: others may wait for it when the first has gone.
///
/// # Errors
/// There is no room for one.
fn begin_to_open(
    worker: &Rc<Worker>,
    lease: &Lease,
    held: Option<Held>,
) -> Result<Rc<Opening>, Unreached> {
    // Before anybody waits for it: there may be room for them.
    let count = pool::room(worker, lease.purpose())?;
    let opening = Rc::<Opening>::default();
    let state = lease.endpoint();
    *state.shared.opening.borrow_mut() = Some(Rc::clone(&opening));
    let (worker, begun) = (Rc::clone(worker), Rc::clone(&opening));
    let settings = lease.cluster().connections;
    let target = Target::of(lease);
    let timeout = settings.connect_timeout;
    spawn(async move {
        let until = worker.now() + micros(timeout);
        let opened = match pool::open(&worker, state.address, timeout, timeout).await {
            Ok(stream) => {
                let times = (timeout, timeout);
                let secured = pool::secure(&worker, &target, &stream, Spoken::Http2, times);
                match Box::pin(secured).await {
                    Ok(()) => begin(&worker, stream, (count, held), &settings, until).await,
                    Err(unreached) => Err(unreached),
                }
            }
            Err(unreached) => Err(unreached),
        };
        *state.shared.opening.borrow_mut() = None;
        if let Ok(connection) = &opened {
            let mut open = state.shared.open.borrow_mut();
            open.push(Rc::clone(connection));
        }
        begun.end(opened);
    });
    Ok(opening)
}

/// Says HTTP/2's hello, waits for the upstream's until `until`, and has the connection driven from
/// now on.
///
/// Before its hello nobody knows how many streams the upstream takes, and whoever waits for the
/// connection may be more than that: what it refuses has waited in vain, and some upstreams close
/// the connection when they have to refuse too often.
async fn begin(
    worker: &Rc<Worker>,
    stream: Rc<Stream>,
    (count, held): (Count, Option<Held>),
    settings: &Connections,
    until: Micros,
) -> Result<Rc<Multiplexed>, Unreached> {
    let flush_timeout = worker.limits.stream_idle_timeout;
    let (received, outgoing) = (worker.buffers.none(), worker.buffers.none());
    let mut bridge = Bridge::new(Rc::clone(&stream), received, outgoing, flush_timeout);
    let per_second = worker.limits.http2.idle_frames_per_second;
    let seen = bridge.watch_frames(per_second, false);
    let line = bridge.line();
    let handshake = worker.limits.http2.client().handshake::<_, Bytes>(bridge);
    let (requests, mut connection) = handshake
        .await
        .map_err(|error| no_hello(worker, Some(&error)))?;
    let alarm = worker.deadlines.alarm();
    alarm.set(until);
    let hello = poll_fn(|context| {
        let ended = Pin::new(&mut connection).poll(context);
        // An error is the connection's, and what is read next will say so.
        let _ = line.poll_flush(context);
        match ended {
            Poll::Ready(ended) => Poll::Ready(Err(no_hello(worker, ended.err().as_ref()))),
            Poll::Pending if requests.current_max_send_streams() == 0 => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(())),
        }
    });
    alarm.guard(hello).await.map_err(|_| late_hello(worker))??;
    let shared = Rc::new(Multiplexed {
        requests: RefCell::new(requests),
        stream: Rc::clone(&stream),
        active: Cell::new(0),
        carried: Cell::new(0),
        idle_since: Cell::new(worker.now()),
        clock: Rc::clone(&worker.deadlines),
        is_spent: Cell::new(false),
        count,
        held,
    });
    if let (Some(settings), Some(pings)) = (settings.http.keep_alive, connection.ping_pong()) {
        let counters = Arc::clone(&worker.counters);
        let lost = move || counters.upstream_keep_alive_failures.increment();
        keep_alive(pings, settings, &stream, &worker.deadlines, lost);
    }
    let driven = Rc::downgrade(&shared);
    let counters = Arc::clone(&worker.counters);
    spawn(async move {
        let drives = poll_fn(|context| {
            let ended = Pin::new(&mut connection).poll(context);
            let _ = line.poll_flush(context);
            ended
        });
        // Requests under way are told by the crate why it ended.
        drop(drives.await);
        if seen.flood().is_some() {
            counters.upstream_http2_floods.increment();
        }
        if let Some(connection) = driven.upgrade() {
            connection.is_spent.set(true);
        }
    });
    Ok(shared)
}

/// The connection ended before the upstream's hello, or with it.
fn no_hello(worker: &Worker, error: Option<&h2::Error>) -> Unreached {
    let reason = match error {
        Some(error) if error.is_library() => {
            format!("the endpoint does not speak HTTP/2: {error}")
        }
        Some(error) => format!("the connection ended before it took a request: {error}"),
        None => "the connection ended before it took a request".to_owned(),
    };
    unheard(worker, Failure::ConnectFailed, io::Error::other(reason))
}

fn late_hello(worker: &Worker) -> Unreached {
    let reason = "no SETTINGS of HTTP/2 within the connect timeout: does the endpoint speak it?";
    let error = io::Error::new(io::ErrorKind::TimedOut, reason);
    unheard(worker, Failure::ConnectTimeout, error)
}

fn unheard(worker: &Worker, failure: Failure, error: io::Error) -> Unreached {
    worker.counters.upstream_connect_failures.increment();
    Unreached {
        failure,
        error: Some(Rc::new(error)),
    }
}

/// A stream for one request, from its connection's choice to the end of the answer.
pub struct Loan {
    connection: Rc<Multiplexed>,
    /// The connection has carried requests before.
    pub reused: bool,
    response: Option<ResponseFuture>,
    /// Where the body of the request goes, while it does.
    pub outlet: Option<Rc<Outlet>>,
    /// The answer's body.
    pub incoming: Option<Incoming>,
}

/// What comes of waiting for an answer's head.
pub enum Head {
    /// An interim one.
    Interim(Response<()>),
    /// The final one. Its body is [`Loan::incoming`].
    Final(Response<()>),
}

impl Loan {
    fn new(connection: Rc<Multiplexed>, requests_max: u32, reused: bool) -> Self {
        connection.active.set(connection.active.get() + 1);
        let carried = connection.carried.get().saturating_add(1);
        connection.carried.set(carried);
        if carried == requests_max {
            connection.is_spent.set(true);
        }
        Self {
            connection,
            reused,
            response: None,
            outlet: None,
            incoming: None,
        }
    }

    /// Our end of the connection.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.connection.stream.local_address()
    }

    /// Itself, if the upstream lets a stream change its protocol (RFC 8441 section 3), which a
    /// client must know before it asks.
    ///
    /// # Errors
    /// [`Failure::UpgradeRefused`] when it does not.
    pub fn for_upgrade(self) -> Result<Self, Unreached> {
        match self.connection.takes_upgrades() {
            true => Ok(self),
            false => Err(Unreached::new(Failure::UpgradeRefused)),
        }
    }

    /// The connection is probed from now on: see [`Stream::keep_alive`].
    pub fn keep_alive(&self) {
        self.connection.stream.keep_alive();
    }

    /// Sends the head of the request. `ends`: it is all of it. Else its body goes to the outlet.
    ///
    /// # Errors
    /// Why it cannot have been received.
    pub fn send(&mut self, request: Request<()>, ends: bool) -> Result<(), Failure> {
        let mut requests = self.connection.requests.borrow().clone();
        let sent = requests.send_request(request, ends);
        let (response, outlet) = sent.map_err(|_| {
            self.connection.is_spent.set(true);
            Failure::StreamRefused
        })?;
        self.response = Some(response);
        self.outlet = (!ends).then(|| Rc::new(Outlet::new(outlet)));
        Ok(())
    }

    /// Waits for the next head. May be dropped.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn head(&mut self, limits: &Limits) -> Result<Head, Failure> {
        let response = self.response.as_mut().ok_or(Failure::UpstreamClosed)?;
        let head = poll_fn(|context| {
            if let Poll::Ready(Some(interim)) = response.poll_informational(context) {
                return Poll::Ready(interim.map(Err));
            }
            Pin::new(&mut *response).poll(context).map_ok(Ok)
        });
        let head = head.await.map_err(|error| {
            if error.is_remote() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                // It may go on refusing for as long as the connection lasts.
                self.connection.is_spent.set(true);
            }
            failure(&error)
        });
        match head? {
            Err(interim) => Ok(Head::Interim(interim)),
            Ok(response) => {
                let (parts, body) = response.into_parts();
                self.response = None;
                self.incoming = Some(Incoming::new(body, 0, limits));
                Ok(Head::Final(Response::from_parts(parts, ())))
            }
        }
    }

    /// Ends the request, whatever is left of it.
    pub fn reset(&mut self) {
        self.response = None;
        if let Some(outlet) = &self.outlet {
            outlet.reset(Reason::CANCEL);
        }
        self.incoming = None;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let active = self.connection.active.get() - 1;
        self.connection.active.set(active);
        if active == 0 {
            self.connection.idle_since.set(self.connection.clock.now());
        }
        if let Some(held) = &self.connection.held {
            held.call();
        }
    }
}

/// What the end of a stream means for a request that has no answer yet.
fn failure(error: &h2::Error) -> Failure {
    match Cause::of(error) {
        Cause::Refused => Failure::StreamRefused,
        Cause::Reset => Failure::UpstreamReset,
        Cause::Fault => Failure::UpstreamProtocol,
        Cause::Closed => Failure::UpstreamClosed,
    }
}
