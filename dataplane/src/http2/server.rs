//! A downstream connection that speaks HTTP/2: one task for the connection, one for each request.

mod caller;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Connection, SendResponse},
};
use http::Request;
use ringmain_config::listener::Direction;
use ringmain_core::{
    access_log::Protocol,
    failure::Failure,
    http2::{EARLY_MICROS, Resets},
    metrics::Reporter,
};

pub use self::caller::{Client, watch};
use super::keep_alive::keep_alive;
use crate::{
    connection::{Pause, Visit},
    io::{
        self,
        alarm::Alarm,
        bridge::{Bridge, Line, Seen},
        buffer::Buffer,
        deadline::Micros,
    },
    record::{Description, Record},
    relay::micros,
    session::Session,
    worker::Worker,
};

/// How long a connection that is told to end may take to end.
const GOODBYE: Duration = Duration::from_secs(1);

type Http2Connection = Connection<Bridge, Bytes>;

/// What others on this core may ask of the connection.
pub struct Control {
    /// Requests under way.
    active: Cell<u32>,
    is_ending: Cell<bool>,
    /// Requests that have ended.
    resets: Cell<Resets>,
    /// The client costs more than it brings.
    is_flooded: Cell<bool>,
    /// Of the connection's task.
    waker: RefCell<Option<Waker>>,
}

impl Control {
    fn new(early_resets_max: u32) -> Self {
        Self {
            active: Cell::new(0),
            is_ending: Cell::new(false),
            resets: Cell::new(Resets::new(early_resets_max)),
            is_flooded: Cell::new(false),
            waker: RefCell::default(),
        }
    }

    /// No new requests are taken from now on; those under way end.
    pub fn end(&self) {
        if !self.is_ending.replace(true) {
            self.wake();
        }
    }

    /// A request has ended, by the client's reset before an answer if it is `early`.
    fn ended(&self, early: bool) {
        let mut resets = self.resets.get();
        let verdict = resets.ended(early);
        self.resets.set(resets);
        if verdict.is_err() && !self.is_flooded.replace(true) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The connection's task waits.
    fn wake_later(&self, waker: &Waker) {
        let mut waiting = self.waker.borrow_mut();
        if !waiting.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *waiting = Some(waker.clone());
        }
    }
}

/// A request of the connection, from its head to the end of its exchange.
struct Active(Rc<Control>);

impl Active {
    fn new(control: &Rc<Control>) -> Self {
        control.active.set(control.active.get() + 1);
        Self(Rc::clone(control))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let active = self.0.active.get() - 1;
        self.0.active.set(active);
        if active == 0 {
            // It is idle from now on.
            self.0.wake();
        }
    }
}

/// Serves a connection on which the preface has come, at the front of `received`.
pub async fn serve(worker: &Rc<Worker>, session: &Rc<Session>, received: Buffer) {
    let settings = &worker.limits.http2;
    let control = Rc::new(Control::new(settings.early_resets_max));
    session.set_http2(Some(Rc::clone(&control)));
    let alarm = worker.deadlines.alarm();
    let flush_timeout = worker.limits.stream_idle_timeout;
    let stream = Rc::clone(&session.stream);
    let mut bridge = Bridge::new(stream, received, worker.buffers.none(), flush_timeout);
    let seen = bridge.watch_frames(settings.idle_frames_per_second, true);
    let line = bridge.line();
    alarm.set(worker.now() + micros(worker.limits.request_head_timeout));
    // In a box of its own, which is gone when the connection waits for requests.
    let handshake = Box::pin(begin(worker, session, bridge));
    if let Ok(Some(connection)) = alarm.guard(handshake).await {
        let server = Server {
            worker,
            session,
            control: &control,
            alarm: &alarm,
            seen: &seen,
            line: &line,
            accepted: Cell::new(0),
            ends_at: match settings.connection_age_max {
                Duration::ZERO => Micros::MAX,
                age => worker.now() + micros(age),
            },
        };
        server.run(connection).await;
    }
    if seen.flood().is_some() || control.is_flooded.get() {
        worker.counters.downstream_http2_floods.increment();
    }
    session.set_http2(None);
}

