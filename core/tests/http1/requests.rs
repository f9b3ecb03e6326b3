//! Request lines, and request heads as a whole: every rule has its rows.

use ringmain_core::http1::{Framing, Known, Limits, MethodKind, Reject, RequestHead};

use crate::decode_request;

/// Whole heads that are refused.
pub(crate) fn refused(status: u16, reject: Reject, heads: &[&[u8]]) {
    assert_eq!(reject.status(), status, "{reject:?}");
    for head in heads {
        let (_, verdict) = decode_request(head, &Limits::default());
        assert_eq!(verdict, Err(reject), "{}", head.escape_ascii());
    }
}

/// Targets that are refused with `Host: a`.
fn refused_targets(status: u16, reject: Reject, targets: &[&str]) {
    for target in targets {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        refused(status, reject, &[head.as_bytes()]);
    }
}

/// A head that is accepted as a whole.
pub(crate) fn accepted(head: &str) -> RequestHead {
    let (decoded, verdict) = decode_request(head.as_bytes(), &Limits::default());
    assert_eq!(verdict, Ok(Some(head.len())), "{head:?}");
    decoded
}

#[test]
fn request_lines() {
    refused(
        400,
        Reject::RequestLine,
        &[
            b"GET /\r\nHost: a\r\n\r\n",
            b"GET\r\nHost: a\r\n\r\n",
            b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\tGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / http/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.10\r\nHost: a\r\n\r\n",
            b"GET / HTTP/01.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1,1\r\nHost: a\r\n\r\n",
            b"GET / HTTP /1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n",
            b"GET / ICY/1.1\r\nHost: a\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"\x00",
            b"\xffGET / HTTP/1.1\r\n",
        ],
    );
    refused(
        400,
        Reject::EmptyLine,
        &[
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    refused(
        400,
        Reject::Method,
        &[
            b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"G\xc3\xa4T / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET\x00 / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PUT\x00\x00\x00\x00 / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
    refused(
        501,
        Reject::Connect,
        &[b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"],
    );
    refused(
        426,
        Reject::LowVersion,
        &[
            b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"GET /a?b HTTP/1.0\r\n",
        ],
    );
    refused(
        505,
        Reject::Version,
        &[
            b"GET / HTTP/0.9\r\n\r\n",
            b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            b"GET / HTTP/2\r\nHost: a\r\n\r\n",
            b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        ],
    );
    refused(
        505,
        Reject::Http2Preface,
        &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    );
}

#[test]
fn targets() {
    refused_targets(
        400,
        Reject::TargetForm,
        &[
            "*", "**", "path", "?query", "a:80", "a", "http:/a/", "http:a", "ftp://a/", "http//a/",
            "\\path", "%2f",
        ],
    );
    refused_targets(
        400,
        Reject::TargetByte,
        &[
            "/#fragment",
            "/path#",
            "http://a/#f",
            "/\u{e4}",
            "/\u{7f}",
            "/a\tb",
            "/a\u{1}b",
            "/\0",
            "/a\u{b}b",
        ],
    );
    refused_targets(
        400,
        Reject::HostInvalid,
        &[
            "http:///path",
            "http://user@a/",
            "http://user:password@a/",
            "http://a:/",
            "http://a:99999/",
            "http://[::1/",
            "http://a\\b/",
        ],
    );
    refused_targets(
        400,
        Reject::HostMismatch,
        &[
            "http://b/",
            "http://a:8080/",
            "https://a:80/",
            "http://a.b/",
            "http://a./",
        ],
    );
}

#[test]
fn line_ends() {
    refused(
        400,
        Reject::BareLineEnd,
        &[
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\r\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\rHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
            b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n",
            b"G\rET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\rX: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX\r: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX:\r1\r\n\r\n",
            b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
    );
}

#[test]
fn limits() {
    let limits = Limits {
        head_bytes_max: 128,
        headers_max: 3,
        target_bytes_max: 16,
    };
    let check = |head: &str, expected| {
        let (_, verdict) = decode_request(head.as_bytes(), &limits);
        assert_eq!(verdict, expected, "{head:?}");
    };
    let padded = |length: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        let padding = "x".repeat(length - rest);
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {padding}\r\n\r\n")
    };
    check(&padded(128), Ok(Some(128)));
    check(&padded(129), Err(Reject::HeadTooLarge));
    check(&padded(130), Err(Reject::HeadTooLarge));
    check(&padded(1000), Err(Reject::HeadTooLarge));
    check(&padded(500)[..128], Err(Reject::HeadTooLarge));
    check(&padded(500)[..127], Ok(None));
    let fields = |count: usize| {
        let fields = "X: 1\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    };
    check(&fields(3), Ok(Some(fields(3).len())));
    check(&fields(4), Err(Reject::TooManyHeaders));
    check(&fields(5), Err(Reject::TooManyHeaders));
    let target = |length: usize| {
        let path = "x".repeat(length - 1);
        format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    check(&target(16), Ok(Some(target(16).len())));
    check(&target(17), Err(Reject::TargetTooLong));
    check(&target(90), Err(Reject::TargetTooLong));
    check(&target(128), Err(Reject::TargetTooLong));
    check(&target(500), Err(Reject::TargetTooLong));
    assert_eq!(Reject::HeadTooLarge.status(), 431);
    assert_eq!(Reject::TooManyHeaders.status(), 431);
    assert_eq!(Reject::TargetTooLong.status(), 414);
}

#[test]
fn parts_of_the_target() {
    /// Path, query, path and query, authority.
    type Parts<'a> = (&'a str, Option<&'a str>, &'a str, &'a str);
    let check = |method: &str, target: &str, host: &str, expected: Parts<'_>| {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let decoded = accepted(&head);
        let bytes = head.as_bytes();
        assert_eq!(decoded.method(bytes), method);
        assert_eq!(decoded.target(bytes), target);
        assert_eq!(
            (
                decoded.path(bytes),
                decoded.query(bytes),
                decoded.path_and_query(bytes).as_ref(),
                decoded.authority(bytes)
            ),
            expected
        );
    };
    check("GET", "/", "a", ("/", None, "/", "a"));
    check("GET", "//x", "a", ("//x", None, "//x", "a"));
    check(
        "GET",
        "/p?q=1?2",
        "a:80",
        ("/p", Some("q=1?2"), "/p?q=1?2", "a:80"),
    );
    check(
        "GET",
        "/p?",
        "[::1]:80",
        ("/p", Some(""), "/p?", "[::1]:80"),
    );
    check(
        "GET",
        "/%2e%2e/;a=b",
        "A.b",
        ("/%2e%2e/;a=b", None, "/%2e%2e/;a=b", "A.b"),
    );
    check("OPTIONS", "*", "a", ("*", None, "*", "a"));
    check("OPTIONS", "/x", "a", ("/x", None, "/x", "a"));
    check("PURGE", "/x", "a", ("/x", None, "/x", "a"));
    check("get", "/x", "a", ("/x", None, "/x", "a"));
    check(
        "GET",
        "http://A:80/x?y",
        "a",
        ("/x", Some("y"), "/x?y", "A:80"),
    );
    check("GET", "HTTPS://a/x", "a:443", ("/x", None, "/x", "a"));
    check("GET", "http://a", "a", ("/", None, "/", "a"));
    check("GET", "http://a?q", "a", ("/", Some("q"), "/?q", "a"));
    check("OPTIONS", "http://a", "a", ("*", None, "*", "a"));
    check("OPTIONS", "http://a?q", "a", ("/", Some("q"), "/?q", "a"));
    check("OPTIONS", "http://a/", "a", ("/", None, "/", "a"));
}

#[test]
fn method_kinds() {
    let kind = |method| accepted(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).method_kind();
    assert_eq!(kind("HEAD"), MethodKind::Head);
    assert_eq!(kind("OPTIONS"), MethodKind::Options);
    assert_eq!(kind("GET"), MethodKind::Other);
    assert_eq!(kind("head"), MethodKind::Other);
}

#[test]
fn one_empty_line_comes_before() {
    let head = "\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(accepted(head).target(head.as_bytes()), "/x");
}

#[test]
fn what_follows_the_head_is_left_alone() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n";
    let (_, verdict) = decode_request(bytes, &Limits::default());
    assert_eq!(verdict, Ok(Some(27)));
}

/// A head serves message after message, also after an error and after a part of one.
#[test]
fn heads_are_reused() {
    let limits = Limits::default();
    let mut head = RequestHead::new();
    let first = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n";
    assert_eq!(head.decode(first, &limits), Ok(Some(first.len())));
    assert_eq!(
        head.decode(b"GET / HTTP/1.0\r\n\r\n", &limits),
        Err(Reject::LowVersion)
    );
    assert_eq!(
        head.decode(b"GET /unfinished HTTP/1.1\r\nHost: aaaaaaaaaaa", &limits),
        Ok(None)
    );
    head.reset();
    let second = b"GET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    assert_eq!(head.decode(second, &limits), Ok(Some(second.len())));
    assert_eq!(head.target(second), "/2");
    assert_eq!(head.framing(), Framing::None);
    assert!(head.keep_alive());
    assert_eq!(head.header(second, Known::ContentLength), None);
}
