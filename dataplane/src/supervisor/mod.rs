//! Everything of a proxy that may block: one thread, one tokio runtime, no traffic.
//!
//! [`run`] starts the workers, takes configurations from the disk and the control plane, brings
//! them to the workers, shows the state on the admin endpoint, and ends the process in order.

pub mod listeners;
pub mod memory;
pub mod stages;
pub mod stall;
mod start;
pub mod view;
pub mod workers;

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use ringmain_config::{document::Document, node::Node, problem::Problem, tuning::Tuning};
use ringmain_core::snapshot::{Snapshot, names_to_resolve};
use rustls::RootCertStore;
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};

pub use self::workers::StartError;
use self::{
    listeners::Listeners,
    memory::Memory,
    stages::Stages,
    stall::Stalls,
    view::{Request, View},
    workers::Workers,
};
use crate::{
    access_log::{LogError, LogWriter},
    admin::{Admin, BindError, ConfigSource},
    back_off::BackOff,
    configuration::Configuration,
    control::{Client, Proposal, Receipt},
    inbox::Command,
    last_good::LastGood,
    resolve::{self, Resolver},
    secrets::Secrets,
    tls::contexts::{Contexts, Sources},
};

/// How often the supervisor looks after metrics, snapshots to be freed, and the workers.
const TICK: Duration = Duration::from_secs(1);
/// A configuration waits so long for the names of its endpoints to be looked up.
const RESOLVE_DEADLINE: Duration = Duration::from_secs(2);
/// A worker that has not adopted a configuration by then is reported, and nobody waits for it.
const ADOPT_DEADLINE: Duration = Duration::from_secs(2);
/// Wait before the last good configuration is tried again; doubles to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// See [`RETRY_FIRST`].
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Requests that are cut get so long to be recorded.
const CUT_DEADLINE: Duration = Duration::from_millis(500);
/// The notice of a worker's end comes a moment before the thread has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Responses of the admin endpoint that are under way get so long at the end.
const ADMIN_DEADLINE: Duration = Duration::from_secs(1);

/// Why a proxy could not be started.
#[derive(Debug, Error)]
pub enum RunError {
    /// See [`StartError`].
    #[error(transparent)]
    Workers(#[from] StartError),
    /// See [`BindError`].
    #[error(transparent)]
    Admin(#[from] BindError),
    /// See [`LogError`].
    #[error(transparent)]
    Log(#[from] LogError),
    /// The operating system refuses something a process cannot do without.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// A worker thread ended without being told to.
    #[error("a worker has ended by itself; this is a defect: please report it with the log")]
    WorkerEnded,
}

/// What a proxy tells whoever started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The admin endpoint answers.
    Admin(SocketAddr),
    /// A listener accepts.
    Listening {
        /// Its name.
        name: String,
        /// Where.
        address: SocketAddr,
    },
    /// All workers use a configuration for the first time.
    Ready {
        /// Of the configuration.
        generation: u64,
    },
    /// A configuration was refused; the one before it is still used.
    Refused(Vec<Problem>),
    /// No connection is accepted any more; requests under way end.
    Draining,
}

/// Runs a proxy until it is told to stop by SIGTERM, SIGINT, the admin endpoint or `stop`.
/// A second signal ends it at once. `program` is the version to tell the control plane.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    tuning: &Tuning,
    node: Node,
    program: &str,
    events: impl FnMut(Event) + 'static,
) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let supervisor = Supervisor::start(tuning, node, program, Box::new(events))?;
        supervisor.run().await
    });
    // A lookup that hangs in the system's resolver must not keep the process.
    runtime.shutdown_background();
    result
}

struct Supervisor {
    drain_timeout: Duration,
    view: Arc<View>,
    workers: Workers,
    memory: Memory,
    stalls: Stalls,
    listeners: Listeners,
    snapshot: Arc<Snapshot>,
    /// What the workers have.
    configuration: Arc<Configuration>,
    secrets: Secrets,
    /// Why some handshakes cannot be made, as it was said last.
    tls_problems: Vec<String>,
    document: Arc<Document>,
    source: ConfigSource,
    /// Absent when the process keeps no copy of its configuration.
    last_good: Option<LastGood>,
    /// Absent when there is no control plane.
    client: Option<Client>,
    proposals: mpsc::Receiver<Proposal>,
    resolver: Resolver,
    requests: mpsc::UnboundedReceiver<Request>,
    admin: Admin,
    log: Option<LogWriter>,
    events: Box<dyn FnMut(Event)>,
    is_ready: bool,
    /// The last good Document while it could not be brought into force yet.
    waiting: Option<Arc<Document>>,
    retry: BackOff,
    /// Tells the control client what is in force at the start; once.
    hold: Option<oneshot::Sender<Arc<Document>>>,
    /// Problems that were said last: a configuration that is tried again is not news.
    said: Vec<Problem>,
}

