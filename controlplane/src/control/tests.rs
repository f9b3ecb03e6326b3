use std::{
    path::PathBuf,
    sync::{Arc, Weak},
};

use super::{Control, refresh::Stale};
use crate::{
    registry::registrations::Registrations,
    resource::{Resource, parse},
    run::Limits,
    source::Reading,
};

fn reading(yaml: &str) -> Reading {
    let loaded = parse("file.yaml", yaml);
    assert_eq!(loaded.problems, []);
    Reading {
        resources: loaded.resources,
        ..Reading::default()
    }
}

fn control(reading: Reading) -> Control {
    let (directory, registrations) = ("resources".to_owned(), Registrations::default());
    let file = PathBuf::from("/never/written");
    let control = Control::new(directory, reading, registrations, file, Limits::default());
    control.unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn service(port: u16) -> String {
    let head = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: ";
    format!("{head}{{selector: {{app: web}}, ports: [{{name: http, port: {port}}}]}}}}")
}

/// Whatever becomes of a reading, what it took the place of is freed although no other comes.
#[test]
fn nothing_that_was_replaced_stays_in_memory() {
    let twice = |port| format!("{}\n---\n{}", service(port), service(port));
    let mut control = control(reading(&service(80)));
    control.refresh();
    control.tidy();
    let mut seen: Vec<Weak<Resource>> = Vec::new();
    for (name, yaml, stale, is_refused) in [
        ("the same", service(80), Stale::Nothing, false),
        ("a comment", service(80) + "\n# why", Stale::Nothing, false),
        ("a change", service(81), Stale::World, false),
        ("refused", twice(82), Stale::Nothing, true),
        ("refused again", twice(83), Stale::Nothing, true),
        ("what is in force", service(81), Stale::Nothing, false),
        ("nothing at all", String::new(), Stale::World, false),
    ] {
        seen.extend(control.reading.resources.iter().map(Arc::downgrade));
        control.read(reading(&yaml));
        assert_eq!(control.stale, stale, "{name}");
        assert_eq!(!control.refused.is_empty(), is_refused, "{name}");
        control.refresh();
        assert!(control.tidy.is_some(), "{name}: nobody would free it");
        control.tidy();
        let used = || control.reading.resources.iter().chain(&control.resources);
        for held in seen.iter().filter_map(Weak::upgrade) {
            assert!(
                used().any(|used| Arc::ptr_eq(used, &held)),
                "{name}: {held:?}"
            );
        }
    }
}
