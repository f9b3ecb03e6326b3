//! Where a request goes.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use super::PlanError;

/// What is before `://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// WebSocket.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// Bytes.
    Tcp,
    /// Bytes over TLS.
    Tls,
}

impl Scheme {
    const ALL: [Self; 6] = [
        Self::Http,
        Self::Https,
        Self::Ws,
        Self::Wss,
        Self::Tcp,
        Self::Tls,
    ];

    /// As in URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Over TLS.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Wss | Self::Tls)
    }

    fn port(self) -> Option<u16> {
        match self {
            Self::Http | Self::Ws => Some(80),
            Self::Https | Self::Wss => Some(443),
            Self::Tcp | Self::Tls => None,
        }
    }
}

/// A URL, split into what a client needs (RFC 9110 section 4.2, RFC 6455 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// What is before `://`.
    pub scheme: Scheme,
    /// Host and port as written: the `host` header.
    pub authority: String,
    /// Host name or address, an IPv6 address without its brackets.
    pub host: String,
    /// The scheme's own when none is written.
    pub port: u16,
    /// Path and query; never empty.
    pub target: String,
}

impl Url {
    /// The address to connect to. Asks the system's resolver when the host is a name, and takes its
    /// first answer.
    ///
    /// # Errors
    /// When the name has no address.
    pub fn resolve(&self) -> Result<SocketAddr, PlanError> {
        let unresolved = |reason: String| PlanError::Resolve {
            host: self.host.clone(),
            reason,
        };
        let mut addresses = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| unresolved(error.to_string()))?;
        addresses
            .next()
            .ok_or_else(|| unresolved("the name has no address".to_owned()))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.scheme {
            Scheme::Tcp | Scheme::Tls => "",
            _ => &self.target,
        };
        write!(
            formatter,
            "{}://{}{path}",
            self.scheme.name(),
            self.authority
        )
    }
}

impl FromStr for Url {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let refuse = |reason| PlanError::Url {
            url: text.to_owned(),
            reason,
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refuse("it does not start with a scheme such as http://"));
        };
        let known = Scheme::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(scheme));
        let Some(scheme) = known else {
            return Err(refuse(
                "its scheme is none of http, https, ws, wss, tcp and tls",
            ));
        };
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refuse(
                "it holds a space, a control or a non-ASCII character; percent-encode it",
            ));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(refuse(
                "user names in URLs are not supported; use an authorization header",
            ));
        }
        let (host, port) =
            split_authority(authority).ok_or_else(|| refuse("its host or port is not valid"))?;
        let Some(port) = port.or(scheme.port()) else {
            return Err(refuse(
                "it names no port, and its scheme has none of its own",
            ));
        };
        let target = match path.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        if scheme.port().is_none() && !matches!(path, "" | "/") {
            return Err(refuse("its scheme knows no path"));
        }
        Ok(Self {
            scheme,
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            target,
        })
    }
}

fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            authority.split_at(end)
        }
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        None if port.is_empty() => None,
        _ => return None,
    };
    let valid = !host.is_empty()
        && port != Some(0)
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:%".contains(&byte));
    valid.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        check(
            "http://127.0.0.1:8080/a?b=c",
            Ok(("127.0.0.1", 8080, "/a?b=c")),
        );
        check("HTTP://reviews", Ok(("reviews", 80, "/")));
        check("http://reviews?x", Ok(("reviews", 80, "/?x")));
        check("http://[::1]:9/a#b", Ok(("::1", 9, "/a")));
        check("https://a/", Ok(("a", 443, "/")));
        check("wss://a/chat", Ok(("a", 443, "/chat")));
        check("ws://a", Ok(("a", 80, "/")));
        check("tcp://a:7", Ok(("a", 7, "/")));
        check("tls://[::1]:7/", Ok(("::1", 7, "/")));
        check("tcp://a", Err("names no port"));
        check("tcp://a:7/x", Err("knows no path"));
        check("ftp://a/", Err("none of http"));
        check("a/b", Err("does not start with a scheme"));
        check("http://", Err("host or port"));
        check("http://a:0/", Err("host or port"));
        check("http://a:99999/", Err("host or port"));
        check("http://a:+1/", Err("host or port"));
        check("http://[::1/", Err("host or port"));
        check("http://[x]/", Err("host or port"));
        check("http://a b/", Err("percent-encode"));
        check("http://u@a/", Err("authorization header"));
    }

    fn check(text: &str, expected: Result<(&str, u16, &str), &str>) {
        match (text.parse::<Url>(), expected) {
            (Ok(url), Ok(parts)) => {
                assert_eq!((url.host.as_str(), url.port, url.target.as_str()), parts);
                assert_eq!(url.to_string().parse(), Ok(url), "{text}: written and read");
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{text}: {error}");
            }
            (actual, expected) => panic!("{text}: {actual:?} instead of {expected:?}"),
        }
    }
}
