//! A downstream connection that speaks HTTP/2: one task for the connection, one for each request.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
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
use http::{Request, Response};
use ringmain_core::http2::{EARLY_MICROS, Resets};

use super::{keep_alive::keep_alive, stream::Outlet};
use crate::{
    connection::{Pause, Visit},
    io::{self, alarm::Alarm, bridge::Bridge, buffer::Buffer, deadline::Micros},
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
    let mut bridge = Bridge::new(Rc::clone(&session.stream), received, flush_timeout);
    let flood = bridge.count_idle_frames(settings.idle_frames_per_second, true);
    alarm.set(worker.now() + micros(worker.limits.request_head_timeout));
    let handshake = settings.server().handshake(bridge);
    if let Ok(Ok(mut connection)) = alarm.guard(handshake).await {
        if let (Some(settings), Some(pings)) = (settings.keep_alive, connection.ping_pong()) {
            let counters = Arc::clone(&worker.counters);
            let lost = move || counters.downstream_keep_alive_failures.increment();
            keep_alive(pings, settings, &session.stream, &worker.deadlines, lost);
        }
        let server = Server {
            worker,
            session,
            control: &control,
            alarm: &alarm,
            ends_at: match settings.connection_age_max {
                Duration::ZERO => Micros::MAX,
                age => worker.now() + micros(age),
            },
        };
        server.run(connection).await;
    }
    if flood.get().is_some() || control.is_flooded.get() {
        worker.counters.downstream_http2_floods.increment();
    }
    session.set_http2(None);
}

struct Server<'a> {
    worker: &'a Rc<Worker>,
    session: &'a Rc<Session>,
    control: &'a Rc<Control>,
    /// Of the connection when it has no request, or is to end.
    alarm: &'a Alarm,
    /// When it is too old to take further requests.
    ends_at: Micros,
}

/// What the connection's task has to do next.
enum Event {
    Request(Box<(Request<RecvStream>, SendResponse<Bytes>)>),
    /// Look again whether it is idle, or is to end.
    Look,
    Over,
}

impl Server<'_> {
    async fn run(self, mut connection: Http2Connection) {
        let mut is_ending = false;
        loop {
            let is_idle = self.control.active.get() == 0;
            if self.control.is_flooded.get() {
                return self.end_at_once(connection).await;
            }
            if self.control.is_ending.get() && !is_ending {
                is_ending = true;
                connection.graceful_shutdown();
            }
            self.bound_wait(is_idle, is_ending);
            match self.alarm.guard(self.event(&mut connection)).await {
                Ok(Event::Request(request)) => self.begin(*request),
                Ok(Event::Look) => {}
                Ok(Event::Over) => return,
                // It has said goodbye and its client has not.
                Err(_) if is_ending && is_idle => return,
                Err(_) => self.control.is_ending.set(is_idle || self.is_old()),
            }
        }
    }

    /// Tells the client why, if it listens, and ends all its requests.
    async fn end_at_once(&self, mut connection: Http2Connection) {
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.alarm.set(self.worker.now() + micros(GOODBYE));
        let closed = poll_fn(|context| connection.poll_closed(context));
        // Whether it was told or not, it is over.
        let _ = self.alarm.guard(closed).await;
    }

    fn bound_wait(&self, is_idle: bool, is_ending: bool) {
        let now = self.worker.now();
        let oldest = match is_ending {
            true => Micros::MAX,
            false => self.ends_at,
        };
        if !is_idle {
            // Each request has bounds of its own.
            self.session.set_busy();
            self.alarm.set(oldest);
            return;
        }
        self.session.set_idle(now);
        let most = match is_ending {
            true => GOODBYE,
            false => self.worker.limits.idle_timeout,
        };
        self.alarm.set((now + micros(most)).min(oldest));
    }

    fn is_old(&self) -> bool {
        self.worker.now() >= self.ends_at
    }

    async fn event(&self, connection: &mut Http2Connection) -> Event {
        let mut is_first = true;
        poll_fn(|context| {
            match connection.poll_accept(context) {
                Poll::Ready(Some(Ok(request))) => {
                    return Poll::Ready(Event::Request(Box::new(request)));
                }
                // The crate has told the client why.
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Event::Over),
                Poll::Pending => {}
            }
            if !std::mem::take(&mut is_first) && self.control.waker.borrow().is_none() {
                return Poll::Ready(Event::Look);
            }
            *self.control.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn begin(&self, (request, respond): (Request<RecvStream>, SendResponse<Bytes>)) {
        let client = Rc::new(Client::new(respond));
        let visit = Visit::Http2 {
            worker: Rc::clone(self.worker),
            session: Rc::clone(self.session),
            request: Box::new(request),
            client: Rc::clone(&client),
        };
        let (worker, active) = (Rc::clone(self.worker), Active::new(self.control));
        let began = worker.now();
        io::spawn(async move {
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
        });
    }
}

/// The client of one request.
pub struct Client {
    /// Until the head of the answer is sent.
    respond: RefCell<SendResponse<Bytes>>,
    /// From then on, unless the answer ended with its head.
    outlet: OnceCell<Outlet>,
    /// It has reset the stream before there was an answer.
    has_reset: Cell<bool>,
}

impl Client {
    fn new(respond: SendResponse<Bytes>) -> Self {
        Self {
            respond: RefCell::new(respond),
            outlet: OnceCell::new(),
            has_reset: Cell::new(false),
        }
    }

    /// Sends an interim answer.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn inform(&self, response: Response<()>) -> Result<(), h2::Error> {
        self.respond.borrow_mut().send_informational(response)
    }

    /// Sends the head of the answer. `ends`: it is all of it. Else its body goes to the outlet.
    ///
    /// # Errors
    /// When the client has gone.
    pub fn respond(&self, response: Response<()>, ends: bool) -> Result<(), h2::Error> {
        let stream = self.respond.borrow_mut().send_response(response, ends)?;
        if !ends {
            drop(self.outlet.set(Outlet::new(stream)));
        }
        Ok(())
    }

    /// Where the body of the answer goes.
    pub fn outlet(&self) -> &Outlet {
        self.outlet
            .get()
            .expect("a body follows a head that does not end the answer")
    }

    /// Tells the client that what it has is not the whole.
    pub fn reset(&self, reason: Reason) {
        match self.outlet.get() {
            Some(outlet) => outlet.reset(reason),
            None => self.respond.borrow_mut().send_reset(reason),
        }
    }

    fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(outlet) = self.outlet.get() {
            return outlet.poll_reset(context);
        }
        let reset = self.respond.borrow_mut().poll_reset(context);
        // An error is the end of the whole connection.
        self.has_reset.set(matches!(reset, Poll::Ready(Ok(_))));
        reset.map(|_| ())
    }
}

/// Runs an exchange to its end. `gone` is called when the client has reset the stream meanwhile.
pub async fn watch<T>(
    client: &Client,
    exchange: impl Future<Output = T>,
    gone: impl FnOnce(),
) -> T {
    let mut exchange = pin!(exchange);
    let mut gone = Some(gone);
    poll_fn(|context| {
        if gone.is_some()
            && client.poll_gone(context).is_ready()
            && let Some(gone) = gone.take()
        {
            gone();
        }
        exchange.as_mut().poll(context)
    })
    .await
}
