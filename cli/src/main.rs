//! The `ringmain` command.

mod demo;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
enum Command {
    /// One application of the demo
    #[command(hide = true)]
    DemoApp(demo::app::Args),
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::DemoApp(args) => demo::app::run(&args),
    }
}
