//! A connection as tokio's traits want it, for libraries that are polled.
//!
//! The runtime's operations own their buffers until the kernel is done with them, so reads go to a
//! buffer of the bridge and are copied from there, and writes collect in another. Each direction is
//! one future that lives as long as the connection and performs one operation after another
//! ([`Operations`]): nothing is allocated for an operation, and none is ever dropped in the middle
//! unless the connection is.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use monoio::{
    buf::{IoBuf, IoBufMut},
    io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable},
    net::TcpStream,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::{Phase, Session, Sink, cut_off, refused};

/// For one read: as many as the session takes in without growing.
const READ_BYTES_MAX: usize = 32 << 10;
/// As many bytes may wait to be sent before a writer has to wait itself.
const QUEUED_BYTES_MAX: usize = 64 << 10;

/// A socket, and what is between it and the library.
pub(crate) struct Bridge {
    layer: Layer,
    /// Memory for the next read. It is away while one is under way.
    chunk: Vec<u8>,
    reads: Operations<Vec<u8>, Received>,
    writes: Operations<Outgoing, Sent>,
    /// Bytes that were received.
    heard: Rc<Cell<u64>>,
    closing: bool,
}

/// How many bytes, and the memory that they are in.
type Received = (io::Result<usize>, Vec<u8>);
/// Bytes to be sent: so many from the front.
type Outgoing = (Vec<u8>, usize);
/// What became of them, and their memory.
type Sent = (io::Result<()>, Vec<u8>);

enum Layer {
    Plain {
        /// Of these the first `taken` bytes are gone.
        received: Vec<u8>,
        taken: usize,
        queued: Vec<u8>,
        ended: bool,
    },
    Tls(Box<Session>),
}

impl Bridge {
    pub(super) fn new(stream: TcpStream, session: Option<Box<Session>>) -> Self {
        let (read_half, write_half) = stream.into_split();
        let layer = match session {
            Some(session) => Layer::Tls(session),
            None => Layer::Plain {
                received: Session::chunk(),
                taken: 0,
                queued: Vec::new(),
                ended: false,
            },
        };
        Self {
            layer,
            chunk: Session::chunk(),
            reads: Operations::new(|orders| read_all(read_half, orders)),
            writes: Operations::new(|orders| write_all(write_half, orders)),
            heard: Rc::default(),
            closing: false,
        }
    }

    /// A count of the bytes that are received, before TLS is taken off.
    pub(crate) fn heard(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.heard)
    }

    /// Reads once more from the socket, into the layer.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.reads.under_way {
            let mut chunk = std::mem::take(&mut self.chunk);
            chunk.clear();
            if chunk.capacity() == 0 {
                chunk = Session::chunk();
            }
            self.reads.begin(chunk);
        }
        let (read, chunk) = ready!(self.reads.poll(context));
        self.chunk = chunk;
        let count = read?;
        self.heard.set(self.heard.get() + count as u64);
        match &mut self.layer {
            Layer::Plain { ended, .. } if count == 0 => *ended = true,
            Layer::Tls(_) if count == 0 => return Poll::Ready(Err(cut_off())),
            Layer::Plain {
                received, taken, ..
            } => {
                *taken = 0;
                std::mem::swap(received, &mut self.chunk);
            }
            Layer::Tls(session) => session.feed(&mut self.chunk).map_err(refused)?,
        }
        Poll::Ready(Ok(()))
    }

    /// Sends until nothing is queued.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.writes.under_way {
                let (sent, spent) = ready!(self.writes.poll(context));
                self.layer.give_outgoing(spent);
                sent?;
            }
            if self.layer.queued_bytes() == 0 {
                return Poll::Ready(Ok(()));
            }
            self.writes.begin(self.layer.take_outgoing());
        }
    }
}

impl Layer {
    fn queued_bytes(&self) -> usize {
        match self {
            Self::Plain { queued, .. } => queued.len(),
            Self::Tls(session) => session.outgoing_bytes(),
        }
    }

