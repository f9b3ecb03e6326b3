//! Payload that was taken from a stream of HTTP/2 before its receiver had room for it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Payload below this is copied together: the h2 crate keeps some 500 bytes for each frame that
/// nobody has taken, however short, and closes a connection on which there are too many of them.
pub(super) const SHORT_BYTES: usize = 1 << 10;
/// Of short payload that becomes one piece.
const PIECE_BYTES: usize = 16 << 10;

/// Pieces in the order in which they came. How much it is, the stream's window bounds: its sender
/// is given room when a piece has gone on, not when it was taken.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pieces: VecDeque<Bytes>,
    /// Behind them: short payload, less than a piece of it.
    short: BytesMut,
}

impl Gathered {
    /// Adds payload at the end.
    pub(super) fn push(&mut self, payload: Bytes) {
        let is_short = payload.len() < SHORT_BYTES;
        let is_full = !is_short || self.short.len() >= PIECE_BYTES;
        if is_full && !self.short.is_empty() {
            self.pieces.push_back(self.short.split().freeze());
        }
        if is_short {
            self.short.extend_from_slice(&payload);
        } else {
            self.pieces.push_back(payload);
        }
    }

    /// Takes the first piece.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let short = || (!self.short.is_empty()).then(|| self.short.split().freeze());
        self.pieces.pop_front().or_else(short)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.short.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Gathered, PIECE_BYTES, SHORT_BYTES};

    #[test]
    fn short_payload_becomes_few_pieces_and_the_order_stays() {
        let lengths = [1, 2, SHORT_BYTES, 3, 5000, 0, 4].into_iter();
        let lengths = lengths.chain([7; 3 * PIECE_BYTES / 7]);
        let mut gathered = Gathered::default();
        let mut all = Vec::new();
        for (letter, length) in (0..=u8::MAX).cycle().zip(lengths) {
            let payload = vec![letter; length];
            all.extend_from_slice(&payload);
            gathered.push(Bytes::from(payload));
        }
        assert!(!gathered.is_empty());
        let pieces: Vec<_> = std::iter::from_fn(|| gathered.pop()).collect();
        assert!(gathered.is_empty());
        assert_eq!(pieces.concat(), all);
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        assert!(pieces.len() <= 8, "{}", pieces.len());
    }
}
