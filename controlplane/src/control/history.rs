//! What became of the last changes: when each was noticed, what every stage took, and which proxies
//! still have to use it. Answers "why did my change take so long".
//!
//! A proxy that skips a target because a newer one came has what the older one brought as soon as
//! it uses the newer.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use crate::status::{Cause, ChangeStatus, Stage, Stages};

/// The last changes, the newest at the back.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Change>);

/// A change of the world that proxies are brought to.
#[derive(Debug)]
pub(super) struct Change {
    cause: Cause,
    /// When the first sign of it came.
    noticed: Instant,
    stages: Stages,
    /// When targets were given.
    published: Instant,
    /// The greatest generation among the targets that were there before.
    after: u64,
    /// How many proxies got a new target.
    proxies: usize,
    /// Connections that were not sent their target yet.
    unsent: BTreeSet<u64>,
    /// Connections that do not use their target yet.
    waiting: BTreeSet<u64>,
    /// From `published` to the last proxy so far.
    sent: Duration,
    applied: Duration,
    /// The proxy that took the longest so far.
    slowest: Option<String>,
}

/// A change whose targets are being made.
#[derive(Debug)]
pub(super) struct Began {
    pub(super) cause: Cause,
    pub(super) noticed: Instant,
    pub(super) stages: Stages,
}

impl Began {
    /// Something was noticed right now.
    pub(super) fn now(cause: Cause) -> Self {
        Self {
            cause,
            noticed: Instant::now(),
            stages: Stages::default(),
        }
    }

    /// Both are one change from now on: of the stages, the later one's count, from the first sign.
    pub(super) fn follows(&mut self, earlier: Option<Self>) {
        if let Some(earlier) = earlier {
            self.noticed = self.noticed.min(earlier.noticed);
        }
    }
}

impl History {
    /// Targets were given at `published` to the `proxies`; those before had generations up to
    /// `after`.
    pub(super) fn publish(
        &mut self,
        began: Began,
        published: Instant,
        after: u64,
        proxies: BTreeSet<u64>,
    ) {
        if self.0.len() == CHANGES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Change {
            cause: began.cause,
            noticed: began.noticed,
            stages: began.stages,
            published,
            after,
            proxies: proxies.len(),
            unsent: proxies.clone(),
            waiting: proxies,
            sent: Duration::ZERO,
            applied: Duration::ZERO,
            slowest: None,
        });
    }

    /// The connection was sent a target of this generation whole.
    pub(super) fn sent(&mut self, id: u64, target: u64, now: Instant) {
        for change in self.up_to(target) {
            if change.unsent.remove(&id) {
                change.sent = now.saturating_duration_since(change.published);
            }
        }
    }

    /// The proxy of the connection uses a target of this generation.
    pub(super) fn applied(&mut self, id: u64, target: u64, name: &str, now: Instant) {
        for change in self.up_to(target) {
            if change.waiting.remove(&id) {
                change.applied = now.saturating_duration_since(change.published);
                change.slowest = Some(name.to_owned());
            }
        }
    }

    /// The connection is gone.
    pub(super) fn gone(&mut self, id: u64) {
        for change in &mut self.0 {
            change.unsent.remove(&id);
            change.waiting.remove(&id);
        }
    }

    /// Changes that a target of this generation brings.
    fn up_to(&mut self, target: u64) -> impl Iterator<Item = &mut Change> {
        self.0
            .iter_mut()
            .filter(move |change| change.after < target)
    }

    /// The newest first.
    pub(super) fn status(&self, now: Instant) -> Vec<ChangeStatus> {
        let changes = self.0.iter().rev();
        changes.map(|change| change.status(now)).collect()
    }
}

impl Change {
    fn status(&self, now: Instant) -> ChangeStatus {
        let to_published = self.published.saturating_duration_since(self.noticed);
        let mut stages: Vec<Stage> = self.stages.list();
        if self.proxies > 0 {
            stages.push(Stage::new("send", self.sent));
            // What is sent is counted by the last to be sent, what is applied by the last to apply.
            stages.push(Stage::new("apply", self.applied.saturating_sub(self.sent)));
        }
        ChangeStatus {
            ago: now.saturating_duration_since(self.noticed),
            cause: self.cause,
            took: to_published + self.applied,
            stages,
            proxies: self.proxies,
            waiting: self.waiting.len(),
            slowest: self.slowest.clone(),
        }
    }
}

/// Changes that are remembered.
const CHANGES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Began, CHANGES_MAX, History};
    use crate::status::{Cause, Stages};

    fn began(noticed: Instant) -> Began {
        Began {
            cause: Cause::Files,
            noticed,
            stages: Stages::default(),
        }
    }

    #[test]
    fn a_newer_target_brings_what_the_older_would_have_brought() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut history = History::default();
        history.publish(began(at(0)), at(10), 5, [1, 2].into());
        history.publish(began(at(20)), at(30), 7, [1, 2].into());

        history.sent(1, 6, at(31));
        history.applied(1, 6, "default/a", at(32));
        let waiting = |history: &History| {
            let changes = history.status(at(100)).into_iter();
            changes.map(|change| change.waiting).collect::<Vec<_>>()
        };
        assert_eq!(waiting(&history), [2, 1], "the newest first");
        // The second proxy skipped the first target.
        history.applied(2, 9, "default/b", at(50));
        assert_eq!(waiting(&history), [1, 0]);
        let first = &history.status(at(100))[1];
        assert_eq!(first.took, Duration::from_millis(50));
        assert_eq!(first.slowest.as_deref(), Some("default/b"));
        assert_eq!(first.proxies, 2);
        // Nobody waits for who is gone, nor counts it.
        history.gone(1);
        assert_eq!(waiting(&history), [0, 0]);
        assert_eq!(history.status(at(100))[0].took, Duration::from_millis(30));
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for generation in 0..1000 {
            let now = Instant::now();
            history.publish(began(now), now, generation, [1].into());
        }
        assert_eq!(history.status(Instant::now()).len(), CHANGES_MAX);
    }
}
