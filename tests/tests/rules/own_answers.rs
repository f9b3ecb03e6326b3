//! Answers that the proxy makes itself: their form, and what they cost.

use ringmain_tests::{
    Io,
    http2::{Peer, frame::setting, peer},
    mesh::{Builder, Mesh},
    on_both,
    origin::Origin,
    place as places, wait,
};

use crate::place::{TO_S, destination_rule, ruled, silent};

on_both!(
    nobody_takes_them,
    a_large_one_arrives_whole,
    refused_heads_have_no_body,
    failures_of_grpc_are_logged_as_told,
    direct_ones_for_grpc,
    slashes_do_not_lead_elsewhere,
    overloads_are_told,
    aborts_are_of_their_destination,
    connections_stay_behind_whole_requests,
);

const MUCH: usize = 1 << 20;

/// All is answered with a text of [`MUCH`] bytes.
fn large(io: Io) -> Builder {
    let text = "text".repeat(MUCH / 4);
    Mesh::builder(io).routes(&format!(
        "- directResponse: {{status: 200, body: {{string: {text}}}}}\n"
    ))
}

/// What waits for room is small, and does not wait for long.
fn nobody_takes_them(io: Io) {
    const COUNT: usize = 64;
    let mesh = large(io).limit("stream_idle_timeout", "\"300ms\"").start();
    // The first one makes the proxy touch what it keeps.
    let mut first = mesh.http2_client();
    let stream = first.get("/");
    assert_eq!(first.response(stream).body.len(), MUCH);
    let before = mesh.proxy.process.memory_kib("VmHWM");
    let mut client = Peer::client(mesh.gateway, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.ping();
    let streams: Vec<_> = (0..COUNT).map(|_| client.get("/")).collect();
    for stream in streams {
        let ended = client.ended(stream);
        assert!(ended.has_head && !ended.is_over, "{ended:?}");
        assert!(ended.reset.is_some() && ended.message.body.is_empty());
    }
    let grown = mesh.proxy.process.memory_kib("VmHWM") - before;
    assert!(grown < 8 << 10, "{grown} KiB for {COUNT} streams");
    drop((first, client));
    let lines = mesh.finish();
    assert_eq!(lines.len(), COUNT + 1);
    for line in &lines[1..] {
        assert_eq!(line.get("bytes_sent"), "0", "{}", line.text);
    }
}

fn a_large_one_arrives_whole(io: Io) {
    let mesh = large(io).start();
    let text = "text".repeat(MUCH / 4);
    assert!(mesh.client().get("/").text() == text);
    let mut client = Peer::client(mesh.gateway, &[(setting::INITIAL_WINDOW_SIZE, 1000)]);
    client.ping();
    let streams = [client.get("/"), client.get("/")];
    for stream in streams {
        let answer = client.response(stream);
        assert_eq!(answer.get("content-length"), Some("1048576"));
        assert!(answer.text() == text);
    }
    drop(client);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "200 -");
        assert_eq!(line.number("bytes_sent"), MUCH as u64, "{}", line.text);
    }
}

