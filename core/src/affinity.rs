//! What keeps a client at its endpoint: the hash of a request by the cluster's key, and the cookie
//! that a client is given when the key is a cookie that it does not have
//! (`loadBalancer.consistentHash`).
//!
//! A request without what the key asks for has no hash and goes anywhere.

use std::{fmt::Write as _, net::IpAddr};

use ringmain_config::cluster::{HashCookie, HashKey};

use crate::{balance::hash, header::Headers, route::Request};

/// Where a request belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// For [`crate::balance::State::pick`].
    pub hash: Option<u64>,
    /// Value of a `set-cookie` field of the answer, which binds the client to the endpoint from now
    /// on.
    pub set_cookie: Option<String>,
}

impl Affinity {
    /// Where `request`, of a client at `source`, belongs. `random` is asked only to make a cookie.
    pub fn of<H: Headers + ?Sized>(
        key: &HashKey,
        request: &Request<'_, H>,
        source: IpAddr,
        random: &mut impl FnMut() -> u64,
    ) -> Self {
        let found = |value: &[u8]| Self {
            hash: Some(hash(value)),
            set_cookie: None,
        };
        match key {
            HashKey::Header(name) => {
                let value = request.headers.value(name);
                value.map(|value| found(&value)).unwrap_or_default()
            }
            HashKey::SourceAddress => match source.to_canonical() {
                IpAddr::V4(address) => found(&address.octets()),
                IpAddr::V6(address) => found(&address.octets()),
            },
            HashKey::QueryParameter(name) => {
                let value = request.query.and_then(|query| parameter(query, name));
                value
                    .map(|value| found(value.as_bytes()))
                    .unwrap_or_default()
            }
            HashKey::Cookie(cookie) => match hash_of_cookie(request.headers, &cookie.name) {
                Some(hash) => Self {
                    hash: Some(hash),
                    set_cookie: None,
                },
                None if cookie.ttl.is_some() => Self::given(cookie, random()),
                None => Self::default(),
            },
        }
    }

    /// A client without the cookie is given one, and goes at once where it will go with it.
    fn given(cookie: &HashCookie, random: u64) -> Self {
        let value = format!("{random:016x}");
        Self {
            hash: Some(hash(value.as_bytes())),
            set_cookie: Some(set_cookie(cookie, &value)),
        }
    }
}

/// Value of the first parameter `name` in `query`; empty when it stands there without `=`. Nothing
/// is percent-decoded.
pub(crate) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|parameter| {
        let (found, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (found == name).then_some(value)
    })
}

/// Hash of the value of the first cookie `name`, without quotes around it (RFC 6265 section 4.2.1).
/// One without a value is as good as none: all who have it so would meet at one endpoint.
/// Several fields, as HTTP/2 has them (RFC 9113 section 8.2.3), come joined by `,`; so that
/// character ends a value too, which it cannot be part of.
fn hash_of_cookie<H: Headers + ?Sized>(headers: &H, name: &str) -> Option<u64> {
    let list = headers.value("cookie")?;
    let mut pairs = list.split(|byte| matches!(byte, b';' | b','));
    let found = pairs.find_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (found, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        (found == name.as_bytes()).then(|| unquoted(value))
    });
    found.filter(|value| !value.is_empty()).map(hash)
}

fn unquoted(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"\"");
    let inner = inner.and_then(|inner| inner.strip_suffix(b"\""));
    inner.unwrap_or(value)
}

