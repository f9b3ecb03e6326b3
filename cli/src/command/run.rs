//! `ringmain run`: the control plane and one proxy on this host, as two child processes.
//!
//! The same commands that run apart in a larger mesh; nothing is special-cased but where the socket
//! lies and that the proxy serves every Gateway.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use clap::Args;
use ringmain_config::{
    node::GatewayScope,
    tuning::{Level, Tuning},
};
use tempfile::TempDir;

use crate::{
    children::Running,
    fault::{Exit, Fault},
    logging, output,
    runtime::{self, Signals},
    tuning,
};

/// Serve the resources of a directory on this host, in the foreground.
///
/// Starts a control plane and one proxy that serves every Gateway of the resources. Prints a line
/// for each listener, then `ready`. Changes of the files take effect at once; a file with errors
/// changes nothing until it is mended. SIGTERM or Ctrl-C lets requests under way end
/// (limits.drain_timeout), a second one does not.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringmain run --resources examples/quickstart")]
pub(crate) struct Arguments {
    /// Directory of YAML resources, or a single file.
    #[arg(long, value_name = "DIR")]
    resources: PathBuf,
    /// Tuning file of the proxy; without it /etc/ringmain/ringmain.toml if it is there, else the
    /// defaults. Where control.socket and control.snapshot are the defaults, the socket lies in a
    /// directory of this run's own, and no configuration is kept on disk.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let mut tuning = tuning::load(arguments.config.as_deref())?;
    let directory = private_directory()?;
    let socket = adapt(&mut tuning, directory.path());
    let config = directory.path().join("ringmain.toml");
    std::fs::write(&config, tuning.to_toml())
        .map_err(|error| Fault::new(format!("cannot write {}: {error}", config.display())))?;
    let planes = Planes {
        resources: &arguments.resources,
        config: &config,
        socket: &socket,
        tuning: &tuning,
    };
    runtime::block_on(planes.serve())
}

/// Fits the tuning of a sidecar to a whole mesh on one host; returns the control plane's socket.
/// A socket or snapshot that the file names is used; the defaults belong to installed services and
/// are not taken from them.
fn adapt(tuning: &mut Tuning, directory: &Path) -> PathBuf {
    let default = Tuning::default();
    tuning.workload.gateways = GatewayScope::All;
    if tuning.log.level == default.log.level {
        // The lines that `run` prints itself say enough of what goes well.
        tuning.log.level = Level::Warn;
    }
    if tuning.control.snapshot == default.control.snapshot {
        tuning.control.snapshot = None;
    }
    if tuning.control.socket == default.control.socket {
        tuning.control.socket = None;
    }
    tuning
        .control
        .socket
        .get_or_insert_with(|| directory.join("control.sock"))
        .clone()
}

/// Mode 0700, removed at the end.
fn private_directory() -> Result<TempDir, Fault> {
    let parent = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|directory| directory.is_dir())
        .unwrap_or_else(std::env::temp_dir);
    tempfile::Builder::new()
        .prefix("ringmain-")
        .tempdir_in(&parent)
        .map_err(|error| {
            Fault::with(
                format!("cannot make a directory in {}: {error}", parent.display()),
                "set TMPDIR to a directory that this user may write to",
            )
        })
}

/// What the two processes are started with.
struct Planes<'a> {
    resources: &'a Path,
    config: &'a Path,
    socket: &'a Path,
    tuning: &'a Tuning,
}

impl Planes<'_> {
    /// Serves until a signal, or until one of the two ends.
    async fn serve(self) -> Result<Exit, Fault> {
        let mut signals = Signals::new()?;
        let mut control = self.control()?;
        tokio::select! {
            () = appears(self.socket) => {}
            status = control.ended() => return Err(untimely(&control.name, status)),
            () = signals.stop() => return control.stop(GRACE).await.map(|()| Exit::Fine),
        }
        let mut proxy = self.proxy()?;
        let ended = tokio::select! {
            status = proxy.ended() => match status {
                // Its admin endpoint was told to stop it.
                Ok(status) if status.success() => None,
                status => Some(untimely(&proxy.name, status)),
            },
            status = control.ended() => Some(untimely(&control.name, status)),
            () = signals.stop() => None,
        };
        if let Some(fault) = &ended {
            output::complain(&fault.to_string());
        }
        let stopped = tokio::select! {
            stopped = self.stop(proxy, control) => stopped,
            () = signals.stop() => Err(Fault::new("stopped at once by a second signal")),
        };
        match ended {
            Some(_) => Ok(Exit::Bad),
            None => stopped.map(|()| Exit::Fine),
        }
    }

    /// It warns of what the proxy of the same terminal says as an error, so that is left out.
    fn control(&self) -> Result<Running, Fault> {
        let level = match self.tuning.log.level {
            Level::Warn => Level::Error,
            level => level,
        };
        let level = logging::filter(level).to_string();
        let arguments: [&OsStr; 7] = [
            "control".as_ref(),
            "--resources".as_ref(),
            self.resources.as_ref(),
            "--socket".as_ref(),
            self.socket.as_ref(),
            "--log".as_ref(),
            level.as_ref(),
        ];
        Running::start("control plane", arguments)
    }

    fn proxy(&self) -> Result<Running, Fault> {
        let arguments: [&OsStr; 6] = [
            "proxy".as_ref(),
            "--config".as_ref(),
            self.config.as_ref(),
            "--socket".as_ref(),
            self.socket.as_ref(),
            "--stop-if-refused".as_ref(),
        ];
        Running::start("proxy", arguments)
    }

    /// The proxy first: it drains better while somebody answers its questions.
    async fn stop(&self, proxy: Running, control: Running) -> Result<(), Fault> {
        let proxy = proxy.stop(self.tuning.limits.drain_timeout + GRACE).await;
        let control = control.stop(GRACE).await;
        proxy.and(control)
    }
}

/// Waits for the control plane's socket, so that the proxy's first try to connect succeeds.
async fn appears(socket: &Path) {
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What a child needs beside the drain to end.
const GRACE: Duration = Duration::from_secs(5);

fn untimely(name: &str, status: Result<ExitStatus, Fault>) -> Fault {
    match status {
        Ok(status) => Fault::with(
            format!("the {name} ended with {status}"),
            "its message stands above; everything is being stopped",
        ),
        Err(fault) => fault,
    }
}
