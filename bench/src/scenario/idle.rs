//! Memory of the proxy after start, and of connections that were used once and now wait.

use std::{fmt::Write, thread, time::Duration};

use anyhow::Result;

use super::verdict;
use crate::{
    bench::Bench,
    client::Connection,
    peer::{Peer, haproxy},
    results::{Report, Sample},
    table::Table,
};

const NAME: &str = "idle";
/// Connections held, in ascending order. The last is what 20000 descriptors allow with room.
const CONNECTIONS: [u32; 2] = [1000, 8000];
/// Memory that has not changed for so many seconds has settled: longer than either proxy takes to
/// free what it does not use.
const SETTLED_SECONDS: u32 = 6;
/// It is taken as it is after so many.
const PATIENCE_SECONDS: u32 = 60;
/// One for each route of the large table.
const WARM_UP_REQUESTS: u32 = 1000;
const START_MIB_MAX: f64 = 10.0;
const CONNECTION_BYTES_MAX: f64 = 4096.0;

/// What was found of one program.
struct Found {
    peer: &'static str,
    table: &'static str,
    start_bytes: f64,
    /// Per connection, for each of [`CONNECTIONS`]; empty when it was not asked.
    connection_bytes: Vec<f64>,
}

pub(super) fn run(bench: &Bench) -> Result<Report> {
    let mut found = Vec::new();
    for (name, table) in [("1 route", Table::SMALL), ("1000 routes", Table::LARGE)] {
        let directory = bench.directory()?;
        let directory = directory.path();
        let origin = bench.origin(directory)?;
        let counts = if table == Table::LARGE {
            &CONNECTIONS[..]
        } else {
            &[]
        };
        let ringmain = bench
            .ringmain(directory)
            .start(table, None, origin.address)?;
        found.push(measure(&ringmain.proxy, name, table, counts)?);
        ringmain.stop()?;
        let haproxy = haproxy::start(directory, bench.core, table, origin.address)?;
        found.push(measure(&haproxy, name, table, counts)?);
    }
    let samples = found.iter().flat_map(samples).collect();
    let summary = summary(&found);
    Ok(Report { samples, summary })
}

fn measure(peer: &Peer, name: &'static str, table: Table, counts: &[u32]) -> Result<Found> {
    let start = settled_bytes(peer)?;
    if !counts.is_empty() {
        warm_up(peer, table)?;
    }
    let before = settled_bytes(peer)?;
    let mut connections = Vec::new();
    let mut connection_bytes = Vec::new();
    for &count in counts {
        for number in connections.len()..count as usize {
            let mut connection = Connection::open(peer.address)?;
            connection.ask(&table.request(u32::try_from(number)?))?;
            connections.push(connection);
        }
        let grown = settled_bytes(peer)?.saturating_sub(before);
        connection_bytes.push(grown as f64 / f64::from(count));
        eprintln!(
            "idle: {} {} bytes after start, {:.0} for each of {count} connections",
            peer.name(),
            start,
            grown as f64 / f64::from(count)
        );
    }
    // Those that waited must still serve, or nothing was kept.
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.ask(&table.request(u32::try_from(number)?))?;
    }
    Ok(Found {
        peer: peer.name(),
        table: name,
        start_bytes: start as f64,
        connection_bytes,
    })
}

/// The first requests make code resident and open connections to the origin, once for all.
fn warm_up(peer: &Peer, table: Table) -> Result<()> {
    for number in 0..WARM_UP_REQUESTS {
        Connection::open(peer.address)?.ask(&table.request(number))?;
    }
    Ok(())
}

/// Resident memory once it no longer changes.
fn settled_bytes(peer: &Peer) -> Result<u64> {
    let mut bytes = peer.process.resident_bytes()?;
    let mut same = 0;
    for _ in 0..PATIENCE_SECONDS {
        thread::sleep(Duration::from_secs(1));
        let now = peer.process.resident_bytes()?;
        same = if now == bytes { same + 1 } else { 0 };
        bytes = now;
        if same == SETTLED_SECONDS {
            break;
        }
    }
    Ok(bytes)
}

fn samples(found: &Found) -> Vec<Sample> {
    let sample = |quantity, value| Sample {
        scenario: NAME,
        round: 1,
        peer: found.peer,
        quantity,
        value,
    };
    let start = match found.table {
        "1 route" => "start_rss_bytes_1_route",
        _ => "start_rss_bytes_1000_routes",
    };
    let names = [
        "rss_bytes_per_connection_1000",
        "rss_bytes_per_connection_8000",
    ];
    let connections = names.into_iter().zip(&found.connection_bytes);
    let connections = connections.map(|(name, bytes)| sample(name, *bytes));
    [sample(start, found.start_bytes)]
        .into_iter()
        .chain(connections)
        .collect()
}

fn summary(found: &[Found]) -> String {
    let mut text = String::from(
        "## idle: memory\n\nResident memory of the proxy's process. Each connection has made one \
         request and has waited since.\n\n\
         | proxy | table | after start, MiB | bytes/connection at 1000 | at 8000 |\n\
         |---|---|---|---|---|\n",
    );
    for row in found {
        let at = |index: usize| {
            let bytes = row.connection_bytes.get(index);
            bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes:.0}"))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {} | {} |",
            row.peer,
            row.table,
            row.start_bytes / f64::from(1 << 20),
            at(0),
            at(1)
        );
    }
    let ours = || found.iter().filter(|row| row.peer == "ringmain");
    let start = ours()
        .map(|row| row.start_bytes / f64::from(1 << 20))
        .reduce(f64::max);
    let connection = ours()
        .flat_map(|row| row.connection_bytes.iter().copied())
        .reduce(f64::max);
    let _ = writeln!(
        text,
        "\nAt most {START_MIB_MAX} MiB after start: {}. At most {CONNECTION_BYTES_MAX} bytes for an \
         idle connection: {}.",
        verdict(start, START_MIB_MAX),
        verdict(connection, CONNECTION_BYTES_MAX)
    );
    text
}
