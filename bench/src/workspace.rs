//! The one directory below which a run keeps everything that is not a result, and how it goes away:
//! at the end of the run, when a signal ends it, or when a later run finds what a killed one left.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, TERM_SIGNALS},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use tempfile::TempDir;

use crate::process::kill_descendants;

/// Before the process id of the run.
const PREFIX: &str = "ringmain-bench-";
/// Held by a run for as long as it lives, wherever its process id means something.
const LOCK: &str = "lock";
/// Until it is held, when nobody may take it for one that was given up.
const LOCK_TO_BE: &str = "lock.new";
/// How long a directory may be without its lock: making one takes milliseconds, on a machine that
/// is too busy a little longer.
const YOUNG: Duration = Duration::from_secs(60);

/// A run's directory. It goes when this is dropped.
#[derive(Debug)]
pub struct Workspace {
    root: TempDir,
    _lock: File,
    /// Held by whoever ends the process: the end of the run, or a signal.
    ending: Arc<Mutex<()>>,
}

impl Workspace {
    /// Makes it, and removes those of runs that are no more.
    ///
    /// # Errors
    /// When it cannot be made, or signals cannot be received.
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_left_overs(&parent);
        let root = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", process::id()))
            .tempdir_in(&parent)
            .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        let lock = lock(root.path())?;
        let ending = Arc::default();
        clean_up_on_signals(root.path(), &ending)?;
        Ok(Self {
            root,
            _lock: lock,
            ending,
        })
    }

    /// One more directory in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn directory(&self) -> Result<TempDir> {
        Ok(tempfile::tempdir_in(self.root.path())?)
    }

    /// To be called once, before the process ends by itself: a signal does not end it any more.
    /// When one does already, this does not return.
    pub fn end(&self) {
        // Whoever holds it never gives it back.
        std::mem::forget(self.ending.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Makes the lock of a run's directory. Whoever sees it, sees it held.
fn lock(root: &Path) -> Result<File> {
    let to_be = root.join(LOCK_TO_BE);
    let lock = File::create(&to_be).with_context(|| format!("cannot make {}", to_be.display()))?;
    lock.lock()
        .with_context(|| format!("cannot lock {}", to_be.display()))?;
    fs::rename(&to_be, root.join(LOCK))
        .with_context(|| format!("cannot rename {}", to_be.display()))?;
    Ok(lock)
}

/// Ends the process as the signal would have, after everything that it has started.
fn clean_up_on_signals(root: &Path, ending: &Arc<Mutex<()>>) -> Result<()> {
    let mut signals =
        Signals::new(TERM_SIGNALS.iter().chain(&[SIGHUP])).context("cannot receive signals")?;
    let (root, ending) = (root.to_owned(), Arc::clone(ending));
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let Some(signal) = signals.forever().next() else {
                return;
            };
            let _ending = ending.lock().unwrap_or_else(PoisonError::into_inner);
            kill_descendants();
            // What cannot be removed is left for the next run.
            let _ = fs::remove_dir_all(root);
            let _ = emulate_default_handler(signal);
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// Directories of runs whose process is no more. What cannot be looked at or removed stays.
fn remove_left_overs(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if is_left_over(&path) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn is_left_over(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let rest = name.and_then(|name| name.strip_prefix(PREFIX));
    let owner = rest.and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    let Some(owner) = owner else {
        return false;
    };
    let is_alive = PathBuf::from(format!("/proc/{owner}")).exists();
    !is_alive && !is_held(path)
}

/// By a process that this namespace of processes may not show, as others that share the directory
/// of temporary files do not.
fn is_held(path: &Path) -> bool {
    match File::open(path.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_err(),
        // Its run has begun just now, or has never come so far.
        Err(error) if error.kind() == ErrorKind::NotFound => is_young(path),
        Err(_) => true,
    }
}

/// Also when the clock was set back, or nobody knows.
fn is_young(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = changed.map(|changed| changed.elapsed().unwrap_or_default());
    age.map_or(true, |age| age < YOUNG)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_directories_of_runs_that_are_no_more_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        // Greater than any process id (proc(5): at most 2^22).
        let dead = 1 << 23;
        let make = |name: String| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let gone = make(format!("{PREFIX}{dead}-a"));
        drop(lock(&gone).unwrap());
        fs::write(gone.join("file"), "").unwrap();
        let held = make(format!("{PREFIX}{dead}-b"));
        let lock = lock(&held).unwrap();
        let begun = make(format!("{PREFIX}{dead}-d"));
        let kept = [
            held.clone(),
            begun.clone(),
            make(format!("{PREFIX}{}-c", process::id())),
            make(format!("{PREFIX}x")),
            make("other".to_owned()),
        ];
        remove_left_overs(parent.path());
        assert!(!gone.exists());
        for path in kept {
            assert!(path.exists(), "{}", path.display());
        }
        drop(lock);
        let long_ago = SystemTime::now() - 2 * YOUNG;
        let directory = File::open(&begun).unwrap();
        directory.set_modified(long_ago).unwrap();
        remove_left_overs(parent.path());
        assert!(!held.exists() && !begun.exists());
    }
}
