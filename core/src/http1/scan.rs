//! Finds the end of a head that may arrive in pieces, and refuses line ends that are not CRLF.
//!
//! The scan goes on where it stopped, so a head that comes byte by byte costs no more than one that
//! comes at once. It sees bytes in their order and nothing beyond the limit on a head's length, so
//! its verdicts do not depend on how the bytes were cut.

use std::ops::Range;

use memchr::memchr;

use super::reject::Reject;

/// How far the head of one message was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    /// Everything before was scanned.
    position: usize,
    /// Where the current line began.
    line_start: usize,
    /// Where the field section begins: 0 until the first line is complete.
    fields_start: usize,
    /// Field lines seen.
    lines: usize,
}

/// A complete field section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// First byte after the first line.
    pub(super) start: usize,
    /// Just after the empty line: the head's length.
    pub(super) end: usize,
    /// Field lines in it.
    pub(super) lines: usize,
}

impl Scan {
    /// A new message begins at the first byte.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The first line was returned already.
    pub(super) fn in_fields(&self) -> bool {
        self.fields_start != 0
    }

    /// The first line without its CRLF, which begins at `start`; `None`: not complete.
    pub(super) fn first_line(
        &mut self,
        window: &[u8],
        start: usize,
    ) -> Result<Option<Range<usize>>, Reject> {
        self.line_start = start;
        self.position = self.position.max(start);
        let Some(end) = self.line_end(window)? else {
            return Ok(None);
        };
        self.line_start = self.position;
        self.fields_start = self.position;
        Ok(Some(start..end))
    }

    /// The field section, once its empty line is there.
    pub(super) fn fields(
        &mut self,
        window: &[u8],
        headers_max: usize,
    ) -> Result<Option<Section>, Reject> {
        loop {
            let Some(end) = self.line_end(window)? else {
                return Ok(None);
            };
            if end == self.line_start {
                return Ok(Some(Section {
                    start: self.fields_start,
                    end: self.position,
                    lines: self.lines,
                }));
            }
            self.line_start = self.position;
            self.lines += 1;
            if self.lines > headers_max {
                return Err(Reject::TooManyHeaders);
            }
        }
    }

    /// Where the current line ends, without its CRLF; the scan then stands after it. A CR that is
    /// not followed by LF is left to the tokenizers, which refuse it wherever it is.
    #[inline]
    fn line_end(&mut self, window: &[u8]) -> Result<Option<usize>, Reject> {
        let Some(offset) = line_feed(&window[self.position..]) else {
            self.position = window.len();
            return Ok(None);
        };
        let line_feed = self.position + offset;
        if line_feed == self.line_start || window[line_feed - 1] != b'\r' {
            return Err(Reject::BareLineEnd);
        }
        self.position = line_feed + 1;
        Ok(Some(line_feed - 1))
    }
}

/// Where the first line feed is. Lines of a head are short as a rule, and for those a call of
/// `memchr` costs more than the search: it is left to what is longer.
#[inline]
fn line_feed(bytes: &[u8]) -> Option<usize> {
    const WORD: usize = size_of::<u64>();
    const LINE_FEEDS: u64 = u64::from_ne_bytes([b'\n'; WORD]);
    const ONES: u64 = u64::from_ne_bytes([1; WORD]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; WORD]);
    let short = &bytes[..bytes.len().min(SHORT)];
    let (words, rest) = short.as_chunks::<WORD>();
    for (index, word) in words.iter().enumerate() {
        // A zero byte is where the line feed was. What stands behind the first one may be wrong.
        let zeros = u64::from_le_bytes(*word) ^ LINE_FEEDS;
        let found = zeros.wrapping_sub(ONES) & !zeros & HIGHS;
        if found != 0 {
            return Some(index * WORD + found.trailing_zeros() as usize / 8);
        }
    }
    if bytes.len() > SHORT {
        return memchr(b'\n', &bytes[SHORT..]).map(|offset| SHORT + offset);
    }
    let offset = rest.iter().position(|&byte| byte == b'\n')?;
    Some(short.len() - rest.len() + offset)
}

/// Bytes of a line that are looked at without `memchr`; a multiple of a word. Most fields fit.
const SHORT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_feeds_are_found_wherever_they_are() {
        for length in 0..3 * SHORT {
            // Neighbours of a line feed in value, and bytes with the high bit, must not be taken
            // for one.
            for filler in [0, 9, 11, 0x0a | 0x80, 0xff, b'x'] {
                let mut bytes = vec![filler; length];
                assert_eq!(line_feed(&bytes), None);
                for first in (0..length).rev() {
                    bytes[first] = b'\n';
                    assert_eq!(line_feed(&bytes), Some(first), "{length} {filler}");
                }
            }
        }
    }

    /// A slow sender must not have its bytes looked at again with every one that arrives.
    #[test]
    fn scanned_bytes_are_not_scanned_again() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n";
        let mut scan = Scan::default();
        for length in 1..=bytes.len() {
            let window = &bytes[..length];
            if !scan.in_fields() {
                scan.first_line(window, 0).expect("CRLF only");
            }
            if scan.in_fields() {
                let section = scan.fields(window, 10).expect("CRLF only");
                assert!(section.is_none());
            }
            assert_eq!(scan.position, length);
        }
    }
}
