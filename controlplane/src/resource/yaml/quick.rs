//! The YAML that nearly every file is written in, read in one pass.
//!
//! Block maps and lists, plain and quoted scalars that stand on one line, flow collections that do,
//! comments. Everything else (anchors, tags, escapes, text over several lines, keys in quotes,
//! empty values, and whatever is wrong) is left to the parser of the whole language, from the
//! beginning of the document; so nothing is reported here, and nothing is accepted that the other
//! would read in another way. A property test holds the two against each other.

use memchr::memchr_iter;

use super::{Entry, Node, Scalar, Span, Value, scalar};

/// The root of the document, which is not empty and holds no alias; `None`: it is not for this
/// reader. `line` is the number of lines before `text`.
pub(super) fn read(text: &str, line: usize) -> Option<Node<'_>> {
    let mut lines = Lines::new(text, line)?;
    let first = lines.next()?;
    // After a separator; what stands behind it on the line is not for this reader.
    let first = match first {
        Line {
            text: "---",
            indent: 0,
            ..
        } => lines.next()?,
        first => first,
    };
    if first.indent != 0 {
        return None;
    }
    let mut reader = Reader {
        lines,
        next: Some(first),
    };
    let root = reader.block(0, 0)?;
    reader.next.is_none().then_some(root)
}

/// What stands on a line.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// Without indentation, comment and spaces at the end; not empty.
    text: &'a str,
    /// Of the whole line, or of what is left of it after a dash.
    indent: usize,
    /// 1-based, in the file.
    number: u32,
}

impl Line<'_> {
    /// Where `offset` is in the file.
    fn span(&self, offset: usize) -> Option<Span> {
        Some(Span {
            line: self.number,
            column: u32::try_from(self.indent + offset + 1).ok()?,
        })
    }

    fn begins_item(&self) -> bool {
        self.text == "-" || self.text.starts_with("- ")
    }
}

/// Lines that hold more than a comment.
struct Lines<'a> {
    left: &'a str,
    number: u32,
    /// A line was met that is not for this reader.
    has_failed: bool,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, line: usize) -> Option<Self> {
        Some(Self {
            left: text,
            number: u32::try_from(line).ok()?,
            has_failed: false,
        })
    }

    fn next(&mut self) -> Option<Line<'a>> {
        while !self.left.is_empty() {
            self.number = self.number.saturating_add(1);
            let bytes = self.left.as_bytes();
            let is_space = |byte: &&u8| **byte == b' ';
            let indent = bytes.iter().take_while(is_space).count();
            // In one pass, since lines are short; nearly all are nothing but plain text.
            let mut is_plain = true;
            let ends_line = |byte: &u8| {
                is_plain &= OF_PLAIN[usize::from(*byte)];
                *byte == b'\n'
            };
            let length = bytes[indent..].iter().position(ends_line);
            let (text, left) = match length {
                // The line's end counts as plain.
                Some(length) => self.left[indent..].split_at(length),
                None => (&self.left[indent..], ""),
            };
            self.left = left.get(1..).unwrap_or_default();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let text = match is_plain {
                true => Some(without_spaces_at_end(text)),
                false => without_comment(text),
            };
            let Some(text) = text else {
                self.has_failed = true;
                return None;
            };
            return Some(Line {
                text,
                indent,
                number: self.number,
            });
        }
        None
    }
}

/// A line's content; `None` when it holds what is not for this reader: a character other than the
/// printable ones of ASCII, or quotes together with what might be a comment or not.
fn without_comment(text: &str) -> Option<&str> {
    let is_printable = |text: &str| {
        let printable = |all, byte| all & matches!(byte, b' '..=b'~');
        text.bytes().fold(true, printable)
    };
    let bytes = text.as_bytes();
    let mut signs = memchr_iter(b'#', bytes);
    let Some(end) = signs.find(|&sign| sign > 0 && bytes[sign - 1] == b' ') else {
        return is_printable(text).then(|| without_spaces_at_end(text));
    };
    let text = &text[..end];
    let is_clear = is_printable(text) && !text.contains(['"', '\'']);
    is_clear.then(|| without_spaces_at_end(text))
}

fn without_spaces_at_end(text: &str) -> &str {
    let last = text.bytes().rposition(|byte| byte != b' ');
    &text[..last.map_or(0, |last| last + 1)]
}

/// From the first byte on that is no space.
fn without_spaces(text: &str) -> &str {
    let first = text.bytes().position(|byte| byte != b' ');
    &text[first.unwrap_or(text.len())..]
}

struct Reader<'a> {
    lines: Lines<'a>,
    /// The line that is looked at, or what is left of it.
    next: Option<Line<'a>>,
}

impl<'a> Reader<'a> {
    fn advance(&mut self) -> Option<()> {
        self.next = self.lines.next();
        (!self.lines.has_failed).then_some(())
    }

