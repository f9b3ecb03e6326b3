//! Envoy.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Carries, Running, Task, fill, free_port};
use crate::process::Program;

/// Starts it.
///
/// # Errors
/// When it does not start.
pub fn start(directory: &Path, cores: &str, task: &Task) -> Result<Running> {
    let config = directory.join("envoy.yaml");
    let port = free_port()?;
    let (template, hosts) = match task.carries {
        Carries::Http(table, _) => (
            include_str!("../../peers/envoy/http.yaml"),
            table.envoy_virtual_hosts(),
        ),
        Carries::Tcp(_) => (include_str!("../../peers/envoy/tcp.yaml"), String::new()),
    };
    let text = fill(
        template,
        &[
            ("PORT", &port),
            ("ORIGIN", &task.origin.port()),
            ("VIRTUAL_HOSTS", &hosts),
        ],
    );
    fs::write(&config, text)?;
    let process = Program::on_cores(cores, &[], &PathBuf::from("envoy"), "envoy")
        .args([Path::new("--config-path"), &config])
        .args(["--concurrency", &task.workers.to_string()])
        .args(["--disable-hot-restart", "--log-level", "error"])
        .start(directory)?;
    Running::ready(process, port, task.carries)
}
