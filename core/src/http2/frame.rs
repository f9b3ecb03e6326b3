//! Walks over frames in bytes that arrive in pieces (RFC 9113 section 4.1): their kind and length,
//! and where heads begin and end. Whether they are right is h2's to say.

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
    /// What is under way has not come to its end.
    unfinished: Unfinished,
    /// Heads of messages and trailers that have begun.
    begun: u32,
    /// Streams whose first head has come whole.
    opened: u32,
}

/// What a peer has begun to say and is to end, whatever else it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfinished {
    /// Nothing.
    Nothing,
    /// The first frame; whether its head has come.
    Hello { is_begun: bool },
    /// A block of fields (RFC 9113 section 4.3).
    Block {
        /// It is the first of its stream.
        opens: bool,
        /// The frame whose payload comes is the last of it.
        ends: bool,
    },
}

const HEAD_BYTES: usize = 9;
/// `PRI * HTTP/2.0` and what follows it (RFC 9113 section 3.4).
const PREFACE_BYTES: u32 = 24;
const END_HEADERS: u8 = 4;

impl Frames {
    /// `after_preface`: the preface of clients comes before the first frame.
    pub(super) fn new(after_preface: bool) -> Self {
        Self {
            passed: if after_preface { PREFACE_BYTES } else { 0 },
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            last_stream: 0,
            unfinished: Unfinished::Hello { is_begun: false },
            begun: 0,
            opened: 0,
        }
    }

    /// The highest stream that a HEADERS frame was about.
    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Streams whose first head has come whole.
    pub(super) fn opened(&self) -> u32 {
        self.opened
    }

    /// The number of the head that has not come to its end, or 0 for the first frame; `None`: all
    /// that was begun has ended.
    pub(super) fn unfinished(&self) -> Option<u32> {
        (self.unfinished != Unfinished::Nothing).then_some(self.begun)
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
            if self.passed == 0 {
                self.finish();
            }
            let known = usize::from(self.head_bytes);
            let taken = rest.len().min(HEAD_BYTES - known);
            self.head[known..known + taken].copy_from_slice(&rest[..taken]);
            if known + taken < HEAD_BYTES {
                self.head_bytes = (known + taken) as u8;
                return;
            }
            rest = &rest[taken..];
            self.head_bytes = 0;
            let [high, middle, low, kind, flags, stream @ ..] = self.head;
            self.passed = u32::from_be_bytes([0, high, middle, low]);
            let kind = match kind {
                0 => Kind::Data,
                1 => Kind::Headers,
                9 => Kind::Continuation,
                _ => Kind::Other,
            };
            self.begin(kind, flags, u32::from_be_bytes(stream) & (u32::MAX >> 1));
            each(kind, self.passed);
        }
    }

    /// The head of a frame has come.
    fn begin(&mut self, kind: Kind, flags: u8, stream: u32) {
        let ends = flags & END_HEADERS != 0;
        match (kind, self.unfinished) {
            (Kind::Headers, _) => {
                let opens = stream > self.last_stream;
                self.last_stream = self.last_stream.max(stream);
                self.begun = self.begun.wrapping_add(1);
                self.unfinished = Unfinished::Block { opens, ends };
            }
            (Kind::Continuation, Unfinished::Block { opens, .. }) => {
                self.unfinished = Unfinished::Block { opens, ends };
            }
            (_, Unfinished::Hello { .. }) => self.unfinished = Unfinished::Hello { is_begun: true },
            _ => {}
        }
    }

    /// All of a payload has come, or of the preface.
    fn finish(&mut self) {
        match self.unfinished {
            Unfinished::Block { opens, ends: true } => {
                self.opened += u32::from(opens);
                self.unfinished = Unfinished::Nothing;
            }
            Unfinished::Hello { is_begun: true } => self.unfinished = Unfinished::Nothing,
            Unfinished::Nothing
            | Unfinished::Hello { is_begun: false }
            | Unfinished::Block { ends: false, .. } => {}
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

    /// Flags are those of [`frame`]: all set, so that a HEADERS frame is a whole head.
    #[test]
    fn what_was_begun_is_to_end() {
        let open = |kind, stream, length| {
            let mut frame = frame(kind, stream, length);
            frame[4] = 0;
            frame
        };
        // Bytes, how many heads have begun if one is under way, and how many streams were opened.
        let steps = [
            (preface(), Some(0), 0),
            (frame(4, 0, 6)[..14].to_vec(), Some(0), 0),
            (vec![0], None, 0),
            (frame(1, 1, 10), None, 1),
            (frame(0, 1, 10), None, 1),
            (open(1, 3, 0), Some(2), 1),
            (open(9, 3, 5), Some(2), 1),
            (frame(9, 3, 5)[..9].to_vec(), Some(2), 1),
            (vec![0; 4], Some(2), 1),
            (vec![0], None, 2),
            // Trailers.
            (frame(1, 3, 0), None, 2),
            (frame(1, 5, 1)[..9].to_vec(), Some(4), 2),
            ([vec![0], frame(1, 7, 1)[..9].to_vec()].concat(), Some(5), 3),
            (vec![0], None, 4),
            // Nobody has asked for it: that is h2's to say.
            (open(9, 7, 0), None, 4),
        ];
        let mut frames = Frames::new(true);
        for (index, (bytes, unfinished, opened)) in steps.into_iter().enumerate() {
            frames.walk(&bytes, |_, _| {});
            let seen = (frames.unfinished(), frames.opened());
            assert_eq!(seen, (unfinished, opened), "step {index}");
        }
    }
}
