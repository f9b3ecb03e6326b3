//! Requests that came over HTTP/2: every rule has its rows.

use http::{HeaderValue, Request, request};
use ringmain_core::{
    http1::{Framing, Limits, Reject},
    http2::{Extended, ReceivedRequest, Scheme, request_text},
};

use crate::{decode, fields};

/// How it came.
#[derive(Clone, Copy)]
enum Came {
    Alone,
    BeforeABody,
    Asking(&'static str),
}

impl Came {
    fn received(self) -> ReceivedRequest<'static> {
        let extended = match self {
            Self::Asking(protocol) => Some(Extended {
                protocol,
                random: *b"the sample nonce",
            }),
            Self::Alone | Self::BeforeABody => None,
        };
        ReceivedRequest {
            extended,
            end_of_stream: matches!(self, Self::Alone),
        }
    }
}

fn parts(method: &str, uri: &str, list: &[(&str, &str)]) -> request::Parts {
    let request = Request::builder().method(method).uri(uri);
    let mut parts = request.body(()).expect("valid").into_parts().0;
    parts.headers = fields(list);
    parts
}

/// The text, after both have looked at it.
fn text(parts: &request::Parts, came: Came, limits: &Limits) -> Result<String, Reject> {
    // What is there already must stay, whatever comes of it.
    let mut out = b"before".to_vec();
    let written = request_text(&mut out, parts, came.received(), limits);
    assert!(out.starts_with(b"before"));
    let text = out.split_off(6);
    match written {
        Err(reject) => {
            assert_eq!(text, b"", "taken back");
            Err(reject)
        }
        Ok(_) => {
            decode(&text, limits)?;
            Ok(String::from_utf8(text).expect("valid"))
        }
    }
}

fn check(method: &str, uri: &str, list: &[(&str, &str)], came: Came, expected: &str) {
    let text = text(&parts(method, uri, list), came, &Limits::default());
    assert_eq!(text.as_deref(), Ok(expected), "{method} {uri} {list:?}");
}

fn refused(reject: Reject, method: &str, uri: &str, list: &[(&str, &str)], came: Came) {
    let text = text(&parts(method, uri, list), came, &Limits::default());
    assert_eq!(text, Err(reject), "{method} {uri} {list:?}");
}

/// Of a POST that a body follows.
fn refused_fields(reject: Reject, list: &[(&str, &str)]) {
    refused(reject, "POST", "http://a/", list, Came::BeforeABody);
}

#[test]
fn heads() {
    check(
        "GET",
        "https://reviews:9080/path?query",
        &[("accept", "*/*"), ("x-a", "1"), ("x-b", ""), ("x-a", "2")],
        Came::Alone,
        "GET /path?query HTTP/1.1\r\nhost: reviews:9080\r\naccept: */*\r\nx-a: 1\r\nx-a: 2\r\n\
         x-b: \r\n\r\n",
    );
    check(
        "OPTIONS",
        "http://a/*",
        &[],
        Came::Alone,
        "OPTIONS /* HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    check(
        "GET",
        "/without/authority",
        &[("x", "1"), ("host", "a:80")],
        Came::Alone,
        "GET /without/authority HTTP/1.1\r\nhost: a:80\r\nx: 1\r\n\r\n",
    );
    check(
        "GET",
        "http://a:80/",
        &[("host", "A")],
        Came::Alone,
        "GET / HTTP/1.1\r\nhost: a:80\r\n\r\n",
    );
    check(
        "GET",
        "http://a/",
        &[("te", "trailers"), ("x", "\u{e4}")],
        Came::Alone,
        "GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nx: \u{e4}\r\n\r\n",
    );
}

#[test]
fn the_whole_server_may_be_asked() {
    let mut whole = parts("OPTIONS", "http://a", &[]);
    let mut uri = whole.uri.into_parts();
    uri.path_and_query = Some("*".parse().expect("valid"));
    whole.uri = uri.try_into().expect("valid");
    let written = text(&whole, Came::Alone, &Limits::default());
    let expected = "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(written.as_deref(), Ok(expected));
    whole.method = http::Method::GET;
    let written = text(&whole, Came::Alone, &Limits::default());
    assert_eq!(written, Err(Reject::TargetForm));
}

