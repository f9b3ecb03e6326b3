//! What the control plane says of itself: the answers to queries, for `ringmain status` and `get`.

use std::{net::IpAddr, time::Duration};

use ringmain_config::{duration, problem::Problem};
use serde::{Deserialize, Serialize};

use crate::{publish::peer::Peer, resource::Resource, source::FileReport};

/// Answer to `Query::Status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub program: String,
    /// Process id.
    pub pid: u32,
    /// Since it started.
    #[serde(with = "duration")]
    pub up: Duration,
    /// In the order of namespace, name and connection.
    pub proxies: Vec<ProxyStatus>,
    /// Where the resources come from.
    pub source: SourceStatus,
    /// The last changes that proxies were brought to, the newest first.
    #[serde(default)]
    pub changes: Vec<ChangeStatus>,
}

/// A change, from the first sign of it to the last proxy that uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// Since the first sign of it.
    #[serde(with = "duration")]
    pub ago: Duration,
    /// What changed.
    pub cause: Cause,
    /// From the first sign to the last proxy so far.
    #[serde(with = "duration")]
    pub took: Duration,
    /// What that time was spent with, in order.
    pub stages: Vec<Stage>,
    /// How many proxies it concerns.
    pub proxies: usize,
    /// How many of them do not use it yet. Those that went away are not among them.
    pub waiting: usize,
    /// The proxy that used it last so far.
    pub slowest: Option<String>,
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What the files say.
    Files,
    /// Who is registered.
    Registrations,
}

/// A part of the way of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// `parse`; they are explained in `docs/operating.md`.
    pub name: String,
    /// What it took.
    #[serde(with = "duration")]
    pub took: Duration,
}

impl Stage {
    pub(crate) fn new(name: &str, took: Duration) -> Self {
        Self {
            name: name.to_owned(),
            took,
        }
    }
}

/// What the control plane does with a change before proxies get to see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stages {
    /// Waiting for more changes that belong to the first.
    pub(crate) settle: Duration,
    /// Listing the directory, reading files, finding out which changed.
    pub(crate) read: Duration,
    /// Making resources of those that changed.
    pub(crate) parse: Duration,
    /// Waiting for the control loop: it was busy, or makes room between two rounds.
    pub(crate) wait: Duration,
    /// Making the world of all resources, or changing endpoints in it.
    pub(crate) world: Duration,
    /// Making Documents of it and compiling them, as proxies will.
    pub(crate) check: Duration,
    /// Finding what differs for each proxy.
    pub(crate) target: Duration,
}

impl Stages {
    pub(crate) fn list(&self) -> Vec<Stage> {
        let stages = [
            ("settle", self.settle),
            ("read", self.read),
            ("parse", self.parse),
            ("wait", self.wait),
            ("world", self.world),
            ("check", self.check),
            ("target", self.target),
        ];
        let passed = stages.into_iter().filter(|(_, took)| !took.is_zero());
        passed.map(|(name, took)| Stage::new(name, took)).collect()
    }
}

/// One connected proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyStatus {
    /// Of its workload.
    pub namespace: String,
    /// Of its workload.
    pub name: String,
    /// Where other workloads reach it.
    pub address: Option<IpAddr>,
    /// Version of its program.
    pub program: String,
    /// Its process.
    pub peer: Peer,
    /// Since it said hello.
    #[serde(with = "duration")]
    pub connected: Duration,
    /// Whether it uses what it is meant to.
    pub sync: Sync,
    /// Since that is so.
    #[serde(with = "duration")]
    pub since: Duration,
    /// The last generation it was sent; 0: none on this connection.
    pub generation_sent: u64,
    /// The last generation it said it uses; 0: none.
    pub generation_held: u64,
    /// Why it does not use what it is meant to.
    pub problems: Vec<Problem>,
    /// What has no effect on it although it was meant to.
    pub warnings: Vec<Problem>,
}

/// Whether a proxy uses what it is meant to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sync {
    /// It does.
    InSync,
    /// It is being sent the difference.
    Sending,
    /// It was sent a generation and has not answered.
    Sent,
    /// It refused the last generation and uses the one before.
    Refused,
    /// Its Document does not compile or cannot be sent; it uses the one before.
    Withheld,
}

/// Where the resources come from, and whether they are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// As named to the control plane.
    pub directory: String,
    /// Every file.
    pub files: Vec<FileReport>,
    /// Why what the files say as a whole is not in force; what they said before is, then. Empty: it
    /// is in force.
    pub refused: Vec<Problem>,
    /// With the directory itself.
    pub problems: Vec<Problem>,
    /// What in the resources in force refers to nothing, or gives way to something else.
    pub warnings: Vec<Problem>,
}

/// An element of the answer to `Query::Resources`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceSummary {
    /// `VirtualService`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// As named to the control plane.
    pub file: String,
    /// 1-based.
    pub line: u32,
    /// The hosts it is for, of the kinds that are for hosts.
    pub hosts: Vec<String>,
}

impl ResourceSummary {
    /// Of a resource.
    pub fn of(resource: &Resource) -> Self {
        let metadata = resource.metadata();
        Self {
            kind: resource.kind().to_owned(),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
            file: metadata.origin.file.to_string(),
            line: metadata.origin.line,
            hosts: hosts(resource),
        }
    }
}

fn hosts(resource: &Resource) -> Vec<String> {
    match resource {
        Resource::Gateway(gateway) => {
            let hosts = gateway.servers.iter().flat_map(|server| &server.hosts);
            hosts.map(|host| host.to_string()).collect()
        }
        Resource::VirtualService(service) => service
            .hosts
            .iter()
            .map(|host| host.value.clone())
            .collect(),
        Resource::DestinationRule(rule) => vec![rule.host.value.clone()],
        Resource::ServiceEntry(entry) => {
            entry.hosts.iter().map(|host| host.value.clone()).collect()
        }
        Resource::Service(service) => vec![service.host()],
        Resource::ApiGateway(gateway) => {
            let listeners = gateway.listeners.iter();
            listeners
                .map(|listener| listener.host().to_owned())
                .collect()
        }
        Resource::ApiRoute(route) => route
            .hostnames
            .iter()
            .map(|host| host.value.clone())
            .collect(),
        Resource::WorkloadEntry(_)
        | Resource::Sidecar(_)
        | Resource::Credential(_)
        | Resource::PeerAuthentication(_) => Vec::new(),
    }
}
