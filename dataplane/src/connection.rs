//! START READING HERE: a connection from its accept to its end.
//!
//! A worker's listener accepts a socket ([`crate::listener`]) and [`serve`] is its task: a small
//! future that waits for the socket to become readable. When the first bytes of a request are
//! there, they get a buffer, and the connection the use of a large future ([`Busy`]) until nothing
//! is left to do; each request goes through [`crate::exchange::exchange`].

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
};

use h2::RecvStream;
use http::Request;
use ringmain_core::detect::Beginning;

use crate::{
    downstream::{Downstream, Heads},
    exchange::{After, exchange, refuse},
    http1::Arrival,
    http2::{
        self,
        server::{Client, watch},
    },
    io::{
        buffer::Buffer,
        deadline::{Expiry, Micros},
        spawn,
        stream::Received,
    },
    relay::micros,
    session::Session,
    worker::Worker,
};

/// How a visit ended.
pub enum Pause {
    /// All that has come is answered, the last at this time.
    Idle(Micros),
    /// The connection is over.
    Over,
    /// The connection, or the stream, carries another protocol until this ends.
    Switched(Pin<Box<dyn Future<Output = ()>>>),
}

/// Serves a connection to its end. `place` is that of [`Worker::open`].
pub async fn serve(worker: Rc<Worker>, session: Rc<Session>, place: usize) {
    wait_from(&worker, &session, worker.now());
    let mut is_new = true;
    while session.stream.readable().await.is_ok() {
        let mut busy = match step(&worker, &session, &mut is_new) {
            Step::Wait => continue,
            Step::Over => break,
            Step::Serve(busy) => busy,
            Step::Detect(detection) => match detection.await {
                Some(busy) => busy,
                None => break,
            },
        };
        let pause = busy.pause().await;
        worker.busy.put(busy);
        match pause {
            Pause::Idle(now) => wait_from(&worker, &session, now),
            Pause::Over => break,
            Pause::Switched(switched) => {
                // By another task: waiting for it here would make this future larger.
                spawn(async move {
                    switched.await;
                    worker.close(place);
                });
                return;
            }
        }
    }
    drop(session);
    worker.close(place);
}

/// What a connection from which something may have come does next.
enum Step {
    Wait,
    Over,
    /// It speaks HTTP/1.
    Serve(Busy),
    /// It may speak HTTP/2, and is served here if it does; if not, it is to be served as it says.
    Detect(Pin<Box<dyn Future<Output = Option<Busy>>>>),
}