/// Reads the preface and says our hello. `None`: it is over already.
async fn begin(
    worker: &Rc<Worker>,
    session: &Session,
    bridge: Bridge,
) -> Option<Box<Http2Connection>> {
    let settings = &worker.limits.http2;
    let handshake = settings.server().handshake(bridge);
    let mut connection = Box::new(handshake.await.ok()?);
    if let (Some(settings), Some(pings)) = (settings.keep_alive, connection.ping_pong()) {
        let counters = Arc::clone(&worker.counters);
        let lost = move || counters.downstream_keep_alive_failures.increment();
        keep_alive(pings, settings, &session.stream, &worker.deadlines, lost);
    }
    Some(connection)
}

struct Server<'a> {
    worker: &'a Rc<Worker>,
    session: &'a Rc<Session>,
    control: &'a Rc<Control>,
    /// Of the connection when it has no request, or is to end.
    alarm: &'a Alarm,
    /// What h2 does not tell.
    seen: &'a Seen,
    line: &'a Line,
    /// Requests that h2 has passed on, and those that it has not and that were recorded.
    accepted: Cell<u32>,
    /// When it is too old to take further requests.
    ends_at: Micros,
}

/// What a connection waits for, which its alarm is set by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// It has no request under way.
    is_idle: bool,
    /// It takes none any more.
    is_ending: bool,
    /// See [`Seen::unfinished_since`].
    unfinished_since: Option<Micros>,
}

/// How a connection ends.
enum End {
    /// It has.
    Over,
    /// Its client costs more than it brings.
    Flooded,
}

