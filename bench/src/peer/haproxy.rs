//! haproxy, one thread, its connections to the origin shared by all requests.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Peer, fill, free_port};
use crate::{process::Program, table::Table};

/// Starts it before `origin`.
///
/// # Errors
/// When it does not start.
pub fn start(directory: &Path, core: usize, table: Table, origin: SocketAddr) -> Result<Peer> {
    let (config, map) = (directory.join("haproxy.cfg"), directory.join("routes.map"));
    let port = free_port()?;
    fs::write(&map, table.haproxy_map())?;
    let text = fill(
        include_str!("../../peers/haproxy/haproxy.cfg"),
        &[
            ("PORT", &port),
            ("ORIGIN", &origin.port()),
            ("MAP", &map.display()),
        ],
    );
    fs::write(&config, text)?;
    let process = Program::on_core(core, &[], &PathBuf::from("haproxy"), "haproxy")
        .args([Path::new("-db"), Path::new("-f"), &config])
        .start(directory)?;
    Peer::answering(process, port)
}
