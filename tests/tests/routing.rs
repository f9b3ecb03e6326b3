//! VirtualServices and DestinationRules as requests meet them at a gateway.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::collections::BTreeMap;

use ringmain_tests::{
    Io,
    mesh::{Builder, GATEWAY, Mesh},
    on_both,
    origin::{Origin, response},
    yaml,
};

on_both!(
    matches,
    hosts,
    rewrites,
    redirects,
    direct_responses,
    header_edits,
    weights,
    subsets,
    round_robin,
    timeouts,
    no_route,
    ports_of_a_gateway,
);

/// A service that answers with its own name and what it was asked for.
fn named(name: &'static str) -> Origin {
    Origin::start(move |conversation| {
        while let Ok(request) = conversation.request() {
            let target = request.line.split(' ').nth(1).unwrap();
            let host = request.get("host").unwrap();
            let answer = response(&format!("{name} {host} {target}"));
            if !conversation
                .send(answer.replace("\r\n\r\n", "\r\nx-old: 1\r\nserver: origin\r\n\r\n"))
            {
                break;
            }
        }
    })
}

/// Services `a.test`, `b.test` and `c.test`.
fn services(io: Io) -> (Builder, [Origin; 3]) {
    let origins = [named("a"), named("b"), named("c")];
    let builder = Mesh::builder(io)
        .service("a", &[origins[0].address()])
        .service("b", &[origins[1].address()])
        .service("c", &[origins[2].address()]);
    (builder, origins)
}

fn to(name: &str) -> String {
    format!("  route: [{{destination: {{host: {name}.test}}}}]\n")
}

/// One rule of each kind of match to `a`, everything else to `b`.
fn matches(io: Io) {
    // What a rule says; requests that it takes; requests that it leaves.
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "uri: {exact: /x}",
            &["GET /x", "GET /x?y"],
            &["GET /x/", "GET /xy", "GET /X", "GET /"],
        ),
        (
            "uri: {prefix: /x}",
            &["GET /x", "GET /xy", "GET /x/y"],
            &["GET /X", "GET /y/x"],
        ),
        (
            "uri: {regex: '/v[0-9]+/.*'}",
            &["GET /v1/a", "GET /v22/"],
            &["GET /v/a", "GET /x/v1/a", "GET /v1"],
        ),
        (
            "uri: {prefix: /x}\n    ignoreUriCase: true",
            &["GET /X/y", "GET /x"],
            &["GET /y"],
        ),
        ("method: {exact: POST}", &["POST /"], &["GET /", "post /"]),
        (
            "method: {regex: 'GET|PUT'}",
            &["GET /", "PUT /"],
            &["DELETE /", "GETS /"],
        ),
        (
            "headers: {x-key: {exact: one}}",
            &["GET /|x-key: one", "GET /|X-Key:  one "],
            &["GET /", "GET /|x-key: One", "GET /|x-key: one,one"],
        ),
        (
            "headers: {x-key: {prefix: on}}",
            &["GET /|x-key: one", "GET /|x-key: on"],
            &["GET /|x-key: no"],
        ),
        (
            "headers: {x-key: {regex: '[a-c]+'}}",
            &["GET /|x-key: abc"],
            &["GET /|x-key: abcd", "GET /"],
        ),
        (
            "headers: {x-key: {}}",
            &["GET /|x-key: any", "GET /|x-key:"],
            &["GET /"],
        ),
        (
            "withoutHeaders: {x-key: {exact: one}}",
            &["GET /", "GET /|x-key: two"],
            &["GET /|x-key: one"],
        ),
        (
            "withoutHeaders: {x-key: {}}",
            &["GET /"],
            &["GET /|x-key: two"],
        ),
        (
            "queryParams: {v: {exact: '1'}}",
            &["GET /?v=1", "GET /?u=2&v=1"],
            &["GET /", "GET /?v=12", "GET /?V=1"],
        ),
        (
            "queryParams: {v: {regex: '[0-9]+'}}",
            &["GET /?v=12"],
            &["GET /?v=1a", "GET /?v="],
        ),
        (
            "queryParams: {v: {prefix: a}}",
            &["GET /?v=ab"],
            &["GET /?v=ba"],
        ),
        (
            "authority: {exact: one.test}",
            &["GET /|host: one.test"],
            &["GET /|host: two.test"],
        ),
        (
            "authority: {prefix: one.}",
            &["GET /|host: one.test:81"],
            &["GET /|host: two.test"],
        ),
        // All of one entry, any of several.
        (
            "uri: {prefix: /x}\n    method: {exact: POST}",
            &["POST /x"],
            &["GET /x", "POST /y"],
        ),
        (
            "uri: {exact: /x}\n  - uri: {exact: /y}",
            &["GET /x", "GET /y"],
            &["GET /z"],
        ),
    ];
    let (builder, _origins) = services(io);
    let mesh = builder.routes(&format!("-{}", to("b"))).start();
    let mut client = mesh.client();
    for (rule, taken, left) in cases {
        mesh.reroute(&format!(
            "- match:\n  - {rule}\n{}-{}",
            to("a"),
            &to("b")[1..]
        ));
        for (expected, requests) in [("a", taken), ("b", left)] {
            for request in *requests {
                let mut parts = request.split('|');
                let line = parts.next().unwrap();
                let fields: Vec<_> = parts.collect();
                let host = match fields.iter().any(|field| field.starts_with("host:")) {
                    true => "",
                    false => "host: any.test\r\n",
                };
                let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
                let answer = client.exchange(format!("{line} HTTP/1.1\r\n{host}{fields}\r\n"));
                let text = answer.text();
                assert_eq!(text.split(' ').next(), Some(expected), "{rule}: {request}");
            }
        }
    }
    drop(client);
    mesh.finish();
}

