//! Where a proxy accepts connections and what it does with them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    origin::Origin,
    tcp::{Subnet, TcpRoute},
    tls::{ListenerTls, TlsAction},
};

/// One address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Unique in a Document, for example `0.0.0.0_8080`.
    pub name: String,
    /// Address and port to bind.
    pub address: SocketAddr,
    /// Which way traffic through it flows.
    pub direction: Direction,
    /// What is spoken on it; where it has TLS, on connections without.
    pub protocol: ListenerProtocol,
    /// Absent: TLS is bytes like others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Connections of these peers begin with a header of the PROXY protocol, of version 1 or 2,
    /// that says whose they are. Those of others do not. Empty: none do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxied_by: Vec<Subnet>,
    /// Key of the Document's authentications. Absent: nobody's word is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<String>,
    /// Key of the Document's authorizations. Absent: everything is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Listener {
    /// One without anything that can be absent.
    pub fn new(
        name: String,
        address: SocketAddr,
        direction: Direction,
        protocol: ListenerProtocol,
    ) -> Self {
        Self {
            name,
            address,
            direction,
            protocol,
            tls: None,
            proxied_by: Vec::new(),
            authentication: None,
            authorization: None,
            origin: None,
        }
    }
}

impl Listener {
    /// What may be spoken on it: on connections without TLS, then within that of each chain.
    pub fn protocols(&self) -> impl Iterator<Item = &ListenerProtocol> {
        let chains = self.tls.iter().flat_map(|tls| &tls.chains);
        let within = chains.filter_map(|chain| match &chain.action {
            TlsAction::Terminate { protocol, .. } => Some(protocol),
            TlsAction::PassThrough { .. } => None,
        });
        std::iter::once(&self.protocol).chain(within)
    }
}

/// Which way a listener's traffic flows. It decides the `reporter` label of metrics, and whether
/// `x-forwarded-for` is appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From other workloads to the local application.
    Inbound,
    /// From the local application to other workloads.
    Outbound,
    /// From outside the mesh to workloads in it.
    Gateway,
}

/// What is spoken on a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerProtocol {
    /// HTTP, routed by the named route table.
    Http {
        /// Key of the Document's route tables.
        route_table: String,
    },
    /// Bytes, of which nothing is read: each connection goes to one endpoint as a whole.
    Tcp {
        /// The first that matches decides. A connection that none matches is closed.
        routes: Vec<TcpRoute>,
    },
    /// What the first bytes of each connection say: HTTP when they are those of a request or of
    /// HTTP/2's preface, else bytes. Bytes also when the client says nothing for a while.
    Detect {
        /// As of `Http`.
        route_table: String,
        /// As of `Tcp`.
        routes: Vec<TcpRoute>,
    },
}

impl ListenerProtocol {
    /// Key of the Document's route tables; `None` when it carries no requests.
    pub fn route_table(&self) -> Option<&str> {
        match self {
            Self::Http { route_table } | Self::Detect { route_table, .. } => Some(route_table),
            Self::Tcp { .. } => None,
        }
    }
}
