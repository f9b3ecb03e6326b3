//! Programs that are started, measured and stopped.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A program that was started here. It and its descendants are killed when it is dropped, so that
/// nothing outlives a run.
#[derive(Debug)]
pub struct Process {
    /// What it is called in messages.
    pub name: &'static str,
    child: Child,
    output: PathBuf,
}

/// A program and its arguments, bound to cores.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    command: Command,
}

impl Program {
    /// `program` with all its threads on `cores`, a list as `0` or `0,1`; `wrapper` is what runs
    /// it, empty for nothing.
    pub fn on_cores(cores: &str, wrapper: &[&OsStr], program: &Path, name: &'static str) -> Self {
        // However a run ends, nothing that it started outlives it. A program that has children is
        // given the chance to end them.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "taskset", "-c"]);
        command.arg(cores).args(wrapper).arg(program);
        command.env("PATH", search_path());
        Self { name, command }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Starts it. What it prints goes to a file in `directory`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut self, directory: &Path) -> Result<Process> {
        let name = self.name;
        let output = directory.join(format!("{name}.log"));
        let file =
            File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        self.command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = self.command.spawn().with_context(|| {
            format!("cannot start {name}; `bench/setup` installs what is missing")
        })?;
        Ok(Process {
            name,
            child,
            output,
        })
    }

    /// Runs it to its end; what it wrote to standard output.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub fn output(self) -> Result<String> {
        self.capture()?.finish()
    }

    /// Starts it. What it prints is kept for [`Captured::finish`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn capture(mut self) -> Result<Captured> {
        let name = self.name;
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = self.command.spawn().with_context(|| {
            format!("cannot start {name}; `bench/setup` installs what is missing")
        })?;
        Ok(Captured { name, child })
    }
}

/// A program that runs to its end by itself.
#[derive(Debug)]
pub struct Captured {
    name: &'static str,
    child: Child,
}

impl Captured {
    /// Asks it to end early, as a user does with Ctrl-C.
    pub fn interrupt(&self) {
        signal(self.child.id(), Signal::INT);
    }

    /// Waits for its end; what it wrote to standard output. It must print less than a pipe holds
    /// until then.
    ///
    /// # Errors
    /// When it fails.
    pub fn finish(self) -> Result<String> {
        let name = self.name;
        let output = self.child.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{name} ended with {}: {said}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// `PATH`, and where Debian has haproxy and nginx, which a user's `PATH` may lack.
pub fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/usr/local/sbin")
}

/// Where `program` lies on [`search_path`].
pub fn find(program: &str) -> Option<PathBuf> {
    let path = search_path();
    let candidates = path
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    let mut files = candidates.filter(|file| file.is_file());
    files.next()
}

impl Process {
    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Fails when it has ended.
    ///
    /// # Errors
    /// With what it printed.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended with {status}: {}", self.name, self.printed());
        }
        Ok(())
    }

    /// CPU time that it and its descendants have used since they started, in the kernel and
    /// outside: the first number of `/proc/PID/task/*/schedstat`, in nanoseconds. Threads and
    /// children that have ended are not in it.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(tree_nanos(self.id()))
    }

    /// Bytes of memory that are resident: `VmRSS` of `/proc/PID/status`, of it and its descendants.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for id in tree(self.id()) {
            let status = fs::read_to_string(format!("/proc/{id}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kibibytes = line.and_then(|line| line.split_whitespace().next());
            bytes += 1024 * kibibytes.context("no VmRSS")?.parse::<u64>()?;
        }
        Ok(bytes)
    }

    /// Asks it to stop and waits for that, for as long as `patience`.
    ///
    /// # Errors
    /// When it did not.
    pub fn stop(mut self, patience: Duration) -> Result<ExitStatus> {
        signal(self.id(), Signal::TERM);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{} did not stop within {patience:?}", self.name)
    }
}

/// To a child of this process that was not yet waited for, or a child of that.
fn signal(id: u32, signal: Signal) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    if let Some(id) = id {
        // An error means that it has ended.
        let _ = kill_process(id, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Parents first: they would start their children again.
        for id in tree(self.id()) {
            signal(id, Signal::KILL);
        }
        drop(self.child.wait());
    }
}

/// Kills everything that this process has started, and what that has.
pub fn kill_descendants() {
    for id in tree(std::process::id()).into_iter().skip(1) {
        signal(id, Signal::KILL);
    }
}

/// A process and its descendants.
fn tree(id: u32) -> Vec<u32> {
    let mut ids = vec![id];
    let tasks = fs::read_dir(format!("/proc/{id}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        ids.extend(children.flat_map(tree));
    }
    ids
}

fn tree_nanos(id: u32) -> u64 {
    let mut nanos = 0;
    for id in tree(id) {
        let tasks = fs::read_dir(format!("/proc/{id}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let own = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let own = own.split_whitespace().next();
            nanos += own.and_then(|nanos| nanos.parse().ok()).unwrap_or(0);
        }
    }
    nanos
}

/// Calls `ready` until it says so.
///
/// # Errors
/// When that takes longer than `patience`, or `process` ends before.
pub fn wait_until(
    process: &mut Process,
    patience: Duration,
    mut ready: impl FnMut(&Process) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        process.check()?;
        if ready(process) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!(
                "{} was not ready within {patience:?}: {}",
                process.name,
                process.printed()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::Path,
        thread,
        time::{Duration, Instant},
    };

    use super::{Program, wait_until};

    #[test]
    fn measures_and_stops_a_tree() {
        let directory = tempfile::tempdir().unwrap();
        let script = "sh -c 'while :; do :; done' & echo started; wait";
        let program = Program::on_cores("0", &[], Path::new("sh"), "shell").args(["-c", script]);
        let mut shell = program.start(directory.path()).unwrap();
        let patience = Duration::from_secs(20);
        wait_until(&mut shell, patience, |shell| {
            shell.printed() == "started\n" && shell.cpu() > Duration::from_millis(50)
        })
        .unwrap();
        assert!(shell.resident_bytes().unwrap() > 100_000);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.id()));
        let child = children.unwrap().trim().to_owned();
        drop(shell);
        let deadline = Instant::now() + patience;
        while is_running(&child) {
            assert!(Instant::now() < deadline, "{child} outlives its parent");
            thread::yield_now();
        }
    }

    /// One that has ended may wait for someone to ask how.
    fn is_running(id: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let behind_name = stat.rsplit_once(") ");
        behind_name.is_some_and(|(_, fields)| !fields.starts_with('Z'))
    }
}
