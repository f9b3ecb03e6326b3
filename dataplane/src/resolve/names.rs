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
    addresses: Vec<IpAddr>,
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
                    addresses: Vec::new(),
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
                let effect = if name.addresses == addresses {
                    Effect::Same
                } else {
                    name.addresses = addresses;
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

#[cfg(test)]
mod tests {
    use super::{Effect, Names};
    use crate::resolve::Options;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::{collection::vec, prelude::Strategy};
    use std::{collections::BTreeSet, net::IpAddr, time::Duration};
    use tokio::time::Instant;

    fn hosts(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        let parsed = texts.iter().map(|text| text.parse().expect("an address"));
        parsed.collect()
    }

    #[test]
    fn which_addresses_are_used() {
        let options = Options {
            addresses_max: 3,
            ..Options::default()
        };
        for (found, expected) in [
            (&["10.0.0.2", "10.0.0.1"][..], &["10.0.0.1", "10.0.0.2"][..]),
            (&["10.0.0.1", "10.0.0.1"], &["10.0.0.1"]),
            (&["::1", "127.0.0.1"], &["127.0.0.1"]),
            (&["::2", "::1"], &["::1", "::2"]),
            (
                &["10.0.0.4", "10.0.0.3", "10.0.0.2", "10.0.0.1"],
                &["10.0.0.1", "10.0.0.2", "10.0.0.3"],
            ),
            (&[], &[]),
        ] {
            let used = super::usable(addresses(found), &options);
            assert_eq!(used, addresses(expected), "{found:?}");
        }
    }

    #[test]
    fn a_name_is_looked_up_again_and_what_was_found_stays() {
        let options = Options::default();
        let mut names = Names::new(options);
        let mut now = Instant::now();
        names.follow(&hosts(&["a"]), now);
        let found = |texts| Ok(addresses(texts));
        let failed = || Err("no server".to_owned());
        // An answer, its effect, what is used after it, and the longest wait to the next lookup.
        for (answer, effect, used, wait_max) in [
            (failed(), Effect::Same, &[][..], options.retry),
            (failed(), Effect::Same, &[], options.retry * 2),
            (
                found(&["10.0.0.1"]),
                Effect::Changed,
                &["10.0.0.1"],
                options.refresh,
            ),
            (
                found(&["10.0.0.1"]),
                Effect::Same,
                &["10.0.0.1"],
                options.refresh,
            ),
            (failed(), Effect::Same, &["10.0.0.1"], options.retry),
            (found(&[]), Effect::Same, &["10.0.0.1"], options.retry * 2),
            (
                found(&["10.0.0.2"]),
                Effect::Changed,
                &["10.0.0.2"],
                options.refresh,
            ),
            (failed(), Effect::Same, &["10.0.0.2"], options.retry),
        ] {
            let (fails, wrong) = (answer.is_err(), answer == Ok(Vec::new()));
            assert_eq!(names.start(now).as_deref(), Some("a"));
            assert_eq!(names.start(now), None, "one lookup at a time");
            assert_eq!(names.answered("a", answer, now, u64::MAX / 3), effect);
            let answers = names.answers();
            let known = answers.get("a").map_or(&[][..], |known| &**known);
            assert_eq!(known, addresses(used));
            assert_eq!(names.error("a").is_some(), fails || wrong);
            let due = names.next_due().expect("it is looked up again");
            assert!(due >= now + wait_max / 2 && due <= now + wait_max);
            assert_eq!(names.start(now), None, "not before it is due");
            now = due;
        }
    }

    #[test]
    fn a_name_that_is_followed_again_is_not_looked_up_twice_at_once() {
        let mut names = Names::new(Options::default());
        let now = Instant::now();
        names.follow(&hosts(&["a"]), now);
        assert_eq!(names.start(now).as_deref(), Some("a"));
        names.follow(&hosts(&[]), now);
        names.follow(&hosts(&["a"]), now);
        assert_eq!(names.start(now), None, "its thread is still waiting");
        assert_eq!(names.open(), 1);
        let effect = names.answered("a", Ok(addresses(&["10.0.0.1"])), now, 0);
        assert_eq!((effect, names.open()), (Effect::Changed, 0));

        let late = {
            names.follow(&hosts(&["b"]), now);
            assert_eq!(names.start(now).as_deref(), Some("b"));
            names.follow(&hosts(&[]), now);
            names.answered("b", Ok(addresses(&["10.0.0.2"])), now, 0)
        };
        assert_eq!(late, Effect::Same, "nobody follows it any more");
        assert_eq!(names.next_due(), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Follow(BTreeSet<String>),
        Start,
        Answer(bool),
        Wait(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let some = vec(0..8_u8, 0..8)
            .prop_map(|names| Step::Follow(names.iter().map(|name| format!("n{name}")).collect()));
        prop_oneof![
            some,
            proptest::strategy::Just(Step::Start),
            any::<bool>().prop_map(Step::Answer),
            any::<u8>().prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// No name is forgotten, none is looked up twice at once, and threads stay few.
        #[test]
        fn every_followed_name_is_waiting_or_being_looked_up(steps in vec(step(), 1..200), random in any::<u64>()) {
            let options = Options { lookups_max: 3, ..Options::default() };
            let mut names = Names::new(options);
            let mut now = Instant::now();
            let mut followed = BTreeSet::new();
            let mut running: Vec<String> = Vec::new();
            for step in steps {
                match step {
                    Step::Follow(hosts) => {
                        names.follow(&hosts, now);
                        followed = hosts;
                    }
                    Step::Start => if let Some(host) = names.start(now) {
                        prop_assert!(!running.contains(&host.to_string()));
                        running.push(host.to_string());
                    },
                    Step::Answer(found) => if let Some(host) = running.pop() {
                        let answer = if found { Ok(addresses(&["10.0.0.1"])) } else { Err(String::new()) };
                        names.answered(&host, answer, now, random);
                    },
                    Step::Wait(seconds) => now += Duration::from_secs(seconds.into()),
                }
                prop_assert!(names.follows(&followed));
                prop_assert!(running.len() <= options.lookups_max);
                let queued: Vec<_> = names.queue.iter().map(|(_, host)| host.to_string()).collect();
                for host in &followed {
                    let places = queued.iter().chain(&running).filter(|&place| place == host).count();
                    prop_assert_eq!(places, 1, "{} stands in {} places", host, places);
                }
                let open = names.names.values().filter(|name| !name.answered).count();
                prop_assert_eq!(names.open(), open);
            }
        }
    }
}