fn hosts(io: Io) {
    let (builder, _origins) = services(io);
    let service = |name: &str, hosts: &str, to: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
             spec:\n  hosts: [{hosts}]\n  gateways: [{GATEWAY}]\n  http:\n  - route:\n    \
             - destination: {{host: {to}.test}}\n"
        )
    };
    let mesh = builder
        .resource("exact", &service("exact", "one.example.com", "a"))
        .resource("wildcard", &service("wildcard", "\"*.example.com\"", "b"))
        .resource("any", &service("any", "\"*\"", "c"))
        .start();
    let mut client = mesh.client();
    for (host, expected) in [
        ("one.example.com", "a"),
        ("ONE.example.COM", "a"),
        ("one.example.com:8080", "a"),
        ("two.example.com", "b"),
        ("x.one.example.com", "b"),
        ("example.com", "c"),
        ("other.test", "c"),
        ("127.0.0.1", "c"),
        ("[::1]:80", "c"),
    ] {
        let answer = client.exchange(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        assert_eq!(answer.text().split(' ').next(), Some(expected), "{host}");
    }
    drop(client);
    mesh.finish();
}

fn rewrites(io: Io) {
    let (builder, origins) = services(io);
    let mesh = builder
        .routes(&format!(
            "- match: [{{uri: {{prefix: /api/}}}}]\n  rewrite: {{uri: /v2/}}\n{}\
             - match: [{{uri: {{exact: /old}}}}]\n  rewrite: {{uri: /new, authority: inner.test}}\n{}\
             -{}",
            to("a"),
            to("a"),
            &to("a")[1..]
        ))
        .start();
    let mut client = mesh.client();
    for (target, expected) in [
        ("/api/users?q=1", "a example.test /v2/users?q=1"),
        ("/api/", "a example.test /v2/"),
        ("/old?x", "a inner.test /new?x"),
        ("/other", "a example.test /other"),
    ] {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    drop(client);
    let requests = origins[0].requests();
    assert_eq!(
        requests[0].get("x-envoy-original-path"),
        Some("/api/users?q=1")
    );
    assert_eq!(requests[3].get("x-envoy-original-path"), None);
    let lines = mesh.finish();
    assert_eq!(lines[0].get("path"), "/api/users?q=1");
}

fn redirects(io: Io) {
    let (builder, origins) = services(io);
    let mesh = builder
        .routes(
            "- match: [{uri: {exact: /a}}]\n  redirect: {uri: /b}\n\
             - match: [{uri: {exact: /c}}]\n  redirect: {uri: /d, authority: other.test, redirectCode: 308}\n\
             - match: [{uri: {exact: /e}}]\n  redirect: {scheme: https, redirectCode: 302}\n\
             - match: [{uri: {exact: /f}}]\n  redirect: {authority: other.test, port: 8443}\n",
        )
        .start();
    let mut client = mesh.client();
    for (target, status, location) in [
        ("/a", 301, "http://example.test/b"),
        ("/a?q=1", 301, "http://example.test/b?q=1"),
        ("/c", 308, "http://other.test/d"),
        ("/e?x", 302, "https://example.test/e?x"),
        ("/f", 301, "http://other.test:8443/f"),
    ] {
        let answer = client.get(target);
        assert_eq!(
            (answer.status(), answer.get("location")),
            (status, Some(location)),
            "{target}"
        );
        assert_eq!(answer.get("content-length"), Some("0"));
    }
    drop(client);
    assert!(origins.iter().all(|origin| origin.connections() == 0));
    for line in mesh.finish() {
        assert_eq!(line.get("response_code_details"), "direct_response");
    }
}

fn direct_responses(io: Io) {
    let mesh = Mesh::builder(io)
        .routes(
            "- match: [{uri: {exact: /text}}]\n  directResponse: {status: 503, body: {string: closed today}}\n\
             - match: [{uri: {exact: /empty}}]\n  directResponse: {status: 204}\n\
             - match: [{uri: {exact: /large}}]\n  directResponse: {status: 200, body: {string: \"LARGE\"}}\n"
                .replace("LARGE", &"x".repeat(200_000))
                .as_str(),
        )
        .start();
    let mut client = mesh.client();
    let answer = client.get("/text");
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (503, "closed today")
    );
    assert_eq!(client.get("/empty").status(), 204);
    assert_eq!(client.get("/large").body.len(), 200_000);
    let head = client.exchange("HEAD /large HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(head.get("content-length"), Some("200000"));
    // A body that nobody asked for is not taken for the next request.
    let post = client.exchange("POST /text HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nGET");
    assert_eq!(post.status(), 503);
    drop(client);
    let lines = mesh.finish();
    let verdicts: Vec<_> = lines.iter().map(|line| line.verdict()).collect();
    assert_eq!(verdicts, ["503 -", "204 -", "200 -", "200 -", "503 -"]);
    assert_eq!(lines[2].number("bytes_sent"), 200_000);
}

fn header_edits(io: Io) {
    let (builder, origins) = services(io);
    let mesh = builder
        .routes(
            "- headers:\n    request: {set: {x-set: new, host: inner.test}, add: {x-add: more}, remove: [x-gone]}\n    \
             response: {set: {server: mesh}, add: {x-old: '2'}, remove: [x-envoy-upstream-service-time]}\n  \
             route:\n  - destination: {host: a.test}\n    headers:\n      request: {set: {x-set: newer}}\n",
        )
        .start();
    let answer = mesh.client().exchange(
        "GET / HTTP/1.1\r\nhost: a\r\nx-set: old\r\nX-Set: older\r\nx-add: some\r\nX-Gone: 1\r\nx-stays: 1\r\n\r\n",
    );
    let request = origins[0].request();
    assert_eq!(
        request.fields.all("x-set"),
        ["new"],
        "the route's word is the last"
    );
    assert_eq!(request.fields.all("x-add"), ["some", "more"]);
    assert_eq!(request.fields.all("x-gone"), Vec::<&str>::new());
    assert_eq!(request.get("x-stays"), Some("1"));
    assert_eq!(request.get("host"), Some("inner.test"));
    assert_eq!(answer.fields.all("server"), ["mesh"]);
    assert_eq!(answer.fields.all("x-old"), ["1", "2"]);
    assert_eq!(answer.get("x-envoy-upstream-service-time"), None);
    mesh.finish_one();
}

fn count(mesh: &Mesh, requests: usize) -> BTreeMap<String, usize> {
    let mut client = mesh.client();
    let mut counts = BTreeMap::new();
    for _ in 0..requests {
        let name = client.get("/").text().split(' ').next().unwrap().to_owned();
        *counts.entry(name).or_default() += 1;
    }
    counts
}

fn weights(io: Io) {
    let (builder, _origins) = services(io);
    let mesh = builder
        .routes(
            "- route:\n  - {destination: {host: a.test}, weight: 75}\n  \
             - {destination: {host: b.test}, weight: 25}\n  - {destination: {host: c.test}, weight: 0}\n",
        )
        .start();
    let counts = count(&mesh, 1000);
    // Five standard deviations.
    assert!((680..=820).contains(&counts["a"]), "{counts:?}");
    assert_eq!(counts.get("c"), None, "{counts:?}");
    mesh.finish();
}

fn subsets(io: Io) {
    let origins = [named("v1"), named("v2"), named("none")];
    let endpoints = [
        (origins[0].address(), "v1"),
        (origins[1].address(), "v2"),
        (origins[2].address(), ""),
    ];
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s}\n\
        spec:\n  host: s.test\n  subsets:\n  - {name: one, labels: {version: v1}}\n  \
        - {name: two, labels: {version: v2}}\n  - {name: nobody, labels: {version: v3}}\n";
    let route = |subset: &str| {
        format!(
            "- match: [{{headers: {{x-subset: {{exact: {subset}}}}}}}]\n  \
             route: [{{destination: {{host: s.test, subset: {subset}}}}}]\n"
        )
    };
    let mesh = Mesh::builder(io)
        .resource("service", &yaml::labelled_service("s", &endpoints))
        .resource("rule", rule)
        .routes(&(route("one") + &route("two") + &route("nobody")))
        .start();
    let mut client = mesh.client();
    for _ in 0..10 {
        for (subset, expected) in [("one", "v1"), ("two", "v2")] {
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-subset: {subset}\r\n\r\n");
            assert!(client.exchange(request).text().starts_with(expected));
        }
    }
    let nobody = client.exchange("GET / HTTP/1.1\r\nhost: a\r\nx-subset: nobody\r\n\r\n");
    assert_eq!(nobody.status(), 503);
    drop(client);
    let lines = mesh.finish();
    assert_eq!(lines[0].get("upstream_cluster"), "outbound|80|one|s.test");
    assert_eq!(lines.last().unwrap().verdict(), "503 UH");
}

