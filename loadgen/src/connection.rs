//! One connection and the requests on it, one after another.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use monoio::{
    buf::IoBufMut,
    io::{AsyncReadRent, AsyncWriteRentExt},
    net::TcpStream,
    time::timeout,
};
use ringmain_core::http1::{self, BodyDecoder, EndOfStream, MethodKind, ResponseHead};

use crate::{
    failure::{ErrorKind, Failed},
    plan::Target,
    protocol::Answer,
};

/// Bodies are thrown away in pieces of this size; it is also the longest head.
const BUFFER_BYTES: usize = 64 << 10;

/// A request as it goes over the wire, and how to treat it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) address: SocketAddr,
    pub(crate) bytes: Arc<Vec<u8>>,
    /// Its answer has no body.
    pub(crate) head: bool,
    /// It may be sent again when its connection turns out to be closed.
    pub(crate) idempotent: bool,
}

/// The whole request, as it goes over the wire.
pub(crate) fn request(target: &Target) -> Vec<u8> {
    let mut lines = vec![format!("{} {} HTTP/1.1", target.method, target.url.target)];
    let given = |name: &str| {
        target
            .headers
            .iter()
            .any(|(field, _)| field.eq_ignore_ascii_case(name))
    };
    let defaults = [
        ("host", target.url.authority.as_str()),
        (
            "user-agent",
            concat!("ringmain/", env!("CARGO_PKG_VERSION")),
        ),
        ("accept", "*/*"),
    ];
    let defaults = defaults.iter().filter(|(name, _)| !given(name));
    lines.extend(defaults.map(|(name, value)| format!("{name}: {value}")));
    let fields = target.headers.iter();
    lines.extend(fields.map(|(name, value)| format!("{name}: {value}")));
    if !target.body.is_empty() || !matches!(target.method.as_str(), "GET" | "HEAD") {
        lines.push(format!("content-length: {}", target.body.len()));
    }
    let mut request = lines.join("\r\n").into_bytes();
    request.extend_from_slice(b"\r\n\r\n");
    request.extend_from_slice(&target.body);
    request
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    /// From the time a request was due.
    pub(crate) request_timeout: Duration,
}

/// A connection that is opened when the first request needs it, and again after it was closed.
pub(crate) struct Connection {
    address: SocketAddr,
    limits: Limits,
    stream: Option<TcpStream>,
    head: ResponseHead,
    buffer: Vec<u8>,
    opened: bool,
    resent: bool,
}

/// Why a request on an open connection has no answer.
enum Broken {
    /// The connection was closed before any byte of the answer.
    BeforeAnswer(Failed),
    Other(Failed),
}

impl Connection {
    pub(crate) fn new(address: SocketAddr, limits: Limits) -> Self {
        Self {
            address,
            limits,
            stream: None,
            head: ResponseHead::new(),
            buffer: Vec::with_capacity(BUFFER_BYTES),
            opened: false,
            resent: false,
        }
    }

    /// Sends a request that was due at `due` and reads its answer to the end.
    pub(crate) async fn perform(
        &mut self,
        message: &Message,
        due: Instant,
    ) -> Result<Answer, Failed> {
        let limit = self.limits.request_timeout;
        let outcome = match limit.checked_sub(due.elapsed()) {
            Some(left) => timeout(left, self.attempt(message)).await,
            None => {
                let waited = format!("no connection was free for {limit:?}");
                return Err(Failed::new(ErrorKind::Timeout, waited));
            }
        };
        let outcome = outcome.unwrap_or_else(|_| {
            let late = format!("no complete answer from {} within {limit:?}", self.address);
            Err(Failed::new(ErrorKind::Timeout, late))
        });
        if outcome.is_err() {
            self.drop_stream();
        }
        outcome
    }

