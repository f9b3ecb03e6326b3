//! Heads that go out over HTTP/2, of decoded ones. Which fields go on is the table of
//! `tests/http1/encoding.rs`, held against this by `properties.rs`; here is what differs.

use http::{Method, Request, StatusCode, Version};
use ringmain_config::route::{HeaderEdits, HeaderValue};
use ringmain_core::{
    header::Edits,
    http1::{
        Framing, Known, Limits, MethodKind, Reject, RequestWrite, ResponseHead, ResponseWrite,
    },
    http2::{Scheme, local_response, request, response},
};

use crate::{decode, list, owned};

const TO_A: RequestWrite<'_> = RequestWrite {
    target: "/",
    authority: "a",
    untrusted: None,
    edits: &[],
    set: &[],
    append: &[],
    framing: Framing::None,
    expect_continue: false,
    upgrade: None,
};

fn made(head: &str, write: &RequestWrite<'_>) -> Result<Request<()>, Reject> {
    let decoded = decode(head.as_bytes(), &Limits::default()).expect("valid");
    request(&decoded, head.as_bytes(), write, Scheme::Http)
}

fn check_fields(received: &str, write: RequestWrite<'_>, expected: &[(&str, &str)]) {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{received}\r\n");
    let made = made(&head, &write).expect("valid");
    assert_eq!(list(made.headers()), owned(expected), "{received:?}");
}

#[test]
fn requests() {
    let head = "POST /x HTTP/1.1\r\nHost: old\r\nX-One: 1\r\nContent-Length: 5\r\n\r\n";
    let write = RequestWrite {
        target: "/new?a=b",
        authority: "new:80",
        framing: Framing::Length(5),
        ..TO_A
    };
    let made = made(head, &write).expect("valid");
    assert_eq!(made.method(), Method::POST);
    assert_eq!(made.uri(), "http://new:80/new?a=b");
    assert_eq!(made.version(), Version::HTTP_2);
    let expected = owned(&[("x-one", "1"), ("content-length", "5")]);
    assert_eq!(list(made.headers()), expected);
}

