//! The commands, each with its arguments and its work.

use clap::Subcommand;

use crate::{
    demo,
    fault::{Exit, Fault},
};

mod bench;
mod check;
mod completion;
mod control;
mod explain;
mod get;
mod load;
mod profile;
mod proxy;
mod run;
mod status;
mod words;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::Arguments),
    Control(control::Arguments),
    Proxy(proxy::Arguments),
    Check(check::Arguments),
    Explain(explain::Arguments),
    Status(status::Arguments),
    Get(get::Arguments),
    Load(Box<load::Arguments>),
    Demo(demo::Arguments),
    #[command(hide = true)]
    DemoApp(demo::app::Arguments),
    Bench(bench::Arguments),
    Profile(profile::Arguments),
    Completion(completion::Arguments),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<Exit, Fault> {
        match self {
            Self::Run(arguments) => run::run(&arguments),
            Self::Control(arguments) => control::run(arguments),
            Self::Proxy(arguments) => proxy::run(arguments),
            Self::Check(arguments) => check::run(&arguments),
            Self::Explain(arguments) => explain::run(&arguments),
            Self::Status(arguments) => status::run(&arguments),
            Self::Get(arguments) => get::run(&arguments),
            Self::Load(arguments) => load::run(&arguments),
            Self::Demo(arguments) => demo::run(&arguments),
            Self::DemoApp(arguments) => demo::app::run(&arguments),
            Self::Bench(arguments) => bench::run(arguments),
            Self::Profile(arguments) => profile::run(&arguments),
            Self::Completion(arguments) => completion::run(&arguments),
        }
    }
}
