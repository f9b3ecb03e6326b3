//! What passes through and how: heads, framing, trailers, keep-alive, pipelining, early ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use ringmain_tests::{
    Io,
    mesh::Mesh,
    message::Broken,
    on_both,
    origin::{Origin, response},
};

on_both!(
    the_request_as_the_origin_sees_it,
    connection_fields_stay_behind,
    a_request_id_is_kept,
    a_request_id_is_made,
    forwarded_for_grows_at_a_gateway,
    dot_segments_are_resolved_before_routing,
    head_has_length_and_no_body,
    no_content_and_not_modified_have_no_body,
    a_close_delimited_answer_becomes_chunks,
    an_http10_origin_is_understood,
    interim_answers_pass,
    keep_alive_reuses_both_connections,
    connection_close_is_honoured,
    an_origin_that_closes_is_connected_again,
    pipelined_requests_are_answered_in_order,
    pipelined_requests_may_differ_in_kind,
    a_thousand_pipelined,
    a_request_byte_by_byte,
    options_about_the_server,
    absolute_form,
    an_empty_line_before_a_request,
    large_heads_pass,
);

const REQUEST: &str = "GET /a?b=c HTTP/1.1\r\nhost: example.test\r\n\r\n";

fn the_request_as_the_origin_sees_it(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let answer = client.exchange(
        "POST /a/b?c=d&e HTTP/1.1\r\nHOST: Example.test:8080\r\nX-Mixed-Case: Kept  as is \r\n\
         x-twice: 1\r\nX-Twice: 2\r\ncookie: a=b\r\nuser-agent: me\r\nx-request-id: 7\r\n\
         content-length: 3\r\n\r\nabc",
    );
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    let seen = String::from_utf8(origin.received(0)).unwrap();
    let expected = format!(
        "POST /a/b?c=d&e HTTP/1.1\r\nhost: Example.test:8080\r\nX-Mixed-Case: Kept  as is\r\n\
         x-twice: 1\r\nX-Twice: 2\r\ncookie: a=b\r\nuser-agent: me\r\nx-request-id: 7\r\n\
         x-forwarded-proto: http\r\nx-envoy-attempt-count: 1\r\nx-forwarded-for: {}\r\n\
         content-length: 3\r\n\r\nabc",
        client.address().ip()
    );
    assert_eq!(seen, expected);
    drop(client);
    mesh.finish_one();
}

fn connection_fields_stay_behind(io: Io) {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nconnection: x-hop, keep-alive\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\n\
         proxy-connection: close\r\nx-end: 2\r\ncontent-length: 0\r\n\r\n",
    );
    let mesh = Mesh::to(io, &origin);
    let answer = mesh.client().exchange(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, x-secret\r\nx-secret: 1\r\n\
         keep-alive: 300\r\nproxy-connection: keep-alive\r\nupgrade: websocket\r\nte: gzip\r\n\
         x-end: 2\r\n\r\n",
    );
    let request = origin.request();
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "upgrade",
        "te",
        "x-secret",
    ] {
        assert_eq!(request.get(name), None, "{name}");
    }
    for name in ["connection", "keep-alive", "proxy-connection", "x-hop"] {
        assert_eq!(answer.get(name), None, "{name}");
    }
    assert_eq!(request.get("x-end"), Some("2"));
    assert_eq!(answer.get("x-end"), Some("2"));
    mesh.finish_one();
}

fn a_request_id_is_kept(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    mesh.client()
        .exchange("GET / HTTP/1.1\r\nhost: a\r\nx-request-id: from \"outside\"\r\n\r\n");
    assert_eq!(
        origin.request().get("x-request-id"),
        Some("from \"outside\"")
    );
    assert_eq!(
        mesh.finish_one().get("request_id"),
        "from \\x22outside\\x22"
    );
}

fn a_request_id_is_made(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.get("/1");
    client.get("/2");
    drop(client);
    let requests = origin.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.get("x-request-id").unwrap())
        .collect();
    assert_ne!(ids[0], ids[1]);
    for id in &ids {
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(&id[14..15], "4", "{id}");
    }
    let lines = mesh.finish();
    let logged: Vec<_> = lines.iter().map(|line| line.get("request_id")).collect();
    assert_eq!(logged, ids);
}

