//! HTTP/1.1 messages as a test reads them: strict about where a message ends, about nothing else.
//!
//! Written apart from the product's codec on purpose: a test that used it would agree with its
//! mistakes.

use std::{
    fmt,
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
};

use crate::wait::PATIENCE;

/// Header or trailer fields in their order, names in the case they were sent in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// Value of the only field of this name; a panic when there are several.
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} is repeated: {values:?}");
        values.first().copied()
    }

    /// Values of all fields of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    fn parse(lines: &str) -> Self {
        let fields = lines.split("\r\n").filter(|line| !line.is_empty());
        let fields = fields.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        });
        Self(fields.collect())
    }
}

/// A request or a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// First line.
    pub line: String,
    /// Header fields.
    pub fields: Fields,
    /// Payload, without its framing.
    pub body: Vec<u8>,
    /// Fields behind a chunked body.
    pub trailers: Fields,
    /// Statuses of the interim responses before a response.
    pub interim: Vec<u16>,
}

impl Message {
    /// Of a response.
    pub fn status(&self) -> u16 {
        let status = self
            .line
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok());
        status.unwrap_or_else(|| panic!("not a status line: {:?}", self.line))
    }

    /// Value of a header field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name)
    }

    /// Payload as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The sender closes the connection behind it.
    pub fn closes(&self) -> bool {
        self.get("connection").is_some_and(|value| {
            let mut options = value.split(',').map(str::trim);
            options.any(|option| option.eq_ignore_ascii_case("close"))
        })
    }
}

/// Why a message did not come, or not whole.
#[derive(Debug)]
pub enum Broken {
    /// The peer closed the connection before the first byte of it.
    Closed,
    /// The peer closed the connection within it; what came of it.
    Cut(Box<Message>),
    /// The connection failed, or nothing came for [`PATIENCE`].
    Failed(io::Error),
    /// It is not a message.
    Malformed(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// One end of a connection: what was received and not yet read as a message, and all that was ever
/// received.
pub struct Wire {
    /// The socket.
    pub stream: TcpStream,
    buffer: Vec<u8>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    /// Waits for [`PATIENCE`] at most in each read and write.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            received: Arc::default(),
        }
    }

    /// Every byte that was ever received, as it grows.
    pub fn recording(&self) -> Arc<Mutex<Vec<u8>>> {
        Arc::clone(&self.received)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Receives something. False at the end.
    ///
    /// # Errors
    /// The kernel's.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 64 << 10];
        let count = self.stream.read(&mut bytes)?;
        self.buffer.extend_from_slice(&bytes[..count]);
        self.received
            .lock()
            .unwrap()
            .extend_from_slice(&bytes[..count]);
        Ok(count > 0)
    }

