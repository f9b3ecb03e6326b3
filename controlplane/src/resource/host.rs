//! Host names of services, and the scopes `namespace/host` that select them.

use std::fmt;

/// What Kubernetes appends to `name.namespace` of a service.
pub const SERVICE_DOMAIN: &str = "svc.cluster.local";

/// The full name of a host as Istio resolves it: a name without a dot is that of a service in
/// `namespace`. `*`, wildcards, addresses and dotted names stay. The result is in lower case.
pub fn full_name(host: &str, namespace: &str) -> String {
    let host = host.to_ascii_lowercase();
    if host.contains('.') || host.contains(':') || host.starts_with('*') {
        return host;
    }
    format!("{host}.{namespace}.{SERVICE_DOMAIN}")
}

/// Whether `pattern` (`*`, `*.x` or a name) covers every name that `host` (of the same forms)
/// stands for.
pub fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.strip_prefix('*').unwrap_or(host).ends_with(suffix),
        None => pattern == host,
    }
}

/// Whether some name is meant by both `left` and `right` (each `*`, `*.x` or a name).
pub fn overlaps(left: &str, right: &str) -> bool {
    covers(left, right) || covers(right, left)
}

/// Namespaces that a scope `namespace/host` means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamespaceScope {
    /// `*`: every one.
    Any,
    /// This one; `.` is already resolved to the resource's own.
    Only(String),
    /// `~`: none at all.
    None,
}

impl NamespaceScope {
    /// What `*`, `.`, `~` or a name means in a resource of namespace `own`.
    pub(super) fn of(text: &str, own: &str) -> Self {
        match text {
            "*" => Self::Any,
            "." => Self::Only(own.to_owned()),
            "~" => Self::None,
            name => Self::Only(name.to_owned()),
        }
    }

    /// Resources of `namespace` are meant.
    pub fn includes(&self, namespace: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == namespace,
            Self::None => false,
        }
    }
}

/// `namespace/host` of `Gateway.servers.hosts` and `Sidecar.egress.hosts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopedHost {
    /// Whose services are meant.
    pub namespace: NamespaceScope,
    /// `*`, `*.x` or a name, in lower case.
    pub host: String,
}

impl ScopedHost {
    /// A resource of `namespace` that stands for `host` is meant.
    pub fn includes(&self, namespace: &str, host: &str) -> bool {
        self.namespace.includes(namespace) && covers(&self.host, host)
    }
}

impl fmt::Display for ScopedHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = match &self.namespace {
            NamespaceScope::Any => "*",
            NamespaceScope::Only(namespace) => namespace,
            NamespaceScope::None => "~",
        };
        write!(formatter, "{namespace}/{}", self.host)
    }
}