fn round_robin(io: Io) {
    let origins = [named("1"), named("2"), named("3")];
    let addresses = origins.each_ref().map(Origin::address);
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s}\n\
        spec:\n  host: s.test\n  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n";
    let mesh = Mesh::builder(io)
        .all_to("s", &addresses)
        .resource("rule", rule)
        .start();
    let counts = count(&mesh, 30);
    assert!(counts.values().all(|count| *count == 10), "{counts:?}");
    mesh.finish();
}

/// The timeout is the route's, and another route's is another.
fn timeouts(io: Io) {
    let origin = Origin::start(|conversation| {
        drop(conversation.request());
        conversation.wait_for_end();
    });
    let mesh = Mesh::builder(io)
        .service("s", &[origin.address()])
        .routes(
            "- match: [{uri: {prefix: /short}}]\n  timeout: 100ms\n  route: [{destination: {host: s.test}}]\n\
             - timeout: 400ms\n  route: [{destination: {host: s.test}}]\n",
        )
        .start();
    let mut client = mesh.client();
    assert_eq!(client.get("/short").status(), 504);
    assert_eq!(client.get("/long").status(), 504);
    drop(client);
    let lines = mesh.finish();
    assert!(
        lines.iter().all(|line| line.verdict() == "504 UT"),
        "{lines:#?}"
    );
    assert!(
        lines[0].number("duration") < lines[1].number("duration"),
        "{lines:#?}"
    );
}

