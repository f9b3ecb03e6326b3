//! The program under test: built once for each test binary, found wherever cargo puts it.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// Path of `ringmain`. `RINGMAIN_BINARY` names another one to test, a release build for example.
pub fn ringmain() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("RINGMAIN_BINARY") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// Runs `ringmain` to its end: exit code, standard output, standard error.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> (i32, String, String) {
    let output = Command::new(ringmain())
        .args(arguments)
        .env_remove("RINGMAIN_LOG")
        .env_remove("RINGMAIN_SOCKET")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code().expect("it ends by itself"),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// Cargo says where it is, whatever target directory and profile are in use. As nothing has changed
/// since the tests were built, this takes cargo a moment.
fn build() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--workspace", "--bin", "ringmain"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.output().expect("cargo is there: it runs this test");
    assert!(output.status.success(), "ringmain does not build");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "ringmain")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the executable that it built")
}
