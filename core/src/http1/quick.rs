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
        loop {
            let line_end = block::find_control(window, line_start)?;
            if *window.get(line_end..)?.first_chunk()? != *b"\r\n" {
                return None;
            }
            if line_end == line_start {
                return Some(line_end + 2);
            }
            let field = field(window, line_start, line_end)?;
            if let Some(known) = field.known {
                each(known, field.value.of(window)).ok()?;
            }
            self.push(field);
            if self.iter().len() > lines_max {
                return None;
            }
            line_start = line_end + 2;
        }
    }
}

/// The field of a line that is not empty and holds no control character.
#[inline(always)]
fn field(window: &[u8], line_start: usize, line_end: usize) -> Option<Field> {
    let first = Block::at(window, line_start)?;
    let mut name_end = line_start + first.find(b':');
    if name_end == line_start + block::LENGTH {
        name_end = find_colon(window.get(name_end..line_end)?)? + name_end;
    }
    if name_end >= line_end {
        return None;
    }
    let name = window.get(line_start..name_end)?;
    let known = Known::of_block(first, name);
    if known.is_none() && !is_token(name) {
        return None;
    }
    let mut start = name_end + 1;
    while start < line_end && window[start] == b' ' {
        start += 1;
    }
    let mut end = line_end;
    while start < end && window[end - 1] == b' ' {
        end -= 1;
    }
    Some(Field {
        name: Span::new(line_start..name_end),
        value: Span::new(start..end),
        known,
        passes: !known.is_some_and(Known::is_connection_bound),
        canonical: start == name_end + 2 && end == line_end,
    })
}

/// The colon of a long name.
#[inline(never)]
fn find_colon(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|&byte| byte == b':')
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
