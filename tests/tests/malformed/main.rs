//! Requests that are not HTTP/1.1 as it should be: refused, the connection closed, and nothing of
//! them ever forwarded.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use ringmain_tests::{Io, mesh::Mesh, on_both, origin::Origin};

on_both!(
    heads,
    bodies,
    a_refusal_in_a_pipeline,
    limits_of_the_tuning_file,
    nothing_but_a_connection,
    a_head_cut_off,
    a_refused_request_is_logged_without_forgery,
);

/// Bytes of a head, or of something else, and the status of the refusal.
#[rustfmt::skip]
const HEADS: &[(&str, u16, &str)] = &[
    // Request line.
    ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "two spaces"),
    ("GET /\r\nhost: a\r\n\r\n", 400, "HTTP/0.9"),
    ("GET / HTTP/1.1 \r\nhost: a\r\n\r\n", 400, "space behind the version"),
    ("GET / HTTP/1.1\nhost: a\n\n", 400, "bare LF"),
    ("GET / HTTP/1.1\rhost: a\r\n\r\n", 400, "bare CR"),
    (" GET / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "leading space"),
    ("\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "two empty lines"),
    ("\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "leading LF"),
    ("G@T / HTTP/1.1\r\nhost: a\r\n\r\n", 400, "method that is no token"),
    ("GET a HTTP/1.1\r\nhost: a\r\n\r\n", 400, "relative target"),
    ("GET * HTTP/1.1\r\nhost: a\r\n\r\n", 400, "asterisk without OPTIONS"),
    ("GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n", 400, "fragment"),
    ("GET /\u{7f} HTTP/1.1\r\nhost: a\r\n\r\n", 400, "control character in the target"),
    ("GET /\u{e4} HTTP/1.1\r\nhost: a\r\n\r\n", 400, "not ASCII in the target"),
    ("GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n", 400, "other scheme"),
    ("GET http:/// HTTP/1.1\r\nhost: a\r\n\r\n", 400, "empty authority"),
    ("GET / http/1.1\r\nhost: a\r\n\r\n", 400, "version in lower case"),
    ("GET / HTTP/1.1.1\r\nhost: a\r\n\r\n", 400, "version of three numbers"),
    ("GET / FTP/1.1\r\nhost: a\r\n\r\n", 400, "other protocol"),
    ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}", 400, "TLS"),
    ("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", 501, "CONNECT"),
    ("GET / HTTP/1.0\r\nhost: a\r\n\r\n", 505, "HTTP/1.0"),
    ("GET / HTTP/1.2\r\nhost: a\r\n\r\n", 505, "HTTP/1.2"),
    ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505, "HTTP/2.0"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2"),
    // Paths without a single meaning.
    ("GET /%00 HTTP/1.1\r\nhost: a\r\n\r\n", 400, "escaped NUL"),
    // Host.
    ("GET / HTTP/1.1\r\n\r\n", 400, "no host"),
    ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400, "two hosts"),
    ("GET / HTTP/1.1\r\nhost: a, b\r\n\r\n", 400, "list of hosts"),
    ("GET / HTTP/1.1\r\nhost:\r\n\r\n", 400, "empty host"),
    ("GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400, "path in host"),
    ("GET / HTTP/1.1\r\nhost: me@a\r\n\r\n", 400, "user in host"),
    ("GET / HTTP/1.1\r\nhost: a:99999\r\n\r\n", 400, "port out of range"),
    ("GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n", 400, "target and host differ"),
    // Fields.
    ("GET / HTTP/1.1\r\nhost: a\r\nx : 1\r\n\r\n", 400, "space before the colon"),
    ("GET / HTTP/1.1\r\nhost: a\r\n x: 1\r\n\r\n", 400, "folded line"),
    ("GET / HTTP/1.1\r\n host: a\r\n\r\n", 400, "space before the first field"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx\r\n\r\n", 400, "no colon"),
    ("GET / HTTP/1.1\r\nhost: a\r\n: 1\r\n\r\n", 400, "empty name"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx(y): 1\r\n\r\n", 400, "name that is no token"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n", 400, "NUL in a value"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n", 400, "bare CR in a value"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: a\nb: c\r\n\r\n", 400, "bare LF in a value"),
    ("GET / HTTP/1.1\r\nhost: a\r\nexpect: the-worst\r\n\r\n", 417, "other expectation"),
    ("GET / HTTP/1.1\r\nhost: a\r\nconnection: a b\r\n\r\n", 400, "option that is no token"),
    // Framing.
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc", 400, "signed length"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0x3\r\n\r\nabc", 400, "hexadecimal length"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3 3\r\n\r\nabc", 400, "two numbers"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\nabc", 400, "empty length"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n", 400, "length that does not fit"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", 400, "two lengths"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 4\r\n\r\nabcd", 400, "list of lengths"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "CL.TE"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", 400, "TE.CL"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "chunked twice"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "chunked in two fields"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, "chunked not last"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 400, "no chunked"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked;a=b\r\n\r\n0\r\n\r\n", 400, "chunked with parameters"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n\r\n", 400, "empty coding"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\n", 400, "vertical tab"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, "quoted coding"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400, "hidden coding"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n", 501, "unknown coding"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "two codings"),
];

fn heads(io: Io) {
    let origin = Origin::saying("forwarded");
    let mesh = Mesh::to(io, &origin);
    for (bytes, status, what) in HEADS {
        let mut client = mesh.client();
        client.send(bytes);
        let answer = client.response("GET");
        assert_eq!(answer.status(), *status, "{what}: {}", answer.text());
        assert!(answer.closes(), "{what}");
        client.expect_end();
    }
    assert_eq!(origin.connections(), 0, "{:?}", origin.requests());
    let lines = mesh.finish();
    assert_eq!(lines.len(), HEADS.len());
    for (line, (_, status, what)) in lines.iter().zip(HEADS) {
        assert_eq!(line.verdict(), format!("{status} DPE"), "{what}");
    }
}

/// Bodies whose head is right: what is wrong shows too late to forward nothing, but the request is
/// never complete upstream, and what follows it never becomes a request.
#[rustfmt::skip]
const CHUNKED: &[(&str, u16, &str)] = &[
    ("xyz\r\n", 400, "size that is no number"),
    ("\r\n", 400, "empty size"),
    ("-1\r\n", 400, "negative size"),
    ("+1\r\na\r\n0\r\n\r\n", 400, "signed size"),
    ("0x1\r\na\r\n0\r\n\r\n", 400, "prefixed size"),
    (" 1\r\na\r\n0\r\n\r\n", 400, "space before the size"),
    ("1 \r\na\r\n0\r\n\r\n", 400, "space behind the size"),
    ("11111111111111111\r\n", 400, "size that does not fit"),
    ("1\na\r\n0\r\n\r\n", 400, "bare LF behind the size"),
    ("1\r\nab\r\n0\r\n\r\n", 400, "longer chunk than announced"),
    ("1\r\na\n0\r\n\r\n", 400, "bare LF behind the chunk"),
    ("1;\u{1}\r\na\r\n0\r\n\r\n", 400, "control character in an extension"),
    ("1;a\nb\r\na\r\n0\r\n\r\n", 400, "LF in an extension"),
    ("0\r\nbad trailer\r\n\r\n", 400, "trailer without a colon"),
    ("0\r\nx: 1\nGET /evil HTTP/1.1\r\n\r\n", 400, "bare LF in a trailer"),
    ("0\r\n x: 1\r\n\r\n", 400, "folded trailer"),
];

fn bodies(io: Io) {
    let origin = Origin::saying("forwarded");
    let mesh = Mesh::to(io, &origin);
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let next = "GET /evil HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut count = 0;
    for (body, status, what) in CHUNKED {
        for is_split in [false, true] {
            let mut client = mesh.client();
            if is_split {
                client.send(head.to_owned() + "3\r\nabc\r\n");
            } else {
                client.send(head);
            }
            client.send(format!("{body}{next}"));
            let answer = client.response("POST");
            assert_eq!(answer.status(), *status, "{what}: {}", answer.text());
            assert!(answer.closes(), "{what}");
            client.expect_end();
            count += 1;
        }
    }
    origin.wait_for_end_of_connections();
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
    for index in 0..origin.connections() {
        let seen = String::from_utf8_lossy(&origin.received(index)).into_owned();
        assert!(!seen.contains("evil"), "{seen}");
        assert!(!seen.contains("\r\n0\r\n"), "a whole body: {seen}");
    }
    let lines = mesh.finish();
    assert_eq!(lines.len(), count);
    assert!(
        lines.iter().all(|line| line.get("response_flags") == "DPE"),
        "{lines:#?}"
    );
}

fn a_refusal_in_a_pipeline(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(
        "GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n\
         GET /3 HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    assert_eq!(client.response("GET").status(), 200);
    assert_eq!(client.response("GET").status(), 400);
    client.expect_end();
    assert_eq!(origin.request().line, "GET /1 HTTP/1.1");
    assert_eq!(mesh.finish().len(), 2);
}

fn limits_of_the_tuning_file(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("head_bytes", "2000")
        .limit("headers", "10")
        .limit("target_bytes", "500")
        .limit("body_bytes", "1000")
        .start();
    let fields = |count: usize| {
        (0..count)
            .map(|index| format!("x{index}: 1\r\n"))
            .collect::<String>()
    };
    let get =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{body}");
    let (short, long) = ("/".repeat(500), "/".repeat(501));
    let chunk = format!("1f4\r\n{}\r\n", "b".repeat(500));
    let cases = [
        (get(&short, ""), 200),
        (get(&long, ""), 414),
        (get(&format!("/{}", "a".repeat(3000)), ""), 414),
        (get("/", &fields(9)), 200),
        (get("/", &fields(10)), 431),
        (get("/", &format!("x: {}\r\n", "v".repeat(1900))), 200),
        (get("/", &format!("x: {}\r\n", "v".repeat(2000))), 431),
        (post("content-length: 1000", &"b".repeat(1000)), 200),
        (post("content-length: 1001", ""), 413),
        (post("content-length: 100000", &"b".repeat(100_000)), 413),
        (
            post(
                "transfer-encoding: chunked",
                &format!("{chunk}{chunk}0\r\n\r\n"),
            ),
            200,
        ),
        (
            post(
                "transfer-encoding: chunked",
                &format!("{chunk}{chunk}1\r\nb\r\n0\r\n\r\n"),
            ),
            413,
        ),
        (
            post("transfer-encoding: chunked", "ffffffffffffffff\r\n"),
            413,
        ),
    ];
    for (request, status) in &cases {
        let mut client = mesh.client();
        client.send(request);
        let answer = client.response("GET");
        let start: String = request.chars().take(80).collect();
        assert_eq!(answer.status(), *status, "{start:?}: {}", answer.text());
        assert_eq!(answer.closes(), *status != 200, "{start:?}");
        if *status != 200 {
            client.expect_end();
        }
    }
    assert_eq!(origin.requests().len(), 5);
    assert_eq!(mesh.finish().len(), cases.len());
}

/// Connections that say nothing are no requests.
fn nothing_but_a_connection(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    drop(mesh.client());
    mesh.client().reset();
    let mut client = mesh.client();
    client.finish();
    client.expect_end();
    assert!(mesh.finish().is_empty());
}

/// Neither are heads that never end: there is nobody to answer, and nothing to log but noise.
fn a_head_cut_off(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    for head in ["G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut client = mesh.client();
        client.send(head);
        client.finish();
        client.expect_end();
    }
    assert_eq!(origin.connections(), 0);
    mesh.finish();
}

fn a_refused_request_is_logged_without_forgery(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let answer = client.exchange(
        "GET /\" HTTP/1.1\r\nhost: a\r\nuser-agent: \" 200 - via_upstream\\\r\nx-forwarded-for: \u{fc}\r\n\r\n",
    );
    assert_eq!(answer.status(), 200);
    drop(client);
    let line = mesh.finish_one();
    assert_eq!(line.get("path"), "/\\x22");
    assert_eq!(line.get("user_agent"), "\\x22 200 - via_upstream\\\\");
    assert_eq!(line.get("x_forwarded_for"), "\\xc3\\xbc");
}
