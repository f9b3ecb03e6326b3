//! `ringmain completion`: a completion script for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{
    CommandLine,
    fault::{Exit, Fault},
    output,
};

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringmain completion bash > /etc/bash_completion.d/ringmain")]
pub(crate) struct Arguments {
    /// Which shell.
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut CommandLine::command(),
        "ringmain",
        &mut script,
    );
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
