//! START READING HERE: a connection from its accept to its end.
//!
//! A worker's listener accepts a socket ([`crate::listener`]) and [`serve`] is its task: a small
//! future that waits for the socket to become readable. When the first bytes of a request are there,
//! they and the large future that serves requests ([`requests`]) get memory of the worker's, which
//! goes back when nothing is left to do; each request goes through
//! [`crate::exchange::exchange`].

use std::{io, rc::Rc};

use crate::{
    exchange::{After, exchange, refuse},
    http1::{Arrival, Downstream},
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
        let busy = worker.berths.berth(requests(&worker, &session, received));
        match busy.await {
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

/// Serves requests until nothing of what has come is left.
async fn requests(worker: &Rc<Worker>, session: &Rc<Session>, received: Buffer) -> Pause {
    let mut downstream = Downstream::new(worker, Rc::clone(session), received);
    loop {
        match downstream.next_request(worker).await {
            Arrival::Request => {}
            Arrival::Closed => return Pause::Over,
            Arrival::Refused(failure) => {
                refuse(worker, &mut downstream, failure).await;
                downstream.linger().await;
                return Pause::Over;
            }
        }
        match exchange(worker, &mut downstream).await {
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
    use std::rc::Rc;

    use super::{Session, Worker, requests, serve};

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
        let busy =
            size_of_output(|| requests(never::<&Rc<Worker>>(), never::<&Rc<Session>>(), never()));
        assert!(busy <= 4608, "a busy connection's future has {busy} bytes");
    }
}
