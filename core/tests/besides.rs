//! What a route does besides its action: retries, filters, copies; and what `explain` says of it.

mod document;

use std::{sync::Arc, time::Duration};

use document::*;
use ringmain_config::{
    cluster::{Balancer, HashCookie, HashKey, Protocol},
    document::{Document, Part},
    filter::{Abort, AbortWith, Cors, Delay, Fault, Filters, Mirror, Share},
    retry::{RetryOn, RetryPolicy},
    route::{Action, Route},
};
use ringmain_core::{
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
    };
    explain(compiled, listener, table, &described)
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

    let with_cookie = [("cookie", "a=1; session=x")];
    let found: Value =
        serde_json::to_value(explained(&document, "GET", "/r", &with_cookie)).unwrap();
    let hash = &found["outcome"]["forward"][0]["hash"];
    assert_eq!(*hash, json!({"by": "cookie \"session\"", "is_there": true}));
    assert_eq!(
        found["route"]["filters"]["cors"],
        "the request names no origin"
    );
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
