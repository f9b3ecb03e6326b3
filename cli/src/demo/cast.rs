//! Who takes part in the demo: the applications, a proxy for each, and the gateway's proxy.

use std::net::{IpAddr, SocketAddr};

use super::files::Place;

/// A process beside which a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Workload {
    /// As its proxy's tuning file and its WorkloadEntry are called.
    pub(super) name: &'static str,
    /// As `ringmain demo-app` calls it.
    pub(super) app: &'static str,
    pub(super) version: &'static str,
    /// Last number of its addresses.
    pub(super) host: u8,
    /// It calls other services, so its proxy has an outbound listener.
    pub(super) calls: bool,
}

/// In the order they are started: who is called before who calls.
pub(super) const WORKLOADS: [Workload; 6] = [
    workload("ratings-v1", "ratings", "v1", 6, false),
    workload("details-v1", "details", "v1", 2, false),
    workload("reviews-v1", "reviews", "v1", 3, false),
    workload("reviews-v2", "reviews", "v2", 4, true),
    workload("reviews-v3", "reviews", "v3", 5, true),
    workload("productpage-v1", "productpage", "v1", 1, true),
];

/// Name of the gateway's proxy.
pub(super) const GATEWAY: &str = "gateway";
const GATEWAY_HOST: u8 = 10;

const ADMIN_PORT: u16 = 15_000;
const SERVICE_PORT: u16 = 9080;
const APP_PORT: u16 = 9081;

const fn workload(
    name: &'static str,
    app: &'static str,
    version: &'static str,
    host: u8,
    calls: bool,
) -> Workload {
    Workload {
        name,
        app,
        version,
        host,
        calls,
    }
}

/// Names of all proxies, and their admin addresses.
pub(super) fn proxies(place: &Place<'_>) -> Vec<(&'static str, SocketAddr)> {
    let hosts = WORKLOADS
        .iter()
        .map(|workload| (workload.name, workload.host));
    hosts
        .chain([(GATEWAY, GATEWAY_HOST)])
        .map(|(name, host)| (name, at(place.workload(host), ADMIN_PORT)))
        .collect()
}

impl Workload {
    /// Where the application itself listens.
    pub(super) fn application(&self, place: &Place<'_>) -> SocketAddr {
        at(place.workload(self.host), APP_PORT)
    }

    /// Where its proxy listens for others.
    fn inbound(&self, place: &Place<'_>) -> SocketAddr {
        at(place.workload(self.host), SERVICE_PORT)
    }

    /// Where its proxy listens for the application.
    pub(super) fn outbound(&self, place: &Place<'_>) -> Option<SocketAddr> {
        self.calls
            .then(|| at(place.outbound(self.host), SERVICE_PORT))
    }
}

/// Where the gateway listens.
pub(super) fn gateway(place: &Place<'_>) -> SocketAddr {
    at(place.workload(GATEWAY_HOST), place.gateway_port)
}

/// Every address that the demo listens at.
pub(super) fn addresses(place: &Place<'_>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = proxies(place).iter().map(|proxy| proxy.1).collect();
    addresses.push(gateway(place));
    for workload in &WORKLOADS {
        addresses.extend([workload.application(place), workload.inbound(place)]);
        addresses.extend(workload.outbound(place));
    }
    addresses
}

fn at(ip: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(ip.into(), port)
}
