//! Limits of the tuning file, pipelines, and connections that say nothing or not enough.

use ringmain_tests::{Io, http2, mesh::Mesh, origin::Origin};

pub(crate) fn a_refusal_in_a_pipeline(io: Io) {
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

pub(crate) fn limits_of_the_tuning_file(io: Io) {
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
pub(crate) fn nothing_but_a_connection(io: Io) {
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
pub(crate) fn a_head_cut_off(io: Io) {
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

pub(crate) fn a_refused_request_is_logged_without_forgery(io: Io) {
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

/// As far as they are known: whoever looks for the cause of a 400 looks for a path.
pub(crate) fn a_refused_request_is_logged_with_its_path(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    for (request, ..) in REFUSED {
        let mut client = mesh.client();
        client.send(request);
        assert!(client.response("GET").status() >= 400, "{request:?}");
    }
    let mut http2 = mesh.http2_client();
    for (name, value) in [("host", "b.test"), ("x-a", "b ")] {
        let mut fields = http2::peer::request("PUT", "/http2?a");
        fields.push((name, value));
        let stream = http2.begin(fields, true);
        assert_eq!(http2.response(stream).status(), 400, "{name}");
    }
    drop(http2);
    let lines = mesh.finish();
    let seen = lines
        .iter()
        .map(|line| (line.get("method"), line.get("path")));
    let of_http2 = [("PUT", "/http2?a"); 2];
    let expected = REFUSED.iter().map(|(_, method, path)| (*method, *path));
    assert!(seen.eq(expected.chain(of_http2)), "{lines:#?}");
}

/// A request, and what the log says of its method and its path.
const REFUSED: &[(&str, &str, &str)] = &[
    ("GET /a?b HTTP/1.1\r\nhost : a\r\n\r\n", "GET", "/a?b"),
    (
        "GET /\" HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET",
        "/\\x22",
    ),
    ("PUT /a HTTP/1.0\r\n\r\n", "PUT", "/a"),
    (
        "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        "POST",
        "/a",
    ),
    ("G@T / HTTP/1.1\r\nhost: a\r\n\r\n", "-", "-"),
];
