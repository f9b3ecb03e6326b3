//! What a proxy makes of the fields and paths of requests, by its tuning and by where it stands.

use ringmain_tests::{
    Io,
    client::Client,
    http2::{Frame, peer},
    mesh::Mesh,
    message::Message,
    on_both,
    origin::Origin,
    sidecars::Pair,
    wait,
};

use crate::place::{answer, ruled};

on_both!(
    forwarded_addresses,
    what_clients_say_of_the_mesh,
    sidecars_believe_each_other,
    the_server_field,
    underscores,
    paths,
    slashes,
    what_upstreams_are_told,
    requests_about_the_way,
);

/// A gateway with a key of its `[http]` section.
fn tuned(io: Io, origin: &Origin, key: &str, value: &str) -> Mesh {
    ruled(io, &[origin], "").tune("http", key, value).start()
}

fn ask(mesh: &Mesh, target: &str, fields: &str) -> Message {
    let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    mesh.client().exchange(request)
}

/// Trusted hops; what came; what the origin gets of the address and the scheme.
fn forwarded_addresses(io: Io) {
    for (hops, fields, external, scheme) in [
        (
            "0",
            "x-forwarded-for: 9.9.9.9\r\nx-forwarded-proto: https\r\n",
            None,
            "http",
        ),
        ("0", "x-envoy-external-address: 9.9.9.9\r\n", None, "http"),
        (
            "1",
            "x-forwarded-for: 8.8.8.8, 9.9.9.9\r\nx-forwarded-proto: https\r\n",
            Some("9.9.9.9"),
            "https",
        ),
        (
            "2",
            "x-forwarded-for: 8.8.8.8, 9.9.9.9\r\n",
            Some("8.8.8.8"),
            "http",
        ),
    ] {
        let origin = Origin::saying("hello");
        let mesh = tuned(io, &origin, "xff_trusted_hops", hops);
        assert_eq!(ask(&mesh, "/", fields).status(), 200);
        let request = origin.request();
        let chain = request.fields.all("x-forwarded-for").join(", ");
        assert!(chain.ends_with("127.0.0.1"), "{hops}: {chain}");
        assert_eq!(
            chain.contains("9.9.9.9"),
            fields.contains("-for: "),
            "{chain}"
        );
        assert_eq!(
            request.get("x-envoy-external-address"),
            external,
            "{hops}: {fields}"
        );
        assert_eq!(request.get("x-forwarded-proto"), Some(scheme), "{fields}");
        mesh.finish();
    }
}

fn what_clients_say_of_the_mesh(io: Io) {
    let origin = Origin::saying("hello");
    let mesh = ruled(io, &[&origin], "").start();
    let fields = "x-envoy-original-path: /forged\r\nx-envoy-internal: true\r\n\
                  x-envoy-attempt-count: 7\r\nx-envoy-external-address: 9.9.9.9\r\nx-mine: 1\r\n";
    assert_eq!(ask(&mesh, "/", fields).status(), 200);
    let request = origin.request();
    for name in [
        "x-envoy-original-path",
        "x-envoy-internal",
        "x-envoy-external-address",
    ] {
        assert_eq!(request.get(name), None, "{name}");
    }
    assert_eq!(request.get("x-envoy-attempt-count"), Some("1"));
    assert_eq!(request.get("x-mine"), Some("1"));
    mesh.finish();
}

fn sidecars_believe_each_other(io: Io) {
    let origin = Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
        while conversation.request().is_ok() {
            conversation.send(answer(200, ""));
        }
    });
    let mut pair = Pair::start(io, "HTTP", origin.address());
    let mut client = Client::connect(pair.egress);
    let call = "GET /a HTTP/1.1\r\nhost: back\r\nx-forwarded-for: 10.0.0.1\r\n\
                x-envoy-original-path: /before\r\nx-envoy-external-address: 9.9.9.9\r\n\
                x-forwarded-proto: https\r\n\r\n";
    wait::until("back to be known", || match client.exchange(call) {
        answer if answer.status() == 200 => Ok(()),
        answer => Err(answer.text()),
    });
    drop(client);
    let requests = origin.requests();
    let request = requests.last().unwrap();
    for (name, value) in [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-envoy-original-path", "/before"),
        ("x-envoy-external-address", "9.9.9.9"),
        ("x-forwarded-proto", "https"),
        ("x-envoy-attempt-count", "1"),
    ] {
        assert_eq!(request.get(name), Some(value), "{name}");
    }
    assert!(pair.front.process.terminate().success());
    assert!(pair.back.process.terminate().success());
    pair.mesh.finish();
}

fn the_server_field(io: Io) {
    for (mode, with, without) in [
        ("overwrite", Some("ringmain"), Some("ringmain")),
        ("append_if_absent", Some("theirs"), Some("ringmain")),
        ("pass_through", Some("theirs"), None),
    ] {
        for (fields, expected) in [("server: theirs\r\n", with), ("", without)] {
            let origin = Origin::answering(answer(200, fields));
            let mesh = tuned(io, &origin, "server_header", &format!("{mode:?}"));
            assert_eq!(ask(&mesh, "/", "").get("server"), expected, "{mode}");
            mesh.finish();
        }
    }
}