    /// A connection was established since the last call.
    pub(crate) fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.opened)
    }

    /// A request was sent twice since the last call.
    pub(crate) fn take_resent(&mut self) -> bool {
        std::mem::take(&mut self.resent)
    }

    async fn attempt(&mut self, message: &Message) -> Result<Answer, Failed> {
        let reused = self.stream.is_some();
        if !reused {
            self.open().await?;
        }
        match self.exchange(message).await {
            Ok(answer) => Ok(answer),
            // A server may close an idle connection just when a request is on its way to it.
            Err(Broken::BeforeAnswer(_)) if reused && message.idempotent => {
                self.drop_stream();
                self.resent = true;
                self.open().await?;
                self.exchange(message).await.map_err(Broken::failed)
            }
            Err(broken) => Err(broken.failed()),
        }
    }

    async fn open(&mut self) -> Result<(), Failed> {
        let address = self.address;
        let limit = self.limits.connect_timeout;
        let connected = timeout(limit, TcpStream::connect_addr(address)).await;
        let Ok(connected) = connected else {
            let late = format!("{address} did not accept a connection within {limit:?}");
            return Err(Failed::new(ErrorKind::ConnectTimeout, late));
        };
        let failed = |error: io::Error| {
            Failed::new(
                ErrorKind::Connect,
                format!("cannot connect to {address}: {error}"),
            )
        };
        let stream = connected.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        self.stream = Some(stream);
        self.opened = true;
        Ok(())
    }

    async fn exchange(&mut self, message: &Message) -> Result<Answer, Broken> {
        let stream = self.stream.as_mut().expect("it was opened");
        let (sent, _) = stream.write_all(Arc::clone(&message.bytes)).await;
        sent.map_err(|error| Broken::BeforeAnswer(closed("sending", &error)))?;
        let (status, end) = self.read_head(message).await?;
        let body = self.read_body(end).await?;
        if !self.head.keep_alive() {
            self.stream = None;
        }
        Ok(Answer {
            status: Some(status),
            bytes_in: body,
            bytes_out: message.bytes.len() as u64,
        })
    }

    /// Reads past interim heads; the final head's status and length in the buffer, and all bytes
    /// before it are gone.
    async fn read_head(&mut self, message: &Message) -> Result<(u16, usize), Broken> {
        let limits = http1::Limits {
            head_bytes_max: BUFFER_BYTES,
            ..http1::Limits::default()
        };
        let method = match message.head {
            true => MethodKind::Head,
            false => MethodKind::Other,
        };
        self.buffer.clear();
        self.head.reset();
        loop {
            let decoded = self.head.decode(&self.buffer, &limits, method);
            let decoded = decoded.map_err(|reject| malformed(reject.reason()))?;
            match decoded {
                Some(end) if self.head.is_interim() => drop(self.buffer.drain(..end)),
                Some(end) => return Ok((self.head.status(), end)),
                None => {
                    let empty = self.buffer.is_empty();
                    let read = self.read().await;
                    let broken = match read {
                        Ok(0) => closed_early(),
                        Ok(_) => continue,
                        Err(error) => closed("waiting for the answer", &error),
                    };
                    return Err(match empty {
                        true => Broken::BeforeAnswer(broken),
                        false => Broken::Other(broken),
                    });
                }
            }
        }
    }

    /// Throws the body away; the number of bytes received with the head.
    async fn read_body(&mut self, head_bytes: usize) -> Result<u64, Broken> {
        let mut decoder = BodyDecoder::new(self.head.framing());
        let mut received = self.buffer.len() as u64;
        let mut from = head_bytes;
        loop {
            let decoded = decoder.decode(&mut self.buffer[from..]);
            let decoded = decoded.map_err(|reject| malformed(reject.reason()))?;
            if decoded.done {
                if from + decoded.consumed < self.buffer.len() {
                    return Err(malformed("more bytes than the answer has"));
                }
                return Ok(received);
            }
            self.buffer.clear();
            from = 0;
            let read = self.read().await;
            match read {
                Ok(0) if decoder.on_end_of_stream() == EndOfStream::Complete => {
                    return Ok(received);
                }
                Ok(0) => return Err(Broken::Other(closed_early())),
                Ok(count) => received += count as u64,
                Err(error) => {
                    return Err(Broken::Other(closed("reading the answer", &error)));
                }
            }
        }
    }

    /// Appends to the buffer; 0 at the end of the stream.
    async fn read(&mut self) -> io::Result<usize> {
        let stream = self
            .stream
            .as_mut()
            .expect("an answer is read from an open stream");
        let buffer = std::mem::take(&mut self.buffer);
        let (filled, capacity) = (buffer.len(), buffer.capacity());
        let (read, slice) = stream.read(buffer.slice_mut(filled..capacity)).await;
        self.buffer = slice.into_inner();
        read
    }

    /// After a failure nothing on the connection can be trusted. A read under way keeps the buffer
    /// until the kernel gives it back, so there may be none here.
    fn drop_stream(&mut self) {
        self.stream = None;
        if self.buffer.capacity() < BUFFER_BYTES {
            self.buffer = Vec::with_capacity(BUFFER_BYTES);
        }
    }
}

impl Broken {
    fn failed(self) -> Failed {
        match self {
            Self::BeforeAnswer(failed) | Self::Other(failed) => failed,
        }
    }
}

fn closed(when: &str, error: &io::Error) -> Failed {
    Failed::io(when, error)
}

fn closed_early() -> Failed {
    Failed::closed()
}

fn malformed(reason: &str) -> Broken {
    Broken::Other(Failed::protocol(reason))
}