fn forwarded_for_grows_at_a_gateway(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let own = client.address().ip();
    client.get("/");
    client.exchange(
        "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\n\r\n",
    );
    drop(client);
    let requests = origin.requests();
    assert_eq!(
        requests[0].get("x-forwarded-for"),
        Some(own.to_string().as_str())
    );
    let joined = requests[1]
        .fields
        .all("x-forwarded-for")
        .join(", ")
        .replace(",  ", ", ");
    assert_eq!(
        joined.replace(", ", ","),
        format!("10.0.0.1,10.0.0.2,{own}")
    );
    mesh.finish();
}

fn dot_segments_are_resolved_before_routing(io: Io) {
    let (open, secret) = (Origin::saying("open"), Origin::saying("secret"));
    let mesh = Mesh::builder(io)
        .service("open", &[open.address()])
        .service("secret", &[secret.address()])
        .routes(
            "- match: [{uri: {prefix: /secret}}]\n  route: [{destination: {host: secret.test}}]\n\
             - route: [{destination: {host: open.test}}]\n",
        )
        .start();
    let mut client = mesh.client();
    for path in [
        "/secret/a",
        "/x/../secret/a",
        "/./secret/a",
        "/x/y/../../secret/a",
        "/%73ecret/a",
        "/..\\secret/a",
        "/../../secret/a",
    ] {
        assert_eq!(client.get(path).text(), "secret", "{path}");
    }
    drop(client);
    for request in secret.requests() {
        assert_eq!(request.line, "GET /secret/a HTTP/1.1");
    }
    assert_eq!(open.connections(), 0);
    mesh.finish();
}

