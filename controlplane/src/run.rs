//! The control plane process: read, check, bind, then serve until told to stop.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ringmain_config::problem::Problem;
use thiserror::Error;
use tokio::sync::{mpsc, watch};

use crate::{
    control::Control,
    publish::{
        Door, accept,
        peer::{Allowed, Peer},
        socket::{BindError, Socket},
    },
    registry::registrations::Registrations,
    source::{self, Reading, files::Files},
};

/// What a control plane is started with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directory of YAML files, or a single one.
    pub resources: PathBuf,
    /// Unix socket to serve.
    pub socket: PathBuf,
    /// Who is served beside root and this user.
    pub allowed: Allowed,
    /// File that remembers who is registered over a restart. Absent: the socket's path with
    /// `.registrations` appended.
    pub registrations: Option<PathBuf>,
    /// Bounds on what peers may take.
    pub limits: Limits,
}

/// Bounds on what peers may take, and how long what they said is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, proxies and tools together. Further ones are refused.
    pub connections_max: usize,
    /// From accept to a whole hello or query.
    pub hello: Duration,
    /// For a peer to take one frame; most have at most a megabyte.
    pub write: Duration,
    /// How long a workload stays an endpoint after its last proxy went away.
    pub grace_of_proxy: Duration,
    /// How long proxies have to come back after the control plane was started anew.
    pub grace_of_control: Duration,
}

impl Default for Limits {
    /// 960 connections: below the usual limit of 1024 file descriptors, with some left for files.
    /// 5 s for a hello, 10 s for a frame. 10 s for a workload (Istio's
    /// `PILOT_WORKLOAD_ENTRY_GRACE_PERIOD`), 30 s after a start.
    fn default() -> Self {
        Self {
            connections_max: 960,
            hello: Duration::from_secs(5),
            write: Duration::from_secs(10),
            grace_of_proxy: Duration::from_secs(10),
            grace_of_control: Duration::from_secs(30),
        }
    }
}

/// Why a control plane does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The resources cannot be used: all the problems, with those that are only warnings. There is
    /// no last good state yet, and serving the rest would silently drop what is broken: it may be
    /// what keeps somebody out.
    #[error("{}", Lines(.0))]
    Resources(Vec<Problem>),
    /// The socket cannot be served.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refused something that never fails.
    #[error("cannot find out who this process is: {0}")]
    Own(io::Error),
}

/// A control plane that listens and is to be served: proxies may connect already.
pub struct Running {
    socket: Socket,
    door: Arc<Door>,
    files: Files,
    control: Control,
}

/// Runs a control plane until `shutdown` is ready. Belongs on a tokio runtime with I/O and time,
/// one thread is enough.
///
/// # Errors
/// When it does not start; once it serves it does not fail.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let running = Running::start(options).await?;
    running.serve(shutdown).await;
    Ok(())
}

impl Running {
    /// Reads and checks the resources and binds the socket.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let files = Files::open(&options.resources)
            .map_err(|problem| StartError::Resources(vec![problem]))?;
        let reading = files.reading();
        if reading.has_errors() {
            let problems = reading.problems().cloned().collect();
            return Err(StartError::Resources(problems));
        }
        let limits = options.limits;
        let directory = options.resources.display().to_string();
        let resources = reading.resources.len();
        let file = options
            .registrations
            .unwrap_or_else(|| beside(&options.socket));
        let registrations = registrations(&file, limits.grace_of_control);
        let control = Control::new(directory, reading, registrations, file, limits)
            .map_err(StartError::Resources)?;
        let own = Peer::own().map_err(StartError::Own)?;
        let group = options.allowed.gids.first().copied();
        let socket = Socket::bind(&options.socket, group).await?;
        tracing::info!(socket = %options.socket.display(), resources, "control plane listens");
        Ok(Self {
            socket,
            door: Arc::new(Door::new(options.allowed, own.uid, limits)),
            files,
            control,
        })
    }

    /// The socket that proxies connect to.
    pub fn socket(&self) -> &Path {
        self.socket.path()
    }

    /// Serves until `shutdown` is ready, then closes every connection and removes the socket.
    /// Proxies go on with what they hold.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) {
        let (events, received) = mpsc::channel(EVENTS_MAX);
        // The first reading, which the control loop has already, counts as seen.
        let (readings, latest) = watch::channel(Reading::default());
        tokio::select! {
            () = shutdown => {}
            () = accept(&self.socket, self.door, events) => {}
            () = source::follow(self.files, readings) => {}
            () = self.control.run(latest, received) => {}
        }
        tracing::info!(socket = %self.socket.path().display(), "control plane stops");
    }
}

fn beside(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".registrations");
    PathBuf::from(name)
}

fn registrations(file: &Path, grace: Duration) -> Registrations {
    Registrations::read(file, Instant::now() + grace).unwrap_or_else(|error| {
        tracing::warn!(
            file = %file.display(), %error,
            "cannot read who was registered; endpoint sets fill as proxies connect"
        );
        Registrations::default()
    })
}

struct Lines<'a>(&'a [Problem]);

impl std::fmt::Display for Lines<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let line_break = if index == 0 { "" } else { "\n" };
            write!(formatter, "{line_break}{problem}")?;
        }
        Ok(())
    }
}

/// Sessions wait when the control loop is behind.
const EVENTS_MAX: usize = 256;
