//! networking.istio.io WorkloadEntry: one workload that answers for services.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    metadata::{Labels, Metadata},
    span::Spanned,
};

/// A workload that ServiceEntries and Services select by its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadEntry {
    /// Who it is.
    pub metadata: Metadata,
    /// What it is. Its labels include those of the metadata, which win.
    pub workload: Workload,
}

/// `WorkloadEntry.spec`, and an element of `ServiceEntry.spec.endpoints`.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Where it is reached; absent for an endpoint without one, whose address is then the service's
    /// own host (resolution DNS only).
    pub address: Option<Spanned<WorkloadAddress>>,
    /// Port of the service by name, to the port it listens on. A port that is not here is that of
    /// the service.
    pub ports: BTreeMap<String, u16>,
    /// For selectors and subsets.
    pub labels: Labels,
    /// Relative to the other endpoints; 1 when not written.
    pub weight: u32,
    /// Empty when not written.
    pub service_account: String,
    /// `region/zone/subzone`; empty when not written.
    pub locality: String,
}

/// Where a workload is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadAddress {
    /// At an address.
    Ip(IpAddr),
    /// At the addresses that a name resolves to.
    Dns(String),
}
