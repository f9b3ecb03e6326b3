//! `ringmain-bench`: the command line of the benchmarks.
#![allow(clippy::print_stdout, reason = "the summary is the output")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use humantime::Duration;
use ringmain_bench::{
    bench::{self, Bench},
    machine,
    results::{self, Report},
    scenario::Scenario,
};

/// Measures Ringmain beside its peers on this machine.
///
/// Needs two cores: one for the measured proxy, one for everything else. Writes machine.toml,
/// raw.csv and summary.md, and prints the summary. A figure that misses its mark is no failure.
#[derive(Debug, Parser)]
#[command(after_help = "Example: cargo run --release -p ringmain-bench -- routes --rounds 12")]
struct Arguments {
    /// What to measure; without any, routes, idle and reload.
    scenarios: Vec<Scenario>,
    /// Rounds of a scenario that has rounds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of load in a round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Requests that instructions are counted over, thousands of them.
    #[arg(long, default_value_t = 6400, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    requests: u32,
    /// Directory for the results; without it bench/results/DATE-HOST.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The `ringmain` to measure; without it the workspace's is built.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Core of the measured proxy.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Core of load generator, origin and control plane.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Percent of the machine that others may use in a round that counts.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    noise: f64,
    /// How long to wait for such quiet in all, for each scenario.
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    patience: Duration,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    ensure!(
        cores >= 2 && arguments.core != arguments.load_core,
        "two cores are needed, one of them for the measured proxy alone; this process may use {cores}"
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let workspace = folder.context("bench/ lies in the workspace")?.to_owned();
    bench::set_up(&workspace)?;
    let binary = match &arguments.binary {
        Some(binary) => binary
            .canonicalize()
            .with_context(|| format!("no {}", binary.display()))?,
        None => bench::build(&workspace)?,
    };
    let bench = Bench {
        workspace,
        binary,
        core: arguments.core,
        load_core: arguments.load_core,
        rounds: arguments.rounds,
        seconds: arguments.seconds,
        requests: arguments.requests,
        noise_max: arguments.noise / 100.0,
        patience: *arguments.patience,
    };
    let command: Vec<String> = std::env::args().skip(1).collect();
    let command = format!(
        "cargo run --release -p ringmain-bench -- {}",
        command.join(" ")
    );
    let machine = machine::describe(&bench, command.trim_end_matches([' ', '-']));
    let scenarios = match &*arguments.scenarios {
        [] => &Scenario::DEFAULT,
        scenarios => scenarios,
    };
    let reports = scenarios
        .iter()
        .map(|scenario| scenario.run(&bench))
        .collect::<Result<Vec<Report>>>()?;
    let out = arguments.out.clone().unwrap_or_else(|| {
        bench
            .workspace
            .join("bench/results")
            .join(machine::directory_name())
    });
    results::write(&out, &machine, &reports)?;
    println!("{}", results::summary(&reports));
    eprintln!("written to {}", out.display());
    Ok(())
}
