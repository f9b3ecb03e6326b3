//! Forms that texts in mesh YAML have: names, labels, hosts, header names, regular expressions,
//! durations. A function `Fn(&str) -> Result<(), Fault>` can stand in a schema.

use std::{net::IpAddr, time::Duration};

use ringmain_core::{
    header::{is_control_byte, is_token},
    http1::is_authority,
    route::regex::Regex,
};

use super::cursor::Fault;

/// A label of DNS: what Kubernetes names namespaces, services and ports with (RFC 1123).
pub(super) fn dns_label(text: &str) -> Result<(), Fault> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.len() <= 63
        && !text.is_empty()
        && text.bytes().all(valid)
        && !text.starts_with('-')
        && !text.ends_with('-')
    {
        return Ok(());
    }
    Err(Fault::new(format!("`{}` is not a DNS label", shown(text)))
        .hint("use at most 63 of a-z, 0-9 and `-`, with no `-` at either end"))
}

/// Labels of DNS with dots between them: what Kubernetes names resources with (RFC 1123).
pub(super) fn dns_name(text: &str) -> Result<(), Fault> {
    if text.len() <= 253 && text.split('.').all(|label| dns_label(label).is_ok()) {
        return Ok(());
    }
    Err(Fault::new(format!("`{}` is not a DNS name", shown(text)))
        .hint("use at most 253 of a-z, 0-9, `-` and `.`, with a letter or digit around each dot"))
}

/// The name of a port: any label of DNS.
pub(super) fn port_name(text: &str) -> Result<(), Fault> {
    dns_label(text)
}

/// The host of a service: a name with or without dots, or an address.
pub(super) fn host(text: &str) -> Result<(), Fault> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_name = name.len() <= 253 && name.split('.').all(is_host_label);
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let fault = Fault::new(format!("`{}` is not a host name", shown(text)));
    Err(if text.starts_with('*') {
        fault.hint("a wildcard cannot stand here")
    } else if text.contains("://") {
        fault.hint("leave the scheme out")
    } else if text
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        fault.hint("leave the port out")
    } else {
        fault
    })
}

/// A label in any case. Names with an underscore are no host names, but DNS has them and so has
/// Istio.
fn is_host_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte == b'-' || byte == b'_';
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || is_inner(byte);
    let end = |byte: Option<u8>| byte.is_some_and(|byte| !is_inner(byte));
    label.len() <= 63
        && label.bytes().all(valid)
        && end(label.bytes().next())
        && end(label.bytes().next_back())
}

/// A host, `*.` and a host, or `*`.
pub(super) fn wildcard_host(text: &str) -> Result<(), Fault> {
    if text == "*" {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix("*.") {
        return host(rest);
    }
    if text.contains('*') {
        return Err(Fault::new(format!("`{}` is not a host name", shown(text)))
            .hint("`*` stands alone or as the whole first label: `*.example.com`"));
    }
    host(text)
}

/// A host or `*.` and a host, but not `*`.
pub(super) fn partial_wildcard_host(text: &str) -> Result<(), Fault> {
    if text == "*" {
        return Err(
            Fault::new("`*` is not a host of its own").hint("name a domain: `*.example.com`")
        );
    }
    wildcard_host(text)
}

/// A wildcard host with or without `namespace/` before it, where the namespace is a name, `.` or
/// `*`.
pub(super) fn gateway_host(text: &str) -> Result<(), Fault> {
    match text.split_once('/') {
        Some(("." | "*", host)) => wildcard_host(host),
        Some((namespace, host)) => {
            dns_label(namespace)?;
            wildcard_host(host)
        }
        None => wildcard_host(text),
    }
}

/// A wildcard host with `namespace/` before it, where the namespace may also be `~`.
pub(super) fn egress_host(text: &str) -> Result<(), Fault> {
    match text.split_once('/') {
        Some(("~", host)) => wildcard_host(host),
        Some(_) => gateway_host(text),
        None => Err(
            Fault::new(format!("`{}` names no namespace", shown(text))).hint(format!(
                "write `./{text}` for this namespace, `*/{text}` for all"
            )),
        ),
    }
}

/// `mesh`, the name of a Gateway, or `namespace/name`.
pub(super) fn gateway_reference(text: &str) -> Result<(), Fault> {
    match text.split_once('/') {
        Some((namespace, name)) => {
            dns_label(namespace)?;
            dns_name(name)
        }
        None => dns_name(text),
    }
}

/// A name of a label: `name` or `prefix/name`.
pub(super) fn label_name(text: &str) -> Result<(), Fault> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix.is_none_or(|prefix| dns_name(prefix).is_ok()) && is_label_word(name) {
        return Ok(());
    }
    Err(
        Fault::new(format!("`{}` is not the name of a label", shown(text))).hint(
            "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at each end",
        ),
    )
}

