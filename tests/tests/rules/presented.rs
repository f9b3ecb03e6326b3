//! What routes and hash keys see of a request at a gateway: what its upstream will see. What a
//! client may not say is not there, and what the proxy says itself is.

use ringmain_tests::{Io, http2::peer, mesh::Mesh, message::Message, on_both, origin::Origin};

use crate::{
    place::{TO_S, answer, destination_rule, ruled},
    speaks::Speaks,
};

on_both!(
    the_scheme_that_a_trusted_proxy_says,
    the_scheme_that_a_stranger_says,
    fields_that_a_stranger_may_not_say,
    fields_that_the_proxy_says,
    fields_that_are_dropped,
    fields_that_are_refused,
    lines_of_cookies,
    a_hash_of_a_field_that_is_not_believed,
    the_path_before_a_rule_rewrote_it,
    the_time_that_an_upstream_has,
);

/// `GET path` with these fields, in either version of HTTP.
fn ask(mesh: &Mesh, speaks: Speaks, path: &str, fields: &[(&str, &str)]) -> Message {
    match speaks {
        Speaks::Http1 => {
            let lines = fields
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"));
            let lines: String = lines.collect();
            let request = format!("GET {path} HTTP/1.1\r\nhost: example.test\r\n{lines}\r\n");
            mesh.client().exchange(request)
        }
        Speaks::Http2 => {
            let mut client = mesh.http2_client();
            let head = peer::request("GET", path);
            let stream = client.begin(head.iter().chain(fields).copied(), true);
            client.response(stream)
        }
    }
}

const BOTH: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

/// A route of that match, answered with a status of its own.
fn route(matching: &str, status: u16) -> String {
    format!("- match: [{{{matching}}}]\n  directResponse: {{status: {status}}}\n")
}

/// As [`route`], for a field of this name whatever it says.
fn with_field(name: &str, status: u16) -> String {
    route(&format!("headers: {{{name}: {{regex: '.+'}}}}"), status)
}

const HTTPS: (&str, &str) = ("x-forwarded-proto", "https");

/// What is made of plain HTTP, and of HTTPS.
fn schemes() -> String {
    let secure = route(
        "uri: {prefix: /field}, headers: {x-forwarded-proto: {exact: https}}",
        210,
    );
    let plain = route(
        "uri: {prefix: /field}, headers: {x-forwarded-proto: {exact: http}}",
        211,
    );
    format!(
        "{secure}{plain}\
         - match: [{{uri: {{prefix: /moved}}}}]\n  redirect: {{uri: /new}}\n\
         - match: [{{scheme: {{exact: http}}}}]\n  redirect: {{scheme: https}}\n\
         - match: [{{scheme: {{exact: https}}}}]\n{TO_S}"
    )
}

fn the_scheme_that_a_trusted_proxy_says(io: Io) {
    let origin = Origin::saying("secure");
    let mesh = ruled(io, &[&origin], "")
        .routes(&schemes())
        .tune("http", "xff_trusted_hops", "1")
        .start();
    for speaks in BOTH {
        let ask = |path: &str, fields: &[(&str, &str)]| ask(&mesh, speaks, path, fields);
        let secure = ask("/", &[HTTPS]);
        assert_eq!(secure.text(), "secure", "{speaks:?}: {secure:?}");
        assert_eq!(ask("/field", &[HTTPS]).status(), 210, "{speaks:?}");
        let moved = ask("/moved", &[HTTPS]);
        assert_eq!(moved.get("location"), Some("https://example.test/new"));
        for fields in [&[][..], &[("x-forwarded-proto", "http")]] {
            let plain = ask("/?a", fields);
            assert_eq!(plain.status(), 301, "{speaks:?}");
            assert_eq!(plain.get("location"), Some("https://example.test/?a"));
            assert_eq!(ask("/field", fields).status(), 211, "{speaks:?}");
            let moved = ask("/moved", fields);
            assert_eq!(moved.get("location"), Some("http://example.test/new"));
        }
    }
    for request in origin.requests() {
        assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    }
    mesh.finish();
}

fn the_scheme_that_a_stranger_says(io: Io) {
    let origin = Origin::saying("secure");
    let mesh = ruled(io, &[&origin], "").routes(&schemes()).start();
    for speaks in BOTH {
        let ask = |path: &str| ask(&mesh, speaks, path, &[HTTPS]);
        assert_eq!(ask("/").get("location"), Some("https://example.test/"));
        assert_eq!(ask("/field").status(), 211, "{speaks:?}");
        let moved = ask("/moved");
        assert_eq!(moved.get("location"), Some("http://example.test/new"));
    }
    assert_eq!(origin.connections(), 0);
    mesh.finish();
}

