//! From a Document to a snapshot, with everything that is wrong with it at once.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use ringmain_config::{
    cluster::{Balancer, Cluster},
    document::Document,
    endpoint::EndpointSet,
    listener as config,
    problem::Problem,
};

use super::{
    ClusterEntry, ClusterId, ClusterIndex, Endpoints, Resolved, SLOT_BITS, Snapshot, check,
    endpoints,
};
use crate::{
    limit::Limits,
    place::{Place, Problems},
    route::{self, RouteTable},
};

impl Snapshot {
    /// Compiles `document`. What is the same as in `previous` (the same pointer in the Document)
    /// keeps its compiled pointer; slots and ids continue those of `previous`, so pass the snapshot
    /// that was published last, whatever was refused in between.
    ///
    /// # Errors
    /// Every reason for which the Document cannot be used; at most 1,000 are named.
    pub fn compile(
        previous: Option<&Self>,
        document: &Document,
        resolved: &Resolved,
    ) -> Result<Self, Vec<Problem>> {
        let empty = Self::empty();
        let mut compiler = Compiler {
            previous: previous.unwrap_or(&empty),
            document,
            problems: Problems::default(),
            next_id: previous.map_or(1, |previous| previous.next_id.max(1)),
        };
        let clusters = compiler.clusters(resolved);
        let tables = compiler.route_tables(&clusters);
        let listeners = compiler.listeners(&tables, &clusters);
        compiler.problems.finish()?;
        Ok(Self {
            generation: document.generation,
            listeners: listeners.list.into(),
            listener_slots: listeners.slots.positions.into(),
            route_tables: tables.into_values().flatten().collect(),
            clusters: clusters.slots.into(),
            clusters_by_name: clusters.by_name.into(),
            next_id: compiler.next_id,
        })
    }
}

pub(super) struct Compiler<'a> {
    pub(super) previous: &'a Snapshot,
    pub(super) document: &'a Document,
    pub(super) problems: Problems,
    pub(super) next_id: u64,
}

/// By name; `None` for one that has problems of its own.
pub(super) type Tables<'a> = BTreeMap<&'a str, Option<Arc<RouteTable>>>;

impl<'a> Compiler<'a> {
    pub(super) fn id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Walks the clusters, the endpoint sets and the clusters of the snapshot before side by side;
    /// all are in the order of their names. An unchanged cluster costs two comparisons of pointers,
    /// which also say that the names are the same.
    fn clusters(&mut self, resolved: &Resolved) -> Clusters {
        let previous = self.previous;
        let mut clusters = Clusters {
            slots: vec![None; previous.clusters.len()],
            by_name: Vec::with_capacity(self.document.clusters.len()),
            kept: 0,
        };
        let slots = previous.clusters.iter().zip(0..);
        let mut free = slots
            .filter(|(slot, _)| slot.is_none())
            .map(|(_, index)| ClusterIndex(index));
        let held = previous.clusters_by_name.iter();
        let mut held = held
            .filter_map(|index| Some((*index, previous.clusters[index.0 as usize].as_ref()?)))
            .peekable();
        let mut sets = self.document.endpoint_sets.iter().peekable();
        for (name, part) in self.document.clusters.iter() {
            let is_same = |held: &ClusterEntry| Arc::ptr_eq(&held.cluster, &part.value);
            while held
                .next_if(|(_, held)| !is_same(held) && held.cluster.name < *name)
                .is_some()
            {}
            let held = held.next_if(|(_, held)| is_same(held) || held.cluster.name == *name);
            clusters.kept += usize::from(held.is_some());

            let is_same = |set: &Arc<EndpointSet>| {
                held.is_some_and(|(_, held)| Arc::ptr_eq(&held.source, set))
            };
            while sets
                .next_if(|(set, part)| !is_same(&part.value) && *set < name)
                .is_some()
            {}
            let set = match sets.next_if(|(set, part)| is_same(&part.value) || *set == name) {
                Some((_, part)) => part.value.clone(),
                None => self.missing_set(name),
            };
            let entry = self.cluster(&part.value, set, held.map(|(_, held)| held), resolved);
            let index = held.map(|(index, _)| index).or_else(|| free.next());
            clusters.insert(index, entry);
        }
        clusters
    }

    fn cluster(
        &mut self,
        cluster: &Arc<Cluster>,
        source: Arc<EndpointSet>,
        held: Option<&Arc<ClusterEntry>>,
        resolved: &Resolved,
    ) -> Arc<ClusterEntry> {
        let same_source = held.filter(|held| Arc::ptr_eq(&held.source, &source));
        let has_names = match same_source {
            Some(held) => held.has_names,
            None => {
                endpoints::check(&source, &mut self.problems);
                endpoints::has_names(&source)
            }
        };
        let is_sound = held.is_some_and(|held| Arc::ptr_eq(&held.cluster, cluster))
            || check::cluster(cluster, self.document, &mut self.problems);
        let balancer = match is_sound {
            true => cluster.balancer,
            false => Balancer::default(),
        };
        // A balancer may need another table, and workers see by the pointer that there is one.
        let same_balancer = held.filter(|held| held.cluster.balancer == balancer);
        let endpoints = match same_source.and(same_balancer) {
            Some(held) if !has_names => held.endpoints.clone(),
            _ => {
                let made = Endpoints::new(self.id(), endpoints::resolve(&source, resolved));
                let same = same_balancer.filter(|held| **held.endpoints == *made);
                match same {
                    Some(held) => held.endpoints.clone(),
                    None => Arc::new(made.for_balancer(balancer)),
                }
            }
        };
        if let Some(held) = same_source
            && Arc::ptr_eq(&held.cluster, cluster)
            && Arc::ptr_eq(&held.endpoints, &endpoints)
        {
            return held.clone();
        }
        Arc::new(ClusterEntry {
            id: held.map_or_else(|| ClusterId(self.id()), |held| held.id),
            cluster: cluster.clone(),
            endpoints,
            open: held.map_or_else(Arc::default, |held| held.open.clone()),
            load: held.map_or_else(Arc::default, |held| held.load.clone()),
            limits: Limits::of(cluster),
            source,
            has_names,
        })
    }

