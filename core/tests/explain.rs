//! What `ringmain explain` says.

mod document;

use document::*;
use ringmain_config::{
    route::{
        Action, DirectResponse, Forward, HeaderEdits, PathMatch, Redirect, RedirectPath,
        RedirectPort, Rewrite, Route, RouteMatch,
    },
    tuning::{EscapedSlashes, Http, PathNormalization, Tuning, UnderscoresInHeaders},
};
use ringmain_core::{
    explain::{Compiled, Described, Explanation, Outcome, explain},
    snapshot::ListenerProtocol,
};
use serde_json::{Value, json};

fn explained(described: &Described) -> Explanation {
    explained_as_tuned(&Http::default(), described)
}

fn explained_as_tuned(http: &Http, described: &Described) -> Explanation {
    let mut jason = route_to("jason", prefix("/reviews"), forward(&[("v2", 1)]));
    jason.matches.headers = vec![header_match("end-user", is("jason"), false)];
    let mut split = route_to(
        "split",
        prefix("/reviews"),
        forward(&[("v1", 90), ("v3", 10), ("v2", 0)]),
    );
    split.timeout = Some(std::time::Duration::from_millis(1500));
    split.request_headers = HeaderEdits {
        authority: Some("reviews:9080".to_owned()),
        remove: vec!["x-internal".to_owned()],
        set: vec![header("X-Version", "1")],
        add: vec![header("x-hop", "gateway")],
    };
    let Action::Forward(forward) = split.action else {
        unreachable!()
    };
    split.action = Action::Forward(Forward {
        rewrite: Some(Rewrite {
            path: Some("/api/".to_owned()),
            authority: None,
            ..Rewrite::default()
        }),
        ..forward
    });
    let old = route_to(
        "old",
        exact("/old"),
        Action::Redirect(Redirect {
            status: 301,
            scheme: Some("https".to_owned()),
            authority: None,
            port: RedirectPort::Authority,
            path: RedirectPath::Full("/new".to_owned()),
        }),
    );
    let post = Route {
        matches: RouteMatch {
            method: Some(is("POST")),
            ..RouteMatch::default()
        },
        ..route_to("post", PathMatch::Any, forward_to_v1())
    };
    explained_among(http, vec![jason, split, old, post], described)
}

fn explained_among(http: &Http, routes: Vec<Route>, described: &Described) -> Explanation {
    let parts = [
        listener("web", "127.0.0.1:8080", "t"),
        table("t", vec![virtual_host("shop", &["shop.example"], routes)]),
    ];
    let clusters = ["v1", "v2", "v3"]
        .into_iter()
        .flat_map(|name| cluster(name, &[("127.0.0.1:9080", 1)]));
    let document = document(parts.into_iter().chain(clusters));
    let snapshot = compile(&document);
    let compiled = Compiled {
        document: &document,
        snapshot: &snapshot,
    };
    let listener = &snapshot.listeners()[0];
    let ListenerProtocol::Http(table) = &listener.protocol else {
        panic!("{listener:?}")
    };
    let http = http.clone();
    let tuning = Tuning {
        http,
        ..Tuning::default()
    };
    explain(compiled, &tuning, (listener, table), described)
}

fn forward_to_v1() -> Action {
    forward(&[("v1", 1)])
}

fn described(authority: &str, target: &str, headers: &[(&str, &str)]) -> Described {
    Described {
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: authority.to_owned(),
        target: target.to_owned(),
        headers: fields(headers),
        source: None,
    }
}

