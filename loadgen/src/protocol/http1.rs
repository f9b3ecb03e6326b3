//! HTTP/1.1, one request after another on a connection (RFC 9112).

use std::rc::Rc;

use ringmain_core::http1::{
    self, BodyDecoder, EndOfStream, Framing, MethodKind, Reject, ResponseHead,
};

use super::{Answer, Broken, Endpoint, Protocol};
use crate::{
    failure::Failed,
    plan::{Plan, PlanError, Target},
    transport::{Connector, Transport},
};

/// Bodies are thrown away in pieces of this size; it is also the longest head.
const BUFFER_BYTES: usize = 64 << 10;

const LIMITS: http1::Limits = http1::Limits {
    head_bytes_max: BUFFER_BYTES,
    headers_max: 256,
    // Of requests.
    target_bytes_max: BUFFER_BYTES,
};

/// HTTP/1.1 and nothing else, over TCP or TLS.
#[derive(Clone, Debug)]
pub(crate) struct Http1 {
    connector: Connector,
    close: bool,
}

/// A request as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    bytes: Rc<Vec<u8>>,
    method: MethodKind,
}

/// A connection.
pub(crate) struct Session {
    transport: Transport,
    buffer: Vec<u8>,
    head: ResponseHead,
    keep_alive: bool,
    last: Last,
}

/// The last answer, if it came in one piece. The same bytes mean the same again, and to compare
/// them costs a tenth of reading them; servers answer with the same bytes for as long as the second
/// in their `date` is the same.
struct Last {
    bytes: Vec<u8>,
    method: MethodKind,
    status: u16,
}

/// Longer answers are not kept: what reading a head costs does not show in them.
const LAST_BYTES_MAX: usize = 4 << 10;

impl Protocol for Http1 {
    type Message = Message;
    type Session = Session;

    fn new(plan: &Plan) -> Result<Self, PlanError> {
        Ok(Self {
            connector: Connector::new(&plan.tls, &[b"http/1.1"], plan.is_secure())?,
            close: plan.connect_per_request,
        })
    }

    fn connector(&self) -> &Connector {
        &self.connector
    }

    fn message(&self, target: &Target) -> Result<Message, PlanError> {
        Ok(Message::new(target, self.close))
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Session, Failed> {
        Ok(Session::new(self.connector.connect(endpoint).await?))
    }

    async fn exchange(&self, session: &mut Session, message: &Message) -> Result<Answer, Broken> {
        session.exchange(message).await
    }

    fn is_reusable(&self, session: &Session, complete: bool) -> bool {
        session.is_reusable(complete)
    }
}

impl Message {
    /// `close`: its connection is not used again (RFC 9112 section 9.6).
    pub(crate) fn new(target: &Target, close: bool) -> Self {
        let mut lines = vec![format!("{} {} HTTP/1.1", target.method, target.url.target)];
        let given = |name: &str| {
            let mut fields = target.headers.iter();
            fields.any(|(field, _)| field.eq_ignore_ascii_case(name))
        };
        let agent = concat!("ringmain/", env!("CARGO_PKG_VERSION"));
        let mut defaults = vec![
            ("host", target.url.authority.as_str()),
            ("user-agent", agent),
            ("accept", "*/*"),
        ];
        if close {
            defaults.push(("connection", "close"));
        }
        let defaults = defaults.iter().filter(|(name, _)| !given(name));
        lines.extend(defaults.map(|(name, value)| format!("{name}: {value}")));
        let fields = target.headers.iter();
        lines.extend(fields.map(|(name, value)| format!("{name}: {value}")));
        if !target.body.is_empty() || !matches!(target.method.as_str(), "GET" | "HEAD") {
            lines.push(format!("content-length: {}", target.body.len()));
        }
        let mut bytes = lines.join("\r\n").into_bytes();
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&target.body);
        Self {
            bytes: Rc::new(bytes),
            method: match target.method.as_str() {
                "HEAD" => MethodKind::Head,
                _ => MethodKind::Other,
            },
        }
    }
}

