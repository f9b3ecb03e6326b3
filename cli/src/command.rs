//! The commands, each with its arguments and its work.

use clap::Subcommand;

use crate::fault::{Exit, Fault};

mod completion;
mod get;
mod profile;
mod run;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Arguments),
    Get(get::Arguments),
    Profile(profile::Arguments),
    Completion(completion::Arguments),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<Exit, Fault> {
        match self {
            Self::Run(arguments) => run::run(&arguments),
            Self::Get(arguments) => get::run(&arguments),
            Self::Profile(arguments) => profile::run(&arguments),
            Self::Completion(arguments) => completion::run(&arguments),
        }
    }
}