#[test]
fn forwarded() {
    let explanation = explained(&described(
        "shop.example:8080",
        "/x/../reviews/7?full",
        &[("end-user", "ann")],
    ));
    let origin = |resource: &str, line: u32| {
        let file = "mesh.yaml";
        json!({"resource": resource, "file": file, "line": line})
    };
    let destination = |name: &str, share: f64| {
        json!({
            "cluster": name,
            "share": share,
            "service": {"host": format!("{name}.example"), "name": name, "namespace": "default"},
            "subset": "v1",
            "target": "/api/7?full",
            "authority": "reviews:9080",
            "protocol": "http1",
            "request_headers": [{
                "remove": ["x-internal"],
                "set": [["X-Version", "1"]],
                "add": [["x-hop", "gateway"]],
            }],
            "response_headers": [],
            "endpoints": [{"address": "127.0.0.1:9080", "weight": 1}],
            "origin": origin(name, 1000),
        })
    };
    let expected = json!({
        "listener": {
            "name": "web",
            "address": "127.0.0.1:8080",
            "direction": "gateway",
            "origin": origin("web", 1),
        },
        "route_table": "t",
        "presented": {
            "scheme": "http",
            "written": [
                {"name": "x-request-id"},
                {"name": "x-forwarded-proto", "value": "http"},
                {"name": "x-forwarded-for"},
            ],
        },
        "path": "/reviews/7",
        "virtual_host": {"name": "shop", "origin": origin("shop", 10)},
        "passed_over": [{
            "route": "jason",
            "condition": "header \"end-user\" is \"jason\"",
            "found": "ann",
            "origin": origin("jason", 100),
        }],
        "route": {"name": "split", "timeout": "1.5s", "origin": origin("split", 100)},
        "outcome": {"forward": [destination("v1", 90.0), destination("v3", 10.0)]},
    });
    let found: Value = serde_json::to_value(explanation).unwrap();
    assert_eq!(found, expected, "{found:#}");
}

/// As the proxy does, by what its tuning file says of paths.
#[test]
fn paths_are_made_as_tuned() {
    use EscapedSlashes::{Keep, Reject, UnescapeAndRedirect};
    use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes};
    let grpc = ("content-type", "application/grpc");
    let answered = |status, location: &str| (None, None, format!("{status} {location}"));
    let routed = |path: &str, route: &str| {
        let (path, route) = (Some(path.to_owned()), Some(route.to_owned()));
        (path, route, "forward".to_owned())
    };
    for (normalization, slashes, target, field, expected) in [
        (
            Base,
            Keep,
            "/reviews/7",
            None,
            routed("/reviews/7", "split"),
        ),
        (
            MergeSlashes,
            Keep,
            "//reviews",
            None,
            routed("/reviews", "split"),
        ),
        (
            DecodeAndMergeSlashes,
            Keep,
            "/%2Freviews%2f7",
            None,
            routed("/reviews/7", "split"),
        ),
        (Base, Reject, "/reviews%2f7", None, answered(400, "DPE")),
        (
            Base,
            UnescapeAndRedirect,
            "/reviews%2f7?a",
            None,
            answered(307, "http://shop.example/reviews/7?a"),
        ),
        (
            Base,
            UnescapeAndRedirect,
            "/reviews%2f7?a",
            Some(grpc),
            answered(200, "DPE"),
        ),
    ] {
        let http = Http {
            path_normalization: normalization,
            escaped_slashes: slashes,
            ..Http::default()
        };
        let asked = described("shop.example", target, field.as_slice());
        let explanation = explained_as_tuned(&http, &asked);
        let outcome = match explanation.outcome {
            Outcome::Forward(_) => "forward".to_owned(),
            Outcome::Redirect {
                status, location, ..
            } => format!("{status} {location}"),
            Outcome::Refused(part) => format!("{} {}", part.status, part.flag),
            other => panic!("{target}: {other:?}"),
        };
        let found = (
            explanation.path,
            explanation.route.map(|route| route.name),
            outcome,
        );
        assert_eq!(found, expected, "{http:?} {target}");
    }
    let explanation = explained(&described("shop.example", "//reviews", &[]));
    assert!(matches!(explanation.outcome, Outcome::Refused(_)));
}

/// As the proxy does: only trusted proxies in front can say that a client uses TLS.
#[test]
fn the_scheme_is_the_proxys() {
    let proto = |value| vec![("x-forwarded-proto", value)];
    for (hops, fields, expected) in [
        (0, vec![], "http"),
        (0, proto("https"), "http"),
        (1, proto("https"), "https"),
    ] {
        let http = Http {
            xff_trusted_hops: hops,
            ..Http::default()
        };
        let mut secure = route_to("https", PathMatch::Any, forward_to_v1());
        secure.matches.scheme = Some(is("https"));
        let plain = route_to("http", PathMatch::Any, forward_to_v1());
        let mut asked = described("shop.example", "/", &fields);
        asked.scheme = "https".to_owned();
        let explanation = explained_among(&http, vec![secure, plain], &asked);
        assert_eq!(
            explanation.route.unwrap().name,
            expected,
            "{hops} {fields:?}"
        );
    }
}

