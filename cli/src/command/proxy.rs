//! `ringmain proxy`: the data plane.

use std::{cell::Cell, path::PathBuf, rc::Rc};

use clap::Args;
use ringmain_config::problem::Problem;
use ringmain_dataplane::supervisor::{self, Event};

use crate::{
    children::Parent,
    fault::{Exit, Fault},
    logging, output, tuning,
};

/// Carry the traffic of one workload or gateway.
///
/// Takes its configuration from the control plane's socket and keeps the last good one on disk,
/// from which it starts and serves when the control plane is down. Prints a line for each listener,
/// then `ready`. SIGTERM or Ctrl-C lets requests under way end (limits.drain_timeout), a second one
/// does not.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringmain proxy --config /etc/ringmain/reviews-v1.toml")]
pub(crate) struct Arguments {
    /// Tuning file; without it /etc/ringmain/ringmain.toml if it is there, else the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Unix socket of the control plane, instead of the file's control.socket.
    #[arg(long, value_name = "PATH", env = "RINGMAIN_SOCKET")]
    socket: Option<PathBuf>,
    /// Stop when the first configuration cannot be used, rather than wait for a better one.
    #[arg(long, hide = true)]
    stop_if_refused: bool,
    #[command(flatten)]
    parent: Parent,
}

pub(crate) fn run(arguments: Arguments) -> Result<Exit, Fault> {
    let mut tuning = tuning::load(arguments.config.as_deref())?;
    if arguments.socket.is_some() {
        tuning.control.socket = arguments.socket;
    }
    logging::start(logging::filter(tuning.log.level))?;
    let announcer = Rc::new(Announcer {
        stop_if_refused: arguments.stop_if_refused,
        parent: arguments.parent,
        is_ready: Cell::new(false),
        is_refused: Cell::new(false),
    });
    let events = Rc::clone(&announcer);
    supervisor::run(
        &tuning,
        tuning.node(),
        env!("CARGO_PKG_VERSION"),
        move |event| {
            events.announce(event);
        },
    )
    .map_err(|error| Fault::new(error.to_string()))?;
    Ok(if announcer.is_refused.get() {
        Exit::Bad
    } else {
        Exit::Fine
    })
}

/// Tells whoever started the proxy how far it is.
struct Announcer {
    stop_if_refused: bool,
    parent: Parent,
    is_ready: Cell<bool>,
    /// It stops for it.
    is_refused: Cell<bool>,
}

impl Announcer {
    fn announce(&self, event: Event) {
        let line = match event {
            Event::Admin(address) => {
                // The supervisor handles signals by now, which is how the parent's end arrives.
                if let Err(fault) = self.parent.watch() {
                    output::complain(&fault.to_string());
                }
                format!("admin http://{address}")
            }
            Event::Listening { name, address } => format!("listening on {address} ({name})"),
            Event::Ready { .. } => {
                self.is_ready.set(true);
                "ready".to_owned()
            }
            Event::Draining => "draining".to_owned(),
            Event::Refused(problems) => return self.refused(problems),
        };
        // A reader that went away is no reason to stop carrying traffic.
        let _ = output::print(&(line + "\n"));
    }

    fn refused(&self, problems: Vec<Problem>) {
        // The supervisor's log has them, unless it is off.
        if !tracing::enabled!(tracing::Level::ERROR) {
            output::complain(&Fault::Problems(problems).to_string());
        }
        if self.stop_if_refused && !self.is_ready.get() {
            self.is_refused.set(true);
            let _ = signal_hook::low_level::raise(signal_hook::consts::SIGTERM);
        }
    }
}
