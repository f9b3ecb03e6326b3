//! From Document to snapshot: what is kept, what is new, and everything that is wrong at once.

mod document;

use std::{net::IpAddr, sync::Arc};

use document::*;
use ringmain_config::{
    document::{Document, Part, PartKey, PartKind},
    endpoint::EndpointSet,
    route::{
        Action, DirectResponse, Forward, HeaderEdits, PathMatch, Redirect, RedirectPath,
        RedirectPort, Rewrite, Route, RouteMatch,
    },
};
use ringmain_core::snapshot::{
    ClusterIndex, ListenerId, ListenerProtocol, Resolved, Snapshot, names_to_resolve,
};

/// One listener, one table with a route to each cluster, and the clusters.
fn mesh(clusters: &[&str]) -> Document {
    let routes = clusters
        .iter()
        .map(|name| route_to(name, prefix(&format!("/{name}")), forward(&[(name, 1)])));
    let parts = [
        listener("web", "127.0.0.1:80", "t"),
        table("t", vec![virtual_host("v", &["*"], routes.collect())]),
    ];
    let clusters = clusters
        .iter()
        .flat_map(|name| cluster(name, &[("127.0.0.1:1", 1)]));
    document(parts.into_iter().chain(clusters))
}

fn next(previous: &Snapshot, document: &Document) -> Snapshot {
    try_compile(Some(previous), document).expect("a sound Document")
}

fn remove(document: &mut Document, kind: PartKind, name: &str) {
    let name = name.to_owned();
    document.remove(&PartKey { kind, name });
}

fn remove_cluster(document: &mut Document, name: &str) {
    remove(document, PartKind::Cluster, name);
    remove(document, PartKind::EndpointSet, name);
}

fn index(snapshot: &Snapshot, name: &str) -> Option<ClusterIndex> {
    snapshot.cluster_named(name).map(|(index, _)| index)
}

#[test]
fn empty() {
    let snapshot = Snapshot::empty();
    assert_eq!(snapshot.generation(), 0);
    assert!(snapshot.listeners().is_empty());
    assert!(snapshot.listener(ListenerId(0)).is_none());
    assert!(snapshot.cluster(ClusterIndex(0)).is_none());
    assert!(compile(&Document::default()).listeners().is_empty());
}

#[test]
fn looks_up() {
    let snapshot = compile(&mesh(&["b", "a"]));
    let web = snapshot.listener_named("web").unwrap();
    assert!(Arc::ptr_eq(snapshot.listener(web.id).unwrap(), web));
    assert!(snapshot.listener_named("other").is_none());
    assert_eq!(snapshot.route_table_named("t").unwrap().name(), "t");
    assert!(snapshot.route_table_named("u").is_none());
    let names = snapshot
        .clusters()
        .map(|(_, entry)| entry.cluster.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["a", "b"]);
    for (index, entry) in snapshot.clusters() {
        assert_eq!(snapshot.cluster(index).unwrap().id, entry.id);
    }
    assert_eq!(snapshot.cluster_named("c").map(|(index, _)| index), None);
}

#[test]
fn unchanged_parts_keep_their_pointers() {
    let mut document = mesh(&["a", "b"]);
    let first = compile(&document);
    document.generation = 2;
    document.upsert(endpoints_of("a", &[("127.0.0.1:1", 1), ("127.0.0.1:2", 1)]));
    let second = next(&first, &document);
    assert_eq!(second.generation(), 2);
    assert!(Arc::ptr_eq(&first.listeners()[0], &second.listeners()[0]));
    assert!(Arc::ptr_eq(
        &first.route_tables()[0],
        &second.route_tables()[0]
    ));
    let entries = |name| {
        let of = |snapshot: &Snapshot| snapshot.cluster_named(name).unwrap().1.clone();
        (of(&first), of(&second))
    };
    let (before, after) = entries("a");
    assert_eq!(before.id, after.id);
    assert!(Arc::ptr_eq(&before.cluster, &after.cluster));
    assert_eq!((before.endpoints.len(), after.endpoints.len()), (1, 2));
    assert_ne!(before.endpoints.id(), after.endpoints.id());
    let (before, after) = entries("b");
    assert!(Arc::ptr_eq(&before.endpoints, &after.endpoints));
}

