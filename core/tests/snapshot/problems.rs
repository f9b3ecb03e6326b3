//! Everything that is wrong with a Document, said at once.

use std::sync::Arc;

use crate::{document::*, mesh, next, remove_cluster};
use ringmain_config::{
    document::Document,
    route::{
        Action, DirectResponse, Forward, HeaderEdits, PathMatch, Redirect, RedirectPath,
        RedirectPort, Rewrite, Route, RouteMatch,
    },
};

/// Each problem as it is printed.
fn problems(document: &Document) -> Vec<String> {
    let problems = try_compile(None, document).expect_err("it has problems");
    problems.iter().map(ToString::to_string).collect()
}

/// The table `t` of listener `web`, with one route.
fn with_route(route: Route) -> Document {
    let mut document = mesh(&["c"]);
    document.upsert(table("t", vec![virtual_host("v", &["*"], vec![route])]));
    document
}

#[test]
fn names_that_lead_nowhere() {
    let mut document = mesh(&["reviews", "ratings"]);
    remove_cluster(&mut document, "ratings");
    document.upsert(cluster_alone("rating"));
    document.upsert(listener("admin", "127.0.0.1:81", "tt"));
    assert_eq!(
        problems(&document),
        [
            "mesh.yaml:1000: error: cluster \"rating\" > endpoint set \"rating\": \
             no such endpoint set",
            "mesh.yaml:100: error: listener \"web\" > route table \"t\" > virtual host \"v\" > \
             route \"ratings\" > cluster \"ratings\": no such cluster; did you mean \"rating\"?",
            "mesh.yaml:1: error: listener \"admin\" > route table \"tt\": no such route table; \
             did you mean \"t\"?",
        ]
    );
}

/// The table did not change, but what it names is gone.
#[test]
fn a_cluster_in_use_cannot_go() {
    let mut document = mesh(&["a", "b"]);
    let first = compile(&document);
    remove_cluster(&mut document, "b");
    let problems = try_compile(Some(&first), &document).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].path.ends_with("> cluster \"b\""),
        "{}",
        problems[0]
    );
}

