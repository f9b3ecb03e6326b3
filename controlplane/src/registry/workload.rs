//! Somebody who answers: one address, its ports, its labels.

use std::{collections::BTreeMap, sync::Arc};

use ringmain_config::{
    endpoint,
    node::{GatewayScope, Node},
};

use super::describe;
use crate::resource::{
    metadata::Labels,
    workload_entry::{self, WorkloadAddress, WorkloadEntry},
};

/// A workload of a WorkloadEntry, of a ServiceEntry's endpoint, or of a connected proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Empty for an endpoint that a ServiceEntry lists itself.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Where it is reached.
    pub address: WorkloadAddress,
    /// Port name to number, where they differ from the service's.
    pub ports: BTreeMap<String, u16>,
    /// For selectors and subsets.
    pub labels: Labels,
    /// Relative to other workloads of a service.
    pub weight: u32,
    /// Its proxy speaks the mesh's TLS: it registered itself, or says so by the label
    /// [`TLS_MODE`].
    pub has_proxy: bool,
    /// What metrics say of it.
    pub described: Arc<endpoint::Workload>,
}

impl Workload {
    pub(crate) fn from_entry(entry: &WorkloadEntry) -> Self {
        let (name, namespace) = (&entry.metadata.name, &entry.metadata.namespace);
        let workload = &entry.workload;
        let account = &workload.service_account;
        Self {
            name: name.clone(),
            namespace: namespace.clone(),
            described: Arc::new(describe(name, namespace, &workload.labels, account)),
            ..Self::from_fields(workload)
        }
    }

    /// An endpoint has no name; without labels and account nothing is known of it.
    pub(super) fn from_endpoint(endpoint: &workload_entry::Workload, namespace: &str) -> Self {
        let known = !endpoint.labels.is_empty() || !endpoint.service_account.is_empty();
        let described = if known {
            describe("", namespace, &endpoint.labels, &endpoint.service_account)
        } else {
            endpoint::Workload::default()
        };
        Self {
            namespace: namespace.to_owned(),
            described: Arc::new(described),
            ..Self::from_fields(endpoint)
        }
    }

    /// What `host` resolves to.
    pub(super) fn of_host(host: &str) -> Self {
        Self {
            name: String::new(),
            namespace: String::new(),
            address: WorkloadAddress::Dns(host.to_owned()),
            ports: BTreeMap::new(),
            labels: Labels::new(),
            weight: 1,
            has_proxy: false,
            described: Arc::default(),
        }
    }

    /// The workload of a proxy that registers itself; `None` when it gave no address.
    pub(crate) fn from_node(node: &Node) -> Option<Self> {
        let account = &node.service_account;
        Some(Self {
            name: node.name.clone(),
            namespace: node.namespace.clone(),
            address: WorkloadAddress::Ip(node.address?),
            ports: node.ports.clone(),
            labels: node.labels.clone(),
            weight: 1,
            has_proxy: true,
            described: Arc::new(describe(&node.name, &node.namespace, &node.labels, account)),
        })
    }

    /// The proxy that stands beside it.
    pub fn node(&self) -> Node {
        let address = match self.address {
            WorkloadAddress::Ip(address) => Some(address),
            WorkloadAddress::Dns(_) => None,
        };
        Node {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            service_account: self.described.service_account.clone(),
            labels: self.labels.clone(),
            address,
            ports: self.ports.clone(),
            gateways: GatewayScope::Selected,
        }
    }

    fn from_fields(workload: &workload_entry::Workload) -> Self {
        Self {
            name: String::new(),
            namespace: String::new(),
            address: workload.address.value.clone(),
            ports: workload.ports.clone(),
            labels: workload.labels.clone(),
            weight: workload.weight,
            has_proxy: says_so(&workload.labels),
            described: Arc::default(),
        }
    }
}

fn says_so(labels: &Labels) -> bool {
    labels.get(TLS_MODE).is_some_and(|mode| mode == "istio")
}

/// The label by which a workload says that its proxy speaks the mesh's TLS: `istio`.
const TLS_MODE: &str = "security.istio.io/tlsMode";