impl Server<'_> {
    async fn run(self, mut connection: Box<Http2Connection>) {
        let mut standing = None;
        loop {
            let turns = poll_fn(|context| self.turn(&mut connection, &mut standing, context));
            match self.alarm.guard(turns).await {
                Ok(End::Over) => return,
                Ok(End::Flooded) => return self.end_at_once(connection).await,
                Err(_) if self.is_head_late() => {
                    if self.seen.is_within_head() {
                        self.record(Failure::RequestHeadTimeout);
                    }
                    return self.end_at_once(connection).await;
                }
                // It has said goodbye and its client has not.
                Err(_) if self.is_idle() && self.control.is_ending.get() => return,
                Err(_) if self.is_idle() || self.is_old() => self.control.is_ending.set(true),
                Err(_) => {}
            }
            // The alarm is set anew.
            standing = None;
        }
    }

    /// Takes what has come, and begins every request of it.
    fn turn(
        &self,
        connection: &mut Http2Connection,
        standing: &mut Option<Standing>,
        context: &mut Context<'_>,
    ) -> Poll<End> {
        if self.control.is_flooded.get() {
            return Poll::Ready(End::Flooded);
        }
        if self.control.is_ending.get() {
            // Once or more often.
            connection.graceful_shutdown();
        }
        loop {
            match connection.poll_accept(context) {
                Poll::Ready(Some(Ok(request))) => self.begin(request),
                // The crate has told the client why.
                Poll::Ready(over) => {
                    self.record_refused();
                    if over.is_some_and(|error| error.is_err_and(|error| error.is_library())) {
                        self.worker.counters.downstream_http2_errors.increment();
                    }
                    return Poll::Ready(End::Over);
                }
                Poll::Pending => break,
            }
        }
        self.record_refused();
        // An error is the connection's, and what is read next will say so.
        let _ = self.line.poll_flush(context);
        let now = Standing {
            is_idle: self.is_idle(),
            is_ending: self.control.is_ending.get(),
            unfinished_since: self.seen.unfinished_since(),
        };
        // What comes besides requests does not prolong the wait for one.
        if standing.replace(now) != Some(now) {
            self.bound_wait(now);
        }
        self.control.wake_later(context.waker());
        Poll::Pending
    }

    /// Tells the client why, if it listens, and ends all its requests.
    async fn end_at_once(&self, mut connection: Box<Http2Connection>) {
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.alarm.set(self.worker.now() + micros(GOODBYE));
        let closed = poll_fn(|context| {
            let closed = connection.poll_closed(context);
            let _ = self.line.poll_flush(context);
            closed
        });
        // Whether it was told or not, it is over.
        let _ = self.alarm.guard(closed).await;
    }

    fn bound_wait(&self, standing: Standing) {
        let oldest = match standing.is_ending {
            true => Micros::MAX,
            false => self.ends_at,
        };
        let oldest = oldest.min(self.head_late());
        if !standing.is_idle {
            // Each request has bounds of its own.
            self.session.set_busy();
            self.alarm.set(oldest);
            return;
        }
        let now = self.worker.now();
        self.session.set_idle(now);
        let most = match standing.is_ending {
            true => GOODBYE,
            false => self.worker.limits.idle_timeout,
        };
        self.alarm.set((now + micros(most)).min(oldest));
    }

    fn is_idle(&self) -> bool {
        self.control.active.get() == 0
    }

    fn is_old(&self) -> bool {
        self.worker.now() >= self.ends_at
    }

    /// When what the client has begun to say has to be said.
    fn head_late(&self) -> Micros {
        let timeout = micros(self.worker.limits.request_head_timeout);
        let since = self.seen.unfinished_since();
        since.map_or(Micros::MAX, |since| since.saturating_add(timeout))
    }

    fn is_head_late(&self) -> bool {
        self.worker.now() >= self.head_late()
    }

    /// Records the requests that h2 has refused itself: those with malformed heads, and those
    /// beyond the number of streams that the client was told (RFC 9113 sections 5.1.2 and 8.1.1).
    fn record_refused(&self) {
        let Some(requests) = self.seen.requests() else {
            return;
        };
        let refused = requests.saturating_sub(self.accepted.replace(requests));
        // Those behind the last one of a GOAWAY were not looked at, and their client knows.
        if self.control.is_ending.get() || self.control.is_flooded.get() {
            return;
        }
        for _ in 0..refused {
            self.worker.counters.requests_rejected.increment();
            self.record(Failure::DownstreamProtocol);
        }
    }

    /// Records a request of which nothing is known but how it ended.
    fn record(&self, failure: Failure) {
        let (worker, session) = (self.worker, self.session);
        let snapshot = worker.snapshot(session.listener);
        let listener = snapshot.listener(session.listener);
        let direction = listener.map_or(Direction::Gateway, |listener| listener.config.direction);
        let now = worker.now();
        let mut record = Record::open(&worker.recorder, Reporter::of(direction), now);
        record.describe(|| Description {
            protocol: Some(Protocol::Http2),
            downstream_local: session.stream.local_address().ok(),
            downstream_remote: Some(session.peer),
            ..Description::default()
        });
        record.fail(failure);
        record.close_at(now);
    }

    fn begin(&self, (request, respond): (Request<RecvStream>, SendResponse<Bytes>)) {
        self.accepted.set(self.accepted.get() + 1);
        let client = Rc::new(Client::new(respond));
        let visit = Visit::Http2 {
            worker: Rc::clone(self.worker),
            session: Rc::clone(self.session),
            request: Box::new(request),
            client: Rc::clone(&client),
        };
        let (worker, active) = (Rc::clone(self.worker), Active::new(self.control));
        io::spawn(serve_request(worker, active, client, visit));
    }
}

/// The task of one request.
async fn serve_request(worker: Rc<Worker>, active: Active, client: Rc<Client>, visit: Visit) {
    let began = worker.now();
    let mut busy = worker.busy.take().unwrap_or_default();
    busy.begin(visit);
    let pause = busy.pause().await;
    worker.busy.put(busy);
    if let Pause::Switched(switched) = pause {
        switched.await;
    }
    let is_early = client.has_reset.get() && worker.now() - began < EARLY_MICROS;
    active.0.ended(is_early);
    drop(active);
}

#[cfg(test)]
mod tests;
