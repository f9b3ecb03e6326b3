//! networking.istio.io Sidecar: what a workload's proxy listens on and what it can reach.

use std::net::{IpAddr, SocketAddr};

use super::{
    host::ScopedHost,
    metadata::{Labels, Metadata},
    port::Port,
    span::Spanned,
};

/// Listeners and scope of the proxies of some workloads.
#[derive(Clone, Debug, PartialEq)]
pub struct Sidecar {
    /// Who it is.
    pub metadata: Metadata,
    /// Labels of the workloads of the same namespace it applies to; absent: all of them that no
    /// other Sidecar selects.
    pub selector: Option<Labels>,
    /// Ports where the workload is served to others.
    pub ingress: Vec<Spanned<IngressListener>>,
    /// Ports where the workload reaches others; none: everything is in scope.
    pub egress: Vec<Spanned<EgressListener>>,
    /// What becomes of requests to hosts that nothing in scope stands for.
    pub outbound: OutboundMode,
}

/// A port where the workload is served to others.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressListener {
    /// Where it listens.
    pub port: Spanned<Port>,
    /// The address to listen on; absent: all.
    pub bind: Option<IpAddr>,
    /// How connections get there.
    pub capture: Capture,
    /// Where the workload itself listens; `127.0.0.1` and the port's number when not written.
    pub default_endpoint: SocketAddr,
}

/// A port where the workload reaches others, or, without a port, what it can reach at all.
#[derive(Clone, Debug, PartialEq)]
pub struct EgressListener {
    /// Where it listens; absent: at the ports of the services in scope.
    pub port: Option<Spanned<Port>>,
    /// The address to listen on; absent: `127.0.0.1`.
    pub bind: Option<IpAddr>,
    /// How connections get there.
    pub capture: Capture,
    /// Services in scope; never empty.
    pub hosts: Vec<Spanned<ScopedHost>>,
}

/// How connections get to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// `NONE`: the application connects to it, or clients do.
    None,
    /// `DEFAULT` and `IPTABLES`: the host's packet filter redirects them.
    #[default]
    Redirect,
}

/// What becomes of requests to unknown hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundMode {
    /// `ALLOW_ANY`, the default: they are sent where they were going.
    #[default]
    AllowAny,
    /// `REGISTRY_ONLY`: they are refused.
    RegistryOnly,
}
