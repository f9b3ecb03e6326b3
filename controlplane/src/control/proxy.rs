//! One connected proxy as the control loop sees it: what it is meant to hold, and how far it is.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use ringmain_config::{
    document::{Document, PartKey, PartKind},
    node::Node,
    problem::Problem,
    wire::Hello,
};
use tokio::sync::watch;

use super::{report, shared::SharedParts};
use crate::{
    assemble::assemble,
    compile::check,
    publish::{Progress, peer::Peer},
    status::{ProxyStatus, Sync},
    world::World,
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
        parts: &mut SharedParts,
        generation: u64,
    ) -> Published {
        let (mut document, warnings) = assemble(world, &self.node);
        self.warnings = warnings;
        let versions = document.versions();
        let before = self.target().map(|before| before.versions());
        if before.as_ref() == Some(&versions) {
            self.unfit = None;
            return Published::Same;
        }
        // The endpoints of a Document that compiled may change; the registry makes no bad ones.
        if before.is_none_or(|before| structure(before) != structure(versions)) {
            let problems = check(&document);
            if !problems.is_empty() {
                self.withhold(problems);
                return Published::Withheld;
            }
        }
        self.unfit = None;
        document.generation = generation;
        self.enter(Sync::Sending);
        self.problems.clear();
        let document = parts.share(&document);
        self.target.send_replace(Some(Arc::new(document)));
        Published::New
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

/// All but the endpoints.
fn structure(mut versions: BTreeMap<PartKey, u64>) -> BTreeMap<PartKey, u64> {
    versions.retain(|key, _| key.kind != PartKind::EndpointSet);
    versions
}