fn step(worker: &Rc<Worker>, session: &Rc<Session>, is_new: &mut bool) -> Step {
    let mut received = worker.buffers.take();
    match session.stream.receive_now(&mut received) {
        Ok(Received::Bytes(_)) => session.set_busy(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
        Ok(Received::End) | Err(_) => return Step::Over,
    }
    let (worker, session) = (Rc::clone(worker), Rc::clone(session));
    if std::mem::take(is_new) && Beginning::of(received.filled()) != Beginning::Other {
        return Step::Detect(Box::pin(detect(worker, session, received)));
    }
    Step::Serve(begin(worker, session, received))
}

/// A busy future for a connection of HTTP/1 from which something has come.
fn begin(worker: Rc<Worker>, session: Rc<Session>, received: Buffer) -> Busy {
    let busy = worker.busy.take().unwrap_or_default();
    busy.begin(Visit::Http1 {
        worker,
        session,
        received,
    });
    busy
}

/// Serves a connection that may speak HTTP/2, if it does.
async fn detect(worker: Rc<Worker>, session: Rc<Session>, mut received: Buffer) -> Option<Busy> {
    let late = worker.now() + micros(worker.limits.request_head_timeout);
    session.stream.deadline().set(late, Expiry::StopReading);
    loop {
        match Beginning::of(received.filled()) {
            Beginning::Other => return Some(begin(worker, session, received)),
            Beginning::Http2 => break,
            Beginning::Unclear => match session.stream.receive(&mut received).await {
                Ok(Received::Bytes(_)) => {}
                Ok(Received::End) | Err(_) => return Some(begin(worker, session, received)),
            },
        }
    }
    session.stream.deadline().clear();
    http2::server::serve(&worker, &session, received).await;
    None
}

/// A request is waited for, but not for ever.
fn wait_from(worker: &Worker, session: &Session, now: Micros) {
    session.set_idle(now);
    let late = now + micros(worker.limits.idle_timeout);
    session.stream.deadline().set(late, Expiry::StopReading);
}

/// The large future of a connection that is busy, and memory for the heads of its messages. It is
/// made once and serves one connection after the other: making it costs as much as routing a
/// request.
pub struct Busy {
    future: Pin<Box<dyn Future<Output = ()>>>,
    desk: Rc<Desk>,
}

/// Where it finds what to do, and leaves what came of it.
#[derive(Default)]
struct Desk {
    visit: Cell<Option<Visit>>,
    pause: Cell<Option<Pause>>,
}

/// What a busy future is to do.
pub enum Visit {
    /// Serve a connection of HTTP/1 from which something has come, as long as it is busy.
    Http1 {
        /// Its core.
        worker: Rc<Worker>,
        /// It.
        session: Rc<Session>,
        /// What has come.
        received: Buffer,
    },
    /// Serve a request that came over HTTP/2.
    Http2 {
        /// Its core.
        worker: Rc<Worker>,
        /// Its connection.
        session: Rc<Session>,
        /// Its head, and where its body comes from.
        request: Box<Request<RecvStream>>,
        /// Takes the answer.
        client: Rc<Client>,
    },
}

impl Default for Busy {
    fn default() -> Self {
        let desk = Rc::<Desk>::default();
        Self {
            future: Box::pin(visits(Rc::clone(&desk))),
            desk,
        }
    }
}

impl Busy {
    /// Gives it something to do.
    pub fn begin(&self, visit: Visit) {
        self.desk.visit.set(Some(visit));
    }

    /// Does what it was begun with.
    pub async fn pause(&mut self) -> Pause {
        poll_fn(|context| {
            let ended = self.future.as_mut().poll(context);
            debug_assert!(ended.is_pending(), "there is always a next visit");
            self.desk.pause.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Serves whoever comes, for ever.
async fn visits(desk: Rc<Desk>) {
    let mut heads = Heads::default();
    loop {
        let next = poll_fn(|_| desk.visit.take().map_or(Poll::Pending, Poll::Ready));
        let pause = match next.await {
            Visit::Http1 {
                worker,
                session,
                received,
            } => {
                let mut downstream = Downstream::http1(&worker, session, received, heads);
                let pause = requests(&worker, &mut downstream).await;
                heads = downstream.into_heads();
                pause
            }
            Visit::Http2 {
                worker,
                session,
                request,
                client,
            } => {
                let (mut downstream, arrival) =
                    Downstream::http2(&worker, session, *request, client, heads);
                let pause = stream(&worker, &mut downstream, arrival).await;
                heads = downstream.into_heads();
                pause
            }
        };
        desk.pause.set(Some(pause));
    }
}

/// Serves the request of a stream of HTTP/2.
async fn stream(worker: &Rc<Worker>, downstream: &mut Downstream, arrival: Arrival) -> Pause {
    let call = Rc::clone(&downstream.call);
    let Some(client) = downstream.wire.http2().map(Rc::clone) else {
        return Pause::Over;
    };
    let served = pin!(async {
        match arrival {
            Arrival::Request => match exchange(worker, downstream).await {
                After::Switched(switched) => return Pause::Switched(Box::pin(switched.carry())),
                After::Next | After::Close | After::Linger => {}
            },
            Arrival::Refused(failure) => refuse(worker, downstream, failure).await,
            Arrival::Closed => {}
        }
        Pause::Over
    });
    watch(&client, served, || call.cut()).await
}

/// Serves requests until nothing of what has come is left.
async fn requests(worker: &Rc<Worker>, downstream: &mut Downstream) -> Pause {
    loop {
        match downstream.next_request(worker).await {
            Arrival::Request => {}
            Arrival::Closed => return Pause::Over,
            Arrival::Refused(failure) => {
                refuse(worker, downstream, failure).await;
                downstream.linger().await;
                return Pause::Over;
            }
        }
        match exchange(worker, downstream).await {
            After::Next if downstream.received.is_empty() => {
                return Pause::Idle(downstream.answered);
            }
            After::Next => {}
            After::Close => return Pause::Over,
            After::Switched(switched) => return Pause::Switched(Box::pin(switched.carry())),
            After::Linger => {
                downstream.linger().await;
                return Pause::Over;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{serve, visits};

    fn size_of_output<F: Future>(_: impl Fn() -> F) -> usize {
        size_of::<F>()
    }

    /// Each idle connection holds the first, each busy one both: a growth here is memory times
    /// connections.
    #[test]
    fn futures_are_small() {
        fn never<T>() -> T {
            unreachable!("only the type of the future is asked for")
        }
        let idle = size_of_output(|| serve(never(), never(), never()));
        assert!(idle <= 208, "an idle connection's future has {idle} bytes");
        let busy = size_of_output(|| visits(never()));
        assert!(busy <= 3408, "a busy connection's future has {busy} bytes");
    }
}
