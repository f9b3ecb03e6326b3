//! The supervisor's side of the request metrics: all series of all workers, by labels.
//!
//! A series lives like this. A worker makes it and registers it; here it joins the group of its
//! labels. When no request was counted in a group for the idle time, the group is hidden and its
//! series are retired: each worker lets go of its own when it next tidies up. What a series held
//! when its worker has let go is added to the group's settled totals, and only then is it freed, so
//! requests that were counted meanwhile are there too, and show the group again. A hidden group
//! without series is removed. A count is thus in one place at any time: the cells of a series, or
//! the settled totals, or those of the removed groups.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use ringmain_config::endpoint::Workload;
use ringmain_core::metrics::Labels;

use super::{
    scrape::{Scrape, SeriesTotals, WorkerTotals},
    series::{Cells, Totals},
    worker::{Shared, WorkerParts},
};

/// Bounds on what is kept.
#[derive(Clone, Copy, Debug)]
pub struct RegistryLimits {
    /// Series of one worker. One takes about 700 bytes, and its share of a scrape 60 KB of text.
    pub series_max: usize,
    /// A series in which nothing was counted for so long is no longer shown. Longer than the
    /// interval of scrapes, or last counts go unseen.
    pub idle: Duration,
}

impl Default for RegistryLimits {
    /// 2000 series for each worker, ten minutes.
    fn default() -> Self {
        Self {
            series_max: 2000,
            idle: Duration::from_secs(600),
        }
    }
}

/// All series of all workers.
#[derive(Debug)]
pub struct Registry {
    limits: RegistryLimits,
    own: Arc<Workload>,
    workers: Vec<Arc<Shared>>,
    /// In the order they came, which is the order of a scrape.
    groups: Vec<Group>,
    /// Index into `groups`.
    by_labels: HashMap<Labels, usize>,
    next_expiry: Option<Instant>,
    expired_series: u64,
    expired_requests: u64,
}

/// The series of equal labels, one for each worker as a rule.
#[derive(Debug)]
struct Group {
    labels: Labels,
    /// Those whose worker may still count.
    series: Vec<Arc<Cells>>,
    /// Of those whose worker has let go.
    settled: Totals,
    /// [`Totals::activity`] when last looked at.
    activity: u64,
    /// When that number was last seen to change.
    changed: Instant,
    /// Idle for too long to be shown.
    hidden: bool,
}

impl Registry {
    /// No workers yet. `own` is the workload that the proxy stands beside
    /// ([`workload_of`](ringmain_core::metrics::workload_of)).
    pub fn new(own: Arc<Workload>, limits: RegistryLimits) -> Self {
        Self {
            limits,
            own,
            workers: Vec::new(),
            groups: Vec::new(),
            by_labels: HashMap::new(),
            next_expiry: None,
            expired_series: 0,
            expired_requests: 0,
        }
    }

    /// What the next worker needs; the first is worker 0.
    pub fn add_worker(&mut self, now: Instant) -> WorkerParts {
        let parts = WorkerParts::new(Arc::clone(&self.own), self.limits.series_max);
        self.workers.push(parts.shared());
        self.join(parts.overflow(), now);
        parts
    }

    /// Takes in new series, and now and then hides idle ones. To be called every second: workers
    /// can only register so many in between.
    pub fn tick(&mut self, now: Instant) {
        self.take_registrations(now);
        if self.next_expiry.is_none_or(|next| next <= now) {
            // Often enough that a group is hidden late by an eighth of the idle time at most.
            self.next_expiry = Some(now + self.limits.idle / 8);
            self.expire(now);
        }
    }

