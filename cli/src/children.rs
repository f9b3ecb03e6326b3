//! Processes of this program that end with their parent, however it ends.
//!
//! A child holds the reading end of a pipe as its standard input and the parent the other. When the
//! parent closes it, or dies of whatever cause, the child reads the end and drains as on SIGTERM:
//! no process is left behind, and no process id is ever signalled that might be another's by then.
//! Children have a process group of their own, so that Ctrl-C reaches only the parent, which then
//! ends them in its order.

use std::{
    ffi::OsStr,
    fs::File,
    io::Read,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use clap::Args;
use tokio::{
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use crate::fault::Fault;

/// Arguments of a command that can be a child.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Parent {
    /// Stop as on SIGTERM when standard input ends.
    #[arg(long, hide = true)]
    stop_with_input: bool,
}

impl Parent {
    /// Raises SIGTERM in this process when the parent lets go; to be called once the signal is
    /// handled.
    pub(crate) fn watch(self) -> Result<(), Fault> {
        if !self.stop_with_input {
            return Ok(());
        }
        let watch = || {
            let mut input = std::io::stdin().lock();
            let mut byte = [0];
            // Whatever comes before the end is not for us; an error is an end as well.
            while matches!(input.read(&mut byte), Ok(1..)) {}
            let _ = signal_hook::low_level::raise(signal_hook::consts::SIGTERM);
        };
        std::thread::Builder::new()
            .name("parent".to_owned())
            .spawn(watch)
            .map_err(|error| Fault::new(format!("cannot start a thread: {error}")))?;
        Ok(())
    }
}

/// A running child.
#[derive(Debug)]
pub(crate) struct Running {
    /// As messages name it.
    pub(crate) name: String,
    child: Child,
    /// Closing it is the order to stop. Not left in `child`, which closes it when waited for.
    input: Option<ChildStdin>,
}

impl Running {
    /// Starts this program with `arguments`; must be called inside a tokio runtime.
    pub(crate) fn start<S: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self, Fault> {
        Self::start_to(name, arguments, None)
    }

    /// As [`Self::start`]; what it writes goes to `log`.
    pub(crate) fn start_logged<S: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = S>,
        log: &File,
    ) -> Result<Self, Fault> {
        Self::start_to(name, arguments, Some(log))
    }

    fn start_to<S: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = S>,
        log: Option<&File>,
    ) -> Result<Self, Fault> {
        let failed = |error| Fault::new(format!("cannot start the {name}: {error}"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command
            .args(arguments)
            .arg("--stop-with-input")
            .stdin(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(log) = log {
            command.stdout(log.try_clone().map_err(failed)?);
            command.stderr(log.try_clone().map_err(failed)?);
        }
        let mut child = command.spawn().map_err(failed)?;
        let input = child.stdin.take();
        Ok(Self {
            name: name.to_owned(),
            child,
            input,
        })
    }

    /// Tells it to stop, and does not wait.
    pub(crate) fn release(&mut self) {
        drop(self.input.take());
    }

    /// How it ended, if it did.
    pub(crate) fn has_ended(&mut self) -> Result<Option<ExitStatus>, Fault> {
        let status = self.child.try_wait();
        status.map_err(|error| Fault::new(format!("cannot wait for the {}: {error}", self.name)))
    }

    /// Waits until it ends by itself. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus, Fault> {
        let status = self.child.wait().await;
        status.map_err(|error| Fault::new(format!("cannot wait for the {}: {error}", self.name)))
    }

    /// Tells it to stop, waits for `patience`, then kills it. `Err` when it did not end well.
    pub(crate) async fn stop(mut self, patience: Duration) -> Result<(), Fault> {
        self.release();
        match timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Fault::new(format!("the {} ended with {status}", self.name))),
            Ok(Err(error)) => Err(Fault::new(format!(
                "cannot wait for the {}: {error}",
                self.name
            ))),
            Err(_) => {
                // Reaped as well; it cannot fail in a way that leaves anything to do.
                let _ = self.child.kill().await;
                Err(Fault::new(format!(
                    "the {} did not stop within {patience:?} and was killed",
                    self.name
                )))
            }
        }
    }
}
