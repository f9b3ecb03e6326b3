//! Memory of the proxy after start, and of connections that were used once and now wait.

use std::{thread, time::Duration};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Resource, getrlimit};

use crate::{
    arguments::Depth,
    bench::Bench,
    client::Client,
    origin::Origin,
    peer::{Carries, Running, Task, Version},
    report::{Column, Outline, Report},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "idle",
    title: "memory at rest",
    about: "Resident memory of the proxy's process: after start with one route, and for each \
            connection that has made one request and then waits, counted from after a thousand \
            requests on connections that were closed again.",
    columns: &[
        Column::median("start_rss_bytes", "after start MiB", 2).per(1_048_576.0),
        Column::median("rss_bytes_per_connection", "bytes/connection", 0),
    ],
    charts: &["start_rss_bytes", "rss_bytes_per_connection"],
};

/// Connections held, in ascending order. The last is what 20 000 descriptors allow with room.
const CONNECTIONS: [usize; 2] = [1000, 8000];
const SMOKE_CONNECTIONS: [usize; 2] = [50, 100];
/// The first requests make code resident and open connections to the origin, once for all.
const WARM_UP_REQUESTS: usize = 1000;
/// It is taken as it is after so many.
const PATIENCE_SECONDS: u32 = 60;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let counts = if bench.is_smoke() {
        SMOKE_CONNECTIONS
    } else {
        CONNECTIONS
    };
    let plain = |version| Carries::Versions(version, Version::One);
    waiting(bench, report, plain(Version::One), &counts)?;
    waiting(bench, report, plain(Version::Two), &counts[..1])?;
    waiting(bench, report, Carries::Tls, &counts[..1])
}

/// Of connections of clients.
fn waiting(bench: &Bench, report: &mut Report, carries: Carries, counts: &[usize]) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let task = Task {
        carries,
        origin: origin.http,
        workers: 1,
    };
    let contenders = bench.start_all(directory, &task)?;
    let most = counts.iter().copied().max().unwrap_or_default();
    // They only wait, so they may do that at the same time, as far as descriptors go.
    let together = descriptors() / (most + 500);
    for group in contenders.chunks(together.max(1)) {
        let names: Vec<_> = group.iter().map(|contender| contender.name).collect();
        let names = names.join(", ");
        bench.progress.say(format!("idle: {names}"));
        let found: Vec<Result<Found>> = thread::scope(|scope| {
            let threads = group
                .iter()
                .map(|one| scope.spawn(|| observe(bench, one, carries, counts)));
            let threads: Vec<_> = threads.collect();
            let joined = threads.into_iter().map(|thread| {
                let panicked = |_| anyhow!("an observer panicked");
                thread.join().map_err(panicked).flatten()
            });
            joined.collect()
        });
        for (contender, found) in group.iter().zip(found) {
            let found = found.with_context(|| contender.name)?;
            let case = |count: usize| match carries {
                Carries::Tls => format!("{count} of TLS"),
                Carries::Versions(Version::Two, _) => format!("{count} of HTTP/2"),
                _ => format!("{count} connections"),
            };
            let name = contender.name;
            report.push(&case(counts[0]), name, "start_rss_bytes", found.start_bytes);
            for (&count, bytes) in counts.iter().zip(found.connection_bytes) {
                report.push(&case(count), name, "rss_bytes_per_connection", bytes);
            }
        }
    }
    Ok(())
}

fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// What was found of one program.
struct Found {
    start_bytes: f64,
    /// Per connection, for each count.
    connection_bytes: Vec<f64>,
}

fn observe(bench: &Bench, proxy: &Running, carries: Carries, counts: &[usize]) -> Result<Found> {
    let start = settled_bytes(bench, proxy)?;
    let warm_up = WARM_UP_REQUESTS.min(counts[0]);
    for _ in 0..warm_up {
        Client::of(proxy.address, carries)?.ask()?;
    }
    let before = settled_bytes(bench, proxy)?;
    let mut connections = Vec::new();
    let mut connection_bytes = Vec::new();
    for &count in counts {
        for _ in connections.len()..count {
            let mut connection = Client::of(proxy.address, carries)?;
            connection.ask()?;
            connections.push(connection);
        }
        let grown = settled_bytes(bench, proxy)?.saturating_sub(before);
        connection_bytes.push(grown as f64 / count as f64);
    }
    // Those that waited must still serve, or nothing was kept.
    for connection in &mut connections {
        connection.ask()?;
    }
    Ok(Found {
        start_bytes: start as f64,
        connection_bytes,
    })
}

/// Resident memory once it no longer changes, but in a quick run for longer than any of the proxies
/// takes to free what it does not use.
fn settled_bytes(bench: &Bench, proxy: &Running) -> Result<u64> {
    let seconds = match bench.arguments.depth() {
        Depth::Full => 6,
        Depth::Quick => 2,
        Depth::Smoke => 0,
    };
    let mut bytes = proxy.process.resident_bytes()?;
    let mut same = 0;
    for _ in 0..PATIENCE_SECONDS {
        if same == seconds {
            break;
        }
        thread::sleep(Duration::from_secs(1));
        let now = proxy.process.resident_bytes()?;
        same = if now == bytes { same + 1 } else { 0 };
        bytes = now;
    }
    Ok(bytes)
}
