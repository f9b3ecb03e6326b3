//! `docs/life-of-a-request.md` names files, functions, types and tuning keys that exist.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use ringmain_tests::documents::{names, root};

const DOCUMENT: &str = "docs/life-of-a-request.md";

/// The sources that the document is about, each with its path.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root().join("dataplane/src"), root().join("core/src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The text defines a function or a type of this name.
fn defines(text: &str, name: &str) -> bool {
    ["fn", "struct", "enum"].iter().any(|kind| {
        let definition = format!("{kind} {name}");
        text.match_indices(&definition).any(|(at, _)| {
            let next = text[at + definition.len()..].chars().next();
            next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
        })
    })
}

/// The file is the module of this name, lies in its directory, or has an `impl` of that type.
fn belongs_to(path: &Path, text: &str, owner: &str) -> bool {
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    let is_module = parts.any(|part| part.strip_suffix(".rs").unwrap_or(&part) == owner);
    let mut impls = text.lines().filter(|line| line.starts_with("impl"));
    is_module || impls.any(|line| line.contains(&format!(" {owner}")))
}

#[test]
fn files_exist() {
    let mut count = 0;
    for name in names(DOCUMENT).iter().filter(|name| name.ends_with(".rs")) {
        let is_there = ["dataplane/src", ""]
            .iter()
            .any(|folder| root().join(folder).join(name).is_file());
        assert!(is_there, "there is no file {name}");
        count += 1;
    }
    assert!(count > 20, "{count} files are named");
}

#[test]
fn functions_and_types_exist() {
    let sources = sources();
    let mut count = 0;
    for name in names(DOCUMENT)
        .iter()
        .filter(|name| !name.contains(['.', '/']))
    {
        let mut parts = name.rsplit("::");
        let last = parts.next().unwrap();
        let owner = parts.next();
        let is_there = sources.iter().any(|(path, text)| {
            defines(text, last) && owner.is_none_or(|owner| belongs_to(path, text, owner))
        });
        assert!(is_there, "there is no {name}");
        count += 1;
    }
    assert!(count > 40, "{count} functions and types are named");
}

#[test]
fn tuning_keys_exist() {
    let keys = fs::read_to_string(root().join("config/src/tuning/keys.rs")).unwrap();
    for name in names(DOCUMENT) {
        if let Some(key) = name.strip_prefix("limits.") {
            assert!(
                keys.contains(&format!(" {key}: ")),
                "there is no key {name}"
            );
        }
    }
}
