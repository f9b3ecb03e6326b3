//! What a request brings must not become lines of a head that the proxy writes: redirects, rewrites
//! and header edits.

use ringmain_tests::{Io, mesh::Mesh, origin::Origin};

/// Paths that would begin another field or another message if someone undid their escapes.
const PATHS: [&str; 5] = [
    "/a%0d%0aset-cookie:%20x=y",
    "/a%0D%0A%0D%0AHTTP/1.1%20200%20OK%0D%0A%0D%0A",
    "/a%0aset-cookie:x",
    "/a?b=%0d%0aset-cookie:x",
    "/a%E5%98%8D%E5%98%8Aset-cookie:x",
];

pub(crate) fn redirects_do_not_split(io: Io) {
    let mesh = Mesh::builder(io)
        .routes(
            "- match: [{uri: {prefix: /a}}]\n  redirect: {authority: b.test, redirectCode: 308}\n\
             - match: [{uri: {prefix: /host}}]\n  redirect: {uri: /c}\n",
        )
        .start();
    let mut client = mesh.client();
    for path in PATHS {
        let answer = client.get(path);
        assert_eq!(answer.status(), 308, "{path}");
        let location = format!("http://b.test{path}");
        assert_eq!(answer.get("location"), Some(location.as_str()));
        assert_eq!(answer.fields.0.len(), 4, "{:?}", answer.fields);
    }
    let answer = client.exchange("GET /host HTTP/1.1\r\nhost: x%0d%0ay:1\r\n\r\n");
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.get("location"), Some("http://x%0d%0ay:1/c"));
    assert_eq!(answer.fields.0.len(), 4, "{:?}", answer.fields);
    drop(client);
    assert_eq!(mesh.finish().len(), PATHS.len() + 1);
}

pub(crate) fn rewrites_do_not_split(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(
            "- match: [{uri: {prefix: /a}}]\n  rewrite: {uri: /b, authority: b.test}\n  \
             route: [{destination: {host: origin.test}}]\n",
        )
        .start();
    let mut client = mesh.client();
    for path in PATHS {
        assert_eq!(client.get(path).text(), "ok", "{path}");
    }
    drop(client);
    for (request, path) in origin.requests().iter().zip(PATHS) {
        let rewritten = path.replacen("/a", "/b", 1);
        assert_eq!(request.line, format!("GET {rewritten} HTTP/1.1"));
        assert_eq!(request.get("host"), Some("b.test"));
        assert_eq!(request.get("x-envoy-original-path"), Some(path));
        assert_eq!(request.get("set-cookie"), None);
    }
    assert_eq!(mesh.finish().len(), PATHS.len());
}

/// What a configuration cannot say is never written: such a change is refused as a whole, and what
/// was served before goes on.
pub(crate) fn edits_do_not_split(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let route = |edits: &str| {
        format!(
            "- headers: {{response: {{{edits}}}}}\n  route: [{{destination: {{host: origin.test}}}}]\n"
        )
    };
    for edits in [
        "set: {x: \"a\\r\\nset-cookie: b\"}",
        "add: {x: \"a\\nb\"}",
        "set: {x: \"a\\0b\"}",
        "set: {\"x: y\\r\\nz\": a}",
        "set: {\"x y\": a}",
        "set: {content-length: \"0\"}",
        "add: {transfer-encoding: chunked}",
        "set: {connection: close}",
    ] {
        let (code, out, error) = check(&mesh, &route(edits));
        assert_eq!(code, 1, "{edits}: {out}{error}");
    }
    assert_eq!(check(&mesh, &route("set: {x: y}")).0, 0);
    mesh.reroute(&route("set: {x: \"a\\tb\"}"));
    let answer = mesh.client().get("/");
    assert_eq!(answer.get("x"), Some("a\tb"));
    mesh.finish_one();
}

/// `ringmain check` on the mesh's resources with these routes.
fn check(mesh: &Mesh, routes: &str) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(mesh.directory().join("mesh")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    let text = ringmain_tests::yaml::virtual_service(ringmain_tests::mesh::GATEWAY, routes);
    std::fs::write(directory.path().join("routes.yaml"), text).unwrap();
    ringmain_tests::binary::run(["check".as_ref(), directory.path().as_os_str()])
}