#[test]
fn targets() {
    let check = |head_line: &str, target: &str, expected: &str| {
        let head = format!("{head_line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let write = RequestWrite { target, ..TO_A };
        let made = made(&head, &write).expect("valid");
        let path = made.uri().path_and_query().expect("valid").as_str();
        assert_eq!(path, expected);
        assert_eq!(made.uri().authority().expect("valid"), "a");
    };
    check("OPTIONS *", "*", "*");
    check("GET /", "/a%20b?c=%", "/a%20b?c=%");
    check("GET /", "/a b\r\nX: 1\0#", "/a%20b%0D%0AX:%201%00%23");
    check("GET /", "/\u{e4}?\u{e4}", "/%C3%A4?%C3%A4");
    check("GET /", "/a#b", "/a%23b");
    check("GET /", "/<`>?<`>", "/%3C%60%3E?%3C%60%3E");
    check("GET /", "/a{b}|\\^\"", "/a{b}|\\^\"");
    let long = format!("/{}", "x".repeat(1 << 16));
    let write = RequestWrite {
        target: &long,
        ..TO_A
    };
    let refused = made("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &write).err();
    assert_eq!(refused, Some(Reject::TargetTooLong));
}

#[test]
fn schemes_and_authorities() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let decoded = decode(head, &Limits::default()).expect("valid");
    let made = request(&decoded, head, &TO_A, Scheme::Https).expect("valid");
    assert_eq!(made.uri(), "https://a/");
    for authority in ["[::1]:80", "a_b.c", "10.0.0.1:80", "a!$&'()*+,;="] {
        let write = RequestWrite { authority, ..TO_A };
        let made = request(&decoded, head, &write, Scheme::Http).expect("valid");
        assert_eq!(made.uri().authority().expect("valid"), authority);
    }
    for authority in ["a%2Db", "", "a b"] {
        let write = RequestWrite { authority, ..TO_A };
        let refused = request(&decoded, head, &write, Scheme::Http).err();
        assert_eq!(refused, Some(Reject::HostInvalid), "{authority:?}");
    }
}

#[test]
fn framing_is_said_as_a_length_or_not_at_all() {
    let check = |framing, expected: &[(&str, &str)]| {
        let write = RequestWrite { framing, ..TO_A };
        check_fields("Content-Length: 7\r\n", write, expected);
    };
    check(Framing::None, &[]);
    check(Framing::Chunked, &[]);
    check(Framing::Length(0), &[("content-length", "0")]);
    check(Framing::Length(9), &[("content-length", "9")]);
}

#[test]
fn what_the_codec_says_itself() {
    let chunked = RequestWrite {
        framing: Framing::Chunked,
        expect_continue: true,
        ..TO_A
    };
    check_fields(
        "TE: trailers, gzip\r\nConnection: TE\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\
         Expect: 100-continue\r\nUpgrade: x\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n\
         HTTP2-Settings: x\r\n",
        chunked,
        &[
            ("trailer", "X"),
            ("te", "trailers"),
            ("expect", "100-continue"),
        ],
    );
    check_fields("Trailer: X\r\nTE: gzip\r\n", TO_A, &[]);
}

#[test]
fn values() {
    let write = RequestWrite {
        set: &[
            (Known::XRequestId, b"1\r\nx-evil: 1\0"),
            (Known::Server, b" 1 "),
        ],
        append: &[(Known::XForwardedFor, b"\n1")],
        ..TO_A
    };
    check_fields(
        "X-Forwarded-For: 0\r\nx-d: \u{e4}\r\nX-E:\r\n",
        write,
        &[
            ("x-d", "\u{e4}"),
            ("x-e", ""),
            ("x-request-id", "1  x-evil: 1"),
            ("server", "1"),
            ("x-forwarded-for", "0,  1"),
        ],
    );
}

#[test]
fn upgrades() {
    let head = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\nTE: trailers\r\n\r\n";
    let write = RequestWrite {
        upgrade: Some("websocket"),
        ..TO_A
    };
    let asks = made(head, &write).expect("valid");
    assert_eq!(asks.method(), Method::CONNECT);
    assert_eq!(asks.uri(), "http://a/");
    assert_eq!(
        list(asks.headers()),
        owned(&[("sec-websocket-version", "13")])
    );
    // Who does not pass the wish on makes a plain request of it.
    let plain = made(head, &TO_A).expect("valid");
    assert_eq!(plain.method(), Method::GET);
    let post = head.replace("GET", "POST");
    assert_eq!(made(&post, &write).err(), Some(Reject::ExtendedConnect));
}

fn answer(head: &str, write: &ResponseWrite<'_>, expected: (u16, &[(&str, &str)])) {
    let mut decoded = ResponseHead::new();
    let limits = Limits::default();
    let length = decoded.decode(head.as_bytes(), &limits, write.request);
    assert_eq!(length, Ok(Some(head.len())));
    let made = response(&decoded, head.as_bytes(), write);
    let found = (made.status().as_u16(), list(made.headers()));
    assert_eq!(found, (expected.0, owned(expected.1)), "{head:?}");
}

#[test]
fn responses() {
    let edits = Edits::compile(&HeaderEdits {
        remove: vec!["server".to_owned()],
        set: vec![HeaderValue {
            name: "X-A".to_owned(),
            value: "1".to_owned(),
        }],
        ..HeaderEdits::default()
    })
    .expect("valid");
    answer(
        "HTTP/1.1 200 Fine\r\nServer: nginx\r\nConnection: close, X\r\nX: 1\r\nSet-Cookie: a\r\n\
         Keep-Alive: 5\r\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\n",
        &ResponseWrite {
            edits: &[&edits],
            set: &[(Known::XEnvoyUpstreamServiceTime, b"3")],
            append: &[(Known::Via, b"1.1 ringmain")],
            framing: Framing::Length(5),
            ..ResponseWrite::default()
        },
        (
            200,
            &[
                ("set-cookie", "a"),
                ("set-cookie", "b"),
                ("x-envoy-upstream-service-time", "3"),
                ("via", "1.1 ringmain"),
                ("x-a", "1"),
                ("content-length", "5"),
            ],
        ),
    );
    let chunked = ResponseWrite {
        framing: Framing::Chunked,
        ..ResponseWrite::default()
    };
    let head = "HTTP/1.1 404 Not Found\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n";
    answer(head, &chunked, (404, &[("trailer", "X")]));
    let until_close = ResponseWrite {
        framing: Framing::UntilClose,
        ..ResponseWrite::default()
    };
    answer("HTTP/1.0 200 OK\r\n\r\n", &until_close, (200, &[]));
}

#[test]
fn responses_without_a_body() {
    let none = ResponseWrite::default();
    let to_head = ResponseWrite {
        request: MethodKind::Head,
        ..none
    };
    let length = &[("content-length", "5")];
    answer(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        &to_head,
        (200, length),
    );
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    answer(head, &to_head, (200, &[]));
    answer(
        "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
        &none,
        (304, length),
    );
    answer(
        "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n",
        &none,
        (204, &[]),
    );
    answer(
        "HTTP/1.1 103 x\r\nLink: a\r\n\r\n",
        &none,
        (103, &[("link", "a")]),
    );
    // It ended with its head, and had not said a length.
    let head = "HTTP/1.1 200 OK\r\ngrpc-status: 5\r\ncontent-length: 0\r\n\r\n";
    answer(head, &none, (200, &[("grpc-status", "5")]));
}

#[test]
fn an_upgrade_is_agreed_to_with_200() {
    let write = ResponseWrite {
        request: MethodKind::Upgrade,
        ..ResponseWrite::default()
    };
    answer(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
        &write,
        (200, &[("sec-websocket-protocol", "chat")]),
    );
}

#[test]
fn own_answers() {
    let check = |status, headers: &[(&str, &[u8])], bytes, expected: &[(&str, &str)]| {
        let made = local_response(status, headers, bytes);
        assert_eq!(made.status(), StatusCode::from_u16(status).expect("valid"));
        assert_eq!(list(made.headers()), owned(expected));
    };
    check(404, &[], 0, &[("content-length", "0")]);
    check(
        503,
        &[("content-type", b"text/plain"), ("x", b"a\r\nb")],
        4,
        &[
            ("content-type", "text/plain"),
            ("x", "a  b"),
            ("content-length", "4"),
        ],
    );
    check(204, &[], 4, &[]);
    check(304, &[], 4, &[]);
    check(599, &[], 1, &[("content-length", "1")]);
}
