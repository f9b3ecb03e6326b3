//! A proxy before it has a configuration: workers, log, the client of the control plane, the admin
//! endpoint, and what the disk remembers.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use ringmain_config::{
    document::Document,
    node::Node,
    tuning::{AccessLog, Tuning},
};
use ringmain_core::{metrics::workload_of, snapshot::Snapshot};
use tokio::sync::{mpsc, oneshot};

use super::{
    Event, RETRY_FIRST, RETRY_MAX, RunError, Supervisor,
    listeners::Listeners,
    memory::Memory,
    stall::Stalls,
    view::{self, View},
    workers::Workers,
};
use crate::{
    access_log::{LogError, LogSink, LogTarget, LogWriter},
    admin::{self, Admin, ConfigSource},
    back_off::BackOff,
    control::{self, Client, Proposal},
    cpus::Cpus,
    last_good::{self, LastGood},
    metrics::{Registry, RegistryLimits, WorkerParts},
    resolve::{self, Resolver},
    secrets::Secrets,
};

impl Supervisor {
    /// Starts everything; `events` is told where the admin endpoint answers.
    ///
    /// # Errors
    /// When a part cannot be started.
    pub(super) fn start(
        tuning: &Tuning,
        node: Node,
        program: &str,
        mut events: Box<dyn FnMut(Event)>,
    ) -> Result<Self, RunError> {
        let count = match tuning.workers.count {
            0 => Cpus::available().workers(),
            count => count as usize,
        };
        let bound = admin::bind(tuning.admin.listen)?;
        let (log, sinks) = open_log(tuning, count)?;
        let (registry, parts) = registry(tuning, &node, count);
        let counters: Vec<_> = parts.iter().map(WorkerParts::counters).collect();
        let stalls = Stalls::new(counters);
        let workers = Workers::start(tuning, parts, sinks)?;
        report_rung(&workers);

        let file = tuning.control.snapshot.as_ref();
        let waiting = file.and_then(|path| load(path, &node)).map(Arc::new);
        let last_good = file.map(|path| LastGood::start(path.clone(), node.clone()));
        let (client, proposals, hold) = connect(tuning, &node, program);
        let (view, requests) = View::new(view::Facts {
            program: program.to_owned(),
            node,
            io: io_text(&workers),
            rung: workers.rung,
            pins: workers.pins.clone(),
            registry,
            control: client.as_ref().map(Client::watch),
            last_good: last_good.as_ref().map(LastGood::watch),
            log: log.as_ref().map(LogWriter::observer),
        });
        let state: Arc<dyn admin::AdminState> = Arc::clone(&view) as _;
        let admin = Admin::start(bound, state, admin::Limits::default())?;
        events(Event::Admin(admin.address()));
        Ok(Self {
            drain_timeout: tuning.limits.drain_timeout,
            view,
            workers,
            memory: Memory::default(),
            stalls,
            listeners: Listeners::default(),
            snapshot: Arc::new(Snapshot::empty()),
            configuration: Arc::default(),
            secrets: Secrets::default(),
            tls_problems: Vec::new(),
            document: Arc::default(),
            source: ConfigSource::None,
            last_good,
            client,
            proposals,
            resolver: Resolver::start(resolve::Options::default(), Arc::new(resolve::System)),
            requests,
            admin,
            log,
            events,
            is_ready: false,
            waiting,
            retry: BackOff::new(RETRY_FIRST, RETRY_MAX),
            hold,
            said: Vec::new(),
        })
    }
}

/// The access log, and the end of it that each of so many workers writes to.
fn open_log(
    tuning: &Tuning,
    workers: usize,
) -> Result<(Option<LogWriter>, Vec<LogSink>), LogError> {
    let target = match &tuning.log.access {
        AccessLog::Off => return Ok((None, Vec::new())),
        AccessLog::Stdout => LogTarget::Stdout,
        AccessLog::Stderr => LogTarget::Stderr,
        AccessLog::File(path) => LogTarget::from_path(path),
    };
    let (writer, sinks) = LogWriter::spawn(target, workers)?;
    Ok((Some(writer), sinks))
}

/// Metrics, and the part of them that each of so many workers counts in.
fn registry(tuning: &Tuning, node: &Node, workers: usize) -> (Registry, Vec<WorkerParts>) {
    let limits = RegistryLimits {
        series_max: tuning.limits.metric_series as usize,
        ..RegistryLimits::default()
    };
    let mut registry = Registry::new(Arc::new(workload_of(node)), limits);
    let parts = (0..workers).map(|_| registry.add_worker(Instant::now()));
    let parts = parts.collect();
    (registry, parts)
}

/// The client of the control plane, what it proposes, and how it is told what is in force.
type Connected = (
    Option<Client>,
    mpsc::Receiver<Proposal>,
    Option<oneshot::Sender<Arc<Document>>>,
);

/// Without a control plane, nothing is ever proposed.
fn connect(tuning: &Tuning, node: &Node, program: &str) -> Connected {
    match &tuning.control.socket {
        Some(socket) => {
            let options = control_options(tuning, socket.clone(), node, program);
            let (client, proposals, hold) = Client::start(options);
            (Some(client), proposals, Some(hold))
        }
        None => (None, mpsc::channel(1).1, None),
    }
}

fn load(path: &Path, node: &Node) -> Option<Document> {
    match last_good::load(path, node) {
        Ok(document) => {
            tracing::info!(
                "serving generation {} from {} until the control plane answers",
                document.generation,
                path.display()
            );
            Some(document)
        }
        Err(last_good::LoadError::Absent(_)) => None,
        Err(error) => {
            tracing::warn!("starting without the last good configuration: {error}");
            None
        }
    }
}

fn control_options(
    tuning: &Tuning,
    socket: PathBuf,
    node: &Node,
    program: &str,
) -> control::Options {
    control::Options {
        socket,
        node: node.clone(),
        program: program.to_owned(),
        limits: control::Limits {
            reconnect_first: tuning.control.reconnect_pause_min,
            reconnect_max: tuning.control.reconnect_pause_max,
            ..control::Limits::default()
        },
    }
}

fn report_rung(workers: &Workers) {
    for refusal in &workers.refusals {
        tracing::warn!("not the best way to do I/O: {refusal}");
    }
    let count = workers.inboxes.len();
    let plural = if count == 1 { "" } else { "s" };
    tracing::info!("{count} worker{plural} on {}", workers.rung.name());
}

fn io_text(workers: &Workers) -> String {
    match workers.refusals.as_slice() {
        [] => workers.rung.name().to_owned(),
        refusals => format!("{} ({})", workers.rung.name(), refusals.join("; ")),
    }
}
