//! `docs/threat-model.md` names tests, tuning keys and metrics that exist.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]

use std::{fs, path::Path};

use ringmain_tests::documents::{names, root};

const DOCUMENT: &str = "docs/threat-model.md";

/// All of the sources at this place, a file or a directory.
fn sources(path: &Path) -> String {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries
            .map(|entry| sources(&entry.unwrap().path()))
            .collect();
    }
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn tests_exist() {
    let mut count = 0;
    for name in names(DOCUMENT) {
        let Some((file, function)) = name.split_once("::") else {
            continue;
        };
        let tests = root().join("tests/tests");
        let source = sources(&tests.join(format!("{file}.rs"))) + &sources(&tests.join(file));
        assert!(
            source.contains(&format!("fn {function}(")),
            "there is no test {name}"
        );
        count += 1;
    }
    assert!(count > 20, "{count} tests are named");
}

#[test]
fn tuning_keys_exist() {
    let keys = sources(&root().join("config/src/tuning/keys.rs"));
    let names = names(DOCUMENT).into_iter();
    let keys_named: Vec<_> = names
        .filter(|name| name.starts_with("limits.") || name.starts_with("http."))
        .collect();
    for name in &keys_named {
        let key = name.split('.').next_back().unwrap();
        assert!(
            keys.contains(&format!(" {key}: ")),
            "there is no key {name}"
        );
    }
    assert!(keys_named.len() > 10, "{keys_named:?}");
}

#[test]
fn metrics_exist() {
    let sources = sources(&root().join("dataplane/src/metrics"));
    for name in names(DOCUMENT)
        .iter()
        .filter(|name| name.starts_with("ringmain_"))
    {
        assert!(
            sources.contains(&format!("\"{name}\"")),
            "there is no metric {name}"
        );
    }
}

#[test]
fn rules_exist() {
    let reasons = sources(&root().join("core/src/http1/reject.rs"));
    for name in names(DOCUMENT)
        .iter()
        .filter(|name| name.starts_with("http1."))
    {
        let name = name.trim_end_matches('*');
        assert!(
            reasons.contains(&format!("\"{name}")),
            "there is no rule {name}"
        );
    }
}
