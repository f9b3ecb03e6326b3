//! Addresses of the endpoints that are given by name, looked up again and again so that a change in
//! DNS reaches the workers: the supervisor compiles anew when the answers change.
//!
//! Lookups are getaddrinfo's, on tokio's blocking threads: `/etc/hosts`, `nsswitch.conf` and the
//! search list of this host hold for the mesh as for every other program on it. (A resolver of our
//! own was tried, hickory 0.25: 0.8 MiB resident where getaddrinfo takes 0.3, and no nsswitch.)
//! What was found stays until something else is found: a name server that is down takes no endpoint
//! away. [`names`] decides what is looked up when; nothing is started while no endpoint has a name.

mod names;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use ringmain_core::snapshot::Resolved;
use serde::Serialize;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use self::names::{Effect, Names};

/// How often names are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Between two lookups of a name that was found; jittered down to half of it.
    pub refresh: Duration,
    /// After a first failure; doubles up to `refresh`.
    pub retry: Duration,
    /// Lookups at once, and so threads that may wait for a name server. At least one.
    pub lookups_max: usize,
    /// Addresses kept of one name; the rest is left out.
    pub addresses_max: usize,
}

impl Default for Options {
    /// Every 60 s as Istio's `dnsRefreshRate`, a second after a failure; 4 lookups at once; 256
    /// addresses.
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(60),
            retry: Duration::from_secs(1),
            lookups_max: 4,
            addresses_max: 256,
        }
    }
}

/// The addresses of each followed name that was ever found, ascending, at least one: what
/// `Snapshot::compile` takes.
pub type Answers = Arc<Resolved>;

/// What is known of one name, for showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameStatus {
    /// The name.
    pub host: String,
    /// Its addresses, the last that were found.
    pub addresses: Vec<IpAddr>,
    /// Why the last lookup failed; absent after one that succeeded.
    pub last_error: Option<String>,
}

/// Looks a name up: the system's resolver, or a simulated one. May block.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of `host`, in any order.
    ///
    /// # Errors
    /// When it has none or nobody who knows could be asked.
    fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// getaddrinfo(3).
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Lookup for System {
    #[allow(
        clippy::disallowed_methods,
        reason = "this runs on a thread made for blocking"
    )]
    fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = (host, 0).to_socket_addrs()?;
        Ok(addresses.map(|address| address.ip()).collect())
    }
}

/// The running resolver; dropping it ends it. A lookup that is under way keeps its thread until
/// the system's resolver gives up: end the runtime with `shutdown_background`, not by dropping it.
#[derive(Debug)]
pub struct Resolver {
    wanted: watch::Sender<BTreeSet<String>>,
    names: watch::Receiver<Names>,
    answers: watch::Receiver<Answers>,
    task: JoinHandle<()>,
}

impl Resolver {
    /// Starts on the current tokio runtime, following nothing.
    pub fn start(options: Options, lookup: Arc<dyn Lookup>) -> Self {
        let (wanted, wanted_receiver) = watch::channel(BTreeSet::new());
        let (names, names_receiver) = watch::channel(Names::new(options));
        let (answers, answers_receiver) = watch::channel(Answers::default());
        let follower = Follower {
            lookup,
            wanted: wanted_receiver,
            names,
            answers,
            failures: Failures::default(),
        };
        Self {
            wanted,
            names: names_receiver,
            answers: answers_receiver,
            task: tokio::spawn(follower.run()),
        }
    }

    /// From now on exactly these names are looked up, again and again: those of
    /// `ringmain_core::snapshot::names_to_resolve`. What is known of names that were followed
    /// before stays known.
    pub fn follow<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let names = names.into_iter().map(str::to_owned).collect();
        self.wanted.send_if_modified(|wanted| {
            let other = *wanted != names;
            *wanted = names;
            other
        });
    }

    /// The answers; changed whenever a followed name has got other addresses.
    pub fn answers(&self) -> watch::Receiver<Answers> {
        self.answers.clone()
    }

    /// The answers once every followed name has been looked up (or could not be), at the latest
    /// after `deadline`: what a new configuration waits for before it is used.
    pub async fn settle(&self, deadline: Duration) -> Answers {
        let wanted = self.wanted.borrow().clone();
        let mut names = self.names.clone();
        let settled = names.wait_for(|names| names.open() == 0 && names.follows(&wanted));
        // When time is up, or the resolver has ended, what is known is all there is.
        let _ = timeout(deadline, settled).await;
        self.names.borrow().answers()
    }

    /// Every followed name, for showing.
    pub fn statuses(&self) -> Vec<NameStatus> {
        self.names.borrow().statuses()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follower {
    lookup: Arc<dyn Lookup>,
    wanted: watch::Receiver<BTreeSet<String>>,
    names: watch::Sender<Names>,
    answers: watch::Sender<Answers>,
    failures: Failures,
}

impl Follower {
    async fn run(mut self) {
        let mut lookups = JoinSet::new();
        loop {
            while let Some(host) = self.start() {
                let lookup = self.lookup.clone();
                lookups.spawn_blocking(move || {
                    let answer = lookup.lookup(&host);
                    (host, answer)
                });
            }
            let due = self.names.borrow().next_due();
            tokio::select! {
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.follow();
                }
                Some(ended) = lookups.join_next() => {
                    let (host, answer) = ended.expect("a lookup neither panics nor is cancelled");
                    self.answered(&host, answer);
                }
                () = at(due) => {}
            }
        }
    }

    fn start(&self) -> Option<Arc<str>> {
        let mut started = None;
        self.names.send_if_modified(|names| {
            started = names.start(Instant::now());
            false
        });
        started
    }

    fn follow(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        self.names
            .send_modify(|names| names.follow(&wanted, Instant::now()));
        self.failures.forget(&self.names.borrow());
        let answers = self.names.borrow().answers();
        // A name that is followed no more is no news to those who stopped following it.
        self.answers.send_if_modified(|published| {
            *published = answers;
            false
        });
    }

    fn answered(&mut self, host: &str, answer: io::Result<Vec<IpAddr>>) {
        let answer = answer.map_err(|error| error.to_string());
        let mut effect = Effect::Same;
        self.names.send_modify(|names| {
            effect = names.answered(host, answer, Instant::now(), fastrand::u64(..));
        });
        let names = self.names.borrow();
        self.failures.note(host, names.error(host));
        if effect == Effect::Changed {
            self.answers.send_replace(names.answers());
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Which names cannot be found, and how much of it the log has been told.
#[derive(Debug, Default)]
struct Failures {
    hosts: BTreeSet<String>,
    lines: usize,
}

/// Lines between two moments at which every name was found: with the name server all names fail.
const FAILURE_LINES_MAX: usize = 10;

impl Failures {
    fn note(&mut self, host: &str, error: Option<&str>) {
        let Some(error) = error else {
            if self.hosts.remove(host) && self.hosts.is_empty() {
                tracing::info!("{host:?} is found; every name of an endpoint is found again");
                self.lines = 0;
            }
            return;
        };
        if self.hosts.insert(host.to_owned()) && self.lines < FAILURE_LINES_MAX {
            self.lines += 1;
            tracing::warn!(
                "cannot find endpoint {host:?}: {error}; addresses found before stay in use, trying \
                 again; check the name, /etc/hosts and /etc/resolv.conf"
            );
        }
    }

    /// Names that are followed no more do not fail any more.
    fn forget(&mut self, names: &Names) {
        self.hosts.retain(|host| names.error(host).is_some());
        if self.hosts.is_empty() {
            self.lines = 0;
        }
    }
}
