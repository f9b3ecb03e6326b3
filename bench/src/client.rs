//! A client that does one thing at a time: for questions, for idle connections, for request counts
//! that must be exact. Load comes from [`crate::load`].

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use rustls::{ClientConnection, StreamOwned};

use crate::{
    certificates,
    peer::{Carries, Version},
    table::Table,
};

pub mod http2;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection of either version, for small requests that the smallest table takes.
#[derive(Debug)]
pub enum Client {
    /// HTTP/1.1.
    One(Connection),
    /// HTTP/2.
    Two(http2::Streams),
    /// HTTP/1.1 within TLS.
    Tls(Box<Connection<StreamOwned<ClientConnection, TcpStream>>>),
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr, version: Version) -> Result<Self> {
        match version {
            Version::One => Connection::open(address).map(Self::One),
            Version::Two => http2::Streams::open(address).map(Self::Two),
        }
    }

    /// Connects to a program that carries this.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn of(address: SocketAddr, carries: Carries) -> Result<Self> {
        match carries {
            Carries::Tls => Self::open_tls(address),
            carries => Self::open(address, carries.versions().0),
        }
    }

    /// Connects, to speak TLS.
    fn open_tls(address: SocketAddr) -> Result<Self> {
        let stream = StreamOwned::new(certificates::client()?, connect(address)?);
        let received = Vec::new();
        Ok(Self::Tls(Box::new(Connection { stream, received })))
    }

    /// Sends a request and receives its answer, which must be 200.
    ///
    /// # Errors
    /// When it is another, or none.
    pub fn ask(&mut self) -> Result<()> {
        match self {
            Self::One(connection) => connection.ask(&Table::SMALL.request(0)).map(drop),
            Self::Tls(connection) => connection.ask(&Table::SMALL.request(0)).map(drop),
            Self::Two(streams) => streams.ask(http2::Question::Get("/")),
        }
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
}

/// An answer without its body.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    head: String,
}

impl Response {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let (stream, received) = (connect(address)?, Vec::new());
        Ok(Self { stream, received })
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl<S: Read + Write> Connection<S> {
    /// Sends a request without waiting for its answer.
    ///
    /// # Errors
    /// When the connection is closed.
    pub fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).context("cannot send")
    }

    /// Receives an answer that has a `content-length`.
    ///
    /// # Errors
    /// When it does not come, or is none.
    pub fn receive(&mut self) -> Result<Response> {
        self.received.clear();
        loop {
            if let Some((response, length)) = parse(&self.received)?
                && length <= self.received.len()
            {
                return Ok(response);
            }
            let mut part = [0; 16 << 10];
            let count = self.stream.read(&mut part).context("no answer")?;
            if count == 0 {
                bail!("the connection was closed without an answer");
            }
            self.received.extend_from_slice(&part[..count]);
        }
    }

    /// Receives so many bytes.
    ///
    /// # Errors
    /// When they do not come.
    pub fn receive_bytes(&mut self, count: usize) -> Result<()> {
        self.received.resize(count, 0);
        self.stream
            .read_exact(&mut self.received)
            .context("no answer")
    }

    /// Sends a request and receives its answer, which must be 200.
    ///
    /// # Errors
    /// As above, or another status.
    pub fn ask(&mut self, request: &[u8]) -> Result<Response> {
        self.send(request)?;
        let response = self.receive()?;
        if response.status != 200 {
            bail!("answered {}", response.status);
        }
        Ok(response)
    }
}

/// The head of an answer, and how long the answer is as a whole.
fn parse(received: &[u8]) -> Result<Option<(Response, usize)>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("not an answer: {head}"))?;
    let response = Response { status, head };
    let length: usize = response
        .header("content-length")
        .context("an answer without content-length")?
        .parse()?;
    Ok(Some((response, end + 4 + length)))
}

/// The body of `path` at an admin endpoint.
///
/// # Errors
/// When it does not answer.
pub fn fetch(address: SocketAddr, path: &str) -> Result<String> {
    let mut connection = Connection::open(address)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.send(request.as_bytes())?;
    let mut answer = String::new();
    connection.stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without a head")?;
    if !head.starts_with("HTTP/1.0 200") && !head.starts_with("HTTP/1.1 200") {
        bail!(
            "{path} answered {}",
            head.lines().next().unwrap_or_default()
        );
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses_answers() {
        let check = |text: &str, expected: Option<(u16, usize)>| {
            let parsed = parse(text.as_bytes()).unwrap();
            let parsed = parsed.map(|(response, length)| (response.status, length));
            assert_eq!(parsed, expected, "{text:?}");
        };
        check("", None);
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", None);
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            Some((200, 41)),
        );
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"nonsense\r\n\r\n").is_err());
    }
}
