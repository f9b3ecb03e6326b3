//! Frames (RFC 9113 sections 4 and 6).

use std::fmt;

use super::hpack;

/// Types of frames.
pub mod kind {
    #![allow(missing_docs, reason = "the names are those of RFC 9113 section 6")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// On DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// On SETTINGS and PING.
pub const ACK: u8 = 1;
/// On HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;

/// Error codes (RFC 9113 section 7).
pub mod code {
    #![allow(missing_docs, reason = "the names are those of RFC 9113 section 7")]
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Settings (RFC 9113 section 6.5.2).
pub mod setting {
    #![allow(missing_docs, reason = "the names are those of RFC 9113 section 6.5.2")]
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// See [`kind`].
    pub kind: u8,
    /// Their bits.
    pub flags: u8,
    /// 0: the connection.
    pub stream: u32,
    /// Whatever follows the frame's head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Of these parts.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// A part of a body.
    pub fn data(stream: u32, payload: impl Into<Vec<u8>>, ends: bool) -> Self {
        Self::new(kind::DATA, u8::from(ends), stream, payload)
    }

    /// A whole head, or trailers.
    pub fn headers<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        stream: u32,
        fields: impl IntoIterator<Item = (N, V)>,
        ends: bool,
    ) -> Self {
        let flags = END_HEADERS | u8::from(ends);
        Self::new(kind::HEADERS, flags, stream, hpack::block(fields))
    }

    /// The end of a stream, for this reason.
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// Settings and their values.
    pub fn settings(values: &[(u16, u32)]) -> Self {
        let bytes = values.iter().flat_map(|(key, value)| {
            let value = value.to_be_bytes();
            key.to_be_bytes().into_iter().chain(value)
        });
        Self::new(kind::SETTINGS, 0, 0, bytes.collect::<Vec<_>>())
    }

    /// Is anybody there?
    pub fn ping(payload: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, payload)
    }

    /// The end of the connection: streams behind `last` were not looked at.
    pub fn go_away(last: u32, code: u32) -> Self {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        Self::new(kind::GOAWAY, 0, 0, payload)
    }

    /// Room for so many bytes more.
    pub fn window_update(stream: u32, bytes: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
    }

    /// It says that it acknowledges something.
    pub fn is_ack(&self) -> bool {
        matches!(self.kind, kind::SETTINGS | kind::PING) && self.flags & ACK != 0
    }

    /// It is the last of its stream's direction.
    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }

    /// Number that stands at this place of its payload.
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload[at..at + 4].try_into().unwrap();
        u32::from_be_bytes(bytes)
    }

    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// Of the nine bytes before a payload: its length, and the frame without it.
    pub(super) fn head(bytes: [u8; 9]) -> (usize, Self) {
        let [high, middle, low, kind, flags, rest @ ..] = bytes;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let stream = u32::from_be_bytes(rest) & (u32::MAX >> 1);
        (length, Self::new(kind, flags, stream, Vec::new()))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, flags, stream) = (self.kind, self.flags, self.stream);
        write!(formatter, "kind {kind} flags {flags} stream {stream}: ")?;
        match self.payload.len() {
            0..=16 => write!(formatter, "{:?}", self.payload),
            count => write!(formatter, "{count} bytes"),
        }
    }
}
