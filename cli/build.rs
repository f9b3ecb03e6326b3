//! Says what the program is built from, for `ringmain --version`: the revision, and whether
//! anything differed from it. Without git, or outside of a repository, it is unknown.

use std::process::Command;

fn main() {
    // Anything else that git knows of a tree is no reason to build anew: what is compiled into the
    // program is.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--path-format=absolute", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    for folder in [
        "bench",
        "cli",
        "config",
        "controlplane",
        "core",
        "dataplane",
        "loadgen",
        "ring",
    ] {
        println!("cargo::rerun-if-changed=../{folder}/src");
    }
    println!("cargo::rerun-if-changed=../Cargo.lock");
    let revision = match git(&["rev-parse", "--short=12", "HEAD"]) {
        None => "unknown".to_owned(),
        Some(head) => match git(&["status", "--porcelain", "--untracked-files=no"]).as_deref() {
            Some("") => head,
            _ => format!("{head}, with changes"),
        },
    };
    println!("cargo::rustc-env=RINGMAIN_REVISION={revision}");
}

/// What git prints; `None` when it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