#[test]
fn every_problem_at_once() {
    let mut document = mesh(&["c"]);
    document.upsert(listener("again", "127.0.0.1:80", "t"));
    document.upsert(endpoints_of("c", &[("127.0.0.1:1", 0)]));
    let mut broken = route("broken", regex("/("));
    broken.matches.headers = vec![header_match("a b", is("1"), false)];
    broken.request_headers.set = vec![header("x", "a\nb")];
    document.upsert(table(
        "t",
        vec![
            virtual_host("v", &["a.b", "*c*"], vec![broken]),
            virtual_host(
                "w",
                &["A.B"],
                vec![route_to("empty", PathMatch::Any, forward(&[]))],
            ),
            virtual_host(
                "w",
                &[],
                vec![route_to("none", PathMatch::Any, forward(&[("c", 0)]))],
            ),
        ],
    ));
    let found = problems(&document);
    for expected in [
        "endpoint set \"c\" > endpoint \"127.0.0.1:1\": its weight is 0",
        "virtual host \"v\" > domain \"*c*\": not a host name",
        "virtual host \"w\" > domain \"A.B\": virtual host \"v\", from v (mesh.yaml:10) has it already",
        "virtual host \"w\": another virtual host of the table has this name",
        "virtual host \"w\": it has no domain",
        "route \"broken\" > match > path: \"/(\" is not a regular expression: unclosed group",
        "route \"broken\" > match > header \"a b\": not the name of a header field",
        "route \"broken\" > request headers: ",
        "route \"empty\": it has no destination",
        "route \"none\": the weights of its destinations sum up to 0",
        "listener \"web\" > address \"127.0.0.1:80\": listener \"again\" has this address already",
    ] {
        assert!(
            found.iter().any(|problem| problem.contains(expected)),
            "{expected}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), 11, "{found:#?}");
}

#[test]
fn actions_are_checked() {
    let redirect = |redirect: Redirect| Action::Redirect(redirect);
    let sound = || Redirect {
        status: 301,
        scheme: None,
        authority: None,
        port: RedirectPort::Authority,
        path: RedirectPath::Keep,
    };
    let rewrite = |path: Option<&str>, authority: Option<&str>| {
        let Action::Forward(forward) = forward(&[("c", 1)]) else {
            unreachable!()
        };
        Action::Forward(Forward {
            rewrite: Some(Rewrite {
                path: path.map(str::to_owned),
                authority: authority.map(str::to_owned),
                ..Rewrite::default()
            }),
            ..forward
        })
    };
    let direct = |status, bytes| {
        Action::Direct(DirectResponse {
            status,
            body: vec![b'a'; bytes],
        })
    };
    for (action, expected) in [
        (redirect(sound()), None),
        (
            redirect(Redirect {
                status: 304,
                ..sound()
            }),
            Some("redirect: status 304 is not one of"),
        ),
        (
            redirect(Redirect {
                scheme: Some("ftp".to_owned()),
                ..sound()
            }),
            Some("is not http or https"),
        ),
        (
            redirect(Redirect {
                authority: Some("a/b".to_owned()),
                ..sound()
            }),
            Some("authority \"a/b\""),
        ),
        (
            redirect(Redirect {
                path: RedirectPath::Full("/a?b#c".to_owned()),
                ..sound()
            }),
            None,
        ),
        (
            redirect(Redirect {
                path: RedirectPath::Full("/a b".to_owned()),
                ..sound()
            }),
            Some("percent-encoded"),
        ),
        (
            redirect(Redirect {
                path: RedirectPath::Prefix("/a/..".to_owned()),
                ..sound()
            }),
            Some("write \"/\""),
        ),
        (rewrite(Some("/v1/"), Some("a:80")), None),
        (rewrite(Some(""), None), None),
        (rewrite(Some("v1"), None), None),
        (
            rewrite(Some("/a/../b"), None),
            Some("not in canonical form; write \"/b\""),
        ),
        (rewrite(Some("/a?b"), None), Some("holds a `?`")),
        (rewrite(Some("/a b"), None), Some("percent-encoded")),
        (rewrite(None, Some("")), Some("rewrite: authority \"\"")),
        (direct(200, 1 << 20), None),
        (direct(200, (1 << 20) + 1), Some("over 1 MiB")),
        (direct(100, 0), Some("status 100 is not 200 to 599")),
    ] {
        let document = with_route(route_to("r", PathMatch::Any, action));
        match (try_compile(None, &document), expected) {
            (Ok(_), None) => {}
            (Err(problems), Some(expected)) => {
                assert_eq!(problems.len(), 1, "{problems:?}");
                assert!(
                    problems[0].to_string().contains(expected),
                    "{}",
                    problems[0]
                );
            }
            (found, expected) => panic!("{:?} instead of {expected:?}", found.map(|_| ())),
        }
    }
}

/// Listeners that ask for any free port do not collide.
#[test]
fn any_port_is_taken_by_many() {
    let mut document = mesh(&["c"]);
    document.upsert(listener("one", "127.0.0.1:0", "t"));
    document.upsert(listener("two", "127.0.0.1:0", "t"));
    assert_eq!(compile(&document).listeners().len(), 3);
}

/// A report must fit into a frame, and making it must not take minutes.
#[test]
fn many_problems_are_counted() {
    let routes = (0..5000).map(|number| {
        route_to(
            &number.to_string(),
            PathMatch::Any,
            forward(&[("missing", 1)]),
        )
    });
    let mut document = mesh(&["c"]);
    document.upsert(table(
        "t",
        vec![virtual_host("v", &["*"], routes.collect())],
    ));
    let found = problems(&document);
    assert_eq!(found.len(), 1001);
    assert!(
        found[1000].contains("4000 more problems"),
        "{}",
        found[1000]
    );
}

/// A refused Document uses up nothing: the next one continues the snapshot that was published.
#[test]
fn a_refusal_leaves_no_trace() {
    let mut document = mesh(&["a"]);
    let first = compile(&document);
    let refused = with_route(Route {
        matches: RouteMatch {
            path: regex("("),
            ..RouteMatch::default()
        },
        request_headers: HeaderEdits::default(),
        ..route("r", PathMatch::Any)
    });
    assert!(try_compile(Some(&first), &refused).is_err());
    document.generation = 3;
    let second = next(&first, &document);
    assert!(Arc::ptr_eq(&first.listeners()[0], &second.listeners()[0]));
}
