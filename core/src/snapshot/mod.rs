//! Everything a worker needs to decide, compiled from a Document: immutable and shared.
//!
//! [`Snapshot::compile`] builds on the snapshot before it. What did not change keeps its pointer,
//! so a worker sees by comparing pointers what it can keep; a cluster keeps its [`ClusterIndex`] as
//! long as there is one of its name, so a route table that did not change stays as it is when
//! clusters come and go around it.

mod check;
mod compile;
mod endpoints;
mod listeners;

use std::sync::Arc;

use ringmain_config::{cluster::Cluster, endpoint::EndpointSet, listener as config};

pub use endpoints::{Endpoint, Endpoints, Resolved, names_to_resolve};

use crate::{
    limit::{Limits, Load, OpenConnections},
    route::RouteTable,
    tcp::TcpRoutes,
    tls::Chains,
};

/// A compiled Document.
#[derive(Debug, Default)]
pub struct Snapshot {
    generation: u64,
    /// In the order of their names.
    listeners: Box<[Arc<Listener>]>,
    /// Position in `listeners` by slot of their ids.
    listener_slots: Box<[Option<u32>]>,
    /// In the order of their names.
    route_tables: Box<[Arc<RouteTable>]>,
    /// Shared with the snapshot before where nothing changed.
    clusters: Box<[Option<Arc<ClusterEntry>>]>,
    /// Used slots of `clusters`, in the order of the clusters' names.
    clusters_by_name: Box<[ClusterIndex]>,
    /// The next number for something that must never be taken for anything before it.
    next_id: u64,
}

/// Names a listener as long as it keeps its name, its address and what is spoken on it, and is
/// never used for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u64);

/// Bits of a [`ListenerId`] that say where the listener stands; the others are never used twice.
const SLOT_BITS: u32 = 16;

impl ListenerId {
    fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }
}

/// Where in a snapshot a cluster stands. The same name keeps it from one snapshot to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterIndex(pub u32);

impl ClusterIndex {
    /// That of no cluster in any snapshot.
    pub const NOWHERE: Self = Self(u32::MAX);
}

/// Names a cluster as long as one of its name is there without a break, and is never used for
/// another. A worker that skipped a snapshot may find another cluster in a slot; state belongs to
/// the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// A listener and what it does with requests.
#[derive(Debug)]
pub struct Listener {
    /// See [`ListenerId`].
    pub id: ListenerId,
    /// Name, address, direction, origin.
    pub config: Arc<config::Listener>,
    /// What is spoken on it; where it has TLS, on connections without.
    pub protocol: ListenerProtocol,
    /// What is done with TLS; `None`: it is bytes like others.
    pub tls: Option<Chains>,
}

/// What is spoken on a listener.
#[derive(Clone, Debug)]
pub enum ListenerProtocol {
    /// HTTP, routed by the table.
    Http(Arc<RouteTable>),
    /// Bytes, routed by who connected to what.
    Tcp(Arc<TcpRoutes>),
    /// The one or the other, by the first bytes of each connection (see [`crate::detect`]).
    Detect(Arc<RouteTable>, Arc<TcpRoutes>),
}

impl ListenerProtocol {
    /// Where requests on it are routed; `None` when it carries none.
    pub fn route_table(&self) -> Option<&Arc<RouteTable>> {
        match self {
            Self::Http(table) | Self::Detect(table, _) => Some(table),
            Self::Tcp(_) => None,
        }
    }

    /// Where connections on it are routed that carry bytes; `None` when none do.
    pub fn tcp_routes(&self) -> Option<&Arc<TcpRoutes>> {
        match self {
            Self::Http(_) => None,
            Self::Tcp(routes) | Self::Detect(_, routes) => Some(routes),
        }
    }
}

impl ListenerProtocol {
    /// It leads where `other` does, by the same tables and routes.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        is_same_part(self.route_table(), other.route_table())
            && is_same_part(self.tcp_routes(), other.tcp_routes())
    }
}

fn is_same_part<P>(held: Option<&Arc<P>>, part: Option<&Arc<P>>) -> bool {
    match (held, part) {
        (Some(held), Some(part)) => Arc::ptr_eq(held, part),
        (held, part) => held.is_none() && part.is_none(),
    }
}

/// A cluster and its endpoints.
#[derive(Clone, Debug)]
pub struct ClusterEntry {
    /// See [`ClusterId`].
    pub id: ClusterId,
    /// Name, service, balancer, connections.
    pub cluster: Arc<Cluster>,
    /// Who answers. The pointer changes exactly when a list, weight or workload does.
    pub endpoints: Arc<Endpoints>,
    /// TCP connections of all cores to it. The same as long as its id is.
    pub open: Arc<OpenConnections>,
    /// Requests of all cores to it, as far as `limits` ask for their number. The same as long as
    /// its id is.
    pub load: Arc<Load>,
    /// Bounds on requests at a time.
    pub limits: Limits,
    /// What `endpoints` was made from.
    source: Arc<EndpointSet>,
    has_names: bool,
}

impl ClusterEntry {
    /// Some endpoint is a host's name, which has the addresses that were last looked up.
    pub(crate) fn has_names(&self) -> bool {
        self.has_names
    }
}

impl Snapshot {
    /// Nothing is listened on. Generation 0.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Of the Document it was compiled from.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All listeners, in the order of their names.
    pub fn listeners(&self) -> &[Arc<Listener>] {
        &self.listeners
    }

    /// The listener with this id; `None` when it is gone.
    pub fn listener(&self, id: ListenerId) -> Option<&Arc<Listener>> {
        let position = (*self.listener_slots.get(id.slot())?)?;
        let listener = &self.listeners[position as usize];
        (listener.id == id).then_some(listener)
    }

    /// The listener of this name.
    pub fn listener_named(&self, name: &str) -> Option<&Arc<Listener>> {
        let found = self
            .listeners
            .binary_search_by(|listener| listener.config.name.as_str().cmp(name));
        Some(&self.listeners[found.ok()?])
    }

    /// All route tables, in the order of their names.
    pub fn route_tables(&self) -> &[Arc<RouteTable>] {
        &self.route_tables
    }

    /// The route table of this name.
    pub fn route_table_named(&self, name: &str) -> Option<&Arc<RouteTable>> {
        let found = self
            .route_tables
            .binary_search_by(|table| table.name().cmp(name));
        Some(&self.route_tables[found.ok()?])
    }

    /// The cluster at `index`. Routes of this snapshot always find theirs.
    pub fn cluster(&self, index: ClusterIndex) -> Option<&ClusterEntry> {
        self.clusters.get(index.0 as usize)?.as_deref()
    }

    /// All clusters, in the order of their names.
    pub fn clusters(&self) -> impl ExactSizeIterator<Item = (ClusterIndex, &ClusterEntry)> {
        self.clusters_by_name
            .iter()
            .map(|&index| (index, self.named(index)))
    }

    /// The cluster of this name.
    pub fn cluster_named(&self, name: &str) -> Option<(ClusterIndex, &ClusterEntry)> {
        let found = self
            .clusters_by_name
            .binary_search_by(|index| self.named(*index).cluster.name.as_str().cmp(name));
        let index = self.clusters_by_name[found.ok()?];
        Some((index, self.named(index)))
    }

    /// One more than the greatest index of a cluster: how long a table by index must be.
    pub fn cluster_slots(&self) -> usize {
        self.clusters.len()
    }

    fn named(&self, index: ClusterIndex) -> &ClusterEntry {
        self.cluster(index)
            .expect("an index by name is that of a used slot")
    }
}
