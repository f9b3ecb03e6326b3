//! A connection of HTTP/2, shared by lanes that each have one stream at a time.
//!
//! The connection itself is a task of its own, the driver: it reads, writes and answers to pings for
//! all lanes. It ends with the connection, or soon after its last lane is gone. Dropping an exchange
//! in the middle resets its stream and leaves the others alone.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    client::{Builder, Connection, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, Response};

use super::ALPN;
use crate::{
    failure::{ErrorKind, Failed},
    protocol::Broken,
    transport::{Bridge, Transport},
};

/// A server may send so much of one body before it is read. Bodies are thrown away as they come, so
/// this does not hold a fast server up, and bounds what a stalled lane keeps.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same of all bodies of a connection. More than one stream's, so that a stalled lane does not
/// stall the others.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// As of HTTP/1.1 heads.
const HEAD_BYTES_MAX: u32 = 64 << 10;

/// One stream after another on a connection.
pub(crate) struct Lane {
    requests: RefCell<SendRequest<Bytes>>,
    shared: Rc<Shared>,
    /// What [`Shared::heard`] was when the last exchange began.
    heard_before: u64,
}

/// Between the lanes of a connection and its driver.
struct Shared {
    lanes: Cell<usize>,
    driver: RefCell<Option<Waker>>,
    /// The connection has ended.
    ended: Cell<bool>,
    /// Bytes that were received, as the bridge counts them.
    heard: Rc<Cell<u64>>,
}

impl Lane {
    /// The first lane of a connection on which nothing was sent yet.
    ///
    /// # Errors
    /// When the server did not choose HTTP/2, or does not take its beginning.
    pub(crate) async fn open(transport: Transport) -> Result<Self, Failed> {
        if transport.is_secure() && transport.alpn() != Some(ALPN) {
            let text = "the server does not choose HTTP/2 (h2) by ALPN";
            return Err(Failed::new(ErrorKind::Tls, text));
        }
        let bridge = transport.into_bridge();
        let heard = bridge.heard();
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEAD_BYTES_MAX)
            .enable_push(false);
        let begun = builder.handshake::<_, Bytes>(bridge).await;
        let (requests, connection) = begun.map_err(|error| failed(&error))?;
        let shared = Rc::new(Shared {
            lanes: Cell::new(1),
            driver: RefCell::default(),
            ended: Cell::new(false),
            heard,
        });
        drop(monoio::spawn(drive(connection, Rc::clone(&shared))));
        Ok(Self {
            requests: RefCell::new(requests),
            shared,
            heard_before: 0,
        })
    }

    /// One more on the same connection.
    pub(crate) fn fork(&self) -> Self {
        self.shared.lanes.set(self.shared.lanes.get() + 1);
        Self {
            requests: RefCell::new(self.requests.borrow().clone()),
            shared: Rc::clone(&self.shared),
            heard_before: 0,
        }
    }

    /// Another stream can be opened. After an exchange that had no end, only if the server was heard
    /// while it was under way: a server that is silent on all streams may be gone.
    pub(crate) fn is_reusable(&self, complete: bool) -> bool {
        if self.shared.ended.get() || !complete && self.shared.heard.get() == self.heard_before {
            return false;
        }
        let mut context = Context::from_waker(Waker::noop());
        let ready = self.requests.borrow_mut().poll_ready(&mut context);
        !matches!(ready, Poll::Ready(Err(_)))
    }

    /// Sends a request and reads the head of its answer.
    pub(crate) async fn request(
        &mut self,
        head: Request<()>,
        body: Bytes,
    ) -> Result<Response<RecvStream>, Broken> {
        self.heard_before = self.shared.heard.get();
        poll_fn(|context| self.requests.borrow_mut().poll_ready(context))
            .await
            .map_err(|error| Broken {
                failed: failed(&error),
                before_answer: true,
            })?;
        self.send(head, body)
            .map_err(|error| before_answer(&error))?
            .await
            .map_err(|error| before_answer(&error))
    }

    /// h2 keeps a reference to the body and sends it as the server's windows open, so this needs no
    /// waiting; an answer that comes before the body has left is read as any other.
    fn send(&self, head: Request<()>, body: Bytes) -> Result<ResponseFuture, h2::Error> {
        let mut requests = self.requests.borrow_mut();
        let (response, mut stream) = requests.send_request(head, body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(body, true)?;
        }
        Ok(response)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.lanes.set(self.shared.lanes.get() - 1);
        if let Some(driver) = self.shared.driver.borrow_mut().take() {
            driver.wake();
        }
    }
}

/// The next piece of a body; `None` at its end. Its window is given back at once.
pub(crate) async fn data(body: &mut RecvStream) -> Result<Option<Bytes>, Broken> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let Some(data) = body.data().await else {
        return Ok(None);
    };
    let data = data.map_err(|error| failed(&error))?;
    let released = body.flow_control().release_capacity(data.len());
    released.map_err(|error| failed(&error))?;
    Ok(Some(data))
}

/// What comes behind a body.
pub(crate) async fn trailers(body: &mut RecvStream) -> Result<Option<HeaderMap>, Broken> {
    let trailers = body.trailers().await;
    Ok(trailers.map_err(|error| failed(&error))?)
}

/// The connection's task.
async fn drive(connection: Connection<Bridge, Bytes>, shared: Rc<Shared>) {
    let mut connection = pin!(connection);
    let unwanted = poll_fn(|context| {
        // Whatever it ends with, its streams have been told the reason.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if shared.lanes.get() == 0 {
            return Poll::Ready(());
        }
        let mut driver = shared.driver.borrow_mut();
        if !matches!(&*driver, Some(waker) if waker.will_wake(context.waker())) {
            *driver = Some(context.waker().clone());
        }
        Poll::Pending
    });
    unwanted.await;
    shared.ended.set(true);
}

/// An exchange failed of whose answer nothing was received.
fn before_answer(error: &h2::Error) -> Broken {
    let refused = error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM);
    // Streams above the last one that the server looked at, or all when it went away afterwards.
    let gone = error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR);
    Broken {
        failed: failed(error),
        before_answer: refused || gone || error.is_io(),
    }
}

fn failed(error: &h2::Error) -> Failed {
    if let Some(error) = error.get_io() {
        // This is how h2 calls an end of the connection that it did not ask for.
        let ended = error.kind() == io::ErrorKind::BrokenPipe && error.get_ref().is_some();
        return match ended {
            true => Failed::closed(),
            false => Failed::io("streams were open", error),
        };
    }
    let reason = match error.reason() {
        Some(reason) => format!("{reason:?}: {reason}"),
        None => error.to_string(),
    };
    match (error.is_remote(), error.is_go_away()) {
        (true, true) => Failed::new(
            ErrorKind::GoAway,
            format!("the server ended the connection by GOAWAY ({reason})"),
        ),
        (true, false) => Failed::new(
            ErrorKind::Reset,
            format!("the server reset the stream ({reason})"),
        ),
        (false, _) => Failed::protocol(format!("the server broke HTTP/2 ({reason})")),
    }
}
