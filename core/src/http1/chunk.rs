//! Chunked coding, outgoing (RFC 9112 section 7.1).

use std::ops::Deref;

/// Follows the data of each chunk.
pub const CRLF: &[u8; 2] = b"\r\n";

/// Ends a chunked body that has no trailers.
pub const LAST_CHUNK: &[u8; 5] = b"0\r\n\r\n";

/// The line before a chunk's data: its size and CRLF. Reads as bytes.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    bytes: [u8; Self::LENGTH_MAX],
    start: u8,
}

impl ChunkHead {
    /// Longest line: 16 digits and CRLF.
    pub const LENGTH_MAX: usize = 18;
}

impl Deref for ChunkHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

/// The line before `data_bytes` bytes of data, which is not 0: that would end the body.
pub fn encode_chunk_head(data_bytes: usize) -> ChunkHead {
    debug_assert!(data_bytes > 0, "an empty chunk ends the body");
    let mut bytes = *b"................\r\n";
    let mut start = ChunkHead::LENGTH_MAX - CRLF.len();
    let mut rest = data_bytes;
    while rest > 0 {
        start -= 1;
        bytes[start] = b"0123456789abcdef"[rest & 15];
        rest >>= 4;
    }
    ChunkHead {
        bytes,
        start: start as u8,
    }
}

/// Appends the end of a chunked body: the last chunk, `trailers` (lines with their CRLF, as
/// [`BodyDecoder::trailers`](super::BodyDecoder::trailers) gives them), and the empty line.
pub fn encode_last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(CRLF);
}
