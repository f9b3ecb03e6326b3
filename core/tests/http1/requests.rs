//! Request heads: every rule has its rows.

use ringmain_core::{
    header::Headers,
    http1::{Framing, Known, Limits, MethodKind, Reject, RequestHead},
};

use crate::decode_request;

/// Whole heads that are refused.
fn refused(status: u16, reject: Reject, heads: &[&[u8]]) {
    assert_eq!(reject.status(), status, "{reject:?}");
    for head in heads {
        let (_, verdict) = decode_request(head, &Limits::default());
        assert_eq!(verdict, Err(reject), "{}", head.escape_ascii());
    }
}

/// Field lines that are refused in a request with a good request line and a good Host.
fn refused_fields(status: u16, reject: Reject, lines: &[&str]) {
    for lines in lines {
        let head = format!("POST /path HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        refused(status, reject, &[head.as_bytes()]);
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
fn accepted(head: &str) -> RequestHead {
    let (decoded, verdict) = decode_request(head.as_bytes(), &Limits::default());
    assert_eq!(verdict, Ok(Some(head.len())), "{head:?}");
    decoded
}

/// Field lines in a request that is accepted.
fn accepted_fields(lines: &str) -> RequestHead {
    accepted(&format!(
        "POST /path HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n"
    ))
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
        505,
        Reject::Version,
        &[
            b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
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
fn field_lines() {
    refused_fields(
        400,
        Reject::LineFolding,
        &[
            "X: 1\r\n 2",
            "X: 1\r\n\t2",
            "X:\r\n 2",
            " X: 1",
            "\tX: 1",
            " ",
            "X: 1\r\n \r\nY: 2",
        ],
    );
    refused(
        400,
        Reject::LineFolding,
        &[b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
    );
    refused_fields(
        400,
        Reject::SpaceBeforeColon,
        &[
            "X : 1",
            "X\t: 1",
            "Content-Length : 5",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding\t: chunked",
            "Host : a",
        ],
    );
    refused_fields(
        400,
        Reject::HeaderName,
        &[
            ": 1",
            "X",
            "X 1",
            "X Y: 1",
            "X(: 1",
            "X\u{e4}: 1",
            "X\0: 1",
            "X\u{1}: 1",
            "X\u{7f}: 1",
            "{X}: 1",
            "X\"Y\": 1",
            "X/Y: 1",
            "X@Y: 1",
            "[X]: 1",
            "X=Y",
            "X;Y: 1",
            "GET / HTTP/1.1",
        ],
    );
    refused_fields(
        400,
        Reject::HeaderValue,
        &[
            "X: a\0b",
            "X: \0",
            "X: a\u{1}",
            "X: a\u{8}b",
            "X: a\u{b}b",
            "X: a\u{c}b",
            "X: a\u{1b}b",
            "X: a\u{7f}",
            "Transfer-Encoding: \u{b}chunked",
            "Content-Length: 5\u{c}",
        ],
    );
}

#[test]
fn hosts() {
    refused(
        400,
        Reject::HostMissing,
        &[
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n",
            b"GET http://a/ HTTP/1.1\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\n\r\n",
        ],
    );
    refused_fields(
        400,
        Reject::HostRepeated,
        &["Host: a", "Host: b", "hOST: a", "Host:"],
    );
    for host in [
        "",
        " ",
        "a b",
        "a,b c",
        "a/b",
        "a?b",
        "a#b",
        "a@b",
        "user:pass@b",
        "a:",
        "a:x",
        "a:80x",
        "a:-1",
        "a:65536",
        "a:80:80",
        ":80",
        "[::1",
        "::1",
        "[::1]x",
        "[g::1]",
        "a%",
        "a%4",
        "a%zz",
        "http://a",
        "a\\b",
        "a<b",
        "a|b",
        "a\"",
        "\u{e4}",
        "a\tb",
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        refused(400, Reject::HostInvalid, &[head.as_bytes()]);
    }
}

#[test]
fn body_framing() {
    refused_fields(
        400,
        Reject::ContentLength,
        &[
            "Content-Length:",
            "Content-Length: +5",
            "Content-Length: -5",
            "Content-Length: 5 5",
            "Content-Length: 5a",
            "Content-Length: 0x5",
            "Content-Length: 5.0",
            "Content-Length: 5;",
            "Content-Length: \"5\"",
            "Content-Length: 5,",
            "Content-Length: ,5",
            "Content-Length: 5,,5",
            "Content-Length: 18446744073709551616",
            "Content-Length: 99999999999999999999999999",
            "Content-Length: 1_000",
            "Content-Length: \u{665}",
        ],
    );
    refused_fields(
        400,
        Reject::ContentLengthConflict,
        &[
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5, 6",
            "Content-Length: 5, 5, 6",
            "Content-Length: 0\r\nX: 1\r\ncontent-length: 5",
        ],
    );
    refused_fields(
        400,
        Reject::LengthAndTransferEncoding,
        &[
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "Transfer-Encoding: xchunked\r\nContent-Length: 5",
            "Transfer-Encoding: identity\r\nContent-Length: 5",
            "Transfer-Encoding:\r\nContent-Length: 5",
        ],
    );
    refused_fields(
        501,
        Reject::TransferCoding,
        &[
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked-",
            "Transfer-Encoding: cow",
            "Transfer-Encoding: cow, chunked",
        ],
    );
    refused_fields(
        400,
        Reject::TransferEncoding,
        &[
            "Transfer-Encoding:",
            "Transfer-Encoding: ,",
            "Transfer-Encoding: ,chunked",
            "Transfer-Encoding: chunked,",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked;a=b",
            "Transfer-Encoding: chunked ; a",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding: chun ked",
            "Transfer-Encoding: [chunked]",
        ],
    );
    let framing = |lines: &str| accepted_fields(lines).framing();
    assert_eq!(framing("X: 1"), Framing::None);
    assert_eq!(framing("Content-Length: 0"), Framing::Length(0));
    assert_eq!(framing("content-length:5"), Framing::Length(5));
    assert_eq!(framing("Content-Length: \t 005 \t"), Framing::Length(5));
    assert_eq!(framing("Content-Length: 5, 5 ,5"), Framing::Length(5));
    assert_eq!(
        framing("Content-Length: 5\r\nContent-Length: 5"),
        Framing::Length(5)
    );
    assert_eq!(
        framing("Content-Length: 18446744073709551615"),
        Framing::Length(u64::MAX)
    );
    assert_eq!(framing("Transfer-Encoding: chunked"), Framing::Chunked);
    assert_eq!(framing("TRANSFER-ENCODING:\tCHUNKED "), Framing::Chunked);
}

#[test]
fn expectations_and_connection() {
    refused_fields(
        417,
        Reject::Expectation,
        &[
            "Expect:",
            "Expect: 200-ok",
            "Expect: 100-continue, 200-ok",
            "Expect: 100-continue;a=b",
            "Expect: 100-continue\r\nExpect: meat",
        ],
    );
    let many = format!("Connection: {}", ["a"; 33].join(","));
    refused_fields(
        400,
        Reject::ConnectionOption,
        &[
            "Connection: a b",
            "Connection: close;",
            "Connection: \"a\"",
            "Connection: (",
            &many,
        ],
    );
    let expects = |lines: &str| accepted_fields(lines).expects_continue();
    assert!(expects("Expect: 100-Continue\r\nContent-Length: 5"));
    assert!(expects(
        "Expect: 100-continue\r\nTransfer-Encoding: chunked"
    ));
    assert!(!expects("Expect: 100-continue"));
    assert!(!expects("Expect: 100-continue\r\nContent-Length: 0"));
    assert!(!expects("Content-Length: 5"));

    let keep_alive = |lines: &str| accepted_fields(lines).keep_alive();
    assert!(keep_alive("X: 1"));
    assert!(keep_alive("Connection: keep-alive"));
    assert!(keep_alive("Connection:"));
    assert!(keep_alive("Connection: , ,"));
    assert!(keep_alive("Proxy-Connection: close"));
    assert!(!keep_alive("Connection: close"));
    assert!(!keep_alive("Connection: keep-alive, CLOSE"));
    assert!(!keep_alive(
        "Connection: keep-alive\r\nConnection: x , close"
    ));

    let trailers = |lines: &str| accepted_fields(lines).accepts_trailers();
    assert!(trailers("TE: trailers"));
    assert!(trailers("te: gzip;q=0.5, Trailers;q=1"));
    assert!(!trailers("TE: gzip"));
    assert!(!trailers("Trailer: trailers"));
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

/// More fields than the tokenizer's smaller tables hold.
#[test]
fn any_number_of_fields_within_the_limit() {
    for count in [1, 15, 16, 17, 63, 64, 65, 100] {
        let lines: Vec<String> = (1..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", lines.concat());
        let decoded = accepted(&head);
        let names = decoded.headers(head.as_bytes()).count();
        assert_eq!(names, count);
        let (name, value) = decoded
            .headers(head.as_bytes())
            .last()
            .expect("Host at least");
        let line = format!("{name}: {}\r\n", value.escape_ascii());
        assert_eq!(
            Some(&line),
            lines.last().or(Some(&"Host: a\r\n".to_owned()))
        );
    }
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

#[test]
fn header_values() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nx-request-id:one\r\nAccept:  */* \t\r\nX-Request-ID: two\r\n\
                x-EMPTY:\r\nX-Text: \u{e4}\tb\r\naccept:text/html\r\n\r\n";
    let decoded = accepted(head);
    let bytes = head.as_bytes();
    assert_eq!(
        decoded.header(bytes, Known::XRequestId),
        Some(b"one".as_slice())
    );
    assert_eq!(decoded.header(bytes, Known::Cookie), None);
    let view = decoded.view(bytes);
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(
            view.value(name).as_deref(),
            expected.map(str::as_bytes),
            "{name}"
        );
    };
    check("host", Some("a"));
    check("x-request-id", Some("one,two"));
    check("accept", Some("*/*,text/html"));
    check("x-empty", Some(""));
    check("x-text", Some("\u{e4}\tb"));
    check("cookie", None);
    check("x-none", None);
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
        Err(Reject::Version)
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
