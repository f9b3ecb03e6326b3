//! Requests over HTTP/2 that are counted: so many at once on a connection, and the end of all of
//! them awaited (RFC 9113). Heads are compressed without the dynamic table (RFC 7541).

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result, bail, ensure};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_BYTES: usize = 9;
/// As large as windows can be: nothing waits for us.
const WINDOW: u32 = (1 << 31) - 1;
const WINDOW_AT_FIRST: u32 = 65_535;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// What is asked for on a stream.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    /// A path.
    Get(&'static str),
    /// A unary call of gRPC with a message of so many bytes.
    Call(u32),
}

/// A connection that is kept.
#[derive(Debug)]
pub struct Streams {
    stream: TcpStream,
    received: Vec<u8>,
    next_stream: u32,
}

impl Streams {
    /// Connects, and begins.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = super::connect(address)?;
        let mut bytes = PREFACE.to_vec();
        // SETTINGS_INITIAL_WINDOW_SIZE.
        let setting = [&4_u16.to_be_bytes()[..], &WINDOW.to_be_bytes()].concat();
        push_frame(&mut bytes, SETTINGS, 0, 0, &setting);
        let more = (WINDOW - WINDOW_AT_FIRST).to_be_bytes();
        push_frame(&mut bytes, WINDOW_UPDATE, 0, 0, &more);
        stream.write_all(&bytes).context("cannot send")?;
        Ok(Self {
            stream,
            received: Vec::new(),
            next_stream: 1,
        })
    }

    /// Sends `count` requests without waiting for their answers.
    ///
    /// # Errors
    /// When the connection is closed.
    pub fn send(&mut self, question: Question, count: u32) -> Result<()> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            question.push(&mut bytes, self.next_stream);
            self.next_stream += 2;
        }
        self.stream.write_all(&bytes).context("cannot send")
    }

    /// Receives `count` answers, all of which must be 200.
    ///
    /// # Errors
    /// When they do not come, or are others.
    pub fn receive(&mut self, count: u32) -> Result<()> {
        let (mut good, mut ended) = (0, 0);
        while ended < count {
            let Some((kind, flags, payload)) = first_frame(&self.received) else {
                let mut part = [0; 16 << 10];
                let count = self.stream.read(&mut part).context("no answer")?;
                ensure!(count > 0, "the connection was closed without an answer");
                self.received.extend_from_slice(&part[..count]);
                continue;
            };
            let mut reply = Vec::new();
            match kind {
                DATA => {}
                HEADERS => {
                    let unknown = flags & (PADDED | PRIORITY) != 0 || flags & END_HEADERS == 0;
                    ensure!(!unknown, "HEADERS in a form that is not read here");
                    good += u32::from(is_ok(payload));
                }
                SETTINGS if flags & ACK == 0 => push_frame(&mut reply, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => push_frame(&mut reply, PING, ACK, 0, payload),
                RST_STREAM | GOAWAY => bail!("ended by a frame of type {kind}: {payload:?}"),
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) {
                ended += u32::from(flags & END_STREAM != 0);
            }
            let taken = FRAME_HEAD_BYTES + payload.len();
            self.received.drain(..taken);
            self.stream.write_all(&reply).context("cannot send")?;
        }
        ensure!(good == count, "{good} of {count} answers were 200");
        Ok(())
    }

    /// Sends a request and receives its answer, which must be 200.
    ///
    /// # Errors
    /// As above.
    pub fn ask(&mut self, question: Question) -> Result<()> {
        self.send(question, 1)?;
        self.receive(1)
    }
}

impl Question {
    fn push(self, out: &mut Vec<u8>, stream: u32) {
        let (method, path) = match self {
            Self::Get(path) => (0x82, path),
            Self::Call(_) => (0x83, "/bench.Bench/Call"),
        };
        // Of the static table: the method, the scheme http, and names for :path and :authority.
        let mut head = vec![method, 0x86, 0x04];
        push_text(&mut head, path);
        head.push(0x01);
        push_text(&mut head, "bench");
        let Self::Call(bytes) = self else {
            push_frame(out, HEADERS, END_HEADERS | END_STREAM, stream, &head);
            return;
        };
        // content-type, and a name that the table does not have.
        head.extend([0x0f, 0x10]);
        push_text(&mut head, "application/grpc");
        head.push(0x00);
        push_text(&mut head, "te");
        push_text(&mut head, "trailers");
        push_frame(out, HEADERS, END_HEADERS, stream, &head);
        let mut message = vec![0];
        message.extend(bytes.to_be_bytes());
        message.resize(message.len() + bytes as usize, b'x');
        push_frame(out, DATA, END_STREAM, stream, &message);
    }
}

/// A string without Huffman's code; all here are short.
fn push_text(out: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() < 127, "its length needs more than a byte");
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Type, flags and payload, once all of it is there.
fn first_frame(received: &[u8]) -> Option<(u8, u8, &[u8])> {
    let (head, rest) = received.split_first_chunk::<FRAME_HEAD_BYTES>()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    Some((head[3], head[4], rest.get(..length)?))
}

/// A head that begins with `:status: 200` from the static table, which every server's does.
/// Before it the size of the dynamic table may be said (RFC 7541 section 6.3).
fn is_ok(mut block: &[u8]) -> bool {
    while let [first @ 0x20..=0x3f, rest @ ..] = block {
        block = rest;
        if *first == 0x3f {
            let more = block.iter().take_while(|byte| **byte >= 0x80).count() + 1;
            block = block.get(more..).unwrap_or_default();
        }
    }
    block.first() == Some(&0x88)
}

#[cfg(test)]
mod tests {
    use super::{Question, first_frame, is_ok};

    #[test]
    fn frames_are_whole() {
        let mut bytes = Vec::new();
        Question::Call(3).push(&mut bytes, 1);
        let (kind, flags, head) = first_frame(&bytes).unwrap();
        assert_eq!((kind, flags), (1, 4));
        let rest = &bytes[9 + head.len()..];
        assert_eq!(first_frame(rest), Some((0, 1, &b"\0\0\0\0\x03xxx"[..])));
        for length in 0..rest.len() {
            assert_eq!(first_frame(&rest[..length]), None);
        }
    }

    #[test]
    fn only_200_is_good() {
        for (block, expected) in [
            (&b"\x88\x5f"[..], true),
            (b"\x20\x3f\xe1\x1f\x88", true),
            (b"\x8d", false),
            (b"\x3f\xe1", false),
            (b"", false),
        ] {
            assert_eq!(is_ok(block), expected, "{block:?}");
        }
    }
}
