//! What is measured, one file each.

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    bench::Bench,
    origin::Origin,
    peer::{Carries, Size, Task, Version},
    report::{Outline, Report},
    table::Table,
    turns::{Comparison, Stage},
};

mod backends;
mod generators;
mod grpc;
mod h1;
mod h1_connect;
mod h1_post;
mod h1_routes;
mod h1_to_h2;
mod h2;
mod idle;
mod instructions;
mod matching;
mod reload;
mod tcp;
mod tls;
mod workers;

pub(crate) use generators::{CLOSED, FULL};
pub(crate) use h1_to_h2::H1_TO_H1;

/// Connections of a case that says nothing else.
const CONNECTIONS: u32 = 64;

/// Compares all programs, each with `workers` and one route that takes everything, before an origin
/// that is started for it.
fn compare(
    bench: &Bench,
    report: &mut Report,
    size: Size,
    workers: u32,
    comparison: Comparison<'_>,
) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let task = Task {
        carries: Carries::Http(Table::SMALL, size),
        origin: origin.http,
        workers,
    };
    let stage = Stage {
        bench,
        directory,
        contenders: &bench.start_all(directory, &task)?,
        origin: &origin,
    };
    comparison.run(stage, report)
}

/// Compares all programs that can carry these versions of HTTP, the client's and the origin's.
fn compare_versions(
    bench: &Bench,
    report: &mut Report,
    (client, upstream): (Version, Version),
    comparison: Comparison<'_>,
) -> Result<()> {
    let carries = Carries::Versions(client, upstream);
    compare_carrying(bench, report, carries, comparison)
}

/// Compares all programs that can carry this, each with one worker.
fn compare_carrying(
    bench: &Bench,
    report: &mut Report,
    carries: Carries,
    comparison: Comparison<'_>,
) -> Result<()> {
    let directory = bench.directory()?;
    let directory = directory.path();
    let origin = Origin::start(bench, directory)?;
    let (_, upstream) = carries.versions();
    let task = Task {
        carries,
        origin: origin.speaks(upstream)?,
        workers: 1,
    };
    let stage = Stage {
        bench,
        directory,
        contenders: &bench.start_all(directory, &task)?,
        origin: &origin,
    };
    comparison.run(stage, report)
}

/// A scenario: one entry in this list, one file, and a line in each match below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Requests on connections that are kept: answers of 100 B, 1 KiB and 64 KiB.
    H1,
    /// Requests by a table of 100 hosts with 10 routes each.
    H1Routes,
    /// A connection for each request.
    H1Connect,
    /// Requests with bodies of 64 KiB.
    H1Post,
    /// HTTP/2 from the client, HTTP/1.1 to the origin.
    H2,
    /// HTTP/1.1 from the client, HTTP/2 to the origin.
    #[value(name = "h1-to-h2")]
    H1ToH2,
    /// Unary gRPC.
    Grpc,
    /// HTTP/1.1 within TLS 1.3, on connections that are kept, and handshakes.
    Tls,
    /// Streams of bytes in both directions, and small messages back and forth.
    Tcp,
    /// Memory after start, and of connections that wait: 1000 and 8000, 1000 of HTTP/2.
    Idle,
    /// Configuration changes under load: of 1000 and 10 000 routes, of one endpoint of 100 000.
    Reload,
    /// The rungs of Ringmain's own I/O, beside each other.
    Backends,
    /// One worker and two.
    Workers,
    /// Finding a request's route among 10 and among 100 000.
    Match,
    /// Instructions outside the kernel per request, counted by valgrind.
    Instructions,
    /// `ringmain load` beside wrk, h2load and iperf3.
    Generators,
}

impl Scenario {
    /// Every one, in the order of a run.
    pub const ALL: [Self; 16] = [
        Self::H1,
        Self::H1Routes,
        Self::H1Connect,
        Self::H1Post,
        Self::H2,
        Self::H1ToH2,
        Self::Grpc,
        Self::Tls,
        Self::Tcp,
        Self::Idle,
        Self::Reload,
        Self::Backends,
        Self::Workers,
        Self::Match,
        Self::Instructions,
        Self::Generators,
    ];

    /// How its results are shown.
    pub fn outline(self) -> Outline {
        match self {
            Self::H1 => h1::OUTLINE,
            Self::H1Routes => h1_routes::OUTLINE,
            Self::H1Connect => h1_connect::OUTLINE,
            Self::H1Post => h1_post::OUTLINE,
            Self::H2 => h2::OUTLINE,
            Self::H1ToH2 => h1_to_h2::OUTLINE,
            Self::Grpc => grpc::OUTLINE,
            Self::Tls => tls::OUTLINE,
            Self::Tcp => tcp::OUTLINE,
            Self::Idle => idle::OUTLINE,
            Self::Reload => reload::OUTLINE,
            Self::Backends => backends::OUTLINE,
            Self::Workers => workers::OUTLINE,
            Self::Match => matching::OUTLINE,
            Self::Instructions => instructions::OUTLINE,
            Self::Generators => generators::OUTLINE,
        }
    }

    /// Other proxies take part.
    pub fn has_peers(self) -> bool {
        match self {
            Self::H1
            | Self::H1Routes
            | Self::H1Connect
            | Self::H1Post
            | Self::H2
            | Self::H1ToH2
            | Self::Grpc
            | Self::Tls
            | Self::Tcp
            | Self::Idle
            | Self::Workers => true,
            Self::Reload | Self::Backends | Self::Match | Self::Instructions | Self::Generators => {
                false
            }
        }
    }

    /// Measures it.
    ///
    /// # Errors
    /// When a program does not start or does not answer. A bad figure is no error.
    pub fn measure(self, bench: &Bench, report: &mut Report) -> Result<()> {
        match self {
            Self::H1 => h1::measure(bench, report),
            Self::H1Routes => h1_routes::measure(bench, report),
            Self::H1Connect => h1_connect::measure(bench, report),
            Self::H1Post => h1_post::measure(bench, report),
            Self::H2 => h2::measure(bench, report),
            Self::H1ToH2 => h1_to_h2::measure(bench, report),
            Self::Grpc => grpc::measure(bench, report),
            Self::Tls => tls::measure(bench, report),
            Self::Tcp => tcp::measure(bench, report),
            Self::Idle => idle::measure(bench, report),
            Self::Reload => reload::measure(bench, report),
            Self::Backends => backends::measure(bench, report),
            Self::Workers => workers::measure(bench, report),
            Self::Match => matching::measure(bench, report),
            Self::Instructions => instructions::measure(bench, report),
            Self::Generators => generators::measure(bench, report),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::Scenario;

    #[test]
    fn names_are_those_of_the_command_line() {
        assert_eq!(Scenario::ALL.as_slice(), Scenario::value_variants());
        for scenario in Scenario::ALL {
            let value = scenario.to_possible_value().unwrap();
            assert_eq!(scenario.outline().name, value.get_name());
        }
    }
}