    fn queue(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain { queued, .. } => queued.extend_from_slice(bytes),
            Self::Tls(session) => session.write(bytes).map_err(refused)?,
        }
        Ok(())
    }

    fn take_outgoing(&mut self) -> Outgoing {
        match self {
            Self::Plain { queued, .. } => {
                let bytes = std::mem::take(queued);
                let count = bytes.len();
                (bytes, count)
            }
            Self::Tls(session) => session.take_outgoing(),
        }
    }

    fn give_outgoing(&mut self, mut spent: Vec<u8>) {
        match self {
            Self::Plain { queued, .. } => {
                if queued.capacity() == 0 {
                    spent.clear();
                    *queued = spent;
                }
            }
            Self::Tls(session) => session.give_outgoing(spent),
        }
    }

    /// Fills `buffer` from what has been received; whether that is the end of the stream.
    fn read(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        match self {
            Self::Plain {
                received,
                taken,
                ended,
                ..
            } => {
                *taken += buffer.put(&received[*taken..]);
                Ok(*ended)
            }
            Self::Tls(session) => {
                let phase = session.read(buffer).map_err(refused)?;
                Ok(phase == Phase::Ended)
            }
        }
    }
}

impl Sink for ReadBuf<'_> {
    fn put(&mut self, plaintext: &[u8]) -> usize {
        let room = plaintext.len().min(self.remaining());
        self.put_slice(&plaintext[..room]);
        room
    }

    fn is_full(&self) -> bool {
        self.remaining() == 0
    }
}

impl AsyncRead for Bridge {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bridge = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let filled = buffer.filled().len();
        loop {
            let read = bridge.layer.read(buffer);
            // An alert for a peer that sent nonsense, an answer to a change of keys. Whether it can
            // be sent at once or not, and what becomes of it, decides nothing here.
            if bridge.layer.queued_bytes() > 0 {
                let _ = bridge.poll_send(context);
            }
            if read? || buffer.filled().len() > filled {
                return Poll::Ready(Ok(()));
            }
            ready!(bridge.poll_receive(context))?;
        }
    }
}

impl AsyncWrite for Bridge {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bridge = self.get_mut();
        if bridge.layer.queued_bytes() >= QUEUED_BYTES_MAX {
            ready!(bridge.poll_send(context))?;
        }
        let count = bytes.len().min(QUEUED_BYTES_MAX);
        bridge.layer.queue(&bytes[..count])?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(context)
    }

    /// Says TLS's farewell. The socket is closed by dropping the bridge.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let bridge = self.get_mut();
        if let Layer::Tls(session) = &mut bridge.layer
            && !std::mem::replace(&mut bridge.closing, true)
        {
            session.close().map_err(refused)?;
        }
        bridge.poll_send(context)
    }
}

/// Operations of one direction, one after another. Polling them drives the one under way.
struct Operations<O, D> {
    desk: Rc<Desk<O, D>>,
    performer: Pin<Box<dyn Future<Output = Infallible>>>,
    under_way: bool,
}

/// Where orders are left for the performer, and where it leaves what is done.
struct Desk<O, D> {
    order: Cell<Option<O>>,
    done: Cell<Option<D>>,
}

impl<O, D> Operations<O, D> {
    fn new<F>(performer: impl FnOnce(Rc<Desk<O, D>>) -> F) -> Self
    where
        F: Future<Output = Infallible> + 'static,
    {
        let desk = Rc::new(Desk {
            order: Cell::new(None),
            done: Cell::new(None),
        });
        Self {
            performer: Box::pin(performer(Rc::clone(&desk))),
            desk,
            under_way: false,
        }
    }

    fn begin(&mut self, order: O) {
        debug_assert!(!self.under_way, "one operation at a time");
        self.under_way = true;
        self.desk.order.set(Some(order));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<D> {
        // It waits for the next order once it has done this one, so it is pending in any case.
        let _ = self.performer.as_mut().poll(context);
        match self.desk.done.take() {
            Some(done) => {
                self.under_way = false;
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    }
}

impl<O, D> Desk<O, D> {
    /// Woken by nobody: whoever leaves an order polls afterwards.
    async fn order(&self) -> O {
        poll_fn(|_| self.order.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

async fn read_all(
    mut half: OwnedReadHalf<TcpStream>,
    desk: Rc<Desk<Vec<u8>, Received>>,
) -> Infallible {
    loop {
        let chunk = desk.order().await;
        let room = chunk.capacity().min(READ_BYTES_MAX);
        let (read, slice) = half.read(chunk.slice_mut(..room)).await;
        desk.done.set(Some((read, slice.into_inner())));
    }
}

async fn write_all(
    mut half: OwnedWriteHalf<TcpStream>,
    desk: Rc<Desk<Outgoing, Sent>>,
) -> Infallible {
    loop {
        let (bytes, count) = desk.order().await;
        let (sent, slice) = half.write_all(bytes.slice(..count)).await;
        desk.done.set(Some((sent.map(drop), slice.into_inner())));
    }
}
