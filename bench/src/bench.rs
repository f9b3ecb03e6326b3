//! The surroundings of a run, the same for every scenario.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use tempfile::TempDir;

use crate::{
    arguments::{Arguments, Depth},
    peer::Kind,
    process::find,
    progress::Progress,
    quiet,
    workspace::Workspace,
};

/// What a run is made with.
#[derive(Debug)]
pub struct Bench {
    /// What was asked for.
    pub arguments: Arguments,
    /// Cores that this run was given, before it kept to the load's.
    pub cores: usize,
    /// This program, which generates load and answers it.
    pub own: PathBuf,
    /// The `ringmain` that is measured.
    pub binary: PathBuf,
    /// Ringmain, then every peer that was asked for and is there.
    pub contenders: Vec<Kind>,
    /// The other peers, and what to do about it.
    pub missing: Vec<String>,
    /// What is done now.
    pub progress: Progress,
    /// For files of the programs that are run.
    pub workspace: Workspace,
}

impl Bench {
    /// Looks around, and takes this process off the measured core.
    ///
    /// # Errors
    /// When there are not two cores, or a program that must be there is not.
    pub fn new(arguments: Arguments) -> Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        ensure!(
            cores >= 2 && arguments.core != arguments.load_core,
            "two cores are needed, one of them for the measured proxy alone; this process may use \
             {cores}"
        );
        let allowed = sched_getaffinity(None).context("cannot ask for this process's cores")?;
        for core in [arguments.core, arguments.load_core] {
            ensure!(
                core < CpuSet::MAX_CPU && allowed.is_set(core),
                "this process may not use core {core}"
            );
        }
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        let binary = match &arguments.binary {
            Some(binary) => binary
                .canonicalize()
                .with_context(|| format!("no {}", binary.display()))?,
            None => own.clone(),
        };
        let mut load_core = CpuSet::new();
        load_core.set(arguments.load_core);
        sched_setaffinity(None, &load_core)
            .with_context(|| format!("cannot run on core {}", arguments.load_core))?;
        raise_descriptors();
        let (contenders, missing) =
            contenders(&arguments.peers, &|program| find(program).is_some());
        Ok(Self {
            cores,
            own,
            binary,
            contenders,
            missing,
            progress: Progress::new(),
            workspace: Workspace::new()?,
            arguments,
        })
    }

    /// A directory for the files of one scenario's programs.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> Result<TempDir> {
        self.workspace.directory()
    }

    /// The cores of a proxy that has so many.
    pub fn proxy_cores(&self, count: u32) -> String {
        let Arguments {
            core, load_core, ..
        } = self.arguments;
        // There may be no third core: the second one is the load's.
        match count {
            1 => core.to_string(),
            _ => format!("{core},{load_core}"),
        }
    }

    /// The cores of everything else.
    pub fn load_cores(&self) -> String {
        self.arguments.load_core.to_string()
    }

    /// Only whether things work is asked.
    pub fn is_smoke(&self) -> bool {
        self.arguments.depth() == Depth::Smoke
    }

    /// When to wait no longer for a quiet machine, for a scenario that begins now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.arguments.patience()
    }

    /// Waits for the machine to become quiet, until `deadline` at the latest.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn wait_for_quiet(&self, deadline: Instant) -> Result<()> {
        if Instant::now() < deadline {
            self.progress.say("waiting for a quiet machine");
            quiet::wait(self.arguments.noise / 100.0, deadline)?;
        }
        Ok(())
    }

    /// Whether a round counts in which others used these shares of the machine, one for each turn.
    pub fn is_quiet(&self, others: impl IntoIterator<Item = f64>) -> bool {
        let noise_max = self.arguments.noise / 100.0;
        others.into_iter().all(|share| share < noise_max)
    }

    /// The time of a warm-up before a turn; the first one of a program takes longer.
    pub fn warm_up(&self, round: u32) -> Duration {
        let turn = self.arguments.turn();
        if round == 1 {
            turn.min(Duration::from_secs(1))
        } else {
            turn / 5
        }
    }
}

/// Those that are there, and what to say of the others.
fn contenders(asked: &[Kind], is_there: &dyn Fn(&str) -> bool) -> (Vec<Kind>, Vec<String>) {
    let (mut found, mut missing) = (vec![Kind::Ringmain], Vec::new());
    for &kind in asked {
        if found.contains(&kind) {
            continue;
        }
        if is_there(kind.name()) {
            found.push(kind);
        } else {
            missing.push(missing_program(kind.name()));
        }
    }
    (found, missing)
}

/// Why a program has no figures.
pub fn missing_program(name: &str) -> String {
    format!("{name}: not found on PATH; bench/setup installs it")
}

/// Thousands of connections need as many descriptors as may be had; what cannot be had is noticed
/// where it is needed.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let _ = setrlimit(Resource::Nofile, raised);
}

#[cfg(test)]
mod tests {
    use super::contenders;
    use crate::peer::Kind;

    #[test]
    fn absent_peers_are_named() {
        let asked = [Kind::Haproxy, Kind::Envoy, Kind::Haproxy];
        let (found, missing) = contenders(&asked, &|program| program == "haproxy");
        assert_eq!(found, [Kind::Ringmain, Kind::Haproxy]);
        assert_eq!(
            missing,
            ["envoy: not found on PATH; bench/setup installs it"]
        );
    }
}
