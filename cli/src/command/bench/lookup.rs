//! What finding a request's route costs, in a process of its own: `ringmain bench` runs it and
//! reads the figures. The table and the requests are those of core's micro-benchmarks.

#[path = "../../../../core/benches/cases/hosts.rs"]
mod hosts;

use std::time::Duration;

use ringmain_core::{
    route::RouteTable,
    snapshot::{Resolved, Snapshot},
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use self::hosts::Requests;
use crate::fault::Fault;

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
pub(super) fn measure(count: usize) -> Result<Figures, Fault> {
    let snapshot = snapshot(count)?;
    let table = snapshot
        .route_table_named(hosts::TABLE)
        .ok_or_else(|| Fault::new("the measured table is not in its own snapshot"))?;
    let routes = count * hosts::ROUTES;
    Ok(Figures {
        same_ns: least(table, vec![routes / 2]),
        spread_ns: least(table, hosts::without_pattern(routes)),
    })
}

fn snapshot(hosts: usize) -> Result<Snapshot, Fault> {
    let document = hosts::document(hosts::virtual_hosts(hosts));
    Snapshot::compile(None, &document, &Resolved::new()).map_err(Fault::Problems)
}

/// Nanoseconds for each request, of the routes with these numbers over and over.
fn least(table: &RouteTable, numbers: Vec<usize>) -> f64 {
    let mut requests = Requests::new(numbers.into_iter().map(hosts::request));
    let batches = (0..BATCHES).map(|_| {
        let before = used();
        for _ in 0..BATCH {
            let (authority, path) = requests.next();
            hosts::find(table, authority, path);
        }
        used().saturating_sub(before)
    });
    let least = batches.min().unwrap_or_default();
    least.as_nanos() as f64 / BATCH as f64
}

/// Processor time of this thread.
fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_request_that_is_asked_has_its_route() {
        let snapshot = snapshot(3).unwrap();
        let table = snapshot.route_table_named(hosts::TABLE).unwrap();
        let numbers = hosts::without_pattern(30);
        let mut requests = Requests::new(numbers.into_iter().map(hosts::request));
        let mut asked = BTreeSet::new();
        // The second time round they are the same.
        for _ in 0..60 {
            let (authority, path) = requests.next();
            hosts::find(table, authority, path);
            asked.insert(format!("{authority}{path}"));
        }
        assert_eq!(asked.len(), 30);
    }
}
