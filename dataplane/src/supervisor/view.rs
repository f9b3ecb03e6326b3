//! The supervisor as the admin endpoints see it.
//!
//! Handlers run on the supervisor's own thread, so the lock here is never waited for; it is there
//! because the endpoints' library asks for shared state that could be sent to another thread.

#![allow(clippy::disallowed_types, reason = "on the supervisor's thread only")]

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime},
};

use ringmain_config::{document::Document, node::Node};
use ringmain_core::{
    metrics::{Family, Kind},
    snapshot::Snapshot,
};
use tokio::sync::{mpsc, watch};

use super::{
    listeners::BoundListener,
    stages::{Stages, Totals},
};
use crate::{
    access_log::LogObserver,
    admin::{
        AdminState, ClusterView, ConfigSource, Configuration, EndpointView, Health, ListenerView,
        Readiness, ServerInfo, State, WorkerListener,
    },
    control,
    io::ring::Rung,
    last_good,
    metrics::{Metric, Registry},
};

/// What an operator asks the supervisor for.
pub enum Request {
    /// The process is to end in order.
    Quit,
    /// No more connections are to be accepted.
    DrainListeners,
}

/// What is shown and never changes, and where what changes is found.
pub struct Facts {
    /// Version.
    pub program: String,
    /// Whose proxy it is.
    pub node: Node,
    /// How I/O is done, in words.
    pub io: String,
    /// How I/O is done.
    pub rung: Rung,
    /// Core of each worker.
    pub pins: Vec<Option<usize>>,
    /// Request metrics.
    pub registry: Registry,
    /// Of the control plane's client.
    pub control: Option<watch::Receiver<control::Status>>,
    /// Of the file with the last good Document.
    pub last_good: Option<watch::Receiver<last_good::Status>>,
    /// Of the access log.
    pub log: Option<LogObserver>,
}

/// See the module.
pub struct View {
    started: Instant,
    program: String,
    node: Node,
    io: String,
    rung: Rung,
    pins: Vec<Option<usize>>,
    control: Option<watch::Receiver<control::Status>>,
    last_good: Option<watch::Receiver<last_good::Status>>,
    log: Option<LogObserver>,
    requests: mpsc::UnboundedSender<Request>,
    changing: Mutex<Changing>,
}

/// A configuration that all workers use.
pub struct Applied {
    /// What it was made of.
    pub document: Arc<Document>,
    /// What they use.
    pub snapshot: Arc<Snapshot>,
    /// Where it came from.
    pub source: ConfigSource,
    /// Since when.
    pub at: SystemTime,
    /// What is listened on.
    pub listeners: Vec<BoundListener>,
    /// What it took.
    pub stages: Stages,
}

/// What changes.
struct Changing {
    registry: Registry,
    document: Arc<Document>,
    snapshot: Arc<Snapshot>,
    source: ConfigSource,
    /// When all workers used it.
    applied: Option<SystemTime>,
    /// What that took.
    stages: Option<Stages>,
    totals: Totals,
    /// Workers that do not turn.
    stalled: Vec<usize>,
    /// For each worker: configurations that it had not adopted in time.
    late: Vec<u64>,
    listeners: Vec<BoundListener>,
    listening: bool,
    draining: bool,
    failed_health_check: bool,
}

impl View {
    /// Before any configuration.
    pub fn new(facts: Facts) -> (Arc<Self>, mpsc::UnboundedReceiver<Request>) {
        let (requests, receiver) = mpsc::unbounded_channel();
        let changing = Changing {
            registry: facts.registry,
            document: Arc::default(),
            snapshot: Arc::new(Snapshot::empty()),
            source: ConfigSource::None,
            applied: None,
            stages: None,
            totals: Totals::default(),
            stalled: Vec::new(),
            late: vec![0; facts.pins.len()],
            listeners: Vec::new(),
            listening: true,
            draining: false,
            failed_health_check: false,
        };
        let view = Self {
            started: Instant::now(),
            program: facts.program,
            node: facts.node,
            io: facts.io,
            rung: facts.rung,
            pins: facts.pins,
            control: facts.control,
            last_good: facts.last_good,
            log: facts.log,
            requests,
            changing: Mutex::new(changing),
        };
        (Arc::new(view), receiver)
    }

    /// To be called every second, with the workers that do not turn.
    pub fn tick(&self, stalled: Vec<usize>) {
        let mut changing = self.changing();
        changing.registry.tick(Instant::now());
        changing.stalled = stalled;
    }

    /// These workers have not adopted a configuration in time.
    pub fn late(&self, workers: &[usize]) {
        let mut changing = self.changing();
        for &worker in workers {
            changing.late[worker] += 1;
        }
    }

    /// What is in force was found to be what the control plane wants, too.
    pub fn confirmed(&self) {
        self.changing().source = ConfigSource::ControlPlane;
    }

    /// All workers use a configuration.
    pub fn applied(&self, applied: Applied) {
        let mut changing = self.changing();
        changing.document = applied.document;
        changing.snapshot = applied.snapshot;
        changing.source = applied.source;
        changing.applied = Some(applied.at);
        changing.listeners = applied.listeners;
        changing.totals.add(&applied.stages);
        changing.stages = Some(applied.stages);
    }

    /// No connection is accepted any more.
    pub fn stopped_listening(&self) {
        self.changing().listening = false;
    }

    /// The process is ending.
    pub fn draining(&self) {
        self.changing().draining = true;
    }

