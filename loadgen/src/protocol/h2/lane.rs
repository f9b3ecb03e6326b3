//! A connection of HTTP/2, shared by lanes that each have one stream at a time.
//!
//! The connection itself is a task of its own, the driver: it reads, writes and answers to pings
//! for all lanes. It ends with the connection, or soon after its last lane is gone. Dropping an
//! exchange in the middle resets its stream and leaves the others alone.

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
use http::{HeaderMap, Request, response::Parts};

use super::ALPN;
use crate::{
    failure::{ErrorKind, Failed},
    protocol::Broken,
    transport::{Bridge, Connector, Driving, Transport},
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

/// An answer behind its head.
pub(crate) struct Body {
    stream: RecvStream,
    shared: Rc<Shared>,
}

/// Between the lanes of a connection and its driver.
struct Shared {
    lanes: Cell<usize>,
    driver: RefCell<Option<Waker>>,
    /// Why the connection has ended, once it has.
    end: RefCell<Option<Failed>>,
    /// Who wants to know.
    curious: RefCell<Vec<Waker>>,
    /// Bytes that were received, as the bridge counts them.
    heard: Rc<Cell<u64>>,
}

impl Lane {
    /// The first lane of a connection on which nothing was sent yet.
    ///
    /// # Errors
    /// When the server did not choose HTTP/2, or does not take its beginning.
    pub(crate) async fn open(connector: &Connector, transport: Transport) -> Result<Self, Failed> {
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
            end: RefCell::default(),
            curious: RefCell::default(),
            heard,
        });
        let driver = drive(connection, Rc::clone(&shared), connector.driving());
        drop(monoio::spawn(driver));
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

    /// Another stream can be opened. After an exchange that had no end, only if the server was
    /// heard while it was under way: a server that is silent on all streams may be gone.
    pub(crate) fn is_reusable(&self, complete: bool) -> bool {
        if self.shared.end.borrow().is_some()
            || !complete && self.shared.heard.get() == self.heard_before
        {
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
    ) -> Result<(Parts, Body), Broken> {
        self.heard_before = self.shared.heard.get();
        let ready = poll_fn(|context| self.requests.borrow_mut().poll_ready(context)).await;
        if let Err(error) = ready {
            return Err(Broken {
                failed: self.shared.explain(&error).await,
                before_answer: true,
            });
        }
        let outcome = match self.send(head, body) {
            Ok(response) => response.await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(response) => {
                let (head, stream) = response.into_parts();
                let shared = Rc::clone(&self.shared);
                Ok((head, Body { stream, shared }))
            }
            Err(error) => Err(Broken {
                failed: self.shared.explain(&error).await,
                before_answer: was_not_answered(&error),
            }),
        }
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

impl Body {
    /// The next piece; `None` at the end. Its window is given back at once.
    pub(crate) async fn data(&mut self) -> Result<Option<Bytes>, Broken> {
        if self.stream.is_end_stream() {
            return Ok(None);
        }
        let data = match self.stream.data().await {
            None => return Ok(None),
            Some(data) => data.and_then(|data| {
                let window = self.stream.flow_control();
                window.release_capacity(data.len()).map(|()| data)
            }),
        };
        match data {
            Ok(data) => Ok(Some(data)),
            Err(error) => Err(self.shared.explain(&error).await.into()),
        }
    }

    /// What comes behind the last piece.
    pub(crate) async fn trailers(&mut self) -> Result<Option<HeaderMap>, Broken> {
        match self.stream.trailers().await {
            Ok(trailers) => Ok(trailers),
            Err(error) => Err(self.shared.explain(&error).await.into()),
        }
    }
}

impl Shared {
    /// Why a stream failed. Streams are told that their connection has ended; why, the driver is.
    async fn explain(&self, error: &h2::Error) -> Failed {
        if !error.is_io() {
            return failed(error);
        }
        poll_fn(|context| match &*self.end.borrow() {
            Some(end) => Poll::Ready(end.clone()),
            None => {
                self.curious.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    fn ended(&self, end: Failed) {
        *self.end.borrow_mut() = Some(end);
        for waker in self.curious.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

/// The connection's task. It ends by itself once the connection has no lane, whatever the server
/// does.
async fn drive(connection: Connection<Bridge, Bytes>, shared: Rc<Shared>, _driving: Driving) {
    let mut connection = pin!(connection);
    let end = poll_fn(|context| {
        // Without a lane it says farewell, which is on its way when this returns.
        if let Poll::Ready(outcome) = connection.as_mut().poll(context) {
            return Poll::Ready(outcome);
        }
        if shared.lanes.get() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut driver = shared.driver.borrow_mut();
        if !matches!(&*driver, Some(waker) if waker.will_wake(context.waker())) {
            *driver = Some(context.waker().clone());
        }
        Poll::Pending
    });
    shared.ended(match end.await {
        Ok(()) => Failed::closed(),
        Err(error) => failed(&error),
    });
}

/// Whether a stream that had no answer may yet get one on another connection: the server refused
/// it, or went away in order before it looked at it, or the connection ended.
fn was_not_answered(error: &h2::Error) -> bool {
    let reason = error.reason();
    let is_refused = error.is_remote() && reason == Some(Reason::REFUSED_STREAM);
    let is_gone = error.is_go_away() && error.is_remote() && reason == Some(Reason::NO_ERROR);
    is_refused || is_gone || error.is_io()
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
