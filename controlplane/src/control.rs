//! The control loop: owns the world, the registrations and what every proxy is meant to hold.
//!
//! One task, one owner, no locks. Files, proxies and tools send it what happened; it takes
//! everything that is waiting, then brings each proxy's target up to date once. A world that is not
//! fit to be used never becomes a target: the one before stays.

mod answer;
mod history;
mod outdated;
mod proxy;
mod refresh;
mod report;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ringmain_config::{node::Node, problem::Problem};
use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use self::{
    history::{Began, History},
    outdated::Outdated,
    proxy::Proxy,
    refresh::Stale,
    shared::SharedParts,
};
use crate::{
    analyze::{Extent, analyze},
    compile::{Checked, check_and_keep},
    publish::{Event, FramesError, Progress},
    registry::registrations::{Change, Registrations},
    resource::Resource,
    run::Limits,
    source::Reading,
    status::{Cause, Stages},
    world::{
        World,
        change::{Touched, endpoints_only},
    },
};

/// The state of the control plane.
pub(crate) struct Control {
    started: Instant,
    directory: String,
    /// What the source said last.
    reading: Reading,
    /// Why it is not in force as a whole.
    refused: Vec<Problem>,
    /// In force: of the last reading that was fit to be used.
    resources: Vec<Arc<Resource>>,
    /// Of `resources` and `registrations`.
    world: World,
    /// With the world.
    warnings: Vec<Problem>,
    /// Those and the ones of proxies, as far as they were logged since the resources changed.
    warned: BTreeSet<Problem>,
    registrations: Registrations,
    registrations_file: PathBuf,
    limits: Limits,
    /// By connection.
    proxies: BTreeMap<u64, Proxy>,
    parts: SharedParts,
    /// The last one given out, or said by a proxy.
    generation: u64,
    /// Something changed since the targets were brought up to date.
    stale: Stale,
    /// Workloads that registered, or whose registration ended, since then: namespace and name.
    registered: BTreeSet<(String, String)>,
    /// What else changed in the world since then, if nothing but endpoints did.
    touched: Touched,
    /// Of what changed since then.
    began: Option<Began>,
    history: History,
    /// Documents of the world, made when it was checked.
    checked: Checked,
    /// Freed when nobody waits for it.
    outdated: Outdated,
    /// When what nobody waits for is done: warnings, and freeing parts.
    tidy: Option<Instant>,
    /// The world is not made anew before: registrations that come one after the other must not
    /// each cost a round through all proxies.
    not_before: Instant,
}

impl Control {
    /// Starts with what the source says now.
    ///
    /// # Errors
    /// Every reason not to use it.
    pub(crate) fn new(
        directory: String,
        reading: Reading,
        registrations: Registrations,
        registrations_file: PathBuf,
        limits: Limits,
    ) -> Result<Self, Vec<Problem>> {
        let world = World::new(&reading.resources, registrations.nodes());
        let (checked, problems) = check_and_keep(&world, []);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut control = Self {
            started: Instant::now(),
            directory,
            refused: Vec::new(),
            resources: reading.resources.clone(),
            reading,
            world,
            warnings: Vec::new(),
            warned: BTreeSet::new(),
            registrations,
            registrations_file,
            limits,
            proxies: BTreeMap::new(),
            parts: SharedParts::default(),
            generation: first_generation(),
            stale: Stale::Nothing,
            registered: BTreeSet::new(),
            touched: Touched::default(),
            began: None,
            history: History::default(),
            checked,
            outdated: Outdated::default(),
            tidy: None,
            not_before: Instant::now(),
        };
        report::log(control.reading.problems());
        control.look_for_warnings();
        Ok(control)
    }

