//! The endpoints of one cluster, with everything about their weights worked out.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use foldhash::fast::FixedState;
use ringmain_config::{
    cluster::Balancer,
    document::Document,
    endpoint::{EndpointAddress, EndpointSet, Workload},
};

use super::{ClusterEntry, Snapshot};
use crate::{
    balance::HashTable,
    place::{Place, Problems},
};

/// Addresses of the host names that endpoints have, as the supervisor last resolved them. A name
/// that is not in it has no addresses.
pub type Resolved = BTreeMap<String, Vec<IpAddr>>;

/// The host names that the endpoints of `document` have: what the supervisor is to resolve. Sets
/// that `previous` was compiled from and that have no names are not looked into.
pub fn names_to_resolve<'d>(document: &'d Document, previous: &Snapshot) -> BTreeSet<&'d str> {
    let mut held = previous.clusters().map(|(_, entry)| entry).peekable();
    let sets = document.endpoint_sets.iter().filter(|(name, set)| {
        let is_same = |held: &ClusterEntry| Arc::ptr_eq(&held.source, &set.value);
        while held
            .next_if(|held| !is_same(held) && held.cluster.name < **name)
            .is_some()
        {}
        let known = held.next_if(|held| is_same(held));
        known.is_none_or(|known| known.has_names)
    });
    let endpoints = sets.flat_map(|(_, set)| &set.value.endpoints);
    let names = endpoints.filter_map(|endpoint| match &endpoint.address {
        EndpointAddress::Dns { host, .. } => Some(host.as_str()),
        EndpointAddress::Socket(_) => None,
    });
    names.collect()
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    /// Relative to the others; never 0.
    pub weight: u32,
    /// A proxy of the mesh stands before it and speaks the mesh's TLS.
    pub is_in_mesh: bool,
    /// The workload that listens there.
    pub workload: Arc<Workload>,
}

/// Endpoints of a cluster. No address stands in it twice: of several, the first counts.
#[derive(Debug, Default)]
pub struct Endpoints {
    id: u64,
    list: Box<[Endpoint]>,
    /// Sums of the weights up to and with each endpoint; empty when all weights are equal.
    weights_upto: Box<[u64]>,
    /// For a balancer that looks at hashes.
    hash_table: Option<HashTable>,
}

impl Endpoints {
    /// `id` must differ from that of all other endpoints that the same balancer state will see; it
    /// tells the state to start anew.
    pub fn new(id: u64, endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        let endpoints = endpoints.into_iter();
        // Addresses are the operator's: nobody seeks those that collide in a hash that can be
        // foreseen. With the library's own, compiling 100,000 endpoints takes 2.4 times as many
        // instructions.
        let mut seen =
            HashSet::with_capacity_and_hasher(endpoints.size_hint().0, FixedState::default());
        let list: Box<[Endpoint]> = endpoints
            .filter(|endpoint| seen.insert(endpoint.address))
            .collect();
        let is_equal = list.windows(2).all(|two| two[0].weight == two[1].weight);
        let mut sum = 0;
        let weights_upto = list.iter().map(|endpoint| {
            sum += u64::from(endpoint.weight);
            sum
        });
        Self {
            id,
            weights_upto: match is_equal {
                true => Box::default(),
                false => weights_upto.collect(),
            },
            list,
            hash_table: None,
        }
    }

    /// With what `balancer` needs worked out: for one that looks at hashes, a table, which takes
    /// milliseconds.
    #[must_use]
    pub fn for_balancer(mut self, balancer: Balancer) -> Self {
        self.hash_table = HashTable::new(balancer, &self.list);
        self
    }

    /// See [`Self::new`].
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Sums of the weights up to and with each endpoint; `None` when all weights are equal.
    pub(crate) fn weights_upto(&self) -> Option<&[u64]> {
        (!self.weights_upto.is_empty()).then_some(&self.weights_upto)
    }

    /// See [`Self::for_balancer`].
    pub(crate) fn hash_table(&self) -> Option<&HashTable> {
        self.hash_table.as_ref()
    }
}

impl std::ops::Deref for Endpoints {
    type Target = [Endpoint];

    fn deref(&self) -> &[Endpoint] {
        &self.list
    }
}

/// Reports what is wrong with `set`.
pub(super) fn check(set: &EndpointSet, problems: &mut Problems) {
    for endpoint in set.endpoints.iter().filter(|endpoint| endpoint.weight == 0) {
        let place = Place::top("endpoint set", &set.cluster, None);
        let address = endpoint.address.to_string();
        let place = Place::below(&place, "endpoint", &address, None);
        problems.add(&place, "its weight is 0, which must be at least 1");
    }
}

/// The endpoints of `set` with names replaced by their addresses. Each address of a name has the
/// name's weight.
pub(super) fn resolve(set: &EndpointSet, resolved: &Resolved) -> Vec<Endpoint> {
    let mut endpoints = Vec::with_capacity(set.endpoints.len());
    for endpoint in &set.endpoints {
        let at = |address| Endpoint {
            address,
            weight: endpoint.weight,
            is_in_mesh: endpoint.is_in_mesh,
            workload: endpoint.workload.clone(),
        };
        match &endpoint.address {
            EndpointAddress::Socket(address) => endpoints.push(at(*address)),
            EndpointAddress::Dns { host, port } => {
                let addresses = resolved.get(host).into_iter().flatten();
                endpoints.extend(addresses.map(|address| at(SocketAddr::new(*address, *port))));
            }
        }
    }
    endpoints
}

/// Some endpoint of `set` is known by name only.
pub(super) fn has_names(set: &EndpointSet) -> bool {
    let mut endpoints = set.endpoints.iter();
    endpoints.any(|endpoint| matches!(endpoint.address, EndpointAddress::Dns { .. }))
}
