//! The file on a real disk: whole or not used, and a write that fails only shows.

use std::{
    fs,
    future::Future,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use proptest::prelude::{any, prop_assert, proptest};
use ringmain_config::{
    document::{Document, Part, Versioned},
    endpoint::{Endpoint, EndpointAddress, EndpointSet},
    node::Node,
};
use tempfile::TempDir;

use super::{FORMAT, LastGood, LoadError, Status, VERSION, decode, encode, load, write};

fn node(name: &str) -> Node {
    Node {
        name: name.into(),
        namespace: "default".into(),
        ..Node::default()
    }
}

fn document(generation: u64) -> Document {
    let mut document = Document {
        generation,
        ..Document::default()
    };
    document.upsert(Part::EndpointSet(Arc::new(EndpointSet {
        cluster: "outbound|80||a".into(),
        endpoints: vec![Endpoint {
            address: EndpointAddress::Dns {
                host: "a.example".into(),
                port: 80,
            },
            weight: 3,
            is_in_mesh: false,
            workload: Arc::default(),
        }],
    })));
    document
}

fn encoded(generation: u64) -> Vec<u8> {
    encode(&document(generation), &node("web"), SystemTime::UNIX_EPOCH).expect("it is encodable")
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("last-good.json");
    (directory, path)
}

async fn status(last_good: &LastGood, wanted: impl FnMut(&Status) -> bool) -> Status {
    let mut watch = last_good.watch();
    let status = watch.wait_for(wanted);
    within(status).await.expect("the writer runs").clone()
}

/// The clock of these tests jumps when nothing is left to do, so this is no wait.
async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(3600);
    let result = tokio::time::timeout(limit, future).await;
    result.expect("it comes within the limit")
}

#[tokio::test(start_paused = true)]
async fn what_was_saved_is_loaded() {
    let (_directory, path) = place();
    let last_good = LastGood::start(path.clone(), node("web"));
    assert!(matches!(
        load(&path, &node("web")),
        Err(LoadError::Absent(_))
    ));
    last_good.save(Arc::new(document(7)));
    let status = status(&last_good, |status| status.writes == 1).await;
    assert_eq!(status.generation, Some(7));
    assert_eq!(load(&path, &node("web")).expect("it loads"), document(7));

    let mode = fs::metadata(&path).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600, "it may hold secrets");
    let text = fs::read_to_string(&path).expect("it is text");
    let (head, body) = text.split_once('\n').expect("two parts");
    serde_json::from_str::<serde_json::Value>(head).expect("the head is JSON");
    serde_json::from_str::<serde_json::Value>(body).expect("the body is JSON");
    assert!(body.lines().count() > 5, "a human reads it: {body}");
}

