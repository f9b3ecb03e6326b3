//! What a scalar means: the core schema of YAML 1.2.2 (section 10.3.2).

use std::borrow::Cow;

use saphyr_parser::Tag;

/// A value that is neither list nor map. Numbers keep the text they were written with. Text is that
/// of the file where it stands there as it is meant.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::resource) enum Scalar<'t> {
    /// Nothing, `~`, `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 64 bits.
    Integer(i64, Cow<'t, str>),
    /// Any other number.
    Float(f64, Cow<'t, str>),
    /// Everything else, and everything in quotes.
    Text(Cow<'t, str>),
}

/// # Errors
/// A tag that does not fit, as a sentence.
pub(super) fn resolve<'t>(
    text: Cow<'t, str>,
    plain: bool,
    tag: Option<&Tag>,
) -> Result<Scalar<'t>, String> {
    let Some(tag) = tag else {
        return Ok(match plain {
            true => resolve_plain(text),
            false => Scalar::Text(text),
        });
    };
    if tag.handle.is_empty() && tag.suffix == "!" || tag.handle == "!" && tag.suffix.is_empty() {
        return Ok(Scalar::Text(text));
    }
    if !tag.is_yaml_core_schema() {
        return Err(unknown_tag(tag));
    }
    let resolved = resolve_plain(text.clone());
    match (tag.suffix.as_str(), &resolved) {
        ("str", _) => Ok(Scalar::Text(text)),
        ("null", Scalar::Null)
        | ("bool", Scalar::Boolean(_))
        | ("int", Scalar::Integer(..))
        | ("float", Scalar::Float(..) | Scalar::Integer(..)) => Ok(resolved),
        ("null" | "bool" | "int" | "float", _) => Err(format!(
            "`{text}` is not what its tag `!!{}` says",
            tag.suffix
        )),
        _ => Err(unknown_tag(tag)),
    }
}

pub(super) fn unknown_tag(tag: &Tag) -> String {
    format!("the tag `{}{}` has no meaning here", tag.handle, tag.suffix)
}

fn resolve_plain(text: Cow<'_, str>) -> Scalar<'_> {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Boolean(true),
        "false" | "False" | "FALSE" => return Scalar::Boolean(false),
        _ => {}
    }
    if let Some(number) = integer(&text) {
        return Scalar::Integer(number, text);
    }
    if let Some(number) = float(&text) {
        return Scalar::Float(number, text);
    }
    Scalar::Text(text)
}

/// `[-+]?[0-9]+`, `0o[0-7]+`, `0x[0-9a-fA-F]+`, as far as 64 bits go.
fn integer(text: &str) -> Option<i64> {
    let digits = |digits: &str, radix| {
        let valid = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        valid.then(|| i64::from_str_radix(digits, radix).ok())?
    };
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits(unsigned, 10)?;
    text.parse().ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, `.inf` and `.nan`.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => return Some(f64::NEG_INFINITY),
        ".inf" | ".Inf" | ".INF" => return Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    // What is left of the grammar is that of `f64`, but for its words for infinity and NaN.
    let begins = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let valid = begins && unsigned.contains(|digit: char| digit.is_ascii_digit());
    valid.then(|| text.parse().ok())?
}
