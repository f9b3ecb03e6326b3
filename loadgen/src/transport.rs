//! A connection's bytes: TCP as it is, or under TLS.

use std::{io, rc::Rc};

use monoio::{
    buf::IoBufMut,
    io::{AsyncReadRent, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable},
    net::TcpStream,
};

use crate::{
    failure::{ErrorKind, Failed},
    plan::{PlanError, Tls},
    protocol::Endpoint,
};

/// Opens connections the way a plan wants them. One for each worker.
#[derive(Clone, Debug)]
pub(crate) struct Connector {}

/// An open connection.
pub(crate) struct Transport {
    stream: TcpStream,
}

/// The direction from the peer.
pub(crate) struct Receiver(OwnedReadHalf<TcpStream>);

/// The direction to the peer.
pub(crate) struct Sender(OwnedWriteHalf<TcpStream>);

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
        let _ = (tls, alpn);
        match secure {
            true => Err(PlanError::Tls {
                subject: "https".to_owned(),
                reason: "this build speaks no TLS".to_owned(),
            }),
            false => Ok(Self {}),
        }
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
        Ok(Transport { stream })
    }
}

impl Transport {
    /// What ALPN agreed on; `None` without TLS or agreement.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        None
    }

    /// Reads into the spare capacity of `buffer`, behind what it holds. 0 at the end of the stream
    /// or without spare capacity. On failure the buffer may come back empty and without capacity.
    pub(crate) async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let (filled, capacity) = (buffer.len(), buffer.capacity());
        let (read, slice) = self.stream.read(buffer.slice_mut(filled..capacity)).await;
        (read, slice.into_inner())
    }

    /// Sends all of `bytes`.
    pub(crate) async fn send(&mut self, bytes: &Rc<Vec<u8>>) -> io::Result<()> {
        self.stream.write_all(Rc::clone(bytes)).await.0.map(drop)
    }

    /// Sends all of `bytes` and gives them back.
    pub(crate) async fn write_all(&mut self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let (sent, bytes) = self.stream.write_all(bytes).await;
        (sent.map(drop), bytes)
    }

    /// Both directions, to be used at the same time. The connection ends with both.
    pub(crate) fn into_halves(self) -> (Receiver, Sender) {
        let (read_half, write_half) = self.stream.into_split();
        (Receiver(read_half), Sender(write_half))
    }
}

impl Receiver {
    /// As [`Transport::read`].
    pub(crate) async fn read(&mut self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let (filled, capacity) = (buffer.len(), buffer.capacity());
        let (read, slice) = self.0.read(buffer.slice_mut(filled..capacity)).await;
        (read, slice.into_inner())
    }
}

impl Sender {
    /// As [`Transport::send`].
    pub(crate) async fn send(&mut self, bytes: &Rc<Vec<u8>>) -> io::Result<()> {
        self.0.write_all(Rc::clone(bytes)).await.0.map(drop)
    }
}
