//! `ringmain load`: load with honest latency, and what came of it.
//!
//! The flags become a plan ([`plan`]), the plan is run ([`drive`]), and the result is written as
//! `ringmain_loadgen::output` writes it. `docs/load.md` is the reference for users.

mod compare;
mod drive;
mod files;
mod flags;
mod parse;
mod plan;
mod results;

use clap::{Args, Subcommand};

use self::flags::Flags;
use crate::{
    fault::{Exit, Fault},
    runtime,
};

/// Send load to a server and measure it.
///
/// With --rate an open loop: requests are due at times fixed beforehand, and latency counts from
/// these times, so that a server that stalls cannot hide it. Without --rate a closed loop: every
/// connection sends its next request when the last one was answered.
///
/// URLs start with http, https, grpc, grpcs, ws, wss, tcp-echo, tls-echo, tcp-stream or tls-stream,
/// all of one run with the same kind of protocol. A number and @ before a URL is its weight among
/// several.
///
/// Ctrl-C ends the run early and prints what was measured until then. Exits with 0 when the
/// objectives (--max-..., --min-rate) were held, with 1 when one was missed, when a run with
/// objectives was interrupted, or when nothing was answered at all, with 2 on wrong usage. Failed
/// requests decide only by --max-errors.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  ringmain load http://127.0.0.1:8080/ --connections 64 --duration 30s
  ringmain load http://127.0.0.1:8080/ --rate 20k --warmup 5s --max-p99 5ms --max-errors 0
  ringmain load 9@http://127.0.0.1/read 1@http://127.0.0.1/write --rate 1k -X POST --body-size 4KiB
  ringmain load https://127.0.0.1/ --insecure --http2 --streams 10 -o json --report load.html
  ringmain load grpc://127.0.0.1:50051/shop.Cart/Get --body @request.bin --rate 500
  ringmain load compare before.json after.json"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Action {
    Compare(compare::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    if let Some(Action::Compare(arguments)) = &arguments.action {
        return compare::run(arguments);
    }
    let flags = &arguments.flags;
    let plan = plan::of(flags)?;
    files::allow(&plan)?;
    results::check_files(flags)?;
    let outcome = runtime::block_on(drive::drive(&plan, flags.quiet))?;
    results::write(flags, &plan, &outcome)
}