    /// Serves until nobody sends events any more.
    pub(crate) async fn run(
        &mut self,
        mut readings: watch::Receiver<Reading>,
        mut events: mpsc::Receiver<Event>,
    ) {
        let mut source_lives = true;
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.handle(event),
                    None => return,
                },
                changed = readings.changed(), if source_lives => match changed {
                    Ok(()) => {
                        let reading = readings.borrow_and_update().clone();
                        self.read(reading);
                    }
                    Err(_) => source_lives = false,
                },
                () = until(self.registrations.next_expiry()) => self.expire(Instant::now()),
                () = until(self.due()) => {}
                () = until(self.tidy) => self.tidy(),
            }
            // Whoever connects together is published together.
            while let Ok(event) = events.try_recv() {
                self.handle(event);
            }
            self.refresh();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Connected {
                id,
                hello,
                peer,
                target,
            } => {
                self.generation = self.generation.max(hello.generation);
                self.register(&hello.node);
                let proxy = Proxy::new(*hello, peer, target);
                tracing::info!(
                    proxy = %proxy.name(), %peer, address = proxy.address(),
                    holds = proxy.generation_held, "proxy connected"
                );
                self.proxies.insert(id, proxy);
                self.stale = self.stale.max(Stale::NewProxies);
            }
            Event::Progressed {
                id,
                target,
                progress,
            } => {
                if let Some(proxy) = self.proxies.get_mut(&id) {
                    let now = Instant::now();
                    match &progress {
                        Progress::Sent => self.history.sent(id, target, now),
                        Progress::Holds { .. } => {
                            self.history.applied(id, target, &proxy.name(), now);
                            self.outdated.free();
                        }
                        Progress::Refused { .. } | Progress::Withheld { .. } => {}
                    }
                    proxy.progressed(target, progress);
                }
            }
            Event::Disconnected { id, error } => self.disconnected(id, &error),
            Event::Asked { query, answer } => {
                self.refresh();
                if self.tidy.is_some() {
                    self.tidy();
                }
                // A tool that is gone needs no answer.
                let _ = answer.send(self.answer(&query));
            }
        }
    }

    fn register(&mut self, node: &Node) {
        match self.registrations.connect(node) {
            Change::Same => return,
            Change::Changed => {}
            Change::Contested(other) => tracing::warn!(
                proxy = %format!("{}/{}", node.namespace, node.name),
                address = ?node.address, other = ?other.address,
                "two proxies of this name are connected and differ; the last one's address, ports \
                 and labels count; name one of them differently unless one replaces the other"
            ),
        }
        self.write_registrations();
        self.registered
            .insert((node.namespace.clone(), node.name.clone()));
        self.stale = self.stale.max(Stale::Endpoints);
        self.begin(Began::now(Cause::Registrations));
    }

    fn disconnected(&mut self, id: u64, error: &FramesError) {
        let Some(proxy) = self.proxies.remove(&id) else {
            return;
        };
        self.history.gone(id);
        match error {
            FramesError::Closed => {
                tracing::info!(proxy = %proxy.name(), "proxy disconnected");
            }
            error => tracing::warn!(proxy = %proxy.name(), "proxy disconnected: {error}"),
        }
        let expires = Instant::now() + self.limits.grace_of_proxy;
        self.registrations.disconnect(&proxy.node, expires);
    }

    fn expire(&mut self, now: Instant) {
        let expired = self.registrations.expire(now);
        if !expired.is_empty() {
            self.write_registrations();
            self.registered.extend(expired);
            self.stale = self.stale.max(Stale::Endpoints);
            self.begin(Began::now(Cause::Registrations));
        }
    }

    fn write_registrations(&self) {
        if let Err(error) = self.registrations.write(&self.registrations_file) {
            tracing::warn!(
                file = %self.registrations_file.display(), %error,
                "cannot write down who is registered; a restart of the control plane would empty \
                 endpoint sets until the proxies are back"
            );
        }
    }

    fn begin(&mut self, mut began: Began) {
        began.follows(self.began.take());
        self.began = Some(began);
    }

    fn read(&mut self, reading: Reading) {
        let arrived = Instant::now();
        // Of however many changes that follow each other, one is kept.
        self.outdated.free();
        let before = std::mem::replace(&mut self.reading, reading);
        report::log_changes(&before, &self.reading);
        let (problems, stages) = self.enforce();
        self.keep(before);
        if problems.is_empty() {
            // Nothing more follows from a change of comments, for example.
            if self.stale >= Stale::Endpoints {
                self.begin(began(&self.reading, arrived, stages));
            }
            let resources = self.reading.resources.clone();
            let before = std::mem::replace(&mut self.resources, resources);
            self.keep(before);
            if !self.refused.is_empty() {
                tracing::info!(
                    directory = self.directory,
                    "the resources fit together again"
                );
            }
            // Files settled before they were read.
            self.not_before = Instant::now();
        } else if problems != self.refused {
            tracing::error!(
                directory = self.directory,
                problems = problems.len(),
                "the resources do not fit together; the last good ones stay in force"
            );
            report::log(&problems);
        }
        self.refused = problems;
    }

    /// Makes the world that of the last reading, or says why not. Endpoints of a world that is fit
    /// to be used may change; the registry makes no bad ones.
    fn enforce(&mut self) -> (Vec<Problem>, Stages) {
        let mut stages = Stages::default();
        let began = Instant::now();
        if let Some(pairs) = endpoints_only(&self.resources, &self.reading.resources) {
            self.world.replace(&pairs, &mut self.touched);
            if !self.touched.is_empty() {
                self.stale = self.stale.max(Stale::Endpoints);
            }
            let took = began.elapsed();
            tracing::debug!(resources = pairs.len(), ?took, "endpoints changed");
            stages.world = took;
            return (Vec::new(), stages);
        }
        let candidate = World::new(&self.reading.resources, self.registrations.nodes());
        let made = Instant::now();
        let connected = self.proxies.values().map(|proxy| &proxy.node);
        let (checked, problems) = check_and_keep(&candidate, connected);
        (stages.world, stages.check) = (made - began, made.elapsed());
        tracing::debug!(make = ?stages.world, check = ?stages.check, "world made");
        if problems.is_empty() {
            let before = std::mem::replace(&mut self.world, candidate);
            self.keep(before);
            self.checked = checked;
            self.registered.clear();
            self.touched = Touched::default();
            self.stale = Stale::World;
        }
        (problems, stages)
    }

    /// Keeps what a change took the place of; it is freed even if nothing comes after it.
    fn keep(&mut self, replaced: impl Any + Send + Sync) {
        self.outdated.keep(replaced);
        self.tidy.get_or_insert_with(|| Instant::now() + TIDY_PAUSE);
    }

    /// What can wait until proxies have what they need.
    fn tidy(&mut self) {
        let began = Instant::now();
        self.tidy = None;
        self.outdated.free();
        self.parts.prune();
        self.look_for_warnings();
        tracing::debug!(took = ?began.elapsed(), "looked for warnings");
    }

    /// Warnings do not depend on who is connected, but on what the files say.
    fn look_for_warnings(&mut self) {
        self.warnings = analyze(&self.world, Extent::Mesh);
        let new = |warning: &&Problem| !self.warned.contains(*warning);
        report::log(self.warnings.iter().filter(new));
        self.warned = self.warnings.iter().cloned().collect();
    }
}

/// A change of the files that came to the control loop at `arrived`; `stages` were passed there.
fn began(reading: &Reading, arrived: Instant, stages: Stages) -> Began {
    let Some(timing) = reading.timing else {
        return Began {
            cause: Cause::Files,
            noticed: arrived,
            stages,
        };
    };
    Began {
        cause: Cause::Files,
        noticed: timing.noticed,
        stages: Stages {
            settle: timing.began.saturating_duration_since(timing.noticed),
            read: timing.took.read,
            parse: timing.took.parse,
            ..stages
        },
    }
}

/// Greater than any that an earlier control plane of this host gave out, as long as its clock was
/// not set back; a proxy that knows a greater one says so in its hello.
fn first_generation() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since_epoch.unwrap_or(Duration::ZERO).as_micros();
    u64::try_from(micros).unwrap_or(1)
}

async fn until(expiry: Option<Instant>) {
    match expiry {
        Some(expiry) => sleep_until(expiry.into()).await,
        None => std::future::pending().await,
    }
}

/// After a change, before warnings are looked for and what it took the place of is freed.
const TIDY_PAUSE: Duration = Duration::from_secs(1);
