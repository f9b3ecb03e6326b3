//! The resolver with a simulated name server, and the system's with /etc/hosts.

#![allow(
    clippy::disallowed_types,
    reason = "the test is asked from several threads"
)]

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{Lookup, Options, Resolver, System};

/// Knows what a test has told it, and counts questions.
#[derive(Debug, Default)]
struct Simulated {
    known: Mutex<BTreeMap<String, IpAddr>>,
    asked: Mutex<usize>,
}

impl Simulated {
    fn tell(&self, host: &str, address: Option<[u8; 4]>) {
        let mut known = self.known.lock().expect("no test panics here");
        match address {
            Some(address) => known.insert(host.into(), address.into()),
            None => known.remove(host),
        };
    }

    fn asked(&self) -> usize {
        *self.asked.lock().expect("no test panics here")
    }
}

impl Lookup for Simulated {
    fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        *self.asked.lock().expect("no test panics here") += 1;
        let known = self.known.lock().expect("no test panics here");
        match known.get(host) {
            Some(address) => Ok(vec![*address]),
            None => Err(io::Error::other("unknown name")),
        }
    }
}

/// The clock of these tests jumps when nothing is left to do, so this is no wait.
async fn within<T>(future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(Duration::from_secs(3600), future).await;
    result.expect("it comes within the limit")
}

#[tokio::test(start_paused = true)]
async fn changes_are_reported_and_what_was_found_stays() {
    let server = Arc::new(Simulated::default());
    server.tell("a", Some([10, 0, 0, 1]));
    let resolver = Resolver::start(Options::default(), server.clone());
    let mut answers = resolver.answers();
    resolver.follow(["a", "missing"]);
    let settled = resolver.settle(Duration::from_secs(3600)).await;
    assert_eq!(settled.len(), 1, "{settled:?}");
    assert_eq!(*settled["a"], [IpAddr::from([10, 0, 0, 1])]);
    assert!(answers.has_changed().expect("it runs"));
    assert_eq!(*answers.borrow_and_update(), settled);
    let missing = &resolver.statuses()[1];
    assert_eq!(missing.last_error.as_deref(), Some("unknown name"));

    server.tell("a", Some([10, 0, 0, 2]));
    within(answers.changed()).await.expect("it runs");
    let changed = answers.borrow_and_update().clone();
    assert_eq!(*changed["a"], [IpAddr::from([10, 0, 0, 2])]);

    // The server forgets the name: the address stays, and nobody is told of a change.
    server.tell("a", None);
    server.tell("missing", Some([10, 0, 0, 3]));
    within(answers.changed()).await.expect("it runs");
    let found = answers.borrow_and_update().clone();
    assert_eq!(*found["a"], *changed["a"]);
    assert_eq!(*found["missing"], [IpAddr::from([10, 0, 0, 3])]);
    assert_eq!(resolver.statuses()[1].last_error, None);
}

#[tokio::test(start_paused = true)]
async fn names_are_refreshed_at_their_pace() {
    let server = Arc::new(Simulated::default());
    server.tell("a", Some([10, 0, 0, 1]));
    let options = Options::default();
    let resolver = Resolver::start(options, server.clone());
    let mut answers = resolver.answers();
    resolver.follow(["a"]);
    within(answers.changed()).await.expect("it runs");
    assert_eq!(server.asked(), 1);
    for last in 2..10 {
        let began = Instant::now();
        server.tell("a", Some([10, 0, 0, last]));
        within(answers.changed()).await.expect("it runs");
        let waited = began.elapsed();
        // The timer wheel rounds up to its next millisecond.
        let range = options.refresh / 2..=options.refresh + Duration::from_millis(1);
        assert!(range.contains(&waited), "{waited:?}");
        assert_eq!(server.asked(), usize::from(last));
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_followed_no_more_is_no_news() {
    let server = Arc::new(Simulated::default());
    server.tell("a", Some([10, 0, 0, 1]));
    server.tell("b", Some([10, 0, 0, 2]));
    let resolver = Resolver::start(Options::default(), server.clone());
    resolver.follow(["a", "b"]);
    resolver.settle(Duration::from_secs(3600)).await;
    let mut answers = resolver.answers();
    answers.borrow_and_update();
    resolver.follow(["b"]);
    let left = resolver.settle(Duration::from_secs(3600)).await;
    assert_eq!(left.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(*answers.borrow(), left);
    assert!(!answers.has_changed().expect("it runs"));
}

/// Lookups that never end, until the test does.
#[derive(Debug)]
struct Stuck(Mutex<std::sync::mpsc::Receiver<()>>);

impl Lookup for Stuck {
    fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let receiver = self.0.lock().expect("no test panics here");
        let _ = receiver.recv();
        Err(io::Error::other("the test ends"))
    }
}

#[tokio::test]
async fn settling_ends_at_its_deadline() {
    let (release, held) = std::sync::mpsc::channel();
    let resolver = Resolver::start(Options::default(), Arc::new(Stuck(Mutex::new(held))));
    resolver.follow(["a"]);
    let answers = resolver.settle(Duration::from_millis(20)).await;
    assert!(answers.is_empty());
    drop(release);
}

#[tokio::test]
async fn nothing_is_asked_while_nothing_is_followed() {
    let server = Arc::new(Simulated::default());
    let resolver = Resolver::start(Options::default(), server.clone());
    let answers = resolver.settle(Duration::from_secs(20)).await;
    assert!(answers.is_empty());
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn the_system_knows_localhost_and_not_an_invalid_name() {
    let resolver = Resolver::start(Options::default(), Arc::new(System));
    resolver.follow(["localhost"]);
    let answers = resolver.settle(Duration::from_secs(20)).await;
    assert_eq!(*answers["localhost"], [IpAddr::from([127, 0, 0, 1])]);
    // Refused before anybody is asked: no label is that long (RFC 1035, section 2.3.4).
    System.lookup(&"x".repeat(300)).expect_err("it is no name");
}
