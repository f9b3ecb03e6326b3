//! The documents and sources of this repository, for tests that hold one against the other.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The workspace's directory.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

/// Everything between backticks in the document at `path` from the [`root`].
pub fn names(path: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(path));
    let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
    let names = text.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}
