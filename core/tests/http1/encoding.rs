//! Bytes in, bytes out.

use ringmain_core::{
    header::Edits,
    http1::{
        Framing, Known, Limits, MethodKind, RequestWrite, ResponseWrite, encode_local_response,
        encode_request, encode_response,
    },
};

use crate::{decode_request, decode_response};

fn edits(dropped: &[&str], appended: &[(&str, &str)]) -> Edits {
    Edits {
        authority: None,
        dropped: dropped.iter().collect(),
        appended: appended
            .iter()
            .map(|&(name, value)| (name.into(), value.into()))
            .collect(),
    }
}

/// What is written for a request; target, authority and framing as received unless `write` says
/// otherwise.
fn request(head: &str, write: RequestWrite<'_>) -> String {
    let (decoded, verdict) = decode_request(head.as_bytes(), &Limits::default());
    assert_eq!(verdict, Ok(Some(head.len())), "{head:?}");
    let target = decoded.path_and_query(head.as_bytes());
    let or = |given, received| {
        if write.target.is_empty() {
            received
        } else {
            given
        }
    };
    let write = RequestWrite {
        target: or(write.target, &target),
        authority: match write.authority {
            "" => decoded.authority(head.as_bytes()),
            authority => authority,
        },
        framing: match write.framing {
            Framing::None => decoded.framing(),
            framing => framing,
        },
        ..write
    };
    // What is there already must stay.
    let mut out = b"before ".to_vec();
    encode_request(&mut out, &decoded, head.as_bytes(), &write);
    let out = String::from_utf8(out).expect("the tests use text");
    out.strip_prefix("before ").expect("appended").to_owned()
}

/// The fields of a request that go on, with those of the encoder.
fn check_fields(received: &str, write: RequestWrite<'_>, expected: &str) {
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{received}\r\n");
    let expected = format!("GET / HTTP/1.1\r\nhost: a\r\n{expected}\r\n");
    assert_eq!(request(&head, write), expected);
}

fn plain(received: &str, expected: &str) {
    check_fields(received, RequestWrite::default(), expected);
}

#[test]
fn order_and_case_are_kept() {
    let head = "POST /p?q HTTP/1.1\r\nX-One: 1\r\nHOST: A.b:80\r\naccept: */*\r\nX-one: 2\r\n\r\n";
    let expected =
        "POST /p?q HTTP/1.1\r\nhost: A.b:80\r\nX-One: 1\r\naccept: */*\r\nX-one: 2\r\n\r\n";
    assert_eq!(request(head, RequestWrite::default()), expected);
}

#[test]
fn lines_are_written_one_way() {
    plain(
        "a:1\r\nb:  2\r\nc: 3 \t\r\nd:\t4\r\ne:\r\nf: \r\n",
        "a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: \r\nf: \r\n",
    );
    plain(
        "a: 1\r\nb:2\r\nc: 3\r\nd: 4\r\n",
        "a: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n",
    );
}

#[test]
fn target_and_authority() {
    let head = "GET http://old/x HTTP/1.1\r\nHost: OLD\r\n\r\n";
    assert_eq!(
        request(head, RequestWrite::default()),
        "GET /x HTTP/1.1\r\nhost: old\r\n\r\n"
    );
    let check = |target, authority, expected: &str| {
        let write = RequestWrite {
            target,
            authority,
            ..RequestWrite::default()
        };
        assert_eq!(request(head, write), expected);
    };
    check(
        "/new?a",
        "new:80",
        "GET /new?a HTTP/1.1\r\nhost: new:80\r\n\r\n",
    );
    check(
        "/a b\r\nX: 1\0#",
        "n",
        "GET /a%20b%0D%0AX:%201%00%23 HTTP/1.1\r\nhost: n\r\n\r\n",
    );
    check(
        "/\u{e4}\u{7f}%20",
        "n",
        "GET /%C3%A4%7F%20 HTTP/1.1\r\nhost: n\r\n\r\n",
    );
    check("/", "n\r\nX: 1", "GET / HTTP/1.1\r\nhost: n  X: 1\r\n\r\n");
}

