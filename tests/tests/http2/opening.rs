//! How connections to endpoints are opened, what is said when that fails, and which make room.

use ringmain_tests::{
    Io,
    access_log::Line,
    http2::{
        Frame,
        frame::{code, setting},
        peer,
    },
    mesh::Mesh,
    on_both,
    origin::Origin,
    yaml,
};

on_both!(
    endpoints_that_speak_something_else,
    an_endpoint_that_says_no_hello,
    an_endpoint_that_says_goodbye_at_once,
    as_many_connections_as_requests,
    idle_connections_make_room,
);

/// Everything goes to an endpoint that is said to speak HTTP/2, in one try.
fn mesh(io: Io, origin: &Origin, policy: &str) -> Mesh {
    let rule = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: origin}}\n\
         spec:\n  host: origin.test\n  trafficPolicy: {{connectionPool: {{{policy}}}}}\n"
    );
    Mesh::builder(io)
        .resource(
            "origin",
            &yaml::http2_service("origin", &[origin.address()]),
        )
        .resource("rule", &rule)
        .routes(
            "- name: all\n  retries: {attempts: 0}\n  \
             route: [{destination: {host: origin.test}}]\n",
        )
        .start()
}

/// What the log says of a request that cannot be sent, when so many connections have failed.
fn refused(mesh: Mesh, failures: u64) -> Line {
    assert_eq!(mesh.client().get("/").status(), 503);
    let name = "ringmain_upstream_connect_failures_total";
    assert_eq!(mesh.proxy.metric(name), failures);
    mesh.finish_one()
}

fn endpoints_that_speak_something_else(io: Io) {
    for (hello, reason) in [
        (
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            "the endpoint does not speak HTTP/2: ",
        ),
        (
            "220 smtp.test ESMTP\r\n",
            "the endpoint does not speak HTTP/2: ",
        ),
        ("", "the connection ended before it took a request"),
    ] {
        let origin = Origin::start(move |conversation| {
            drop(conversation.wire.exactly(peer::PREFACE.len()));
            if !hello.is_empty() {
                conversation.send(hello);
                // Its end would be a reset, which takes the hello with it.
                conversation.wait_for_end();
            }
        });
        let line = refused(mesh(io, &origin, ""), 1);
        assert_eq!(line.verdict(), "503 UF");
        let said = line.get("upstream_transport_failure_reason");
        assert!(said.starts_with(reason), "{said}");
    }
}

fn an_endpoint_that_says_no_hello(io: Io) {
    let origin = Origin::start(|conversation| conversation.wait_for_end());
    let line = refused(mesh(io, &origin, "tcp: {connectTimeout: 200ms}"), 1);
    assert_eq!(line.verdict(), "503 UF");
    let said = line.get("upstream_transport_failure_reason");
    assert!(said.contains("within the connect timeout"), "{said}");
}

fn an_endpoint_that_says_goodbye_at_once(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.wire.exactly(peer::PREFACE.len()));
        let mut hello = Frame::settings(&[]).bytes();
        hello.extend(Frame::go_away(0, code::NO_ERROR).bytes());
        conversation.send(hello);
        conversation.wait_for_end();
    });
    let line = refused(mesh(io, &origin, ""), 1);
    assert_eq!(line.verdict(), "503 UF");
    let said = line.get("upstream_transport_failure_reason");
    assert!(said.contains("before it took a request"), "{said}");
    assert_eq!(origin.connections(), 1);
}

/// They wait for the same connection, which carries one of them; nobody waits in vain.
fn as_many_connections_as_requests(io: Io) {
    let origin = Origin::http2(&[], |peer, stream, _| {
        peer.answer(stream, "ok");
    });
    let mesh = mesh(io, &origin, "http: {maxRequestsPerConnection: 1}");
    let mut client = mesh.http2_client();
    let streams: Vec<_> = (0..10).map(|_| client.get("/")).collect();
    for stream in streams {
        assert_eq!(client.response(stream).text(), "ok");
    }
    assert_eq!(origin.connections(), 10);
    drop(client);
    mesh.finish();
}

/// There may be one connection: the one that nobody uses is closed for the one that is needed.
fn idle_connections_make_room(io: Io) {
    let origins = [(); 2].map(|()| {
        Origin::http2(
            &[(setting::MAX_CONCURRENT_STREAMS, 10)],
            |peer, stream, _| {
                peer.answer(stream, "ok");
            },
        )
    });
    let mesh = Mesh::builder(io)
        .limit("upstream_connections", "1")
        .resource("a", &yaml::http2_service("a", &[origins[0].address()]))
        .resource("b", &yaml::http2_service("b", &[origins[1].address()]))
        .routes(
            "- match: [{uri: {prefix: /a}}]\n  route: [{destination: {host: a.test}}]\n\
             - route: [{destination: {host: b.test}}]\n",
        )
        .start();
    let mut client = mesh.http2_client();
    for path in ["/a", "/b", "/a", "/a", "/b"] {
        let stream = client.get(path);
        assert_eq!(client.response(stream).text(), "ok", "{path}");
    }
    assert_eq!(origins.each_ref().map(Origin::connections), [2, 2]);
    assert_eq!(mesh.proxy.metric("ringmain_upstream_overflows_total"), 0);
    drop(client);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "200 -");
    }
}