    /// What was received and not yet read.
    pub fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// The next bytes, so many.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < count {
            match self.fill() {
                Ok(true) => {}
                Ok(false) if self.buffer.is_empty() => return Err(Broken::Closed),
                Ok(false) => return Err(Broken::Cut(Box::default())),
                Err(error) if is_reset(&error) => return Err(Broken::Closed),
                Err(error) => return Err(Broken::Failed(error)),
            }
        }
        Ok(self.take(count))
    }

    /// A request with its body. `before_body` is called between the two.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn request(
        &mut self,
        before_body: impl FnOnce(&Message, &mut Self),
    ) -> Result<Message, Broken> {
        let mut message = self.head()?;
        before_body(&message, self);
        let length = length(&message, false)?;
        self.body(&mut message, length)?;
        Ok(message)
    }

    /// A final response to a request of this method, with its body.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn response(&mut self, method: &str) -> Result<Message, Broken> {
        let mut interim = Vec::new();
        let mut message = loop {
            let message = self.head()?;
            match message.status() {
                status @ 100..=199 => interim.push(status),
                _ => break message,
            }
        };
        message.interim = interim;
        let bodiless = method == "HEAD" || matches!(message.status(), 204 | 304);
        let length = if bodiless {
            Length::None
        } else {
            length(&message, true)?
        };
        self.body(&mut message, length)?;
        Ok(message)
    }

    /// A head, and nothing behind it.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn head(&mut self) -> Result<Message, Broken> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) if self.buffer.is_empty() => return Err(Broken::Closed),
                Ok(false) => return Err(Broken::Cut(Box::default())),
                Err(error) if is_reset(&error) && self.buffer.is_empty() => {
                    return Err(Broken::Closed);
                }
                Err(error) => return Err(Broken::Failed(error)),
            }
        };
        let head = self.take(end + 4);
        let head = String::from_utf8_lossy(&head).into_owned();
        let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        Ok(Message {
            line: line.to_owned(),
            fields: Fields::parse(fields),
            ..Message::default()
        })
    }

    fn body(&mut self, message: &mut Message, length: Length) -> Result<(), Broken> {
        match length {
            Length::None => Ok(()),
            Length::Bytes(count) => {
                while self.buffer.len() < count {
                    if !self.more(message)? {
                        message.body = std::mem::take(&mut self.buffer);
                        return Err(Broken::Cut(Box::new(message.clone())));
                    }
                }
                message.body = self.take(count);
                Ok(())
            }
            Length::UntilClose => {
                while self.more(message)? {}
                message.body = std::mem::take(&mut self.buffer);
                Ok(())
            }
            Length::Chunked => self.chunks(message),
        }
    }

    fn chunks(&mut self, message: &mut Message) -> Result<(), Broken> {
        loop {
            let line = self.line(message)?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16)
                .map_err(|_| Broken::Malformed(format!("chunk size {line:?}")))?;
            if size == 0 {
                break;
            }
            while self.buffer.len() < size + 2 {
                if !self.more(message)? {
                    return Err(Broken::Cut(Box::new(message.clone())));
                }
            }
            let chunk = self.take(size + 2);
            if !chunk.ends_with(b"\r\n") {
                return Err(Broken::Malformed("a chunk does not end".to_owned()));
            }
            message.body.extend_from_slice(&chunk[..size]);
        }
        let mut trailers = String::new();
        loop {
            let line = self.line(message)?;
            if line.is_empty() {
                message.trailers = Fields::parse(&trailers);
                return Ok(());
            }
            trailers += &(line + "\r\n");
        }
    }

    fn line(&mut self, message: &Message) -> Result<String, Broken> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.take(end + 2);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.more(message)? {
                return Err(Broken::Cut(Box::new(message.clone())));
            }
        }
    }

    /// Receives more of a message. False when the connection has ended.
    fn more(&mut self, message: &Message) -> Result<bool, Broken> {
        match self.fill() {
            Ok(more) => Ok(more),
            Err(error) if is_reset(&error) => Err(Broken::Cut(Box::new(message.clone()))),
            Err(error) => Err(Broken::Failed(error)),
        }
    }

    /// Bytes that follow, whatever they are.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < count {
            if !self.more(&Message::default())? {
                return Err(Broken::Closed);
            }
        }
        Ok(self.take(count))
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }
}

enum Length {
    None,
    Bytes(usize),
    Chunked,
    UntilClose,
}

fn length(message: &Message, is_response: bool) -> Result<Length, Broken> {
    let encoding = message.get("transfer-encoding");
    match (encoding, message.get("content-length")) {
        (Some(_), Some(_)) => Err(Broken::Malformed("both framings".to_owned())),
        (Some("chunked"), None) => Ok(Length::Chunked),
        (Some(other), None) => Err(Broken::Malformed(format!("transfer-encoding {other:?}"))),
        (None, Some(digits)) => digits
            .parse()
            .map(Length::Bytes)
            .map_err(|_| Broken::Malformed(format!("content-length {digits:?}"))),
        (None, None) if is_response => Ok(Length::UntilClose),
        (None, None) => Ok(Length::None),
    }
}

/// The peer is gone without an orderly end.
pub fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
    )
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
