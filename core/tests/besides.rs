//! What a route does besides its action: retries, filters, copies; and what `explain` says of it.

mod document;

use std::{sync::Arc, time::Duration};

use document::*;
use ringmain_config::{
    cluster::{Balancer, HashCookie, HashKey, Protocol},
    document::{Document, Part},
    filter::{Abort, AbortWith, Cors, Delay, Fault, Filters, Mirror, Share},
    retry::{RetryBudget, RetryOn, RetryPolicy},
    route::{Action, Route},
    tuning::Tuning,
};
use ringmain_core::{
    balance::{self, State},
    explain::{Compiled, Described, Explanation, Outcome, explain},
    route::{self, Decision},
    snapshot::{ClusterIndex, Snapshot},
};
use serde_json::{Value, json};

fn retries(attempts: u32, on: &[RetryOn]) -> RetryPolicy {
    RetryPolicy {
        attempts,
        on: on.to_vec(),
        ..RetryPolicy::default()
    }
}

/// A table whose routes are tried again after a reset, with routes by name of their path.
fn document_of(routes: Vec<Route>) -> Document {
    let Part::RouteTable(mut table) = table("t", vec![virtual_host("v", &["*"], routes)]) else {
        unreachable!()
    };
    Arc::make_mut(&mut table).retry = Some(retries(2, &[RetryOn::Reset]));
    let parts = [
        listener("web", "127.0.0.1:80", "t"),
        Part::RouteTable(table),
    ];
    let clusters = ["c", "copy"].map(|name| cluster(name, &[("127.0.0.1:1", 1)]));
    document(parts.into_iter().chain(clusters.into_iter().flatten()))
}

fn forwarding(name: &str, change: impl FnOnce(&mut ringmain_config::route::Forward)) -> Route {
    let Action::Forward(mut forward) = forward(&[("c", 1)]) else {
        unreachable!()
    };
    change(&mut forward);
    route_to(name, exact(&format!("/{name}")), Action::Forward(forward))
}

fn found<'s>(snapshot: &'s Snapshot, path: &str) -> &'s route::Route {
    let table = snapshot.listeners()[0]
        .protocol
        .route_table()
        .expect("it carries HTTP");
    match table.decide(&get("a", path), 0) {
        Decision::Forward { route, .. }
        | Decision::Redirect { route, .. }
        | Decision::Direct { route, .. } => route,
        Decision::NoRoute { .. } => panic!("{path}"),
    }
}

#[test]
fn a_route_has_its_own_retries_or_its_tables() {
    let direct = Action::Direct(ringmain_config::route::DirectResponse {
        status: 200,
        body: Vec::new(),
    });
    let snapshot = compile(&document_of(vec![
        forwarding("tables", |_| {}),
        forwarding("others", |_| {}),
        forwarding("own", |to| {
            to.retry = Some(retries(5, &[RetryOn::ConnectFailure]))
        }),
        forwarding("none", |to| to.retry = Some(RetryPolicy::default())),
        route_to("direct", exact("/direct"), direct),
    ]));
    for (path, expected) in [
        ("/tables", Some((2, &[RetryOn::Reset][..]))),
        ("/own", Some((5, &[RetryOn::ConnectFailure]))),
        ("/none", None),
        ("/direct", None),
    ] {
        let retry = found(&snapshot, path).retry.as_ref();
        let retry = retry.map(|policy| (policy.attempts, policy.words()));
        assert_eq!(retry, expected, "{path}");
    }
    let of = |path| found(&snapshot, path).retry.clone().unwrap();
    assert!(Arc::ptr_eq(&of("/tables"), &of("/others")), "it is shared");
}

#[test]
fn what_few_routes_have_takes_no_room_in_others() {
    let snapshot = compile(&document_of(vec![
        forwarding("plain", |_| {}),
        Route {
            filters: Filters {
                fault: Some(Fault::default()),
                cors: None,
            },
            ..forwarding("faulty", |_| {})
        },
    ]));
    assert!(found(&snapshot, "/plain").extras.is_none());
    assert!(found(&snapshot, "/faulty").extras.is_some());
}