    /// The block that begins at the next line, whose indentation is `indent`.
    fn block(&mut self, indent: usize, depth: usize) -> Option<Node<'a>> {
        if depth > DEPTH_MAX {
            return None;
        }
        let line = self.next?;
        let span = line.span(0)?;
        let value = match line.begins_item() {
            true => Value::List(self.list(indent, depth)?),
            false => Value::Map(self.map(indent, depth)?),
        };
        Some(Node { span, value })
    }

    /// The next line, if it belongs to the block of this indentation.
    fn line_at(&self, indent: usize) -> Option<Option<Line<'a>>> {
        match self.next {
            Some(line) if line.indent == indent => Some(Some(line)),
            // Text that goes on, or a mistake.
            Some(line) if line.indent > indent => None,
            Some(_) | None => Some(None),
        }
    }

    fn list(&mut self, indent: usize, depth: usize) -> Option<Vec<Node<'a>>> {
        let mut items = Vec::new();
        while let Some(line) = self.line_at(indent)? {
            if !line.begins_item() {
                break;
            }
            let rest = without_spaces(&line.text[1..]);
            if rest.is_empty() {
                self.advance()?;
                items.push(self.below(indent + 1, depth)?);
                continue;
            }
            let offset = line.text.len() - rest.len();
            let inner = Line {
                text: rest,
                indent: indent + offset,
                number: line.number,
            };
            let item = match inner.begins_item() || key(rest).is_some() {
                true => {
                    self.next = Some(inner);
                    self.block(inner.indent, depth + 1)?
                }
                false => self.inline(inner, 0, depth)?,
            };
            items.push(item);
        }
        Some(items)
    }

    fn map(&mut self, indent: usize, depth: usize) -> Option<Vec<Entry<'a>>> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        while let Some(line) = self.line_at(indent)? {
            let length = key(line.text)?;
            let (name, behind) = line.text.split_at(length);
            if entries.len() == ENTRIES_MAX || entries.iter().any(|entry| entry.has_key(name)) {
                return None;
            }
            let key_span = line.span(0)?;
            let rest = without_spaces(&behind[1..]);
            let node = if rest.is_empty() {
                self.advance()?;
                let line = self.next?;
                let is_list = line.begins_item();
                if line.indent == indent && line.text == "-" {
                    return None;
                }
                // A list may stand as far to the left as the key.
                let mut node = self.below(if is_list { indent } else { indent + 1 }, depth)?;
                if let Value::List(items) = &node.value
                    && node.span.column == key_span.column
                {
                    // The other parser places such a list at what its first dash begins.
                    node.span = items.first()?.span;
                }
                node
            } else {
                self.inline(line, line.text.len() - rest.len(), depth)?
            };
            entries.push(Entry {
                key: name.into(),
                key_span,
                node,
            });
        }
        Some(entries)
    }

    /// The block on the next lines, which is indented at least so far; an empty value is not for
    /// this reader.
    fn below(&mut self, indent_min: usize, depth: usize) -> Option<Node<'a>> {
        let line = self.next?;
        if line.indent < indent_min {
            return None;
        }
        // A value on a line of its own.
        if !line.begins_item() && key(line.text).is_none() {
            return None;
        }
        self.block(line.indent, depth + 1)
    }

    /// What begins at `offset` of `line` and ends with it.
    fn inline(&mut self, line: Line<'a>, offset: usize, depth: usize) -> Option<Node<'a>> {
        let mut flow = Flow { line, at: offset };
        let node = match flow.byte()? {
            b'[' | b'{' | b'"' | b'\'' => flow.value(depth + 1)?,
            _ => {
                let span = line.span(offset)?;
                let text = &line.text[offset..];
                if !begins_plain(text.as_bytes()) || has_key(text) {
                    return None;
                }
                flow.at = line.text.len();
                plain(text, span)?
            }
        };
        if flow.at != line.text.len() {
            return None;
        }
        self.advance()?;
        Some(node)
    }
}

/// Reads flow collections and scalars within a line.
struct Flow<'a> {
    line: Line<'a>,
    /// Next byte.
    at: usize,
}

