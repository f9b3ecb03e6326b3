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

    /// Something of the message was looked at already.
    pub(super) fn has_begun(&self) -> bool {
        self.position != 0
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
        let Some(offset) = memchr(b'\n', &window[self.position..]) else {
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

#[cfg(test)]
mod tests {
    use super::*;

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
