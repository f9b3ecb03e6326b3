//! networking.istio.io DestinationRule: subsets of a service and how its endpoints are used.

use std::time::Duration;

use ringmain_config::cluster::{Balancer, Connections};

use super::{
    metadata::{Labels, Metadata},
    span::Spanned,
};

/// What applies to requests to a host once they are routed.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationRule {
    /// Who it is.
    pub metadata: Metadata,
    /// `*.x` or a full name, in lower case.
    pub host: Spanned<String>,
    /// For the whole host.
    pub policy: TrafficPolicy,
    /// Names are unique.
    pub subsets: Vec<Spanned<Subset>>,
}

/// A named part of a service's endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Subset {
    /// As VirtualServices name it.
    pub name: String,
    /// Endpoints with these labels are in it; empty: all of them.
    pub labels: Labels,
    /// Its blocks replace those of the host's policy.
    pub policy: TrafficPolicy,
}

/// `trafficPolicy`: each part is absent when the file says nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// The parts for every port.
    pub settings: Settings,
    /// `portLevelSettings`: for a port that stands here, these are all its settings; nothing is
    /// inherited from `settings`.
    pub ports: Vec<PortSettings>,
}

/// The settings of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Port of the service.
    pub port: u16,
    /// What holds there.
    pub settings: Settings,
}

/// How endpoints are chosen and connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `loadBalancer.simple`.
    pub balancer: Option<Balancer>,
    /// `connectionPool`.
    pub connections: Option<ConnectionPool>,
}

/// `connectionPool`: each field is absent when the file says nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPool {
    /// `tcp.connectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// `http.idleTimeout`, else `tcp.idleTimeout`.
    pub idle_timeout: Option<Duration>,
    /// `http.maxRequestsPerConnection`; 0: no limit.
    pub requests_max: Option<u32>,
}

impl DestinationRule {
    /// The subset of this name.
    pub fn subset(&self, name: &str) -> Option<&Spanned<Subset>> {
        self.subsets.iter().find(|subset| subset.name == name)
    }

    /// What holds for a port of the host, or of one of its subsets: a block of the subset replaces
    /// the host's block, settings of a port replace everything, and defaults fill the rest.
    pub fn settings(&self, subset: Option<&Subset>, port: u16) -> (Balancer, Connections) {
        let mut settings = self.policy.at(port).clone();
        if let Some(subset) = subset {
            let own = subset.policy.at(port);
            if subset.policy.names(port) {
                settings = own.clone();
            } else {
                settings.balancer = own.balancer.or(settings.balancer);
                settings.connections = own.connections.or(settings.connections);
            }
        }
        let pool = settings.connections.unwrap_or_default();
        let defaults = Connections::default();
        let connections = Connections {
            connect_timeout: pool.connect_timeout.unwrap_or(defaults.connect_timeout),
            idle_timeout: pool.idle_timeout.unwrap_or(defaults.idle_timeout),
            requests_max: pool.requests_max.unwrap_or(defaults.requests_max),
        };
        (settings.balancer.unwrap_or_default(), connections)
    }
}

impl TrafficPolicy {
    fn names(&self, port: u16) -> bool {
        self.ports.iter().any(|settings| settings.port == port)
    }

    fn at(&self, port: u16) -> &Settings {
        self.ports
            .iter()
            .find(|settings| settings.port == port)
            .map_or(&self.settings, |settings| &settings.settings)
    }
}
