//! A request as the command line describes it.

use ringmain_core::{explain::Described, header::is_token};

use crate::fault::Fault;

/// A described request and the port it is sent to.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) described: Described,
    /// As the URL names it; absent: the scheme's own.
    pub(super) port: Option<u16>,
}

impl Request {
    /// The port that the client connects to.
    pub(super) fn port(&self) -> u16 {
        let own = if self.described.scheme == "https" {
            443
        } else {
            80
        };
        self.port.unwrap_or(own)
    }
}

/// What a client would send for this method, URL and fields.
pub(super) fn parse(method: &str, url: &str, headers: &[String]) -> Result<Request, Fault> {
    if !is_token(method.as_bytes()) {
        return Err(Fault::Usage(format!(
            "{method:?} is not a method; write GET, POST, ..."
        )));
    }
    let bad_url = |why: &str| {
        Fault::Usage(format!(
            "{url:?} is not a URL: {why}; write http://HOST[:PORT]/PATH"
        ))
    };
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| bad_url("it has no scheme"))?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(bad_url("its scheme is neither http nor https"));
    }
    // A client keeps the fragment to itself.
    let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let (host, port) = split(authority).ok_or_else(|| bad_url("its port is no number"))?;
    if host.is_empty() {
        return Err(bad_url("it has no host"));
    }
    if authority.contains('@') {
        return Err(bad_url("it has a user name"));
    }
    let own_port = if scheme == "https" { 443 } else { 80 };
    let sent = if port == Some(own_port) {
        host
    } else {
        authority
    };
    let mut described = Described {
        method: method.to_owned(),
        scheme,
        authority: sent.to_owned(),
        target: if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("/{target}")
        },
        headers: Vec::new(),
        source: None,
    };
    for field in headers {
        let (name, value) = self::field(field)?;
        if name == "host" {
            described.authority = value;
        } else {
            described.headers.push((name, value));
        }
    }
    Ok(Request { described, port })
}

/// Host and port; `None` when what follows the colon is no port.
pub(super) fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_address = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after_address..].find(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let colon = after_address + colon;
            let port = authority[colon + 1..]
                .parse()
                .ok()
                .filter(|port| *port != 0)?;
            Some((&authority[..colon], Some(port)))
        }
    }
}

/// Name in lower case and value without the space around it.
fn field(field: &str) -> Result<(String, String), Fault> {
    match field.split_once(':') {
        Some((name, value)) if is_token(name.as_bytes()) && !value.contains(['\r', '\n', '\0']) => {
            Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err(Fault::Usage(format!(
            "{field:?} is not a header field; write -H 'name: value'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn urls() {
        for (url, scheme, authority, target, port) in [
            ("http://a", "http", "a", "/", 80),
            ("http://a/b?c=d#e", "http", "a", "/b?c=d", 80),
            ("HTTPS://a?x", "https", "a", "/?x", 443),
            ("http://a:80/", "http", "a", "/", 80),
            ("https://a:80/", "https", "a:80", "/", 80),
            ("http://[::1]:8080/x", "http", "[::1]:8080", "/x", 8080),
            ("http://[::1]/x", "http", "[::1]", "/x", 80),
        ] {
            let request = parse("GET", url, &[]).unwrap();
            let port_of = request.port();
            let described = request.described;
            let parts = (
                &*described.scheme,
                &*described.authority,
                &*described.target,
                port_of,
            );
            assert_eq!(parts, (scheme, authority, target, port), "{url}");
        }
        for url in [
            "/a",
            "a/b",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a:b/",
            "http://u@a/",
        ] {
            assert!(parse("GET", url, &[]).is_err(), "{url}");
        }
    }

    #[test]
    fn headers() {
        let fields = ["X-User:  a:b ".to_owned(), "Host: c".to_owned()];
        let described = parse("GET", "http://a/", &fields).unwrap().described;
        assert_eq!(described.authority, "c");
        assert_eq!(described.headers, [("x-user".to_owned(), "a:b".to_owned())]);
        for field in ["", "a", ": b", "a b: c", "a: b\nc"] {
            assert!(
                parse("GET", "http://a/", &[field.to_owned()]).is_err(),
                "{field}"
            );
        }
        assert!(parse("GE T", "http://a/", &[]).is_err());
    }
}