/// However long a text is, and wherever in it the byte stands: it is looked at in blocks.
#[test]
fn bytes_that_may_not_stand_in_a_text() {
    let table = [
        ("\0", "%00", " "),
        ("\t", "%09", "\t"),
        ("\r", "%0D", " "),
        ("\n", "%0A", " "),
        ("\x1f", "%1F", " "),
        (" ", "%20", " "),
        ("#", "%23", "#"),
        ("~", "~", "~"),
        ("\x7f", "%7F", " "),
        ("\u{e4}", "%C3%A4", "\u{e4}"),
    ];
    for (text, in_target, in_value) in table {
        for (before, after) in (0..40).flat_map(|end| (0..=end).map(move |at| (at, end - at))) {
            let with = |text: &str| format!("{}{text}{}", "a".repeat(before), "b".repeat(after));
            let given = with(text);
            let write = RequestWrite {
                target: &given,
                authority: "a",
                set: &[(Known::Via, given.as_bytes())],
                ..RequestWrite::default()
            };
            assert_eq!(
                request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", write),
                format!(
                    "GET {} HTTP/1.1\r\nhost: a\r\nvia: {}\r\n\r\n",
                    with(in_target),
                    with(in_value)
                ),
            );
        }
    }
}

#[test]
fn connection_bound_fields_stay_behind() {
    for name in [
        "Connection",
        "KEEP-ALIVE",
        "Proxy-Connection",
        "Upgrade",
        "HTTP2-Settings",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "TE",
        "Trailer",
    ] {
        plain(
            &format!("A: 1\r\n{name}: x\r\nB: 2\r\n"),
            "A: 1\r\nB: 2\r\n",
        );
    }
    plain(
        "Expect: 100-continue\r\nContent-Length: 5\r\n",
        "content-length: 5\r\n",
    );
}

#[test]
fn connection_names_fields() {
    plain(
        "Connection: close, X-A ,x-b\r\nx-a: 1\r\nX-B: 2\r\nX-C: 3\r\n",
        "X-C: 3\r\n",
    );
    plain("X-A: 1\r\nConnection: x\r\nConnection: x-a\r\n", "");
    plain("Connection: keep-alive\r\nX-A: 1\r\n", "X-A: 1\r\n");
    for name in [
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "X-Forwarded-Anything",
        "X-Envoy-Anything",
        "X-Request-Id",
        "Content-Type",
        "Content-Language",
        "Cache-Control",
        "Via",
        "Forwarded",
        "traceparent",
        "X-B3-TraceId",
        "User-Agent",
        "X-Real-IP",
        "True-Client-Ip",
        "X-Auth-Request-User",
        "X-Original-URL",
        "B3",
        "If-Match",
    ] {
        let received = format!("Connection: {name}\r\n{name}: 1\r\n");
        plain(&received, &format!("{name}: 1\r\n"));
    }
    let received = "Connection: Host, Content-Length\r\nContent-Length: 5\r\n";
    plain(received, "content-length: 5\r\n");
    let received = "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n";
    plain(received, "transfer-encoding: chunked\r\n");
}

#[test]
fn trailers_are_announced_where_they_can_be() {
    plain(
        "TE: trailers, gzip\r\nConnection: TE\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n",
        "Trailer: X-Sum\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n",
    );
    plain(
        "Trailer: X-Sum\r\nContent-Length: 1\r\n",
        "content-length: 1\r\n",
    );
    plain(
        "Connection: trailer\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: chunked\r\n",
    );
    plain("TE: gzip\r\n", "");
}

