//! nginx as the origin.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{Peer, fill, free_port};
use crate::process::Program;

/// Starts it.
///
/// # Errors
/// When it does not start.
pub fn start(directory: &Path, core: usize) -> Result<Peer> {
    let config = directory.join("nginx.conf");
    let port = free_port()?;
    let text = fill(
        include_str!("../../peers/nginx/nginx.conf"),
        &[("PORT", &port), ("DIR", &directory.display())],
    );
    fs::write(&config, text)?;
    let process = Program::on_core(core, &[], &PathBuf::from("nginx"), "direct")
        .args([Path::new("-c"), &config])
        .start(directory)?;
    Peer::answering(process, port)
}
