//! Field sections of requests: every rule has its rows.

use ringmain_core::{
    header::Headers,
    http1::{Framing, Known, Reject, RequestHead},
};

use crate::requests::{accepted, refused};

/// Field lines that are refused in a request with a good request line and a good Host.
fn refused_fields(status: u16, reject: Reject, lines: &[&str]) {
    for lines in lines {
        let head = format!("POST /path HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        refused(status, reject, &[head.as_bytes()]);
    }
}

/// Field lines in a request that is accepted.
fn accepted_fields(lines: &str) -> RequestHead {
    accepted(&format!(
        "POST /path HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n"
    ))
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

#[test]
fn upgrades() {
    let check = |method: &str, lines: &str, expected: Option<&str>| {
        let head = format!("{method} /path HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
        let decoded = accepted(&head);
        assert_eq!(decoded.upgrade(head.as_bytes()), expected, "{head:?}");
    };
    let asked = "Connection: Upgrade\r\nUpgrade: websocket";
    check("GET", asked, Some("websocket"));
    check("POST", asked, Some("websocket"));
    check("HEAD", asked, None);
    let asked = "Upgrade: IRC/6.9\r\nConnection: keep-alive, upgrade";
    check("GET", asked, Some("IRC/6.9"));
    check("GET", "Upgrade: websocket", None);
    check("GET", "Connection: upgrade", None);
    check("GET", "Connection: upgrade\r\nUpgrade: ", None);
    check("GET", "Connection: upgrade\r\nUpgrade: a/", None);
    check("GET", "Connection: upgrade\r\nUpgrade: a/b/c", None);
    check("GET", "Connection: upgrade\r\nUpgrade: a b", None);
    check("GET", "Connection: upgrade\r\nUpgrade: a, b", None);
    check(
        "GET",
        "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b",
        None,
    );
    check(
        "GET",
        "Connection: upgrade, http2-settings\r\nUpgrade: H2C",
        None,
    );
    let asked = "Connection: Upgrade\r\nUpgrade: websocket";
    let with = |line: &str| format!("{asked}\r\n{line}");
    check("GET", &with("Content-Length: 0"), Some("websocket"));
    check("POST", &with("Content-Length: 5"), None);
    check("POST", &with("Transfer-Encoding: chunked"), None);
}
