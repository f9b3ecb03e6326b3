//! The `ringmain` command: one file of `command/` for each of its commands.

mod admin;
mod children;
mod command;
mod demo;
mod document;
mod fault;
mod logging;
mod output;
mod plane;
mod runtime;
mod tuning;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Service mesh for plain Linux hosts.
///
/// Start with `ringmain check DIR` and `ringmain run --resources DIR`.
///
/// Exit codes: 0 fine, 1 the thing asked about is bad or the work failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(
    name = "ringmain",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), "\nrevision ", env!("RINGMAIN_REVISION")),
    max_term_width = 100,
    arg_required_else_help = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    match CommandLine::parse().command.run() {
        Ok(exit) => exit.into(),
        Err(fault) => {
            output::complain(&fault.to_string());
            fault.exit().into()
        }
    }
}
