//! curl, a client that we did not write.

use std::{ffi::OsStr, process::Command};

/// What curl got.
#[derive(Debug)]
pub struct Output {
    /// Exit code; 0 is success.
    pub code: i32,
    /// Standard output: the body, and what `-w` asked for.
    pub out: Vec<u8>,
    /// Standard error.
    pub error: String,
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

/// Runs curl without its progress meter and configuration file.
pub fn curl<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    let output = Command::new("curl")
        .args([
            "--disable",
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ])
        .args(arguments)
        .output()
        .expect("curl is there: tests/run installs it");
    Output {
        code: output.status.code().expect("curl ends by itself"),
        out: output.stdout,
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
