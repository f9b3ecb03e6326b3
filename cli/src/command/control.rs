//! `ringmain control`: the control plane of this host.

use std::path::PathBuf;

use clap::Args;
use ringmain_controlplane::{Options, Running, StartError, publish::peer::Allowed, run::Limits};
use tracing::level_filters::LevelFilter;

use crate::{
    children::Parent,
    fault::{Exit, Fault},
    logging, plane, runtime,
    runtime::Signals,
};

/// Serve the resources of a directory to the proxies of this host.
///
/// Watches the directory: a file that becomes good takes effect, a file that becomes bad changes
/// nothing until it is mended, and its problems are logged and shown by `ringmain status`. Proxies
/// connect to the socket and are told from their processes' user; root and the user of the control
/// plane are always served.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringmain control --resources /etc/ringmain/mesh --allow-gid 990")]
pub(crate) struct Arguments {
    /// Directory of YAML resources, or a single file.
    #[arg(long, value_name = "DIR")]
    resources: PathBuf,
    /// Unix socket to serve.
    #[arg(long, value_name = "PATH", env = "RINGMAIN_SOCKET", default_value = plane::DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Serve proxies and tools of these users as well: numeric ids.
    #[arg(long, value_name = "UID")]
    allow_uid: Vec<u32>,
    /// Serve proxies and tools of these groups as well: numeric ids. The socket is given to the
    /// first.
    #[arg(long, value_name = "GID")]
    allow_gid: Vec<u32>,
    /// Level of its messages on standard error: off, error, warn, info, debug or trace.
    /// RINGMAIN_LOG wins over it.
    #[arg(long, value_name = "LEVEL", default_value_t = LevelFilter::INFO)]
    log: LevelFilter,
    #[command(flatten)]
    parent: Parent,
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Fault> {
    logging::start(arguments.log)?;
    let options = Options {
        limits: Limits::default(),
        resources: arguments.resources,
        socket: arguments.socket,
        allowed: Allowed {
            uids: arguments.allow_uid,
            gids: arguments.allow_gid,
        },
        registrations: None,
    };
    runtime::block_on(async {
        let mut signals = Signals::new()?;
        arguments.parent.watch()?;
        let running = Running::start(options).await.map_err(fault)?;
        running.serve(signals.stop()).await;
        Ok(Exit::Fine)
    })
}

fn fault(error: StartError) -> Fault {
    match error {
        StartError::Resources(problems) => Fault::Problems(problems),
        error @ (StartError::Bind(_) | StartError::Own(_)) => Fault::new(error.to_string()),
    }
}
