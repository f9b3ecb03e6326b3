//! A target's request in the words of HTTP/2 (RFC 9113 section 8.3.1).

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use crate::plan::{PlanError, Target};

/// What a protocol on HTTP/2 says whatever the target's headers are.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) protocol: &'static str,
    pub(crate) method: String,
    /// Sent unless the target has a header of the same name.
    pub(crate) defaults: Vec<(HeaderName, String)>,
    /// Sent in any case.
    pub(crate) fixed: Vec<(HeaderName, String)>,
}

/// The user agent of all requests that name none.
pub(crate) const AGENT: &str = concat!("ringmain/", env!("CARGO_PKG_VERSION"));

/// They belong to a connection of HTTP/1.1 and make a request of HTTP/2 malformed (section 8.2.2).
const CONNECTION_SPECIFIC: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

impl Head {
    /// Of a plain request.
    pub(crate) fn http(target: &Target) -> Self {
        let mut fixed = Vec::new();
        if !target.body.is_empty() {
            fixed.push((header::CONTENT_LENGTH, target.body.len().to_string()));
        }
        Self {
            protocol: "h2",
            method: target.method.clone(),
            defaults: vec![
                (header::USER_AGENT, AGENT.to_owned()),
                (header::ACCEPT, "*/*".to_owned()),
            ],
            fixed,
        }
    }
}

/// The request that `target` stands for. A `host` header becomes the authority.
///
/// # Errors
/// When one of its parts cannot be said in HTTP/2.
pub(crate) fn prepare(target: &Target, head: &Head) -> Result<Request<()>, PlanError> {
    let unsuited = |setting: String, reason| PlanError::Unsuited {
        setting,
        kind: head.protocol,
        reason,
    };
    let mut authority = target.url.authority.as_str();
    let mut headers = HeaderMap::new();
    for (name, value) in &target.headers {
        let refuse = |reason| unsuited(format!("the header \"{name}: {value}\""), reason);
        let lower = name.to_ascii_lowercase();
        if CONNECTION_SPECIFIC.contains(&lower.as_str()) {
            return Err(refuse("it belongs to a connection of HTTP/1.1"));
        }
        if lower == "te" && !value.eq_ignore_ascii_case("trailers") {
            return Err(refuse("its only value is trailers"));
        }
        if lower == "host" {
            authority = value;
            continue;
        }
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(lower.as_bytes()),
            HeaderValue::from_str(value),
        ) else {
            return Err(refuse("it is not a header field"));
        };
        headers.append(name, value);
    }
    let value = |name: &HeaderName, value: &str| {
        HeaderValue::from_str(value)
            .map_err(|_| unsuited(format!("the header {name}"), "it is not a header field"))
    };
    for (name, default) in &head.defaults {
        if !headers.contains_key(name) {
            headers.insert(name, value(name, default)?);
        }
    }
    for (name, fixed) in &head.fixed {
        headers.insert(name, value(name, fixed)?);
    }
    let scheme = match target.url.scheme.is_secure() {
        true => "https",
        false => "http",
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(target.url.target.as_str())
        .build()
        .map_err(|_| unsuited(target.url.to_string(), "it is not a URI (RFC 3986)"))?;
    let method = Method::from_bytes(head.method.as_bytes())
        .map_err(|_| PlanError::Method(head.method.clone()))?;
    if method == Method::CONNECT {
        return Err(unsuited(
            "the method CONNECT".to_owned(),
            "it asks for a tunnel, not for an answer",
        ));
    }
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let mut target = Target::get("https://a:81/x?y".parse().unwrap());
        let agent = format!("user-agent: {AGENT}");
        check(&target, "GET https://a:81/x?y", &[&agent, "accept: */*"]);
        target.headers = vec![
            ("Host".into(), "b".into()),
            ("Accept".into(), "text/html".into()),
            ("X-Twice".into(), "1".into()),
            ("x-twice".into(), "2".into()),
            ("TE".into(), "trailers".into()),
        ];
        target.method = "POST".into();
        target.body = "abc".into();
        check(
            &target,
            "POST https://b/x?y",
            &[
                "accept: text/html",
                "x-twice: 1",
                "x-twice: 2",
                "te: trailers",
                &agent,
                "content-length: 3",
            ],
        );
    }

    fn check(target: &Target, line: &str, fields: &[&str]) {
        let request = prepare(target, &Head::http(target)).unwrap();
        assert_eq!(format!("{} {}", request.method(), request.uri()), line);
        let headers = request.headers().iter();
        let mut actual: Vec<String> = headers
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        actual.sort_unstable();
        let mut expected = fields.to_vec();
        expected.sort_unstable();
        assert_eq!(actual, expected);
    }

    #[test]
    fn what_has_no_place() {
        for (name, value, part) in [
            ("Connection", "close", "connection of HTTP/1.1"),
            ("upgrade", "websocket", "connection of HTTP/1.1"),
            ("te", "gzip", "only value is trailers"),
            ("host", "a b", "not a URI"),
            ("host", "", "not a URI"),
        ] {
            let mut target = Target::get("http://a/".parse().unwrap());
            target.headers = vec![(name.into(), value.into())];
            let error = prepare(&target, &Head::http(&target)).expect_err(name);
            assert!(error.to_string().contains(part), "{name}: {error}");
        }
        let mut target = Target::get("http://a/".parse().unwrap());
        target.method = "CONNECT".into();
        let error = prepare(&target, &Head::http(&target)).expect_err("CONNECT");
        assert!(error.to_string().contains("tunnel"), "{error}");
    }
}
