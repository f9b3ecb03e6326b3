//! Heads in and out.

use std::hint::black_box;

use ringmain_config::route::HeaderEdits;
use ringmain_core::{
    header::Edits,
    http1::{
        Known, Limits, MethodKind, RequestHead, RequestWrite, ResponseHead, ResponseWrite,
        encode_request as encode_request_head, encode_response as encode_response_head,
    },
};

use super::Run;
use crate::document;

/// What a load generator sends.
pub(super) const SMALL: &str = "GET /route-7/items/42 HTTP/1.1\r\nHost: host-77.example\r\n\r\n";

/// What a browser sends.
pub(super) const BROWSER: &str = "GET /productpage?u=normal&lang=en HTTP/1.1\r\n\
    Host: bookinfo.example:8080\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/130.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
    */*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Referer: http://bookinfo.example:8080/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\
    Cookie: session=eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG; theme=dark\r\n\
    X-Request-Id: 0b52ab2e-8f0a-4b2a-9f07-0d1b0c0e5b11\r\n\r\n";

/// What nginx answers with a short body.
pub(super) const ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    Server: nginx/1.22.1\r\n\
    Date: Mon, 23 Nov 2026 09:35:34 GMT\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 100\r\n\
    Connection: keep-alive\r\n\r\n";

/// What an application behind a proxy of its own answers.
pub(super) const LONG_ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    Server: gunicorn\r\n\
    Date: Mon, 23 Nov 2026 09:35:34 GMT\r\n\
    Connection: keep-alive\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 5183\r\n\
    Vary: Cookie, Accept-Encoding\r\n\
    Cache-Control: private, max-age=0, must-revalidate\r\n\
    ETag: W/\"143f-mLHgGxjCLlDgQzBp2gV9Yq2JcVY\"\r\n\
    Set-Cookie: session=eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG; HttpOnly; Path=/\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: SAMEORIGIN\r\n\
    x-envoy-upstream-service-time: 23\r\n\r\n";

/// As it stands in a connection's buffer: at an address that does not depend on what else is in the
/// program, because checking text costs by alignment.
pub(super) fn received(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

pub(super) fn decode_request(text: &'static str) -> Run {
    let text = received(text);
    let mut head = RequestHead::new();
    let limits = Limits::default();
    Box::new(move |times| {
        for _ in 0..times {
            let decoded = head.decode(black_box(&text), &limits);
            assert_eq!(black_box(decoded), Ok(Some(text.len())));
        }
    })
}

pub(super) fn decode_response(text: &'static str) -> Run {
    let text = received(text);
    let mut head = ResponseHead::new();
    let limits = Limits::default();
    Box::new(move |times| {
        for _ in 0..times {
            let decoded = head.decode(black_box(&text), &limits, MethodKind::Other);
            assert_eq!(black_box(decoded), Ok(Some(text.len())));
        }
    })
}

/// With the fields that a gateway adds.
pub(super) fn encode_request(text: &'static str) -> Run {
    let text = received(text);
    let mut head = RequestHead::new();
    let decoded = head.decode(&text, &Limits::default());
    assert_eq!(decoded, Ok(Some(text.len())));
    let mut out = Vec::new();
    Box::new(move |times| {
        for _ in 0..times {
            out.clear();
            let bytes = black_box(text.as_slice());
            let target = head.path_and_query(bytes);
            forward(&mut out, &head, bytes, &target, head.authority(bytes));
            black_box(&out);
        }
    })
}

/// With another path and authority, and two fields set, one added and one removed by the route.
pub(super) fn encode_rewritten() -> Run {
    let text = received(BROWSER);
    let mut head = RequestHead::new();
    let decoded = head.decode(&text, &Limits::default());
    assert_eq!(decoded, Ok(Some(text.len())));
    let field = document::header;
    let edits = Edits::compile(&HeaderEdits {
        authority: None,
        set: vec![field("x-version", "v2"), field("x-team", "shop")],
        add: vec![field("x-seen-by", "gateway")],
        remove: vec!["referer".to_owned()],
    });
    let edits = edits.unwrap();
    let mut out = Vec::new();
    Box::new(move |times| {
        for _ in 0..times {
            out.clear();
            let write = RequestWrite {
                target: black_box("/v2/productpage?u=normal&lang=en"),
                authority: black_box("productpage.bookinfo.example"),
                edits: &[&edits],
                set: &[(Known::XForwardedProto, b"http")],
                append: &[(Known::XForwardedFor, b"127.0.0.1")],
                framing: head.framing(),
                ..RequestWrite::default()
            };
            encode_request_head(&mut out, &head, black_box(text.as_slice()), &write);
            black_box(&out);
        }
    })
}

pub(super) fn forward(
    out: &mut Vec<u8>,
    head: &RequestHead,
    bytes: &[u8],
    target: &str,
    authority: &str,
) {
    let identity: &[u8] = black_box(b"01234567-89ab-4def-bedc-ba9876543210");
    let own = [
        (Known::XRequestId, identity),
        (Known::XForwardedProto, b"http"),
    ];
    let is_given = head.header(bytes, Known::XRequestId).is_some();
    let write = RequestWrite {
        target,
        authority,
        set: &own[usize::from(is_given)..],
        append: &[(Known::XForwardedFor, b"127.0.0.1")],
        framing: head.framing(),
        expect_continue: head.expects_continue(),
        ..RequestWrite::default()
    };
    encode_request_head(out, head, bytes, &write);
}

pub(super) fn encode_response(text: &'static str) -> Run {
    let text = received(text);
    let mut head = ResponseHead::new();
    let decoded = head.decode(&text, &Limits::default(), MethodKind::Other);
    assert_eq!(decoded, Ok(Some(text.len())));
    let mut out = Vec::new();
    Box::new(move |times| {
        for _ in 0..times {
            out.clear();
            answer(&mut out, &head, black_box(text.as_slice()));
            black_box(&out);
        }
    })
}

pub(super) fn answer(out: &mut Vec<u8>, head: &ResponseHead, bytes: &[u8]) {
    let write = ResponseWrite {
        framing: head.framing(),
        keep_alive: true,
        set: &[(Known::XEnvoyUpstreamServiceTime, black_box(b"3"))],
        ..ResponseWrite::default()
    };
    encode_response_head(out, head, bytes, &write);
}
