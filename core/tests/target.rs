//! What is sent on, and where a redirect leads.

mod document;

use document::*;
use ringmain_config::route::{
    Action, Forward, HeaderEdits, PathMatch, Redirect, RedirectPath, RedirectPort, RegexRewrite,
    Rewrite, Route,
};
use ringmain_core::{
    path::Refused,
    route::{Decision, Request},
    snapshot::{ListenerProtocol, Snapshot},
    target,
};

fn compile_route(route: Route) -> Snapshot {
    let parts = [
        listener("web", "127.0.0.1:8080", "t"),
        table("t", vec![virtual_host("v", &["*"], vec![route])]),
    ];
    compile(&document(parts.into_iter().chain(cluster("c", &[]))))
}

fn decide<'s>(snapshot: &'s Snapshot, request: &Request<'_, Fields>) -> Decision<'s> {
    let ListenerProtocol::Http(table) = &snapshot.listeners()[0].protocol else {
        panic!("the listener carries HTTP");
    };
    table.decide(request, 0)
}

fn rewriting(path: PathMatch, rewrite: Rewrite) -> Route {
    let Action::Forward(forward) = forward(&[("c", 1)]) else {
        unreachable!()
    };
    let rewrite = Some(rewrite);
    route_to("r", path, Action::Forward(Forward { rewrite, ..forward }))
}

fn check_path(
    condition: PathMatch,
    replacement: &str,
    path: &str,
    expected: Result<&str, Refused>,
) {
    let rewrite = Rewrite {
        path: Some(replacement.to_owned()),
        authority: None,
        ..Rewrite::default()
    };
    let snapshot = compile_route(rewriting(condition.clone(), rewrite));
    let Decision::Forward { route, forward, .. } = decide(&snapshot, &get("a", path)) else {
        panic!("{condition:?} does not match {path}");
    };
    let found = target::path(route, forward, path);
    assert_eq!(
        found.as_deref(),
        expected.as_deref(),
        "{condition:?} {replacement} {path}"
    );
}

#[test]
fn rewritten_paths() {
    for (condition, replacement, path, expected) in [
        (prefix("/api"), "/v1", "/api/users", "/v1/users"),
        (prefix("/api"), "/v1", "/apis", "/v1s"),
        (prefix("/api"), "/", "/api/users", "/users"),
        (prefix("/api"), "/", "/api", "/"),
        (prefix("/api"), "/", "/api/", "/"),
        (prefix("/api"), "/", "/api//users", "//users"),
        (prefix("/api/"), "/", "/api/users", "/users"),
        (prefix("/api/"), "/v1", "/api/users", "/v1users"),
        (prefix("/api"), "", "/api/users", "/users"),
        (prefix("/api"), "", "/api", "/"),
        (prefix("/api"), "v1", "/api", "/v1"),
        (prefix("/api"), "/v1/", "/api/users", "/v1/users"),
        (prefix(""), "/v1", "/users", "/v1/users"),
        (prefix("/"), "/v1/", "/users", "/v1/users"),
        (prefix("/api"), "/v1", "/api/%2F", "/v1/%2F"),
        (exact("/old"), "/new", "/old", "/new"),
        (regex("/u/[0-9]+"), "/user", "/u/1", "/user"),
        (PathMatch::Any, "/v1", "/users", "/v1/users"),
        (PathMatch::Any, "/v1/", "/users", "/v1/users"),
        (PathMatch::Any, "/", "/users", "/users"),
        (PathMatch::Any, "/v1", "/", "/v1/"),
        (PathMatch::Any, "/v1", "*", "*"),
    ] {
        check_path(condition, replacement, path, Ok(expected));
    }
}