    /// Every number at this moment. The work is linear in the number of series; workers notice
    /// nothing of it. [`Scrape::render`] may run on another thread.
    pub fn scrape(&mut self, now: Instant) -> Scrape {
        self.take_registrations(now);
        self.expire(now);
        let shown = self.groups.iter().filter(|group| !group.hidden);
        let series = shown.map(|group| SeriesTotals {
            labels: group.labels.clone(),
            totals: group.totals(),
        });
        let workers = self.workers.iter().map(|worker| WorkerTotals {
            counters: worker.counters.values(),
        });
        Scrape {
            series: series
                .filter(|series| series.totals.activity() > 0)
                .collect(),
            workers: workers.collect(),
            expired_series: self.expired_series,
            expired_requests: self.expired_requests,
        }
    }

    fn take_registrations(&mut self, now: Instant) {
        for index in 0..self.workers.len() {
            // As many as the queue holds, so that a worker cannot keep the supervisor here.
            for _ in 0..self.workers[index].registrations.capacity() {
                let Some(cells) = self.workers[index].registrations.pop() else {
                    break;
                };
                self.join(cells, now);
            }
        }
    }

    fn join(&mut self, cells: Arc<Cells>, now: Instant) {
        let labels = cells.labels.clone();
        let groups = &mut self.groups;
        let index = *self.by_labels.entry(labels).or_insert_with(|| {
            groups.push(Group {
                labels: cells.labels.clone(),
                series: Vec::new(),
                settled: Totals::default(),
                activity: 0,
                changed: now,
                hidden: false,
            });
            groups.len() - 1
        });
        let group = &mut groups[index];
        group.series.push(cells);
        group.changed = now;
        group.hidden = false;
    }

    fn expire(&mut self, now: Instant) {
        let mut retired = false;
        for group in &mut self.groups {
            group.settle();
            retired |= group.hide_if_idle(now, self.limits.idle);
        }
        if retired {
            for worker in &self.workers {
                // Written here only.
                let retirements = worker.retirements.load(Ordering::Relaxed);
                worker
                    .retirements
                    .store(retirements.wrapping_add(1), Ordering::Relaxed);
            }
        }
        self.remove_empty();
    }

    /// Requests counted so far, wherever they are.
    #[cfg(test)]
    pub(super) fn counted(&self) -> u64 {
        let groups = self.groups.iter().map(|group| group.totals().requests());
        groups.sum::<u64>() + self.expired_requests
    }

    /// Groups that take memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        assert_eq!(self.groups.len(), self.by_labels.len());
        self.groups.len()
    }

    fn remove_empty(&mut self) {
        let before = self.groups.len();
        self.groups.retain(|group| {
            let is_kept = !group.hidden || !group.series.is_empty();
            if !is_kept {
                self.expired_series += 1;
                self.expired_requests += group.settled.requests();
            }
            is_kept
        });
        if self.groups.len() < before {
            let groups = self.groups.iter().enumerate();
            self.by_labels = groups
                .map(|(index, group)| (group.labels.clone(), index))
                .collect();
        }
    }
}

impl Group {
    fn totals(&self) -> Totals {
        let mut totals = self.settled.clone();
        for cells in &self.series {
            totals.read(cells);
        }
        totals
    }

    /// Moves what a series holds to the settled totals when its worker has let go of it.
    fn settle(&mut self) {
        let settled = &mut self.settled;
        self.series.retain_mut(|cells| {
            // The plain look comes first: `get_mut` writes to the series' memory. Its owner has
            // let go when it succeeds, and everything the owner counted is then visible.
            let is_alone = Arc::strong_count(cells) == 1 && Arc::get_mut(cells).is_some();
            if is_alone {
                settled.read(cells);
            }
            !is_alone
        });
    }

    /// Whether series were retired, now or before, that their workers still hold.
    fn hide_if_idle(&mut self, now: Instant, idle: Duration) -> bool {
        let activity = self.totals().activity();
        if activity != self.activity {
            self.activity = activity;
            self.changed = now;
            self.hidden = false;
        }
        // The overflow series has its worker's life.
        if self.labels == Labels::Overflow || now.duration_since(self.changed) < idle {
            return false;
        }
        self.hidden = true;
        self.series.iter().for_each(|cells| cells.retire());
        !self.series.is_empty()
    }
}
