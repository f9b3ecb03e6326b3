//! networking.istio.io DestinationRule: subsets of a service and how its endpoints are used.

mod fields;
mod hash;
mod pool;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, time::Duration};

use ringmain_config::{
    cluster::{Balancer, Connections, HashKey, HttpConnections, ProxyProtocol, TcpConnections},
    retry::RetryBudget,
};

use super::{
    cursor::{Cursor, Fault, Report},
    export,
    host::full_name,
    metadata::{self, Labels, Metadata},
    span::Spanned,
    tls::{self, ClientSettings},
};
pub(super) use fields::{CONNECTION_POOL, DOCUMENT};

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
    /// `retryBudget`, of every port: those have none of their own.
    pub retry_budget: Option<RetryBudget>,
    /// `proxyProtocol`, of every port.
    pub proxy_protocol: Option<ProxyProtocol>,
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
    /// `loadBalancer`.
    pub balancer: Option<LoadBalancer>,
    /// `connectionPool`.
    pub connections: Option<Box<ConnectionPool>>,
    /// `tls`.
    pub tls: Option<Box<Spanned<ClientSettings>>>,
}

/// `loadBalancer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadBalancer {
    /// How an endpoint is chosen.
    pub balancer: Balancer,
    /// By what of the request, when it is by a hash.
    pub hash: Option<HashKey>,
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
    /// `tcp.idleTimeout`.
    pub tcp_idle_timeout: Option<Duration>,
    /// `tcp.maxConnectionDuration`.
    pub tcp_duration_max: Option<Duration>,
    /// `tcp.maxConnections`; 0 says nothing.
    pub tcp_connections_max: Option<u32>,
    /// The other limits of `http`.
    pub http: HttpConnections,
    /// `http.h2UpgradePolicy` is `UPGRADE`: HTTP/2 is spoken where HTTP/1.1 would be.
    pub upgrades: bool,
    /// `http.useClientProtocol`: what the client speaks is spoken.
    pub follows_client: bool,
}

/// What holds for one port of a host, or of one of its subsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// How an endpoint is chosen, and by what.
    pub balancer: LoadBalancer,
    /// How it is connected to.
    pub connections: Connections,
    /// As of [`ConnectionPool::upgrades`].
    pub upgrades: bool,
    /// As of [`ConnectionPool::follows_client`].
    pub follows_client: bool,
    /// Bounds further tries.
    pub retry_budget: Option<RetryBudget>,
    /// TLS, when something is said of it.
    pub tls: Option<Box<Spanned<ClientSettings>>>,
    /// What connections begin with.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl DestinationRule {
    /// The subset of this name.
    pub fn subset(&self, name: &str) -> Option<&Spanned<Subset>> {
        self.subsets.iter().find(|subset| subset.name == name)
    }

    /// What holds for a port of the host, or of one of its subsets: a block of the subset replaces
    /// the host's block, settings of a port replace everything that a port can have, and defaults
    /// fill the rest.
    pub fn settings(&self, subset: Option<&Subset>, port: u16) -> InForce {
        let mut settings = self.policy.at(port).clone();
        let mut retry_budget = self.policy.retry_budget;
        let mut proxy_protocol = self.policy.proxy_protocol;
        if let Some(subset) = subset {
            let own = subset.policy.at(port);
            if subset.policy.names(port) {
                settings = own.clone();
            } else {
                settings.balancer = own.balancer.clone().or(settings.balancer);
                settings.connections = own.connections.clone().or(settings.connections);
                settings.tls = own.tls.clone().or(settings.tls);
            }
            proxy_protocol = subset.policy.proxy_protocol.or(proxy_protocol);
            retry_budget = subset.policy.retry_budget.or(retry_budget);
        }
        let pool = settings.connections.unwrap_or_default();
        InForce {
            balancer: settings.balancer.unwrap_or_default(),
            connections: pool.with_defaults(),
            upgrades: pool.upgrades,
            follows_client: pool.follows_client,
            retry_budget,
            tls: settings.tls,
            proxy_protocol,
        }
    }
}