impl<'a> Flow<'a> {
    fn byte(&self) -> Option<u8> {
        self.line.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.byte() == Some(b' ') {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Node<'a>> {
        if depth > DEPTH_MAX {
            return None;
        }
        let span = self.line.span(self.at)?;
        match self.byte()? {
            b'[' => {
                let value = Value::List(self.items(depth)?);
                Some(Node { span, value })
            }
            b'{' => {
                let value = Value::Map(self.entries(depth)?);
                Some(Node { span, value })
            }
            quote @ (b'"' | b'\'') => self.quoted(quote, span),
            _ => self.plain(span),
        }
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Node<'a>>> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_spaces();
        if self.ends(b']') {
            return Some(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.goes_on(b']')? {
                continue;
            }
            return Some(items);
        }
    }

    fn entries(&mut self, depth: usize) -> Option<Vec<Entry<'a>>> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        self.at += 1;
        self.skip_spaces();
        if self.ends(b'}') {
            return Some(entries);
        }
        loop {
            let rest = &self.line.text[self.at..];
            let length = key(rest).filter(|length| *length + 1 < rest.len())?;
            let name = &rest[..length];
            if entries.len() == ENTRIES_MAX || entries.iter().any(|entry| entry.has_key(name)) {
                return None;
            }
            let key_span = self.line.span(self.at)?;
            self.at += length + 1;
            self.skip_spaces();
            entries.push(Entry {
                key: name.into(),
                key_span,
                node: self.value(depth + 1)?,
            });
            if !self.goes_on(b'}')? {
                return Some(entries);
            }
        }
    }

    fn ends(&mut self, end: u8) -> bool {
        let ends = self.byte() == Some(end);
        self.at += usize::from(ends);
        ends
    }

    /// After a value: there is another, or the collection ends.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.skip_spaces();
        if self.ends(end) {
            return Some(false);
        }
        if self.byte()? != b',' {
            return None;
        }
        self.at += 1;
        self.skip_spaces();
        Some(true)
    }

    /// Text in quotes without an escape. What follows must not make it a key.
    fn quoted(&mut self, quote: u8, span: Span) -> Option<Node<'a>> {
        let begin = self.at + 1;
        let inner = &self.line.text[begin..];
        let length = inner.bytes().position(|byte| byte == quote)?;
        let text = &inner[..length];
        let behind = inner.as_bytes().get(length + 1);
        if !matches!(behind, None | Some(b' ' | b',' | b']' | b'}'))
            || quote == b'"' && text.contains('\\')
        {
            return None;
        }
        self.at = begin + length + 1;
        let value = Value::Scalar(Scalar::Text(text.into()));
        Some(Node { span, value })
    }

    /// Plain text up to what ends it in a flow collection.
    fn plain(&mut self, span: Span) -> Option<Node<'a>> {
        let rest = &self.line.text[self.at..];
        let ends = |byte: u8| matches!(byte, b',' | b'[' | b']' | b'{' | b'}');
        let length = rest.bytes().position(ends)?;
        let text = without_spaces_at_end(&rest[..length]);
        if !begins_plain(text.as_bytes()) || has_key(text) {
            return None;
        }
        self.at += length;
        plain(text, span)
    }
}

/// A colon stands in it that ends a key.
fn has_key(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr_iter(b':', bytes).any(|colon| matches!(bytes.get(colon + 1), None | Some(b' ')))
}

fn plain(text: &str, span: Span) -> Option<Node<'_>> {
    let value = Value::Scalar(scalar::resolve(text.into(), true, None).ok()?);
    Some(Node { span, value })
}

/// Text that begins so is a plain scalar and nothing else.
fn begins_plain(text: &[u8]) -> bool {
    match text {
        [first, ..] if first.is_ascii_alphanumeric() => true,
        [b'/' | b'_' | b'.' | b'+' | b'^' | b'$' | b'(', ..] => true,
        [b'-', second, ..] => second.is_ascii_alphanumeric(),
        _ => false,
    }
}

/// The length of the key that `text` begins with; behind it is a colon, and then a space or
/// nothing.
fn key(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if !bytes.first()?.is_ascii_alphanumeric() {
        return None;
    }
    let length = bytes
        .iter()
        .take(KEY_BYTES_MAX)
        .position(|&byte| !OF_KEYS[usize::from(byte)])?;
    let is_key = bytes[length] == b':' && matches!(bytes.get(length + 1), None | Some(b' '));
    is_key.then_some(length)
}

/// Whether a byte is a printable character and begins no comment, or ends a line.
const OF_PLAIN: [bool; 256] = {
    let mut of_plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        of_plain[byte as usize] = byte != b'#';
        byte += 1;
    }
    of_plain[b'\n' as usize] = true;
    of_plain
};

/// Whether a byte may stand in a key.
const OF_KEYS: [bool; 256] = {
    let mut of_keys = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let ascii = byte as u8;
        of_keys[byte] = ascii.is_ascii_alphanumeric() || matches!(ascii, b'_' | b'-' | b'.' | b'/');
        byte += 1;
    }
    of_keys
};

/// Deeper documents are left to the other parser, which has a limit of its own.
const DEPTH_MAX: usize = 40;
/// Names of greater maps would have to be compared by a table.
const ENTRIES_MAX: usize = 64;
/// Longer ones are no keys to YAML beyond 1024 characters.
const KEY_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests;