#[test]
fn upgrades_are_written_from_values() {
    let received = "Connection: upgrade\r\nUpgrade: websocket\r\nTE: trailers\r\n";
    let write = RequestWrite {
        upgrade: Some("websocket"),
        ..RequestWrite::default()
    };
    check_fields(
        received,
        write,
        "connection: upgrade\r\nupgrade: websocket\r\n",
    );
    plain(received, "te: trailers\r\nconnection: te\r\n");
    check_response(
        "HTTP/1.1 101 Now\r\nUpgrade: a\r\nX: 1\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\n",
        ResponseWrite {
            request: MethodKind::Upgrade,
            ..ResponseWrite::default()
        },
        "HTTP/1.1 101 Now\r\nX: 1\r\nconnection: upgrade\r\nupgrade: a\r\n\r\n",
    );
}

/// A client that is told 426 has to be told what to speak (RFC 9110 section 15.5.22).
#[test]
fn required_upgrades_are_passed_on() {
    for (status, upgrade, keep_alive, connection) in [
        ("426 Up", "upgrade: TLS/1.0, HTTP/1.1\r\n", true, "upgrade"),
        ("426 Up", "upgrade: a\r\n", false, "upgrade, close"),
        ("426 Up", "upgrade: a b\r\n", true, ""),
        ("426 Up", "upgrade: a,,b\r\n", true, ""),
        ("426 Up", "upgrade: a\r\nupgrade: b\r\n", false, "close"),
        ("426 Up", "", true, ""),
        ("403 No", "upgrade: a\r\n", true, ""),
    ] {
        let fields = "Connection: upgrade\r\nContent-Length: 0\r\n";
        let received = format!("HTTP/1.1 {status}\r\n{upgrade}{fields}\r\n");
        let write = ResponseWrite {
            framing: Framing::Length(0),
            keep_alive,
            ..ResponseWrite::default()
        };
        let passed = match connection {
            "" => String::new(),
            "close" => "connection: close\r\n".to_owned(),
            _ => format!("connection: {connection}\r\n{upgrade}"),
        };
        let expected = format!("HTTP/1.1 {status}\r\n{passed}content-length: 0\r\n\r\n");
        check_response(&received, write, &expected);
    }
}

#[test]
fn framing_is_written_from_values() {
    plain("Content-Length: 007, 7\r\n", "content-length: 7\r\n");
    plain("Content-Length: 0\r\n", "content-length: 0\r\n");
    plain(
        "Transfer-Encoding: CHUNKED\r\n",
        "transfer-encoding: chunked\r\n",
    );
    let write = RequestWrite {
        framing: Framing::Chunked,
        expect_continue: true,
        ..RequestWrite::default()
    };
    check_fields(
        "Content-Length: 7\r\n",
        write,
        "expect: 100-continue\r\ntransfer-encoding: chunked\r\n",
    );
}

#[test]
fn own_fields_replace_received_ones() {
    let write = RequestWrite {
        set: &[
            (Known::XRequestId, b"new"),
            (Known::XForwardedProto, b"http"),
        ],
        append: &[(Known::XForwardedFor, b"10.0.0.1")],
        ..RequestWrite::default()
    };
    check_fields(
        "X-Request-ID: old\r\nA: 1\r\nx-request-id: older\r\nX-Forwarded-For: 1.1.1.1\r\n\
         x-forwarded-for:\r\nx-forwarded-for: 2.2.2.2, 3.3.3.3\r\n",
        write,
        "A: 1\r\nx-request-id: new\r\nx-forwarded-proto: http\r\n\
         x-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1\r\n",
    );
    check_fields(
        "",
        write,
        "x-request-id: new\r\nx-forwarded-proto: http\r\nx-forwarded-for: 10.0.0.1\r\n",
    );
}

#[test]
fn what_a_client_is_not_trusted_with_does_not_go_on() {
    let untrusted = ["x-envoy-internal", "x-envoy-original-path", "x-odd"];
    let untrusted = untrusted.into_iter().collect();
    let added = edits(&[], &[("x-odd", "ours")]);
    let write = RequestWrite {
        untrusted: Some(&untrusted),
        set: &[(Known::XEnvoyOriginalPath, b"/old")],
        edits: &[&added],
        ..RequestWrite::default()
    };
    check_fields(
        "X-Envoy-Internal: true\r\nA: 1\r\nx-envoy-original-path: /x\r\nX-ODD: 1\r\nx-odc: 2\r\n",
        write,
        "A: 1\r\nx-odc: 2\r\nx-envoy-original-path: /old\r\nx-odd: ours\r\n",
    );
}

