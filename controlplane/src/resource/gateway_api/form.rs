//! Forms that texts of the Gateway API have.

use std::{net::IpAddr, time::Duration};

use ringmain_core::path;

use crate::resource::{cursor::Fault, format};

/// `Hostname`: a name or `*.` and a name, and no address.
pub(super) fn hostname(text: &str) -> Result<(), Fault> {
    format::partial_wildcard_host(text)?;
    not_address(text)
}

/// `PreciseHostname`: a name without wildcard, and no address.
pub(super) fn precise_hostname(text: &str) -> Result<(), Fault> {
    format::host(text)?;
    not_address(text)
}

fn not_address(text: &str) -> Result<(), Fault> {
    if text.parse::<IpAddr>().is_err() {
        return Ok(());
    }
    let message = format!("`{}` is an address, not a host name", format::shown(text));
    Err(Fault::new(message))
}

/// `Duration` of GEP-2257: one to four numbers of up to five digits, each with h, m, s or ms.
pub(super) fn duration(text: &str) -> Result<(), Fault> {
    if parse_duration(text).is_some() {
        return Ok(());
    }
    let fault = Fault::new(format!("`{}` is not a duration", format::shown(text)));
    Err(fault.hint("write whole numbers with h, m, s or ms, like `10s`, `500ms` or `1m30s`"))
}

/// What [`duration`] lets pass.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut parts = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = rest[digits..].bytes().take_while(u8::is_ascii_lowercase);
        let end = digits + unit.count();
        let is_unit = ["h", "m", "s", "ms"].contains(&rest.get(digits..end)?);
        if !(1..=5).contains(&digits) || !is_unit {
            return None;
        }
        parts += 1;
        rest = &rest[end..];
    }
    let is_whole = (1..=4).contains(&parts);
    format::duration(text).filter(|_| is_whole)
}

/// The path of an exact match or of a prefix: `HTTPPathMatch.value`.
pub(super) fn path(text: &str) -> Result<(), Fault> {
    let shown = format::shown(text);
    if !text.starts_with('/') {
        let fault = Fault::new(format!("the path `{shown}` does not begin with `/`"));
        return Err(fault.hint(format!("write `/{shown}`")));
    }
    for part in ["//", "%2f", "%2F", "#", "?"] {
        if text.contains(part) {
            let message = format!("the path `{shown}` holds `{part}`: no request would match");
            return Err(Fault::new(message));
        }
    }
    if path::is_canonical(text) {
        return Ok(());
    }
    let fault = Fault::new(format!(
        "the path `{shown}` is not in canonical form: no request would match"
    ));
    Err(match path::canonical(text) {
        Ok(canonical) => fault.hint(format!("write `{}`", format::shown(&canonical))),
        Err(_) => fault,
    })
}

/// What replaces a path or a prefix of one in a rewrite.
pub(super) fn replacement(text: &str) -> Result<(), Fault> {
    path::check_replacement(text).map_err(unfit)
}

/// What replaces the path in a redirect; may have a query.
pub(super) fn reference(text: &str) -> Result<(), Fault> {
    path::check_reference(text).map_err(unfit)
}

fn unfit(unfit: path::Unfit) -> Fault {
    let fault = Fault::new(unfit.message);
    match unfit.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// An origin of `allowOrigins`: `*`, or `scheme://host` with or without a port, where `*` stands
/// for any characters of the host or for any port.
pub(super) fn origin(text: &str) -> Result<(), Fault> {
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*[]".contains(&byte);
    let is_port = |port: &str| port == "*" || port.parse::<u16>().is_ok();
    let is_origin = text.split_once("://").is_some_and(|(scheme, rest)| {
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        !scheme.is_empty()
            && scheme.bytes().all(is_scheme)
            && !host.is_empty()
            && host.bytes().all(|byte| is_host(byte) || byte == b':')
            && port.is_none_or(is_port)
    });
    if text == "*" || is_origin {
        return Ok(());
    }
    let fault = Fault::new(format!("`{}` is not an origin", format::shown(text)));
    Err(fault.hint("write `*`, `https://example.com` or `https://*.example.com`"))
}

/// The name of a gRPC service: words with dots between them.
pub(super) fn rpc_service(text: &str) -> Result<(), Fault> {
    let name = text.strip_prefix('.').unwrap_or(text);
    if name.split('.').all(is_word) {
        return Ok(());
    }
    let fault = Fault::new(format!(
        "`{}` is not the name of a gRPC service",
        format::shown(text)
    ));
    Err(fault.hint("write it like `package.Service`, or use `type: RegularExpression`"))
}

/// The name of a gRPC method.
pub(super) fn rpc_method(text: &str) -> Result<(), Fault> {
    if is_word(text) {
        return Ok(());
    }
    let fault = Fault::new(format!(
        "`{}` is not the name of a gRPC method",
        format::shown(text)
    ));
    Err(fault.hint("write it like `GetUser`, or use `type: RegularExpression`"))
}

fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    let begins = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("0s", Some(0)),
            ("10s", Some(10_000)),
            ("1h2m3s4ms", Some(3_723_004)),
            ("500ms", Some(500)),
            ("99999h", Some(99_999 * 3_600_000)),
            ("", None),
            ("10", None),
            ("1.5s", None),
            ("123456s", None),
            ("1s1s1s1s1s", None),
            ("1us", None),
            ("s", None),
            ("1S", None),
            ("1\u{b5}s", None),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn paths() {
        for (text, is_sound) in [
            ("/", true),
            ("/a/b", true),
            ("/a/", true),
            ("/a%20b", true),
            ("a", false),
            ("", false),
            ("/a//b", false),
            ("/a/../b", false),
            ("/a/.", false),
            ("/%41", false),
            ("/a%2fb", false),
            ("/a?b", false),
            ("/a#b", false),
        ] {
            assert_eq!(path(text).is_ok(), is_sound, "{text}");
        }
    }

    #[test]
    fn origins() {
        for (text, is_sound) in [
            ("*", true),
            ("https://a.b", true),
            ("https://*.a.b", true),
            ("http://a:8080", true),
            ("http://[::1]", true),
            ("http://[::1]:80", true),
            ("https://*:*", true),
            ("a.b", false),
            ("https://", false),
            ("https://a/b", false),
            ("https://a:b", false),
            ("", false),
        ] {
            assert_eq!(origin(text).is_ok(), is_sound, "{text}");
        }
    }

    #[test]
    fn names_of_rpcs() {
        for (text, is_service, is_method) in [
            ("a.b.C", true, false),
            ("C", true, true),
            (".a.C", true, false),
            ("_a1", true, true),
            ("a/b", false, false),
            ("1a", false, false),
            ("", false, false),
            ("a.", false, false),
        ] {
            assert_eq!(rpc_service(text).is_ok(), is_service, "{text}");
            assert_eq!(rpc_method(text).is_ok(), is_method, "{text}");
        }
    }
}
