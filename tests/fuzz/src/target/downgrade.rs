//! Heads that came over HTTP/2, on their way into HTTP/1 text. Input is text, so that a case can be
//! read:
//!
//! ```text
//! METHOD scheme authority path FLAGS     e: the head is the end; w: an extended CONNECT
//! name: value                            any number of fields, their values any bytes
//! ```
//!
//! or, for a response, `:status 200 FLAGS`. What the types of the h2 and http crates do not let
//! through is left out: it cannot arrive.

use http::{HeaderName, HeaderValue, Request, Response, header::HeaderMap, request, response};
use ringmain_core::{
    http1::{Framing, MethodKind, Reject, RequestHead, ResponseHead},
    http2::{Extended, ReceivedRequest, ReceivedResponse, Upgrade, request_text, response_text},
};

use super::{
    request::{LIMITS, framing, kind},
    response::LARGE,
};
use crate::naive;

/// Fields that the translation may write by itself.
const OWN: [&str; 6] = [
    "host",
    "transfer-encoding",
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-accept",
];

pub(super) fn run(data: &[u8]) -> String {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let words: Vec<_> = first.split(|byte| *byte == b' ').collect();
    let mut fields = HeaderMap::new();
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        // The h2 crate makes them so, and refuses names that are not lower case.
        if let (Ok(name), Ok(value)) = (HeaderName::from_lowercase(name), from_bytes(value)) {
            fields.append(name, value);
        }
    }
    match words[..] {
        [b":status", status, flags] => match response(status, fields) {
            Some(parts) => answered(&parts, flags),
            None => "no response".to_owned(),
        },
        [method, scheme, authority, path, flags] => {
            match request(method, scheme, authority, path, fields) {
                Some(parts) => asked(&parts, flags),
                None => "no request".to_owned(),
            }
        }
        _ => "nothing".to_owned(),
    }
}

fn from_bytes(value: &[u8]) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    HeaderValue::from_bytes(value)
}

fn request(
    method: &[u8],
    scheme: &[u8],
    authority: &[u8],
    path: &[u8],
    fields: HeaderMap,
) -> Option<request::Parts> {
    let mut uri = http::uri::Builder::new();
    if !scheme.is_empty() {
        uri = uri.scheme(scheme);
    }
    if !authority.is_empty() {
        uri = uri.authority(authority);
    }
    if !path.is_empty() {
        uri = uri.path_and_query(path);
    }
    let request = Request::builder().method(method).uri(uri.build().ok()?);
    let (mut parts, ()) = request.body(()).ok()?.into_parts();
    parts.headers = fields;
    Some(parts)
}

fn response(status: &[u8], fields: HeaderMap) -> Option<response::Parts> {
    let response = Response::builder().status(status).body(()).ok()?;
    let (mut parts, ()) = response.into_parts();
    parts.headers = fields;
    Some(parts)
}

fn refused(reject: Reject) -> String {
    format!("refused {}", reject.reason())
}

fn asked(parts: &request::Parts, flags: &[u8]) -> String {
    let ends = flags.contains(&b'e');
    let extended = flags.contains(&b'w').then_some(Extended {
        protocol: "websocket",
        random: [7; 16],
    });
    let received = ReceivedRequest {
        extended,
        end_of_stream: ends,
    };
    let mut text = Vec::new();
    if let Err(reject) = request_text(&mut text, parts, received, &LIMITS) {
        assert!(text.is_empty(), "something of it is left");
        return refused(reject);
    }
    let mut head = RequestHead::new();
    match head.decode(&text, &LIMITS) {
        Err(reject) => return refused(reject),
        Ok(None) => panic!("it would be waited for: {}", text.escape_ascii()),
        Ok(Some(length)) => assert_eq!(length, text.len(), "{}", text.escape_ascii()),
    }
    let naive = naive::Head::read(&text);
    assert_eq!(naive.framing(), framing(head.framing()));
    let is_upgrade = extended.is_some() && parts.method == http::Method::CONNECT;
    match (is_upgrade, parts.method.as_str()) {
        (true, _) => assert_eq!(head.method(&text), "GET"),
        (false, method) => assert_eq!(head.method(&text), method),
    }
    let has_length = parts.headers.contains_key("content-length");
    let is_marked = head.framing() == Framing::Chunked;
    assert_eq!(is_marked, !has_length && !ends && !is_upgrade);
    assert!(!ends || matches!(head.framing(), Framing::None | Framing::Length(0)));
    assert_eq!(naive.values("host").len(), 1);
    if let Some(authority) = parts.uri.authority() {
        assert_eq!(head.authority(&text), authority.as_str());
    }
    if let Some(path) = parts.uri.path_and_query() {
        assert_eq!(head.target(&text), path.as_str());
    }
    check(&naive, &parts.headers);
    format!(
        "{:?} {} {is_upgrade}",
        head.method_kind(),
        kind(head.framing())
    )
}

fn answered(parts: &response::Parts, flags: &[u8]) -> String {
    let is_upgrade = flags.contains(&b'w');
    let upgrade = is_upgrade.then_some(Upgrade {
        protocol: "websocket",
        websocket_key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
    });
    let request = if is_upgrade {
        MethodKind::Upgrade
    } else {
        MethodKind::Other
    };
    let received = ReceivedResponse {
        request,
        upgrade,
        end_of_stream: flags.contains(&b'e'),
    };
    let mut text = Vec::new();
    if let Err(reject) = response_text(&mut text, parts, received, &LIMITS) {
        assert!(text.is_empty(), "something of it is left");
        return refused(reject);
    }
    let mut head = ResponseHead::new();
    match head.decode(&text, &LARGE, request) {
        Err(reject) => return refused(reject),
        Ok(None) => panic!("it would be waited for: {}", text.escape_ascii()),
        Ok(Some(length)) => assert_eq!(length, text.len(), "{}", text.escape_ascii()),
    }
    let naive = naive::Head::read(&text);
    let is_agreed = is_upgrade && parts.status.is_success();
    let expected = if is_agreed {
        101
    } else {
        parts.status.as_u16()
    };
    assert_eq!(head.status(), expected);
    assert_ne!(
        head.framing(),
        Framing::UntilClose,
        "HTTP/2 ends its messages"
    );
    check(&naive, &parts.headers);
    format!(
        "{}xx {} {is_agreed}",
        head.status() / 100,
        kind(head.framing())
    )
}

/// Every field is one that came, with a value that came, or is the translation's own.
fn check(naive: &naive::Head<'_>, fields: &HeaderMap) {
    for (name, value) in &naive.fields {
        let name = std::str::from_utf8(name).unwrap();
        if OWN.contains(&name) || name == "cookie" || name == "content-length" {
            continue;
        }
        let mut values = fields.get_all(name).iter();
        let is_there = values.any(|other| other.as_bytes() == *value);
        assert!(is_there, "{name}: {} was made up", value.escape_ascii());
    }
    assert!(naive.values("cookie").len() <= 1);
    for name in fields.keys() {
        let count = fields.get_all(name).iter().count();
        let found = naive.values(name.as_str()).len();
        let is_whole = found == count || OWN.contains(&name.as_str()) || name == "cookie";
        assert!(is_whole, "{name} was lost");
    }
}
