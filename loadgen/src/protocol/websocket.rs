//! WebSocket messages that the server sends back (RFC 6455); every byte of them is compared.
//!
//! A connection begins with a handshake over HTTP/1.1, then each exchange is one binary message in
//! one frame, and its echo in any number of frames. Pings are answered while an echo is waited for.
//! What counts as bytes are frames with their heads.

mod frame;
mod handshake;

use bytes::Bytes;
use fastrand::Rng;

use super::{Answer, Broken, Endpoint, Protocol};
use crate::{
    failure::Failed,
    plan::{Plan, PlanError, Target},
    transport::{Connector, Transport},
};
use frame::{CONTROL_BYTES_MAX, Head, Opcode};
pub(crate) use handshake::upgrade;

/// Frames are read in pieces of this size; it is also the longest head of a handshake.
const BUFFER_BYTES: usize = 64 << 10;

/// WebSocket over TCP or TLS.
#[derive(Clone, Debug)]
pub(crate) struct WebSocket {
    connector: Connector,
}

/// What is sent and must come back.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    payload: Bytes,
}

/// A connection after its handshake.
pub(crate) struct Session {
    transport: Transport,
    /// What was received and not looked at yet begins at `start`.
    buffer: Vec<u8>,
    start: usize,
    outgoing: Vec<u8>,
    /// Masks are not to be foreseen by whom the payload comes from (section 5.3); here both come
    /// from us.
    masks: Rng,
}

impl Protocol for WebSocket {
    type Message = Message;
    type Session = Session;

    fn new(plan: &Plan) -> Result<Self, PlanError> {
        Ok(Self {
            connector: Connector::new(&plan.tls, &[b"http/1.1"], plan.is_secure())?,
        })
    }

    fn connector(&self) -> &Connector {
        &self.connector
    }

    fn message(&self, target: &Target) -> Result<Message, PlanError> {
        handshake::check_headers(target)?;
        Ok(Message {
            payload: target.body.clone(),
        })
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Session, Failed> {
        let mut session = Session {
            transport: self.connector.connect(endpoint).await?,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            start: 0,
            outgoing: Vec::new(),
            masks: Rng::new(),
        };
        session.shake_hands(&endpoint.upgrade).await?;
        Ok(session)
    }

    async fn exchange(&self, session: &mut Session, message: &Message) -> Result<Answer, Broken> {
        session.exchange(&message.payload).await
    }

    fn is_reusable(&self, _: &Session, complete: bool) -> bool {
        complete
    }
}

impl Session {
    async fn shake_hands(&mut self, upgrade: &str) -> Result<(), Failed> {
        let key = handshake::key(&mut self.masks);
        self.outgoing = handshake::request(upgrade, &key);
        let sent = self.send().await;
        sent.map_err(|error| Failed::io("asking for WebSocket", &error))?;
        loop {
            match handshake::check(&self.buffer, &key, upgrade).map_err(Failed::protocol)? {
                Some(end) => {
                    self.start = end;
                    return Ok(());
                }
                None if self.buffer.len() == self.buffer.capacity() => {
                    return Err(Failed::protocol("the head of the handshake is too long"));
                }
                None => self.receive().await?,
            }
        }
    }

    async fn exchange(&mut self, payload: &[u8]) -> Result<Answer, Broken> {
        self.outgoing.clear();
        let mask = self.masks.u32(..).to_ne_bytes();
        frame::write(&mut self.outgoing, Opcode::Binary, payload, mask);
        let bytes_out = self.outgoing.len() as u64;
        self.send().await.map_err(|error| Broken {
            failed: Failed::io("sending", &error),
            before_answer: true,
        })?;
        let bytes_in = self.receive_echo(payload).await?;
        Ok(Answer {
            status: None,
            bytes_in,
            bytes_out,
        })
    }

