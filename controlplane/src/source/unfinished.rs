//! Files that somebody has begun to write and not closed yet.
//!
//! Half a file can be sound: a list that ends early, the first of two documents. Nothing in the
//! text tells, but inotify does: bytes were written, and the file was not closed. Such a file is
//! not read; when it is closed, that is a change like any other. A program that closes a file
//! halfway cannot be told from one that is done.

use std::{
    collections::HashSet,
    path::{Path, PathBuf, absolute},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, ModifyKind},
};

/// Shared by the watch, which is told of writers, and who reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Unfinished {
    /// Absolute.
    paths: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Unfinished {
    /// Whether `path` is being written.
    pub(super) fn has(&self, path: &Path) -> bool {
        absolute(path).is_ok_and(|path| self.lock().contains(&path))
    }

    /// Takes in what inotify says.
    pub(super) fn note(&self, event: &Event) {
        if event.need_rescan() {
            return self.forget();
        }
        let mut paths = self.lock();
        match &event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => paths.extend(event.paths.iter().cloned()),
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => {
                paths.retain(|path| !event.paths.iter().any(|ended| path.starts_with(ended)));
            }
            EventKind::Any
            | EventKind::Access(_)
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Other => {}
        }
    }

    /// Events were lost, or will be: what is not known to be written can be read.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use notify::{
        Event, EventKind,
        event::{
            AccessKind, AccessMode, CreateKind, DataChange, Flag, MetadataKind, ModifyKind,
            RemoveKind, RenameMode,
        },
    };

    use super::Unfinished;

    const CREATED: EventKind = EventKind::Create(CreateKind::File);
    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAMED: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const TOUCHED: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    const REMOVED: EventKind = EventKind::Remove(RemoveKind::File);

    #[test]
    fn a_file_is_unfinished_from_its_first_byte_until_it_is_closed() {
        for (kinds, expected) in [
            (&[][..], false),
            (&[CREATED], false),
            (&[TOUCHED], false),
            (&[CREATED, WRITTEN], true),
            (&[WRITTEN, WRITTEN, TOUCHED], true),
            (&[WRITTEN, CLOSED], false),
            (&[WRITTEN, CLOSED, WRITTEN], true),
            (&[WRITTEN, RENAMED], false),
            (&[WRITTEN, REMOVED], false),
        ] {
            let unfinished = Unfinished::default();
            for kind in kinds {
                unfinished.note(&Event::new(*kind).add_path("/a/b.yaml".into()));
            }
            assert_eq!(
                unfinished.has(Path::new("/a/b.yaml")),
                expected,
                "{kinds:?}"
            );
            assert!(!unfinished.has(Path::new("/a/c.yaml")), "{kinds:?}");
        }
    }

    #[test]
    fn what_is_said_of_a_directory_holds_for_its_files() {
        let unfinished = Unfinished::default();
        unfinished.note(&Event::new(WRITTEN).add_path("/a/b.yaml".into()));
        unfinished.note(&Event::new(RENAMED).add_path("/a".into()));
        assert!(!unfinished.has(Path::new("/a/b.yaml")));
    }

    #[test]
    fn lost_events_keep_no_file_from_being_read() {
        let unfinished = Unfinished::default();
        unfinished.note(&Event::new(WRITTEN).add_path("/a/b.yaml".into()));
        unfinished.note(&Event::new(EventKind::Other).set_flag(Flag::Rescan));
        assert!(!unfinished.has(Path::new("/a/b.yaml")));
    }
}
