//! Cuts a stream of YAML documents into texts with one document each.

use super::{Span, SyntaxError};

/// The documents of `text`, each with the number of lines before it. A line that begins with `---`
/// or `...` ends a document wherever it stands.
pub(super) fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let mut position = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = position + line.len();
        if is_marker(line, "---") {
            documents.push((start_line, &text[start..position]));
            (start, start_line) = (position, number);
        } else if is_marker(line, "...") {
            documents.push((start_line, &text[start..position]));
            (start, start_line) = (end, number + 1);
        }
        position = end;
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| has_content(document.strip_prefix("---").unwrap_or(document)));
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Comments and directives (`%YAML 1.2`) before a separator are no document.
fn has_content(document: &str) -> bool {
    document.lines().any(|line| {
        !(line.trim_start().starts_with('#') || line.starts_with('%') || line.trim().is_empty())
    })
}

/// # Errors
/// The first character that YAML text cannot hold (YAML 1.2.2 production 1), or a line that ends
/// with CR alone, which would make the line numbers of messages wrong.
pub(super) fn check_characters(text: &str) -> Result<(), SyntaxError> {
    let forbidden = |(index, byte): (usize, &u8)| match byte {
        b'\t' | b'\n' => false,
        b'\r' => text.as_bytes().get(index + 1) != Some(&b'\n'),
        _ => *byte < 0x20 || *byte == 0x7f,
    };
    let Some(index) = text
        .bytes()
        .enumerate()
        .position(|(index, byte)| forbidden((index, &byte)))
    else {
        return Ok(());
    };
    let before = &text[..index];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let span = Span {
        line: number(line),
        column: number(column),
    };
    let byte = text.as_bytes()[index];
    if byte == b'\r' {
        let message = "a line ends with a carriage return alone";
        return Err(SyntaxError::new(span, message).hint("end lines with a line feed"));
    }
    let message = format!("not YAML: it holds the control character 0x{byte:02x}");
    Err(SyntaxError::new(span, message).hint("write it as an escape in double quotes"))
}
