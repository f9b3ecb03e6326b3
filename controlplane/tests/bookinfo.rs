//! The rules that every mesh user tries first, over the shop of `examples/bookinfo`: each is
//! assembled for the workload that asks, compiled as its proxy does, and asked for a request. It
//! must decide as the name of its folder says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{fs, path::PathBuf};

use ringmain_config::{
    cluster::Balancer,
    document::Document,
    filter::{AbortWith, Filters, Share},
    node::{GatewayScope, Node},
    problem::Problem,
    route::Action,
    tuning::Tuning,
};
use ringmain_controlplane::{
    analyze::{Extent, analyze},
    assemble::assemble,
    resource::parse,
    world::World,
};
use ringmain_core::{
    explain::{Compiled, Described, Explanation, Outcome, explain},
    snapshot::{Resolved, Snapshot},
};

/// Files of resources in a folder, in order.
fn files(folder: &str) -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/bookinfo")
        .join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name.ends_with(".yaml"))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The mesh with all workloads after `cp routes/FOLDER/* mesh`. No file may have a problem, nor their
/// whole.
fn world(folder: Option<&str>) -> World {
    let mut mesh = files("mesh");
    mesh.extend(files("more"));
    let routes = folder.map(|folder| files(&format!("routes/{folder}")));
    for (name, text) in routes.into_iter().flatten() {
        let replaced = mesh.iter_mut().find(|(of_mesh, _)| *of_mesh == name);
        let (_, before) = replaced.unwrap_or_else(|| panic!("{name} replaces nothing"));
        assert_ne!(*before, text, "{name}");
        *before = text;
    }
    let mut resources = Vec::new();
    for (name, text) in mesh {
        let loaded = parse(&name, &text);
        assert_eq!(loaded.problems, [], "{name}");
        resources.extend(loaded.resources);
    }
    let world = World::new(&resources, []);
    let findings = analyze(&world, Extent::Mesh);
    assert_eq!(findings, [], "{folder:?}");
    world
}

struct Asked {
    document: Document,
    explanation: Explanation,
    warnings: Vec<Problem>,
}

/// What becomes of `GET URL` with these fields, by the workload's proxy or the gateway.
fn ask(world: &World, from: &str, url: &str, headers: &[(&str, &str)]) -> Asked {
    let workloads = world.registry().workloads();
    let workload = workloads.iter().find(|workload| workload.name == from);
    let edge = || Node {
        name: from.to_owned(),
        gateways: GatewayScope::All,
        ..Node::default()
    };
    let node = workload.map_or_else(edge, |workload| workload.node());
    let (document, warnings) = assemble(world, &node);
    let snapshot = Snapshot::compile(None, &document, &Resolved::new()).unwrap();
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let port: u16 = authority.split_once(':').unwrap().1.parse().unwrap();
    let listener = snapshot.listeners().iter().find(|listener| {
        let address = listener.config.address;
        address.port() == port && Some(address.ip()) != node.address
    });
    let listener = listener.unwrap();
    let described = Described {
        method: "GET".to_owned(),
        scheme: "http".to_owned(),
        authority: authority.to_owned(),
        target: format!("/{path}"),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        source: None,
    };
    let compiled = Compiled {
        document: &document,
        snapshot: &snapshot,
    };
    let table = listener.protocol.route_table().unwrap();
    let explanation = explain(compiled, &Tuning::default(), (listener, table), &described);
    Asked {
        explanation,
        document,
        warnings,
    }
}

impl Asked {
    /// Subset and share of each destination, as `v1 90`.
    fn subsets(&self) -> Vec<String> {
        let Outcome::Forward(destinations) = &self.explanation.outcome else {
            panic!("{:?}", self.explanation.outcome);
        };
        let parts = destinations.iter().map(|destination| {
            assert!(!destination.endpoints.is_empty(), "{}", destination.cluster);
            format!("{} {}", destination.subset, destination.share)
        });
        parts.collect()
    }