fn head_has_length_and_no_body(io: Io) {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..3 {
        let answer = client.exchange("HEAD /a HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer.get("content-length"), Some("5000"));
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    assert_eq!(mesh.finish().len(), 3);
}

fn no_content_and_not_modified_have_no_body(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.request() {
            let answer = match request.line.split(' ').nth(1).unwrap() {
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: \"a\"\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            };
            conversation.send(answer);
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for path in ["/204", "/304", "/200", "/304", "/204", "/200"] {
        let answer = client.get(path);
        assert_eq!(format!("/{}", answer.status()), path);
        if path == "/204" {
            assert_eq!(answer.get("content-length"), None);
            assert_eq!(answer.get("transfer-encoding"), None);
        }
    }
    drop(client);
    assert_eq!(
        origin.connections(),
        1,
        "bodiless answers leave the connection usable"
    );
    mesh.finish();
}

fn a_close_delimited_answer_becomes_chunks(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_ok() {
            conversation.send("HTTP/1.1 200 OK\r\n\r\nuntil");
            conversation.send(" the end");
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(answer.get("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.text(), "until the end");
    }
    drop(client);
    assert_eq!(origin.connections(), 2);
    let lines = mesh.finish();
    assert!(
        lines.iter().all(|line| line.verdict() == "200 -"),
        "{lines:#?}"
    );
    assert_eq!(lines[0].number("bytes_sent"), 13);
}

fn an_http10_origin_is_understood(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.request() {
            let keeps = request.line.contains("/keep");
            conversation.send(match keeps {
                true => {
                    "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 4\r\n\r\nkept"
                }
                false => "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nonce",
            });
            if !keeps {
                break;
            }
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for (path, text) in [
        ("/keep", "kept"),
        ("/keep", "kept"),
        ("/", "once"),
        ("/", "once"),
    ] {
        let answer = client.get(path);
        assert!(answer.line.starts_with("HTTP/1.1 200"), "{}", answer.line);
        assert_eq!(answer.text(), text);
    }
    drop(client);
    assert_eq!(origin.connections(), 2);
    mesh.finish();
}

fn interim_answers_pass(io: Io) {
    let origin = Origin::answering(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    );
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..2 {
        let answer = client.get("/");
        assert_eq!(
            (answer.interim.as_slice(), answer.status()),
            (&[103, 102][..], 200)
        );
    }
    drop(client);
    let lines = mesh.finish();
    assert!(lines.iter().all(|line| line.verdict() == "200 -"));
}

fn keep_alive_reuses_both_connections(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").get("connection"), None);
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    assert_eq!(
        mesh.proxy
            .metric("ringmain_upstream_connections_reused_total"),
        49
    );
    assert_eq!(mesh.finish().len(), 50);
}

fn connection_close_is_honoured(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let answer = client.exchange("GET / HTTP/1.1\r\nhost: a\r\nConnection: Close\r\n\r\n");
    assert!(answer.closes());
    client.expect_end();
    // It is about the client's connection only.
    mesh.client().get("/");
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests()[0].get("connection"), None);
    mesh.finish();
}

fn an_origin_that_closes_is_connected_again(io: Io) {
    let origin = Origin::start(|conversation| {
        if conversation.request().is_ok() {
            conversation
                .send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").get("connection"), None);
    }
    drop(client);
    assert_eq!(origin.connections(), 5);
    mesh.finish();
}

fn pipelined_requests_are_answered_in_order(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.request() {
            conversation.send(response(request.line.split(' ').nth(1).unwrap()));
        }
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    let paths: Vec<_> = (0..20).map(|index| format!("/{index}")).collect();
    let requests = paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
    client.send(requests.collect::<String>());
    for path in &paths {
        assert_eq!(client.response("GET").text(), *path);
    }
    drop(client);
    assert_eq!(mesh.finish().len(), 20);
}

/// Bodies of both framings, bodiless answers and a failure, all in one segment.
fn pipelined_requests_may_differ_in_kind(io: Io) {
    let origin = Origin::echo();
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(
            "- match: [{uri: {exact: /direct}}]\n  directResponse: {status: 418, body: {string: tea}}\n\
             - match: [{uri: {prefix: /origin}}]\n  route: [{destination: {host: origin.test}}]\n",
        )
        .start();
    let mut client = mesh.client();
    client.send(
        "POST /origin HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\none\
         HEAD /origin HTTP/1.1\r\nhost: a\r\n\r\n\
         GET /direct HTTP/1.1\r\nhost: a\r\n\r\n\
         POST /origin HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
         GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n\
         HEAD /direct HTTP/1.1\r\nhost: a\r\n\r\n\
         PUT /origin HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n\
         GET /origin HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    let mut seen = Vec::new();
    for method in ["POST", "HEAD", "GET", "POST", "GET", "HEAD", "PUT", "GET"] {
        let answer = client.response(method);
        seen.push((answer.status(), answer.text()));
    }
    let texts: Vec<_> = seen
        .iter()
        .map(|(status, text)| (*status, text.as_str()))
        .collect();
    assert_eq!(
        texts[..4],
        [(200, "one"), (200, ""), (418, "tea"), (200, "two")]
    );
    assert_eq!(texts[4].0, 404);
    assert_eq!(texts[5..], [(418, ""), (200, ""), (200, "")]);
    client.expect_end();
    assert_eq!(mesh.finish().len(), 8);
}

fn a_thousand_pipelined(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.send(REQUEST.repeat(1000));
    for _ in 0..1000 {
        assert_eq!(client.response("GET").text(), "ok");
    }
    drop(client);
    assert_eq!(origin.connections(), 1);
    assert_eq!(mesh.finish().len(), 1000);
}

fn a_request_byte_by_byte(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for byte in REQUEST.bytes() {
        client.send([byte]);
    }
    assert_eq!(client.response("GET").text(), "ok");
    drop(client);
    mesh.finish_one();
}

fn options_about_the_server(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.exchange("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
    client.exchange("OPTIONS http://a HTTP/1.1\r\nhost: a\r\n\r\n");
    drop(client);
    for request in origin.requests() {
        assert_eq!(request.line, "OPTIONS * HTTP/1.1");
    }
    mesh.finish();
}

fn absolute_form(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    mesh.client()
        .exchange("GET http://a.test/b?c HTTP/1.1\r\nhost: a.test\r\n\r\n");
    let request = origin.request();
    assert_eq!(request.line, "GET /b?c HTTP/1.1");
    assert_eq!(request.get("host"), Some("a.test"));
    mesh.finish_one();
}

fn an_empty_line_before_a_request(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.exchange(format!("\r\n{REQUEST}"));
    client.exchange("\r\n".to_owned() + REQUEST);
    drop(client);
    let seen = String::from_utf8(origin.received(0)).unwrap();
    assert!(seen.starts_with("GET /a?b=c "), "{seen}");
    assert_eq!(mesh.finish().len(), 2);
}

fn large_heads_pass(io: Io) {
    let value = "v".repeat(50_000);
    let answer = format!("HTTP/1.1 200 OK\r\nx-large: {value}\r\ncontent-length: 2\r\n\r\nok");
    let origin = Origin::answering(answer);
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..2 {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-large: {value}\r\n\r\n");
        let answer = client.exchange(request);
        assert_eq!(answer.get("x-large"), Some(value.as_str()));
    }
    assert_eq!(origin.requests()[1].get("x-large"), Some(value.as_str()));
    assert!(matches!(
        client.wire.stream.shutdown(std::net::Shutdown::Write),
        Ok(())
    ));
    assert!(matches!(client.wire.head(), Err(Broken::Closed)));
    mesh.finish();
}
