//! Cuts a stream of YAML documents into texts with one document each.

use memchr::{memchr, memchr_iter};

use super::{Span, SyntaxError};

/// The documents of `text`, each with the number of lines before it. A line that begins with `---`
/// or `...` ends a document wherever it stands.
pub(super) fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    let ends = memchr_iter(b'\n', text.as_bytes()).map(|end| end + 1);
    for (number, position) in std::iter::once(0).chain(ends).enumerate() {
        let rest = &text[position..];
        if !rest.starts_with(['-', '.']) {
            continue;
        }
        if is_marker(rest, "---") {
            documents.push((start_line, &text[start..position]));
            (start, start_line) = (position, number);
        } else if is_marker(rest, "...") {
            let line = memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
            documents.push((start_line, &text[start..position]));
            (start, start_line) = (position + line, number + 1);
        }
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| has_content(document.strip_prefix("---").unwrap_or(document)));
    documents
}

/// `text` begins with a line that is one.
fn is_marker(text: &str, marker: &str) -> bool {
    text.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Comments and directives (`%YAML 1.2`) before a separator are no document.
fn has_content(document: &str) -> bool {
    // What it begins with as a rule.
    if document.starts_with("\napiVersion:") {
        return true;
    }
    document.lines().any(|line| {
        !(line.trim_start().starts_with('#') || line.starts_with('%') || line.trim().is_empty())
    })
}

/// # Errors
/// The first character that YAML text cannot hold (YAML 1.2.2 production 1; in quotes, too, as
/// `kubectl` has it), a byte order mark that is not at the beginning of the file, or a line that
/// ends with CR alone, which would make the line numbers of messages wrong.
pub(super) fn check_characters(text: &str) -> Result<(), SyntaxError> {
    // One pass without a branch: nearly every text has none of them.
    if !text
        .bytes()
        .fold(false, |any, byte| any | may_begin_forbidden(byte))
    {
        return Ok(());
    }
    let ends_line = |index: usize| text.as_bytes().get(index + 1) == Some(&b'\n');
    let forbidden = |&(index, character): &(usize, char)| match character {
        '\r' => !ends_line(index),
        character => is_forbidden(character),
    };
    let Some((index, character)) = text.char_indices().find(forbidden) else {
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
    let (message, hint) = match character {
        '\r' => (
            "a line ends with a carriage return alone".to_owned(),
            "end lines with a line feed",
        ),
        BYTE_ORDER_MARK => (
            "a byte order mark stands within the file".to_owned(),
            "remove it; it has a meaning only at the beginning of a file",
        ),
        character => (
            format!(
                "not YAML: it holds the character U+{:04X}, which no text may hold",
                u32::from(character)
            ),
            "write it as an escape in double quotes",
        ),
    };
    Err(SyntaxError::new(span, message).hint(hint))
}

/// Apart from CR, which depends on what follows.
fn is_forbidden(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        character => {
            character.is_control() || matches!(character, BYTE_ORDER_MARK | '\u{fffe}' | '\u{ffff}')
        }
    }
}

/// Whether some character that is looked at further begins with this byte in UTF-8: CR and all that
/// [`is_forbidden`], that is C0 and DEL as they are, C1 behind C2, the others behind EF.
const fn may_begin_forbidden(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t' && byte != b'\n' || matches!(byte, 0x7f | 0xc2 | 0xef)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{check_characters, is_forbidden, may_begin_forbidden};

    /// YAML 1.2.2 production 1, as it is written there; production 27 takes the byte order mark
    /// out.
    fn is_printable(character: char) -> bool {
        let listed = matches!(
            character,
            '\t' | '\n'
                | '\r'
                | '\u{20}'..='\u{7e}'
                | '\u{85}'
                | '\u{a0}'..='\u{d7ff}'
                | '\u{e000}'..='\u{fffd}'
                | '\u{10000}'..='\u{10ffff}'
        );
        listed && character != '\u{feff}'
    }

    /// The first character that is wrong, looked for without any haste: its line and column.
    fn first_wrong(text: &str) -> Option<(u32, u32)> {
        let (mut line, mut column) = (1, 1);
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let is_lone = character == '\r' && characters.peek() != Some(&'\n');
            if is_lone || !is_printable(character) {
                return Some((line, column));
            }
            match character {
                '\n' => (line, column) = (line + 1, 1),
                _ => column += 1,
            }
        }
        None
    }

    fn check(text: &str) -> Result<(), TestCaseError> {
        let found = check_characters(text).err();
        let place = found.map(|error| (error.span.line, error.span.column));
        prop_assert_eq!(place, first_wrong(text), "{:?}", text);
        Ok(())
    }

    #[test]
    fn every_character_there_is() {
        for character in '\0'..=char::MAX {
            assert_eq!(
                is_forbidden(character),
                !is_printable(character),
                "{character:?}"
            );
            let first = character.encode_utf8(&mut [0; 4]).as_bytes()[0];
            let is_looked_at = character == '\r' || is_forbidden(character);
            assert!(
                !is_looked_at || may_begin_forbidden(first),
                "{character:?} would be passed over"
            );
        }
    }

    #[test]
    fn what_is_said_of_them() {
        for (text, expected) in [
            (
                "a: \u{9b}",
                "1:4 not YAML: it holds the character U+009B, which no text may hold; write it as \
                 an escape in double quotes",
            ),
            (
                "a: 1\nb: \"\u{ffff}\"",
                "2:5 not YAML: it holds the character U+FFFF, which no text may hold; write it as \
                 an escape in double quotes",
            ),
            (
                "a: 1\n\u{feff}---\nb: 1",
                "2:1 a byte order mark stands within the file; remove it; it has a meaning only at \
                 the beginning of a file",
            ),
            (
                "a: ä§\r",
                "1:6 a line ends with a carriage return alone; end lines with a line feed",
            ),
        ] {
            let error = check_characters(text).expect_err("it is wrong");
            let (line, column) = (error.span.line, error.span.column);
            let hint = error.hint.unwrap_or_default();
            let said = format!("{line}:{column} {}; {hint}", error.message);
            assert_eq!(said, expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_first_that_is_wrong_is_found(
            pieces in prop::collection::vec(
                prop_oneof![
                    4 => "[ -~]{0,40}",
                    2 => prop::sample::select(vec![
                        "\n", "\r\n", "\r", "\t", "\0", "\u{1f}", "\u{7f}", "\u{80}", "\u{84}",
                        "\u{85}",
                        "\u{86}", "\u{9f}", "\u{a0}", "§", "ä", "\u{d7ff}", "\u{e000}", "\u{feff}",
                        "\u{fffd}", "\u{fffe}", "\u{ffff}", "\u{10000}", "\u{10ffff}", "漢",
                    ]).prop_map(str::to_owned),
                    1 => any::<char>().prop_map(String::from),
                ],
                0..12,
            ),
        ) {
            check(&pieces.concat())?;
        }
    }
}
