//! The surroundings of a run, the same for every scenario.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use tempfile::TempDir;

use crate::{
    peer::{self, Peer, ringmain},
    process::Program,
    quiet,
};

/// What a run is made with.
#[derive(Debug)]
pub struct Bench {
    /// The workspace's folder.
    pub workspace: PathBuf,
    /// The `ringmain` program.
    pub binary: PathBuf,
    /// The measured proxy's core.
    pub core: usize,
    /// The core of everything else.
    pub load_core: usize,
    /// Rounds of each scenario.
    pub rounds: u32,
    /// Seconds of load in each round.
    pub seconds: u32,
    /// Requests that instructions are counted over.
    pub requests: u32,
    /// Others may use this share of the machine in a round that counts as quiet.
    pub noise_max: f64,
    /// How long to wait for the machine to become quiet, in all.
    pub patience: Duration,
}

impl Bench {
    /// A directory for the files of one scenario's programs.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new()
            .prefix("ringmain-bench-")
            .tempdir()?)
    }

    /// Starts the origin.
    ///
    /// # Errors
    /// When it does not start.
    pub fn origin(&self, directory: &Path) -> Result<Peer> {
        peer::nginx::start(directory, self.load_core)
    }

    /// How Ringmain is started as a user starts it.
    pub fn ringmain<'a>(&'a self, directory: &'a Path) -> ringmain::Setup<'a> {
        ringmain::Setup {
            binary: &self.binary,
            directory,
            core: self.core,
            control_core: self.load_core,
            io: "auto",
            wrapper: &[],
        }
    }

    /// Waits for the machine to become quiet, and says when it did not.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn wait_for_quiet(&self, deadline: Instant) -> Result<bool> {
        if quiet::wait(self.noise_max, deadline)? {
            return Ok(true);
        }
        eprintln!("the machine does not become quiet: measuring all the same");
        Ok(false)
    }
}

/// Builds the program that is measured, as it is released.
///
/// # Errors
/// When it does not build.
pub fn build(workspace: &Path) -> Result<PathBuf> {
    eprintln!("building ringmain");
    let status = std::process::Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["build", "--release", "--package", "ringmain-cli"])
        .current_dir(workspace)
        .status()?;
    if !status.success() {
        bail!("ringmain does not build");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace.join("target"), PathBuf::from);
    Ok(target.join("release/ringmain"))
}

/// The programs of a run, installed when they are missing.
///
/// # Errors
/// When they cannot be installed.
pub fn set_up(workspace: &Path) -> Result<()> {
    Program::on_core(0, &[], &workspace.join("bench/setup"), "bench/setup").output()?;
    Ok(())
}
