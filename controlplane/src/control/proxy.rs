//! One connected proxy as the control loop sees it: what it is meant to hold, and how far it is.

use std::{sync::Arc, time::Instant};

use ringmain_config::{
    document::{Changes, Document, Part},
    node::Node,
    problem::Problem,
    wire::Hello,
};
use tokio::sync::watch;

use super::{report, shared::SharedParts};
use crate::{
    assemble::{assemble, endpoint_sets},
    compile::{Checked, check},
    publish::{Progress, peer::Peer},
    status::{ProxyStatus, Sync},
    world::{World, change::Touched},
};

pub(super) struct Proxy {
    pub(super) node: Node,
    pub(super) generation_held: u64,
    generation_sent: u64,
    program: String,
    peer: Peer,
    connected: Instant,
    target: watch::Sender<Option<Arc<Document>>>,
    sync: Sync,
    /// Since `sync` is what it is.
    since: Instant,
    /// It was in sync on this connection, and refused nothing since.
    settled: bool,
    /// Of the target.
    problems: Vec<Problem>,
    /// Why there is no newer target, and since when.
    unfit: Option<(Instant, Vec<Problem>)>,
    warnings: Vec<Problem>,
}

/// What became of a new target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// The proxy is being brought to it.
    New,
    /// It is the one the proxy has.
    Same,
    /// It does not compile.
    Withheld,
}