/// RFC 6265 section 4.1. Scripts of the page cannot read it, as with Envoy.
fn set_cookie(cookie: &HashCookie, value: &str) -> String {
    let mut text = format!("{}={value}", cookie.name);
    if let Some(ttl) = cookie.ttl.filter(|ttl| !ttl.is_zero()) {
        // At least a second: 0 would remove the cookie.
        let _ = write!(text, "; Max-Age={}", ttl.as_secs().max(1));
    }
    if !cookie.path.is_empty() {
        let _ = write!(text, "; Path={}", cookie.path);
    }
    for (name, value) in &cookie.attributes {
        let _ = match value.as_str() {
            "" => write!(text, "; {name}"),
            value => write!(text, "; {name}={value}"),
        };
    }
    let mut names = cookie.attributes.iter().map(|(name, _)| name);
    if !names.any(|name| name.eq_ignore_ascii_case("httponly")) {
        text.push_str("; HttpOnly");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn affinity(
        key: &HashKey,
        query: Option<&str>,
        headers: &[(&str, &str)],
        source: &str,
        random: &mut impl FnMut() -> u64,
    ) -> Affinity {
        let headers = headers.iter();
        let headers: Vec<(String, String)> = headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = Request {
            method: "GET",
            scheme: "http",
            authority: "a",
            path: "/",
            query,
            headers: headers.as_slice(),
            listener_port: 80,
        };
        Affinity::of(key, &request, source.parse().unwrap(), random)
    }

    fn cookie(ttl: Option<Duration>) -> HashCookie {
        HashCookie {
            name: "session".to_owned(),
            path: String::new(),
            ttl,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn what_is_hashed() {
        let header = HashKey::Header("x-user".to_owned());
        let query = HashKey::QueryParameter("user".to_owned());
        let session = HashKey::Cookie(cookie(None));
        let address = HashKey::SourceAddress;
        let none = &[][..];
        for (key, query, headers, source, expected) in [
            (
                &header,
                None,
                &[("x-user", "ann")][..],
                "::1",
                Some(&b"ann"[..]),
            ),
            (&header, None, &[("x-user", "")], "::1", Some(b"")),
            (
                &header,
                None,
                &[("x-user", "a"), ("x-user", "b")],
                "::1",
                Some(b"a,b"),
            ),
            (&header, None, none, "::1", None),
            (
                &query,
                Some("a=1&user=ann&user=b"),
                none,
                "::1",
                Some(b"ann"),
            ),
            (&query, Some("user"), none, "::1", Some(b"")),
            (&query, Some("users=1"), none, "::1", None),
            (&query, None, none, "::1", None),
            (&address, None, none, "10.0.0.1", Some(&[10, 0, 0, 1])),
            (
                &address,
                None,
                none,
                "::ffff:10.0.0.1",
                Some(&[10, 0, 0, 1]),
            ),
            (
                &session,
                None,
                &[("cookie", "a=1; session=ann; session=b")],
                "::1",
                Some(b"ann"),
            ),
            (&session, None, &[("cookie", "session=; a=1")], "::1", None),
            (&session, None, &[("cookie", "session=\"\"")], "::1", None),
            (
                &session,
                None,
                &[("cookie", "session=\"ann\"")],
                "::1",
                Some(b"ann"),
            ),
            (
                &session,
                None,
                &[("cookie", "session=\"")],
                "::1",
                Some(b"\""),
            ),
            (&session, None, &[("cookie", "session=")], "::1", None),
            (
                &session,
                None,
                &[("cookie", "session=a=b")],
                "::1",
                Some(b"a=b"),
            ),
            (
                &session,
                None,
                &[("cookie", "a=1"), ("cookie", "session=ann")],
                "::1",
                Some(b"ann"),
            ),
            (
                &session,
                None,
                &[("cookie", "xsession=1; session; Session=2")],
                "::1",
                None,
            ),
            (&session, None, none, "::1", None),
        ] {
            let mut random = || panic!("no cookie is made");
            let found = affinity(key, query, headers, source, &mut random);
            let expected = Affinity {
                hash: expected.map(hash),
                set_cookie: None,
            };
            assert_eq!(found, expected, "{key:?} {query:?} {headers:?}");
        }
    }

    #[test]
    fn cookies_that_are_given() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let with = |path: &str, attributes: &[(&str, &str)]| {
            let attributes = attributes.iter();
            HashCookie {
                path: path.to_owned(),
                attributes: attributes
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
                ..cookie(seconds(0))
            }
        };
        for (cookie, expected) in [
            (cookie(seconds(0)), "; HttpOnly"),
            (cookie(seconds(60)), "; Max-Age=60; HttpOnly"),
            (
                cookie(Some(Duration::from_millis(5))),
                "; Max-Age=1; HttpOnly",
            ),
            (with("/a", &[]), "; Path=/a; HttpOnly"),
            (
                with("/", &[("SameSite", "Lax"), ("Secure", "")]),
                "; Path=/; SameSite=Lax; Secure; HttpOnly",
            ),
            (with("", &[("httponly", "")]), "; httponly"),
        ] {
            let key = HashKey::Cookie(cookie);
            let mut random = || 0xabc;
            let found = affinity(&key, None, &[("cookie", "other=1")], "::1", &mut random);
            let value = "0000000000000abc";
            let text = format!("session={value}{expected}");
            assert_eq!(found.set_cookie, Some(text));

            // With it, the client comes back to the same endpoint.
            let sent = format!("session={value}");
            let mut none = || panic!("it has one");
            let again = affinity(&key, None, &[("cookie", &sent)], "::1", &mut none);
            assert_eq!(again.hash, found.hash);
            assert_eq!(again.set_cookie, None);
        }
    }
}