impl ConnectionPool {
    fn with_defaults(&self) -> Connections {
        let defaults = Connections::default();
        let tcp_idle_timeout = self.tcp_idle_timeout;
        Connections {
            connect_timeout: self.connect_timeout.unwrap_or(defaults.connect_timeout),
            idle_timeout: self.idle_timeout.unwrap_or(defaults.idle_timeout),
            requests_max: self.requests_max.unwrap_or(defaults.requests_max),
            tcp: TcpConnections {
                idle_timeout: tcp_idle_timeout.unwrap_or(defaults.tcp.idle_timeout),
                duration_max: self.tcp_duration_max,
                connections_max: self.tcp_connections_max,
            },
            http: self.http,
        }
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

/// Reads what [`DOCUMENT`] describes.
pub(super) fn read(
    metadata: Metadata,
    spec: &Cursor<'_>,
    report: &mut Report,
) -> Option<DestinationRule> {
    export::warn(spec, report);
    let host = spec.field("host")?;
    Some(DestinationRule {
        host: host.spanned(full_name(host.text()?, &metadata.namespace)),
        policy: read_policy(spec, report),
        subsets: read_subsets(spec, report),
        metadata,
    })
}

fn read_subsets(spec: &Cursor<'_>, report: &mut Report) -> Vec<Spanned<Subset>> {
    let mut names = HashSet::new();
    let mut subsets = Vec::new();
    for at in spec.list("subsets") {
        let Some(name) = at.text_of("name") else {
            continue;
        };
        if !names.insert(name) {
            report.error(&at, format!("two subsets are named `{name}`"));
        }
        subsets.push(at.spanned(Subset {
            name: name.to_owned(),
            labels: metadata::labels(&at, "labels"),
            policy: read_policy(&at, report),
        }));
    }
    subsets
}

fn read_policy(parent: &Cursor<'_>, report: &mut Report) -> TrafficPolicy {
    let Some(at) = parent.field("trafficPolicy") else {
        return TrafficPolicy::default();
    };
    let mut numbers = HashSet::new();
    let mut ports = Vec::new();
    for port in at.list("portLevelSettings") {
        let Some(number) = port
            .field("port")
            .and_then(|port| port.integer_of("number"))
        else {
            continue;
        };
        if !numbers.insert(number) {
            report.error(&port, format!("port {number} stands here twice"));
        }
        ports.push(PortSettings {
            port: number,
            settings: read_settings(&port, report),
        });
    }
    let budget = at.field("retryBudget");
    TrafficPolicy {
        settings: read_settings(&at, report),
        ports,
        retry_budget: budget.map(|budget| pool::read_budget(&budget, report)),
        // V1 is what the API has for a version that is not written.
        proxy_protocol: at
            .field("proxyProtocol")
            .map(|header| match header.text_of("version") {
                Some("V2") => ProxyProtocol::V2,
                _ => ProxyProtocol::V1,
            }),
    }
}

fn read_settings(at: &Cursor<'_>, report: &mut Report) -> Settings {
    Settings {
        balancer: at
            .field("loadBalancer")
            .map(|balancer| read_balancer(&balancer, report)),
        connections: at
            .field("connectionPool")
            .map(|pool| Box::new(pool::read(&pool, report))),
        tls: at
            .field("tls")
            .map(|tls| Box::new(tls.spanned(tls::read_client(&tls, report)))),
    }
}

fn read_balancer(at: &Cursor<'_>, report: &mut Report) -> LoadBalancer {
    let by_hash = at.field("consistentHash");
    if at.field("simple").is_some() && by_hash.is_some() {
        let fault = Fault::new("`simple` and `consistentHash` exclude each other");
        report.error(at, fault.hint("remove one of them"));
    }
    if let Some(by_hash) = by_hash {
        return hash::read(&by_hash, report);
    }
    let balancer = match at.text_of("simple") {
        Some("ROUND_ROBIN") => Balancer::RoundRobin,
        Some("RANDOM") => Balancer::Random,
        _ => Balancer::LeastRequest,
    };
    LoadBalancer {
        balancer,
        hash: None,
    }
}
