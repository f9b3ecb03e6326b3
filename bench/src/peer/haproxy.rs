//! haproxy, its connections to the origin shared by all requests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Carries, Running, Size, Task, fill, free_port};
use crate::{process::Program, table::Table};

/// Bytes of haproxy's buffers: its default, and one that holds a large answer or body as a whole,
/// which costs it less for those and more for small ones.
const BUFFER_BYTES: [u32; 2] = [16_384, 98_304];

/// Starts it.
///
/// # Errors
/// When it does not start.
pub fn start(directory: &Path, cores: &str, task: &Task) -> Result<Running> {
    let (config, map) = (directory.join("haproxy.cfg"), directory.join("routes.map"));
    let port = free_port()?;
    let (template, table, size) = match task.carries {
        Carries::Http(table, size) => (include_str!("../../peers/haproxy/http.cfg"), table, size),
        Carries::Tcp(size) => (
            include_str!("../../peers/haproxy/tcp.cfg"),
            Table::SMALL,
            size,
        ),
    };
    let buffer = match size {
        Size::Small => BUFFER_BYTES[0],
        Size::Large => BUFFER_BYTES[1],
    };
    fs::write(&map, table.haproxy_map())?;
    let text = fill(
        template,
        &[
            ("PORT", &port),
            ("ORIGIN", &task.origin.port()),
            ("WORKERS", &task.workers),
            ("BUFFER", &buffer),
            ("CHOICE", &table.haproxy_choice(&map.display().to_string())),
        ],
    );
    fs::write(&config, text)?;
    let process = Program::on_cores(cores, &[], &PathBuf::from("haproxy"), "haproxy")
        .args([Path::new("-db"), Path::new("-f"), &config])
        .start(directory)?;
    Running::ready(process, port, task.carries)
}
