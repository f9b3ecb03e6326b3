//! A [`Tuning`] as commented TOML, and the reference of all keys as Markdown.

use std::fmt::Write as _;

use super::{Tuning, section::Key};

/// Every key with its meaning; the comment names the default where the value differs from it.
pub(super) fn toml(tuning: &Tuning) -> String {
    let mut text = String::new();
    for section in tuning.sections() {
        if !text.is_empty() {
            text.push('\n');
        }
        comment(&mut text, &section.about());
        let _ = writeln!(text, "[{}]", section.name());
        for key in section.keys() {
            text.push('\n');
            comment(&mut text, &key.doc);
            comment(&mut text, &facts(&key));
            let _ = writeln!(text, "{} = {}", key.name, key.value);
        }
    }
    text
}

/// The reference of every key, for `docs/configuration.md`.
pub fn reference() -> String {
    let mut text = String::new();
    for section in Tuning::default().sections() {
        let _ = writeln!(text, "### `[{}]`\n", section.name());
        wrapped(&mut text, "", &section.about());
        text.push_str("\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
        for key in section.keys() {
            let limits = if key.limits.is_empty() {
                String::new()
            } else {
                format!(", {}", key.limits)
            };
            let _ = writeln!(
                text,
                "| `{}` | {}{limits} | `{}` | {} |",
                key.name, key.form, key.default, key.doc
            );
        }
        text.push('\n');
    }
    text
}

fn facts(key: &Key) -> String {
    let mut facts = key.form.replace('`', "");
    if !key.limits.is_empty() {
        let _ = write!(facts, ", {}", key.limits.replace('`', ""));
    }
    if key.value != key.default {
        let _ = write!(facts, "; default {}", key.default);
    }
    format!("({facts})")
}

/// Writes `paragraph` as comment lines.
fn comment(text: &mut String, paragraph: &str) {
    wrapped(text, "# ", paragraph);
}

/// Writes `paragraph` as lines that begin with `start`, of at most 100 columns.
fn wrapped(text: &mut String, start: &str, paragraph: &str) {
    let mut column = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        match column {
            0 => text.push_str(start),
            _ if column + 1 + length > 100 => {
                text.push('\n');
                text.push_str(start);
                column = 0;
            }
            _ => {
                text.push(' ');
                column += 1;
            }
        }
        if column == 0 {
            column = start.len();
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}
