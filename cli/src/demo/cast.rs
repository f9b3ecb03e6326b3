//! Who takes part in the demo: the applications, a proxy for each in the mesh, and the gateway's.

use std::net::{IpAddr, SocketAddr};

use super::files::Place;

/// A process of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Workload {
    /// As its proxy's tuning file and its WorkloadEntry are called.
    pub(super) name: &'static str,
    /// As `ringmain demo-app` calls it.
    pub(super) app: &'static str,
    /// As `ringmain demo-app` calls it; labels may say more.
    pub(super) version: &'static str,
    /// Last number of its addresses.
    host: u8,
    /// At which others reach it: its proxy, if there is one.
    port: u16,
    /// Port of its proxy's outbound listener, when it calls other services.
    outbound: Option<u16>,
    /// A proxy stands beside it.
    pub(super) is_in_mesh: bool,
}

/// In the order they are started: who is called before who calls.
const WORKLOADS: [Workload; 6] = [
    workload("ratings-v1", "ratings", "v1", 6),
    workload("details-v1", "details", "v1", 2),
    workload("reviews-v1", "reviews", "v1", 3),
    workload("reviews-v2", "reviews", "v2", 4).calling(SERVICE_PORT),
    workload("reviews-v3", "reviews", "v3", 5).calling(SERVICE_PORT),
    workload("productpage-v1", "productpage", "v1", 1).calling(SERVICE_PORT),
];

/// To whom only rules to try lead.
const MORE: [Workload; 8] = [
    workload("mysql-elsewhere", "database", "v3", 20).outside(MYSQL_PORT),
    workload("books", "details", "v1", 21).outside(BOOKS_OTHER_PORT),
    workload("mongodb-v1", "database", "v1", 12).at_port(MONGODB_PORT),
    workload("mysqldb-v1", "database", "v2", 13).at_port(MYSQL_PORT),
    workload("details-v2", "details", "v2", 7).calling(BOOKS_PORT),
    workload("ratings-v2", "ratings", "v2", 8).calling(MONGODB_PORT),
    workload("ratings-v2-mysql", "ratings", "v2", 9).calling(MYSQL_PORT),
    workload("ratings-v2-mysql-vm", "ratings", "v2", 11).calling(MYSQL_PORT),
];

/// Who takes part.
pub(super) fn workloads(place: &Place<'_>) -> impl Iterator<Item = &'static Workload> + use<> {
    let more: &[Workload] = if place.is_manual { &MORE } else { &[] };
    more.iter().chain(&WORKLOADS)
}

/// Name of the gateway's proxy.
pub(super) const GATEWAY: &str = "gateway";
const GATEWAY_HOST: u8 = 10;

const ADMIN_PORT: u16 = 15_000;
const SERVICE_PORT: u16 = 9080;
const MONGODB_PORT: u16 = 27_017;
const MYSQL_PORT: u16 = 3306;
const BOOKS_PORT: u16 = 8090;
const BOOKS_OTHER_PORT: u16 = 8443;

/// One that calls nobody.
const fn workload(
    name: &'static str,
    app: &'static str,
    version: &'static str,
    host: u8,
) -> Workload {
    Workload {
        name,
        app,
        version,
        host,
        port: SERVICE_PORT,
        outbound: None,
        is_in_mesh: true,
    }
}

/// Names of all proxies, and their admin addresses.
pub(super) fn proxies(place: &Place<'_>) -> Vec<(&'static str, SocketAddr)> {
    let beside = workloads(place).filter(|workload| workload.is_in_mesh);
    beside
        .map(|workload| (workload.name, workload.host))
        .chain([(GATEWAY, GATEWAY_HOST)])
        .map(|(name, host)| (name, at(place.workload(host), ADMIN_PORT)))
        .collect()
}

impl Workload {
    const fn calling(self, port: u16) -> Self {
        Self {
            outbound: Some(port),
            ..self
        }
    }

    const fn at_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    const fn outside(self, port: u16) -> Self {
        Self {
            port,
            is_in_mesh: false,
            ..self
        }
    }

    /// Where the application itself listens: beside its proxy, at the next port.
    pub(super) fn application(&self, place: &Place<'_>) -> SocketAddr {
        let port = self.port + u16::from(self.is_in_mesh);
        at(place.workload(self.host), port)
    }

    /// Where its proxy listens for others.
    fn inbound(&self, place: &Place<'_>) -> Option<SocketAddr> {
        self.is_in_mesh
            .then(|| at(place.workload(self.host), self.port))
    }

    /// Where its proxy listens for the application.
    pub(super) fn outbound(&self, place: &Place<'_>) -> Option<SocketAddr> {
        self.outbound
            .map(|port| at(place.outbound(self.host), port))
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
    for workload in workloads(place) {
        addresses.push(workload.application(place));
        addresses.extend(workload.inbound(place));
        addresses.extend(workload.outbound(place));
    }
    addresses
}

fn at(ip: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(ip.into(), port)
}
