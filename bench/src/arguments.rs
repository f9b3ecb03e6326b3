//! What is asked for on the command line, and what follows from it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{load::Generator, peer::Kind, scenario::Scenario};

/// Options of a run.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Arguments {
    /// What to measure; without any, everything.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<Scenario>,
    /// Whom to measure beside Ringmain.
    #[arg(long, value_delimiter = ',', value_enum, value_name = "PROGRAM",
        default_values_t = [Kind::Haproxy, Kind::Nginx, Kind::Envoy])]
    pub peers: Vec<Kind>,
    /// The whole table in some minutes: fewer and shorter rounds, whatever else the machine does.
    #[arg(long, conflicts_with = "smoke")]
    pub quick: bool,
    /// A moment of everything: only whether it works and whether every request is accounted for.
    /// Exits with 1 when not.
    #[arg(long, conflicts_with_all = ["document", "generator"])]
    pub smoke: bool,
    /// Rounds, in each of which every program has a turn [default: 8, with --quick 3].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Seconds of a turn [default: 3, with --quick 0.6].
    #[arg(long, value_name = "NUMBER", value_parser = seconds)]
    pub seconds: Option<f64>,
    /// Directory for the results [default: bench/results/DATE; with --smoke none].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Put the figures into this document as well, between its marks: docs/benchmarks.md has them.
    #[arg(long, value_name = "FILE")]
    pub document: Option<PathBuf>,
    /// The `ringmain` to measure [default: this program].
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Core of the measured proxy.
    #[arg(long, value_name = "CORE", default_value_t = 0)]
    pub core: usize,
    /// Core of load generator, origin and control plane.
    #[arg(long, value_name = "CORE", default_value_t = 1)]
    pub load_core: usize,
    /// Percent of the machine that others may use in a round that counts.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    pub noise: f64,
    /// How long each scenario may wait for such quiet [default: 2m, with --quick none].
    #[arg(long, value_name = "TIME")]
    pub patience: Option<humantime::Duration>,
    /// What sends the load. wrk knows no rate: with it there is no latency at half load.
    #[arg(long, value_enum, value_name = "PROGRAM", default_value_t)]
    pub generator: Generator,
    /// What answers behind the proxies.
    #[arg(long, value_enum, value_name = "PROGRAM", default_value_t)]
    pub origin: Origin,
    /// After `instructions`: exit with 1 when a figure is above the recorded budget.
    #[arg(long)]
    pub check: bool,
    /// After `instructions`: write the figures down as the budget.
    #[arg(long, conflicts_with = "check")]
    pub record: bool,
    /// The recorded budget.
    #[arg(long, value_name = "FILE", default_value = "bench/instructions.toml")]
    pub budget: PathBuf,
}

/// What answers behind the proxies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Origin {
    /// A small one, which counts what it answers.
    #[default]
    Ringmain,
    /// nginx, to see whether the choice matters.
    Nginx,
}

/// How thorough a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As long as a figure needs.
    Full,
    /// Some minutes.
    Quick,
    /// Only whether it works.
    Smoke,
}

impl Arguments {
    /// How thorough.
    pub fn depth(&self) -> Depth {
        match (self.quick, self.smoke) {
            (_, true) => Depth::Smoke,
            (true, false) => Depth::Quick,
            (false, false) => Depth::Full,
        }
    }

    /// Rounds of a comparison.
    pub fn rounds(&self) -> u32 {
        let usual = match self.depth() {
            Depth::Full => 8,
            Depth::Quick => 3,
            Depth::Smoke => 1,
        };
        self.rounds.unwrap_or(usual)
    }

    /// Time of a turn.
    pub fn turn(&self) -> Duration {
        let usual = match self.depth() {
            Depth::Full => 3.0,
            Depth::Quick => 0.6,
            Depth::Smoke => 0.2,
        };
        Duration::from_secs_f64(self.seconds.unwrap_or(usual))
    }

    /// How long to wait for a quiet machine.
    pub fn patience(&self) -> Duration {
        let usual = match self.depth() {
            Depth::Full => Duration::from_secs(120),
            Depth::Quick | Depth::Smoke => Duration::ZERO,
        };
        self.patience.map_or(usual, Into::into)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| (0.1..=600.0).contains(seconds));
    seconds.ok_or_else(|| "give a number from 0.1 to 600".to_owned())
}
