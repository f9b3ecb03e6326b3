//! What the supervisor shows: plain values, made anew for each request.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ringmain_config::{document::Document, node::Node};
use serde::{Serialize, Serializer};

use crate::{control, last_good, supervisor::stages::Stages};

/// The supervisor, as the admin endpoints see it. Called on the supervisor's thread; must not
/// block.
pub trait AdminState: Send + Sync + 'static {
    /// Can traffic be sent here?
    fn readiness(&self) -> Readiness;
    /// Who and how this process is.
    fn server_info(&self) -> ServerInfo;
    /// The Document that all workers use.
    fn configuration(&self) -> Configuration;
    /// Every listener of it, and whether it is bound.
    fn listeners(&self) -> Vec<ListenerView>;
    /// Every cluster of it, with its endpoints.
    fn clusters(&self) -> Vec<ClusterView>;
    /// The text of a Prometheus scrape (exposition format 0.0.4).
    fn metrics(&self) -> String;
    /// Begin the graceful end of the process.
    fn quit(&self);
    /// Stop accepting connections; those that are open go on.
    fn drain_listeners(&self);
    /// What an operator says of this proxy's health; [`Self::readiness`] must follow it.
    fn set_health(&self, health: Health);
}

/// Can traffic be sent to this proxy?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All workers use a configuration and all listeners are bound.
    Live,
    /// Not yet, or not any more: why.
    NotReady(String),
}

/// What an operator says of a proxy's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// `/healthcheck/ok`.
    Ok,
    /// `/healthcheck/fail`: not ready, so that traffic is taken away before a stop.
    Fail,
}

/// What a process is doing, in Envoy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// No configuration yet.
    PreInitializing,
    /// A configuration is being brought to the workers.
    Initializing,
    /// Serving.
    Live,
    /// Ending, or told that its health is bad.
    Draining,
}

/// Body of `/server_info`.
#[derive(Clone, Debug, Serialize)]
pub struct ServerInfo {
    /// Of the program.
    pub version: String,
    /// What it is doing.
    pub state: State,
    /// Since the process started; seconds with an `s`, as Envoy writes it.
    #[serde(rename = "uptime_all_epochs", with = "ringmain_config::duration")]
    pub uptime: Duration,
    /// Process id.
    pub pid: u32,
    /// The I/O rung in use and why it is not a better one, for example `io_uring (defer_taskrun)`.
    pub io: String,
    /// Number of workers.
    pub workers: usize,
    /// Core of each worker; absent for one that is not pinned.
    pub pins: Vec<Option<usize>>,
    /// Whose proxy it is.
    pub node: Node,
    /// Generation that all workers use; 0: none.
    pub generation: u64,
    /// Where that generation came from.
    pub source: ConfigSource,
    /// When the last worker adopted it; absent while there is none.
    #[serde(serialize_with = "moment")]
    pub applied: Option<SystemTime>,
    /// What it took to get there; absent while there is none.
    pub stages: Option<Stages>,
    /// Workers whose loops have not turned for seconds: a defect.
    pub stalled_workers: Vec<usize>,
    /// The connection to the control plane; absent when none is configured.
    pub control_plane: Option<control::Status>,
    /// The last good Document on disk; absent when none is configured.
    pub last_good: Option<last_good::Status>,
}

/// Where the configuration in force came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigSource {
    /// There is none.
    None,
    /// The disk: the control plane has not confirmed or replaced it since the start.
    LastGood,
    /// A control plane, in this process's life.
    ControlPlane,
}

/// What `/config_dump` shows.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The Document that all workers use.
    pub document: Arc<Document>,
    /// Where it came from.
    pub source: ConfigSource,
}

/// A listener, in `/listeners`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerView {
    /// Its name.
    pub name: String,
    /// The address it is bound to (the real port where 0 was asked for).
    pub address: SocketAddr,
    /// One for each worker, in their order.
    pub workers: Vec<WorkerListener>,
}

/// A listener's socket on one worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "error")]
pub enum WorkerListener {
    /// Not opened yet.
    Pending,
    /// Accepting.
    Bound,
    /// It accepts no more; its connections go on.
    Draining,
    /// It could not be opened: why.
    Failed(String),
}

/// A cluster, in `/clusters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// Its name.
    pub name: String,
    /// In the order of the Document.
    pub endpoints: Vec<EndpointView>,
}

/// An endpoint, in `/clusters`. Counters are sums over all workers; absent: not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// Where it is.
    pub address: SocketAddr,
    /// The name it was resolved from; empty when it was given as an address.
    pub hostname: String,
    /// Relative to the cluster's other endpoints.
    pub weight: u32,
    /// Is traffic sent to it?
    pub healthy: bool,
    /// Connections that are open.
    pub connections_active: Option<u64>,
    /// Connections ever opened.
    pub connections: Option<u64>,
    /// Connections that could not be opened.
    pub connect_failures: Option<u64>,
    /// Requests that are open.
    pub requests_active: Option<u64>,
    /// Requests ever sent.
    pub requests: Option<u64>,
    /// Requests that failed.
    pub request_errors: Option<u64>,
}

/// `2026-01-31T10:00:00.000123Z`.
fn moment<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(&humantime::format_rfc3339_micros(*at)),
        None => serializer.serialize_none(),
    }
}
