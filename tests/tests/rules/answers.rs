//! Answers that rules give themselves: redirects and direct responses, over HTTP/1.1 and HTTP/2.

use ringmain_tests::{
    Io,
    http2::peer,
    mesh::{Builder, Mesh},
    message::Message,
    on_both,
};

use crate::speaks::{Client, Speaks};

on_both!(redirects, codes, direct_responses);

/// One GET to this host, over HTTP/1.1 and over HTTP/2: both are answered alike.
fn ask(mesh: &Mesh, host: &str, target: &str) -> Message {
    let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let first = mesh.client().exchange(request);
    let mut client = mesh.http2_client();
    let fields = peer::request("GET", target).into_iter();
    let fields = fields.map(|(name, value)| match name {
        ":authority" => (name, host),
        _ => (name, value),
    });
    let stream = client.begin(fields, true);
    let second = client.response(stream);
    assert_eq!(first.status(), second.status(), "{host} {target}");
    for name in ["location", "content-type", "content-length"] {
        assert_eq!(first.get(name), second.get(name), "{host} {target}: {name}");
    }
    assert_eq!(first.body, second.body, "{host} {target}");
    first
}

/// A rule for each of these, at `/N`.
fn numbered<'a>(io: Io, rules: impl Iterator<Item = &'a str>) -> Builder {
    let routes: String = rules
        .enumerate()
        .map(|(number, rule)| format!("- match: [{{uri: {{prefix: /{number}/}}}}]\n  {rule}\n"))
        .collect();
    Mesh::builder(io).routes(&routes)
}

/// What a redirect says; the host and what follows the rule's prefix; where it leads, in which
/// `PORT` is the port of the gateway and `N` the rule.
const REDIRECTS: &[(&str, &str, &str, &str)] = &[
    ("uri: /b", "a.test", "x", "http://a.test/b"),
    ("uri: /b", "a.test", "x?q=1", "http://a.test/b?q=1"),
    ("uri: /b", "a.test:8080", "x", "http://a.test:8080/b"),
    ("uri: /b", "a.test:80", "x", "http://a.test/b"),
    (
        "uri: '%PREFIX()%/new/'",
        "a.test",
        "x/y?z",
        "http://a.test/new/x/y?z",
    ),
    ("uri: '%PREFIX()%/'", "a.test", "x", "http://a.test/x"),
    ("authority: b.test", "a.test:8080", "x", "http://b.test/N/x"),
    (
        "authority: 'b.test:81'",
        "a.test",
        "x",
        "http://b.test:81/N/x",
    ),
    (
        "authority: b.test, uri: /c",
        "a.test",
        "x?q",
        "http://b.test/c?q",
    ),
    ("scheme: https", "a.test", "x", "https://a.test/N/x"),
    ("scheme: https", "a.test:80", "x", "https://a.test/N/x"),
    (
        "scheme: https",
        "a.test:8080",
        "x",
        "https://a.test:8080/N/x",
    ),
    (
        "scheme: https, port: 443",
        "a.test",
        "x",
        "https://a.test/N/x",
    ),
    (
        "scheme: https, port: 8443",
        "a.test:80",
        "x",
        "https://a.test:8443/N/x",
    ),
    ("port: 80", "a.test:8080", "x", "http://a.test/N/x"),
    ("port: 443", "a.test", "x", "http://a.test:443/N/x"),
    (
        "authority: 'b.test:81', port: 82",
        "a.test",
        "x",
        "http://b.test:82/N/x",
    ),
    (
        "derivePort: FROM_PROTOCOL_DEFAULT",
        "a.test:8080",
        "x",
        "http://a.test/N/x",
    ),
    (
        "scheme: https, derivePort: FROM_PROTOCOL_DEFAULT",
        "a.test:8080",
        "x",
        "https://a.test/N/x",
    ),
    (
        "derivePort: FROM_REQUEST_PORT",
        "a.test",
        "x",
        "http://a.test:PORT/N/x",
    ),
    (
        "scheme: https, derivePort: FROM_REQUEST_PORT, authority: b.test",
        "a.test:9",
        "x",
        "https://b.test:PORT/N/x",
    ),
    ("scheme: https", "[::1]:8080", "x", "https://[::1]:8080/N/x"),
];

fn redirects(io: Io) {
    let rules: Vec<_> = REDIRECTS
        .iter()
        .map(|row| format!("redirect: {{{}}}", row.0))
        .collect();
    let mesh = numbered(io, rules.iter().map(String::as_str)).start();
    let port = mesh.gateway.port().to_string();
    for (number, (rule, host, rest, location)) in REDIRECTS.iter().enumerate() {
        let answer = ask(&mesh, host, &format!("/{number}/{rest}"));
        assert_eq!(answer.status(), 301, "{rule}");
        let expected = location
            .replace("PORT", &port)
            .replace("/N/", &format!("/{number}/"));
        assert_eq!(answer.get("location"), Some(&*expected), "{rule}: {host}");
        assert_eq!(answer.get("content-length"), Some("0"), "{rule}");
    }
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "301 -");
        assert_eq!(line.get("response_code_details"), "direct_response");
    }
}

/// All that there are, to requests with a body, too.
fn codes(io: Io) {
    let codes = [301, 302, 303, 307, 308];
    let rules = codes.map(|code| format!("redirect: {{uri: /b, redirectCode: {code}}}"));
    let mesh = numbered(io, rules.iter().map(String::as_str)).start();
    for (number, code) in codes.into_iter().enumerate() {
        let path = format!("/{number}/");
        let answer = ask(&mesh, "a.test", &path);
        assert_eq!(answer.status(), code);
        for speaks in [Speaks::Http1, Speaks::Http2] {
            let answer = Client::of(&mesh, speaks).post(&path, b"abc");
            assert_eq!(answer.status(), code, "{speaks:?}");
            assert_eq!(answer.get("location"), Some("http://example.test/b"));
        }
    }
    assert_eq!(mesh.finish().len(), 4 * codes.len());
}

fn direct_responses(io: Io) {
    let rows: &[(&str, u16, &[u8])] = &[
        ("status: 200", 200, b""),
        ("status: 404, body: {string: not here}", 404, b"not here"),
        ("status: 204", 204, b""),
        (
            "status: 599, body: {string: 'a\"b\u{e9}'}",
            599,
            "a\"b\u{e9}".as_bytes(),
        ),
        // Of base64.
        ("status: 200, body: {bytes: AP8KDQ==}", 200, b"\0\xff\n\r"),
        ("status: 503, body: {string: ''}", 503, b""),
    ];
    let rules: Vec<_> = rows
        .iter()
        .map(|row| {
            format!(
                "directResponse: {{{}}}\n  headers: {{response: {{set: {{x-own: '1'}}}}}}",
                row.0
            )
        })
        .collect();
    let mesh = numbered(io, rules.iter().map(String::as_str)).start();
    for (number, (rule, status, body)) in rows.iter().enumerate() {
        let answer = ask(&mesh, "a.test", &format!("/{number}/"));
        assert_eq!(answer.status(), *status, "{rule}");
        assert_eq!(answer.body, *body, "{rule}");
        assert_eq!(answer.get("x-own"), Some("1"), "{rule}");
        let mut client = mesh.http2_client();
        let path = format!("/{number}/");
        let stream = client.begin(peer::request("HEAD", &path), true);
        let head = client.response(stream);
        assert_eq!((head.status(), head.body.len()), (*status, 0), "{rule}");
        assert_eq!(head.get("content-length"), answer.get("content-length"));
    }
    for line in mesh.finish() {
        assert_eq!(line.get("response_flags"), "-");
    }
}