/// The table of `ReplacePrefixMatch` in the Gateway API, and more.
#[test]
fn rewritten_elements() {
    for (condition, replacement, path, expected) in [
        ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
        ("/foo/", "/xyz", "/foo/bar", "/xyz/bar"),
        ("/foo/", "/xyz/", "/foo/bar", "/xyz/bar"),
        ("/foo", "/xyz", "/foo", "/xyz"),
        ("/foo", "/xyz", "/foo/", "/xyz/"),
        ("/foo", "", "/foo/bar", "/bar"),
        ("/foo", "", "/foo/", "/"),
        ("/foo", "", "/foo", "/"),
        ("/foo", "/", "/foo/bar", "/bar"),
        ("/foo", "/", "/foo/", "/"),
        ("/foo", "/", "/foo", "/"),
        ("/foo", "xyz", "/foo/bar", "/xyz/bar"),
        ("/", "/xyz", "/foo", "/xyz/foo"),
        ("/", "/xyz", "/", "/xyz/"),
        ("/", "/", "/foo", "/foo"),
        ("/foo", "/xyz", "/foo//bar", "/xyz//bar"),
        ("/foo", "/xyz", "/foo/..bar", "/xyz/..bar"),
    ] {
        let condition = PathMatch::ElementPrefix(condition.to_owned());
        check_path(condition, replacement, path, Ok(expected));
    }
}

/// `/files..` is an innocent name until what stands before the dots is replaced.
#[test]
fn no_rewrite_leads_out_of_its_prefix() {
    for (replacement, path, expected) in [
        ("/data/", "/files../secret", Err(Refused::Escapes)),
        ("/data/", "/files..", Err(Refused::Escapes)),
        ("/data/", "/files./a", Err(Refused::Escapes)),
        ("/", "/files../secret", Err(Refused::Escapes)),
        ("", "/files../secret", Err(Refused::Escapes)),
        ("/data/", "/files...", Ok("/data/...")),
        ("/data", "/files../secret", Ok("/data../secret")),
    ] {
        check_path(prefix("/files"), replacement, path, expected);
    }
}

#[test]
fn ignoring_case() {
    let mut route = rewriting(
        prefix("/Api"),
        Rewrite {
            path: Some("/v1".to_owned()),
            authority: None,
            ..Rewrite::default()
        },
    );
    route.matches.ignore_case = true;
    let snapshot = compile_route(route);
    let Decision::Forward { route, forward, .. } = decide(&snapshot, &get("a", "/aPI/Users"))
    else {
        panic!("no match");
    };
    assert_eq!(
        target::path(route, forward, "/aPI/Users").unwrap(),
        "/v1/Users"
    );
}

#[test]
fn authority_and_edits() {
    let edits = |authority: Option<&str>, name: &str| HeaderEdits {
        authority: authority.map(str::to_owned),
        set: vec![header(name, "1")],
        ..HeaderEdits::default()
    };
    for (by_route, by_destination, rewrite, expected) in [
        (Some("r"), Some("d"), Some("w"), "w"),
        (None, Some("d"), Some("w"), "w"),
        (None, None, Some("w"), "w"),
        (Some("r"), Some("d"), None, "r"),
        (None, Some("d"), None, "d"),
        (None, None, None, "sent:80"),
    ] {
        let mut route = rewriting(
            PathMatch::Any,
            Rewrite {
                path: None,
                authority: rewrite.map(str::to_owned),
                ..Rewrite::default()
            },
        );
        route.request_headers = edits(by_route, "x-route");
        route.response_headers = edits(None, "y-route");
        let Action::Forward(forward) = &mut route.action else {
            unreachable!()
        };
        forward.destinations[0].request_headers = edits(by_destination, "x-destination");
        forward.destinations[0].response_headers = edits(None, "y-destination");
        let snapshot = compile_route(route);
        let decision = decide(&snapshot, &get("sent:80", "/"));
        let Decision::Forward {
            route,
            forward,
            destination,
            ..
        } = decision
        else {
            panic!("{decision:?}");
        };
        assert_eq!(
            target::authority(route, forward, destination, "sent:80"),
            expected
        );
        assert_eq!(target::path(route, forward, "/a").unwrap(), "/a");
        let request = target::request_edits(route, Some(destination));
        let request: Vec<&str> = request
            .filter_map(|edits| edits.dropped.iter().next())
            .collect();
        assert_eq!(request, ["x-destination", "x-route"]);
        let response = target::response_edits(route, Some(destination));
        let response: Vec<&str> = response
            .filter_map(|edits| edits.dropped.iter().next())
            .collect();
        assert_eq!(response, ["y-destination", "y-route"]);
    }
}