    /// The filters of the deciding route, whose name is unique in its virtual host.
    fn filters(&self) -> Filters {
        let table = &self.document.route_tables[&self.explanation.route_table];
        let host = self.explanation.virtual_host.as_ref().unwrap();
        let route = self.explanation.route.as_ref().unwrap();
        let mut hosts = table.value.virtual_hosts.iter();
        let host = hosts.find(|found| found.name == host.name).unwrap();
        let mut routes = host.routes.iter();
        let found = routes.find(|found| found.name == route.name).unwrap();
        // Where faults are injected, nothing mends them.
        if found.filters.fault.is_some() {
            let Action::Forward(forward) = &found.action else {
                panic!("{:?}", found.action);
            };
            assert_eq!(forward.retry.as_ref().map(|retry| retry.attempts), Some(0));
            assert_eq!(found.timeout, None);
        }
        found.filters.clone()
    }
}

const JASON: &[(&str, &str)] = &[("end-user", "jason")];
const OTHERS: &[&[(&str, &str)]] = &[&[], &[("end-user", "anna")]];

/// Who asks, for what, and the share of each version; for Jason and for others.
#[track_caller]
fn check(folder: &str, from: &str, url: &str, jason: &[&str], others: &[&str]) {
    let world = world(Some(folder));
    let check = |headers, expected: &[&str]| {
        let asked = ask(&world, from, url, headers);
        assert_eq!(asked.subsets(), expected, "{folder} {headers:?}");
        assert_eq!(asked.filters(), Filters::default(), "{folder}");
        assert_eq!(asked.warnings, [], "{folder}");
    };
    check(JASON, jason);
    for headers in OTHERS {
        check(headers, others);
    }
}

const REVIEWS: &str = "http://reviews:9080/reviews/0";
const RATINGS: &str = "http://ratings:9080/ratings/0";
const DETAILS: &str = "http://details:9080/details/0";

#[test]
fn everything_comes_from_v1() {
    for folder in [None, Some("everything-v1")] {
        let world = world(folder);
        for (from, url) in [
            ("productpage-v1", REVIEWS),
            ("productpage-v1", DETAILS),
            ("productpage-v1", RATINGS),
            ("reviews-v2", RATINGS),
        ] {
            let asked = ask(&world, from, url, JASON);
            assert_eq!(asked.subsets(), ["v1 100"], "{from} {url}");
            assert_eq!(asked.filters(), Filters::default(), "{from} {url}");
        }
    }
}

#[test]
fn reviews_come_from_any_version() {
    let world = world(Some("reviews-at-random"));
    let asked = ask(&world, "productpage-v1", REVIEWS, &[]);
    assert_eq!(asked.subsets(), [" 100"]);
    let name = "outbound|9080||reviews.default.svc.cluster.local";
    let cluster = &asked.document.clusters[name].value;
    assert_eq!(cluster.balancer, Balancer::Random);
    let Outcome::Forward(destinations) = &asked.explanation.outcome else {
        panic!("{:?}", asked.explanation.outcome);
    };
    assert_eq!(destinations[0].endpoints.len(), 3);
}

