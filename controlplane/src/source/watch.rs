//! When to read a directory again.
//!
//! inotify says when something changed; a burst of changes counts as one. Since some file systems
//! say nothing (network and overlay file systems, links to elsewhere), the directory is read every
//! now and then in any case, and more often where inotify cannot be had at all.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf, absolute},
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::unfinished::Unfinished;

/// A directory that is watched.
pub(super) struct Watch {
    root: PathBuf,
    /// What `root` leads to: another one after it was replaced, be it a directory or a link.
    identity: Option<(u64, u64)>,
    sender: mpsc::Sender<Instant>,
    changes: mpsc::Receiver<Instant>,
    unfinished: Unfinished,
    burst: Burst,
    /// Dropping it ends the watch.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches `root` and keeps `unfinished`; says so when it can only look now and then.
    pub(super) fn new(root: &Path, unfinished: Unfinished) -> Self {
        // One is enough: it says that something changed, not what.
        let (sender, changes) = mpsc::channel(1);
        let mut watch = Self {
            root: root.to_owned(),
            identity: identity(root),
            sender,
            changes,
            unfinished,
            burst: Burst::default(),
            watcher: None,
        };
        watch.begin();
        watch
    }

    /// Returns when the directory is to be read: once a burst of changes has ended or goes on for
    /// too long, or when it is time to look in any case. What changes from then on is not missed.
    /// Says when the first sign of a change came.
    pub(super) async fn changed(&mut self) -> Option<std::time::Instant> {
        let poll = match self.watcher {
            Some(_) => POLL_WITH_WATCH,
            None => POLL_WITHOUT_WATCH,
        };
        let first = timeout(poll, self.changes.recv()).await.ok().flatten();
        if first.is_some() {
            self.settled().await;
        }
        let identity = identity(&self.root);
        if identity != self.identity {
            self.identity = identity;
            self.begin();
        }
        first.map(Instant::into_std)
    }

    async fn settled(&mut self) {
        let at_most = Instant::now() + BURST_MAX;
        loop {
            let end = self.burst.change(Instant::now()).min(at_most);
            tokio::select! {
                _ = self.changes.recv() => {}
                () = sleep_until(end) => return self.burst.read(Instant::now()),
            }
        }
    }

    fn begin(&mut self) {
        // First, so that no event of the old watch comes after those of the new one.
        self.watcher = None;
        self.unfinished.forget();
        let watched = watch(&self.root, self.sender.clone(), self.unfinished.clone());
        self.watcher = watched
            .inspect_err(|error| {
                tracing::warn!(
                    directory = %self.root.display(), %error,
                    "cannot watch for changes; reading it every {POLL_WITHOUT_WATCH:?} instead (is \
                     fs.inotify.max_user_watches large enough?)"
                );
            })
            .ok();
    }
}

/// Changes that belong together. A single one is read nearly at once; the longer changes have been
/// coming, the longer is the quiet that ends them.
#[derive(Debug, Default)]
struct Burst {
    /// When it began.
    since: Option<Instant>,
    /// When what it changed was read. What comes soon after belongs to it all the same.
    read: Option<Instant>,
}

impl Burst {
    /// There is a change at `now`; when the burst ends, if it is the last.
    fn change(&mut self, now: Instant) -> Instant {
        let is_over = self.read.is_some_and(|read| now >= read + QUIET_MAX);
        if is_over {
            self.since = None;
        }
        self.read = None;
        let since = *self.since.get_or_insert(now);
        now + (now - since).clamp(QUIET_MIN, QUIET_MAX)
    }

    fn read(&mut self, now: Instant) {
        self.read = Some(now);
    }
}

/// Watches what is below `root`, and its name in the directory it stands in, so that a replacement
/// is seen.
fn watch(
    root: &Path,
    changes: mpsc::Sender<Instant>,
    unfinished: Unfinished,
) -> notify::Result<RecommendedWatcher> {
    let root = absolute(root).map_err(notify::Error::io)?;
    let watched = root.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let matters = match &event {
            Ok(event) if is_about(event, &watched) => {
                unfinished.note(event);
                changes_something(&event.kind)
            }
            Ok(_) => false,
            // Events were lost, perhaps.
            Err(_) => {
                unfinished.forget();
                true
            }
        };
        if matters {
            // Full: somebody is going to look anyway.
            let _ = changes.try_send(Instant::now());
        }
    })?;
    if let Some(parent) = root.parent() {
        watcher.watch(parent, RecursiveMode::NonRecursive)?;
    }
    match fs::metadata(&root) {
        Ok(found) if found.is_dir() => watcher.watch(&root, RecursiveMode::Recursive)?,
        Ok(_) => {}
        // It is away, and its directory says when it is back.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(notify::Error::io(error)),
    }
    Ok(watcher)
}

/// Its directory may be a busy one.
fn is_about(event: &notify::Event, root: &Path) -> bool {
    event.paths.is_empty() || event.paths.iter().any(|path| path.starts_with(root))
}

fn identity(root: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(root).ok()?;
    Some((found.dev(), found.ino()))
}

/// Reading does not; else every reading would cause the next.
fn changes_something(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(access) => *access == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// A single change is read after this much quiet: programs that replace several files, or one by
/// renaming, pause for far less between two steps.
const QUIET_MIN: Duration = Duration::from_millis(10);
/// A long burst of changes ends with this much quiet (Istio's `PILOT_DEBOUNCE_AFTER`).
const QUIET_MAX: Duration = Duration::from_millis(100);
/// A burst is cut after this (Istio's `PILOT_DEBOUNCE_MAX`).
const BURST_MAX: Duration = Duration::from_secs(10);
/// For what inotify does not see.
const POLL_WITH_WATCH: Duration = Duration::from_secs(10);
/// In place of inotify.
const POLL_WITHOUT_WATCH: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Burst;

    /// Changes and readings at so many milliseconds, and how long the quiet after each change is.
    fn check(steps: &[(u64, Option<u64>)]) {
        let start = Instant::now();
        let mut burst = Burst::default();
        for &(at, quiet) in steps {
            let now = start + Duration::from_millis(at);
            match quiet {
                Some(quiet) => {
                    let end = burst.change(now);
                    assert_eq!((end - now).as_millis(), quiet.into(), "{at} of {steps:?}");
                }
                None => burst.read(now),
            }
        }
    }

    #[test]
    fn a_single_change_is_read_soon_and_a_burst_when_it_has_ended() {
        check(&[(0, Some(10)), (10, None), (1000, Some(10))]);
        check(&[
            (0, Some(10)),
            (5, Some(10)),
            (20, Some(20)),
            (90, Some(90)),
            (500, Some(100)),
        ]);
        // Read in between, and it goes on.
        check(&[
            (0, Some(10)),
            (10, None),
            (60, Some(60)),
            (120, None),
            (180, Some(100)),
            (280, None),
            (380, Some(10)),
        ]);
    }
}