/// As the proxy does, by what its tuning file says of names with `_`. `host` is a field, too.
#[test]
fn fields_that_routes_see() {
    use UnderscoresInHeaders::{Allow, Drop, Reject};
    let jason = ("end_user", "jason");
    let conditions = |http: &Http, fields| {
        let explanation = explained_with(http, &described("shop.example", "/by-field", fields));
        match explanation.outcome {
            Outcome::Refused(part) => (part.by, part.status),
            _ => (explanation.route.unwrap().name, 200),
        }
    };
    for (underscores, fields, expected) in [
        (Allow, &[jason][..], ("underscored", 200)),
        (Drop, &[jason], ("hosted", 200)),
        (Reject, &[jason], ("header \"end_user\"", 400)),
        (Reject, &[("end-user", "jason")], ("hosted", 200)),
    ] {
        let http = Http {
            underscores_in_headers: underscores,
            ..Http::default()
        };
        let expected = (expected.0.to_owned(), expected.1);
        assert_eq!(conditions(&http, fields), expected, "{underscores:?}");
    }
}

fn explained_with(http: &Http, described: &Described) -> Explanation {
    let mut underscored = route_to("underscored", PathMatch::Any, forward_to_v1());
    underscored.matches.headers = vec![header_match("end_user", is("jason"), false)];
    let mut hosted = route_to("hosted", PathMatch::Any, forward_to_v1());
    hosted.matches.headers = vec![header_match("host", is("shop.example"), false)];
    explained_among(http, vec![underscored, hosted], described)
}

