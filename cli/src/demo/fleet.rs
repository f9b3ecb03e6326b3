//! The demo's processes: started with a log each, watched, and ended together.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{http::Http, ready::Probe};
use crate::{children::Running, fault::Fault};

/// Lines of a log that tell why its process is in trouble.
const LAST_LINES: usize = 12;
/// Between two looks at what is awaited.
const POLL: Duration = Duration::from_millis(20);

/// All of them.
#[derive(Debug)]
pub(super) struct Fleet {
    logs: PathBuf,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    running: Running,
    log: PathBuf,
}

impl Fleet {
    /// None yet; logs are written below `directory`.
    pub(super) fn new(directory: &Path) -> Result<Self, Fault> {
        let logs = directory.join("logs");
        fs::create_dir(&logs).map_err(|error| unwritable(&logs, &error))?;
        Ok(Self {
            logs,
            members: Vec::new(),
        })
    }

    /// Starts this program with `arguments`, to be called `name`.
    pub(super) fn start(&mut self, name: &str, arguments: &[&str]) -> Result<(), Fault> {
        let log = self.logs.join(format!("{}.log", name.replace(' ', "-")));
        let file = File::create(&log).map_err(|error| unwritable(&log, &error))?;
        let running = Running::start_logged(name, arguments, &file)?;
        self.members.push(Member { running, log });
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// # Errors
    /// When one of them has ended: none is to. It is named once.
    pub(super) fn check(&mut self) -> Result<(), Fault> {
        for index in 0..self.members.len() {
            if let Some(status) = self.members[index].running.has_ended()? {
                let member = self.members.remove(index);
                return Err(Fault::new(format!(
                    "the {} ended with {status}\n{}",
                    member.running.name,
                    last_lines(&member.log)
                )));
            }
        }
        Ok(())
    }

    /// Waits until all probes succeed.
    ///
    /// # Errors
    /// When one of the processes ends, or a probe has no success within `patience`: its name, why,
    /// and the last lines of its log.
    pub(super) async fn wait(
        &mut self,
        http: &Http,
        mut probes: Vec<(String, Probe)>,
        patience: Duration,
    ) -> Result<(), Fault> {
        let deadline = Instant::now() + patience;
        while let Some((name, probe)) = probes.last() {
            self.check()?;
            match probe.look(http).await {
                Ok(()) => drop(probes.pop()),
                Err(_) if Instant::now() < deadline => sleep(POLL).await,
                Err(last) => {
                    return Err(Fault::new(format!(
                        "the {name} was not ready within {patience:?}: {last}\n{}",
                        self.last_lines_of(name)
                    )));
                }
            }
        }
        Ok(())
    }

    fn last_lines_of(&self, name: &str) -> String {
        let mut members = self.members.iter();
        let member = members.find(|member| member.running.name == name);
        member.map_or_else(String::new, |member| last_lines(&member.log))
    }

    /// Tells all to stop and waits for their ends; those that have not ended after `patience` are
    /// killed.
    ///
    /// # Errors
    /// Of every process that did not end well.
    pub(super) async fn stop(mut self, patience: Duration) -> Vec<Fault> {
        for member in &mut self.members {
            member.running.release();
        }
        let deadline = Instant::now() + patience;
        let mut faults = Vec::new();
        for member in self.members {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Err(fault) = member.running.stop(left).await {
                let text = format!("{}\n{}", message(&fault), last_lines(&member.log));
                faults.push(Fault::new(text));
            }
        }
        faults
    }
}

/// Without the program's name, which the whole message begins with.
fn message(fault: &Fault) -> String {
    let text = fault.to_string();
    text.strip_prefix("ringmain: ").unwrap_or(&text).to_owned()
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(format!("cannot write {}: {error}", path.display()))
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return format!("it wrote nothing to {}", log.display());
    }
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    format!("the end of its log:\n    {}", last.join("\n    "))
}
