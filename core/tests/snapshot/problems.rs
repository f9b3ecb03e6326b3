//! Everything that is wrong with a Document, said at once.

use std::{sync::Arc, time::Duration};

use crate::{document::*, mesh, next, remove_cluster};
use ringmain_config::{
    cluster::{Balancer, Cluster, HashCookie, HashKey, HttpConnections, KeepAlive},
    document::{Document, Part},
    filter::{Abort, AbortWith, Cors, Delay, Fault, Filters, Mirror, Share},
    retry::{RetryBudget, RetryPolicy},
    route::{
        Action, DirectResponse, Forward, HeaderEdits, PathMatch, Redirect, RedirectPath,
        RedirectPort, RegexRewrite, Rewrite, Route, RouteMatch, StringMatch,
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
                path: RedirectPath::Full("/a?b%23c".to_owned()),
                ..sound()
            }),
            None,
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
                path: RedirectPath::Full("/a\r\nset-cookie:b".to_owned()),
                ..sound()
            }),
            Some("percent-encoded"),
        ),
        (
            redirect(Redirect {
                authority: Some("a\r\nset-cookie:b".to_owned()),
                ..sound()
            }),
            Some("authority"),
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
        check(&with_route(route_to("r", PathMatch::Any, action)), expected);
    }
}

/// One problem with this text, or none.
fn check(document: &Document, expected: Option<&str>) {
    match (try_compile(None, document), expected) {
        (Ok(_), None) => {}
        (Err(problems), Some(expected)) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            let problem = problems[0].to_string();
            assert!(problem.contains(expected), "{problem}\n{expected}");
        }
        (found, expected) => panic!("{:?} instead of {expected:?}", found.map(|_| ())),
    }
}

#[test]
fn what_a_route_does_besides_is_checked() {
    let forward = |change: &dyn Fn(&mut Forward)| {
        let Action::Forward(mut forward) = forward(&[("c", 1)]) else {
            unreachable!()
        };
        change(&mut forward);
        route_to("r", PathMatch::Any, Action::Forward(forward))
    };
    let retry = |policy: RetryPolicy| forward(&|forward| forward.retry = Some(policy.clone()));
    let mirror = |cluster: &str, share| {
        forward(&|forward| {
            forward.mirrors = vec![Mirror {
                cluster: cluster.to_owned(),
                share: Share(share),
            }];
        })
    };
    let answer = |status| {
        forward(&|forward| {
            forward.destinations[0].answer = Some(status);
            forward.destinations[0].cluster = "not there".to_owned();
        })
    };
    let rewrite = |path: Option<&str>, pattern: &str, substitution: &str| {
        let regex = RegexRewrite {
            pattern: pattern.to_owned(),
            substitution: substitution.to_owned(),
        };
        forward(&|forward| {
            forward.rewrite = Some(Rewrite {
                path: path.map(str::to_owned),
                regex: Some(regex.clone()),
                authority: None,
            });
        })
    };
    let retries = |status_codes: &[u16], per_try_timeout| {
        retry(RetryPolicy {
            status_codes: status_codes.to_vec(),
            per_try_timeout,
            ..RetryPolicy::default()
        })
    };
    for (route, expected) in [
        (retries(&[200, 599], None), None),
        (
            retries(&[99], None),
            Some("retry: status 99 is not 200 to 599"),
        ),
        (
            retries(&[600], None),
            Some("retry: status 600 is not 200 to 599"),
        ),
        (
            retries(&[], Some(Duration::ZERO)),
            Some("retry: a timeout of 0 for each try"),
        ),
        (mirror("c", 1_000_000), None),
        (
            mirror("d", 1),
            Some("mirror > cluster \"d\": no such cluster; did you mean \"c\"?"),
        ),
        (
            mirror("c", 1_000_001),
            Some("a share of 1000001 millionths is over 1000000"),
        ),
        (answer(500), None),
        (
            answer(499),
            Some("cluster \"not there\": answer 499 is not 500 to 599"),
        ),
        (rewrite(None, "/v([0-9])/", r"/\1/"), None),
        (
            rewrite(None, "(", ""),
            Some("rewrite > regex: \"(\" is not a regular expression"),
        ),
        (
            rewrite(None, "[ab]{9000}", ""),
            Some("needs an automaton of more than"),
        ),
        (
            rewrite(Some("/a"), "a", "b"),
            Some("rewrite: it has both a path and a regex"),
        ),
    ] {
        check(&with_route(route), expected);
    }
}

#[test]
fn filters_are_checked() {
    let fault = |delay: Option<u32>, abort: Option<(AbortWith, u32)>| Filters {
        fault: Some(Fault {
            delay: delay.map(|share| Delay {
                duration: Duration::from_secs(1),
                share: Share(share),
            }),
            abort: abort.map(|(with, share)| Abort {
                with,
                share: Share(share),
            }),
        }),
        cors: None,
    };
    let cors = |change: &dyn Fn(&mut Cors)| {
        let mut cors = Cors::default();
        change(&mut cors);
        Filters {
            fault: None,
            cors: Some(cors),
        }
    };
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    for (filters, expected) in [
        (
            fault(Some(1_000_000), Some((AbortWith::Http(200), 0))),
            None,
        ),
        (
            fault(Some(1_000_001), None),
            Some("fault > delay: a share of 1000001 millionths"),
        ),
        (
            fault(None, Some((AbortWith::Http(199), 1))),
            Some("abort: status 199 is not 200 to 599"),
        ),
        (
            fault(None, Some((AbortWith::Http(600), 1))),
            Some("abort: status 600"),
        ),
        (fault(None, Some((AbortWith::Grpc(16), 1))), None),
        (
            fault(None, Some((AbortWith::Grpc(17), 1))),
            Some("gRPC status 17 is not 0 to 16"),
        ),
        (
            fault(None, Some((AbortWith::Http(503), 1_000_001))),
            Some("fault > abort: a share of"),
        ),
        (
            cors(&|cors| cors.allow_methods = texts(&["GET", "*"])),
            None,
        ),
        (
            cors(&|cors| cors.allow_methods = texts(&["GET\r\nx: 1"])),
            Some("cors > method \"GET\\r\\nx: 1\": empty, or not visible ASCII"),
        ),
        (
            cors(&|cors| cors.allow_headers = texts(&[""])),
            Some("cors > allowed header: empty"),
        ),
        (
            cors(&|cors| cors.expose_headers = texts(&["x\u{e9}"])),
            Some("exposed header \"xé\": empty, or"),
        ),
        (
            cors(&|cors| cors.allow_origins = vec![StringMatch::Regex("(".to_owned())]),
            Some("cors > origin: \"(\" is not a regular expression"),
        ),
    ] {
        let route = Route {
            filters,
            ..route("r", PathMatch::Any)
        };
        check(&with_route(route), expected);
    }
}

