//! A whole mesh on this host: `ringmain demo`.

mod addresses;
pub(crate) mod app;
mod cast;
mod files;
mod observe;

use crate::fault::{Exit, Fault};

/// Show a mesh at work.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_arguments: &Arguments) -> Result<Exit, Fault> {
    Ok(Exit::Fine)
}
