//! Finding a request's route and destination.
//!
//! "Warm" asks for the same route each time. "Spread" asks for every route of the table once, in an
//! order without pattern, then again: what a look-up reads has been pushed out of the caches as far
//! as the whole table does not fit. The requests' own texts lie in the order they are asked in, so
//! that they are at hand, as a request that was just received is.

use std::hint::black_box;

use ringmain_config::{document::Part, route::VirtualHost};
use ringmain_core::{
    route::{Decision, RouteTable},
    snapshot::Snapshot,
};

use super::Run;
use crate::document::{self, Fields};

const ROUTES_PER_HOST: usize = 10;
const ROUTES_OF_ONE_HOST: usize = 100_000;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
    Same,
    Spread,
}

/// So many hosts with ten prefixes each.
pub(super) fn hosts(count: usize, order: Order) -> Run {
    let request = |number: usize| {
        let path = format!("/route-{}/items/42", number % ROUTES_PER_HOST);
        (host(number / ROUTES_PER_HOST), path)
    };
    let count_routes = count * ROUTES_PER_HOST;
    run(virtual_hosts(count), count_routes, &request, order)
}

pub(super) fn virtual_hosts(count: usize) -> Vec<VirtualHost> {
    let virtual_host = |number| {
        let route = |route| {
            let path = document::prefix(&format!("/route-{route}/"));
            document::route(&format!("route-{route}"), path)
        };
        let name = host(number);
        document::virtual_host(&name, &[&name], (0..ROUTES_PER_HOST).map(route).collect())
    };
    (0..count).map(virtual_host).collect()
}

fn host(number: usize) -> String {
    format!("host-{number}.example")
}

/// One host with 100,000 prefixes.
pub(super) fn one_host(order: Order) -> Run {
    let path = |route: usize| format!("/team-{}/service-{}/", route % 316, route / 316);
    let routes = (0..ROUTES_OF_ONE_HOST)
        .map(|route| document::route(&format!("route-{route}"), document::prefix(&path(route))));
    let host = document::virtual_host("all", &["all.example"], routes.collect());
    let request = |number: usize| {
        (
            "all.example".to_owned(),
            format!("{}items/42", path(number)),
        )
    };
    run(vec![host], ROUTES_OF_ONE_HOST, &request, order)
}

fn run(
    hosts: Vec<VirtualHost>,
    count: usize,
    request: &dyn Fn(usize) -> (String, String),
    order: Order,
) -> Run {
    let parts = [
        document::listener("l", "127.0.0.1:80", "t"),
        document::table("t", hosts),
    ];
    let parts: Vec<Part> = parts
        .into_iter()
        .chain(document::cluster("c", &[("127.0.0.1:81", 1)]))
        .collect();
    let snapshot = document::compile(&document::document(parts));
    let table = snapshot.route_table_named("t").unwrap().clone();
    let mut numbers: Vec<usize> = match order {
        Order::Same => vec![count / 2],
        Order::Spread => (0..count).collect(),
    };
    shuffle(&mut numbers);
    let mut texts = String::new();
    let mut ends = Vec::new();
    for number in numbers {
        let (authority, path) = request(number);
        texts.push_str(&authority);
        let authority_end = texts.len();
        texts.push_str(&path);
        ends.push((authority_end, texts.len()));
    }
    // What else the setup made would be in the way.
    drop::<Snapshot>(snapshot);
    let mut next = (0, 0);
    Box::new(move |times| {
        for _ in 0..times {
            let (start, position) = next;
            let (authority_end, end) = ends[position];
            next = match position + 1 == ends.len() {
                true => (0, 0),
                false => (end, position + 1),
            };
            ask(
                &table,
                &texts[start..authority_end],
                &texts[authority_end..end],
            );
        }
    })
}

fn ask(table: &RouteTable, authority: &str, path: &str) {
    let headers: &Fields = &[];
    let request = ringmain_core::route::Request {
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

fn shuffle(numbers: &mut [usize]) {
    let mut random = random();
    for end in (1..numbers.len()).rev() {
        numbers.swap(end, (random() % (end as u64 + 1)) as usize);
    }
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