    /// Reads frames to the end of one message, which must be `expected`; the bytes of all frames.
    async fn receive_echo(&mut self, expected: &[u8]) -> Result<u64, Broken> {
        let mut bytes_in = 0;
        let mut echo = Echo {
            expected,
            is_begun: false,
        };
        loop {
            let Some((head, length)) = self.head()? else {
                let is_first = bytes_in == 0 && self.unread().is_empty();
                self.receive().await.map_err(|failed| Broken {
                    failed,
                    before_answer: is_first,
                })?;
                continue;
            };
            self.start += length;
            bytes_in += length as u64 + head.payload_bytes;
            if head.opcode.is_control() {
                self.control(head).await?;
                continue;
            }
            echo.begin(head).map_err(Failed::protocol)?;
            let mut left = head.payload_bytes;
            while left > 0 {
                if self.unread().is_empty() {
                    self.receive().await?;
                }
                let piece = self.unread();
                let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                echo.take(&piece[..count]).map_err(Failed::protocol)?;
                self.start += count;
                left -= count as u64;
            }
            if head.is_final {
                echo.end().map_err(Failed::protocol)?;
                return Ok(bytes_in);
            }
        }
    }

    fn head(&self) -> Result<Option<(Head, usize)>, Failed> {
        Head::read(self.unread()).map_err(Failed::protocol)
    }

    /// Answers a ping; fails at the server's end.
    async fn control(&mut self, head: Head) -> Result<(), Failed> {
        let length = head.payload_bytes as usize;
        debug_assert!(length <= CONTROL_BYTES_MAX, "the head was checked");
        while self.unread().len() < length {
            self.receive().await?;
        }
        let reply = match head.opcode {
            Opcode::Ping => Opcode::Pong,
            Opcode::Close => Opcode::Close,
            _ => {
                self.start += length;
                return Ok(());
            }
        };
        let mask = self.masks.u32(..).to_ne_bytes();
        let payload = &self.buffer[self.start..][..length];
        let farewell = match head.opcode {
            Opcode::Close => Some(frame::close_reason(payload)),
            _ => None,
        };
        self.outgoing.clear();
        frame::write(&mut self.outgoing, reply, payload, mask);
        self.start += length;
        let sent = self.send().await;
        match farewell {
            // What became of the answer to it changes nothing.
            Some(reason) => Err(Failed::new(
                crate::failure::ErrorKind::Closed,
                format!("the server closed the WebSocket: {reason}"),
            )),
            None => sent.map_err(|error| Failed::io("answering a ping", &error)),
        }
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    async fn send(&mut self) -> std::io::Result<()> {
        let outgoing = std::mem::take(&mut self.outgoing);
        let (sent, outgoing) = self.transport.write_all(outgoing).await;
        self.outgoing = outgoing;
        sent
    }

    /// Reads more behind what is not looked at yet. There is always room: a head or a control frame
    /// is much shorter than the buffer, and data is looked at as it comes.
    async fn receive(&mut self) -> Result<(), Failed> {
        self.buffer.drain(..std::mem::take(&mut self.start));
        let buffer = std::mem::take(&mut self.buffer);
        let (read, buffer) = self.transport.read(buffer).await;
        self.buffer = buffer;
        match read {
            Ok(0) => Err(Failed::closed()),
            Ok(_) => Ok(()),
            Err(error) => Err(Failed::io("waiting for the echo", &error)),
        }
    }
}

/// What is still to come of a message.
struct Echo<'a> {
    expected: &'a [u8],
    /// A first frame was there.
    is_begun: bool,
}

const MISMATCH: &str = "the message that came back is not the one that was sent";

impl Echo<'_> {
    /// A frame's head (section 5.4).
    fn begin(&mut self, head: Head) -> Result<(), &'static str> {
        let is_continuation = head.opcode == Opcode::Continuation;
        if is_continuation != self.is_begun {
            return Err("the server's frames are not in the order of a message");
        }
        self.is_begun = true;
        match head.payload_bytes > self.expected.len() as u64 {
            true => Err(MISMATCH),
            false => Ok(()),
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), &'static str> {
        self.expected = self.expected.strip_prefix(piece).ok_or(MISMATCH)?;
        Ok(())
    }

    fn end(&self) -> Result<(), &'static str> {
        match self.expected.is_empty() {
            true => Ok(()),
            false => Err(MISMATCH),
        }
    }
}