#[tokio::test(start_paused = true)]
async fn of_several_only_the_latest_is_written() {
    let (_directory, path) = place();
    let last_good = LastGood::start(path.clone(), node("web"));
    for generation in 1..=50 {
        last_good.save(Arc::new(document(generation)));
    }
    let watch = last_good.watch();
    within(last_good.finish()).await;
    let loaded = load(&path, &node("web")).expect("it loads");
    assert_eq!(loaded.generation, 50);
    assert_eq!(watch.borrow().writes, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_shows_and_is_tried_again() {
    let (directory, _) = place();
    let later = directory.path().join("later");
    let path = later.join("last-good.json");
    let last_good = LastGood::start(path.clone(), node("web"));
    last_good.save(Arc::new(document(1)));
    let failed = status(&last_good, |status| status.failures == 2).await;
    let message = failed.last_error.expect("it failed").message;
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(message.contains("create its directory"), "{message}");
    assert_eq!((failed.writes, failed.generation), (0, None));

    fs::create_dir(&later).expect("a directory");
    let mended = status(&last_good, |status| status.writes == 1).await;
    assert_eq!(mended.last_error, None);
    assert_eq!(load(&path, &node("web")).expect("it loads"), document(1));

    // The end does not wait for a disk that stays bad.
    fs::remove_dir_all(&later).expect("removed");
    last_good.save(Arc::new(document(2)));
    within(last_good.finish()).await;
}

#[test]
fn a_write_replaces_what_was_left_over_and_follows_no_link() {
    let (directory, path) = place();
    let beside = directory.path().join("last-good.json.new");
    let precious = directory.path().join("precious");
    fs::write(&precious, "precious").expect("written");
    symlink(&precious, &beside).expect("linked");
    write(&path, &encoded(4)).expect("it writes");
    assert_eq!(load(&path, &node("web")).expect("it loads"), document(4));
    let kept = fs::read_to_string(&precious).expect("it is there");
    assert_eq!(kept, "precious");
    assert!(!beside.exists());
}

#[test]
fn a_write_that_fails_leaves_the_old_file() {
    let (directory, path) = place();
    write(&path, &encoded(4)).expect("it writes");
    // A directory with something in it is where the new file should go.
    let beside = directory.path().join("last-good.json.new");
    fs::create_dir_all(beside.join("x")).expect("a directory");
    write(&path, &encoded(5)).expect_err("it cannot be written");
    assert_eq!(load(&path, &node("web")).expect("it loads"), document(4));
}

#[test]
fn what_is_not_usable_says_why() {
    let good = String::from_utf8(encoded(7)).expect("it is text");
    let version = format!("\"version\":{VERSION}");
    for (what, text, expected) in [
        ("empty", String::new(), "first line"),
        ("no head", "{}\n{}".into(), "first line"),
        ("binary", "\u{0}\u{1}\n".into(), "first line"),
        ("endless head", "x".repeat(100_000), "first line"),
        (
            "format",
            good.replace(FORMAT, "other"),
            "format is \"other\"",
        ),
        (
            "version",
            good.replace(&version, "\"version\":9"),
            "version is 9",
        ),
        (
            "changed",
            good.replace("a.example", "b.example"),
            "checksum",
        ),
        ("cut", good[..good.len() - 1].to_owned(), "checksum"),
        ("longer", good.clone() + " ", "checksum"),
    ] {
        let (_directory, path) = place();
        fs::write(&path, text).expect("written");
        let error = load(&path, &node("web")).expect_err(what).to_string();
        assert!(error.contains(expected), "{what}: {error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
    let foreign = decode(good.as_bytes(), &node("api")).expect_err("another proxy's");
    assert_eq!(
        foreign,
        "it was written for default/web, this proxy is default/api"
    );
}

#[test]
fn what_cannot_be_read_says_so() {
    let (directory, _) = place();
    let error = load(directory.path(), &node("web")).expect_err("a directory");
    assert!(matches!(error, LoadError::Read { .. }), "{error}");
}

/// A newer control plane hashed fields that the writer did not know. The reader may know them, and
/// must not claim to hold that version.
#[test]
fn versions_are_those_of_what_was_read() {
    let mut stored = document(3);
    for held in Arc::make_mut(&mut stored.endpoint_sets).values_mut() {
        *held = Versioned {
            version: 12345,
            value: held.value.clone(),
        };
    }
    let bytes = encode(&stored, &node("web"), SystemTime::UNIX_EPOCH).expect("it is encodable");
    let loaded = decode(&bytes, &node("web")).expect("it loads");
    assert_eq!(loaded, document(3));
}

proptest! {
    #[test]
    fn damage_is_noticed(cut in any::<proptest::sample::Index>(), place in any::<proptest::sample::Index>(), flip in 1_u8..) {
        let good = encoded(7);
        let cut = &good[..cut.index(good.len())];
        prop_assert!(decode(cut, &node("web")).is_err());
        // In the head some bytes are only for the reader: then the Document is still the one.
        let mut changed = good.clone();
        changed[place.index(good.len())] ^= flip;
        if let Ok(loaded) = decode(&changed, &node("web")) {
            prop_assert!(loaded == document(7));
        }
    }
}
