use ringmain_core::http1::{Limits, MethodKind, RequestHead, ResponseHead};

use super::{Direction, Duration, Failure, HttpVersion, Micros, Wanted, bounds};

fn wanted(method: &str, fields: &str, sent_as: HttpVersion) -> Option<Box<Wanted>> {
    let head = format!("{method} / HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    let mut request = RequestHead::new();
    let decoded = request.decode(head.as_bytes(), &Limits::default());
    assert_eq!(decoded, Ok(Some(head.len())), "{head}");
    Wanted::of(&request, head.as_bytes(), sent_as)
}

#[test]
fn what_is_asked_for() {
    const BOTH: [bool; 2] = [true, true];
    const HTTP1: [bool; 2] = [true, false];
    const NONE: [bool; 2] = [false, false];
    for (method, fields, expected) in [
        ("GET", "connection: upgrade\r\nupgrade: websocket\r\n", BOTH),
        ("GET", "connection: Upgrade\r\nupgrade: WebSocket\r\n", BOTH),
        ("GET", "connection: upgrade\r\nupgrade: foo/2\r\n", HTTP1),
        ("POST", "connection: upgrade\r\nupgrade: foo\r\n", HTTP1),
        (
            "POST",
            "connection: upgrade\r\nupgrade: foo\r\ncontent-length: 0\r\n",
            HTTP1,
        ),
        (
            "POST",
            "connection: upgrade\r\nupgrade: foo\r\ncontent-length: 1\r\n",
            NONE,
        ),
        (
            "GET",
            "connection: upgrade\r\nupgrade: foo\r\ntransfer-encoding: chunked\r\n",
            NONE,
        ),
        ("GET", "connection: upgrade\r\nupgrade: h2c\r\n", NONE),
        ("GET", "connection: upgrade\r\nupgrade: a, b\r\n", NONE),
        ("GET", "upgrade: websocket\r\n", NONE),
        ("GET", "connection: upgrade\r\n", NONE),
        ("HEAD", "connection: upgrade\r\nupgrade: foo\r\n", NONE),
    ] {
        let found = [HttpVersion::Http1, HttpVersion::Http2]
            .map(|sent_as| wanted(method, fields, sent_as).is_some());
        assert_eq!(found, expected, "{method} {fields}");
    }
}

#[test]
fn the_key_is_kept_for_an_answer_without_one() {
    let fields = "connection: upgrade\r\nupgrade: websocket\r\nSec-WebSocket-Key: abc\r\n";
    let wanted = wanted("GET", fields, HttpVersion::Http2).unwrap();
    let agreement = wanted.agreement();
    assert_eq!(agreement.protocol, "websocket");
    assert_eq!(agreement.websocket_key, Some(&b"abc"[..]));
    assert_eq!(wanted.extension().as_str(), "websocket");
}

/// Which answers to a wish for `foo/2` are refused, for a client of HTTP/1 and for one of HTTP/2.
#[test]
fn what_is_agreement() {
    let fields = "connection: upgrade\r\nupgrade: foo/2\r\n";
    let wanted = wanted("GET", fields, HttpVersion::Http1).unwrap();
    for (status, upgrade, expected) in [
        (101, "foo/2", [true, true]),
        (101, "FOO/1", [true, true]),
        (101, "foo", [true, true]),
        (101, "bar", [false, false]),
        (101, "websocket", [false, false]),
        (200, "foo/2", [true, false]),
        (204, "", [true, false]),
        (302, "", [true, true]),
        (404, "", [true, true]),
        (426, "foo/3", [true, true]),
        (503, "", [true, true]),
    ] {
        let head =
            format!("HTTP/1.1 {status} A\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n\r\n");
        let mut response = ResponseHead::new();
        let limits = Limits::default();
        let decoded = response.decode(head.as_bytes(), &limits, MethodKind::Upgrade);
        assert_eq!(decoded, Ok(Some(head.len())), "{head}");
        let found = [false, true].map(|to_http2| {
            let verdict = wanted.check(&response, head.as_bytes(), to_http2);
            verdict
                .map_err(|failure| assert_eq!(failure, Failure::UpgradeRefused))
                .is_ok()
        });
        assert_eq!(found, expected, "{head}");
    }
}

/// How long nothing may move, in seconds; `None`: for ever.
#[test]
fn how_long_nothing_may_move() {
    use Direction::{Gateway, Inbound, Outbound};
    for (timeout, direction, quiet, stuck) in [
        (300, Gateway, Some(300), Some(300)),
        (300, Inbound, None, Some(300)),
        (300, Outbound, None, Some(300)),
        (0, Gateway, None, None),
        (0, Outbound, None, None),
    ] {
        let bounds = bounds(Duration::from_secs(timeout), direction);
        let seconds = |micros| (micros != Micros::MAX).then_some(micros / 1_000_000);
        let found = [false, true].map(|is_stuck| seconds(bounds.idle(is_stuck)));
        assert_eq!(found, [quiet, stuck], "{timeout} {direction:?}");
        assert_eq!(bounds.age, Micros::MAX);
    }
}
