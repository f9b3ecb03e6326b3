//! Requests of HTTP/2 that an origin of HTTP/1 could read as something else, or as two: what the
//! client gets, and what the origin saw of it. The same for answers that come over HTTP/2.

use ringmain_tests::{
    Io,
    http2::{Frame, Peer, frame::code, hpack},
    mesh::Mesh,
    on_both,
    origin::Origin,
};

on_both!(
    requests_that_are_two,
    bodies_that_are_not_what_they_say,
    trailers_that_are_more,
    answers_that_are_two,
    bodies_where_none_can_be,
    too_much_of_everything,
);

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// An answer of this status, and the origin sees nothing.
    Answer(u16),
    /// The end of the stream, and the origin sees nothing.
    Reset,
    /// The end of the connection, and the origin sees nothing: the h2 crate takes what cannot be a
    /// field for a broken table.
    End,
    /// The origin sees one request that begins so.
    Seen(&'static str),
}

use Outcome::{Answer, End, Reset, Seen};

type Fields = Vec<(&'static [u8], &'static [u8])>;

const METHOD: (&[u8], &[u8]) = (b":method", b"GET");
const SCHEME: (&[u8], &[u8]) = (b":scheme", b"http");
const AUTHORITY: (&[u8], &[u8]) = (b":authority", b"a.test");
const PATH: (&[u8], &[u8]) = (b":path", b"/");

/// What the origin sees of `GET /`.
const ROOT: &str = "GET / HTTP/1.1\r\nhost: a.test\r\n";

/// A request with this field more.
fn with(name: &'static [u8], value: &'static [u8]) -> Fields {
    vec![METHOD, SCHEME, AUTHORITY, PATH, (name, value)]
}

/// A request with another `:path`.
fn path(value: &'static [u8]) -> Fields {
    vec![METHOD, SCHEME, AUTHORITY, (b":path", value)]
}

/// A request with another `:authority`, or none.
fn authority(value: &'static [u8]) -> Fields {
    vec![METHOD, SCHEME, (b":authority", value), PATH]
}

fn method(value: &'static [u8]) -> Fields {
    vec![(b":method", value), SCHEME, AUTHORITY, PATH]
}

