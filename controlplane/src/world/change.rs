//! Changes that leave the shape of a world as it is: the same resources with other endpoints.
//!
//! They are the many small changes of a mesh's day, and a large world is not made anew for one.
//! What a world is after such a change is the same as one made of the new resources
//! ([`World::new`]).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::World;
use crate::{
    registry::Workload,
    resource::{Resource, service_entry::ServiceEntry, workload_entry::WorkloadEntry},
};

/// A resource and what took its place.
pub(crate) type Pair = (Arc<Resource>, Arc<Resource>);

/// What differs for clients.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Services with other endpoints.
    pub(crate) hosts: BTreeSet<String>,
    /// Workloads that are not what they were, by namespace and name.
    pub(crate) workloads: BTreeSet<(String, String)>,
    /// Some service has workloads of another identity: its clusters are not what they were.
    pub(crate) identities: bool,
}

impl Touched {
    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.workloads.is_empty()
    }
}

/// The resources that differ, when nothing but endpoints does; `None` when anything else does.
pub(crate) fn endpoints_only(
    before: &[Arc<Resource>],
    after: &[Arc<Resource>],
) -> Option<Vec<Pair>> {
    if before.len() != after.len() {
        return None;
    }
    let pairs = before.iter().zip(after);
    let differing = pairs.filter(|(before, after)| !Arc::ptr_eq(before, after));
    differing
        .map(|(before, after)| {
            is_alike(before, after).then(|| (Arc::clone(before), Arc::clone(after)))
        })
        .collect()
}

fn is_alike(before: &Resource, after: &Resource) -> bool {
    match (before, after) {
        (Resource::ServiceEntry(before), Resource::ServiceEntry(after)) => {
            let with_endpoints = ServiceEntry {
                endpoints: after.endpoints.clone(),
                ..before.clone()
            };
            let accounts = |entry: &ServiceEntry| -> BTreeSet<String> {
                let endpoints = entry.endpoints.iter();
                endpoints
                    .map(|endpoint| endpoint.service_account.clone())
                    .collect()
            };
            // Clients ask for the identities of whoever answers.
            with_endpoints == *after && accounts(before) == accounts(after)
        }
        // Its labels say which rules are for its proxy, its account whom clients ask for.
        (Resource::WorkloadEntry(before), Resource::WorkloadEntry(after)) => {
            let with_workload = WorkloadEntry {
                workload: after.workload.clone(),
                ..before.clone()
            };
            with_workload == *after
                && before.workload.labels == after.workload.labels
                && before.workload.service_account == after.workload.service_account
        }
        _ => before == after,
    }
}

impl World {
    /// The second of each pair, of [`endpoints_only`], takes the place of the first.
    pub(crate) fn replace(&mut self, pairs: &[Pair], touched: &mut Touched) {
        if pairs.is_empty() {
            return;
        }
        let by_place: HashMap<_, _> = pairs
            .iter()
            .map(|(before, after)| (Arc::as_ptr(before), after))
            .collect();
        for resource in &mut self.resources {
            if let Some(after) = by_place.get(&Arc::as_ptr(resource)) {
                *resource = Arc::clone(after);
            }
        }
        for (_, after) in pairs {
            match &**after {
                Resource::ServiceEntry(entry) => {
                    self.registry.replace_entry(entry, &mut touched.hosts);
                }
                Resource::WorkloadEntry(entry) => {
                    let (namespace, name) = (&entry.metadata.namespace, &entry.metadata.name);
                    let workload = Some(Workload::from_entry(entry));
                    self.set_workload(namespace, name, workload, touched);
                }
                Resource::Gateway(_)
                | Resource::VirtualService(_)
                | Resource::DestinationRule(_)
                | Resource::Sidecar(_)
                | Resource::Service(_)
                | Resource::Credential(_)
                | Resource::PeerAuthentication(_)
                | Resource::ApiGateway(_)
                | Resource::ApiRoute(_) => {}
            }
        }
    }

    /// The proxy of this namespace and name is registered with this workload, or is no more. A
    /// WorkloadEntry of the name counts for more.
    pub(crate) fn register(
        &mut self,
        namespace: &str,
        name: &str,
        workload: Option<Workload>,
        touched: &mut Touched,
    ) {
        let has_entry = self.resources.iter().any(|resource| match &**resource {
            Resource::WorkloadEntry(entry) => {
                entry.metadata.namespace == namespace && entry.metadata.name == name
            }
            _ => false,
        });
        if !has_entry {
            self.set_workload(namespace, name, workload, touched);
        }
    }

    fn set_workload(
        &mut self,
        namespace: &str,
        name: &str,
        workload: Option<Workload>,
        touched: &mut Touched,
    ) {
        let account = |workload: &Workload| workload.described.service_account.clone();
        let is_it =
            |workload: &&Arc<Workload>| workload.namespace == namespace && workload.name == name;
        let found = self.registry.workloads().iter().find(is_it);
        let accounts = [
            found.map(|found| account(found)),
            workload.as_ref().map(account),
        ];
        let mut hosts = BTreeSet::new();
        let registry = &mut self.registry;
        if registry.replace_workload(namespace, name, workload, &mut hosts) {
            let key = (namespace.to_owned(), name.to_owned());
            touched.workloads.insert(key);
        }
        if self.settings.identity.is_some() && accounts[0] != accounts[1] {
            let mut services = hosts.iter().filter_map(|host| self.registry.service(host));
            touched.identities |= services.any(|service| {
                let holders = |account: &String| {
                    let all = service.accounts();
                    all.filter(|found| *found == (namespace, account.as_str()))
                        .count()
                };
                let [before, after] = &accounts;
                before.as_ref().is_some_and(|account| holders(account) == 0)
                    || after.as_ref().is_some_and(|account| holders(account) == 1)
            });
        }
        touched.hosts.append(&mut hosts);
    }
}

#[cfg(test)]
mod tests;