#[test]
fn a_tables_own_retries_are_checked() {
    let Part::RouteTable(mut table) = table("t", Vec::new()) else {
        unreachable!()
    };
    Arc::make_mut(&mut table).retry = Some(RetryPolicy {
        status_codes: vec![1],
        ..RetryPolicy::default()
    });
    let mut document = mesh(&["c"]);
    document.upsert(Part::RouteTable(table));
    let expected = "listener \"web\" > route table \"t\" > retry: status 1 is not 200 to 599";
    check(&document, Some(expected));
}

#[test]
fn clusters_are_checked() {
    let cookie = |name: &str, path: &str, attribute: (&str, &str)| {
        HashKey::Cookie(HashCookie {
            name: name.to_owned(),
            path: path.to_owned(),
            ttl: None,
            attributes: vec![(attribute.0.to_owned(), attribute.1.to_owned())],
        })
    };
    let http = HttpConnections::default;
    let alive = |interval, timeout| HttpConnections {
        keep_alive: Some(KeepAlive {
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
        }),
        ..http()
    };
    type Change = Box<dyn Fn(&mut Cluster)>;
    let hash = |key: HashKey| -> Change { Box::new(move |to| to.hash = Some(key.clone())) };
    let balancer = |balancer| -> Change { Box::new(move |to| to.balancer = balancer) };
    let connections = |http| -> Change { Box::new(move |to| to.connections.http = http) };
    let budget = |share| -> Change {
        Box::new(move |to| {
            to.retry_budget = Some(RetryBudget {
                share,
                concurrency_min: 3,
            });
        })
    };
    for (change, expected) in [
        (
            balancer(Balancer::RingHash {
                entries_min: 8 << 20,
            }),
            None,
        ),
        (
            balancer(Balancer::RingHash { entries_min: 0 }),
            Some("balancer: a ring of 0 entries"),
        ),
        (
            balancer(Balancer::RingHash {
                entries_min: (8 << 20) + 1,
            }),
            Some("which must be 1 to 8388608; 1024 is usual"),
        ),
        (balancer(Balancer::Maglev { entries: 5_000_011 }), None),
        (
            balancer(Balancer::Maglev { entries: 65_536 }),
            Some("a table of 65536 entries, which must be a prime number up to 5000011"),
        ),
        (
            balancer(Balancer::Maglev { entries: 5_000_077 }),
            Some("a table of 5000077 entries"),
        ),
        (hash(HashKey::Header("x-user".to_owned())), None),
        (
            hash(HashKey::Header("x user".to_owned())),
            Some("hash: \"x user\" is not a header name"),
        ),
        (
            hash(HashKey::QueryParameter(String::new())),
            Some("name of the query parameter is empty"),
        ),
        (hash(HashKey::SourceAddress), None),
        (hash(cookie("session", "/a", ("SameSite", "Lax"))), None),
        (
            hash(cookie("a b", "", ("Secure", ""))),
            Some("cookie \"a b\": not the name of a cookie"),
        ),
        (
            hash(cookie("a", "/;x", ("Secure", ""))),
            Some("path \"/;x\" holds `;`"),
        ),
        (
            hash(cookie("a", "", ("Same Site", ""))),
            Some("attribute \"Same Site\""),
        ),
        (
            hash(cookie("a", "", ("SameSite", "a\nb"))),
            Some("attribute \"SameSite\""),
        ),
        (connections(alive(1, 1)), None),
        (
            connections(alive(0, 1)),
            Some("connections > keep alive: its interval is 0"),
        ),
        (connections(alive(1, 0)), Some("its timeout is 0")),
        (
            connections(HttpConnections {
                streams_max: Some(0),
                ..http()
            }),
            Some("connections: 0 requests at a time on an HTTP/2 connection"),
        ),
        (budget(10_000), None),
        (
            budget(10_001),
            Some("retry budget: a share of 10001 hundredths of a percent"),
        ),
    ] {
        let Part::Cluster(mut cluster) = cluster_alone("c") else {
            unreachable!()
        };
        change(Arc::make_mut(&mut cluster));
        let mut document = mesh(&["c"]);
        document.upsert(Part::Cluster(cluster));
        check(&document, expected);
    }
}

/// What the Gateway API calls `PathPrefix` is a path.
#[test]
fn a_prefix_of_elements_begins_with_a_slash() {
    for (text, expected) in [
        ("/a/", None),
        ("a", Some("match > path: \"a\" does not begin with `/`")),
        ("", Some("match > path: \"\" does not begin")),
    ] {
        let path = PathMatch::ElementPrefix(text.to_owned());
        check(&with_route(route("r", path)), expected);
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
