//! What a run is asked to do, checked before anything is sent.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
    time::Duration,
};

use thiserror::Error;

use crate::ring::Io;

/// One run of load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where requests go; at least one.
    pub targets: Vec<Target>,
    /// Requests per second, all targets together. They are due at even distances whatever becomes of
    /// the earlier ones.
    pub rate: f64,
    /// Requests are due for this long; without it until [`crate::Run::stopper`].
    pub duration: Option<Duration>,
    /// Connections per address at most, all threads together. Requests that find all of them busy
    /// wait, and their wait is part of their latency.
    pub connections_max: usize,
    /// Requests per thread and address that may wait for a connection; one more is not sent and
    /// counted as [`crate::ErrorKind::Backlog`].
    pub backlog_max: usize,
    /// For a connection to be established.
    pub connect_timeout: Duration,
    /// From the time a request was due to the end of its answer.
    pub request_timeout: Duration,
    /// Threads that send, each with a ring and connections of its own.
    pub threads: usize,
    /// How the kernel is asked to complete operations.
    pub io: Io,
    /// How often numbers are handed over to [`crate::Run::progress`].
    pub report_interval: Duration,
}

impl Plan {
    /// `rate` requests per second to `targets`, until stopped, with limits that suit one host.
    pub fn new(targets: Vec<Target>, rate: f64) -> Self {
        Self {
            targets,
            rate,
            duration: None,
            connections_max: 256,
            backlog_max: 65_536,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            threads: 1,
            io: Io::Auto,
            report_interval: Duration::from_millis(250),
        }
    }

    /// # Errors
    /// The first thing that makes the plan impossible.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.targets.iter().all(|target| target.weight == 0) {
            return Err(PlanError::NoTarget);
        }
        if !(self.rate > 0.0 && self.rate <= RATE_MAX) {
            return Err(PlanError::Rate(self.rate));
        }
        let numbers = [
            ("connections_max", self.connections_max),
            ("threads", self.threads),
        ];
        for (name, value) in numbers {
            if value == 0 || value > COUNT_MAX {
                return Err(PlanError::Count { name, value });
            }
        }
        self.targets.iter().try_for_each(Target::check)
    }
}

/// Beyond it, due times are closer than the clock can tell.
const RATE_MAX: f64 = 10_000_000.0;
const COUNT_MAX: usize = 1 << 20;

/// Requests of one kind.
#[derive(Clone, Debug)]
pub struct Target {
    /// As in reports.
    pub name: String,
    /// Where to.
    pub url: Url,
    /// Share of the rate, relative to the other targets.
    pub weight: u32,
    /// Request method.
    pub method: String,
    /// Header fields as name and value, after `host`, `user-agent` and `accept`, which they replace
    /// when they have the same name.
    pub headers: Vec<(String, String)>,
    /// Sent with `content-length`; no such header when it is empty and the method is GET or HEAD.
    pub body: Vec<u8>,
}

impl Target {
    /// GET requests for `url`, named after it, with weight 1.
    pub fn get(url: Url) -> Self {
        Self {
            name: url.to_string(),
            url,
            weight: 1,
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), PlanError> {
        if !is_token(&self.method) {
            return Err(PlanError::Method(self.method.clone()));
        }
        for (name, value) in &self.headers {
            let safe = value
                .bytes()
                .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
            if !is_token(name) || !safe {
                return Err(PlanError::Header(name.clone(), value.clone()));
            }
            if name.eq_ignore_ascii_case("content-length")
                || name.eq_ignore_ascii_case("transfer-encoding")
            {
                return Err(PlanError::Framing(name.clone()));
            }
        }
        Ok(())
    }

    /// The whole request, as it goes over the wire.
    pub(crate) fn request(&self) -> Vec<u8> {
        let mut lines = vec![format!("{} {} HTTP/1.1", self.method, self.url.target)];
        let given = |name: &str| {
            self.headers
                .iter()
                .any(|(field, _)| field.eq_ignore_ascii_case(name))
        };
        let defaults = [
            ("host", self.url.authority.as_str()),
            (
                "user-agent",
                concat!("ringmain/", env!("CARGO_PKG_VERSION")),
            ),
            ("accept", "*/*"),
        ];
        let defaults = defaults.iter().filter(|(name, _)| !given(name));
        lines.extend(defaults.map(|(name, value)| format!("{name}: {value}")));
        let fields = self.headers.iter();
        lines.extend(fields.map(|(name, value)| format!("{name}: {value}")));
        if !self.body.is_empty() || !matches!(self.method.as_str(), "GET" | "HEAD") {
            lines.push(format!("content-length: {}", self.body.len()));
        }
        let mut request = lines.join("\r\n").into_bytes();
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(&self.body);
        request
    }

    /// A request that may be sent again when its connection turns out to be closed (RFC 9110
    /// section 9.2.2).
    pub(crate) fn is_idempotent(&self) -> bool {
        matches!(
            self.method.as_str(),
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        )
    }
}

fn is_token(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(ringmain_core::header::is_token_byte)
}

/// An `http://` URL (RFC 9110 section 4.2.1), split into what a client needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Host and port as written: the `host` header.
    pub authority: String,
    /// Host name or address, an IPv6 address without its brackets.
    pub host: String,
    /// 80 when none is written.
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
        write!(formatter, "http://{}{}", self.authority, self.target)
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
            return Err(refuse("it does not start with http://"));
        };
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(refuse("only the scheme http is supported"));
        }
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
        let target = match path.as_bytes().first() {
            None => "/".to_owned(),
            Some(b'?') => format!("/{path}"),
            Some(_) => path.to_owned(),
        };
        Ok(Self {
            authority: authority.to_owned(),
            host: host.to_owned(),
            port,
            target,
        })
    }
}