#[test]
fn edits_come_in_their_order_after_the_own_fields() {
    let destination = edits(
        &["x-gone", "x-twice"],
        &[("X-Twice", "first"), ("X-Both", "1")],
    );
    let route = edits(
        &["x-twice", "x-forwarded-proto"],
        &[("x-twice", "second"), ("X-Both", "2")],
    );
    let write = RequestWrite {
        set: &[
            (Known::XRequestId, b"id"),
            (Known::XForwardedProto, b"http"),
        ],
        edits: &[&destination, &route],
        ..RequestWrite::default()
    };
    check_fields(
        "X-GONE: 1\r\nA: 1\r\nX-Twice: 0\r\nx-both: 0\r\nX-Forwarded-Proto: x\r\n",
        write,
        "A: 1\r\nx-both: 0\r\nx-request-id: id\r\nX-Both: 1\r\nx-twice: second\r\nX-Both: 2\r\n",
    );
    let strip = edits(&["x-forwarded-for"], &[]);
    let write = RequestWrite {
        append: &[(Known::XForwardedFor, b"10.0.0.1")],
        edits: &[&strip],
        ..RequestWrite::default()
    };
    check_fields("X-Forwarded-For: 1.1.1.1\r\n", write, "");
}

#[test]
fn values_cannot_end_their_field() {
    let bad = edits(&[], &[("x-b", "1\r\nx-evil: 1\0")]);
    let write = RequestWrite {
        set: &[(Known::XRequestId, b"1\r\n\r\nGET / HTTP/1.1\r\n")],
        append: &[(Known::XForwardedFor, b"\n1")],
        edits: &[&bad],
        ..RequestWrite::default()
    };
    check_fields(
        "X-Forwarded-For: 0\r\n",
        write,
        "x-request-id: 1    GET / HTTP/1.1  \r\nx-forwarded-for: 0,  1\r\nx-b: 1  x-evil: 1 \r\n",
    );
}

/// Names of the same length, and of lengths that share a bit of the encoder's filter.
#[test]
fn only_the_named_fields_are_dropped() {
    let long = "x".repeat(65);
    let drop_one = edits(&["a", "abc"], &[]);
    let write = RequestWrite {
        edits: &[&drop_one],
        ..RequestWrite::default()
    };
    check_fields(
        &format!("A: 1\r\nB: 2\r\nABD: 3\r\nAbC: 4\r\n{long}: 5\r\n"),
        write,
        &format!("B: 2\r\nABD: 3\r\n{long}: 5\r\n"),
    );
}