#[rustfmt::skip]
fn table() -> Vec<(&'static str, Fields, Outcome)> {
    vec![
        ("a good one", with(b"x-a", b"b"), Seen(ROOT)),
        // Names.
        ("CR LF in a name", with(b"x\r\ny", b"b"), End),
        ("a colon in a name", with(b"x:y", b"b"), End),
        ("a space in a name", with(b"x y", b"b"), End),
        ("NUL in a name", with(b"x\0", b"b"), End),
        ("upper case in a name", with(b"X-A", b"b"), End),
        ("an empty name", with(b"", b"b"), End),
        ("a request line in a name", with(b"x: y\r\n\r\nget / http/1.1\r\nz", b"b"), End),
        // Values.
        ("CR LF in a value", with(b"x-a", b"b\r\nx-b: c"), End),
        ("a request in a value", with(b"x-a", b"b\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n"), End),
        ("LF in a value", with(b"x-a", b"b\nx-b: c"), End),
        ("CR in a value", with(b"x-a", b"b\rx-b: c"), End),
        ("NUL in a value", with(b"x-a", b"b\0c"), End),
        ("DEL in a value", with(b"x-a", b"b\x7fc"), End),
        ("space before a value", with(b"x-a", b" b"), Answer(400)),
        ("space behind a value", with(b"x-a", b"b\t"), Answer(400)),
        // Of the connection.
        ("connection", with(b"connection", b"close"), Reset),
        ("connection that names a field", with(b"connection", b"x-a"), Reset),
        ("keep-alive", with(b"keep-alive", b"timeout=5"), Reset),
        ("proxy-connection", with(b"proxy-connection", b"close"), Reset),
        ("upgrade", with(b"upgrade", b"websocket"), Reset),
        ("transfer-encoding", with(b"transfer-encoding", b"chunked"), Reset),
        ("transfer-encoding of nothing", with(b"transfer-encoding", b"identity"), Reset),
        ("te of anything else", with(b"te", b"gzip"), Reset),
        // Lengths.
        ("two lengths", {
            let mut fields = with(b"content-length", b"0");
            fields.push((b"content-length", b"5"));
            fields
        }, Reset),
        ("a length of two numbers", with(b"content-length", b"0, 0"), Reset),
        ("a length with a sign", with(b"content-length", b"+0"), Reset),
        ("a length that is none", with(b"content-length", b"x"), Reset),
        ("a length too large", with(b"content-length", b"99999999999999999999999"), Reset),
        ("a length and no body", with(b"content-length", b"5"), Reset),
        // :path.
        ("a space in the path", path(b"/a HTTP/1.1\r\n"), Reset),
        ("a version in the path", path(b"/a HTTP/1.1"), Reset),
        ("CR LF in the path", path(b"/\r\nx: y"), Reset),
        ("NUL in the path", path(b"/\0"), Reset),
        ("a fragment", path(b"/a#b"), Seen("GET /a HTTP/1.1\r\nhost: a.test\r\n")),
        ("a quote in the path", path(b"/a\"b"), Seen("GET /a\"b HTTP/1.1\r\n")),
        ("a quote in the query", path(b"/a?b=\"c\""), Reset),
        ("less in the path", path(b"/a<b"), Reset),
        ("more in the query", path(b"/a?b>c"), Reset),
        ("a backtick", path(b"/a`b"), Reset),
        ("what no URI holds", path(b"/^{|}?^`{|}'"), Seen("GET /^{|}?^`{|}' HTTP/1.1\r\n")),
        ("an empty path", path(b""), Reset),
        ("a path without slash", path(b"a"), Reset),
        ("a path that is a URI", path(b"http://b.test/"), Reset),
        ("a path that is an asterisk", path(b"*"), Answer(400)),
        ("dots", path(b"/a/../b"), Seen("GET /b HTTP/1.1\r\n")),
        ("two slashes", path(b"//b.test/"), Seen("GET //b.test/ HTTP/1.1\r\nhost: a.test\r\n")),
        // :authority and host.
        ("host that says the same", with(b"host", b"a.test"), Seen(ROOT)),
        ("host that says another", with(b"host", b"b.test"), Answer(400)),
        ("two hosts", {
            let mut fields = with(b"host", b"a.test");
            fields.push((b"host", b"a.test"));
            fields
        }, Answer(400)),
        ("host alone", vec![METHOD, SCHEME, PATH, (b"host", b"a.test")], Seen(ROOT)),
        ("neither", vec![METHOD, SCHEME, PATH], Answer(400)),
        ("an empty authority", authority(b""), Reset),
        ("a user in the authority", authority(b"me@a.test"), Answer(400)),
        ("a path in the authority", authority(b"a.test/b"), Reset),
        ("a space in the authority", authority(b"a.test b"), Reset),
        ("CR LF in the authority", authority(b"a.test\r\nx: y"), Reset),
        // Pseudo fields.
        ("no method", vec![SCHEME, AUTHORITY, PATH], Reset),
        ("no path", vec![METHOD, SCHEME, AUTHORITY], Reset),
        ("no scheme", vec![METHOD, AUTHORITY, PATH], Reset),
        ("a bad scheme", vec![METHOD, (b":scheme", b"http: HTTP/1.1"), AUTHORITY, PATH], Reset),
        ("another scheme", vec![METHOD, (b":scheme", b"ftp"), AUTHORITY, PATH], Answer(400)),
        ("two methods", vec![METHOD, METHOD, SCHEME, AUTHORITY, PATH], Reset),
        ("two paths", vec![METHOD, SCHEME, AUTHORITY, PATH, PATH], Reset),
        ("two authorities", vec![METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH], Reset),
        ("one behind others", vec![METHOD, SCHEME, (b"x-a", b"b"), AUTHORITY, PATH], Reset),
        ("one that nobody knows", with(b":x", b"b"), End),
        ("one of answers", with(b":status", b"200"), Reset),
        ("a space in the method", method(b"GET /2"), End),
        ("CR LF in the method", method(b"GET\r\n"), End),
        ("an empty method", method(b""), End),
        ("a method that HTTP/2 has for itself", method(b"PRI"), Seen("PRI / HTTP/1.1\r\n")),
        // What is put together.
        ("crumbs of a cookie", {
            let mut fields = with(b"cookie", b"a=b");
            fields.push((b"x-a", b"b"));
            fields.push((b"cookie", b"c=d"));
            fields
        }, Seen(ROOT)),
    ]
}

fn outcome(client: &mut Peer, stream: u32) -> Outcome {
    let ended = client.until(|client| {
        let stream = client.stream(stream);
        stream.is_over || stream.reset.is_some()
    });
    match (ended, client.stream(stream)) {
        (Err(_), _) => End,
        (Ok(()), seen) if seen.is_over => Answer(seen.message.status()),
        (Ok(()), _) => Reset,
    }
}