fn split_authority(authority: &str) -> Option<(&str, u16)> {
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
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        None if port.is_empty() => 80,
        _ => return None,
    };
    let valid = !host.is_empty()
        && port != 0
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:%".contains(&byte));
    valid.then_some((host, port))
}

/// Why a plan cannot be run.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PlanError {
    /// No target, or all have weight 0.
    #[error("there is no target with a weight greater than 0")]
    NoTarget,
    /// Not a rate.
    #[error(
        "a rate of {0} requests per second is not possible: give one above 0 and up to {RATE_MAX}"
    )]
    Rate(f64),
    /// A count out of its range.
    #[error("{name} = {value} is not possible: give a number from 1 to {COUNT_MAX}")]
    Count {
        /// Which field.
        name: &'static str,
        /// What was given.
        value: usize,
    },
    /// Not a method.
    #[error("{0:?} is not a request method (RFC 9110 section 9.1)")]
    Method(String),
    /// Not a header field.
    #[error("\"{0}: {1}\" is not a header field (RFC 9110 section 5)")]
    Header(String, String),
    /// A header that the body's framing decides.
    #[error("the header {0} follows from the body and cannot be given")]
    Framing(String),
    /// Not a URL.
    #[error("{url:?} cannot be requested: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The host has no address.
    #[error("the host {host:?} cannot be resolved: {reason}")]
    Resolve {
        /// Which host.
        host: String,
        /// What the resolver said.
        reason: String,
    },
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
        check("https://a/", Err("only the scheme http"));
        check("a/b", Err("does not start with http://"));
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
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{text}: {error}");
            }
            (actual, expected) => panic!("{text}: {actual:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn requests() {
        let mut target = Target::get("http://a:81/x".parse().unwrap());
        target.headers = vec![
            ("Host".into(), "b".into()),
            ("end-user".into(), "jason".into()),
        ];
        let text = String::from_utf8(target.request()).unwrap();
        assert_eq!(
            text,
            format!(
                "GET /x HTTP/1.1\r\nuser-agent: ringmain/{}\r\naccept: */*\r\nHost: b\r\nend-user: jason\r\n\r\n",
                env!("CARGO_PKG_VERSION")
            )
        );
        target.method = "POST".into();
        target.body = b"abc".into();
        let text = String::from_utf8(target.request()).unwrap();
        assert!(text.ends_with("\r\ncontent-length: 3\r\n\r\nabc"), "{text}");
    }

    #[test]
    fn plans() {
        let good = Plan::new(vec![Target::get("http://a/".parse().unwrap())], 1.0);
        assert_eq!(good.check(), Ok(()));
        type Break = fn(&mut Plan);
        let cases: [(Break, &str); 9] = [
            (|plan| plan.targets.clear(), "no target"),
            (|plan| plan.targets[0].weight = 0, "no target"),
            (|plan| plan.rate = 0.0, "rate of 0"),
            (|plan| plan.rate = f64::NAN, "rate of NaN"),
            (|plan| plan.threads = 0, "threads = 0"),
            (|plan| plan.connections_max = 0, "connections_max = 0"),
            (
                |plan| plan.targets[0].method = "G T".into(),
                "request method",
            ),
            (
                |plan| {
                    plan.targets[0]
                        .headers
                        .push(("a".into(), "b\r\nc: d".into()))
                },
                "not a header field",
            ),
            (
                |plan| {
                    plan.targets[0]
                        .headers
                        .push(("Content-Length".into(), "1".into()))
                },
                "follows from the body",
            ),
        ];
        for (change, part) in cases {
            let mut plan = good.clone();
            change(&mut plan);
            let error = plan.check().expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
