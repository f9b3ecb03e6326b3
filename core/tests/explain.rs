//! What `ringmain explain` says.

mod document;

use document::*;
use ringmain_config::{
    route::{
        Action, Forward, HeaderEdits, PathMatch, Redirect, RedirectPath, RedirectPort, Rewrite,
        Route, RouteMatch,
    },
    tuning::{EscapedSlashes, Http, PathNormalization, UnderscoresInHeaders},
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
    explain(compiled, http, (listener, table), described)
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
            answered(307, "/reviews/7?a"),
        ),
        (
            Base,
            UnescapeAndRedirect,
            "/reviews%2f7?a",
            Some(grpc),
            answered(400, "DPE"),
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