/// The value of a label; may be empty.
pub(super) fn label_value(text: &str) -> Result<(), Fault> {
    if text.is_empty() || is_label_word(text) {
        return Ok(());
    }
    Err(
        Fault::new(format!("`{}` is not the value of a label", shown(text))).hint(
            "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at each end",
        ),
    )
}

fn is_label_word(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(valid)
        && end(text.bytes().next())
        && end(text.bytes().next_back())
}

/// Any text at all, as the key of a map.
pub(super) fn any_text(_: &str) -> Result<(), Fault> {
    Ok(())
}

/// Text with something in it.
pub(super) fn some_text(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    Ok(())
}

/// A name of a kind or of a version of the API.
pub(super) fn api_name(text: &str) -> Result<(), Fault> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-./".contains(&byte);
    if !text.is_empty() && text.len() <= 253 && text.bytes().all(valid) {
        return Ok(());
    }
    Err(format!("`{}` is not a name of the API", shown(text)).into())
}

/// The name of a header field (RFC 9110 section 5.6.2).
pub(super) fn header_name(text: &str) -> Result<(), Fault> {
    if is_token(text.as_bytes()) {
        return Ok(());
    }
    let fault = Fault::new(format!("`{}` is not the name of a header", shown(text)));
    Err(match text {
        ":authority" => fault.hint("use `authority`"),
        ":method" => fault.hint("use `method`"),
        ":path" => fault.hint("use `uri`"),
        ":scheme" => fault.hint("use `scheme`"),
        _ => fault,
    })
}

/// The value of a header field (RFC 9110 section 5.5).
pub(super) fn header_value(text: &str) -> Result<(), Fault> {
    if text.bytes().any(is_control_byte) {
        return Err("a header cannot hold a line break or another control character".into());
    }
    Ok(())
}

/// `host` or `host:port` (RFC 3986 section 3.2).
pub(super) fn authority(text: &str) -> Result<(), Fault> {
    if is_authority(text) {
        return Ok(());
    }
    let message = format!("`{}` is not a host or host:port", shown(text));
    Err(Fault::new(message))
}

/// A regular expression that the proxies take: in the syntax of RE2, its automaton of bounded size.
pub(super) fn regex(text: &str) -> Result<(), Fault> {
    let Err(reason) = Regex::compile(text) else {
        return Ok(());
    };
    let fault = Fault::new(reason);
    Err(match text.starts_with('*') {
        true => fault.hint("write `.*` for any text"),
        false => fault,
    })
}

/// A duration in Go's form, which Kubernetes has made that of the API: `1h30m`, `1.5s`, `100ms`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_bytes = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || *byte == b'.');
        let (number, after) = rest.split_at(number_bytes.count());
        let unit_bytes = after
            .bytes()
            .take_while(|byte| !byte.is_ascii_digit() && *byte != b'.');
        let (unit, after) = after.split_at(unit_bytes.count());
        nanos = nanos.checked_add(nanoseconds(number, unit)?)?;
        rest = after;
    }
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).ok()?;
    // A remainder of a division by 10^9 fits.
    let subsecond = u32::try_from(nanos % NANOS_PER_SECOND).ok()?;
    (!text.is_empty()).then_some(Duration::new(seconds, subsecond))
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// At most 18 digits before the point and 9 after it.
fn nanoseconds(number: &str, unit: &str) -> Option<u128> {
    let unit_nanos: u128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3_600 * NANOS_PER_SECOND,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 18 || fraction.len() > 9 {
        return None;
    }
    let whole: u128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let fraction: u128 = format!("{fraction:0<9}").parse().ok()?;
    Some(whole * unit_nanos + fraction * unit_nanos / NANOS_PER_SECOND)
}

/// A duration of at least `min` and at most 100 years, beyond which timers overflow.
pub(super) fn duration_from(text: &str, min: Duration) -> Result<(), Fault> {
    let max = Duration::from_secs(100 * 366 * 24 * 3600);
    let seconds = ringmain_config::duration::format;
    match duration(text) {
        Some(duration) if duration < min => Err(Fault::new(format!(
            "`{text}` is shorter than {}",
            seconds(min)
        ))),
        Some(duration) if duration > max => Err(Fault::new(format!(
            "`{text}` is longer than {}",
            seconds(max)
        ))),
        Some(_) => Ok(()),
        None => {
            let fault = Fault::new(format!("`{}` is not a duration", shown(text)));
            Err(fault.hint("write a number and one of h, m, s, ms, like `1.5s` or `1m30s`"))
        }
    }
}

/// An address of IPv4 or IPv6.
pub(super) fn ip_address(text: &str) -> Result<(), Fault> {
    match text.parse::<IpAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{}` is not an IP address", shown(text)).into()),
    }
}

/// At most the first 60 characters of a text for a message, without line breaks.
pub(super) fn shown(text: &str) -> String {
    shortened(text, 60)
}

/// At most the first characters of a text, without line breaks.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    let mut short: String = text.chars().take(chars_max).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests;
