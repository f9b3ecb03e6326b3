//! Who a proxy says it is: the workload it stands beside.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

/// The workload that a proxy serves, as written in its tuning file and sent in its hello.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Workload name, unique in its namespace.
    pub name: String,
    /// Namespace of the workload.
    pub namespace: String,
    /// Service account the workload claims.
    pub service_account: String,
    /// Labels that selectors of Gateways, Sidecars and services match.
    pub labels: BTreeMap<String, String>,
    /// Address other workloads reach this one at. With it and `ports` the workload registers itself
    /// as an endpoint of the services that select its labels; without it, it does not.
    pub address: Option<IpAddr>,
    /// Port name to port number, where they differ from the service's own.
    pub ports: BTreeMap<String, u16>,
    /// Which Gateways this proxy serves.
    pub gateways: GatewayScope,
}

/// Which Gateways a proxy serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GatewayScope {
    /// Those whose selector matches the proxy's labels.
    #[default]
    Selected,
    /// All, whatever they select: one proxy is the whole mesh's edge (`ringmain run`).
    All,
}
