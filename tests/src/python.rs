//! Programs in Python, for peers that are libraries. `tests/run` makes the environment that they
//! run in.

use std::path::{Path, PathBuf};

use crate::process::Process;

/// The interpreter that has `tests/requirements.txt`: that of `target/python`, or another one that
/// `RINGMAIN_PYTHON` names.
pub fn interpreter() -> PathBuf {
    if let Some(path) = std::env::var_os("RINGMAIN_PYTHON") {
        return path.into();
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = tests.with_file_name("target/python/bin/python");
    assert!(path.exists(), "{}: tests/run makes it", path.display());
    path
}

/// Starts a script below `tests/tests`.
pub fn start(script: &str, arguments: &[&str]) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(script);
    let script = script.to_str().expect("a path of the repository is text");
    Process::start(interpreter(), [&["-u", script], arguments].concat())
}
