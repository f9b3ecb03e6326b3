//! Settings that cannot all be meant, told in one way whatever the kind of resource.
//!
//! - Two that both say what to do, of which one would have to give way, exclude each other: an
//!   error, since nobody knows which one is meant ([`exclude`]).
//! - One that says something of what the other does not do has no effect: a warning, since the rest
//!   is clear ([`without_effect`]).
//! - Conditions that no request meets: a warning at the condition, since the rule is as good as not
//!   there ([`never()`]). Only what holds for every proxy, however it is tuned, is told so.

use ringmain_config::route::StringMatch;
use ringmain_core::header::is_control_byte;

use super::{
    cursor::{Cursor, Fault, Report},
    format,
};

/// Two fields of `owner`, if it has both. Told at the second.
pub(super) fn exclude_each_other(
    owner: &Cursor<'_>,
    (first, second): (&str, &str),
    report: &mut Report,
) {
    if owner.field(first).is_some()
        && let Some(field) = owner.field(second)
    {
        exclude(
            &field,
            (&format!("`{first}`"), &format!("`{second}`")),
            report,
        );
    }
}

/// What is called so excludes what is called so.
pub(super) fn exclude(at: &Cursor<'_>, (first, second): (&str, &str), report: &mut Report) {
    let fault = Fault::new(format!("{first} and {second} exclude each other"));
    report.error(at, fault.hint("remove one of them"));
}

/// The value of `name`, which says something of what `other` does not do, and why.
pub(super) fn without_effect(
    at: &Cursor<'_>,
    name: &str,
    (other, why): (&str, &str),
    report: &mut Report,
) {
    let message = format!("`{name}` has no effect with `{other}`: {why}");
    report.warning(at, Fault::new(message).hint("remove it"));
}

/// A condition that no request meets.
pub(super) fn never(at: &Cursor<'_>, why: impl Into<String>, report: &mut Report) {
    let why = why.into();
    report.warning(at, Fault::new(format!("no request matches: {why}")));
}

/// Why no path meets this condition. `*` is that of `OPTIONS *`.
pub(super) fn never_a_path(condition: &StringMatch) -> Option<String> {
    let (StringMatch::Exact(text) | StringMatch::Prefix(text)) = condition else {
        return None;
    };
    let shown = format::shown(text);
    if !text.starts_with('/') && text != "*" {
        return Some(format!("the path `{shown}` does not begin with `/`"));
    }
    let part = ['?', '#'].into_iter().find(|part| text.contains(*part))?;
    Some(format!("no path holds `{part}`, as `{shown}` does"))
}

/// Why no request has such a scheme.
pub(super) fn never_a_scheme(condition: &StringMatch) -> Option<String> {
    let is_any = match condition {
        StringMatch::Exact(text) => SCHEMES.contains(&text.as_str()),
        StringMatch::Prefix(text) => SCHEMES.iter().any(|scheme| scheme.starts_with(text)),
        StringMatch::Regex(_) | StringMatch::Present => true,
    };
    (!is_any).then(|| "a scheme is `http` or `https`".to_owned())
}

const SCHEMES: [&str; 2] = ["http", "https"];

/// Why no request with such a method gets as far as rules.
pub(super) fn never_a_method(condition: &StringMatch) -> Option<String> {
    let is_refused = matches!(condition, StringMatch::Exact(text) if text == "CONNECT");
    is_refused.then(|| "requests with the method CONNECT are refused".to_owned())
}

/// Why no field of a request has such a value.
pub(super) fn never_a_value(condition: &StringMatch) -> Option<String> {
    let text = match condition {
        StringMatch::Exact(text) | StringMatch::Prefix(text) => text,
        StringMatch::Regex(_) | StringMatch::Present => return None,
    };
    let ends = match condition {
        StringMatch::Exact(text) => text.trim_ascii(),
        _ => text.trim_ascii_start(),
    };
    if text.bytes().any(is_control_byte) {
        return Some("no header holds a line break or another control character".to_owned());
    }
    (ends.len() < text.len()).then(|| "white space around values is no part of them".to_owned())
}

#[cfg(test)]
mod tests {
    use ringmain_config::route::StringMatch::{self, Exact, Prefix, Present, Regex};

    use super::{never_a_method, never_a_path, never_a_scheme, never_a_value};

    #[test]
    fn what_is_never_met() {
        type Check = fn(&StringMatch) -> Option<String>;
        let exact = |text: &str| Exact(text.to_owned());
        let prefix = |text: &str| Prefix(text.to_owned());
        let path: Check = never_a_path;
        for (check, condition, is_met) in [
            (path, exact("/a"), true),
            (path, exact("*"), true),
            (path, exact("/a//b"), true),
            (path, exact("/a/../b"), true),
            (path, Regex("a".to_owned()), true),
            (path, exact("a"), false),
            (path, prefix("a"), false),
            (path, exact("/a?b"), false),
            (path, prefix("/a#"), false),
            (never_a_scheme, exact("https"), true),
            (never_a_scheme, prefix("htt"), true),
            (never_a_scheme, exact("HTTP"), false),
            (never_a_scheme, prefix("ftp"), false),
            (never_a_method, exact("get"), true),
            (never_a_method, exact("CONNECT"), false),
            (never_a_value, exact("a b\tc"), true),
            (never_a_value, prefix("a "), true),
            (never_a_value, Present, true),
            (never_a_value, exact("a\r\nb"), false),
            (never_a_value, exact("a "), false),
            (never_a_value, prefix(" a"), false),
        ] {
            assert_eq!(check(&condition).is_none(), is_met, "{condition:?}");
        }
    }
}
