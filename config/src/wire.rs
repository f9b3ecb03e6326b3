//! Frames between the planes, on a Unix stream socket. Bytes in, messages out; no I/O.
//!
//! A frame is an 8-byte head and a JSON payload:
//!
//! ```text
//! 0..2  "RM"          2  major version   3  frame type   4..8  payload length, big endian
//! ```
//!
//! A proxy opens with [`Hello`]; the control plane answers [`Welcome`] or [`Refused`], then sends
//! changes: any number of [`Update`]s, which the proxy only stages, and one [`Commit`], which makes
//! them a new generation. The proxy answers each commit with [`Ack`] or [`Nack`]. A tool opens with
//! [`Query`] instead and gets one [`Answer`].
//!
//! Fields that a side does not know are ignored, and so are frame types that it does not know: a
//! newer minor version may add both. Another major version is refused.

mod updates;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{
    document::{Part, PartKey},
    node::Node,
    problem::Problem,
};

pub use updates::{PartTooLong, Updates};

/// Frames of another major version are refused.
pub const MAJOR: u8 = 1;
/// Says what may be expected of a side beyond the major version; nothing is refused for it.
pub const MINOR: u32 = 0;
/// Bytes before the payload.
pub const HEAD_BYTES: usize = 8;
/// A frame's payload is never longer: what does not fit goes into several [`Update`]s.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Proxy to control plane, first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`MINOR`] of the proxy.
    pub minor: u32,
    /// Version of the proxy's program.
    pub program: String,
    /// Whose proxy it is.
    pub node: Node,
    /// Parts it holds already, from its disk or from an earlier connection.
    pub holds: Vec<Held>,
    /// Generation of those parts; 0 when it holds none.
    pub generation: u64,
}

/// One part that a proxy holds already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which part.
    pub key: PartKey,
    /// [`Part::version`] of its content.
    pub version: u64,
}

/// Control plane to proxy: the hello was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`MINOR`] of the control plane.
    pub minor: u32,
    /// Version of the control plane's program.
    pub program: String,
}

/// Control plane to anybody: this connection will not be served. It is closed after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// One sentence for the log of the refused side: cause and remedy.
    pub reason: String,
}

/// Control plane to proxy: changes that belong to the generation of the next [`Commit`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Parts to add or replace.
    pub upserts: Vec<Upsert>,
    /// Parts to remove; one that is not there is no error.
    pub removals: Vec<PartKey>,
}

/// A part to add or replace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upsert {
    /// [`Part::version`] of its content.
    pub version: u64,
    /// The part.
    pub part: Part,
}

/// Control plane to proxy: what was staged since the last commit is generation `generation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Greater than every generation that this control plane sent before; or, without an update
    /// before it, the one that the proxy named in its hello: nothing differs from what it holds.
    pub generation: u64,
}

/// Proxy to control plane: all workers use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Which generation.
    pub generation: u64,
}

/// Proxy to control plane: it was refused whole, and the one before it is still used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nack {
    /// Which generation.
    pub generation: u64,
    /// Every reason.
    pub problems: Vec<Problem>,
}

/// Tool to control plane, first and only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// Proxies, their generations and the problems of the sources.
    Status,
    /// The resources that are in force.
    Resources,
    /// The Document of one connected proxy.
    Document {
        /// Namespace of the proxy's node.
        namespace: String,
        /// Name of the proxy's node.
        name: String,
    },
}

/// Control plane to tool: whatever was asked for, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The body, of a shape that depends on the query.
    pub body: serde_json::Value,
}

/// One message, either way.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one at a time, never stored")]
pub enum Message {
    /// See [`Hello`].
    Hello(Hello),
    /// See [`Welcome`].
    Welcome(Welcome),
    /// See [`Refused`].
    Refused(Refused),
    /// See [`Update`].
    Update(Update),
    /// See [`Commit`].
    Commit(Commit),
    /// See [`Ack`].
    Ack(Ack),
    /// See [`Nack`].
    Nack(Nack),
    /// See [`Query`].
    Query(Query),
    /// See [`Answer`].
    Answer(Answer),
    /// A type that this version does not know; its payload was skipped.
    Unknown(u8),
}