#[test]
fn locations() {
    let redirect = || Redirect {
        status: 301,
        scheme: None,
        authority: None,
        port: RedirectPort::Authority,
        path: RedirectPath::Keep,
    };
    let https = || Redirect {
        scheme: Some("https".to_owned()),
        ..redirect()
    };
    let to = |authority: &str| Redirect {
        authority: Some(authority.to_owned()),
        ..redirect()
    };
    let port = |port| Redirect { port, ..redirect() };
    let full = |path: &str| Redirect {
        path: RedirectPath::Full(path.to_owned()),
        ..redirect()
    };
    let start = |path: &str| Redirect {
        path: RedirectPath::Prefix(path.to_owned()),
        ..redirect()
    };
    for (redirect, authority, expected) in [
        (redirect(), "a", "http://a/old/x?q=1"),
        (redirect(), "a:80", "http://a/old/x?q=1"),
        (redirect(), "a:8080", "http://a:8080/old/x?q=1"),
        (redirect(), "[::1]:8080", "http://[::1]:8080/old/x?q=1"),
        (https(), "a", "https://a/old/x?q=1"),
        (https(), "a:80", "https://a/old/x?q=1"),
        (https(), "a:443", "https://a/old/x?q=1"),
        (https(), "a:8080", "https://a:8080/old/x?q=1"),
        (to("b"), "a:8080", "http://b/old/x?q=1"),
        (to("b:8443"), "a", "http://b:8443/old/x?q=1"),
        (to("b:80"), "a", "http://b/old/x?q=1"),
        (port(RedirectPort::Port(80)), "a:1", "http://a/old/x?q=1"),
        (port(RedirectPort::Port(81)), "a:1", "http://a:81/old/x?q=1"),
        (
            port(RedirectPort::FromProtocolDefault),
            "a:1",
            "http://a/old/x?q=1",
        ),
        (
            port(RedirectPort::FromRequestPort),
            "a",
            "http://a:8080/old/x?q=1",
        ),
        (
            Redirect {
                port: RedirectPort::Port(443),
                ..https()
            },
            "a",
            "https://a/old/x?q=1",
        ),
        (
            Redirect {
                port: RedirectPort::Port(80),
                ..https()
            },
            "a",
            "https://a:80/old/x?q=1",
        ),
        (full("/new"), "a", "http://a/new?q=1"),
        (full("new"), "a", "http://a/new?q=1"),
        (full("/new?r=2"), "a", "http://a/new?r=2"),
        (full("/new#part"), "a", "http://a/new?q=1#part"),
        (full("/new?r=2#a?b"), "a", "http://a/new?r=2#a?b"),
        (start("/new"), "a", "http://a/new/x?q=1"),
        (start("/"), "a", "http://a/x?q=1"),
    ] {
        let snapshot = compile_route(route_to("r", prefix("/old"), Action::Redirect(redirect)));
        let request = get(authority, "/old/x?q=1");
        let decision = decide(&snapshot, &request);
        let Decision::Redirect {
            route, redirect, ..
        } = decision
        else {
            panic!("{decision:?}");
        };
        let found = target::location(redirect, route, &request);
        assert_eq!(found.as_deref(), Ok(expected), "{redirect:?} {authority}");
    }
}

/// A regular expression may make anything of a path, but only a canonical one is sent.
#[test]
fn rewritten_by_regex() {
    for (pattern, substitution, path, expected) in [
        ("^/v1/(.*)$", r"/api/\1", "/v1/users", Ok("/api/users")),
        ("^/v2/(.*)$", r"/api/\1", "/v1/users", Ok("/v1/users")),
        ("_", "-", "/a_b/c_d", Ok("/a-b/c-d")),
        ("a", "b", "*", Ok("*")),
        ("^/", "", "/a", Err(Refused::Unusable)),
        (
            "^/up/(.*)$",
            r"/data/\1./x",
            "/up/.",
            Err(Refused::Unusable),
        ),
        ("x", "..", "/data/x/secret", Err(Refused::Unusable)),
        ("b", "%2e", "/a/b", Err(Refused::Unusable)),
    ] {
        let rewrite = Rewrite {
            regex: Some(RegexRewrite {
                pattern: pattern.to_owned(),
                substitution: substitution.to_owned(),
            }),
            ..Rewrite::default()
        };
        let snapshot = compile_route(rewriting(PathMatch::Any, rewrite));
        let Decision::Forward { route, forward, .. } = decide(&snapshot, &get("a", path)) else {
            panic!("{path}");
        };
        let found = target::path(route, forward, path);
        let found = found.as_deref().map_err(|refused| *refused);
        assert_eq!(found, expected, "{pattern} {path}");
    }
}