fn no_route(io: Io) {
    let (builder, _origins) = services(io);
    let mesh = builder
        .routes(&format!("- match: [{{uri: {{exact: /a}}}}]\n{}", to("a")))
        .start();
    let mut client = mesh.client();
    let answer = client.get("/b");
    assert_eq!((answer.status(), answer.closes()), (404, false));
    assert_eq!(client.get("/a").status(), 200);
    drop(client);
    let lines = mesh.finish();
    assert_eq!(lines[0].verdict(), "404 NR");
    assert_eq!(lines[0].get("route_name"), "-");
}

/// A second server of the Gateway, with routes of its own.
fn ports_of_a_gateway(io: Io) {
    let (builder, _origins) = services(io);
    let second = ringmain_tests::place::free(ringmain_tests::place::address());
    let first = builder.gateway();
    let gateway = yaml::gateway(GATEWAY, first)
        + &format!(
            "  - port: {{number: {}, name: http-two, protocol: HTTP}}\n    bind: {:?}\n    hosts: [\"*\"]\n",
            second.port(),
            second.ip().to_string()
        );
    let mesh = builder
        .resource("gateway", &gateway)
        .routes(&format!(
            "- match: [{{port: {}}}]\n{}-{}",
            second.port(),
            to("b"),
            &to("a")[1..]
        ))
        .start();
    assert!(mesh.client().get("/").text().starts_with("a "));
    let mut client = ringmain_tests::client::Client::connect(second);
    assert!(client.get("/").text().starts_with("b "));
    drop(client);
    mesh.finish();
}
