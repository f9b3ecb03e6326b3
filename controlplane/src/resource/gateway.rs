//! networking.istio.io Gateway: ports at the edge of the mesh and the hosts served there.

use std::net::IpAddr;

use super::{
    host::ScopedHost,
    metadata::{Labels, Metadata},
    port::Port,
    span::Spanned,
};

/// Ports that the proxies with certain labels open to the outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Gateway {
    /// Who it is.
    pub metadata: Metadata,
    /// Labels of the proxies that serve it, of any namespace; empty: every gateway proxy.
    pub selector: Labels,
    /// In the order written, never empty.
    pub servers: Vec<Spanned<Server>>,
}

/// A port and the hosts that are served on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Empty when not named.
    pub name: String,
    /// Where it listens. A protocol that is not HTTP yet was warned about; nothing is to be opened
    /// for it.
    pub port: Spanned<Port>,
    /// The address to listen on; absent: all.
    pub bind: Option<IpAddr>,
    /// Which VirtualServices may bind here, and for which hosts; never empty.
    pub hosts: Vec<Spanned<ScopedHost>>,
}
