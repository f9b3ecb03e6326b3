//! What `ringmain explain` says of TCP connections.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod document;

use std::sync::Arc;

use document::*;
use ringmain_config::{
    document::Part,
    listener::{Direction, Listener, ListenerProtocol as Protocol},
    tcp::{TcpDestination, TcpMatch, TcpRoute},
};
use ringmain_core::{
    explain::{
        Compiled,
        tcp::{TcpExplanation, TcpOutcome, explain},
    },
    snapshot::ListenerProtocol,
    tcp::Incoming,
};
use serde_json::{Value, json};

fn tcp_route(line: u32, destinations: &[&str], sources: &[&str], to: &[(&str, u32)]) -> TcpRoute {
    let subnets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let to = to.iter().map(|(cluster, weight)| TcpDestination {
        cluster: (*cluster).to_owned(),
        weight: *weight,
    });
    TcpRoute {
        matches: TcpMatch {
            destinations: subnets(destinations),
            sources: subnets(sources),
        },
        destinations: to.collect(),
        origin: Some(origin("db", line)),
    }
}

fn explained(routes: Vec<TcpRoute>, source: &str, destination: Option<&str>) -> TcpExplanation {
    let address = "127.0.0.1:9000".parse().unwrap();
    let protocol = Protocol::Tcp { routes };
    let listener = Part::Listener(Arc::new(Listener {
        origin: Some(origin("bytes", 1)),
        ..Listener::new("bytes".to_owned(), address, Direction::Gateway, protocol)
    }));
    let full = cluster("v1", &[("127.0.0.1:9080", 1), ("127.0.0.1:9081", 2)]);
    let empty = cluster("v2", &[]);
    let named = cluster("v3", &[("db.example:9082", 1)]);
    let parts = [full, empty, named].into_iter().flatten();
    let document = document(parts.chain([listener]));
    let snapshot = compile(&document);
    let compiled = Compiled {
        document: &document,
        snapshot: &snapshot,
    };
    let listener = &snapshot.listeners()[0];
    let ListenerProtocol::Tcp(routes) = &listener.protocol else {
        panic!("{listener:?}")
    };
    let connection = Incoming {
        source: source.parse().unwrap(),
        destination: destination.map(|address| address.parse().unwrap()),
    };
    explain(compiled, listener, routes, &connection)
}

#[test]
fn carried() {
    let explanation = explained(
        vec![
            tcp_route(10, &["10.0.0.0/8"], &[], &[("v3", 1)]),
            tcp_route(20, &[], &["192.168.0.0/16", "172.16.0.1"], &[("v3", 1)]),
            tcp_route(30, &[], &[], &[("v1", 75), ("v3", 0), ("v2", 25)]),
            tcp_route(40, &[], &[], &[("v3", 1)]),
        ],
        "172.16.0.2",
        Some("127.0.0.1"),
    );
    let file = "mesh.yaml";
    let origin = |name: &str, line: u32| json!({"resource": name, "file": file, "line": line});
    let destination = |name: &str, share: f64, endpoints: Value| {
        json!({
            "cluster": name,
            "share": share,
            "service": {"host": format!("{name}.example"), "name": name, "namespace": "default"},
            "subset": "v1",
            "endpoints": endpoints,
            "origin": origin(name, 1000),
        })
    };
    let endpoints = json!([
        {"address": "127.0.0.1:9080", "weight": 1},
        {"address": "127.0.0.1:9081", "weight": 2},
    ]);
    let expected = json!({
        "listener": {
            "name": "bytes",
            "address": "127.0.0.1:9000",
            "direction": "gateway",
            "origin": origin("bytes", 1),
        },
        "passed_over": [
            {
                "route": "route 0",
                "condition": "destination is in 10.0.0.0/8",
                "found": "127.0.0.1",
                "origin": origin("db", 10),
            },
            {
                "route": "route 1",
                "condition": "source is in 192.168.0.0/16, 172.16.0.1",
                "found": "172.16.0.2",
                "origin": origin("db", 20),
            },
        ],
        "route": {"number": 2, "origin": origin("db", 30)},
        "outcome": {
            "forward": [destination("v1", 75.0, endpoints), destination("v2", 25.0, json!([]))],
        },
    });
    let found = serde_json::to_value(explanation).unwrap();
    assert_eq!(found, expected, "{found:#}");
}

/// The proxy looks names up, and nobody else does.
#[test]
fn names_of_endpoints_are_said() {
    let explanation = explained(
        vec![tcp_route(10, &[], &[], &[("v3", 1)])],
        "10.0.0.1",
        None,
    );
    let TcpOutcome::Forward(destinations) = explanation.outcome else {
        panic!("{explanation:?}")
    };
    let endpoints = &destinations[0].endpoints;
    assert_eq!(endpoints.len(), 1);
    assert_eq!(endpoints[0].address, "db.example:9082");
}

#[test]
fn which_condition_is_named() {
    let both = || tcp_route(10, &["10.0.0.0/8"], &["192.168.0.0/16"], &[("v1", 1)]);
    for (source, destination, expected) in [
        ("192.168.0.1", Some("10.1.1.1"), None),
        (
            "192.168.0.1",
            Some("11.1.1.1"),
            Some(("destination is in 10.0.0.0/8", Some("11.1.1.1"))),
        ),
        (
            "1.1.1.1",
            Some("11.1.1.1"),
            Some(("destination is in 10.0.0.0/8", Some("11.1.1.1"))),
        ),
        (
            "1.1.1.1",
            Some("10.1.1.1"),
            Some(("source is in 192.168.0.0/16", Some("1.1.1.1"))),
        ),
        (
            "192.168.0.1",
            None,
            Some(("destination is in 10.0.0.0/8", None)),
        ),
    ] {
        let explanation = explained(vec![both()], source, destination);
        let found = explanation.passed_over.first();
        let found = found.map(|passed| (&*passed.condition, passed.found.as_deref()));
        assert_eq!(found, expected, "{source} to {destination:?}");
        assert_eq!(explanation.route.is_some(), expected.is_none());
        let is_refused = matches!(explanation.outcome, TcpOutcome::Refused { .. });
        assert_eq!(
            is_refused,
            expected.is_some(),
            "{source} to {destination:?}"
        );
    }
}

#[test]
fn refused() {
    let office = tcp_route(10, &[], &["192.168.0.0/16"], &[("v1", 1)]);
    for (routes, expected) in [
        (vec![], "the listener has no route"),
        (vec![office], "none of the listener's routes matches"),
    ] {
        let explanation = explained(routes, "10.0.0.1", None);
        match explanation.outcome {
            TcpOutcome::Refused { reason, flag } => {
                assert_eq!((reason.as_str(), flag), (expected, "NR"));
            }
            other @ TcpOutcome::Forward(_) => panic!("{other:?}"),
        }
    }
}
