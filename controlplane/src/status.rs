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
        Resource::WorkloadEntry(_) | Resource::Sidecar(_) => Vec::new(),
    }
}
