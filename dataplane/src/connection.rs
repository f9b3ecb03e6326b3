//! START READING HERE: a connection from its accept to its end.
//!
//! A worker's listener accepts a socket ([`crate::listener`]) and [`serve`] is its task. While it
//! is busy it has a buffer and a large future, both on the heap ([`requests`]); each request goes
//! through [`crate::exchange::exchange`]. When it has been quiet for a while, both are given back
//! and what remains is this small future, waiting for the socket to become readable.

use std::rc::Rc;

use crate::{
    exchange::{After, exchange, refuse},
    http1::{Arrival, Downstream},
    io::deadline::Expiry,
    session::Session,
    worker::Worker,
};

/// How the busy part of a connection ended.
enum Pause {
    /// Nothing has come for a while.
    Quiet,
    /// The connection is over.
    Over,
}

/// Serves a connection to its end. `place` is that of [`Worker::open`].
pub async fn serve(worker: Rc<Worker>, session: Rc<Session>, place: usize) {
    while let Pause::Quiet = Box::pin(requests(&worker, &session)).await {
        let idle = worker.limits.idle_timeout;
        session
            .stream
            .deadline()
            .set_after(idle, Expiry::StopReading);
        // An end of any kind shows when it is read.
        drop(session.stream.readable().await);
        if session.stream.deadline().expired() {
            break;
        }
    }
    drop(session);
    worker.close(place);
}

/// Serves requests while they come.
async fn requests(worker: &Rc<Worker>, session: &Rc<Session>) -> Pause {
    let mut downstream = Downstream::new(worker, Rc::clone(session));
    loop {
        match downstream.next_request(worker).await {
            Arrival::Request => {}
            Arrival::Quiet => return Pause::Quiet,
            Arrival::Closed => return Pause::Over,
            Arrival::Refused(failure) => {
                refuse(worker, &mut downstream, failure).await;
                downstream.linger(worker).await;
                return Pause::Over;
            }
        }
        match exchange(worker, &mut downstream).await {
            After::Next => {}
            After::Close => return Pause::Over,
            After::Linger => {
                downstream.linger(worker).await;
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
        let busy = size_of_output(|| requests(never::<&Rc<Worker>>(), never::<&Rc<Session>>()));
        assert!(busy <= 4608, "a busy connection's future has {busy} bytes");
    }
}