impl Supervisor {
    async fn run(mut self) -> Result<(), RunError> {
        self.use_last_good().await;
        // The control plane is told what is in force, not what lies on the disk.
        if let Some(hold) = self.hold.take() {
            // A client that has ended needs no answer.
            let _ = hold.send(Arc::clone(&self.document));
        }
        let mut retry = pin!(tokio::time::sleep(self.retry.wait(fastrand::u64(..))));
        let mut answers = self.resolver.answers();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut tick = tokio::time::interval(TICK);
        // Looks are counted, so those that were missed are not made up for.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(proposal) = self.proposals.recv() => self.consider(proposal).await,
                Ok(()) = answers.changed() => self.follow_names().await,
                Some(request) = self.requests.recv() => match request {
                    Request::Quit => break,
                    Request::DrainListeners => self.stop_listening(),
                },
                Some(()) = terminate.recv() => break,
                Some(()) = interrupt.recv() => break,
                Some(()) = hang_up.recv() => self.reopen_log(),
                () = &mut retry, if self.waiting.is_some() => {
                    self.use_last_good().await;
                    let wait = self.retry.wait(fastrand::u64(..));
                    retry.as_mut().reset(tokio::time::Instant::now() + wait);
                }
                _ = tick.tick() => {
                    self.view.tick(self.stalls.tick());
                    self.workers.free_retired();
                    self.memory.tick();
                    self.follow_secrets().await;
                    if self.workers.have_ended() {
                        return Err(RunError::WorkerEnded);
                    }
                }
            }
        }
        self.drain(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
        Ok(())
    }

    /// Serves from the disk. What is in the way is often gone in a moment: the ports of a process
    /// that was killed stay with the kernel until it has taken its ring apart. So it is tried again
    /// until it succeeds or the control plane has something better.
    async fn use_last_good(&mut self) {
        let Some(document) = self.waiting.take() else {
            return;
        };
        if let Err(problems) = self
            .apply(
                Arc::clone(&document),
                ConfigSource::LastGood,
                Receipt::default(),
            )
            .await
        {
            self.refuse(&problems);
            self.waiting = Some(document);
        }
    }

    /// Uses what the control plane proposes, or says why not.
    async fn consider(&mut self, proposal: Proposal) {
        if Arc::ptr_eq(&proposal.document, &self.document) {
            // Nothing differs: it only says so, to a proxy that served from the disk until now.
            self.source = ConfigSource::ControlPlane;
            self.view.confirmed();
            proposal.applied();
            return;
        }
        match self
            .apply(
                Arc::clone(&proposal.document),
                ConfigSource::ControlPlane,
                proposal.receipt,
            )
            .await
        {
            Ok(()) => {
                self.waiting = None;
                if let Some(last_good) = &self.last_good {
                    last_good.save(Arc::clone(&proposal.document));
                }
                proposal.applied();
            }
            Err(problems) => {
                self.refuse(&problems);
                proposal.refused(problems);
            }
        }
    }

    /// A name of an endpoint has got other addresses.
    async fn follow_names(&mut self) {
        let document = Arc::clone(&self.document);
        if let Err(problems) = self.apply(document, self.source, Receipt::default()).await {
            self.refuse(&problems);
        }
    }

    /// Brings a configuration to all workers. On an error, nothing has changed.
    async fn apply(
        &mut self,
        document: Arc<Document>,
        source: ConfigSource,
        receipt: Receipt,
    ) -> Result<(), Vec<Problem>> {
        let began = Instant::now();
        let resolved = self.resolve(&document).await;
        let named = Instant::now();
        let snapshot = Arc::new(Snapshot::compile(
            Some(&self.snapshot),
            &document,
            &resolved,
        )?);
        let compiled = Instant::now();
        let prepared = self
            .listeners
            .prepare(&snapshot, self.workers.inboxes.len())?;
        let bound = Instant::now();
        self.secrets.follow(&document);
        let configuration = self.configuration(&snapshot);
        // A connection must find its listener in the snapshot, so the workers have that first.
        let late = self.workers.publish(&configuration, ADOPT_DEADLINE).await;
        let (adopted, at) = (Instant::now(), SystemTime::now());
        self.report_late(&late, document.generation);
        let new = self.listeners.follow(&snapshot, prepared, &self.workers);
        let stages = Stages {
            receipt,
            names: named - began,
            compile: compiled - named,
            bind: bound - compiled,
            adopt: adopted - bound,
        };
        let generation = document.generation;
        tracing::debug!(generation, ?stages, "configuration applied on all workers");
        self.memory.configured();
        self.said.clear();
        self.configuration = configuration;
        self.snapshot = Arc::clone(&snapshot);
        self.document = Arc::clone(&document);
        self.source = source;
        self.view.applied(view::Applied {
            document,
            snapshot,
            source,
            at,
            listeners: self.listeners.bound(),
            stages,
        });
        for listener in new {
            (self.events)(Event::Listening {
                name: listener.name,
                address: listener.address,
            });
        }
        if !std::mem::replace(&mut self.is_ready, true) {
            (self.events)(Event::Ready {
                generation: self.document.generation,
            });
        }
        Ok(())
    }

    /// The snapshot with what handshakes are made with, as far as that can be made.
    fn configuration(&mut self, snapshot: &Arc<Snapshot>) -> Arc<Configuration> {
        let materials = self.secrets.materials();
        let roots = match Contexts::ask_for_roots(snapshot) {
            true => self.secrets.roots(),
            false => Arc::new(RootCertStore::empty()),
        };
        let sources = Sources {
            materials: &materials,
            roots: &roots,
            workers: self.workers.inboxes.len(),
        };
        let (tls, mut problems) = Contexts::make(snapshot, &self.configuration.tls, sources);
        let unread = self.secrets.problems();
        problems.extend(unread.values().map(|problem| (*problem).to_owned()));
        if self.tls_problems != problems {
            problems
                .iter()
                .for_each(|problem| tracing::error!("{problem}"));
            self.tls_problems = problems;
        }
        Arc::new(Configuration {
            snapshot: Arc::clone(snapshot),
            tls: Arc::new(tls),
        })
    }

    /// Takes up certificates and keys whose files have changed.
    async fn follow_secrets(&mut self) {
        if !self.secrets.look() {
            return;
        }
        let snapshot = Arc::clone(&self.snapshot);
        self.configuration = self.configuration(&snapshot);
        let late = self
            .workers
            .publish(&self.configuration, ADOPT_DEADLINE)
            .await;
        self.report_late(&late, self.document.generation);
        tracing::info!("certificates and keys that have changed are used from now on");
    }

    /// Workers that have not adopted what was published are passed over: they adopt it before
    /// anything that they are told later, and the other cores must not wait for them.
    fn report_late(&self, late: &[usize], generation: u64) {
        for worker in late {
            tracing::error!(
                "worker {worker} has not adopted generation {generation} within \
                 {ADOPT_DEADLINE:?}; the others use it"
            );
        }
        self.view.late(late);
    }

    /// The addresses of the names among the endpoints, as far as they are known in time.
    async fn resolve(&self, document: &Document) -> resolve::Answers {
        let names = names_to_resolve(document, &self.snapshot);
        let has_names = !names.is_empty();
        self.resolver.follow(names);
        if has_names {
            self.resolver.settle(RESOLVE_DEADLINE).await
        } else {
            Arc::default()
        }
    }

    fn refuse(&mut self, problems: &[Problem]) {
        if self.said == problems {
            return;
        }
        self.said = problems.to_vec();
        for problem in problems {
            tracing::error!("configuration refused: {problem}");
        }
        (self.events)(Event::Refused(problems.to_vec()));
    }

    fn stop_listening(&mut self) {
        for listener in self.snapshot.listeners() {
            let id = listener.id;
            self.workers.command(|| Command::Unlisten(id));
        }
        self.listeners.stop();
        self.view.stopped_listening();
    }

    fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Lets requests end, then ends the workers; `hurry` ends the waiting.
    async fn drain(mut self, hurry: impl Future<Output = ()>) {
        (self.events)(Event::Draining);
        self.view.draining();
        drop(self.client.take());
        self.workers.command(|| Command::Drain);
        let mut hurry = pin!(hurry);
        let mut patience = pin!(tokio::time::sleep(self.drain_timeout));
        while !self.workers.all_ended() {
            tokio::select! {
                () = self.workers.noticed() => tokio::task::yield_now().await,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = &mut hurry => break,
                () = &mut patience => {
                    tracing::warn!(
                        "requests were still under way after {:?} and are cut \
                         (limits.drain_timeout)",
                        self.drain_timeout
                    );
                    break;
                }
            }
        }
        self.cut().await;
        if let Some(last_good) = self.last_good.take() {
            last_good.finish().await;
        }
        self.admin.finish(ADMIN_DEADLINE).await;
        drop(self.log.take());
    }

    /// Ends what is still under way, so that it is recorded, and then the workers.
    async fn cut(&self) {
        // The second time is for what waits for something that cannot be cut.
        for _ in 0..2 {
            self.workers.command(|| Command::Stop);
            let deadline = Instant::now() + CUT_DEADLINE;
            while !self.workers.all_ended() && Instant::now() < deadline {
                tokio::select! {
                    () = self.workers.noticed() => tokio::task::yield_now().await,
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                }
            }
        }
    }
}
