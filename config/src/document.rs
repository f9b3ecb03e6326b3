//! Everything one proxy needs to know: named parts, each with a version of its content.
//!
//! Parts are the unit of change: the wire upserts and removes them, a proxy says which versions it
//! holds, and the compiler keeps what it made of a part whose pointer is unchanged.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{cluster::Cluster, endpoint::EndpointSet, listener::Listener, route::RouteTable};

/// What kind of part a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// [`Listener`].
    Listener,
    /// [`RouteTable`].
    RouteTable,
    /// [`Cluster`].
    Cluster,
    /// [`EndpointSet`].
    EndpointSet,
}

/// Names one part of a Document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartKey {
    /// Its kind.
    pub kind: PartKind,
    /// Its name, unique among its kind.
    pub name: String,
}

impl fmt::Display for PartKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            PartKind::Listener => "listener",
            PartKind::RouteTable => "route table",
            PartKind::Cluster => "cluster",
            PartKind::EndpointSet => "endpoint set",
        };
        write!(formatter, "{kind} {:?}", self.name)
    }
}

/// One part of a Document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Where connections are accepted.
    Listener(Arc<Listener>),
    /// How requests are routed.
    RouteTable(Arc<RouteTable>),
    /// Where they go.
    Cluster(Arc<Cluster>),
    /// Who answers there.
    EndpointSet(Arc<EndpointSet>),
}

impl Part {
    /// Its kind and name.
    pub fn key(&self) -> PartKey {
        let (kind, name) = match self {
            Self::Listener(listener) => (PartKind::Listener, &listener.name),
            Self::RouteTable(table) => (PartKind::RouteTable, &table.name),
            Self::Cluster(cluster) => (PartKind::Cluster, &cluster.name),
            Self::EndpointSet(set) => (PartKind::EndpointSet, &set.cluster),
        };
        PartKey {
            kind,
            name: name.clone(),
        }
    }

    /// A hash of the content: the same part has the same version in every control plane process, so
    /// a proxy that reconnects is sent only what differs.
    pub fn version(&self) -> u64 {
        let bytes =
            serde_json::to_vec(self).expect("a part has only string keys and finite values");
        xxh3_64(&bytes)
    }
}

/// A part with the version of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// See [`Part::version`].
    pub version: u64,
    /// The part.
    pub value: Arc<T>,
}

/// Everything one proxy needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Document {
    /// Increases with every change that a control plane publishes; 0: none was received yet.
    pub generation: u64,
    /// By name.
    pub listeners: BTreeMap<String, Versioned<Listener>>,
    /// By name.
    pub route_tables: BTreeMap<String, Versioned<RouteTable>>,
    /// By name.
    pub clusters: BTreeMap<String, Versioned<Cluster>>,
    /// By name of their cluster.
    pub endpoint_sets: BTreeMap<String, Versioned<EndpointSet>>,
}

impl Document {
    /// Adds or replaces a part; a part whose version is unchanged keeps its pointer.
    pub fn upsert(&mut self, part: Part) {
        let version = part.version();
        self.upsert_versioned(part, version);
    }

    /// As [`Self::upsert`], with the version that the wire named.
    pub fn upsert_versioned(&mut self, part: Part, version: u64) {
        match part {
            Part::Listener(value) => {
                replace(&mut self.listeners, value.name.clone(), version, value)
            }
            Part::RouteTable(value) => {
                replace(&mut self.route_tables, value.name.clone(), version, value);
            }
            Part::Cluster(value) => replace(&mut self.clusters, value.name.clone(), version, value),
            Part::EndpointSet(value) => {
                replace(
                    &mut self.endpoint_sets,
                    value.cluster.clone(),
                    version,
                    value,
                );
            }
        }
    }

    /// Removes a part; one that is not there stays so.
    pub fn remove(&mut self, key: &PartKey) {
        match key.kind {
            PartKind::Listener => drop(self.listeners.remove(&key.name)),
            PartKind::RouteTable => drop(self.route_tables.remove(&key.name)),
            PartKind::Cluster => drop(self.clusters.remove(&key.name)),
            PartKind::EndpointSet => drop(self.endpoint_sets.remove(&key.name)),
        }
    }

    /// Every part, in the order a reader wants them: listeners, route tables, clusters, endpoints.
    pub fn parts(&self) -> impl Iterator<Item = (u64, Part)> + '_ {
        let listeners = self
            .listeners
            .values()
            .map(|part| (part.version, Part::Listener(part.value.clone())));
        let tables = self
            .route_tables
            .values()
            .map(|part| (part.version, Part::RouteTable(part.value.clone())));
        let clusters = self
            .clusters
            .values()
            .map(|part| (part.version, Part::Cluster(part.value.clone())));
        let endpoints = self
            .endpoint_sets
            .values()
            .map(|part| (part.version, Part::EndpointSet(part.value.clone())));
        listeners.chain(tables).chain(clusters).chain(endpoints)
    }

    /// Which versions it holds.
    pub fn versions(&self) -> BTreeMap<PartKey, u64> {
        let of = |kind, name: &String, version| {
            (
                PartKey {
                    kind,
                    name: name.clone(),
                },
                version,
            )
        };
        let mut versions = BTreeMap::new();
        versions.extend(
            self.listeners
                .iter()
                .map(|(name, part)| of(PartKind::Listener, name, part.version)),
        );
        versions.extend(
            self.route_tables
                .iter()
                .map(|(name, part)| of(PartKind::RouteTable, name, part.version)),
        );
        versions.extend(
            self.clusters
                .iter()
                .map(|(name, part)| of(PartKind::Cluster, name, part.version)),
        );
        versions.extend(
            self.endpoint_sets
                .iter()
                .map(|(name, part)| of(PartKind::EndpointSet, name, part.version)),
        );
        versions
    }
}

fn replace<T>(
    parts: &mut BTreeMap<String, Versioned<T>>,
    name: String,
    version: u64,
    value: Arc<T>,
) {
    let unchanged = parts.get(&name).is_some_and(|held| held.version == version);
    if !unchanged {
        parts.insert(name, Versioned { version, value });
    }
}
