//! The YAML files of a directory and those below it.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Ends with `.yaml` or `.yml`; what it is shows when it is read.
    pub(super) files: BTreeSet<PathBuf>,
    /// Directories that could not be listed: nothing is known of what is below them.
    pub(super) unknown: Vec<(PathBuf, io::Error)>,
    /// There are more than [`FILES_MAX`]; `files` is not complete.
    pub(super) too_many: bool,
}

/// Lists `root`. Names that begin with a dot are passed over: editors' and Kubernetes' own (a
/// mounted ConfigMap's files are links through `..data`, which is replaced whole). Links are
/// followed; a directory that two paths lead to is listed once.
pub(super) fn walk(root: &Path) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        if let Err(error) = list(&directory, &mut seen, &mut left, &mut found) {
            found.unknown.push((directory, error));
        }
    }
    found
}

fn list(
    directory: &Path,
    seen: &mut BTreeSet<PathBuf>,
    left: &mut Vec<PathBuf>,
    found: &mut Found,
) -> io::Result<()> {
    if !seen.insert(fs::canonicalize(directory)?) {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() {
            left.push(path);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            if found.files.len() == FILES_MAX {
                found.too_many = true;
                return Ok(());
            }
            found.files.insert(path);
        }
    }
    Ok(())
}

/// More is taken for a wrong directory.
pub(super) const FILES_MAX: usize = 10_000;