/// A part that was sent anew with the same content is another pointer in the Document.
#[test]
fn same_endpoints_keep_their_pointer() {
    let document = mesh(&["a"]);
    let first = compile(&document);
    let mut again = document.clone();
    let set = &document.endpoint_sets["a"];
    let copy: EndpointSet = (*set.value).clone();
    again.upsert_versioned(Part::EndpointSet(Arc::new(copy)), set.version + 1);
    let second = next(&first, &again);
    let endpoints = |snapshot: &Snapshot| snapshot.cluster_named("a").unwrap().1.endpoints.clone();
    assert!(Arc::ptr_eq(&endpoints(&first), &endpoints(&second)));
}

#[test]
fn clusters_keep_their_slots() {
    let mut document = mesh(&["a", "b", "c"]);
    let first = compile(&document);
    let slots = ["a", "b", "c"].map(|name| index(&first, name).unwrap());

    // `b` goes and `d` comes: the table that names neither stays as it is.
    let table = mesh(&["a", "c"]).route_tables["t"].clone();
    document.upsert_versioned(Part::RouteTable(table.value), table.version);
    let unrelated = next(&first, &document);
    remove_cluster(&mut document, "b");
    document.upsert(cluster_alone("d"));
    document.upsert(endpoints_of("d", &[]));
    let second = next(&unrelated, &document);
    assert!(Arc::ptr_eq(
        &unrelated.route_tables()[0],
        &second.route_tables()[0]
    ));
    assert_eq!(
        [index(&second, "a"), index(&second, "c")],
        [Some(slots[0]), Some(slots[2])]
    );
    assert!(
        second.cluster(slots[1]).is_none(),
        "b's slot is not used again at once"
    );
    assert!(!slots.contains(&index(&second, "d").unwrap()));

    // One snapshot later it is.
    document.upsert(cluster_alone("e"));
    document.upsert(endpoints_of("e", &[]));
    let third = next(&second, &document);
    assert_eq!(index(&third, "e"), Some(slots[1]));
    assert_ne!(
        third.cluster(slots[1]).unwrap().id,
        first.cluster(slots[1]).unwrap().id
    );
    assert_eq!(third.cluster_slots(), 4);
}

#[test]
fn a_cluster_that_comes_back_is_another_one() {
    let mut document = mesh(&["a"]);
    document.upsert(cluster_alone("b"));
    document.upsert(endpoints_of("b", &[]));
    let first = compile(&document);
    let mut without = document.clone();
    remove_cluster(&mut without, "b");
    let second = next(&first, &without);
    let third = next(&second, &document);
    let id = |snapshot: &Snapshot| snapshot.cluster_named("b").unwrap().1.id;
    assert_ne!(id(&first), id(&third));
}

#[test]
fn listener_ids_last_as_long_as_name_and_address() {
    let document_of = |listeners: &[(&str, &str)]| {
        let mut document = mesh(&["a"]);
        remove(&mut document, PartKind::Listener, "web");
        for (name, address) in listeners {
            document.upsert(listener(name, address, "t"));
        }
        document
    };
    let mut used = std::collections::HashSet::new();
    let mut snapshot = Snapshot::empty();
    let mut step = |listeners: &[(&str, &str)], kept: &[&str]| {
        let before = std::mem::take(&mut snapshot);
        snapshot = next(&before, &document_of(listeners));
        for listener in snapshot.listeners() {
            let found = snapshot.listener(listener.id).unwrap();
            assert!(Arc::ptr_eq(found, listener));
            let held = before.listener(listener.id);
            let name = listener.config.name.as_str();
            assert_eq!(held.is_some(), kept.contains(&name), "{name}");
            assert!(
                held.is_some() || used.insert(listener.id),
                "{name}: an id is used twice"
            );
        }
        for gone in before.listeners() {
            let name = gone.config.name.as_str();
            assert_eq!(
                snapshot.listener(gone.id).is_some(),
                kept.contains(&name),
                "{name}"
            );
        }
    };
    step(&[("a", "127.0.0.1:1"), ("b", "127.0.0.1:2")], &[]);
    step(&[("a", "127.0.0.1:1"), ("b", "127.0.0.1:3")], &["a"]);
    step(&[("b", "127.0.0.1:3"), ("c", "127.0.0.1:1")], &["b"]);
    step(
        &[
            ("a", "127.0.0.1:1"),
            ("b", "127.0.0.1:3"),
            ("d", "127.0.0.1:4"),
        ],
        &["b"],
    );
    step(&[], &[]);
    step(&[("a", "127.0.0.1:1")], &[]);
}