fn fields_that_a_stranger_may_not_say(io: Io) {
    let untrusted = [
        ("x-envoy-internal", "true"),
        ("x-envoy-original-path", "/admin"),
        ("x-forwarded-client-cert", "By=spiffe://mesh/a"),
        ("X-Envoy-External-Address", "10.0.0.1"),
    ];
    let origin = Origin::saying("in");
    let routes: String = untrusted
        .map(|(name, _)| with_field(&name.to_lowercase(), 418))
        .concat();
    let routes = format!("{routes}- name: all\n{TO_S}");
    let mesh = ruled(io, &[&origin], "").routes(&routes).start();
    for (name, value) in untrusted {
        for speaks in BOTH {
            let name = match speaks {
                Speaks::Http1 => name.to_owned(),
                Speaks::Http2 => name.to_lowercase(),
            };
            let answer = ask(&mesh, speaks, "/", &[(&name, value)]);
            assert_eq!(answer.status(), 200, "{speaks:?}: {name}");
            let request = origin.requests().pop().unwrap();
            assert_eq!(request.get(&name), None, "{speaks:?}: {name}");
        }
    }
    assert_eq!(mesh.finish().len(), 2 * untrusted.len());
}

fn fields_that_the_proxy_says(io: Io) {
    let origin = Origin::saying("none");
    let mesh = ruled(io, &[&origin], "");
    let address = mesh.gateway().ip();
    let routes = [
        route(
            "uri: {exact: /id}, headers: {x-request-id: {regex: '[0-9a-f-]{36}'}}",
            210,
        ),
        route(
            "uri: {exact: /own-id}, headers: {x-request-id: {exact: own}}",
            211,
        ),
        route(
            "uri: {exact: /from}, headers: {x-forwarded-for: {regex: '127[.0-9]+'}}",
            212,
        ),
        route(
            "uri: {exact: /through}, \
             headers: {x-forwarded-for: {regex: '192[.]0[.]2[.]1, ?127[.0-9]+'}}",
            213,
        ),
    ];
    let routes = format!("{}- name: all\n{TO_S}", routes.concat());
    let mesh = mesh.routes(&routes).start();
    for speaks in BOTH {
        for (path, fields, status) in [
            ("/id", &[][..], 210),
            ("/own-id", &[("x-request-id", "own")], 211),
            ("/from", &[], 212),
            ("/through", &[("x-forwarded-for", "192.0.2.1")], 213),
            ("/other", &[], 200),
        ] {
            let answer = ask(&mesh, speaks, path, fields);
            assert_eq!(answer.status(), status, "{speaks:?} {path} at {address}");
        }
    }
    mesh.finish();
}

fn fields_that_are_dropped(io: Io) {
    let origin = Origin::saying("in");
    let routes = format!("{}- name: all\n{TO_S}", with_field("x_role", 418));
    let mesh = ruled(io, &[&origin], "")
        .routes(&routes)
        .tune("http", "underscores_in_headers", "\"drop\"")
        .start();
    for speaks in BOTH {
        let fields = [("x_role", "admin"), ("x-role", "guest")];
        assert_eq!(ask(&mesh, speaks, "/", &fields).status(), 200, "{speaks:?}");
        let request = origin.requests().pop().unwrap();
        assert_eq!(request.get("x_role"), None, "{speaks:?}");
        assert_eq!(request.get("x-role"), Some("guest"), "{speaks:?}");
    }
    mesh.finish();
}

/// Whatever their request would have led to.
fn fields_that_are_refused(io: Io) {
    let origin = Origin::saying("in");
    let routes = format!(
        "- match: [{{uri: {{exact: /moved}}}}]\n  redirect: {{uri: /new}}\n\
         - match: [{{uri: {{exact: /said}}}}]\n  directResponse: {{status: 210}}\n\
         - name: all\n  match: [{{uri: {{exact: /}}}}]\n{TO_S}"
    );
    let mesh = ruled(io, &[&origin], "")
        .routes(&routes)
        .tune("http", "underscores_in_headers", "\"reject\"")
        .start();
    for speaks in BOTH {
        for (path, status) in [("/moved", 301), ("/said", 210), ("/", 200), ("/none", 404)] {
            let of = |fields: &[(&str, &str)]| ask(&mesh, speaks, path, fields).status();
            assert_eq!(of(&[("x_role", "admin")]), 400, "{speaks:?} {path}");
            assert_eq!(of(&[("x-role", "admin")]), status, "{speaks:?} {path}");
        }
    }
    mesh.finish();
}

fn lines_of_cookies(io: Io) {
    let routes = route("headers: {cookie: {exact: 'a=1; b=2'}}", 210);
    let origin = Origin::saying("no");
    let routes = format!("{routes}- name: all\n{TO_S}");
    let mesh = ruled(io, &[&origin], "").routes(&routes).start();
    for speaks in BOTH {
        for (cookies, status) in [
            (&[("cookie", "a=1"), ("cookie", "b=2")][..], 210),
            (&[("cookie", "a=1; b=2")], 210),
            (&[("cookie", "b=2"), ("cookie", "a=1")], 200),
        ] {
            let answer = ask(&mesh, speaks, "/", cookies);
            assert_eq!(answer.status(), status, "{speaks:?} {cookies:?}");
        }
    }
    mesh.finish();
}

