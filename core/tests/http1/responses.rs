//! Response heads: every rule has its rows.

use ringmain_core::http1::{Framing, Known, Limits, MethodKind, Reject, ResponseHead};

use crate::decode_response;

fn refused(reject: Reject, heads: &[&[u8]]) {
    for head in heads {
        let (_, verdict) = decode_response(head, &Limits::default(), MethodKind::Other);
        assert_eq!(verdict, Err(reject), "{}", head.escape_ascii());
    }
}

fn accepted(head: &str, request: MethodKind) -> ResponseHead {
    let (decoded, verdict) = decode_response(head.as_bytes(), &Limits::default(), request);
    assert_eq!(verdict, Ok(Some(head.len())), "{head:?}");
    decoded
}

#[test]
fn status_lines_that_are_refused() {
    refused(
        Reject::StatusLine,
        &[
            b"SSH-2.0-OpenSSH",
            b"\r\nHTTP/1.1 200 OK\r\n\r\n",
            b" HTTP/1.1 200 OK\r\n\r\n",
            b"http/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 \r\n\r\n",
            b"HTTP/1.1  200 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/1.1 +20 OK\r\n\r\n",
            b"HTTP/1.1 200OK\r\n\r\n",
            b"HTTP/1.1 200\tOK\r\n\r\n",
            b"HTTP/1.1\t200 OK\r\n\r\n",
            b"HTTP/1.1 200 O\0K\r\n\r\n",
            b"HTTP/1.1 200 O\x7fK\r\n\r\n",
            b"HTTP/1.1x 200 OK\r\n\r\n",
            b"HTTP/11 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\x1b[0m\r\n\r\n",
        ],
    );
    refused(
        Reject::Version,
        &[
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/0.9 200 OK\r\n\r\n",
            b"HTTP/1.2 200 OK\r\n\r\n",
        ],
    );
    refused(
        Reject::SwitchingProtocols,
        &[b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"],
    );
}

#[test]
fn fields_that_are_refused() {
    let check = |reject, lines: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n");
        refused(reject, &[head.as_bytes()]);
    };
    check(
        Reject::LengthAndTransferEncoding,
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
    );
    check(
        Reject::LengthAndTransferEncoding,
        "Transfer-Encoding: identity\r\nContent-Length: 5",
    );
    check(
        Reject::ContentLengthConflict,
        "Content-Length: 5\r\nContent-Length: 6",
    );
    check(Reject::ContentLengthConflict, "Content-Length: 5, 6");
    check(Reject::ContentLength, "Content-Length: +5");
    check(Reject::ContentLength, "Content-Length: -1");
    check(Reject::ContentLength, "Content-Length: 5 ,");
    check(
        Reject::ContentLength,
        "Content-Length: 99999999999999999999",
    );
    check(Reject::TransferCoding, "Transfer-Encoding: identity");
    check(Reject::TransferCoding, "Transfer-Encoding: gzip, chunked");
    check(Reject::TransferEncoding, "Transfer-Encoding: gzip");
    check(
        Reject::TransferEncoding,
        "Transfer-Encoding: chunked, chunked",
    );
    check(Reject::TransferEncoding, "Transfer-Encoding: chunked;a=b");
    check(Reject::ConnectionOption, "Connection: a b");
    check(Reject::HeaderValue, "Set-Cookie: a\0b");
    check(Reject::SpaceBeforeColon, "Content-Length : 5");
    check(Reject::LineFolding, "X: 1\r\n 2");
    check(Reject::HeaderName, "X");
    check(Reject::BareLineEnd, "X: 1\nY: 2");
    check(Reject::BareLineEnd, "X: 1\rY: 2");
    refused(
        Reject::BareLineEnd,
        &[
            b"HTTP/1.1 200 OK\n\n",
            b"HTTP/1.1 200 O\rK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\n",
        ],
    );
    refused(
        Reject::TransferEncodingVersion,
        &[b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    );
}

#[test]
fn limits() {
    let limits = Limits {
        head_bytes_max: 64,
        headers_max: 2,
        ..Limits::default()
    };
    let check = |head: &str, expected| {
        let (_, verdict) = decode_response(head.as_bytes(), &limits, MethodKind::Other);
        assert_eq!(verdict, expected, "{head:?}");
    };
    let with_reason = |length| format!("HTTP/1.1 200 {}\r\n\r\n", "x".repeat(length));
    check(&with_reason(47), Ok(Some(64)));
    check(&with_reason(48), Err(Reject::HeadTooLarge));
    check(&with_reason(100), Err(Reject::HeadTooLarge));
    check("HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n\r\n", Ok(Some(31)));
    check(
        "HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n",
        Err(Reject::TooManyHeaders),
    );
}

#[test]
fn status_lines_that_are_read() {
    let check = |line: &str, status, reason: &str| {
        let head = format!("{line}\r\n\r\n");
        let decoded = accepted(&head, MethodKind::Other);
        assert_eq!(decoded.status(), status, "{line}");
        assert_eq!(decoded.reason(head.as_bytes()), reason.as_bytes(), "{line}");
    };
    check("HTTP/1.1 200 OK", 200, "OK");
    check("HTTP/1.1 200 ", 200, "");
    check("HTTP/1.1 200", 200, "");
    check("HTTP/1.0 404 Not  Found ", 404, "Not  Found ");
    check("HTTP/1.1 500 K\u{e4}se\t1", 500, "K\u{e4}se\t1");
    check("HTTP/1.1 999 Go away", 999, "Go away");
    check("HTTP/1.1 100 Continue", 100, "Continue");
}

#[test]
fn framing_and_reuse() {
    /// Framing of the body, what the fields declare, and whether the connection stays.
    type Facts = (Framing, Framing, bool);
    let check = |line: &str, lines: &str, request, expected: Facts| {
        let head = format!("{line}\r\n{lines}\r\n");
        let decoded = accepted(&head, request);
        let facts = (decoded.framing(), decoded.declared(), decoded.keep_alive());
        assert_eq!(facts, expected, "{head:?}");
    };
    let (head, other) = (MethodKind::Head, MethodKind::Other);
    let (none, five) = (Framing::None, Framing::Length(5));
    let (chunked, close) = (Framing::Chunked, Framing::UntilClose);
    let length = "Content-Length: 5\r\n";
    let coding = "Transfer-Encoding: Chunked\r\n";
    check("HTTP/1.1 200 OK", length, other, (five, five, true));
    check(
        "HTTP/1.1 200 OK",
        "content-length: 5, 5\r\n",
        other,
        (five, five, true),
    );
    check("HTTP/1.1 200 OK", coding, other, (chunked, chunked, true));
    check("HTTP/1.1 200 OK", "", other, (close, none, false));
    check(
        "HTTP/1.1 200 OK",
        "Connection: keep-alive\r\n",
        other,
        (close, none, false),
    );
    check(
        "HTTP/1.1 200 OK",
        "Content-Length: 5\r\nConnection: Close\r\n",
        other,
        (five, five, false),
    );
    check("HTTP/1.1 200 OK", length, head, (none, five, true));
    check("HTTP/1.1 200 OK", coding, head, (none, chunked, true));
    check("HTTP/1.1 200 OK", "", head, (none, none, true));
    // What cannot be there may come all the same, and would be the next answer.
    let no_content = "HTTP/1.1 204 No Content";
    check(no_content, length, other, (none, five, false));
    check(no_content, coding, other, (none, chunked, false));
    check(no_content, length, head, (none, five, false));
    check(no_content, "", other, (none, none, true));
    let nothing = Framing::Length(0);
    check(
        no_content,
        "Content-Length: 0\r\n",
        other,
        (none, nothing, true),
    );
    check(
        "HTTP/1.1 304 Not Modified",
        length,
        other,
        (none, five, true),
    );
    check("HTTP/1.1 304 Not Modified", "", other, (none, none, true));
    check("HTTP/1.1 100 Continue", length, other, (none, five, true));
    check("HTTP/1.1 103 Early Hints", "", other, (none, none, true));
    check(
        "HTTP/1.1 205 Reset Content",
        "Content-Length: 0\r\n",
        other,
        (Framing::Length(0), Framing::Length(0), true),
    );
    check("HTTP/1.0 200 OK", length, other, (five, five, false));
    check(
        "HTTP/1.0 200 OK",
        "Content-Length: 5\r\nConnection: Keep-Alive\r\n",
        other,
        (five, five, true),
    );
    check(
        "HTTP/1.0 200 OK",
        "Connection: keep-alive\r\n",
        other,
        (close, none, false),
    );
    check(
        "HTTP/1.0 200 OK",
        "Content-Length: 5\r\nConnection: keep-alive, close\r\n",
        other,
        (five, five, false),
    );
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let limits = Limits::default();
    let bytes =
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    let mut head = ResponseHead::new();
    let first = head.decode(bytes, &limits, MethodKind::Other);
    assert_eq!(first, Ok(Some(40)));
    assert!(head.is_interim());
    let rest = &bytes[40..];
    assert_eq!(
        head.decode(rest, &limits, MethodKind::Other),
        Ok(Some(rest.len()))
    );
    assert!(!head.is_interim());
    assert_eq!(head.header(rest, Known::Server), Some(b"x".as_slice()));
}

/// Each would cost the client and the proxy something, and there is no end to them otherwise.
#[test]
fn interim_responses_are_limited() {
    let limits = Limits::default();
    let interim = b"HTTP/1.1 103 x\r\n\r\n";
    let last = b"HTTP/1.1 204 x\r\n\r\n";
    let mut head = ResponseHead::new();
    let mut decode = |bytes: &[u8], is_next: bool| {
        if is_next {
            head.reset();
        }
        head.decode(bytes, &limits, MethodKind::Other)
    };
    for round in 0..3 {
        for index in 0..64 {
            let is_next = round == 1 && index == 0;
            assert_eq!(decode(interim, is_next), Ok(Some(18)), "{round} {index}");
        }
        match round {
            0 => assert_eq!(decode(interim, false), Err(Reject::InterimHeads)),
            _ => assert_eq!(decode(last, false), Ok(Some(18))),
        }
    }
}

/// Only who asked for another protocol is told of it, and told which.
#[test]
fn upgrades() {
    let head = |lines: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{lines}\r\n");
    let agreed = head("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n");
    let decoded = accepted(&agreed, MethodKind::Upgrade);
    assert_eq!(decoded.upgrade(agreed.as_bytes()), Some("websocket"));
    assert_eq!(decoded.framing(), Framing::None);
    assert!(!decoded.is_interim() && !decoded.keep_alive());
    for request in [MethodKind::Other, MethodKind::Head, MethodKind::Connect] {
        let (_, verdict) = decode_response(agreed.as_bytes(), &Limits::default(), request);
        assert_eq!(verdict, Err(Reject::SwitchingProtocols), "{request:?}");
    }
    for lines in ["", "Connection: upgrade\r\n", "Upgrade: a, b\r\n"] {
        let head = head(lines);
        let (_, verdict) =
            decode_response(head.as_bytes(), &Limits::default(), MethodKind::Upgrade);
        assert_eq!(verdict, Err(Reject::SwitchingProtocols), "{lines:?}");
    }
    let refused = "HTTP/1.1 403 Forbidden\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n";
    let decoded = accepted(refused, MethodKind::Upgrade);
    assert_eq!(decoded.upgrade(refused.as_bytes()), None);
    assert_eq!(decoded.framing(), Framing::Length(5));
}

#[test]
fn tunnels() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let decoded = accepted(head, MethodKind::Connect);
    assert_eq!(decoded.framing(), Framing::None);
    assert!(!decoded.keep_alive());
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\n";
    let decoded = accepted(head, MethodKind::Connect);
    assert_eq!(decoded.framing(), Framing::Length(5));
    assert!(decoded.keep_alive());
}