/// A request that may not be passed on ends here; of one that may, each proxy takes one.
fn requests_about_the_way(io: Io) {
    let origin = Origin::saying("origin");
    let mesh = ruled(io, &[&origin], "").start();
    for (method, hops, status, seen) in [
        ("OPTIONS", "2", 200, Some("1")),
        ("TRACE", "1", 200, Some("0")),
        ("OPTIONS", "0", 200, None),
        ("TRACE", "0", 501, None),
        ("GET", "0", 200, Some("0")),
        ("OPTIONS", "x", 200, Some("x")),
    ] {
        for version in [1, 2] {
            let before = origin.requests().len();
            let answer = match version {
                1 => mesh.client().exchange(format!(
                    "{method} /a HTTP/1.1\r\nhost: a\r\nMax-Forwards: {hops}\r\n\r\n"
                )),
                _ => {
                    let mut client = mesh.http2_client();
                    let mut fields = peer::request(method, "/a");
                    fields.push(("max-forwards", hops));
                    let stream = client.begin(fields, true);
                    client.response(stream)
                }
            };
            let name = format!("{method} {hops} {version}");
            assert_eq!(answer.status(), status, "{name}");
            let requests = origin.requests().split_off(before);
            let came = requests
                .first()
                .and_then(|request| request.get("max-forwards"));
            assert_eq!(came, seen, "{name}");
            assert_eq!(answer.text() == "origin", seen.is_some(), "{name}");
        }
    }
    assert_eq!(mesh.finish().len(), 12);
}

fn underscores(io: Io) {
    for (mode, status, arrives) in [
        ("allow", 200, Some("1")),
        ("reject", 400, None),
        ("drop", 200, None),
    ] {
        let origin = Origin::saying("hello");
        let mesh = tuned(io, &origin, "underscores_in_headers", &format!("{mode:?}"));
        assert_eq!(ask(&mesh, "/", "").status(), 200, "{mode}");
        assert_eq!(ask(&mesh, "/", "X_user: 1\r\n").status(), status, "{mode}");
        let requests = origin.requests();
        assert_eq!(requests.len(), if status == 200 { 2 } else { 1 });
        assert_eq!(requests.last().unwrap().get("x_user"), arrives, "{mode}");
        for answer in [with_trailer(&mesh), with_trailer_over_http2(&mesh)] {
            assert_eq!(answer.status(), status, "{mode}");
            if let Some(request) = origin.requests().get(requests.len()..).unwrap().last() {
                assert_eq!(request.trailers.get("x_user"), arrives, "{mode}");
                assert_eq!(request.trailers.get("x-end"), Some("1"), "{mode}");
            }
        }
        mesh.finish();
    }
}

fn with_trailer(mesh: &Mesh) -> Message {
    mesh.client().exchange(
        "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\nx_user: 1\r\nx-end: 1\r\n\r\n",
    )
}

fn with_trailer_over_http2(mesh: &Mesh) -> Message {
    let mut client = mesh.http2_client();
    let stream = client.post("/");
    let trailers = [("x_user", "1"), ("x-end", "1")];
    client.send(&Frame::headers(stream, trailers, true));
    client.response(stream)
}

/// What the origin gets of a path, by mode.
fn check_paths(io: Io, key: &str, mode: &str, cases: &[(&str, &str)]) {
    let origin = Origin::saying("hello");
    let mesh = tuned(io, &origin, key, &format!("{mode:?}"));
    for (number, (sent, received)) in cases.iter().enumerate() {
        assert_eq!(ask(&mesh, sent, "").status(), 200, "{mode}: {sent}");
        let line = &origin.requests()[number].line;
        let expected = format!("GET {received} HTTP/1.1");
        assert_eq!(line, &expected, "{mode}: {sent}");
    }
    mesh.finish();
}

fn paths(io: Io) {
    let key = "path_normalization";
    for (mode, cases) in [
        (
            "none",
            [
                ("/a/../b", "/a/../b"),
                ("/a//b", "/a//b"),
                ("/%2e/a", "/%2e/a"),
            ],
        ),
        (
            "base",
            [
                ("/a/../b?c", "/b?c"),
                ("/a//b", "/a//b"),
                ("/%61%2Fb", "/a%2Fb"),
            ],
        ),
        (
            "merge_slashes",
            [
                ("/a/../b", "/b"),
                ("/a//b?c//d", "/a/b?c//d"),
                ("/a%2F%2Fb", "/a%2F%2Fb"),
            ],
        ),
        (
            "decode_and_merge_slashes",
            [("/a/../b", "/b"), ("/a//b", "/a/b"), ("/a%2F%2Fb", "/a/b")],
        ),
    ] {
        check_paths(io, key, mode, &cases);
    }
}

fn slashes(io: Io) {
    let key = "escaped_slashes";
    check_paths(io, key, "keep", &[("/a%2Fb?c", "/a%2Fb?c")]);
    check_paths(io, key, "unescape_and_forward", &[("/a%2Fb?c", "/a/b?c")]);
    for (mode, status, location) in [
        ("reject", 400, None),
        ("unescape_and_redirect", 307, Some("http://a/a/b?c")),
    ] {
        let origin = Origin::saying("hello");
        let mesh = tuned(io, &origin, key, &format!("{mode:?}"));
        let answer = ask(&mesh, "/a%2Fb?c", "");
        assert_eq!(answer.status(), status, "{mode}");
        assert_eq!(answer.get("location"), location, "{mode}");
        assert_eq!(origin.connections(), 0);
        mesh.finish();
    }
}

fn what_upstreams_are_told(io: Io) {
    let origin = Origin::saying("hello");
    let fields = "timeout: 2500ms\n\
                  rewrite: {uriRegexRewrite: {match: '^/v[0-9]+/(.*)$', rewrite: '/new/\\1'}}";
    let mesh = ruled(io, &[&origin], fields).start();
    assert_eq!(ask(&mesh, "/v2/a?b", "").status(), 200);
    let request = origin.request();
    assert_eq!(request.line, "GET /new/a?b HTTP/1.1");
    assert_eq!(request.get("x-envoy-expected-rq-timeout-ms"), Some("2500"));
    assert_eq!(request.get("x-envoy-original-path"), Some("/v2/a?b"));
    mesh.finish();
}