/// A stranger does not choose its endpoint with what it may not say.
fn a_hash_of_a_field_that_is_not_believed(io: Io) {
    let origins = ["a", "b", "c", "d"]
        .map(|name| Origin::answering(answer(200, &format!("x-name: {name}\r\n"))));
    let origins: Vec<&Origin> = origins.iter().collect();
    let hash = "loadBalancer: {consistentHash: {httpHeaderName: x-forwarded-proto}}";
    let mesh = ruled(io, &origins, "")
        .resource("rule", &destination_rule(hash))
        .start();
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..20 {
        let proto = format!("proto{number}");
        let answer = ask(
            &mesh,
            BOTH[number % 2],
            "/",
            &[("x-forwarded-proto", &proto)],
        );
        seen.insert(answer.get("x-name").unwrap().to_owned());
    }
    assert_eq!(seen.len(), 1, "all are http: {seen:?}");
    mesh.finish();
}

/// As routes saw it, and only when a rule has made another of it.
fn the_path_before_a_rule_rewrote_it(io: Io) {
    let origin = Origin::saying("in");
    let routes = format!(
        "- match: [{{uri: {{prefix: /a/}}}}]\n  rewrite: {{uri: /b/}}\n{TO_S}\
         - match: [{{uri: {{prefix: /same/}}}}]\n  rewrite: {{uri: /same/}}\n{TO_S}\
         - name: all\n{TO_S}"
    );
    let mesh = ruled(io, &[&origin], "").routes(&routes).start();
    for speaks in BOTH {
        for (path, sent, original) in [
            ("/a/x?q=1", "/b/x?q=1", Some("/a/x?q=1")),
            ("/c/../a/%7Ex?q=/../", "/b/~x?q=/../", Some("/a/~x?q=/../")),
            ("/c/../%7Ex", "/~x", None),
            ("/same/../same/x", "/same/x", None),
            ("/x", "/x", None),
        ] {
            let fields = [("x-envoy-original-path", "/forged")];
            assert_eq!(ask(&mesh, speaks, path, &fields).status(), 200, "{path}");
            let request = origin.requests().pop().unwrap();
            assert_eq!(request.line, format!("GET {sent} HTTP/1.1"), "{speaks:?}");
            let said = request.get("x-envoy-original-path");
            assert_eq!(said, original, "{speaks:?}: {path}");
        }
    }
    mesh.finish();
}

/// The least of what bounds it.
fn the_time_that_an_upstream_has(io: Io) {
    let rows = [
        ("", "", None),
        ("timeout: 30s", "", Some("30000")),
        (
            "timeout: 30s",
            "retries: {attempts: 1, perTryTimeout: 20s}",
            Some("20000"),
        ),
        (
            "timeout: 20s",
            "retries: {attempts: 1, perTryTimeout: 30s}",
            Some("20000"),
        ),
        (
            "",
            "retries: {attempts: 1, perTryTimeout: 30s}",
            Some("30000"),
        ),
    ];
    let origin = Origin::saying("in");
    let routes: String = rows
        .iter()
        .enumerate()
        .map(|(number, (timeout, retries, _))| {
            format!(
                "- match: [{{uri: {{exact: /{number}}}}}]\n{}{TO_S}",
                crate::place::indented(&format!("{timeout}\n{retries}\n"))
            )
        })
        .collect();
    let mesh = ruled(io, &[&origin], "").routes(&routes).start();
    let said = || {
        let request = origin.requests().pop().unwrap();
        let said = request.get("x-envoy-expected-rq-timeout-ms");
        said.map(str::to_owned)
    };
    for (number, (timeout, retries, expected)) in rows.into_iter().enumerate() {
        let path = format!("/{number}");
        for speaks in BOTH {
            let fields = [("x-envoy-expected-rq-timeout-ms", "1")];
            assert_eq!(ask(&mesh, speaks, &path, &fields).status(), 200);
            assert_eq!(said().as_deref(), expected, "{timeout} {retries}");
        }
        for (asked, millis) in [("10S", 10_000), ("25S", 25_000), ("1H", 3_600_000)] {
            let fields = [
                ("content-type", "application/grpc"),
                ("grpc-timeout", asked),
            ];
            ask(&mesh, Speaks::Http2, &path, &fields);
            let least = expected.map_or(millis, |digits| digits.parse().unwrap());
            let least = least.min(millis).to_string();
            assert_eq!(said(), Some(least), "{timeout} {retries} {asked}");
        }
    }
    mesh.finish();
}