/// Why bytes are not a frame. The connection cannot be used any further.
#[derive(Debug, Error)]
pub enum WireError {
    /// Not our protocol at all.
    #[error(
        "the peer does not speak ringmain's protocol: a frame starts with {0:02x?}, not \"RM\""
    )]
    Magic([u8; 2]),
    /// A major version that this program does not speak.
    #[error(
        "the peer speaks major version {0} of the protocol, this program speaks {MAJOR}; upgrade \
         the older of the two"
    )]
    Major(u8),
    /// More than [`PAYLOAD_BYTES_MAX`].
    #[error("a frame of {0} bytes is longer than the limit of {PAYLOAD_BYTES_MAX}")]
    TooLong(usize),
    /// The payload is not what its type says.
    #[error("frame type {kind}: {source}")]
    Payload {
        /// The frame's type.
        kind: u8,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl Message {
    /// The frame of this message, appended to `out`.
    ///
    /// # Errors
    /// When the payload is longer than [`PAYLOAD_BYTES_MAX`]; `out` is then as before.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let start = out.len();
        begin(out, self.kind());
        let written = match self {
            Self::Hello(message) => serde_json::to_writer(&mut *out, message),
            Self::Welcome(message) => serde_json::to_writer(&mut *out, message),
            Self::Refused(message) => serde_json::to_writer(&mut *out, message),
            Self::Update(message) => serde_json::to_writer(&mut *out, message),
            Self::Commit(message) => serde_json::to_writer(&mut *out, message),
            Self::Ack(message) => serde_json::to_writer(&mut *out, message),
            Self::Nack(message) => serde_json::to_writer(&mut *out, message),
            Self::Query(message) => serde_json::to_writer(&mut *out, message),
            Self::Answer(message) => serde_json::to_writer(&mut *out, message),
            Self::Unknown(_) => Ok(()),
        };
        written.expect("messages have only string keys and finite values");
        end(out, start)
    }

    /// The first frame of `bytes` and how many bytes it took; `None` when it is not complete.
    ///
    /// # Errors
    /// When `bytes` cannot become a frame whatever follows.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, WireError> {
        let Some(length) = payload_length(bytes)? else {
            return Ok(None);
        };
        let end = HEAD_BYTES + length;
        let Some(payload) = bytes.get(HEAD_BYTES..end) else {
            return Ok(None);
        };
        let kind = bytes[3];
        let message = match kind {
            1 => Self::Hello(parse(kind, payload)?),
            2 => Self::Welcome(parse(kind, payload)?),
            3 => Self::Refused(parse(kind, payload)?),
            UPDATE => Self::Update(parse(kind, payload)?),
            5 => Self::Commit(parse(kind, payload)?),
            6 => Self::Ack(parse(kind, payload)?),
            7 => Self::Nack(parse(kind, payload)?),
            8 => Self::Query(parse(kind, payload)?),
            9 => Self::Answer(parse(kind, payload)?),
            unknown => Self::Unknown(unknown),
        };
        Ok(Some((message, end)))
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => 1,
            Self::Welcome(_) => 2,
            Self::Refused(_) => 3,
            Self::Update(_) => UPDATE,
            Self::Commit(_) => 5,
            Self::Ack(_) => 6,
            Self::Nack(_) => 7,
            Self::Query(_) => 8,
            Self::Answer(_) => 9,
            Self::Unknown(kind) => *kind,
        }
    }
}

/// Frame type of [`Update`].
const UPDATE: u8 = 4;

/// Appends a head whose length is not known yet.
fn begin(out: &mut Vec<u8>, kind: u8) {
    out.extend_from_slice(&[b'R', b'M', MAJOR, kind, 0, 0, 0, 0]);
}

/// Fills in the length of the frame that begins at `start` and goes on to the end. When it is too
/// long, `out` ends at `start` afterwards.
fn end(out: &mut Vec<u8>, start: usize) -> Result<(), WireError> {
    let length = out.len() - start - HEAD_BYTES;
    if length > PAYLOAD_BYTES_MAX {
        out.truncate(start);
        return Err(WireError::TooLong(length));
    }
    let length = u32::try_from(length).expect("the limit fits in 32 bits");
    out[start + 4..start + HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The messages of a byte stream, however it was cut into reads.
///
/// Its owner bounds nothing: what is buffered is less than one frame (at most [`HEAD_BYTES`] +
/// [`PAYLOAD_BYTES_MAX`]) plus the last read, as long as every message is taken before more is
/// read.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    /// Bytes that were decoded already; they go with the next read.
    taken: usize,
}

impl Decoder {
    /// Adds what was read.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the stream is not our protocol; it stays so.
    pub fn message(&mut self) -> Result<Option<Message>, WireError> {
        let Some((message, bytes)) = Message::decode(&self.bytes[self.taken..])? else {
            return Ok(None);
        };
        self.taken += bytes;
        Ok(Some(message))
    }

    /// No part of a frame is left over: a stream may end here.
    pub fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }
}

/// Checks as much of a frame's head as is there; its payload's length when all of it is.
fn payload_length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    if let [first, second, ..] = *bytes
        && [first, second] != *b"RM"
    {
        return Err(WireError::Magic([first, second]));
    }
    if let Some(&major) = bytes.get(2)
        && major != MAJOR
    {
        return Err(WireError::Major(major));
    }
    let Some(length) = bytes.get(4..HEAD_BYTES) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(length.try_into().expect("a slice of four")) as usize;
    if length > PAYLOAD_BYTES_MAX {
        return Err(WireError::TooLong(length));
    }
    Ok(Some(length))
}

fn parse<T: DeserializeOwned>(kind: u8, payload: &[u8]) -> Result<T, WireError> {
    // Whether it is text at all is found out once, rather than for every string in it.
    let parsed = match std::str::from_utf8(payload) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(payload),
    };
    parsed.map_err(|source| WireError::Payload { kind, source })
}
