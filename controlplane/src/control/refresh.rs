//! Rounds through all proxies: what changed since the last one becomes their targets.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{Control, proxy::Published, report};
use crate::{compile::Checked, registry::Workload, world::change::Touched};

/// What is to be brought up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stale {
    #[default]
    Nothing,
    /// Proxies without a target yet.
    NewProxies,
    /// Endpoints in the world, hence every proxy that can reach them.
    Endpoints,
    /// Every proxy: the world is another one.
    World,
}

impl Control {
    /// When what is stale is to be brought up to date.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.stale >= Stale::Endpoints).then_some(self.not_before)
    }

    /// Brings the world up to date with the registrations, and targets with the world; not sooner
    /// than is due.
    pub(super) fn refresh(&mut self) {
        let began = Instant::now();
        if self.due().is_some_and(|due| due > began) {
            return;
        }
        match std::mem::take(&mut self.stale) {
            Stale::Nothing => {}
            Stale::NewProxies => {
                self.retarget(Stale::NewProxies);
            }
            stale @ (Stale::Endpoints | Stale::World) => {
                self.follow_registrations();
                if !self.touched.is_empty() {
                    // They were made before.
                    self.checked = Checked::default();
                }
                let stale = match self.touched.identities {
                    true => Stale::World,
                    false => stale,
                };
                let after = self.generation;
                let retargeted = self.retarget(stale);
                let changed = retargeted.len();
                self.remember(began, after, retargeted);
                self.touched = Touched::default();
                let checked = std::mem::take(&mut self.checked);
                self.keep(checked);
                let proxies = self.proxies.len();
                let generation = self.generation;
                let took = began.elapsed();
                if changed > 0 {
                    tracing::info!(changed, proxies, generation, ?took, "publishing to proxies");
                }
                self.not_before = began + REFRESH_PAUSE_MIN.max(took * REFRESH_SHARE);
            }
        }
    }

    /// Brings the world up to date with who registered and who is registered no more.
    fn follow_registrations(&mut self) {
        for (namespace, name) in std::mem::take(&mut self.registered) {
            let node = self.registrations.node(&namespace, &name);
            let workload = node.and_then(Workload::from_node);
            let touched = &mut self.touched;
            self.world.register(&namespace, &name, workload, touched);
        }
    }

    /// Targets were given since `round`; those before had generations up to `after`.
    fn remember(&mut self, round: Instant, after: u64, retargeted: BTreeSet<u64>) {
        // Without a change it was for proxies that came, or for nothing.
        let Some(mut began) = self.began.take() else {
            return;
        };
        let published = Instant::now();
        began.stages.target = published - round;
        let stages = began.stages.list();
        let accounted: Duration = stages.iter().map(|stage| stage.took).sum();
        let took = published.saturating_duration_since(began.noticed);
        began.stages.wait = took.saturating_sub(accounted);
        self.history.publish(began, published, after, retargeted);
    }

    /// The connections of proxies that have a new target.
    fn retarget(&mut self, stale: Stale) -> BTreeSet<u64> {
        let mut changed = BTreeSet::new();
        for (id, proxy) in &mut self.proxies {
            let generation = self.generation + 1;
            let (world, parts) = (&self.world, &mut self.parts);
            let published = match stale {
                Stale::Nothing => continue,
                Stale::NewProxies if proxy.has_target() => continue,
                Stale::Endpoints => proxy.follow(world, &self.touched, parts, generation),
                Stale::NewProxies | Stale::World => {
                    proxy.retarget(world, &self.checked, parts, generation)
                }
            };
            match published {
                Published::New => {
                    self.generation = generation;
                    changed.insert(*id);
                }
                Published::Same | Published::Withheld => {}
            }
            // Proxies of one Sidecar share their warnings.
            for warning in proxy.warnings() {
                if self.warned.insert(warning.clone()) {
                    report::log([warning]);
                }
            }
        }
        changed
    }
}

/// Between two rounds through all proxies at least.
const REFRESH_PAUSE_MIN: Duration = Duration::from_millis(20);
/// A round begins after this many times what the last one took: sessions need the thread, too.
const REFRESH_SHARE: u32 = 4;