/// What is written for a response; framing as received unless `write` says otherwise.
fn check_response(received: &str, write: ResponseWrite<'_>, expected: &str) {
    let (decoded, verdict) =
        decode_response(received.as_bytes(), &Limits::default(), write.request);
    assert_eq!(verdict, Ok(Some(received.len())), "{received:?}");
    let mut out = Vec::new();
    encode_response(&mut out, &decoded, received.as_bytes(), &write);
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn responses() {
    let open = ResponseWrite {
        keep_alive: true,
        ..ResponseWrite::default()
    };
    let length = ResponseWrite {
        framing: Framing::Length(5),
        ..open
    };
    check_response(
        "HTTP/1.1 200 Fine\r\nDate: now\r\nConnection: close, X\r\nX: 1\r\nSERVER: s\r\nContent-Length: 5\r\nKeep-Alive: 5\r\n\r\n",
        length,
        "HTTP/1.1 200 Fine\r\nDate: now\r\nSERVER: s\r\ncontent-length: 5\r\n\r\n",
    );
    check_response(
        "HTTP/1.0 404\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nConnection: set-cookie\r\n\r\n",
        ResponseWrite {
            framing: Framing::Chunked,
            ..open
        },
        "HTTP/1.1 404 \r\nSet-Cookie: a\r\nSet-Cookie: b\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    check_response(
        "HTTP/1.1 200 OK\r\n\r\n",
        ResponseWrite {
            framing: Framing::UntilClose,
            ..open
        },
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
    );
    check_response(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        ResponseWrite {
            keep_alive: false,
            ..length
        },
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n",
    );
    let destination = edits(&["x-a"], &[("x-a", "1")]);
    let route = edits(&["server"], &[("x-b", "2")]);
    check_response(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nVia: x\r\nX-A: 0\r\nContent-Length: 5\r\n\r\n",
        ResponseWrite {
            edits: &[&destination, &route],
            set: &[(Known::XEnvoyUpstreamServiceTime, b"3")],
            append: &[(Known::Via, b"1.1 ringmain")],
            ..length
        },
        "HTTP/1.1 200 OK\r\nx-envoy-upstream-service-time: 3\r\nvia: x, 1.1 ringmain\r\nx-a: 1\r\nx-b: 2\r\ncontent-length: 5\r\n\r\n",
    );
}

#[test]
fn responses_without_a_body() {
    let open = ResponseWrite {
        keep_alive: true,
        ..ResponseWrite::default()
    };
    let head = ResponseWrite {
        request: MethodKind::Head,
        ..open
    };
    let check = |received: &str, write, expected: &str| {
        check_response(
            &format!("{received}\r\n\r\n"),
            write,
            &format!("{expected}\r\n\r\n"),
        );
    };
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 5",
        head,
        "HTTP/1.1 200 OK\r\ncontent-length: 5",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
        head,
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked",
    );
    check("HTTP/1.1 200 OK", head, "HTTP/1.1 200 OK");
    check(
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5",
        open,
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5",
    );
    check(
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked",
        open,
        "HTTP/1.1 304 Not Modified",
    );
    check(
        "HTTP/1.1 204 No Content\r\nContent-Length: 5",
        open,
        "HTTP/1.1 204 No Content",
    );
    check(
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked",
        head,
        "HTTP/1.1 204 No Content",
    );
    let closing = ResponseWrite::default();
    check(
        "HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 5",
        closing,
        "HTTP/1.1 103 Early Hints\r\nLink: a",
    );
    check(
        "HTTP/1.1 204 No Content",
        closing,
        "HTTP/1.1 204 No Content\r\nconnection: close",
    );
}

#[test]
fn local_responses() {
    /// Status, fields, body, whether the connection stays, whether HEAD is answered.
    type Answer<'a> = (u16, &'a [(&'a str, &'a [u8])], &'a [u8], bool, bool);
    let check = |(status, headers, body, keep_alive, is_head): Answer<'_>, expected: &str| {
        let mut out = Vec::new();
        encode_local_response(&mut out, status, headers, body, keep_alive, is_head);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    };
    check(
        (404, &[], b"", true, false),
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    );
    check(
        (
            503,
            &[("content-type", b"text/plain"), ("x", b"a\r\nb")],
            b"down",
            false,
            false,
        ),
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nx: a  b\r\nconnection: close\r\ncontent-length: 4\r\n\r\ndown",
    );
    check(
        (200, &[], b"body", true, true),
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n",
    );
    check(
        (426, &[], b"", false, false),
        "HTTP/1.1 426 Upgrade Required\r\nupgrade: HTTP/1.1\r\n\
         connection: upgrade, close\r\ncontent-length: 0\r\n\r\n",
    );
    check(
        (426, &[], b"", true, true),
        "HTTP/1.1 426 Upgrade Required\r\nupgrade: HTTP/1.1\r\n\
         connection: upgrade\r\ncontent-length: 0\r\n\r\n",
    );
    check(
        (204, &[], b"ignored", true, false),
        "HTTP/1.1 204 No Content\r\n\r\n",
    );
    check(
        (304, &[], b"ignored", false, false),
        "HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n",
    );
    check(
        (599, &[], b"", true, false),
        "HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n",
    );
}