impl Proxy {
    pub(super) fn new(
        hello: Hello,
        peer: Peer,
        target: watch::Sender<Option<Arc<Document>>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            node: hello.node,
            generation_held: hello.generation,
            generation_sent: 0,
            program: hello.program,
            peer,
            connected: now,
            target,
            sync: Sync::Sending,
            since: now,
            settled: false,
            problems: Vec::new(),
            unfit: None,
            warnings: Vec::new(),
        }
    }

    /// `default/reviews-v1`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.node.namespace, self.node.name)
    }

    /// For the log.
    pub(super) fn address(&self) -> String {
        let address = self.node.address.map(|address| address.to_string());
        address.unwrap_or_else(|| "none".to_owned())
    }

    /// Of the last world it was looked at in.
    pub(super) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    pub(super) fn has_target(&self) -> bool {
        self.target.borrow().is_some()
    }

    pub(super) fn target(&self) -> Option<Arc<Document>> {
        self.target.borrow().clone()
    }

    /// Gives it the Document that `world` has for it, as `generation`, unless it is the same as
    /// before or does not compile.
    pub(super) fn retarget(
        &mut self,
        world: &World,
        checked: &Checked,
        parts: &mut SharedParts,
        generation: u64,
    ) -> Published {
        let known = checked.of(&self.node);
        let is_checked = known.is_some();
        let (document, warnings) = known.unwrap_or_else(|| assemble(world, &self.node));
        self.warnings = warnings;
        let before = self.target();
        let changes = document.changes_since(before.as_deref().unwrap_or(&Document::default()));
        if before.is_some() && changes.is_empty() {
            self.unfit = None;
            return Published::Same;
        }
        // The endpoints of a Document that compiled may change; the registry makes no bad ones.
        if !is_checked && (before.is_none() || changes.are_structural()) {
            let problems = check(&document);
            if !problems.is_empty() {
                self.withhold(problems);
                return Published::Withheld;
            }
        }
        self.unfit = None;
        self.give(before.as_deref(), changes, parts, generation);
        Published::New
    }

    /// As [`Self::retarget`], in a world where nothing but the endpoints of `touched` differs.
    pub(super) fn follow(
        &mut self,
        world: &World,
        touched: &Touched,
        parts: &mut SharedParts,
        generation: u64,
    ) -> Published {
        let (namespace, name) = (&self.node.namespace, &self.node.name);
        // What a workload answers for shows in its own Document in other places, too.
        let mut workloads = touched.workloads.iter();
        let is_own = workloads.any(|touched| touched.0 == *namespace && touched.1 == *name);
        let before = self.target().filter(|_| !is_own && self.unfit.is_none());
        let Some(before) = before else {
            return self.retarget(world, &Checked::default(), parts, generation);
        };
        let mut changes = Changes::default();
        for set in endpoint_sets(world, &self.node, &before, &touched.hosts) {
            let held = before.endpoint_sets.get(&set.cluster);
            let part = Part::EndpointSet(Arc::new(set));
            let version = part.version();
            if held.is_none_or(|held| held.version != version) {
                changes.upserts.push((version, part));
            }
        }
        if changes.is_empty() {
            return Published::Same;
        }
        self.give(Some(&before), changes, parts, generation);
        Published::New
    }

    /// Makes `before` with `changes` the target.
    fn give(
        &mut self,
        before: Option<&Document>,
        changes: Changes,
        parts: &mut SharedParts,
        generation: u64,
    ) {
        let mut document = before.cloned().unwrap_or_default();
        document.generation = generation;
        for (version, part) in changes.upserts {
            document.upsert_versioned(parts.share(part, version), version);
        }
        for key in &changes.removals {
            document.remove(key);
        }
        self.enter(Sync::Sending);
        self.problems.clear();
        self.target.send_replace(Some(Arc::new(document)));
    }

    /// The session got this far with the target of generation `target`.
    pub(super) fn progressed(&mut self, target: u64, progress: Progress) {
        let proxy = self.name();
        let (sync, problems) = match progress {
            Progress::Sent => {
                self.generation_sent = target;
                (Sync::Sent, Vec::new())
            }
            Progress::Holds { generation } => {
                self.generation_held = generation;
                let took = self.since.elapsed();
                // Endpoints come and go all day; a line for each proxy says nothing more.
                if self.settled {
                    tracing::debug!(proxy, generation, ?took, "proxy is in sync");
                } else {
                    tracing::info!(proxy, generation, ?took, "proxy is in sync");
                }
                self.settled = true;
                (Sync::InSync, Vec::new())
            }
            // Sent again and refused again: no news.
            Progress::Refused { problems }
                if self.sync == Sync::Refused && self.problems == problems =>
            {
                return;
            }
            Progress::Refused { problems } => {
                // The proxy's own log has all of them, and so has `ringmain status`.
                let first = problems.first().map(ToString::to_string);
                tracing::warn!(
                    proxy,
                    generation = target,
                    problems = problems.len(),
                    "proxy refused a generation and uses the one before: {}",
                    first.unwrap_or_default()
                );
                self.settled = false;
                (Sync::Refused, problems)
            }
            Progress::Withheld { problems } => {
                log_withheld(&proxy, &problems);
                (Sync::Withheld, problems)
            }
        };
        // What it says of an older target does not settle the newer one.
        let newest = self
            .target
            .borrow()
            .as_ref()
            .map(|newest| newest.generation);
        if newest == Some(target) {
            self.enter(sync);
            self.problems = problems;
        }
    }

    pub(super) fn status(&self, now: Instant) -> ProxyStatus {
        let (sync, since, problems) = match &self.unfit {
            Some((since, problems)) => (Sync::Withheld, *since, problems),
            None => (self.sync, self.since, &self.problems),
        };
        ProxyStatus {
            namespace: self.node.namespace.clone(),
            name: self.node.name.clone(),
            address: self.node.address,
            program: self.program.clone(),
            peer: self.peer,
            connected: now.saturating_duration_since(self.connected),
            sync,
            since: now.saturating_duration_since(since),
            generation_sent: self.generation_sent,
            generation_held: self.generation_held,
            problems: problems.clone(),
            warnings: self.warnings.clone(),
        }
    }

    fn withhold(&mut self, problems: Vec<Problem>) {
        let known = self.unfit.as_ref().map(|(_, known)| known);
        if known != Some(&problems) {
            log_withheld(&self.name(), &problems);
            self.unfit = Some((Instant::now(), problems));
        }
    }

    fn enter(&mut self, sync: Sync) {
        if self.sync != sync {
            self.sync = sync;
            self.since = Instant::now();
        }
    }
}

fn log_withheld(proxy: &str, problems: &[Problem]) {
    tracing::error!(
        proxy,
        problems = problems.len(),
        "the proxy's Document cannot be used; it keeps the one before"
    );
    report::log(problems);
}
