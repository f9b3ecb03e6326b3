//! Reads the field lines of a usual head in one pass: line ends, names, known names and values are
//! found in the same bytes while they are at hand.
//!
//! It knows no reasons. Whatever is not usual (an incomplete head, a tab, a line that may have to
//! be refused) is left to the careful way, a scan for the lines and httparse for what is in them,
//! which begins anew and has the verdict. What is accepted here is accepted there, and the same is
//! found in it: `tests/http1/ways.rs` holds the two against each other.

use super::{
    block::{self, Block},
    fields::{Field, Fields},
    known::Known,
    reject::Reject,
    span::Span,
};
use crate::header::is_token;

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
        while window.get(line_start..)?.first_chunk()? != b"\r\n" {
            let (field, line_end) = field(window, line_start)?;
            if let Some(known) = field.known {
                each(known, field.value.of(window)).ok()?;
            }
            self.push(field);
            if self.iter().len() > lines_max {
                return None;
            }
            line_start = line_end;
        }
        Some(line_start + 2)
    }
}

/// The field of the line that begins at `line_start`, and where the next line begins.
#[inline(always)]
fn field(window: &[u8], line_start: usize) -> Option<(Field, usize)> {
    let first = Block::at(window, line_start)?;
    let mut name_end = line_start + first.find(b':');
    if name_end == line_start + block::LENGTH {
        name_end = find_colon(window.get(name_end..)?)? + name_end;
    }
    // Also refuses what a colon of a later line would be the end of: no name holds a line end.
    let name = window.get(line_start..name_end)?;
    let known = Known::of_block(first, name);
    if known.is_none() && !is_token(name) {
        return None;
    }
    let line_end = block::find_control(window, name_end + 1)?;
    if window.get(line_end..)?.first_chunk()? != b"\r\n" {
        return None;
    }
    // As nearly every sender writes it: one space, and none at the end.
    let value = window.get(name_end + 1..line_end)?;
    let (start, end) = match value {
        [b' ', first, ..] if *first != b' ' && value[value.len() - 1] != b' ' => {
            (name_end + 2, line_end)
        }
        _ => trim(value, name_end + 1),
    };
    let field = Field {
        name: Span::new(line_start..name_end),
        value: Span::new(start..end),
        known,
        passes: !known.is_some_and(Known::is_connection_bound),
        canonical: start == name_end + 2 && end == line_end,
    };
    Some((field, line_end + 2))
}

/// Where `value`, which begins at `start`, stands without the spaces around it. There are no tabs.
#[inline(never)]
fn trim(value: &[u8], start: usize) -> (usize, usize) {
    let left = value.trim_ascii_start();
    let start = start + value.len() - left.len();
    (start, start + left.trim_ascii_end().len())
}

/// The colon of a long name.
#[inline(never)]
fn find_colon(rest: &[u8]) -> Option<usize> {
    rest.iter().position(|&byte| byte == b':')
}