/// Each copy is drawn for itself.
#[test]
fn mirrors_are_drawn_apart() {
    let mirror = |share| Mirror {
        cluster: "copy".to_owned(),
        share: Share(share),
    };
    let snapshot = compile(&document_of(vec![forwarding("r", |to| {
        to.mirrors = vec![mirror(1_000_000), mirror(500_000), mirror(0)];
    })]));
    let extras = found(&snapshot, "/r").extras.as_ref().unwrap();
    for (randoms, expected) in [
        ([0, 0, 0], vec![1_000_000, 500_000]),
        ([u64::MAX, 0, 0], vec![1_000_000, 500_000]),
        ([0, u64::MAX, 0], vec![1_000_000]),
    ] {
        let mut randoms = randoms.into_iter();
        let mut random = || randoms.next().unwrap();
        let drawn = extras
            .drawn_mirrors(&mut random)
            .map(|mirror| mirror.share.0);
        assert_eq!(drawn.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_share_can_be_answered() {
    let snapshot = compile(&document_of(vec![forwarding("r", |to| {
        to.destinations[0].cluster = "gone".to_owned();
        to.destinations[0].answer = Some(500);
    })]));
    let route::Action::Forward(forward) = &found(&snapshot, "/r").action else {
        panic!("it forwards");
    };
    let destination = forward.draw(0);
    assert_eq!(destination.cluster, ClusterIndex::NOWHERE);
    assert!(snapshot.cluster(destination.cluster).is_none());
    let answer = destination.answer.as_ref().unwrap();
    assert_eq!((answer.status, &*answer.name), (500, "gone"));
}

fn explained(
    document: &Document,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Explanation {
    explained_from(None, document, method, path, headers)
}

fn explained_from(
    source: Option<&str>,
    document: &Document,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Explanation {
    let snapshot = compile(document);
    let compiled = Compiled {
        document,
        snapshot: &snapshot,
    };
    let listener = &snapshot.listeners()[0];
    let table = listener.protocol.route_table().expect("it carries HTTP");
    let described = Described {
        method: method.to_owned(),
        scheme: "http".to_owned(),
        authority: "a".to_owned(),
        target: path.to_owned(),
        headers: fields(headers),
        source: source.map(|source| source.parse().expect("an address")),
    };
    explain(compiled, &Tuning::default(), (listener, table), &described)
}

#[test]
fn everything_is_explained() {
    let filters = Filters {
        fault: Some(Fault {
            delay: Some(Delay {
                duration: Duration::from_millis(1500),
                share: Share(500_000),
            }),
            abort: Some(Abort {
                with: AbortWith::Grpc(14),
                share: Share(1),
            }),
        }),
        cors: Some(Cors {
            allow_origins: vec![is("https://a.example")],
            ..Cors::default()
        }),
    };
    let mut document = document_of(vec![Route {
        filters,
        ..forwarding("r", |to| {
            to.mirrors.push(Mirror {
                cluster: "copy".to_owned(),
                share: Share(250_000),
            });
        })
    }]);
    let Part::Cluster(mut cluster) = cluster_alone("c") else {
        unreachable!()
    };
    let changed = Arc::make_mut(&mut cluster);
    changed.protocol = Protocol::Http2;
    changed.balancer = Balancer::Maglev { entries: 251 };
    changed.hash = Some(HashKey::Cookie(HashCookie {
        name: "session".to_owned(),
        path: String::new(),
        ttl: Some(Duration::from_secs(60)),
        attributes: Vec::new(),
    }));
    document.upsert(Part::Cluster(cluster));

    let origin = [("origin", "https://a.example")];
    let explanation = explained(&document, "GET", "/r", &origin);
    let found: Value = serde_json::to_value(&explanation).unwrap();
    assert_eq!(
        found["route"]["filters"],
        json!({
            "delay": {"duration": "1.5s", "share": 50.0},
            "abort": {"status": 200, "grpc_status": 14, "share": 0.0001},
            "cors": "pages of \"https://a.example\" may read the answer",
        })
    );
    assert_eq!(
        found["route"]["retry"],
        json!({
            "by": "route table",
            "attempts": 2,
            "on": ["reset"],
            "back_off": "0.025s",
            "avoids_previous_endpoints": true,
            "replay_bytes": 65536,
        })
    );
    assert_eq!(
        found["route"]["mirrors"],
        json!([{"cluster": "copy", "share": 25.0}])
    );
    let destination = &found["outcome"]["forward"][0];
    assert_eq!(destination["protocol"], "http2");
    let hash = json!({"by": "cookie \"session\"", "is_there": false, "gives_cookie": "60s"});
    assert_eq!(destination["hash"], hash);

    let grpc = [("content-type", "application/grpc")];
    let found = serde_json::to_value(explained(&document, "POST", "/r", &grpc)).unwrap();
    assert_eq!(found["route"]["filters"]["abort"]["grpc_status"], 14);

    let with_cookie = [("cookie", "a=1; session=x")];
    let found: Value =
        serde_json::to_value(explained(&document, "GET", "/r", &with_cookie)).unwrap();
    let hash = &found["outcome"]["forward"][0]["hash"];
    let expected = json!({
        "by": "cookie \"session\"", "is_there": true, "endpoint": "127.0.0.1:1",
    });
    assert_eq!(*hash, expected);
    assert_eq!(
        found["route"]["filters"]["cors"],
        "the request names no origin"
    );
}

/// A limit is told where it can be met: where a try can fail after some of a body was sent.
#[test]
fn the_limit_of_copies_is_explained() {
    for (on, protocol, expected) in [
        (RetryOn::Reset, Protocol::Http1, json!(65536)),
        (RetryOn::ConnectFailure, Protocol::Http1, Value::Null),
        (RetryOn::RefusedStream, Protocol::Http1, Value::Null),
        (RetryOn::RefusedStream, Protocol::Http2, json!(65536)),
    ] {
        let mut document = document_of(vec![forwarding("r", |to| {
            to.retry = Some(retries(1, &[on]))
        })]);
        let Part::Cluster(mut cluster) = cluster_alone("c") else {
            unreachable!()
        };
        Arc::make_mut(&mut cluster).protocol = protocol;
        document.upsert(Part::Cluster(cluster));
        let found = serde_json::to_value(explained(&document, "POST", "/r", &[])).unwrap();
        assert_eq!(
            found["route"]["retry"]["replay_bytes"], expected,
            "{on:?} {protocol:?}"
        );
    }
}

/// The endpoint is the one that workers pick for this key, which is the same in every process.
#[test]
fn the_endpoint_of_a_key_is_named() {
    let addresses = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
    let mut document = document_of(vec![forwarding("r", |_| {})]);
    for part in cluster("c", &addresses.map(|address| (address, 1))) {
        document.upsert(part);
    }
    let mut change = |key: HashKey| {
        let Part::Cluster(mut cluster) = cluster_alone("c") else {
            unreachable!()
        };
        let changed = Arc::make_mut(&mut cluster);
        changed.balancer = Balancer::RingHash { entries_min: 1024 };
        changed.hash = Some(key);
        document.upsert(Part::Cluster(cluster));
        document.clone()
    };
    let by_header = change(HashKey::Header("x-user".to_owned()));
    let by_source = change(HashKey::SourceAddress);
    let asked = |document: &Document, fields: &[(&str, &str)], source: Option<&str>| {
        let explanation = explained_from(source, document, "GET", "/r", fields);
        let found = serde_json::to_value(&explanation).unwrap();
        found["outcome"]["forward"][0]["hash"].clone()
    };
    let picked = |document: &Document, key: &[u8]| {
        let snapshot = compile(document);
        let (_, entry) = snapshot.cluster_named("c").unwrap();
        let mut state = State::new(entry.cluster.balancer);
        let hash = Some(balance::hash(key));
        let none = &mut || panic!("a choice by hash is no draw");
        let position = state.pick(&entry.endpoints, hash, |_| 0, |_| false, none);
        entry.endpoints[position.unwrap()].address.to_string()
    };
    let mut chosen = std::collections::BTreeSet::new();
    for user in ["ann", "ben", "cat", "dan", "eve", "fay", "gil", "hal"] {
        let found = asked(&by_header, &[("x-user", user)], None);
        assert_eq!(found["endpoint"], picked(&by_header, user.as_bytes()));
        chosen.insert(found["endpoint"].to_string());
    }
    assert!(chosen.len() > 1, "{chosen:?}");
    let found = asked(&by_header, &[], None);
    assert_eq!(found, json!({"by": "header \"x-user\"", "is_there": false}));
    assert_eq!(
        asked(&by_source, &[], None),
        json!({"by": "source address"})
    );
    let found = asked(&by_source, &[], Some("10.1.2.3"));
    let expected = picked(&by_source, &[10, 1, 2, 3]);
    let expected = json!({"by": "source address", "is_there": true, "endpoint": expected});
    assert_eq!(found, expected);
}

#[test]
fn what_bounds_requests_is_explained() {
    let mut document = document_of(vec![forwarding("r", |_| {})]);
    let limits = |document: &Document| {
        let explanation = explained(document, "GET", "/r", &[]);
        let found = serde_json::to_value(&explanation).unwrap();
        found["outcome"]["forward"][0]["limits"].clone()
    };
    assert_eq!(limits(&document), Value::Null);
    let Part::Cluster(mut cluster) = cluster_alone("c") else {
        unreachable!()
    };
    let changed = Arc::make_mut(&mut cluster);
    changed.connections.requests_max = 9;
    changed.connections.tcp.connections_max = Some(8);
    changed.connections.http.active_max = Some(1);
    changed.connections.http.pending_max = Some(2);
    changed.connections.http.retries_max = Some(3);
    changed.connections.http.streams_max = Some(4);
    changed.retry_budget = Some(RetryBudget {
        share: 1250,
        concurrency_min: 3,
    });
    document.upsert(Part::Cluster(cluster));
    let expected = json!({
        "connections": 8, "pending": 2, "requests": 1, "retries": 3, "streams": 4, "per_connection": 9,
        "retry_budget": {"percent": 12.5, "minimum": 3},
    });
    assert_eq!(limits(&document), expected);
}

#[test]
fn preflights_are_answers() {
    let with = |answers_unmatched_preflights| {
        document_of(vec![Route {
            filters: Filters {
                fault: None,
                cors: Some(Cors {
                    allow_origins: vec![is("https://a.example")],
                    allow_methods: vec!["PUT".to_owned()],
                    answers_unmatched_preflights,
                    ..Cors::default()
                }),
            },
            ..forwarding("r", |_| {})
        }])
    };
    let asked = ("access-control-request-method", "PUT");
    for (origin, answers, sentence, fields) in [
        (
            "https://a.example",
            false,
            "the preflight of \"https://a.example\" is answered here, and allowed",
            Some(3),
        ),
        (
            "https://b.example",
            true,
            "the preflight of \"https://b.example\" is answered here, and not allowed",
            Some(0),
        ),
        (
            "https://b.example",
            false,
            "pages of \"https://b.example\" may not read the answer",
            None,
        ),
    ] {
        let headers = [("origin", origin), asked];
        let explanation = explained(&with(answers), "OPTIONS", "/r", &headers);
        let cors = explanation.route.unwrap().filters.cors;
        assert_eq!(cors.as_deref(), Some(sentence));
        match (explanation.outcome, fields) {
            (
                Outcome::Direct {
                    status: 200,
                    grpc_status: None,
                    body_bytes: 0,
                    response_headers,
                },
                Some(fields),
            ) => assert_eq!(response_headers[0].set.len(), fields),
            (Outcome::Forward(_), None) => {}
            (outcome, _) => panic!("{origin}: {outcome:?}"),
        }
    }
}

#[test]
fn a_share_without_a_cluster_is_explained() {
    let document = document_of(vec![forwarding("r", |to| {
        to.destinations[0].cluster = "gone".to_owned();
        to.destinations[0].answer = Some(500);
    })]);
    let found: Value = serde_json::to_value(explained(&document, "GET", "/r", &[])).unwrap();
    let destination = &found["outcome"]["forward"][0];
    assert_eq!(destination["cluster"], "gone");
    assert_eq!(destination["answer"], 500);
    assert_eq!(destination["endpoints"], json!([]));
}

/// A rewrite by regular expression shows in the target.
#[test]
fn a_rewrite_is_explained() {
    let rewrite = |substitution: &str| ringmain_config::route::Rewrite {
        regex: Some(ringmain_config::route::RegexRewrite {
            pattern: "^/r(.*)$".to_owned(),
            substitution: substitution.to_owned(),
        }),
        ..Default::default()
    };
    for (substitution, expected) in [(r"/new\1", Ok("/new?a=1")), (r"\1", Err("not a canonical"))] {
        let route = forwarding("r", |to| to.rewrite = Some(rewrite(substitution)));
        let document = document_of(vec![route]);
        match (explained(&document, "GET", "/r?a=1", &[]).outcome, expected) {
            (Outcome::Forward(parts), Ok(target)) => assert_eq!(parts[0].target, target),
            (Outcome::Refused(part), Err(reason)) => {
                assert!(part.reason.contains(reason), "{}", part.reason);
            }
            (outcome, _) => panic!("{outcome:?}"),
        }
    }
}
