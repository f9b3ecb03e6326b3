//! What lints cannot see: which way the crates' arrows point, where the runtime and `unsafe` may
//! be named, how long files are, and that documents' links lead somewhere.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]

use std::{collections::BTreeMap, fs};

use ringmain_tests::documents::root;

/// Lines above which a file has a seam that was not found.
const LINES_MAX: usize = 800;

/// Columns of a line.
const COLUMNS_MAX: usize = 100;
/// Columns of prose in documents, which has longer words.
const PROSE_COLUMNS_MAX: usize = 105;
/// Directories in which lines are longer still, and how many: these numbers may only become less.
const LONGER: [(&str, usize); 6] = [
    ("cli", 11),
    ("config", 1),
    ("controlplane", 14),
    ("core", 13),
    ("dataplane", 10),
    ("tests", 23),
];

/// Files of the repository with this ending, as paths relative to its root.
fn files(ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    directories.push(path);
                }
            } else if name.ends_with(ending) {
                let relative = path.strip_prefix(root()).unwrap();
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} file was found");
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let crates: [(&str, &[&str]); 9] = [
        ("config", &[]),
        ("core", &["config"]),
        ("ring", &[]),
        ("dataplane", &["config", "core", "ring"]),
        ("controlplane", &["config", "core"]),
        ("loadgen", &["core", "ring"]),
        (
            "cli",
            &[
                "config",
                "core",
                "dataplane",
                "controlplane",
                "loadgen",
                "bench",
            ],
        ),
        ("bench", &[]),
        ("tests", &[]),
    ];
    for (name, allowed) in crates {
        let manifest = read(&format!("{name}/Cargo.toml"));
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        for line in dependencies
            .lines()
            .filter(|line| line.starts_with("ringmain-"))
        {
            let other = line["ringmain-".len()..]
                .split(['.', ' ', '='])
                .next()
                .unwrap();
            assert!(
                allowed.contains(&other),
                "{name} must not depend on {other}"
            );
        }
    }
}

#[test]
fn the_runtime_and_unsafe_stay_in_their_folder() {
    for file in files(".rs")
        .iter()
        .filter(|file| !file.starts_with("tests/"))
    {
        let is_io = file.starts_with("dataplane/src/io/");
        let text = read(file);
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            if line.contains("monoio::") {
                assert!(
                    is_io || file.starts_with("loadgen/") || file.starts_with("ring/"),
                    "{file} names monoio: {line}"
                );
            }
            let is_unsafe = line.contains("unsafe {") || line.contains("unsafe fn");
            assert!(!is_unsafe || is_io, "{file} must not be unsafe: {line}");
        }
    }
}

#[test]
fn files_have_a_length_that_can_be_read() {
    for file in files(".rs") {
        let lines = read(&file).lines().count();
        assert!(
            lines <= LINES_MAX,
            "{file} has {lines} lines: where is its seam?"
        );
    }
}

#[test]
fn lines_have_a_length_that_can_be_read() {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files(".rs") {
        let text = read(&file);
        let long = text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.chars().count() > COLUMNS_MAX && is_breakable(line));
        let places: Vec<_> = long
            .map(|(index, line)| format!("{file}:{}: {}", index + 1, line.trim()))
            .collect();
        let directory = file.split('/').next().unwrap().to_owned();
        found.entry(directory).or_default().extend(places);
    }
    let mut wrong = String::new();
    for (directory, places) in found {
        let known = LONGER.iter().find(|(known, _)| *known == directory);
        let most = known.map_or(0, |(_, most)| *most);
        let count = places.len();
        if count > most {
            wrong += &format!(
                "{directory}/ has {count} lines of more than {COLUMNS_MAX} columns, \
                 not {most}:\n{}\n",
                places.join("\n")
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whether a line has a place at which it could end: it is not a single word, such as a URL in a
/// comment or a literal without a space.
/// Tables and what programs print are as long as they are. So are the results of the benchmark,
/// which are written by one.
#[test]
fn prose_has_lines_that_can_be_read() {
    for file in files(".md") {
        if file == "docs/benchmarks.md" || file.starts_with("bench/") {
            continue;
        }
        let text = read(&file);
        let mut is_printed = false;
        for (line, number) in text.lines().zip(1..) {
            let line_start = line.trim_start();
            is_printed ^= line_start.starts_with("```");
            let columns = line.chars().count();
            let is_prose = !is_printed && !line_start.starts_with('|');
            assert!(
                !is_prose || columns <= PROSE_COLUMNS_MAX,
                "{file}:{number} has {columns} columns of prose; break it before {COLUMNS_MAX}"
            );
        }
    }
}

fn is_breakable(line: &str) -> bool {
    let line = line.trim_start();
    let text = ["//!", "///", "//"]
        .iter()
        .find_map(|marker| line.strip_prefix(marker));
    text.unwrap_or(line).trim().contains(char::is_whitespace)
}

#[test]
fn only_a_single_word_may_be_too_long() {
    let word = "w".repeat(COLUMNS_MAX);
    for (line, expected) in [
        (format!("    \"{word}\","), false),
        (format!("    /// https://{word}"), false),
        (format!("    /// See {word}"), true),
        (format!("    let {word} = 1;"), true),
    ] {
        assert_eq!(is_breakable(&line), expected, "{line}");
    }
}

#[test]
fn modules_say_what_they_are_for() {
    for file in files(".rs") {
        if file.contains("/src/") && !file.ends_with("/tests.rs") {
            let text = read(&file);
            assert!(
                text.starts_with("//! "),
                "{file} begins with no module comment"
            );
        }
    }
}

#[test]
fn links_of_documents_lead_somewhere() {
    for file in files(".md") {
        let text = read(&file);
        let directory = root().join(&file).parent().unwrap().to_owned();
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap();
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(
                directory.join(path).exists(),
                "{file} links to {target}, which is not there"
            );
        }
    }
}