    fn missing_set(&mut self, name: &str) -> Arc<EndpointSet> {
        let place = Place::top("cluster", name, None);
        let origin = self.document.clusters[name].value.origin.as_ref();
        let place = Place::below(&place, "endpoint set", name, origin);
        let sets = self.document.endpoint_sets.keys().map(String::as_str);
        self.problems
            .add_missing(&place, "no such endpoint set", name, sets);
        Arc::new(EndpointSet {
            cluster: name.to_owned(),
            endpoints: Vec::new(),
        })
    }

    fn route_tables(&mut self, clusters: &Clusters) -> Tables<'a> {
        let document = self.document;
        let mut users: HashMap<&str, &config::Listener> = HashMap::new();
        for listener in document.listeners.values() {
            for route_table in listener
                .value
                .protocols()
                .filter_map(|own| own.route_table())
            {
                users.entry(route_table).or_insert(&*listener.value);
            }
        }
        let tables = document.route_tables.iter().map(|(name, part)| {
            let source = &part.value;
            let held = self.previous.route_table_named(name);
            if let Some(held) = held
                && Arc::ptr_eq(held.source(), source)
                && clusters.still_has_all(held.clusters(), self.previous)
            {
                return (name.as_str(), Some(held.clone()));
            }
            let user = users.get(name.as_str());
            let listener = user.map(|user| listener_place(user));
            let place = match &listener {
                Some(listener) => Place::below(listener, "route table", name, None),
                None => Place::top("route table", name, None),
            };
            let table = RouteTable::compile(source, &place, clusters, &mut self.problems);
            (name.as_str(), table.map(Arc::new))
        });
        tables.collect()
    }

    /// Port 0 asks the kernel for any free port, so it is never taken twice.
    pub(super) fn check_addresses(&mut self) {
        let listeners = &self.document.listeners;
        if listeners.len() >= 1 << SLOT_BITS {
            let message = format!("{} listeners are more than 65,535", listeners.len());
            let place = Place::top("document", "", None);
            self.problems.add(&place, message);
        }
        let mut taken: HashMap<SocketAddr, &str> = HashMap::new();
        for listener in listeners.values().map(|part| &part.value) {
            if listener.address.port() == 0 {
                continue;
            }
            if let Some(other) = taken.insert(listener.address, &listener.name) {
                let message = format!("listener {other:?} has this address already");
                let address = listener.address.to_string();
                let place = listener_place(listener);
                let place = Place::below(&place, "address", &address, None);
                self.problems.add(&place, message);
            }
        }
    }
}

pub(super) fn listener_place(listener: &config::Listener) -> Place<'_> {
    Place::top("listener", &listener.name, listener.origin.as_ref())
}

/// The clusters of the new snapshot.
pub(super) struct Clusters {
    slots: Vec<Option<Arc<ClusterEntry>>>,
    by_name: Vec<ClusterIndex>,
    /// How many were in the snapshot before.
    kept: usize,
}

impl Clusters {
    /// Without an index: at the end. A slot that the snapshot before used for another name is never
    /// passed, so that what still points to it finds nothing rather than something else.
    fn insert(&mut self, index: Option<ClusterIndex>, entry: Arc<ClusterEntry>) {
        let index = match index {
            Some(index) => {
                self.slots[index.0 as usize] = Some(entry);
                index
            }
            None => {
                self.slots.push(Some(entry));
                let last = u32::try_from(self.slots.len() - 1);
                ClusterIndex(last.expect("a Document has fewer than 2^32 clusters"))
            }
        };
        self.by_name.push(index);
    }

    /// Every cluster that something compiled for `previous` sends to is still there.
    pub(super) fn still_has_all(
        &self,
        mut used: impl Iterator<Item = ClusterIndex>,
        previous: &Snapshot,
    ) -> bool {
        let is_there = |index: ClusterIndex| self.slots[index.0 as usize].is_some();
        self.kept == previous.clusters().len() || used.all(is_there)
    }

    fn entry(&self, index: ClusterIndex) -> &ClusterEntry {
        self.slots[index.0 as usize]
            .as_ref()
            .expect("an index by name is that of a used slot")
    }
}

impl route::Clusters for Clusters {
    fn index(&self, name: &str) -> Option<ClusterIndex> {
        let found = self
            .by_name
            .binary_search_by(|index| self.entry(*index).cluster.name.as_str().cmp(name));
        Some(self.by_name[found.ok()?])
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let entries = self.by_name.iter().map(|index| self.entry(*index));
        entries.map(|entry| entry.cluster.name.as_str())
    }
}
