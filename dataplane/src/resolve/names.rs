//! What is known of each name, and which is looked up next. Pure: time, random bits and the answers
//! of lookups are arguments.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use tokio::time::Instant;

use super::{Answers, NameStatus, Options};
use crate::back_off::{BackOff, jittered};

/// The names that are followed.
#[derive(Debug)]
pub(super) struct Names {
    options: Options,
    names: BTreeMap<Arc<str>, Name>,
    /// When each name that is not being looked up is due, soonest first.
    queue: BTreeSet<(Instant, Arc<str>)>,
    /// Names that a thread is looking up, also those that nobody follows any more: each holds a
    /// thread until the system's resolver gives up.
    running: BTreeSet<Arc<str>>,
    /// Followed names that have not been answered either way yet.
    open: usize,
}

#[derive(Debug)]
struct Name {
    addresses: Arc<[IpAddr]>,
    error: Option<String>,
    answered: bool,
    back_off: BackOff,
}

/// What an answer was to those who follow the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The addresses are others than before.
    Changed,
    /// They are the same, or the lookup failed and the old ones stay.
    Same,
}

impl Names {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            names: BTreeMap::new(),
            queue: BTreeSet::new(),
            running: BTreeSet::new(),
            open: 0,
        }
    }

    /// From now on exactly `hosts` are followed; those that are new are due at once.
    pub(super) fn follow(&mut self, hosts: &BTreeSet<String>, now: Instant) {
        self.names.retain(|host, _| hosts.contains(&**host));
        let names = &self.names;
        self.queue.retain(|(_, host)| names.contains_key(host));
        for host in hosts {
            if self.names.contains_key(host.as_str()) {
                continue;
            }
            let host: Arc<str> = host.as_str().into();
            if !self.running.contains(&host) {
                self.queue.insert((now, host.clone()));
            }
            self.names.insert(
                host,
                Name {
                    addresses: Arc::new([]),
                    error: None,
                    answered: false,
                    back_off: BackOff::new(self.options.retry, self.options.refresh),
                },
            );
        }
        self.open = self.names.values().filter(|name| !name.answered).count();
    }

    /// Follows exactly `hosts`.
    pub(super) fn follows(&self, hosts: &BTreeSet<String>) -> bool {
        self.names.len() == hosts.len() && hosts.iter().all(|host| self.names.contains_key(&**host))
    }

    /// Followed names that have not been answered either way yet.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// The next name to look up, which then counts as being looked up; `None` when nothing is due
    /// or as many are under way as may be.
    pub(super) fn start(&mut self, now: Instant) -> Option<Arc<str>> {
        if self.running.len() >= self.options.lookups_max.max(1) {
            return None;
        }
        let (due, _) = self.queue.first()?;
        if *due > now {
            return None;
        }
        let (_, host) = self.queue.pop_first()?;
        self.running.insert(host.clone());
        Some(host)
    }

    /// When to call [`Self::start`] again if no answer comes first.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.running.len() >= self.options.lookups_max.max(1) {
            return None;
        }
        self.queue.first().map(|(due, _)| *due)
    }

    /// The lookup of `host` has ended.
    pub(super) fn answered(
        &mut self,
        host: &str,
        answer: Result<Vec<IpAddr>, String>,
        now: Instant,
        random: u64,
    ) -> Effect {
        self.running.remove(host);
        let Some((key, name)) = self
            .names
            .get_key_value(host)
            .map(|(key, _)| key.clone())
            .zip(self.names.get_mut(host))
        else {
            return Effect::Same;
        };
        if !name.answered {
            name.answered = true;
            self.open -= 1;
        }
        let found = answer.and_then(|addresses| match usable(addresses, &self.options) {
            addresses if addresses.is_empty() => Err("it has no address".to_owned()),
            addresses => Ok(addresses),
        });
        let (wait, effect) = match found {
            Ok(addresses) => {
                name.error = None;
                name.back_off.reset();
                let effect = if *name.addresses == *addresses {
                    Effect::Same
                } else {
                    name.addresses = addresses.into();
                    Effect::Changed
                };
                (jittered(self.options.refresh, random), effect)
            }
            Err(error) => {
                name.error = Some(error);
                (name.back_off.wait(random), Effect::Same)
            }
        };
        self.queue.insert((now + wait, key));
        effect
    }

    /// The addresses of every name that has any.
    pub(super) fn answers(&self) -> Answers {
        let found = self
            .names
            .iter()
            .filter(|(_, name)| !name.addresses.is_empty());
        let found = found.map(|(host, name)| (host.to_string(), name.addresses.clone()));
        Arc::new(found.collect())
    }

    /// Every name, for showing.
    pub(super) fn statuses(&self) -> Vec<NameStatus> {
        let statuses = self.names.iter().map(|(host, name)| NameStatus {
            host: host.to_string(),
            addresses: name.addresses.clone(),
            last_error: name.error.clone(),
        });
        statuses.collect()
    }

    /// Why the last lookup of `host` failed.
    pub(super) fn error(&self, host: &str) -> Option<&str> {
        self.names.get(host)?.error.as_deref()
    }
}

/// In an order that does not turn with every answer of the name server. A name that has IPv4
/// addresses is used with those alone, as Envoy's V4_PREFERRED: `localhost` is `::1` too, but what
/// listens there mostly listens on 127.0.0.1.
fn usable(mut addresses: Vec<IpAddr>, options: &Options) -> Vec<IpAddr> {
    if addresses.iter().any(IpAddr::is_ipv4) {
        addresses.retain(IpAddr::is_ipv4);
    }
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(options.addresses_max);
    addresses
}
