//! A connection's bytes: TCP as it is, or under TLS.
//!
//! Two ways to use them. One exchange at a time reads and writes a [`Transport`] itself. A library
//! that reads and writes when it likes gets a [`Bridge`].

mod bridge;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    rc::Rc,
    task::{Poll, Waker},
};

use monoio::{
    buf::IoBufMut,
    io::{
        AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable,
    },
    net::TcpStream,
};

use crate::{
    failure::{ErrorKind, Failed},
    plan::{PlanError, Tls},
    protocol::Endpoint,
    tls,
};

pub(crate) use bridge::Bridge;

/// Opens connections the way a plan wants them. One for each worker.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    /// `None` when no target is reached over TLS.
    tls: Option<tls::Client>,
    /// Handshakes that took up an earlier session.
    resumed: Rc<Cell<u64>>,
    driven: Rc<Driven>,
}

/// Connections that have a task of their own.
#[derive(Debug, Default)]
struct Driven {
    count: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

/// A connection that has a task of its own, for as long as it lives.
pub(crate) struct Driving(Rc<Driven>);

/// An open connection.
pub(crate) enum Transport {
    /// TCP as it is.
    Plain(TcpStream),
    /// TCP under TLS.
    Tls(Box<tls::Stream>),
}

/// The direction from the peer.
pub(crate) enum Receiver {
    /// TCP as it is.
    Plain(OwnedReadHalf<TcpStream>),
    /// TCP under TLS.
    Tls(Box<tls::Receiver>),
}

/// The direction to the peer.
pub(crate) enum Sender {
    /// TCP as it is.
    Plain(OwnedWriteHalf<TcpStream>),
    /// TCP under TLS.
    Tls(Box<tls::Sender>),
}

impl Connector {
    /// `alpn`: protocols to offer under TLS, best first; none when empty. `secure`: some target is
    /// reached over TLS.
    ///
    /// # Errors
    /// When a file of `tls` cannot be used.
    pub(crate) fn new(
        tls: &Tls,
        alpn: &'static [&'static [u8]],
        secure: bool,
    ) -> Result<Self, PlanError> {
        let tls = secure.then(|| tls::Client::new(tls, alpn)).transpose()?;
        Ok(Self {
            tls,
            resumed: Rc::default(),
            driven: Rc::default(),
        })
    }

    /// To be held by the task of a connection.
    pub(crate) fn driving(&self) -> Driving {
        self.driven.count.set(self.driven.count.get() + 1);
        Driving(Rc::clone(&self.driven))
    }

    /// Waits for the tasks of all connections to end. The runtime must not end before them: what
    /// they hold would never be closed.
    pub(crate) async fn undriven(&self) {
        poll_fn(|context| match self.driven.count.get() {
            0 => Poll::Ready(()),
            _ => {
                *self.driven.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }

    /// TLS handshakes up to now that took up an earlier session.
    pub(crate) fn resumed(&self) -> u64 {
        self.resumed.get()
    }

    /// Connects. How long it may take is the caller's business, who drops it.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] from the network, [`ErrorKind::Tls`] from the handshake.
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<Transport, Failed> {
        let address = endpoint.address;
        let failed = |error: io::Error| {
            Failed::new(
                ErrorKind::Connect,
                format!("cannot connect to {address}: {error}"),
            )
        };
        let stream = TcpStream::connect_addr(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        if !endpoint.secure {
            return Ok(Transport::Plain(stream));
        }
        let client = self.tls.as_ref().expect("there is one for secure targets");
        let refused = |error: &dyn std::fmt::Display| {
            let text = format!("no TLS with {} at {address}: {error}", endpoint.host);
            Failed::new(ErrorKind::Tls, text)
        };
        let session = client
            .session(&endpoint.host)
            .map_err(|error| refused(&error))?;
        let stream = tls::Stream::open(stream, session).await;
        let stream = stream.map_err(|error| refused(&error))?;
        if stream.session().is_resumed() {
            self.resumed.set(self.resumed.get() + 1);
        }
        Ok(Transport::Tls(Box::new(stream)))
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }
}

impl Transport {
    /// What ALPN agreed on; `None` without TLS or agreement.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.session().alpn(),
        }
    }

    /// Over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Reads into the spare capacity of `buffer`, behind what it holds. 0 at the end of the stream
    /// or without spare capacity. On failure the buffer may come back empty and without capacity.
    pub(crate) async fn read(&mut self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        match self {
            Self::Plain(stream) => {
                let (filled, capacity) = (buffer.len(), buffer.capacity());
                let (read, slice) = stream.read(buffer.slice_mut(filled..capacity)).await;
                (read, slice.into_inner())
            }
            Self::Tls(stream) => {
                let read = stream.read(&mut buffer).await;
                (read, buffer)
            }
        }
    }

    /// Sends all of `bytes`.
    pub(crate) async fn send(&mut self, bytes: &Rc<Vec<u8>>) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(Rc::clone(bytes)).await.0.map(drop),
            Self::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    /// Sends all of `bytes` and gives them back.
    pub(crate) async fn write_all(&mut self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        match self {
            Self::Plain(stream) => {
                let (sent, bytes) = stream.write_all(bytes).await;
                (sent.map(drop), bytes)
            }
            Self::Tls(stream) => (stream.write_all(&bytes).await, bytes),
        }
    }

    /// Tells the peer that nothing more comes.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    /// Both directions, to be used at the same time. The connection ends with both.
    pub(crate) fn into_halves(self) -> (Receiver, Sender) {
        match self {
            Self::Plain(stream) => {
                let (read_half, write_half) = stream.into_split();
                (Receiver::Plain(read_half), Sender::Plain(write_half))
            }
            Self::Tls(stream) => {
                let (receiver, sender) = tls::split(*stream);
                (
                    Receiver::Tls(Box::new(receiver)),
                    Sender::Tls(Box::new(sender)),
                )
            }
        }
    }

    /// For a library that wants tokio's traits.
    pub(crate) fn into_bridge(self) -> Bridge {
        match self {
            Self::Plain(stream) => Bridge::new(stream, None),
            Self::Tls(stream) => {
                let (tcp, session) = stream.into_parts();
                Bridge::new(tcp, Some(Box::new(session)))
            }
        }
    }
}

impl Receiver {
    /// As [`Transport::read`].
    pub(crate) async fn read(&mut self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        match self {
            Self::Plain(half) => {
                let (filled, capacity) = (buffer.len(), buffer.capacity());
                let (read, slice) = half.read(buffer.slice_mut(filled..capacity)).await;
                (read, slice.into_inner())
            }
            Self::Tls(receiver) => {
                let read = receiver.read(&mut buffer).await;
                (read, buffer)
            }
        }
    }
}

impl Sender {
    /// As [`Transport::send`].
    pub(crate) async fn send(&mut self, bytes: &Rc<Vec<u8>>) -> io::Result<()> {
        match self {
            Self::Plain(half) => half.write_all(Rc::clone(bytes)).await.0.map(drop),
            Self::Tls(sender) => sender.write_all(bytes).await,
        }
    }

    /// As [`Transport::shutdown`].
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(half) => half.shutdown().await,
            Self::Tls(sender) => sender.shutdown().await,
        }
    }
}
