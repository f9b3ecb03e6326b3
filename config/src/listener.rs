//! Where a proxy accepts connections and what it does with them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{origin::Origin, tcp::TcpRoute};

/// One address that is listened on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Unique in a Document, for example `0.0.0.0_8080`.
    pub name: String,
    /// Address and port to bind.
    pub address: SocketAddr,
    /// Which way traffic through it flows.
    pub direction: Direction,
    /// What is spoken on it.
    pub protocol: ListenerProtocol,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
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
