//! Hosts with ten path prefixes each, and requests to all of them.
//!
//! `ringmain bench look-up` includes this file: what it measures in a process of its own is what is
//! measured here.

use std::{hint::black_box, sync::Arc};

use ringmain_config::{
    cluster::{Cluster, Service},
    document::{Document, Part},
    endpoint::EndpointSet,
    listener::{Direction, Listener, ListenerProtocol},
    origin::Origin,
    route::{
        Action, Destination, Forward, HeaderEdits, PathMatch, Route, RouteMatch, RouteTable,
        VirtualHost,
    },
};
use ringmain_core::route::{self, Decision};

/// Of each host.
pub(super) const ROUTES: usize = 10;
/// Name of the table in [`document`].
pub(super) const TABLE: &str = "t";
/// To which all routes lead.
const CLUSTER: &str = "c";

pub(super) fn virtual_hosts(count: usize) -> Vec<VirtualHost> {
    let virtual_host = |number| VirtualHost {
        name: host(number),
        domains: vec![host(number)],
        routes: (0..ROUTES).map(route).collect(),
        origin: Some(origin(&host(number))),
    };
    (0..count).map(virtual_host).collect()
}

/// A listener with these hosts, and the cluster behind them, which has no endpoint.
pub(super) fn document(virtual_hosts: Vec<VirtualHost>) -> Document {
    let table = RouteTable {
        name: TABLE.to_owned(),
        virtual_hosts,
        retry: None,
    };
    let listener = Listener::new(
        "l".to_owned(),
        ([127, 0, 0, 1], 80).into(),
        Direction::Gateway,
        ListenerProtocol::Http {
            route_table: TABLE.to_owned(),
        },
    );
    let cluster = Cluster {
        name: CLUSTER.to_owned(),
        service: Service {
            host: CLUSTER.to_owned(),
            name: CLUSTER.to_owned(),
            namespace: "default".to_owned(),
        },
        subset: String::new(),
        balancer: Default::default(),
        connections: Default::default(),
        origin: None,
        ..Cluster::default()
    };
    let endpoints = EndpointSet {
        cluster: CLUSTER.to_owned(),
        endpoints: Vec::new(),
    };
    let mut document = Document {
        generation: 1,
        ..Document::default()
    };
    document.upsert(Part::RouteTable(Arc::new(table)));
    document.upsert(Part::Listener(Arc::new(listener)));
    document.upsert(Part::Cluster(Arc::new(cluster)));
    document.upsert(Part::EndpointSet(Arc::new(endpoints)));
    document
}

fn route(number: usize) -> Route {
    let name = format!("route-{number}");
    let destination = Destination {
        cluster: CLUSTER.to_owned(),
        weight: 1,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        ..Destination::default()
    };
    Route {
        origin: Some(origin(&name)),
        name,
        matches: RouteMatch {
            path: PathMatch::Prefix(format!("/route-{number}/")),
            ..RouteMatch::default()
        },
        action: Action::Forward(Forward {
            destinations: vec![destination],
            rewrite: None,
            ..Forward::default()
        }),
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        timeout: None,
        filters: Default::default(),
    }
}

/// As the control plane names one.
fn origin(resource: &str) -> Origin {
    Origin {
        resource: resource.into(),
        file: "mesh.yaml".into(),
        line: 1,
    }
}

fn host(number: usize) -> String {
    format!("host-{number}.example")
}

/// Authority and path of the `number`th route, the routes of a host first.
pub(super) fn request(number: usize) -> (String, String) {
    let path = format!("/route-{}/items/42", number % ROUTES);
    (host(number / ROUTES), path)
}

/// What is asked, over and over: one text behind the other, as requests that were just received are
/// at hand.
pub(super) struct Requests {
    texts: String,
    /// Ends of authority and path of each.
    ends: Vec<(usize, usize)>,
    /// Where the next one begins, and its place in `ends`.
    next: (usize, usize),
}

impl Requests {
    /// At least one.
    pub(super) fn new(requests: impl IntoIterator<Item = (String, String)>) -> Self {
        let (mut texts, mut ends) = (String::new(), Vec::new());
        for (authority, path) in requests {
            texts.push_str(&authority);
            let authority_end = texts.len();
            texts.push_str(&path);
            ends.push((authority_end, texts.len()));
        }
        Self {
            texts,
            ends,
            next: (0, 0),
        }
    }

    /// Authority and path.
    #[inline]
    pub(super) fn next(&mut self) -> (&str, &str) {
        let (start, position) = self.next;
        let (authority_end, end) = self.ends[position];
        self.next = match position + 1 == self.ends.len() {
            true => (0, 0),
            false => (end, position + 1),
        };
        (
            &self.texts[start..authority_end],
            &self.texts[authority_end..end],
        )
    }
}

/// Looks up what the table has for a request; it must have something.
#[inline]
pub(super) fn find(table: &route::RouteTable, authority: &str, path: &str) {
    let headers: &[(String, String)] = &[];
    let request = route::Request {
        method: "GET",
        scheme: "http",
        authority: black_box(authority),
        path: black_box(path),
        query: None,
        headers,
        listener_port: 80,
    };
    match table.decide(&request, 0) {
        // Read, because whoever asks does.
        Decision::Forward {
            route, destination, ..
        } => {
            black_box((route.timeout, destination.cluster));
        }
        _ => unreachable!("every request has a route"),
    }
}

/// All numbers below `count`, each once.
pub(super) fn without_pattern(count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    let mut random = random();
    for end in (1..numbers.len()).rev() {
        numbers.swap(end, (random() % (end as u64 + 1)) as usize);
    }
    numbers
}

/// The same numbers in every run (splitmix64).
pub(super) fn random() -> impl FnMut() -> u64 {
    let mut state = 0_u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
