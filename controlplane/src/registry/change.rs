//! Endpoints that come, go and move in a registry whose services stay as they are: only what such a
//! change touches is made anew.

use std::{collections::BTreeSet, sync::Arc};

use super::{Registry, Workload, entry_workloads};
use crate::resource::{metadata::selects, service_entry::ServiceEntry};

impl Registry {
    /// `entry`, of which nothing but the endpoints differs, takes the place of the one of its name.
    /// Adds the hosts whose endpoints are others now to `hosts`.
    pub(crate) fn replace_entry(&mut self, entry: &ServiceEntry, hosts: &mut BTreeSet<String>) {
        if entry.selector.is_some() {
            return;
        }
        for host in &entry.hosts {
            let origin = entry.metadata.origin_at(host.span);
            // The host may be another resource's.
            if let Some(service) = self.services.get_mut(&host.value)
                && service.origin == origin
            {
                let workloads = entry_workloads(entry, host);
                if service.workloads != workloads {
                    service.workloads = workloads;
                    hosts.insert(host.value.clone());
                }
            }
        }
    }

    /// `workload` is the one of this namespace and name from now on; `None`: there is none any
    /// more. Adds the hosts that it answered or answers for to `hosts`. False when it was so
    /// before.
    pub(crate) fn replace_workload(
        &mut self,
        namespace: &str,
        name: &str,
        workload: Option<Workload>,
        hosts: &mut BTreeSet<String>,
    ) -> bool {
        let found = find(&self.workloads, namespace, name);
        let before = found.ok().map(|place| Arc::clone(&self.workloads[place]));
        if before.as_deref() == workload.as_ref() {
            return false;
        }
        let workload = workload.map(Arc::new);
        put(&mut self.workloads, namespace, name, workload.clone());
        for service in self.services.values_mut() {
            let Some(selector) = &service.selector else {
                continue;
            };
            if service.namespace != namespace {
                continue;
            }
            let selected = |workload: &Arc<Workload>| selects(selector, &workload.labels);
            let is = workload.as_ref().filter(|workload| selected(workload));
            if is.is_some() || before.as_ref().is_some_and(selected) {
                let is = is.cloned();
                put(&mut service.workloads, namespace, name, is);
                hosts.insert(service.host.clone());
            }
        }
        true
    }
}

/// Where it stands among workloads in the order of namespace and name, or would stand.
fn find(workloads: &[Arc<Workload>], namespace: &str, name: &str) -> Result<usize, usize> {
    workloads.binary_search_by(|workload| {
        (&*workload.namespace, &*workload.name).cmp(&(namespace, name))
    })
}

fn put(
    workloads: &mut Vec<Arc<Workload>>,
    namespace: &str,
    name: &str,
    workload: Option<Arc<Workload>>,
) {
    match (find(workloads, namespace, name), workload) {
        (Ok(place), Some(workload)) => workloads[place] = workload,
        (Ok(place), None) => drop(workloads.remove(place)),
        (Err(place), Some(workload)) => workloads.insert(place, workload),
        (Err(_), None) => {}
    }
}
