//! From Document to snapshot: what is kept, what is new, and everything that is wrong at once.

#[path = "../document/mod.rs"]
mod document;
mod problems;

use std::{net::IpAddr, sync::Arc};

use document::*;
use ringmain_config::{
    cluster::Balancer,
    document::{Document, Part, PartKey, PartKind},
    endpoint::EndpointSet,
    filter::{Mirror, Share},
    listener::ListenerProtocol as Protocol,
    route::Action,
    tcp::{TcpDestination, TcpMatch, TcpRoute},
};
use ringmain_core::{
    balance::State,
    snapshot::{
        ClusterIndex, Listener, ListenerId, ListenerProtocol, Resolved, Snapshot, names_to_resolve,
    },
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

/// A listener that finds out what is spoken has both, and each part is kept for itself.
#[test]
fn both_parts_of_a_detecting_listener() {
    let detecting = |cluster: &str| {
        let Part::Listener(mut listener) = listener("web", "127.0.0.1:80", "t") else {
            unreachable!()
        };
        Arc::make_mut(&mut listener).protocol = Protocol::Detect {
            route_table: "t".to_owned(),
            routes: vec![TcpRoute {
                matches: TcpMatch::default(),
                destinations: vec![TcpDestination {
                    cluster: cluster.to_owned(),
                    weight: 1,
                }],
                origin: None,
            }],
        };
        Part::Listener(listener)
    };
    let mut document = mesh(&["a", "b"]);
    let before = compile(&document);
    document.upsert(detecting("a"));
    let first = next(&before, &document);
    let second = next(&first, &document);
    assert_ne!(before.listeners()[0].id, first.listeners()[0].id);
    assert!(Arc::ptr_eq(&first.listeners()[0], &second.listeners()[0]));

    document.upsert(table("t", vec![virtual_host("w", &["*"], vec![])]));
    let third = next(&second, &document);
    let [second, third] = [&second, &third].map(|snapshot| &snapshot.listeners()[0]);
    assert_eq!(second.id, third.id);
    let routes = |listener: &Listener| listener.protocol.tcp_routes().unwrap().clone();
    assert!(Arc::ptr_eq(&routes(second), &routes(third)));
    let table = third.protocol.route_table().unwrap();
    assert_eq!(&*table.virtual_hosts()[0].name, "w");

    document.upsert(detecting("c"));
    document.upsert(listener("other", "127.0.0.1:81", "t"));
    let problems = try_compile(Some(&first), &document).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].path.ends_with("cluster \"c\""),
        "{}",
        problems[0]
    );
}

/// The same list, but with the table that the new balancer needs.
#[test]
fn another_balancer_is_another_list_of_endpoints() {
    let with = |balancer| {
        let Part::Cluster(mut cluster) = cluster_alone("a") else {
            unreachable!()
        };
        Arc::make_mut(&mut cluster).balancer = balancer;
        let mut document = mesh(&["a"]);
        document.upsert(endpoints_of("a", &[("127.0.0.1:1", 1), ("127.0.0.1:2", 1)]));
        document.upsert(Part::Cluster(cluster));
        document
    };
    let pick = |snapshot: &Snapshot| {
        let entry = snapshot.cluster_named("a").unwrap().1;
        let mut state = State::new(entry.cluster.balancer);
        let mut drawn = 0;
        let mut random = || {
            drawn += 1;
            0
        };
        let picked = state.pick(&entry.endpoints, Some(7), |_| 0, |_| false, &mut random);
        (picked, drawn, entry.endpoints.id())
    };
    let random = compile(&with(Balancer::Random));
    let ring = next(&random, &with(Balancer::RingHash { entries_min: 64 }));
    let again = next(&ring, &with(Balancer::RingHash { entries_min: 64 }));
    let larger = next(&again, &with(Balancer::RingHash { entries_min: 4096 }));
    assert_eq!(pick(&random).1, 1);
    assert_eq!(pick(&ring).1, 0);
    assert_ne!(pick(&random).2, pick(&ring).2);
    assert_eq!(pick(&ring), pick(&again));
    assert_ne!(pick(&ring).2, pick(&larger).2);
}

/// A table stays only as long as everything is there that it sends to, copies included; what is
/// answered in place of a cluster needs none.
#[test]
fn a_mirror_uses_its_cluster() {
    let Action::Forward(mut to_b) = forward(&[("b", 1)]) else {
        unreachable!()
    };
    to_b.mirrors.push(Mirror {
        cluster: "a".to_owned(),
        share: Share::ALL,
    });
    let mut gone = to_b.destinations[0].clone();
    gone.cluster = "gone".to_owned();
    gone.answer = Some(500);
    to_b.destinations.push(gone);
    let route = route_to("r", prefix("/"), Action::Forward(to_b));
    let mut document = mesh(&["a", "b", "c"]);
    document.upsert(table("t", vec![virtual_host("v", &["*"], vec![route])]));
    let first = compile(&document);
    remove_cluster(&mut document, "c");
    let second = next(&first, &document);
    assert!(Arc::ptr_eq(
        &first.route_tables()[0],
        &second.route_tables()[0]
    ));
    remove_cluster(&mut document, "a");
    let problems = try_compile(Some(&second), &document).unwrap_err();
    assert_eq!(problems.len(), 1);
    let path = &problems[0].path;
    assert!(path.ends_with("mirror > cluster \"a\""), "{path}");
}
