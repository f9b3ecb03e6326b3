//! Where resources come from. So far: a directory of YAML files.
//!
//! [`files`] reads the directory and remembers the last good state of each file; [`watch`] says
//! when to read it again. Neither decides whether the resources fit together; that is decided where
//! they become a [`World`](crate::world::World).

pub mod files;
mod unfinished;
mod walk;
mod watch;

use std::{path::Path, sync::Arc, time::Instant};

use ringmain_config::problem::Problem;
use serde::{Deserialize, Serialize};
use tokio::sync::watch as latest;

use self::{
    files::{Files, Took},
    unfinished::Unfinished,
    watch::Watch,
};
use crate::resource::Resource;

/// What the source says at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// In force: of each file its last good state.
    pub resources: Vec<Arc<Resource>>,
    /// One for each file, in the order of their names.
    pub files: Vec<FileReport>,
    /// Problems with the directory itself.
    pub problems: Vec<Problem>,
    /// How it was read; absent for the first one.
    pub(crate) timing: Option<Timing>,
}

/// When a change of the files was noticed, and what it took to read it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// When the first sign of it came.
    pub(crate) noticed: Instant,
    /// When reading began.
    pub(crate) began: Instant,
    pub(crate) took: Took,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// As the control plane was told of the directory.
    pub file: String,
    /// Whether it is in force as it is now.
    pub state: FileState,
    /// How many resources of it are in force.
    pub resources: usize,
    /// With the file as it is now.
    pub problems: Vec<Problem>,
}

/// Whether a file is in force as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// It is.
    InForce,
    /// It cannot be used; what it said before stays in force.
    LastGood,
    /// It cannot be used and said nothing before: nothing of it is in force.
    Refused,
}

/// Reads `files` again whenever the directory changes and passes on what it then says, until nobody
/// listens any more. A reading that says the same as the one before is not passed on.
pub async fn follow(mut files: Files, readings: latest::Sender<Reading>) {
    let unfinished = Unfinished::default();
    let mut watch = Watch::new(files.root(), unfinished.clone());
    let mut watched_for_some_time = false;
    loop {
        let mut noticed = None;
        // At first it is read at once: for what changed before it was watched.
        if watched_for_some_time {
            tokio::select! {
                first = watch.changed() => noticed = first,
                () = readings.closed() => return,
            }
        }
        watched_for_some_time = true;
        // File systems can be slow; proxies are not to wait for them.
        let unfinished = unfinished.clone();
        let began = Instant::now();
        let read = tokio::task::spawn_blocking(move || {
            let changed = files.read(&unfinished);
            (files, changed)
        });
        let changed;
        (files, changed) = match read.await {
            Ok(read) => read,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime shuts down.
            Err(_) => return,
        };
        let took = files.took();
        tracing::debug!(read = ?took.read, parse = ?took.parse, changed, "resources read");
        if changed {
            let timing = Timing {
                noticed: noticed.unwrap_or(began),
                began,
                took,
            };
            readings.send_replace(Reading {
                timing: Some(timing),
                ..files.reading()
            });
        }
    }
}

/// Reads a directory, or a single file, once.
///
/// # Errors
/// When there is nothing to read; what is wrong with the files is in the [`Reading`].
pub fn load(path: &Path) -> Result<Reading, Problem> {
    Files::open(path).map(|files| files.reading())
}

impl Reading {
    /// Every problem: of the directory, then of the files.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let files = self.files.iter().flat_map(|file| &file.problems);
        self.problems.iter().chain(files)
    }

    /// Something is wrong beyond a warning.
    pub fn has_errors(&self) -> bool {
        self.problems().any(crate::is_error)
    }
}