#[test]
fn redirected() {
    let explanation = explained(&described("shop.example", "/old", &[]));
    let conditions = explanation
        .passed_over
        .iter()
        .map(|route| route.condition.as_str());
    let path = "path begins with \"/reviews\"";
    assert_eq!(conditions.collect::<Vec<_>>(), [path, path]);
    match explanation.outcome {
        Outcome::Redirect {
            status, location, ..
        } => {
            assert_eq!(
                (status, location.as_str()),
                (301, "https://shop.example/new")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn refused() {
    for (authority, target, by, reason, status, flag, passed_over) in [
        (
            "other",
            "/",
            "route table \"t\"",
            "no virtual host has the domain \"other\"",
            404,
            "NR",
            0,
        ),
        (
            "shop.example",
            "/",
            "virtual host \"shop\"",
            "none of its routes matches",
            404,
            "NR",
            4,
        ),
        (
            "shop.example",
            "/%00",
            "path",
            "the path holds NUL",
            400,
            "DPE",
            0,
        ),
        (
            "shop.example",
            "/reviews../etc",
            "route \"split\"",
            "the path leads out of the prefix that it is rewritten to",
            400,
            "DPE",
            1,
        ),
    ] {
        let explanation = explained(&described(authority, target, &[]));
        assert_eq!(explanation.passed_over.len(), passed_over, "{target}");
        match explanation.outcome {
            Outcome::Refused(part) => {
                let found = (
                    part.by.as_str(),
                    part.reason.as_str(),
                    part.status,
                    part.flag,
                );
                assert_eq!(found, (by, reason, status, flag));
            }
            other => panic!("{target}: {other:?}"),
        }
    }
    let explanation = explained(&described("shop.example", "/", &[]));
    let last = explanation.passed_over.last().unwrap();
    assert_eq!(
        (last.condition.as_str(), last.found.as_deref()),
        ("method is \"POST\"", Some("GET"))
    );
}

/// What a route sees that looks at this field, in a proxy behind so many trusted ones.
fn seen(hops: u32, name: &str, sent: &[(&str, &str)]) -> (Option<String>, Explanation) {
    let mut wanting = route_to("wanting", PathMatch::Any, forward_to_v1());
    wanting.matches.headers = vec![header_match(name, is("no such value"), false)];
    let http = Http {
        xff_trusted_hops: hops,
        ..Http::default()
    };
    let mut asked = described("shop.example", "/", sent);
    asked.source = Some("203.0.113.9".parse().expect("an address"));
    let explanation = explained_among(&http, vec![wanting], &asked);
    let found = explanation.passed_over[0].found.clone();
    (found, explanation)
}

/// A gateway's routes see what it says itself, and nothing that its client may not say.
#[test]
fn routes_are_asked_about_what_a_gateway_presents() {
    let proto = ("x-forwarded-proto", "https");
    let forged = ("x-envoy-external-address", "1.2.3.4");
    for (hops, name, sent, expected) in [
        (
            0,
            "x-envoy-internal",
            &[("x-envoy-internal", "true")][..],
            None,
        ),
        (
            0,
            "x-envoy-external-address",
            &[forged],
            Some("203.0.113.9"),
        ),
        (0, "x-forwarded-for", &[], Some("203.0.113.9")),
        (
            0,
            "x-forwarded-for",
            &[("x-forwarded-for", "192.0.2.1")],
            Some("192.0.2.1, 203.0.113.9"),
        ),
        (
            1,
            "x-envoy-external-address",
            &[("x-forwarded-for", "192.0.2.1")],
            Some("192.0.2.1"),
        ),
        (0, "x-forwarded-proto", &[proto], Some("http")),
        (1, "x-forwarded-proto", &[proto], Some("https")),
        (0, "x-request-id", &[("x-request-id", "7")], Some("7")),
        (
            0,
            "cookie",
            &[("cookie", "a=1"), ("cookie", "b=2")],
            Some("a=1; b=2"),
        ),
    ] {
        let (found, explanation) = seen(hops, name, sent);
        assert_eq!(found.as_deref(), expected, "{hops} {name} {sent:?}");
        let presented = explanation.presented.unwrap();
        let is_believed = hops > 0 && sent.contains(&proto);
        assert_eq!(presented.scheme, if is_believed { "https" } else { "http" });
    }
    let (_, explanation) = seen(0, "x", &[forged, ("x-envoy-retry-on", "5xx"), ("x", "y")]);
    let found = serde_json::to_value(explanation.presented).unwrap();
    let expected = json!({
        "scheme": "http",
        "left_out": ["x-envoy-external-address", "x-envoy-retry-on"],
        "written": [
            {"name": "x-request-id"},
            {"name": "x-forwarded-proto", "value": "http"},
            {"name": "x-envoy-external-address", "value": "203.0.113.9"},
            {"name": "x-forwarded-for", "value": "203.0.113.9"},
        ],
    });
    assert_eq!(found, expected, "{found:#}");
}

/// A client of gRPC is told in gRPC's way, with status 200.
#[test]
fn answers_to_grpc_have_its_status() {
    let direct = |status| {
        let body = b"no".to_vec();
        Action::Direct(DirectResponse { status, body })
    };
    for (action, authority, expected) in [
        (direct(403), "shop.example", json!({"direct": 7})),
        (forward_to_v1(), "other", json!({"refused": 12})),
        (
            Action::Redirect(Redirect {
                status: 302,
                path: RedirectPath::Full("/new".to_owned()),
                scheme: None,
                authority: None,
                port: RedirectPort::Authority,
            }),
            "shop.example",
            json!({"redirect": 2}),
        ),
    ] {
        let routes = vec![route_to("only", PathMatch::Any, action)];
        for is_grpc in [true, false] {
            let fields = [("content-type", "application/grpc+proto")];
            let fields = if is_grpc { &fields[..] } else { &[] };
            let asked = described(authority, "/a.B/C", fields);
            let found = explained_among(&Http::default(), routes.clone(), &asked);
            assert_eq!(found.is_grpc, is_grpc);
            let found = serde_json::to_value(found.outcome).unwrap();
            let (kind, part) = found.as_object().unwrap().iter().next().unwrap();
            let status = &part["grpc_status"];
            assert_eq!(
                *status,
                if is_grpc {
                    expected[kind].clone()
                } else {
                    Value::Null
                }
            );
            assert_eq!(part["status"] == 200, is_grpc, "{found:#}");
        }
    }
}

/// What a client of gRPC asks for holds where it is less.
#[test]
fn the_deadline_of_grpc_is_a_timeout() {
    let mut route = route_to("only", PathMatch::Any, forward_to_v1());
    route.timeout = Some(std::time::Duration::from_secs(2));
    for (asks, expected) in [("500m", "0.5s"), ("5S", "2s"), ("x", "2s")] {
        let fields = [("content-type", "application/grpc"), ("grpc-timeout", asks)];
        let asked = described("shop.example", "/a.B/C", &fields);
        let found = explained_among(&Http::default(), vec![route.clone()], &asked);
        let found = found.route.unwrap().timeout;
        assert_eq!(found.as_deref(), Some(expected), "{asks}");
    }
}
