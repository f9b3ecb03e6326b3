//! Reads the field lines of a usual head in one pass: line ends, names, known names and values are
//! found in the same bytes while they are at hand.
//!
//! It knows no reasons. Whatever is not usual (an incomplete head, a tab, a line that may have to be
//! refused) is left to the careful way, a scan for the lines and httparse for what is in them,
//! which begins anew and has the verdict. What is accepted here is accepted there, and the same is
//! found in it: `tests/http1/ways.rs` holds the two against each other.

use super::{
    block::{self, Block},
    fields::{Field, Fields},
    known::Known,
    reject::Reject,
    span::Span,
};
use crate::header::is_token_byte;

impl Fields {
    /// Replaces the fields by those of the section that begins at `start`; `each` sees every known
    /// one. Where the section ends, its empty line included; `None` when it is not for this way.
    #[inline]
    pub(super) fn quick(
        &mut self,
        window: &[u8],
        start: usize,
        lines_max: usize,
        mut each: impl FnMut(Known, &[u8]) -> Result<(), Reject>,
    ) -> Option<usize> {
        self.clear();
        let mut line_start = start;
        for _ in 0..=lines_max {
            let block = Block::at(window, line_start)?;
            if block.number() as u16 == CRLF {
                return Some(line_start + 2);
            }
            let (field, line_end) = field(window, line_start, block)?;
            if let Some(known) = field.known {
                each(known, field.value.of(window)).ok()?;
            }
            self.push(field);
            line_start = line_end + 2;
        }
        None
    }
}

/// The field at `line_start`, where `first` stands, and where its line ends.
#[inline(always)]
fn field(window: &[u8], line_start: usize, first: Block) -> Option<(Field, usize)> {
    let mut from = line_start;
    let mut control = first.find_control();
    let mut colon = first.find(b':');
    while colon == block::LENGTH && control == block::LENGTH {
        from += block::LENGTH;
        let block = Block::at(window, from)?;
        control = block.find_control();
        colon = block.find(b':');
    }
    if colon > control {
        return None;
    }
    let name_end = from + colon;
    while control == block::LENGTH {
        from += block::LENGTH;
        control = Block::at(window, from)?.find_control();
    }
    let line_end = from + control;
    if *window.get(line_end..)?.first_chunk()? != *b"\r\n" {
        return None;
    }
    let name = window.get(line_start..name_end)?;
    let known = Known::of_block(first, name);
    if known.is_none() && !is_token(name) {
        return None;
    }
    let value = trim(window, name_end + 1, line_end)?;
    let field = Field {
        name: Span::new(line_start..name_end),
        value,
        known,
        passes: !known.is_some_and(Known::is_connection_bound),
        canonical: value.range().start == name_end + 2 && value.range().end == line_end,
    };
    Some((field, line_end))
}

/// Is it a token (RFC 9110 section 5.6.2)?
#[inline(always)]
fn is_token(name: &[u8]) -> bool {
    // Without a way out the loop needs one look-up for a byte and nothing else.
    !name.is_empty()
        & name
            .iter()
            .fold(true, |is_token, byte| is_token & is_token_byte(*byte))
}

/// The value between `start` and `end` without the spaces around it. There are no tabs in it.
#[inline(always)]
fn trim(window: &[u8], mut start: usize, mut end: usize) -> Option<Span> {
    while start < end && *window.get(start)? == b' ' {
        start += 1;
    }
    while start < end && *window.get(end - 1)? == b' ' {
        end -= 1;
    }
    Some(Span::new(start..end))
}

const CRLF: u16 = u16::from_le_bytes(*b"\r\n");
