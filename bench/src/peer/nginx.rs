//! nginx, as a proxy and as an origin.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Carries, Running, Size, Task, fill, free_port};
use crate::{
    process::{Process, Program},
    table::Table,
};

/// Starts it as a proxy.
///
/// # Errors
/// When it does not start.
pub fn start(directory: &Path, cores: &str, task: &Task) -> Result<Running> {
    let port = free_port()?;
    let (template, servers) = match task.carries.table() {
        Some(table) => (
            include_str!("../../peers/nginx/http.conf"),
            table.nginx_servers(port),
        ),
        None => (include_str!("../../peers/nginx/tcp.conf"), String::new()),
    };
    let buffer = match task.carries.size() {
        Size::Small => "16k",
        Size::Large => "256k",
    };
    let master = if task.workers > 1 { "on" } else { "off" };
    let text = fill(
        template,
        &[
            ("PORT", &port),
            ("ORIGIN", &task.origin.port()),
            ("WORKERS", &task.workers),
            ("MASTER", &master),
            ("DIR", &directory.display()),
            ("SERVERS", &servers),
            ("BUFFER", &buffer),
        ],
    );
    let process = run(directory, cores, &text, "nginx")?;
    Running::ready(process, port, task.carries)
}

/// Starts it as an origin: where it listens.
///
/// # Errors
/// When it does not start.
pub fn origin(directory: &Path, cores: &str) -> Result<(SocketAddr, Process)> {
    let folder = directory.join("nginx-origin");
    let files = folder.join("files/bytes");
    fs::create_dir_all(&files)?;
    for bytes in [100, 1024, 65_536] {
        let digits = b"0123456789".iter().copied().cycle();
        let content: Vec<u8> = digits.take(bytes).collect();
        fs::write(files.join(bytes.to_string()), content)
            .with_context(|| format!("cannot write to {}", files.display()))?;
    }
    let port = free_port()?;
    let text = fill(
        include_str!("../../peers/nginx/origin.conf"),
        &[("PORT", &port), ("DIR", &folder.display())],
    );
    let process = run(&folder, cores, &text, "origin")?;
    let carries = Carries::Http(Table::SMALL, Size::Small);
    let running = Running::ready(process, port, carries)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok((address, running.process))
}

fn run(directory: &Path, cores: &str, text: &str, name: &'static str) -> Result<Process> {
    let config = directory.join("nginx.conf");
    fs::write(&config, text)?;
    // Modules are looked for below the prefix, which Debian sets for them; logs go where we say.
    Program::on_cores(cores, &[], &PathBuf::from("nginx"), name)
        .args([Path::new("-c"), &config])
        .start(directory)
}
