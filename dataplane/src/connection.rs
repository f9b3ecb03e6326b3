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
    pin::Pin,
    rc::Rc,
    task::Poll,
};

use crate::{
    exchange::{After, exchange, refuse},
    http1::{Arrival, Downstream, Heads},
    io::{
        buffer::Buffer,
        deadline::{Expiry, Micros},
        stream::Received,
    },
    relay::micros,
    session::Session,
    worker::Worker,
};

/// How the busy part of a connection ended.
enum Pause {
    /// All that has come is answered, the last at this time.
    Idle(Micros),
    /// The connection is over.
    Over,
}

/// Serves a connection to its end. `place` is that of [`Worker::open`].
pub async fn serve(worker: Rc<Worker>, session: Rc<Session>, place: usize) {
    wait_from(&worker, &session, worker.now());
    while session.stream.readable().await.is_ok() {
        let mut received = worker.buffers.take();
        match session.stream.receive_now(&mut received) {
            Ok(Received::Bytes(_)) => session.set_busy(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Ok(Received::End) | Err(_) => break,
        }
        let mut busy = worker.busy.take().unwrap_or_else(Busy::new);
        busy.begin(&worker, &session, received);
        let pause = busy.pause().await;
        worker.busy.put(busy);
        match pause {
            Pause::Idle(now) => wait_from(&worker, &session, now),
            Pause::Over => break,
        }
    }
    drop(session);
    worker.close(place);
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

/// A connection from which something has come.
struct Visit {
    worker: Rc<Worker>,
    session: Rc<Session>,
    received: Buffer,
}

impl Busy {
    fn new() -> Self {
        let desk = Rc::<Desk>::default();
        Self {
            future: Box::pin(visits(Rc::clone(&desk))),
            desk,
        }
    }

    fn begin(&self, worker: &Rc<Worker>, session: &Rc<Session>, received: Buffer) {
        self.desk.visit.set(Some(Visit {
            worker: Rc::clone(worker),
            session: Rc::clone(session),
            received,
        }));
    }

    /// Serves the connection that it was begun with, as long as it is busy.
    async fn pause(&mut self) -> Pause {
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
        let Visit {
            worker,
            session,
            received,
        } = next.await;
        let mut downstream = Downstream::new(&worker, session, received, heads);
        let pause = requests(&worker, &mut downstream).await;
        heads = downstream.into_heads();
        drop(worker);
        desk.pause.set(Some(pause));
    }
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
        assert!(idle <= 192, "an idle connection's future has {idle} bytes");
        let busy = size_of_output(|| visits(never()));
        assert!(busy <= 4608, "a busy connection's future has {busy} bytes");
    }
}
