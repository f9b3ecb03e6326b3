//! When to read a directory again.
//!
//! inotify says when something changed; a burst of changes counts as one. Since some file systems
//! say nothing (network and overlay file systems, links to elsewhere), the directory is read every
//! now and then in any case, and more often where inotify cannot be had at all.

use std::{
    path::{Path, PathBuf},
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

/// A directory that is watched.
pub(super) struct Watch {
    changes: mpsc::Receiver<()>,
    /// Dropping it ends the watch.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches `root`, and says so when it can only look now and then.
    pub(super) fn new(root: &Path) -> Self {
        // One is enough: it says that something changed, not what.
        let (sender, changes) = mpsc::channel(1);
        let watcher = watch(root, sender)
            .inspect_err(|error| {
                tracing::warn!(
                    directory = %root.display(), %error,
                    "cannot watch for changes; reading it every {POLL_WITHOUT_WATCH:?} instead (is \
                     fs.inotify.max_user_watches large enough?)"
                );
            })
            .ok();
        Self { changes, watcher }
    }

    /// Returns when the directory is to be read: once a burst of changes has ended or goes on for
    /// too long, or when it is time to look in any case.
    pub(super) async fn changed(&mut self) {
        let poll = match self.watcher {
            Some(_) => POLL_WITH_WATCH,
            None => POLL_WITHOUT_WATCH,
        };
        match timeout(poll, self.changes.recv()).await {
            Ok(Some(())) => self.settled().await,
            // Without a watcher there is no sender.
            Ok(None) => tokio::time::sleep(poll).await,
            Err(_) => {}
        }
    }

    async fn settled(&mut self) {
        let at_most = Instant::now() + BURST_MAX;
        loop {
            let quiet = (Instant::now() + QUIET).min(at_most);
            tokio::select! {
                change = self.changes.recv() => if change.is_none() {
                    return;
                },
                () = sleep_until(quiet) => return,
            }
        }
    }
}

fn watch(root: &Path, changes: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let matters = match &event {
            Ok(event) => changes_something(&event.kind),
            // Events were lost, perhaps.
            Err(_) => true,
        };
        if matters {
            // Full: somebody is going to look anyway.
            let _ = changes.try_send(());
        }
    })?;
    if root.is_dir() {
        watcher.watch(root, RecursiveMode::Recursive)?;
    } else {
        // A file that is replaced by a rename is another file; its directory is the same.
        let parent = root
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.map_or_else(|| PathBuf::from("."), Path::to_owned);
        watcher.watch(&parent, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
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

/// A burst of changes ends with this much quiet (Istio's `PILOT_DEBOUNCE_AFTER`).
const QUIET: Duration = Duration::from_millis(100);
/// A burst is cut after this (Istio's `PILOT_DEBOUNCE_MAX`).
const BURST_MAX: Duration = Duration::from_secs(10);
/// For what inotify does not see.
const POLL_WITH_WATCH: Duration = Duration::from_secs(10);
/// In place of inotify.
const POLL_WITHOUT_WATCH: Duration = Duration::from_secs(2);