fn refused_heads_have_no_body(io: Io) {
    let origin = Origin::saying("");
    let routes = format!("- match: [{{uri: {{exact: /here}}}}]\n{TO_S}");
    let mesh = ruled(io, &[&origin], "").routes(&routes).start();
    for (path, status) in [("/%00", 400), ("/nowhere", 404)] {
        let mut client = mesh.client();
        client.send(format!(
            "HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        ));
        while client.wire.fill().unwrap() {}
        let answer = String::from_utf8(client.wire.unread().to_vec()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(body, "", "{path}");
    }
    for line in mesh.finish() {
        assert_eq!(line.get("bytes_sent"), "0", "{}", line.text);
    }
}

/// A call of gRPC, and its answer.
fn call(mesh: &Mesh, path: &str) -> ringmain_tests::message::Message {
    let mut client = mesh.http2_client();
    let mut head = peer::request("POST", path);
    head.push(("content-type", "application/grpc"));
    head.push(("te", "trailers"));
    let stream = client.begin(head, false);
    client.send_body(stream, b"\0\0\0\0\0", true);
    client.response(stream)
}

/// With the status that its client got.
fn failures_of_grpc_are_logged_as_told(io: Io) {
    let nobody = places::free(places::address());
    let origin = silent();
    let abort = "fault: {abort: {httpStatus: 418, percentage: {value: 100}}}";
    let routes = format!(
        "- match: [{{uri: {{exact: /late}}}}]\n  timeout: 50ms\n{TO_S}\
         - match: [{{uri: {{exact: /aborted}}}}]\n  {abort}\n{TO_S}\
         - match: [{{uri: {{exact: /nobody}}}}]\n  route: [{{destination: {{host: n.test}}}}]\n"
    );
    let mesh = ruled(io, &[&origin], "")
        .service("n", &[nobody])
        .routes(&routes)
        .start();
    let rows = [
        ("/late", "4", "UT"),
        ("/aborted", "2", "FI"),
        ("/nobody", "14", "UF,URX"),
        ("/nowhere", "12", "NR"),
    ];
    for (path, code, _) in rows {
        let answer = call(&mesh, path);
        assert_eq!(
            (answer.status(), answer.get("grpc-status")),
            (200, Some(code)),
            "{path}"
        );
    }
    let told = [("response_code", "200")];
    wait::until_equal("calls that were told 200", 4, || {
        mesh.proxy.metrics().sum("istio_requests_total", &told)
    });
    for (line, (path, _, flags)) in mesh.finish().iter().zip(rows) {
        assert_eq!(line.get("path"), path);
        assert_eq!(line.verdict(), format!("200 {flags}"), "{}", line.text);
    }
}

fn direct_ones_for_grpc(io: Io) {
    let mesh = Mesh::builder(io)
        .routes("- directResponse: {status: 503, body: {string: 'not now'}}\n")
        .start();
    let answer = call(&mesh, "/service/Method");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.get("content-type"), Some("application/grpc"));
    assert_eq!(answer.get("grpc-status"), Some("14"));
    assert_eq!(answer.get("grpc-message"), Some("not now"));
    assert_eq!(answer.text(), "");
    assert!(answer.get("date").is_some(), "{answer:?}");
    let plain = mesh.client().get("/");
    assert!(plain.get("date").is_some(), "{plain:?}");
    assert_eq!((plain.status(), plain.text().as_str()), (503, "not now"));
    let verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    assert_eq!(verdicts, ["200 -", "503 -"]);
}

/// A path of two slashes is no address of another host.
fn slashes_do_not_lead_elsewhere(io: Io) {
    let origin = Origin::saying("");
    let mesh = ruled(io, &[&origin], "")
        .tune("http", "escaped_slashes", "\"unescape_and_redirect\"")
        .start();
    for (path, location) in [
        ("/%2Fevil.com/x", "http://example.test//evil.com/x"),
        (
            "/%5Cevil.com/x?a=%2F",
            "http://example.test//evil.com/x?a=%2F",
        ),
        ("/a%2fb", "http://example.test/a/b"),
    ] {
        let mut http2 = mesh.http2_client();
        let stream = http2.get(path);
        for answer in [mesh.client().get(path), http2.response(stream)] {
            assert_eq!(answer.status(), 307, "{path}");
            assert_eq!(answer.get("location"), Some(location), "{path}");
        }
    }
    assert_eq!(origin.connections(), 0);
    mesh.finish();
}

/// Who is told so does not try again at once.
fn overloads_are_told(io: Io) {
    let origin = silent();
    let rule = destination_rule("connectionPool: {http: {http2MaxRequests: 1}}");
    let mesh = ruled(io, &[&origin], "").resource("rule", &rule).start();
    let mut held = mesh.client();
    held.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    let mut http2 = mesh.http2_client();
    let stream = http2.get("/");
    for answer in [mesh.client().get("/"), http2.response(stream)] {
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.get("x-envoy-overloaded"), Some("true"));
    }
    held.reset();
    drop(http2);
    let verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    assert_eq!(verdicts, ["503 UO", "503 UO", "0 DC"]);
}

/// A body that has come whole is taken; one that has not ends the connection.
fn connections_stay_behind_whole_requests(io: Io) {
    let nobody = places::free(places::address());
    let mesh = Mesh::builder(io)
        .service("n", &[nobody])
        .routes(
            "- match: [{uri: {prefix: /direct}}]\n  directResponse: {status: 200}\n\
             - match: [{uri: {prefix: /nobody}}]\n  retries: {attempts: 0}\n  \
             route: [{destination: {host: n.test}}]\n",
        )
        .start();
    let body = "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let (length, size) = (body.len(), format!("{:x}", body.len()));
    let chunked = format!(
        "transfer-encoding: chunked\r\n\r\n{size}\r\n{body}\r\n{size}\r\n{body}\r\n\
         0\r\nx: 1\r\n\r\n"
    );
    let whole = [
        (format!("content-length: {length}\r\n\r\n{body}"), length),
        (chunked, 2 * length),
    ];
    let paths = [("/direct", 200), ("/nobody", 503), ("/nowhere", 404)];
    let mut counts = Vec::new();
    for (path, status) in paths {
        let mut client = mesh.client();
        for (rest, bytes) in &whole {
            // With the next request right behind it.
            client.send(format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\n{rest}GET /direct HTTP/1.1\r\nhost: a\r\n\r\n"
            ));
            for status in [status, 200] {
                let answer = client.response("GET");
                assert_eq!(
                    (answer.status(), answer.closes()),
                    (status, false),
                    "{path}"
                );
            }
            counts.extend([*bytes as u64, 0]);
        }
        for cut in [
            format!("content-length: {}\r\n\r\n{body}", length + 1),
            format!("transfer-encoding: chunked\r\n\r\n{size}\r\n{body}\r\n"),
        ] {
            let mut client = mesh.client();
            client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\n{cut}"));
            let answer = client.response("POST");
            assert_eq!((answer.status(), answer.closes()), (status, true), "{path}");
            client.expect_end();
            counts.push(length as u64);
        }
    }
    let lines = mesh.finish();
    let received: Vec<_> = lines
        .iter()
        .map(|line| line.number("bytes_received"))
        .collect();
    assert_eq!(received, counts, "{lines:#?}");
}

fn aborts_are_of_their_destination(io: Io) {
    let origin = Origin::saying("");
    let fault = "fault: {abort: {httpStatus: 418, percentage: {value: 100}}}";
    let mesh = ruled(io, &[&origin], fault).start();
    let answer = mesh.client().get("/");
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.get("x-envoy-overloaded"), None);
    let labels = [
        ("destination_service", "s.test"),
        ("response_code", "418"),
        ("response_flags", "FI"),
    ];
    wait::until_equal("requests of the destination", 1, || {
        mesh.proxy.metrics().sum("istio_requests_total", &labels)
    });
    let line = mesh.finish_one();
    assert_eq!(line.get("upstream_cluster"), "outbound|80||s.test");
}
