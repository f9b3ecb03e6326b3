//! Replays the corpus of every target and the tables of malformed messages, and then tries some
//! thousand mutations of them, always the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{collections::BTreeSet, fs, path::Path};

use ringmain_fuzz::{
    TARGETS, Target, corpus,
    mutate::{self, Until},
};

/// Of all corpora together: they are read by people, and by every run of the tests.
const BYTES_MAX: usize = 1 << 20;

fn replay(name: &str) {
    let target = target(name);
    let files = corpus::files(name).unwrap();
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    for (file, bytes) in &files {
        let said = mutate::call(target, bytes);
        assert!(said.is_ok(), "{name}/{file}: {said:?}");
    }
    let seeds = corpus::all(target).unwrap();
    let outcomes: BTreeSet<_> = seeds.iter().map(|bytes| (target.run)(bytes)).collect();
    assert!(
        outcomes.len() >= 5,
        "it says the same of everything: {outcomes:?}"
    );
    let found = mutate::run(target, seeds, 1, Until::Tried(3000));
    if let Some((bytes, said)) = found.broken {
        panic!("{said}\n{name}: {}", bytes.escape_ascii());
    }
}

fn target(name: &str) -> &'static Target {
    static TARGETS_HERE: [Target; 8] = TARGETS;
    TARGETS_HERE
        .iter()
        .find(|target| target.name == name)
        .unwrap()
}

macro_rules! replays {
    ($($name:ident),+) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })+

        /// Nobody is left out.
        #[test]
        fn every_target_has_a_test_and_a_corpus() {
            let tests = [$(stringify!($name)),+];
            let targets = TARGETS.map(|target| target.name);
            assert_eq!(targets, tests);
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
            let directories = fs::read_dir(root).unwrap();
            let names = directories.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let names: BTreeSet<_> = names.collect();
            assert_eq!(names, tests.map(str::to_owned).into());
        }
    };
}

replays!(
    request, response, chunked, forward, downgrade, route, document, path
);

#[test]
fn corpora_are_small_and_nothing_of_them_is_broken() {
    let mut sum = 0;
    for target in TARGETS {
        for (name, bytes) in corpus::files(target.name).unwrap() {
            assert!(!name.starts_with("broken"), "{}/{name}", target.name);
            sum += bytes.len();
        }
    }
    assert!(sum < BYTES_MAX, "{sum} bytes");
}
