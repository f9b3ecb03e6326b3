//! Walks over frames in bytes that arrive in pieces (RFC 9113 section 4.1): their kind and length,
//! and nothing of what is in them. Whether they are right is h2's to say.

/// What a frame is, as far as somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Continuation,
    Other,
}

/// A place in the bytes of one direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frames {
    /// Bytes that are passed before the next frame: the preface, or a payload.
    passed: u32,
    /// The next frame's head, as far as it has come.
    head: [u8; HEAD_BYTES],
    head_bytes: u8,
    last_stream: u32,
}

const HEAD_BYTES: usize = 9;
/// `PRI * HTTP/2.0` and what follows it (RFC 9113 section 3.4).
const PREFACE_BYTES: u32 = 24;

impl Frames {
    /// `after_preface`: the preface of clients comes before the first frame.
    pub(super) fn new(after_preface: bool) -> Self {
        Self {
            passed: if after_preface { PREFACE_BYTES } else { 0 },
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            last_stream: 0,
        }
    }

    /// The highest stream that a HEADERS frame was about.
    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// The next bytes. `each` is told of every frame whose head is complete with them, with the
    /// length of its payload.
    #[inline]
    pub(super) fn walk(&mut self, bytes: &[u8], mut each: impl FnMut(Kind, u32)) {
        let mut rest = bytes;
        loop {
            let passed = rest.len().min(self.passed as usize);
            self.passed -= passed as u32;
            rest = &rest[passed..];
            let known = usize::from(self.head_bytes);
            let taken = rest.len().min(HEAD_BYTES - known);
            self.head[known..known + taken].copy_from_slice(&rest[..taken]);
            if known + taken < HEAD_BYTES {
                self.head_bytes = (known + taken) as u8;
                return;
            }
            rest = &rest[taken..];
            self.head_bytes = 0;
            let [high, middle, low, kind, _, stream @ ..] = self.head;
            self.passed = u32::from_be_bytes([0, high, middle, low]);
            let kind = match kind {
                0 => Kind::Data,
                1 => Kind::Headers,
                9 => Kind::Continuation,
                _ => Kind::Other,
            };
            if kind == Kind::Headers {
                let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
                self.last_stream = self.last_stream.max(stream);
            }
            each(kind, self.passed);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Frames, Kind};

    pub(in crate::http2) fn preface() -> Vec<u8> {
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()
    }

    /// With a payload of `length` bytes that look like frames.
    pub(in crate::http2) fn frame(kind: u8, stream: u32, length: usize) -> Vec<u8> {
        let length_bytes = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = length_bytes[1..].to_vec();
        frame.extend([kind, 0xff]);
        frame.extend(stream.to_be_bytes());
        frame.resize(9 + length, 1);
        frame
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let bytes = [
            preface(),
            frame(4, 0, 0),
            frame(1, 3, 10),
            frame(9, 3, 300),
            frame(0, 3, 70_000),
            frame(1, 1 | 1 << 31, 1),
            frame(0x77, 0, 5),
        ]
        .concat();
        let expected = [
            (Kind::Other, 0),
            (Kind::Headers, 10),
            (Kind::Continuation, 300),
            (Kind::Data, 70_000),
            (Kind::Headers, 1),
            (Kind::Other, 5),
        ];
        for size in [1, 2, 3, 8, 9, 10, 17, 24, 1000, bytes.len()] {
            let mut frames = Frames::new(true);
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                frames.walk(piece, |kind, length| found.push((kind, length)));
            }
            assert_eq!(found, expected, "in pieces of {size}");
            assert_eq!(frames.last_stream(), 3);
        }
        let mut frames = Frames::new(false);
        let mut count = 0;
        frames.walk(&bytes[24..], |_, _| count += 1);
        assert_eq!(count, expected.len());
    }
}
