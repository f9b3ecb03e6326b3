//! The files of `corpus/`, one directory for each target.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Target, cut};

/// Files of a target by their names, in their order.
///
/// # Errors
/// The file system's.
pub fn files(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory(target))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.push((name, fs::read(path)?));
    }
    files.sort();
    Ok(files)
}

/// Where they are.
pub fn directory(target: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("corpus").join(target)
}

/// All that a target begins with: its files, and its seeds from elsewhere.
///
/// # Errors
/// The file system's.
pub fn all(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let files = files(target.name)?.into_iter().map(|(_, bytes)| bytes);
    Ok(files.chain((target.seeds)()).collect())
}

/// Keeps an input under a name made of what came of it.
///
/// # Errors
/// The file system's.
pub fn keep(target: &str, outcome: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    let word = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter.to_ascii_lowercase(),
        false => '-',
    };
    let name: String = outcome.chars().take(80).map(word).collect();
    let words: Vec<_> = name.split('-').filter(|word| !word.is_empty()).collect();
    let name = format!("{}-{:04x}", words.join("-"), cut::hash(bytes) & 0xffff);
    let path = directory(target).join(name);
    fs::write(&path, bytes)?;
    Ok(path)
}