fn requests_that_are_two(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut failed = Vec::new();
    for (name, fields, expected) in table() {
        let before = origin.requests().len();
        let mut client = mesh.http2_client();
        let stream = client.begin(fields, true);
        let came = outcome(&mut client, stream);
        let requests = origin.requests().split_off(before);
        let is_right = match (expected, came) {
            (Seen(beginning), Answer(200)) => {
                let lines = format!(
                    "{}\r\nhost: {}\r\n",
                    requests[0].line,
                    requests[0].get("host").unwrap_or_default()
                );
                requests.len() == 1 && lines.starts_with(beginning)
            }
            (Seen(_), _) => false,
            (expected, came) => expected == came && requests.is_empty(),
        };
        if !is_right {
            failed.push(format!(
                "{name}: {came:?} and not {expected:?}; {requests:?}"
            ));
        }
        if came != End {
            // Others on the connection are served.
            let stream = client.get("/");
            assert_eq!(client.response(stream).status(), 200, "{name}");
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let cookies = origin.requests();
    let cookies: Vec<_> = cookies
        .iter()
        .filter_map(|request| request.get("cookie"))
        .collect();
    assert_eq!(cookies, ["a=b; c=d"]);
    mesh.finish();
}

/// A body that is longer or shorter than its length says: what would follow is the next request.
fn bodies_that_are_not_what_they_say(io: Io) {
    const NEXT: &str = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let http1 = Origin::saying("ok");
    let http2 = Origin::http2(&[], |peer, stream, _| {
        peer.answer(stream, "ok");
    });
    for (mesh, origin) in [
        (Mesh::to(io, &http1), &http1),
        (Mesh::to_http2(io, &http2), &http2),
    ] {
        for (length, frames) in [
            ("4", &["longer"][..]),
            ("0", &[NEXT]),
            ("4", &["four", NEXT]),
            ("4", &["a", "b", NEXT]),
            ("40", &["less"]),
            ("40", &["less", ""]),
        ] {
            let before = origin.requests().len();
            let mut client = mesh.http2_client();
            let mut fields = ringmain_tests::http2::peer::request("POST", "/");
            fields.push(("content-length", length));
            let stream = client.begin(fields, false);
            for (index, body) in frames.iter().enumerate() {
                client.send(&Frame::data(stream, *body, index + 1 == frames.len()));
            }
            // An origin that has what the length says may answer.
            let came = outcome(&mut client, stream);
            let may_answer = frames.concat().len() > length.parse().unwrap();
            let is_right = came == Reset || may_answer && came == Answer(200);
            assert!(is_right, "{length} {frames:?}: {came:?}");
            drop(client);
            mesh.wait_until_idle();
            let requests = origin.requests().split_off(before);
            assert!(
                requests.len() <= usize::from(may_answer),
                "{length} {frames:?}: {requests:?}"
            );
            for request in requests {
                assert!(!request.line.contains("smuggled"), "{request:?}");
                assert!(request.body.len() <= 4, "{request:?}");
            }
        }
        mesh.finish();
    }
}

/// Trailers are fields too.
fn trailers_that_are_more(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    for (name, value) in [
        ("x\r\ny", "b"),
        ("x-a", "b\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"),
        (":path", "/"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("host", "b.test"),
        ("X-A", "b"),
        ("connection", "close"),
    ] {
        let mut client = mesh.http2_client();
        let stream = client.post("/");
        client.send(&Frame::data(stream, "body", false));
        client.send(&Frame::headers(stream, [(name, value)], true));
        let came = outcome(&mut client, stream);
        assert!(
            matches!(came, Reset | End | Answer(200 | 400)),
            "{name:?}: {came:?}"
        );
        if came == Answer(200) {
            let request = origin.requests().pop().unwrap();
            assert_eq!(request.trailers.0, [], "{name:?} is not for trailers");
        }
    }
    let requests = origin.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.line == "POST / HTTP/1.1"),
        "{requests:?}"
    );
    mesh.finish();
}

/// What an origin of HTTP/2 says must not split the answer to a client of HTTP/1.
fn answers_that_are_two(io: Io) {
    const ROWS: &[&[(&str, &str)]] = &[
        &[(":status", "200"), ("x-a", "b\r\n\r\nHTTP/1.1 200 OK")],
        &[(":status", "200"), ("x\r\ny", "b")],
        &[(":status", "200"), ("x y", "b")],
        &[(":status", "200"), ("connection", "close")],
        &[(":status", "200"), ("transfer-encoding", "chunked")],
        &[(":status", "200"), ("upgrade", "h2c")],
        &[(":status", "200"), ("content-length", "x")],
        &[
            (":status", "200"),
            ("content-length", "1"),
            ("content-length", "2"),
        ],
        &[(":status", "101")],
        &[(":status", "200 OK")],
        &[(":status", "20")],
        &[(":status", "99")],
        &[(":status", "200"), (":status", "200")],
        &[("x-a", "b")],
        &[("x-a", "b"), (":status", "200")],
        &[(":status", "200"), ("X-A", "b")],
        &[(":status", "200"), ("content-length", "99")],
    ];
    let origin = Origin::http2(&[], |peer, stream, request| {
        let path = request.line.split(' ').nth(1).unwrap();
        let row = ROWS[path[1..].parse::<usize>().unwrap()];
        peer.send(&Frame::headers(stream, row.iter().copied(), true));
    });
    let mesh = Mesh::to_http2(io, &origin);
    for (index, row) in ROWS.iter().enumerate() {
        let mut client = mesh.client();
        let answer = client.get(&format!("/{index}"));
        assert_eq!(answer.status(), 502, "{row:?}: {answer:?}");
        assert!(!answer.closes(), "{row:?}: {answer:?}");
    }
    let lines = mesh.finish();
    assert_eq!(lines.len(), ROWS.len());
    for line in lines {
        assert_eq!(line.verdict(), "502 UPE", "{}", line.text);
    }
}

/// What an origin of HTTP/2 sends behind an answer that has no body is nobody's: a client of HTTP/1
/// would take it for the next answer.
fn bodies_where_none_can_be(io: Io) {
    const NEXT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    let origin = Origin::http2(&[], |peer, stream, request| {
        let status = request.line.split(['/', ' ']).nth(2).unwrap();
        if status == "next" {
            peer.answer(stream, "next");
            return;
        }
        let mut head = vec![(":status", status)];
        let length = NEXT.len().to_string();
        if status != "204" {
            head.push(("content-length", &length));
        }
        peer.send(&Frame::headers(stream, head, false));
        peer.send(&Frame::data(stream, NEXT, true));
    });
    let mesh = Mesh::to_http2(io, &origin);
    for (method, path, status) in [
        ("GET", "/204", 204),
        ("GET", "/304", 304),
        ("HEAD", "/200", 200),
        ("POST", "/204", 204),
    ] {
        let mut http1 = mesh.client();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
        for _ in 0..2 {
            let answer = http1.exchange(&request);
            assert_eq!(
                (answer.status(), answer.closes()),
                (status, false),
                "{path}"
            );
            assert_eq!(http1.get("/next").text(), "next", "{method} {path}");
        }
        let mut http2 = mesh.http2_client();
        let stream = http2.begin(ringmain_tests::http2::peer::request(method, path), true);
        let answer = http2.response(stream);
        assert_eq!((answer.status(), answer.body.len()), (status, 0), "{path}");
        let stream = http2.get("/next");
        assert_eq!(http2.response(stream).text(), "next", "{method} {path}");
    }
    for line in mesh.finish() {
        assert_eq!(line.get("response_flags"), "-", "{}", line.text);
        let bytes = if line.get("path") == "/next" {
            "4"
        } else {
            "0"
        };
        assert_eq!(line.get("bytes_sent"), bytes, "{}", line.text);
    }
}

/// Heads that are too large in one way or the other, most of them small on the wire.
fn too_much_of_everything(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let good = || hpack::block([METHOD, SCHEME, AUTHORITY, PATH]);
    let many = |count: usize| hpack::block(vec![("x-a", "b"); count]);
    let bomb = [hpack::indexed("x-a", "b".repeat(3900)), hpack::newest(1000)].concat();
    let crumbs = hpack::block(vec![("cookie", "a=b"); 5000]);
    let small_crumbs = [hpack::indexed("cookie", ""), hpack::newest(10_000)].concat();
    let long = hpack::block([("x-a", "b".repeat(61 << 10))]);
    let long_path = "/".to_owned() + &"p".repeat(61 << 10);
    let path = hpack::block([
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", &long_path),
    ]);
    let before = mesh.proxy.process.resident_kib();
    for (name, block, accepted) in [
        (
            "as many fields as may be",
            [good(), many(90)].concat(),
            true,
        ),
        ("a field too many", [good(), many(101)].concat(), false),
        ("a field that is too long", [good(), long].concat(), false),
        ("a path that is too long", path, false),
        ("a field a thousand times", [good(), bomb].concat(), false),
        ("many crumbs", [good(), crumbs].concat(), false),
        ("many empty crumbs", [good(), small_crumbs].concat(), false),
    ] {
        let requests = origin.requests().len();
        let mut client = mesh.http2_client();
        let stream = client.next_stream();
        let mut pieces = block.chunks(16_384).enumerate().peekable();
        while let Some((index, piece)) = pieces.next() {
            let kind = if index == 0 { 1 } else { 9 };
            let ends = if pieces.peek().is_none() { 4 } else { 0 };
            let flags = ends | u8::from(index == 0);
            client.send(&Frame::new(kind, flags, stream, piece));
        }
        let came = outcome(&mut client, stream);
        match accepted {
            true => assert_eq!(came, Answer(200), "{name}"),
            false => {
                let is_refused = matches!(came, Answer(400 | 414 | 431) | Reset | End);
                assert!(is_refused, "{name}: {came:?}");
                assert_eq!(origin.requests().len(), requests, "{name}");
            }
        }
        if came == End {
            let reason = client.farewells.last().map(|(_, reason)| *reason);
            assert_ne!(reason, Some(code::NO_ERROR), "{name}");
        }
    }
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more");
    mesh.finish();
}
