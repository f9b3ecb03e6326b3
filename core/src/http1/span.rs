//! A part of a head, as positions in the buffer that it was decoded from.

use std::ops::Range;

/// Half-open range of positions. A head is far shorter than 4 GiB (see `Limits`), so 32 bits do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn new(range: Range<usize>) -> Self {
        debug_assert!(range.start <= range.end && range.end <= 1 << 30);
        Self {
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.range()]
    }

    /// For parts that were checked to be ASCII when they were decoded.
    pub(super) fn text(self, bytes: &[u8]) -> &str {
        let text = std::str::from_utf8(self.of(bytes));
        debug_assert!(
            text.is_ok(),
            "not the bytes that this head was decoded from"
        );
        text.unwrap_or_default()
    }
}