impl Session {
    /// On a connection on which nothing was sent yet.
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            head: ResponseHead::new(),
            keep_alive: true,
            last: Last {
                bytes: Vec::new(),
                method: MethodKind::Other,
                status: 0,
            },
        }
    }

    pub(crate) fn is_reusable(&self, complete: bool) -> bool {
        complete && self.keep_alive
    }

    /// Sends a request and throws its answer away.
    pub(crate) async fn exchange(&mut self, message: &Message) -> Result<Answer, Broken> {
        if let Err(error) = self.transport.send(&message.bytes).await {
            return Err(Broken {
                failed: Failed::io("sending", &error),
                before_answer: true,
            });
        }
        self.buffer.clear();
        self.receive_head(true).await?;
        let (status, bytes_in) = match self.last.is(&self.buffer, message.method) {
            true => (self.last.status, self.buffer.len() as u64),
            false => self.read_answer(message.method).await?,
        };
        Ok(Answer {
            status: Some(status),
            bytes_in,
            bytes_out: message.bytes.len() as u64,
        })
    }

    /// The status of the answer that begins in the buffer, and its bytes.
    async fn read_answer(&mut self, method: MethodKind) -> Result<(u16, u64), Broken> {
        let (before, head_end) = self.read_head(method).await?;
        let status = self.head.status();
        self.keep_alive = self.head.keep_alive();
        let mut decoder = BodyDecoder::new(self.head.framing());
        let mut bytes_in = before + self.buffer.len() as u64;
        let mut from = head_end;
        loop {
            let decoded = decoder.decode(&mut self.buffer[from..]);
            let decoded = decoded.map_err(malformed)?;
            if decoded.done {
                if from + decoded.consumed < self.buffer.len() {
                    return Err(Failed::protocol("more bytes than the answer has").into());
                }
                break;
            }
            from = 0;
            self.buffer.clear();
            match self.receive().await {
                Ok(0) if decoder.on_end_of_stream() == EndOfStream::Complete => break,
                Ok(0) => return Err(Failed::closed().into()),
                Ok(count) => bytes_in += count as u64,
                Err(error) => return Err(Failed::io("reading the answer", &error).into()),
            }
        }
        let is_one_piece = self.buffer.len() as u64 == bytes_in;
        // Reading a body in chunks moves its bytes.
        if is_one_piece && self.keep_alive && self.head.framing() != Framing::Chunked {
            self.last.keep(&self.buffer, method, status);
        }
        Ok((status, bytes_in))
    }

    /// Reads past interim heads. Their bytes, which are gone, and the end of the final head in the
    /// buffer.
    async fn read_head(&mut self, method: MethodKind) -> Result<(u64, usize), Broken> {
        let mut before = 0;
        self.head.reset();
        loop {
            let decoded = self.head.decode(&self.buffer, &LIMITS, method);
            match decoded.map_err(malformed)? {
                Some(end) if self.head.is_interim() => {
                    before += end as u64;
                    self.buffer.drain(..end);
                }
                Some(end) => return Ok((before, end)),
                None => self.receive_head(false).await?,
            }
        }
    }

    /// Reads more of a head. `is_first`: there is nothing of it yet.
    async fn receive_head(&mut self, is_first: bool) -> Result<(), Broken> {
        let failed = match self.receive().await {
            Ok(0) => Failed::closed(),
            Ok(_) => return Ok(()),
            Err(error) => Failed::io("waiting for the answer", &error),
        };
        Err(Broken {
            failed,
            before_answer: is_first,
        })
    }

    /// Appends to the buffer; 0 at the end of the stream.
    async fn receive(&mut self) -> std::io::Result<usize> {
        let buffer = std::mem::take(&mut self.buffer);
        let (read, buffer) = self.transport.read(buffer).await;
        self.buffer = buffer;
        read
    }
}

fn malformed(reject: Reject) -> Failed {
    let reason = reject.reason();
    Failed::protocol(format!("the answer is malformed HTTP/1.1 ({reason})"))
}

impl Last {
    fn is(&self, bytes: &[u8], method: MethodKind) -> bool {
        self.method == method && self.bytes == bytes && !bytes.is_empty()
    }

    fn keep(&mut self, bytes: &[u8], method: MethodKind, status: u16) {
        self.bytes.clear();
        if bytes.len() <= LAST_BYTES_MAX {
            self.bytes.extend_from_slice(bytes);
            self.method = method;
            self.status = status;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let agent = concat!("user-agent: ringmain/", env!("CARGO_PKG_VERSION"));
        let mut target = Target::get("http://a:81/x".parse().unwrap());
        check(
            &target,
            true,
            &format!(
                "GET /x HTTP/1.1\r\nhost: a:81\r\n{agent}\r\naccept: */*\r\n\
                 connection: close\r\n\r\n"
            ),
        );
        target.headers = vec![
            ("Host".into(), "b".into()),
            ("end-user".into(), "jason".into()),
        ];
        check(
            &target,
            false,
            &format!(
                "GET /x HTTP/1.1\r\n{agent}\r\naccept: */*\r\nHost: b\r\nend-user: jason\r\n\r\n"
            ),
        );
        target.method = "POST".into();
        target.headers.clear();
        check(
            &target,
            false,
            &format!(
                "POST /x HTTP/1.1\r\nhost: a:81\r\n{agent}\r\naccept: */*\r\n\
                 content-length: 0\r\n\r\n"
            ),
        );
        target.body = "abc".into();
        check(
            &target,
            false,
            &format!(
                "POST /x HTTP/1.1\r\nhost: a:81\r\n{agent}\r\naccept: */*\r\n\
                 content-length: 3\r\n\r\nabc"
            ),
        );
    }

    fn check(target: &Target, close: bool, expected: &str) {
        let message = Message::new(target, close);
        assert_eq!(String::from_utf8_lossy(&message.bytes), expected);
    }
}
