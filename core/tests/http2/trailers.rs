//! Trailers, both ways.

use ringmain_config::tuning::UnderscoresInHeaders;
use ringmain_core::{
    http1::{BodyDecoder, Framing, Limits, Reject, encode_last_chunk},
    http2::{trailer_map, trailers_text},
};

use crate::{fields, list, owned};

fn text(list: &[(&str, &str)]) -> Result<String, Reject> {
    text_with(UnderscoresInHeaders::Allow, list)
}

fn text_with(underscores: UnderscoresInHeaders, list: &[(&str, &str)]) -> Result<String, Reject> {
    let mut out = b"before".to_vec();
    let limits = Limits::default();
    let written = trailers_text(&mut out, &fields(list), &limits, underscores);
    let text = String::from_utf8(out.split_off(6)).expect("valid");
    assert!(written.is_ok() || text.is_empty(), "taken back");
    written.map(|()| text)
}

#[test]
fn lines() {
    let check = |list: &[(&str, &str)], expected: &str| {
        assert_eq!(text(list).as_deref(), Ok(expected));
    };
    check(&[], "");
    check(
        &[
            ("grpc-status", "0"),
            ("grpc-message", ""),
            ("x-sum", "\u{e4}"),
        ],
        "grpc-status: 0\r\ngrpc-message: \r\nx-sum: \u{e4}\r\n",
    );
    check(
        &[
            ("host", "a"),
            ("x", "1"),
            ("content-length", "5"),
            ("set-cookie", "a"),
            ("vary", "b"),
            ("te", "gzip"),
        ],
        "x: 1\r\n",
    );
}

#[test]
fn what_is_refused() {
    let check = |list: &[(&str, &str)], reject| assert_eq!(text(list), Err(reject), "{list:?}");
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        check(&[("x", "1"), (name, "x")], Reject::ConnectionField);
    }
    check(&[("x", "1 ")], Reject::HeaderSpace);
    check(&[("x", "1"); 101], Reject::TooManyHeaders);
    let long = "x".repeat(8 << 10);
    check(&[("x", &long)], Reject::TrailersTooLarge);
    // What is left out counts, too.
    check(&[("vary", &long)], Reject::TrailersTooLarge);
}

/// Over HTTP/2 as over HTTP/1.
#[test]
fn underscores() {
    use UnderscoresInHeaders::{Allow, Drop, Reject as Refuse};
    let refused = Err(Reject::HeaderUnderscore);
    for (underscores, name, expected) in [
        (Allow, "x_a", Ok("x_a: 1\r\nx-b: 2\r\n")),
        (Drop, "x_a", Ok("x-b: 2\r\n")),
        (Drop, "x-a", Ok("x-a: 1\r\nx-b: 2\r\n")),
        (Refuse, "x-a", Ok("x-a: 1\r\nx-b: 2\r\n")),
        (Refuse, "x_a", refused),
        // It is left out anyway.
        (Refuse, "content_length", refused),
        (Refuse, "if-a_b", refused),
    ] {
        let list = [(name, "1"), ("x-b", "2")];
        let over_http2 = text_with(underscores, &list);
        assert_eq!(
            over_http2.as_deref().map_err(|reject| *reject),
            expected,
            "{name}"
        );
        let mut body = format!("0\r\n{name}: 1\r\nx-b: 2\r\n\r\n").into_bytes();
        let mut decoder = BodyDecoder::new(Framing::Chunked).with_underscores(underscores);
        let decoded = decoder.decode(&mut body);
        let lines = str::from_utf8(decoder.trailers()).expect("valid");
        assert_eq!(decoded.map(|_| lines), expected, "{name}");
    }
}

/// From HTTP/2 to HTTP/1 and back, by the decoder of the latter.
#[test]
fn there_and_back() {
    let there = [
        ("grpc-status", "0"),
        ("x-a", "1"),
        ("x-a", "2"),
        ("host", "a"),
    ];
    let mut body = Vec::new();
    encode_last_chunk(&mut body, text(&there).expect("valid").as_bytes());
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    assert!(decoder.decode(&mut body).expect("valid").done);
    let back = trailer_map(decoder.trailers());
    assert_eq!(list(&back), owned(&there[..3]));
}

#[test]
fn maps() {
    let check = |lines: &str, expected: &[(&str, &str)]| {
        assert_eq!(
            list(&trailer_map(lines.as_bytes())),
            owned(expected),
            "{lines:?}"
        );
    };
    check("", &[]);
    check("X-Sum: 1\r\nx-b: \r\n", &[("x-sum", "1"), ("x-b", "")]);
    check("Host: a\r\nx: 1\r\n", &[("x", "1")]);
}
