//! Who answers: addresses with a weight and the workload behind them.

use std::{fmt, net::SocketAddr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The endpoints of the cluster of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSet {
    /// Name of the cluster.
    pub cluster: String,
    /// May be empty: requests are then answered 503 with response flag UH.
    pub endpoints: Vec<Endpoint>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where to connect.
    pub address: EndpointAddress,
    /// Relative to the set's other endpoints; never 0.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
    /// A proxy of the mesh stands before it and speaks the mesh's TLS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_in_mesh: bool,
    /// The workload that listens there, for metrics and logs.
    #[serde(default, skip_serializing_if = "Workload::is_unknown")]
    pub workload: Arc<Workload>,
}

fn one() -> u32 {
    1
}

fn is_one(weight: &u32) -> bool {
    *weight == 1
}

/// Where an endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointAddress {
    /// A TCP address.
    Socket(SocketAddr),
    /// A name that the proxy's supervisor resolves and keeps resolving.
    Dns {
        /// Host name.
        host: String,
        /// TCP port.
        port: u16,
    },
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(formatter),
            Self::Dns { host, port } => write!(formatter, "{host}:{port}"),
        }
    }
}

/// What metrics say of the workload behind an endpoint. Empty fields are `unknown` there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// `destination_workload`.
    pub name: String,
    /// `destination_workload_namespace`.
    pub namespace: String,
    /// `destination_app`: label `app`.
    pub app: String,
    /// `destination_version`: label `version`.
    pub version: String,
    /// `destination_canonical_service`.
    pub canonical_service: String,
    /// `destination_canonical_revision`; `latest` when it has none.
    pub canonical_revision: String,
    /// Service account, the last part of its identity.
    pub service_account: String,
}

impl Workload {
    /// Nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
