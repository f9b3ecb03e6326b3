//! Which values of a type a key takes, as a check and as words.

use std::fmt::Write as _;

use toml::{Spanned, de::DeValue};

use super::{read::Report, setting::Setting};

/// A condition on the value of a key.
pub(super) struct Constraint<T> {
    /// `1 to 1024`; empty when every value is taken.
    pub(super) text: String,
    check: Box<dyn Fn(&T) -> bool>,
}

impl<T: Setting + 'static> Constraint<T> {
    /// Every value is taken.
    pub(super) fn none() -> Self {
        Self {
            text: String::new(),
            check: Box::new(|_| true),
        }
    }

    /// Both hold.
    pub(super) fn and(self, other: Self) -> Self {
        let mut text = self.text;
        if !text.is_empty() {
            text.push_str(", ");
        }
        let _ = write!(text, "{}", other.text);
        Self {
            text,
            check: Box::new(move |value| (self.check)(value) && (other.check)(value)),
        }
    }

    /// Whether `value` is taken; if not, `report` says so at the place it was read from.
    pub(super) fn holds(
        &self,
        value: &T,
        place: &Spanned<DeValue<'_>>,
        report: &mut Report<'_>,
    ) -> bool {
        let holds = (self.check)(value);
        if !holds {
            report.problem(
                place.span(),
                format!("{} is not permitted", value.write()),
                Some(format!("permitted: {}", self.text)),
            );
        }
        holds
    }
}

/// From `low` to `high`, both included.
pub(super) fn between<T: Setting + PartialOrd + 'static>(low: T, high: T) -> Constraint<T> {
    Constraint {
        text: format!("{} to {}", bare(&low), bare(&high)),
        check: Box::new(move |value| *value >= low && *value <= high),
    }
}

/// A power of two from `low` to `high`.
pub(super) fn power_of_two(low: u32, high: u32) -> Constraint<u32> {
    Constraint {
        text: format!("a power of two from {low} to {high}"),
        check: Box::new(move |value| value.is_power_of_two() && (low..=high).contains(value)),
    }
}

/// What may stand in a path of the registry and in a metric's label without escapes.
pub(super) fn identifier() -> Constraint<String> {
    Constraint {
        text: "at most 253 letters, digits, `-`, `.` and `_`".to_owned(),
        check: Box::new(|value| {
            value.len() <= 253
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }),
    }
}

/// What may be the value of a header field as a whole (RFC 9110 section 5.5).
pub(super) fn field_value() -> Constraint<String> {
    Constraint {
        text: "1 to 253 visible ASCII characters, spaces within".to_owned(),
        check: Box::new(|value| {
            let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
            (1..=253).contains(&value.len())
                && value.bytes().all(is_visible)
                && value.trim_matches(' ').len() == value.len()
        }),
    }
}

fn bare<T: Setting>(value: &T) -> String {
    value.write().trim_matches('"').to_owned()
}