#[test]
fn framing_is_said_or_marked() {
    let post = |list: &[(&str, &str)], came, framing_line: &str| {
        let expected = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing_line}\r\n");
        check("POST", "http://a/", list, came, &expected);
    };
    post(&[], Came::Alone, "");
    post(&[], Came::BeforeABody, "transfer-encoding: chunked\r\n");
    let length = "content-length: 5\r\n";
    post(&[("content-length", "5")], Came::BeforeABody, length);
    let zero = "content-length: 0\r\n";
    post(&[("content-length", "0")], Came::Alone, zero);
    post(&[("content-length", "0")], Came::BeforeABody, zero);
    let twice = [("content-length", "5"), ("content-length", "5")];
    let lines = "content-length: 5\r\ncontent-length: 5\r\n";
    post(&twice, Came::BeforeABody, lines);
    let expects = [("expect", "100-continue")];
    let lines = "expect: 100-continue\r\ntransfer-encoding: chunked\r\n";
    post(&expects, Came::BeforeABody, lines);

    let twice = [("content-length", "5"), ("content-length", "6")];
    refused_fields(Reject::ContentLengthConflict, &twice);
    for length in ["", "x", "-1", "+1", "5 5", "0x5", "18446744073709551616"] {
        refused_fields(Reject::ContentLength, &[("content-length", length)]);
    }
    let with = |length| {
        let list = [("content-length", length)];
        refused(
            Reject::LengthAndEndStream,
            "POST",
            "http://a/",
            &list,
            Came::Alone,
        );
    };
    with("5");
    with("00x");
    refused_fields(Reject::Expectation, &[("expect", "x")]);
}

#[test]
fn pieces_of_cookies_are_joined() {
    check(
        "GET",
        "http://a/",
        &[
            ("cookie", "a=b"),
            ("x", "1"),
            ("cookie", ""),
            ("cookie", "c=d"),
            ("cookie", "e=f; g"),
        ],
        Came::Alone,
        "GET / HTTP/1.1\r\nhost: a\r\ncookie: a=b; c=d; e=f; g\r\nx: 1\r\n\r\n",
    );
    // Each piece counts, although they become one field.
    let limits = Limits::default();
    let pieces = |count: usize, length: usize| {
        let piece = "c".repeat(length);
        let pieces = vec![("cookie", piece.as_str()); count];
        text(&parts("GET", "http://a/", &pieces), Came::Alone, &limits)
    };
    assert!(pieces(limits.headers_max, 100).is_ok());
    assert_eq!(
        pieces(limits.headers_max + 1, 1),
        Err(Reject::TooManyHeaders)
    );
    assert_eq!(pieces(limits.headers_max, 700), Err(Reject::HeadTooLarge));
}

#[test]
fn limits_hold_before_there_is_a_text() {
    let limits = Limits {
        head_bytes_max: 200,
        headers_max: 5,
        target_bytes_max: 50,
    };
    let with = |uri: &str, list: &[(&str, &str)]| {
        text(&parts("GET", uri, list), Came::Alone, &limits).err()
    };
    let long = "x".repeat(170);
    assert_eq!(
        with("http://a/", &[("x", &long)]),
        Some(Reject::HeadTooLarge)
    );
    assert_eq!(
        with("http://a/", &[(&long, "x")]),
        Some(Reject::HeadTooLarge)
    );
    assert_eq!(
        with("http://a/", &[("x", "y"); 6]),
        Some(Reject::TooManyHeaders)
    );
    // Host counts, as for HTTP/1.
    assert_eq!(
        with("http://a/", &[("x", "y"); 5]),
        Some(Reject::TooManyHeaders)
    );
    assert_eq!(with("http://a/", &[("x", "y"); 4]), None);
    let path = format!("http://a/{}", "x".repeat(50));
    assert_eq!(with(&path, &[]), Some(Reject::TargetTooLong));
    let path = format!("http://a/{}", "x".repeat(180));
    assert_eq!(with(&path, &[]), Some(Reject::HeadTooLarge));
}

#[test]
fn what_is_about_one_connection_is_refused() {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        for value in ["", "x", "close", "chunked", "websocket"] {
            refused_fields(Reject::ConnectionField, &[("x", "1"), (name, value)]);
        }
    }
    for value in ["", "gzip", "trailers, gzip", "trailers;q=1", "Trailers, "] {
        let reject = match value {
            "Trailers, " => Reject::HeaderSpace,
            _ => Reject::Te,
        };
        refused_fields(reject, &[("te", value)]);
    }
    refused_fields(Reject::Te, &[("te", "trailers"), ("te", "gzip")]);
}

#[test]
fn values_are_looked_at_again() {
    for value in [" x", "x ", "\tx", "x\t", " ", "\t"] {
        refused_fields(Reject::HeaderSpace, &[("x", value)]);
        refused_fields(Reject::HeaderSpace, &[("cookie", "a"), ("cookie", value)]);
    }
    // Nothing safe makes a value of these: this is what stands behind the type.
    for value in ["x\r\ny: 1", "\n", "a\0b"] {
        assert!(HeaderValue::from_bytes(value.as_bytes()).is_err());
    }
}

