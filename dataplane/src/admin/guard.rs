//! Which requests come from a tool of this host, and not from a web page that its browser shows.
//!
//! A page can make the browser send requests here, and by DNS rebinding even under a name of its
//! own. Both show: the Host is then a name that is neither `localhost` nor an address, or the
//! Origin is another site's. Pure.

use std::net::{IpAddr, Ipv6Addr};

/// What of a request tells where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sender<'a> {
    /// The authority of an absolute request target, or else the Host field; HTTP/1.0 needs none.
    pub(super) host: Option<&'a str>,
    /// The Origin field.
    pub(super) origin: Option<&'a str>,
}

/// # Errors
/// Why the request is refused, for its sender to read.
pub(super) fn check(sender: Sender<'_>) -> Result<(), String> {
    if let Some(host) = sender.host
        && !is_local(host)
    {
        return Err(format!(
            "the admin endpoint answers to `localhost` and to addresses only, not to host {host:?}; \
             use for example http://127.0.0.1 with its port\n"
        ));
    }
    let foreign = sender.origin.filter(|origin| {
        let site = origin.strip_prefix("http://");
        !site
            .zip(sender.host)
            .is_some_and(|(site, host)| site.eq_ignore_ascii_case(host))
    });
    match foreign {
        Some(origin) => Err(format!(
            "the admin endpoint does not answer pages of other sites (origin {origin:?})\n"
        )),
        None => Ok(()),
    }
}

/// `localhost` or an address, each with or without a port.
fn is_local(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port))
        });
    }
    let name = match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) => return false,
        None => host,
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':');
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::{Sender, check};

    #[test]
    fn senders() {
        for (host, origin, allowed) in [
            (Some("localhost"), None, true),
            (Some("LocalHost:15000"), None, true),
            (Some("127.0.0.1:15000"), None, true),
            (Some("10.1.2.3"), None, true),
            (Some("[::1]:15000"), None, true),
            (Some("[::1]"), None, true),
            (None, None, true),
            (Some(""), None, false),
            (Some("evil.example"), None, false),
            (Some("evil.example:15000"), None, false),
            (Some("localhost.evil.example"), None, false),
            (Some("127.0.0.1.evil.example:15000"), None, false),
            (Some("localhost@evil.example"), None, false),
            (Some("[::1"), None, false),
            (Some("[::1]evil"), None, false),
            (Some("[::1]x:80"), None, false),
            (Some("::1"), None, false),
            (
                Some("localhost:15000"),
                Some("http://localhost:15000"),
                true,
            ),
            (
                Some("localhost:15000"),
                Some("http://localhost:8080"),
                false,
            ),
            (Some("127.0.0.1:15000"), Some("http://evil.example"), false),
            (
                Some("127.0.0.1:15000"),
                Some("https://127.0.0.1:15000"),
                false,
            ),
            (Some("127.0.0.1:15000"), Some("null"), false),
            (None, Some("http://evil.example"), false),
        ] {
            let verdict = check(Sender { host, origin });
            assert_eq!(verdict.is_ok(), allowed, "{host:?} {origin:?} {verdict:?}");
        }
    }
}
