//! What finding a request's route costs, in a process of its own: `ringmain bench` runs it and
//! reads the figures.

use std::{hint::black_box, sync::Arc, time::Duration};

use ringmain_config::{
    cluster::{Cluster, Service},
    document::{Document, Part},
    endpoint::EndpointSet,
    listener::{Direction, Listener, ListenerProtocol},
    route::{
        Action, Destination, Forward, HeaderEdits, PathMatch, Route, RouteMatch, RouteTable,
        VirtualHost,
    },
};
use ringmain_core::{
    route::{self, Decision, Request},
    snapshot::{Resolved, Snapshot},
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::fault::Fault;

const ROUTES_PER_HOST: usize = 10;
const NAME: &str = "measured";
/// Look-ups between two readings of the clock; each of them takes tens of nanoseconds.
const BATCH: usize = 100_000;
/// Of which the least is taken: everything that disturbs a batch makes it longer.
const BATCHES: usize = 20;

/// Nanoseconds of processor time for a look-up.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Figures {
    /// Of the same route again.
    same_ns: f64,
    /// Of all routes, in an order without pattern, and then again: what a look-up reads is in no
    /// cache as far as the whole table does not fit there.
    spread_ns: f64,
}

/// In a table of so many hosts with ten routes each.
pub(super) fn measure(hosts: usize) -> Result<Figures, Fault> {
    let snapshot = Snapshot::compile(None, &document(hosts), &Resolved::new());
    let snapshot = snapshot.map_err(Fault::Problems)?;
    let table = snapshot
        .route_table_named(NAME)
        .ok_or_else(|| Fault::new("the measured table is not in its own snapshot"))?;
    let count = hosts * ROUTES_PER_HOST;
    let same = Requests::new([count / 2]);
    let spread = Requests::new(without_pattern(count));
    Ok(Figures {
        same_ns: least(table, &same),
        spread_ns: least(table, &spread),
    })
}

/// What is asked, one text behind the other as requests that were just received are at hand.
struct Requests {
    texts: String,
    /// Ends of authority and path of each.
    ends: Vec<(usize, usize)>,
}

impl Requests {
    fn new(numbers: impl IntoIterator<Item = usize>) -> Self {
        let (mut texts, mut ends) = (String::new(), Vec::new());
        for number in numbers {
            texts.push_str(&host(number / ROUTES_PER_HOST));
            let authority_end = texts.len();
            texts.push_str(&format!("/route-{}/items/42", number % ROUTES_PER_HOST));
            ends.push((authority_end, texts.len()));
        }
        Self { texts, ends }
    }

    /// Authority and path, over and over.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        let parts = starts.zip(&self.ends);
        let texts = parts.map(|(start, (authority_end, end))| {
            let authority = &self.texts[start..*authority_end];
            (authority, &self.texts[*authority_end..*end])
        });
        texts.cycle()
    }
}

/// Nanoseconds for each of `requests`.
fn least(table: &route::RouteTable, requests: &Requests) -> f64 {
    let mut asked = requests.iter();
    let batches = (0..BATCHES).map(|_| {
        let before = used();
        for (authority, path) in asked.by_ref().take(BATCH) {
            find(table, authority, path);
        }
        used().saturating_sub(before)
    });
    let least = batches.min().unwrap_or_default();
    least.as_nanos() as f64 / BATCH as f64
}

fn find(table: &route::RouteTable, authority: &str, path: &str) {
    if let Decision::Forward {
        route, destination, ..
    } = decide(table, black_box(authority), black_box(path))
    {
        // Read, because whoever asks does.
        black_box((route.timeout, destination.cluster));
    }
}

fn decide<'a>(table: &'a route::RouteTable, authority: &str, path: &str) -> Decision<'a> {
    let headers: &[(String, String)] = &[];
    let request = Request {
        method: "GET",
        scheme: "http",
        authority,
        path,
        query: None,
        headers,
        listener_port: 80,
    };
    table.decide(&request, 0)
}

/// Processor time of this thread.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

/// All numbers below `count`, each once.
fn without_pattern(count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..count).collect();
    // A linear congruential generator (Knuth, MMIX) is pattern enough for a look-up not to see it.
    let mut state = 1_u64;
    for last in (1..count).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        numbers.swap(last, (state >> 33) as usize % (last + 1));
    }
    numbers
}

fn host(number: usize) -> String {
    format!("host-{number}.example")
}

fn document(hosts: usize) -> Document {
    let virtual_hosts = (0..hosts).map(|number| VirtualHost {
        name: host(number),
        domains: vec![host(number)],
        routes: (0..ROUTES_PER_HOST).map(route).collect(),
        origin: None,
    });
    let table = RouteTable {
        name: NAME.to_owned(),
        virtual_hosts: virtual_hosts.collect(),
    };
    let listener = Listener {
        name: NAME.to_owned(),
        address: ([127, 0, 0, 1], 80).into(),
        direction: Direction::Gateway,
        protocol: ListenerProtocol::Http {
            route_table: NAME.to_owned(),
        },
        origin: None,
    };
    let cluster = Cluster {
        name: NAME.to_owned(),
        service: Service {
            host: NAME.to_owned(),
            name: NAME.to_owned(),
            namespace: "default".to_owned(),
        },
        subset: String::new(),
        balancer: Default::default(),
        connections: Default::default(),
        origin: None,
    };
    let endpoints = EndpointSet {
        cluster: NAME.to_owned(),
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
    let destination = Destination {
        cluster: NAME.to_owned(),
        weight: 1,
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
    };
    Route {
        name: format!("route-{number}"),
        matches: RouteMatch {
            path: PathMatch::Prefix(format!("/route-{number}/")),
            ..RouteMatch::default()
        },
        action: Action::Forward(Forward {
            destinations: vec![destination],
            rewrite: None,
        }),
        request_headers: HeaderEdits::default(),
        response_headers: HeaderEdits::default(),
        timeout: None,
        origin: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_that_is_asked_has_its_route() {
        let snapshot = Snapshot::compile(None, &document(3), &Resolved::new()).unwrap();
        let table = snapshot.route_table_named(NAME).unwrap();
        let requests = Requests::new(without_pattern(30));
        let mut found = Vec::new();
        for (authority, path) in requests.iter().take(30) {
            let decision = decide(table, authority, path);
            let is_forward = matches!(decision, Decision::Forward { .. });
            assert!(is_forward, "{authority}{path}");
            found.push(format!("{authority}{path}"));
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), 30);
    }
}
