//! The program's own messages: one short line each on standard error.

use std::{io::IsTerminal, str::FromStr};

use ringmain_config::tuning::Level;
use tracing::level_filters::LevelFilter;

use crate::fault::Fault;

/// Wins over the tuning file, for one run.
const VARIABLE: &str = "RINGMAIN_LOG";

/// Starts to write the messages that `filter` lets pass.
pub(crate) fn start(filter: LevelFilter) -> Result<(), Fault> {
    let filter = match std::env::var(VARIABLE) {
        Ok(text) => LevelFilter::from_str(&text).map_err(|_| {
            Fault::Usage(format!(
                "{VARIABLE}={text:?} is not a level; write off, error, warn, info, debug or trace"
            ))
        })?,
        Err(_) => filter,
    };
    // A second subscriber cannot be set; there is one command per process.
    let _ = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(filter)
        .log_internal_errors(false)
        .compact()
        .try_init();
    Ok(())
}

/// What the tuning file's word lets pass.
pub(crate) fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}
