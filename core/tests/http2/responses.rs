//! Responses that came over HTTP/2: every rule has its rows.

use http::Response;
use ringmain_core::{
    http1::{Framing, Limits, MethodKind, Reject, ResponseHead},
    http2::{ReceivedResponse, Upgrade, response_text},
};

use crate::fields;

/// The text, and what the decoder makes of it.
fn text(
    status: u16,
    list: &[(&str, &str)],
    received: ReceivedResponse<'_>,
) -> Result<(String, ResponseHead), Reject> {
    let response = Response::builder().status(status);
    let mut parts = response.body(()).expect("valid").into_parts().0;
    parts.headers = fields(list);
    let limits = Limits::default();
    let mut out = b"before".to_vec();
    let written = response_text(&mut out, &parts, received, &limits);
    let text = out.split_off(6);
    assert!(written.is_ok() || text.is_empty(), "taken back");
    written?;
    let request = match received.upgrade {
        Some(_) => MethodKind::Upgrade,
        None => received.request,
    };
    let mut head = ResponseHead::new();
    assert_eq!(head.decode(&text, &limits, request)?, Some(text.len()));
    Ok((String::from_utf8(text).expect("valid"), head))
}

const GET: ReceivedResponse<'_> = ReceivedResponse {
    request: MethodKind::Other,
    upgrade: None,
    end_of_stream: false,
};
const ALONE: ReceivedResponse<'_> = ReceivedResponse {
    end_of_stream: true,
    ..GET
};
const HEAD: ReceivedResponse<'_> = ReceivedResponse {
    request: MethodKind::Head,
    ..ALONE
};

fn check(
    status: u16,
    list: &[(&str, &str)],
    received: ReceivedResponse<'_>,
    framing: Framing,
    expected: &str,
) {
    let (text, head) = text(status, list, received).expect("valid");
    assert_eq!(text, format!("HTTP/1.1 {expected}\r\n"));
    assert_eq!(head.framing(), framing, "{expected:?}");
}

#[test]
fn heads() {
    check(
        200,
        &[
            ("content-type", "text/html"),
            ("set-cookie", "a"),
            ("x", "\u{e4}"),
            ("set-cookie", "b"),
        ],
        GET,
        Framing::Chunked,
        "200 OK\r\ncontent-type: text/html\r\nset-cookie: a\r\nset-cookie: b\r\nx: \u{e4}\r\n\
         transfer-encoding: chunked\r\n",
    );
    check(
        299,
        &[("content-length", "5")],
        GET,
        Framing::Length(5),
        "299 \r\ncontent-length: 5\r\n",
    );
}

#[test]
fn without_a_body() {
    let length = [("content-length", "5")];
    let length_line = "content-length: 5\r\n";
    let zero = "content-length: 0\r\n";
    let with = |status, list: &[(&str, &str)], received, framing, line: &str, lines: &str| {
        check(
            status,
            list,
            received,
            framing,
            &format!("{line}\r\n{lines}"),
        );
    };
    with(200, &[], ALONE, Framing::Length(0), "200 OK", zero);
    let grpc = [("grpc-status", "12")];
    let lines = "grpc-status: 12\r\ncontent-length: 0\r\n";
    with(200, &grpc, ALONE, Framing::Length(0), "200 OK", lines);
    with(
        200,
        &[("content-length", "0")],
        ALONE,
        Framing::Length(0),
        "200 OK",
        zero,
    );
    with(200, &length, HEAD, Framing::None, "200 OK", length_line);
    with(200, &[], HEAD, Framing::None, "200 OK", "");
    with(
        304,
        &length,
        ALONE,
        Framing::None,
        "304 Not Modified",
        length_line,
    );
    with(304, &[], ALONE, Framing::None, "304 Not Modified", "");
    with(204, &[], ALONE, Framing::None, "204 No Content", "");
    // The end may come in a frame of its own.
    with(204, &[], GET, Framing::None, "204 No Content", "");
    with(304, &[], GET, Framing::None, "304 Not Modified", "");
    with(100, &[], GET, Framing::None, "100 Continue", "");
    let link = [("link", "x")];
    with(
        103,
        &link,
        GET,
        Framing::None,
        "103 Early Hints",
        "link: x\r\n",
    );
    let connect = ReceivedResponse {
        request: MethodKind::Connect,
        ..GET
    };
    with(200, &[], connect, Framing::None, "200 OK", "");
    let lines = "transfer-encoding: chunked\r\n";
    with(403, &[], connect, Framing::Chunked, "403 Forbidden", lines);
}

#[test]
fn what_is_refused() {
    let refused = |reject, status, list: &[(&str, &str)], received| {
        let refused = text(status, list, received).err();
        assert_eq!(refused, Some(reject), "{status} {list:?}");
    };
    refused(Reject::SwitchingProtocols, 101, &[], GET);
    let length = [("content-length", "5")];
    refused(Reject::LengthAndEndStream, 200, &length, ALONE);
    refused(Reject::ContentLength, 200, &[("content-length", "x")], GET);
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ] {
        refused(Reject::ConnectionField, 200, &[(name, "x")], GET);
        refused(Reject::ConnectionField, 100, &[(name, "x")], GET);
    }
    refused(Reject::HeaderSpace, 200, &[("x", " 1")], GET);
    refused(Reject::TooManyHeaders, 200, &[("x", "1"); 101], GET);
    let long = "x".repeat(61 << 10);
    refused(Reject::HeadTooLarge, 200, &[("x", &long)], GET);
}

#[test]
fn upgrades() {
    let asked = |protocol| ReceivedResponse {
        upgrade: Some(Upgrade {
            protocol,
            websocket_key: Some(b"dGhlIHNhbXBsZSBub25jZQ=="),
        }),
        ..GET
    };
    let (agreed, head) = text(
        200,
        &[
            ("sec-websocket-protocol", "chat"),
            ("sec-websocket-accept", "theirs"),
        ],
        asked("websocket"),
    )
    .expect("valid");
    assert_eq!(
        agreed,
        "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: chat\r\n\
         sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\n\r\n"
    );
    assert_eq!(head.upgrade(agreed.as_bytes()), Some("websocket"));
    assert!(!head.is_interim() && !head.keep_alive());

    let (agreed, _) = text(299, &[], asked("connect-udp")).expect("valid");
    assert_eq!(
        agreed,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: connect-udp\r\n\r\n"
    );
    let (refused, head) = text(403, &[], asked("websocket")).expect("valid");
    assert_eq!(
        refused,
        "HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(head.upgrade(refused.as_bytes()), None);
}