#[test]
fn a_changed_table_reaches_its_listener() {
    let mut document = mesh(&["a"]);
    let first = compile(&document);
    document.upsert(table("t", vec![virtual_host("w", &["*"], vec![])]));
    let second = next(&first, &document);
    assert_eq!(first.listeners()[0].id, second.listeners()[0].id);
    let ListenerProtocol::Http(table) = &second.listeners()[0].protocol else {
        panic!("the listener carries HTTP");
    };
    assert_eq!(&*table.virtual_hosts()[0].name, "w");
}

#[test]
fn names_are_found_whatever_is_known_already() {
    let mut document = mesh(&[]);
    let sets = [
        ("a", &[("one.example:80", 1)][..]),
        ("b", &[("127.0.0.1:80", 1)]),
        ("c", &[("two.example:80", 1), ("127.0.0.1:81", 1)]),
    ];
    for (name, endpoints) in sets {
        document.upsert(cluster_alone(name));
        document.upsert(endpoints_of(name, endpoints));
    }
    let check = |previous: &Snapshot, document: &Document| {
        let known = names_to_resolve(document, previous);
        assert_eq!(known, names_to_resolve(document, &Snapshot::empty()));
    };
    let first = compile(&document);
    check(&first, &document);
    // A set that had no name gets one, others come and go around it.
    document.upsert(endpoints_of("b", &[("three.example:80", 1)]));
    check(&first, &document);
    let second = next(&first, &document);
    check(&second, &document);
    for name in ["aa", "z"] {
        document.upsert(cluster_alone(name));
        document.upsert(endpoints_of(name, &[("four.example:80", 1)]));
    }
    for kind in [PartKind::Cluster, PartKind::EndpointSet] {
        document.remove(&PartKey {
            kind,
            name: "a".to_owned(),
        });
    }
    check(&first, &document);
    check(&second, &document);
}

#[test]
fn names_are_replaced_by_their_addresses() {
    let mut document = mesh(&[]);
    document.upsert(cluster_alone("a"));
    document.upsert(endpoints_of(
        "a",
        &[
            ("one.example:80", 3),
            ("127.0.0.1:80", 1),
            ("two.example:1", 1),
        ],
    ));
    assert_eq!(
        names_to_resolve(&document, &Snapshot::empty())
            .into_iter()
            .collect::<Vec<_>>(),
        ["one.example", "two.example"]
    );
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let mut resolved = Resolved::new();
    let mut previous: Option<Snapshot> = None;
    let mut check = |resolved: &Resolved, expected: &[&str], is_same: bool| {
        let snapshot = Snapshot::compile(previous.as_ref(), &document, resolved).unwrap();
        let entry = snapshot.cluster_named("a").unwrap().1;
        let found = entry
            .endpoints
            .iter()
            .map(|endpoint| format!("{} {}", endpoint.address, endpoint.weight));
        assert_eq!(found.collect::<Vec<_>>(), expected);
        if let Some(previous) = &previous {
            let before = &previous.cluster_named("a").unwrap().1.endpoints;
            assert_eq!(Arc::ptr_eq(before, &entry.endpoints), is_same);
        }
        previous = Some(snapshot);
    };
    check(&resolved, &["127.0.0.1:80 1"], false);
    resolved.insert(
        "one.example".to_owned(),
        vec![address("10.0.0.1"), address("::1")],
    );
    check(
        &resolved,
        &["10.0.0.1:80 3", "[::1]:80 3", "127.0.0.1:80 1"],
        false,
    );
    check(
        &resolved,
        &["10.0.0.1:80 3", "[::1]:80 3", "127.0.0.1:80 1"],
        true,
    );
    resolved.insert("one.example".to_owned(), vec![address("127.0.0.1")]);
    check(&resolved, &["127.0.0.1:80 3"], false);
}

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
