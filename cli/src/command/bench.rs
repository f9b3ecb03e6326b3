//! `ringmain bench`: this proxy beside its peers, and the origin behind them.

mod lookup;

use std::net::{IpAddr, Ipv4Addr};

use clap::{Args, Subcommand};
use ringmain_loadgen::{Io, origin};

use crate::{
    fault::{Exit, Fault},
    output,
};

/// Measure Ringmain beside haproxy, nginx and Envoy on this machine.
///
/// Needs two cores: one for the measured proxy, one for everything else. bench/setup installs the
/// peers; one that is missing is named and left out. Prints a table for each scenario and the
/// verdict on each figure to reach, and writes machine.toml, raw.csv, summary.md and charts.
///
/// A figure that misses its mark is no failure. Exits with 1 when a request was lost or answered
/// twice, a program did not work, or --check found a budget exceeded.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  bench/setup && ringmain bench --quick
  ringmain bench h1 h1-routes --peers haproxy --rounds 12
  ringmain bench instructions --check"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    bench: ringmain_bench::Arguments,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Serve HTTP/1.1 and TCP on free ports of loopback, as the origin of a measurement.
    #[command(hide = true)]
    Origin,
    /// Measure what finding a route costs in a table of so many hosts with ten routes each.
    #[command(hide = true)]
    LookUp {
        #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
        hosts: u32,
    },
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Fault> {
    match arguments.part {
        Some(Part::Origin) => serve(),
        Some(Part::LookUp { hosts }) => {
            output::json(&lookup::measure(hosts as usize)?).map(|()| Exit::Fine)
        }
        None => measure(arguments.bench),
    }
}

fn measure(arguments: ringmain_bench::Arguments) -> Result<Exit, Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("ringmain {}", words.join(" "));
    // Output that nobody reads is no reason to stop: the results are written as well.
    let mut print = |text: &str| drop(output::print(text));
    match ringmain_bench::run(arguments, &command, &mut print) {
        Ok(true) => Ok(Exit::Fine),
        Ok(false) => Ok(Exit::Bad),
        Err(error) => Err(Fault::new(format!("{error:#}"))),
    }
}

fn serve() -> Result<Exit, Fault> {
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let announce = |addresses| drop(output::print(&format!("{addresses}\n")));
    origin::serve(Io::Auto, host, announce)
        .map_err(|error| Fault::new(format!("the origin cannot serve: {error}")))?;
    Ok(Exit::Fine)
}