#[test]
fn authorities() {
    refused(Reject::HostMissing, "GET", "/", &[], Came::Alone);
    let two = [("host", "a"), ("host", "a")];
    refused(Reject::HostRepeated, "GET", "/", &two, Came::Alone);
    refused(Reject::HostRepeated, "GET", "http://a/", &two, Came::Alone);
    for host in ["b", "a:81", "a:443"] {
        let list = [("host", host)];
        refused(Reject::HostMismatch, "GET", "http://a/", &list, Came::Alone);
    }
    for host in ["", "a b", "u@a", "a/b", "a:"] {
        let list = [("host", host)];
        refused(Reject::HostInvalid, "GET", "http://a/", &list, Came::Alone);
        refused(Reject::HostInvalid, "GET", "/", &list, Came::Alone);
    }
    refused(Reject::HostInvalid, "GET", "http://u@a/", &[], Came::Alone);
    refused(Reject::HostInvalid, "GET", "http://a:/", &[], Came::Alone);
    refused(
        Reject::TargetByte,
        "GET",
        "http://a/\u{e4}",
        &[],
        Came::Alone,
    );
}

#[test]
fn schemes() {
    let scheme = |uri: &str, list: &[(&str, &str)]| {
        let received = Came::Alone.received();
        let parts = parts("GET", uri, list);
        request_text(&mut Vec::new(), &parts, received, &Limits::default())
    };
    assert_eq!(scheme("http://a/", &[]), Ok(Some(Scheme::Http)));
    assert_eq!(scheme("https://a/", &[]), Ok(Some(Scheme::Https)));
    assert_eq!(scheme("HTTPS://a/", &[]), Ok(Some(Scheme::Https)));
    assert_eq!(scheme("/", &[("host", "a")]), Ok(None));
    assert_eq!(scheme("ftp://a/", &[]), Err(Reject::Scheme));
    assert_eq!(
        scheme("https://a/", &[("host", "a:443")]),
        Ok(Some(Scheme::Https))
    );
}

#[test]
fn upgrades() {
    let websocket = Came::Asking("websocket");
    check(
        "CONNECT",
        "https://a/chat?x",
        &[
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "theirs"),
            ("origin", "b"),
        ],
        websocket,
        "GET /chat?x HTTP/1.1\r\nhost: a\r\nsec-websocket-version: 13\r\norigin: b\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\n\r\n",
    );
    check(
        "CONNECT",
        "https://a/",
        &[],
        Came::Asking("connect-udp"),
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: connect-udp\r\n\r\n",
    );
    for protocol in ["", "a b", "a/b", "a\r\nx: 1", "\u{e4}"] {
        let came = Came::Asking(protocol);
        refused(Reject::ExtendedConnect, "CONNECT", "http://a/", &[], came);
    }
    for length in ["0", "5"] {
        let list = [("content-length", length)];
        refused(Reject::TunnelBody, "CONNECT", "http://a/", &list, websocket);
        refused(
            Reject::TunnelBody,
            "CONNECT",
            "a:80",
            &list,
            Came::BeforeABody,
        );
    }
    let list = [("upgrade", "websocket")];
    refused(
        Reject::ConnectionField,
        "CONNECT",
        "http://a/",
        &list,
        websocket,
    );
    let parts = parts("CONNECT", "http://a/", &[]);
    let received = ReceivedRequest {
        end_of_stream: true,
        ..websocket.received()
    };
    let written = request_text(&mut Vec::new(), &parts, received, &Limits::default());
    assert_eq!(written, Err(Reject::TunnelBody));
}

/// What the rest of the proxy sees of an extended CONNECT.
#[test]
fn an_upgrade_is_one_of_http1() {
    let parts = parts("CONNECT", "http://a/chat", &[]);
    let mut text = Vec::new();
    let received = Came::Asking("websocket").received();
    request_text(&mut text, &parts, received, &Limits::default()).expect("valid");
    let head = decode(&text, &Limits::default()).expect("valid");
    assert_eq!(head.upgrade(&text), Some("websocket"));
    assert_eq!((head.method(&text), head.framing()), ("GET", Framing::None));
}

/// It is written as what it is; whether there are tunnels is the decoder's to say.
#[test]
fn tunnels_have_the_authority_for_a_target() {
    let parts = parts("CONNECT", "a:443", &[]);
    let mut text = Vec::new();
    let received = Came::BeforeABody.received();
    let scheme = request_text(&mut text, &parts, received, &Limits::default());
    assert_eq!(scheme, Ok(None));
    let expected = "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n";
    assert_eq!(String::from_utf8(text).expect("valid"), expected);
}
