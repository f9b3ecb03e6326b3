//! A TCP connection as the command line describes it.

use std::net::IpAddr;

use super::request::split;
use crate::fault::Fault;

/// A connection that nobody makes.
#[derive(Debug)]
pub(super) struct Connection {
    /// As written: `tcp://db:5432`.
    pub(super) url: String,
    pub(super) to: Target,
    pub(super) port: u16,
    /// Who connects; absent: it was not said.
    pub(super) source: Option<IpAddr>,
}

/// What is connected to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Address(IpAddr),
    /// In lower case.
    Host(String),
}

/// `None` when the text is no URL of a connection, whatever comes behind `tcp:`.
pub(super) fn parse(url: &str, source: Option<IpAddr>) -> Option<Result<Connection, Fault>> {
    let (scheme, authority) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("tcp") {
        return None;
    }
    let bad = |why: &str| {
        Fault::Usage(format!(
            "{url:?} is not a TCP destination: {why}; write tcp://HOST:PORT"
        ))
    };
    if authority.contains(['/', '?', '#', '@']) {
        return Some(Err(bad("a connection has no path and no user name")));
    }
    let (host, port) = match split(authority) {
        Some((host, Some(port))) if !host.is_empty() => (host, port),
        Some((_, Some(_))) => return Some(Err(bad("it has no host"))),
        Some((_, None)) => return Some(Err(bad("it has no port"))),
        None => return Some(Err(bad("its port is no number"))),
    };
    let unbracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let to = match unbracketed.unwrap_or(host).parse() {
        Ok(address) => Target::Address(address),
        Err(_) => Target::Host(host.to_ascii_lowercase()),
    };
    Some(Ok(Connection {
        url: url.to_owned(),
        to,
        port,
        source,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Target, parse};

    #[test]
    fn destinations() {
        for (url, address, host, port) in [
            ("tcp://10.0.0.1:5432", "10.0.0.1", "", 5432),
            ("TCP://[::1]:1", "::1", "", 1),
            ("tcp://Db:5432", "", "db", 5432),
            ("tcp://db.test:5432", "", "db.test", 5432),
        ] {
            let connection = parse(url, None).unwrap().unwrap();
            let to = match address.parse() {
                Ok(address) => Target::Address(address),
                Err(_) => Target::Host(host.to_owned()),
            };
            assert_eq!((connection.to, connection.port), (to, port), "{url}");
        }
    }

    #[test]
    fn what_is_none() {
        for url in ["GET", "http://a:80", "db:5432", ""] {
            assert!(parse(url, None).is_none(), "{url}");
        }
        for (url, why) in [
            ("tcp://", "no port"),
            ("tcp://db", "no port"),
            ("tcp://:1", "no host"),
            ("tcp://db:x", "no number"),
            ("tcp://db:0", "no number"),
            ("tcp://db:65536", "no number"),
            ("tcp://db:1/", "no path"),
            ("tcp://me@db:1", "no user name"),
        ] {
            let fault = parse(url, None).unwrap().unwrap_err().to_string();
            assert!(fault.contains(why), "{url}: {fault}");
        }
    }
}
