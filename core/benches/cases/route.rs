//! Finding a request's route and destination.
//!
//! "Warm" asks for the same route each time. "Spread" asks for every route of the table once, in an
//! order without pattern, then again: what a look-up reads has been pushed out of the caches as far
//! as the whole table does not fit. The requests' own texts lie in the order they are asked in, so
//! that they are at hand, as a request that was just received is.

use ringmain_config::route::VirtualHost;
use ringmain_core::snapshot::Snapshot;

use super::{
    Run,
    hosts::{self, Requests},
};
use crate::document;

const ROUTES_OF_ONE_HOST: usize = 100_000;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
    Same,
    Spread,
}

/// So many hosts with ten prefixes each.
pub(super) fn hosts(count: usize, order: Order) -> Run {
    let routes = count * hosts::ROUTES;
    run(hosts::virtual_hosts(count), routes, hosts::request, order)
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
    run(vec![host], ROUTES_OF_ONE_HOST, request, order)
}

fn run(
    hosts: Vec<VirtualHost>,
    count: usize,
    request: impl Fn(usize) -> (String, String),
    order: Order,
) -> Run {
    let snapshot = document::compile(&hosts::document(hosts));
    let table = snapshot.route_table_named(hosts::TABLE).unwrap().clone();
    let numbers = match order {
        Order::Same => vec![count / 2],
        Order::Spread => hosts::without_pattern(count),
    };
    let mut requests = Requests::new(numbers.into_iter().map(request));
    // What else the setup made would be in the way.
    drop::<Snapshot>(snapshot);
    Box::new(move |times| {
        for _ in 0..times {
            let (authority, path) = requests.next();
            hosts::find(&table, authority, path);
        }
    })
}
