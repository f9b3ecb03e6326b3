//! `host` and `host:port`, as in Host and in a target's authority (RFC 3986 section 3.2).

use std::net::Ipv6Addr;

/// Whether `text` is `host` or `host:port`: no user information, no empty host or port.
pub fn is_authority(text: &str) -> bool {
    Authority::parse(text.as_bytes()).is_some()
}

/// An authority that was checked, split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// `None` when it is not `host` or `host:port`: also when there is user information, an empty
    /// host, or a colon without a port.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        let host_end = if text.first() == Some(&b'[') {
            let end = text.iter().position(|&byte| byte == b']')? + 1;
            let address = std::str::from_utf8(&text[1..end - 1]).ok()?;
            address.parse::<Ipv6Addr>().ok()?;
            end
        } else {
            let mut found = 0;
            let mut end = text.len();
            for (position, byte) in text.iter().enumerate() {
                let class = HOST_CLASSES[usize::from(*byte)];
                if class == 0 {
                    end = position;
                    break;
                }
                found |= class;
            }
            if end == 0 || (found & ESCAPE != 0 && !escapes_are_complete(&text[..end])) {
                return None;
            }
            end
        };
        let (host, rest) = text.split_at(host_end);
        let port = match rest {
            [] => None,
            [b':', digits @ ..] => Some(parse_port(digits)?),
            _ => return None,
        };
        Some(Self { host, port })
    }

    /// The same host and port, a missing port being `default_port`.
    pub(crate) fn is_same(self, other: Self, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn escapes_are_complete(host: &[u8]) -> bool {
    let mut rest = host;
    while let Some(percent) = memchr::memchr(b'%', rest) {
        match rest.get(percent + 1..percent + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[percent + 3..],
            _ => return false,
        }
    }
    true
}

const PLAIN: u8 = 1;
const ESCAPE: u8 = 2;

/// `reg-name`: unreserved, escapes, and sub-delims. Others are 0.
static HOST_CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = (byte as u8).is_ascii_alphanumeric() as u8 * PLAIN;
        byte += 1;
    }
    let others = b"-._~!$&'()*+,;=";
    let mut index = 0;
    while index < others.len() {
        classes[others[index] as usize] = PLAIN;
        index += 1;
    }
    classes[b'%' as usize] = ESCAPE;
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, Option<u16>)>) {
        let parsed = Authority::parse(text.as_bytes());
        let expected = expected.map(|(host, port)| Authority {
            host: host.as_bytes(),
            port,
        });
        assert_eq!(parsed, expected, "{text:?}");
    }

    #[test]
    fn authorities() {
        check("a", Some(("a", None)));
        check(
            "Reviews.Default.svc:9080",
            Some(("Reviews.Default.svc", Some(9080))),
        );
        check("10.0.0.1:80", Some(("10.0.0.1", Some(80))));
        check("[::1]", Some(("[::1]", None)));
        check("[::1]:65535", Some(("[::1]", Some(65535))));
        check("under_score", Some(("under_score", None)));
        check("a%2Db", Some(("a%2Db", None)));
        check("", None);
        check(":80", None);
        check("a:", None);
        check("a:80:80", None);
        check("a:65536", None);
        check("a:+80", None);
        check("a:000080", None);
        check("a b", None);
        check("a/b", None);
        check("a?b", None);
        check("a#b", None);
        check("a\\b", None);
        check("user@a", None);
        check("user:password@a", None);
        check("a%2", None);
        check("a%zz", None);
        check("::1", None);
        check("[::1", None);
        check("[::1]a", None);
        check("[1.2.3.4]", None);
        check("[fe80::1%25eth0]", None);
        check("[v1.a]", None);
        check("\u{e4}", None);
    }

    #[test]
    fn sameness_is_about_host_and_port() {
        let same = |one: &str, other: &str, default_port| {
            let parse = |text: &'static str| Authority::parse(text.as_bytes());
            let one = parse(String::leak(one.to_owned())).expect("valid");
            let other = parse(String::leak(other.to_owned())).expect("valid");
            one.is_same(other, default_port)
        };
        assert!(same("A.b", "a.B", 80));
        assert!(same("a:80", "a", 80));
        assert!(same("a", "a:443", 443));
        assert!(!same("a", "a:443", 80));
        assert!(!same("a", "b", 80));
        assert!(!same("a:1", "a:2", 80));
    }
}