    fn changing(&self) -> MutexGuard<'_, Changing> {
        self.changing
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl Changing {
    fn state(&self) -> State {
        match self.source {
            _ if self.draining || self.failed_health_check => State::Draining,
            ConfigSource::None => State::PreInitializing,
            ConfigSource::LastGood | ConfigSource::ControlPlane => State::Live,
        }
    }

    fn readiness(&self) -> Readiness {
        let not_ready = |why: &str| Readiness::NotReady(why.to_owned());
        match self.source {
            _ if self.draining => not_ready("the process is ending"),
            _ if self.failed_health_check => not_ready("POST /healthcheck/fail"),
            _ if !self.listening => not_ready("POST /drain_listeners"),
            ConfigSource::None => not_ready("no configuration has been received yet"),
            ConfigSource::LastGood | ConfigSource::ControlPlane => Readiness::Live,
        }
    }
}

impl AdminState for View {
    fn readiness(&self) -> Readiness {
        self.changing().readiness()
    }

    fn server_info(&self) -> ServerInfo {
        let changing = self.changing();
        ServerInfo {
            version: self.program.clone(),
            state: changing.state(),
            uptime: Duration::from_secs(self.started.elapsed().as_secs()),
            pid: std::process::id(),
            io: self.io.clone(),
            workers: self.pins.len(),
            pins: self.pins.clone(),
            node: self.node.clone(),
            generation: changing.document.generation,
            source: changing.source,
            applied: changing.applied,
            stages: changing.stages,
            stalled_workers: changing.stalled.clone(),
            control_plane: self.control.as_ref().map(|status| status.borrow().clone()),
            last_good: self
                .last_good
                .as_ref()
                .map(|status| status.borrow().clone()),
        }
    }

    fn configuration(&self) -> Configuration {
        let changing = self.changing();
        Configuration {
            document: Arc::clone(&changing.document),
            source: changing.source,
        }
    }

    fn listeners(&self) -> Vec<ListenerView> {
        let changing = self.changing();
        let state = || match changing.listening && !changing.draining {
            true => WorkerListener::Bound,
            false => WorkerListener::Draining,
        };
        let listeners = changing.listeners.iter().map(|listener| ListenerView {
            name: listener.name.clone(),
            address: listener.address,
            workers: self.pins.iter().map(|_| state()).collect(),
        });
        listeners.collect()
    }

    fn clusters(&self) -> Vec<ClusterView> {
        let changing = self.changing();
        let clusters = changing.snapshot.clusters().map(|(_, entry)| ClusterView {
            name: entry.cluster.name.clone(),
            endpoints: entry.endpoints.iter().map(endpoint_view).collect(),
        });
        clusters.collect()
    }

    fn metrics(&self) -> String {
        let mut metrics = vec![
            Metric::build(&self.program),
            Metric::fact(
                "ringmain_io_backend",
                "How the workers do I/O.",
                vec![("backend", self.rung.name().to_owned())],
            ),
        ];
        let mut changing = self.changing();
        let gauge = |name, help, value| {
            Metric::new(
                Family {
                    name,
                    help,
                    kind: Kind::Gauge,
                },
                value,
            )
        };
        metrics.push(gauge(
            "ringmain_generation",
            "Generation of the configuration that all workers use.",
            changing.document.generation,
        ));
        metrics.push(Metric::moment(
            "ringmain_snapshot_applied_timestamp_seconds",
            "When the last worker adopted the configuration in force, in seconds since 1970.",
            changing.applied,
        ));
        metrics.extend(changing.totals.metrics());
        let is_stalled = |worker| u64::from(changing.stalled.contains(&worker));
        metrics.push(Metric::of_workers(
            Family {
                name: "ringmain_worker_stalled",
                help: "1 while the worker's loop has not turned for seconds.",
                kind: Kind::Gauge,
            },
            (0..self.pins.len()).map(is_stalled),
        ));
        metrics.push(Metric::of_workers(
            Family {
                name: "ringmain_snapshots_late_total",
                help: "Configurations that the worker had not adopted within 2 s.",
                kind: Kind::Counter,
            },
            changing.late.iter().copied(),
        ));
        if let Some(status) = &self.control {
            let status = status.borrow();
            let connected = matches!(status.connection, control::Connection::Connected { .. });
            metrics.push(gauge(
                "ringmain_control_plane_connected",
                "1 while the control plane is connected.",
                connected.into(),
            ));
            metrics.push(Metric::new(
                Family {
                    name: "ringmain_configurations_refused_total",
                    help: "Generations of the control plane that this proxy could not use.",
                    kind: Kind::Counter,
                },
                status.refused,
            ));
        }
        if let Some(log) = &self.log {
            metrics.extend(log.metrics());
        }
        let mut text = Vec::new();
        changing
            .registry
            .scrape(Instant::now())
            .render(&metrics, &mut text);
        String::from_utf8(text).expect("label values and names are text")
    }

    fn quit(&self) {
        // When the supervisor is gone, so is the process.
        drop(self.requests.send(Request::Quit));
    }

    fn drain_listeners(&self) {
        drop(self.requests.send(Request::DrainListeners));
    }

    fn set_health(&self, health: Health) {
        self.changing().failed_health_check = health == Health::Fail;
    }
}

fn endpoint_view(endpoint: &ringmain_core::snapshot::Endpoint) -> EndpointView {
    EndpointView {
        address: endpoint.address,
        hostname: String::new(),
        weight: endpoint.weight,
        healthy: true,
        connections_active: None,
        connections: None,
        connect_failures: None,
        requests_active: None,
        requests: None,
        request_errors: None,
    }
}