#[test]
fn the_gateway_serves_the_page_and_nothing_else() {
    let world = world(None);
    for (path, is_served) in [
        ("productpage", true),
        ("productpage/", false),
        ("static/style.css", true),
        ("login", true),
        ("logout", true),
        ("api/v1/products/0/reviews", true),
        ("", false),
        ("reviews/0", false),
    ] {
        let url = format!("http://anything.example:8080/{path}");
        match ask(&world, "edge", &url, &[]).explanation.outcome {
            Outcome::Forward(destinations) => {
                assert!(is_served, "{path}");
                let clusters: Vec<_> = destinations.iter().map(|to| &*to.cluster).collect();
                let page = "outbound|9080||productpage.default.svc.cluster.local";
                assert_eq!(clusters, [page], "{path}");
            }
            Outcome::Refused(refused) => {
                assert!(!is_served, "{path}");
                assert_eq!((refused.status, refused.flag), (404, "NR"), "{path}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[test]
fn reviews() {
    for (folder, jason, others) in [
        ("reviews-v3", &["v3 100"][..], &["v3 100"][..]),
        (
            "reviews-v1-80-v2-20",
            &["v1 80", "v2 20"],
            &["v1 80", "v2 20"],
        ),
        (
            "reviews-v1-90-v2-10",
            &["v1 90", "v2 10"],
            &["v1 90", "v2 10"],
        ),
        (
            "reviews-v1-50-v3-50",
            &["v1 50", "v3 50"],
            &["v1 50", "v3 50"],
        ),
        (
            "reviews-v2-50-v3-50",
            &["v2 50", "v3 50"],
            &["v2 50", "v3 50"],
        ),
        ("reviews-v2-for-jason", &["v2 100"], &["v1 100"]),
        ("reviews-v2-for-jason-else-v3", &["v2 100"], &["v3 100"]),
    ] {
        check(folder, "productpage-v1", REVIEWS, jason, others);
    }
}

#[test]
fn other_versions_of_ratings_and_details() {
    for (folder, version) in [
        ("ratings-of-a-database", "v2 100"),
        ("ratings-of-mysql", "v2-mysql 100"),
        ("ratings-of-mysql-elsewhere", "v2-mysql-vm 100"),
    ] {
        check(folder, "reviews-v3", RATINGS, &[version], &[version]);
        check(folder, "productpage-v1", REVIEWS, &["v3 100"], &["v3 100"]);
    }
    check(
        "details-v2",
        "productpage-v1",
        DETAILS,
        &["v2 100"],
        &["v2 100"],
    );
}

#[test]
fn details_are_aborted_for_everyone() {
    let world = world(Some("details-aborted"));
    for headers in [JASON, &[]] {
        let asked = ask(&world, "productpage-v1", DETAILS, headers);
        let fault = asked.filters().fault.unwrap();
        let abort = fault.abort.unwrap();
        assert_eq!(
            (abort.with, abort.share),
            (AbortWith::Http(555), Share::ALL)
        );
        assert_eq!(fault.delay, None);
        assert_eq!(asked.subsets(), ["v1 100"]);
    }
}

#[test]
fn ratings_fail_or_wait_for_jason_alone() {
    for folder in ["ratings-aborted-for-jason", "ratings-delayed-for-jason"] {
        let world = world(Some(folder));
        let jason = ask(&world, "reviews-v2", RATINGS, JASON);
        let fault = jason.filters().fault.unwrap();
        if folder.contains("aborted") {
            let abort = fault.abort.unwrap();
            assert_eq!(
                (abort.with, abort.share),
                (AbortWith::Http(500), Share::ALL)
            );
            assert_eq!(fault.delay, None);
        } else {
            let delay = fault.delay.unwrap();
            assert_eq!((delay.duration.as_secs(), delay.share), (7, Share::ALL));
            assert_eq!(fault.abort, None);
        }
        assert_eq!(jason.subsets(), ["v1 100"]);
        for headers in OTHERS {
            let other = ask(&world, "reviews-v2", RATINGS, headers);
            assert_eq!(other.filters(), Filters::default(), "{folder}");
            assert_eq!(other.subsets(), ["v1 100"], "{folder}");
        }
    }
}

#[test]
fn a_host_outside_is_asked_at_another_port() {
    let world = world(Some("books-at-another-port"));
    let asked = ask(
        &world,
        "details-v2",
        "http://books.example:8090/volumes",
        &[],
    );
    let Outcome::Forward(destinations) = &asked.explanation.outcome else {
        panic!("{:?}", asked.explanation.outcome);
    };
    let [only] = destinations.as_slice() else {
        panic!("{destinations:?}");
    };
    assert_eq!(only.cluster, "outbound|8443||books.example");
    assert_eq!(only.endpoints[0].address, "127.10.0.21:8443");
    assert_eq!(only.share, 100.0);
}

/// None is left out here.
#[test]
fn every_folder_of_routes_is_asked() {
    let source = include_str!("bookinfo.rs");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/bookinfo/routes");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
    }
}
