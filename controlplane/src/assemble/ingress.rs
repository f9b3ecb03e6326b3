//! Where a workload is served to others: each inbound port leads to the workload itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringmain_config::{
    cluster::{Cluster, Service as ServiceName},
    endpoint::{Endpoint, EndpointAddress, EndpointSet},
    listener::{Direction, ListenerProtocol},
    problem::Severity,
    route::{RouteTable, VirtualHost},
    tcp::TcpRoute,
};

use super::{
    Assembly, Wanted,
    clusters::{inbound_protocol, name_of},
    mesh_tls, retries,
    routes::default_route,
    server_tls, tcp,
};
use crate::{
    registry::describe_node,
    resource::{
        port::Protocol,
        sidecar::{IngressListener, Sidecar},
    },
};

/// Adds the inbound listeners of `sidecar`, whatever their capture mode: nothing is led there by a
/// packet filter, but who connects to them is served.
pub(super) fn assemble(assembly: &mut Assembly<'_>, sidecar: &Sidecar) {
    for (index, ingress) in sidecar.ingress.iter().enumerate() {
        let protocol = ingress.port.protocol;
        if protocol == Protocol::Udp {
            continue;
        }
        let number = ingress.port.number;
        // Two workloads of one host may serve the same port at different addresses.
        let address = ingress
            .bind
            .or(assembly.node.address)
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let cluster = format!("inbound|{number}||");
        let origin = sidecar.metadata.origin_at(ingress.span);
        let virtual_host = VirtualHost {
            name: format!("inbound|http|{number}"),
            domains: vec!["*".to_owned()],
            routes: vec![default_route(cluster.clone(), None, Some(origin.clone()))],
            origin: Some(origin.clone()),
        };
        let endpoint = Endpoint {
            address: EndpointAddress::Socket(application(assembly, ingress)),
            weight: 1,
            is_in_mesh: false,
            workload: describe_node(assembly.node),
        };
        assembly.clusters.insert(
            Cluster {
                name: cluster.clone(),
                service: service_at(assembly, number),
                protocol: inbound_protocol(protocol),
                origin: Some(origin.clone()),
                ..Cluster::default()
            },
            EndpointSet {
                cluster: cluster.clone(),
                endpoints: vec![endpoint],
            },
        );
        let wanted = Wanted {
            address: SocketAddr::new(address, number),
            direction: Direction::Inbound,
            metadata: &sidecar.metadata,
            span: ingress.span,
            path: &format!("spec.ingress[{index}]"),
        };
        let bytes = || vec![tcp::everything_to(cluster.clone(), Some(origin.clone()))];
        if protocol.is_tcp() || protocol.is_tls() && ingress.tls.is_none() {
            assembly.listen_tcp(&wanted, bytes());
            protect(assembly, &wanted, ingress, bytes());
            continue;
        }
        let bytes = match protocol {
            Protocol::Detect => bytes(),
            _ => Vec::new(),
        };
        let table = RouteTable {
            name: cluster.clone(),
            retry: retries::of_inbound_table(protocol),
            virtual_hosts: vec![virtual_host],
        };
        let own = vec![tcp::everything_to(cluster.clone(), Some(origin.clone()))];
        assembly.listen(&wanted, table, bytes);
        protect(assembly, &wanted, ingress, own);
    }
}

/// Gives the listener that was opened for `wanted` its TLS: that which the Sidecar writes for the
/// port, else the mesh's. `own`: where connections go with a TLS that is neither.
fn protect(
    assembly: &mut Assembly<'_>,
    wanted: &Wanted<'_>,
    ingress: &IngressListener,
    own: Vec<TcpRoute>,
) {
    let (world, node) = (assembly.world, assembly.node);
    let identity = world.settings().identity.as_ref();
    let origin = wanted.metadata.origin_at(wanted.span);
    let Some(listener) = assembly.listeners.get_mut(&wanted.address) else {
        return;
    };
    // Another that was first has the address.
    if listener.origin.as_ref() != Some(&origin) {
        return;
    }
    let secrets = &mut assembly.clusters.secrets;
    if let Some(written) = ingress.tls.as_deref() {
        let alpn: &[&str] = match listener.protocol {
            ListenerProtocol::Tcp { .. } => &[],
            ListenerProtocol::Http { .. } | ListenerProtocol::Detect { .. } => &server_tls::HTTP,
        };
        match server_tls::of_settings(secrets, identity, written, alpn, wanted.metadata) {
            Ok(tls) => listener.tls = Some(server_tls::only(tls, &listener.protocol, origin)),
            Err(unusable) => {
                assembly.listeners.remove(&wanted.address);
                let message = format!("{unusable}: nothing listens on the port");
                let path = format!("{}.tls", wanted.path);
                let metadata = wanted.metadata;
                let severity = Severity::Warning;
                let problem = metadata.problem(severity, written.span, &path, message);
                assembly.warn(problem);
            }
        }
        return;
    }
    if let Some(identity) = identity {
        let mode = world.mutual_tls(&node.namespace, &node.labels, ingress.port.number);
        listener.tls = mesh_tls::inbound(secrets, identity, mode, &listener.protocol, own);
    }
}

/// Where the application listens: `0.0.0.0` and `::` mean the workload's own address.
fn application(assembly: &Assembly<'_>, ingress: &IngressListener) -> SocketAddr {
    let written = ingress.default_endpoint;
    match assembly.node.address {
        Some(own) if written.ip().is_unspecified() => SocketAddr::new(own, written.port()),
        _ => written,
    }
}

/// The first service that the workload answers for at this port.
fn service_at(assembly: &Assembly<'_>, number: u16) -> ServiceName {
    let node = assembly.node;
    let mut services = assembly.world.registry().services();
    services
        .find(|service| service.is_served_by(&node.namespace, &node.name, number))
        .map(|service| name_of(&service.host, Some(service)))
        .unwrap_or_default()
}
