//! The TCP rules of a VirtualService as the routes that one proxy's listener gets.

use ringmain_config::{
    origin::Origin,
    tcp::{TcpDestination, TcpMatch, TcpRoute},
};

use super::{clusters::Clusters, routes::Place};
use crate::resource::{
    metadata::selects,
    span::Spanned,
    virtual_service::{self, VirtualService},
};

/// The rules that apply at `place`, in order. Conditions on the port, the gateway and the client's
/// workload are decided here, once.
pub(super) fn routes(
    clusters: &mut Clusters<'_>,
    place: &Place<'_>,
    service: &VirtualService,
) -> Vec<TcpRoute> {
    let mut routes = Vec::new();
    for rule in &service.tcp {
        let everything = virtual_service::TcpMatch::default();
        let written = rule
            .matches
            .iter()
            .map(|condition| (condition.span, &condition.value));
        let any = rule.matches.is_empty().then_some((rule.span, &everything));
        for (span, condition) in any.into_iter().chain(written) {
            if !applies(place, service, condition) {
                continue;
            }
            routes.push(TcpRoute {
                matches: condition.addresses.clone(),
                destinations: destinations(clusters, place, &rule.destinations),
                origin: Some(service.metadata.origin_at(span)),
            });
        }
    }
    routes
}

/// The rules of `tls` that apply at `place`, in order: each with a name that the client asks for.
pub(super) fn tls_routes<'s>(
    clusters: &mut Clusters<'_>,
    place: &Place<'_>,
    service: &'s VirtualService,
) -> Vec<(&'s str, TcpRoute)> {
    let mut routes = Vec::new();
    for rule in &service.tls {
        for condition in &rule.matches {
            if !applies(place, service, &condition.connection) {
                continue;
            }
            let route = TcpRoute {
                matches: condition.connection.addresses.clone(),
                destinations: destinations(clusters, place, &rule.destinations),
                origin: Some(service.metadata.origin_at(condition.span)),
            };
            let names = condition.server_names.iter();
            routes.extend(names.map(|name| (name.value.as_str(), route.clone())));
        }
    }
    routes
}

fn destinations(
    clusters: &mut Clusters<'_>,
    place: &Place<'_>,
    destinations: &[Spanned<virtual_service::TcpDestination>],
) -> Vec<TcpDestination> {
    let destinations = destinations.iter().map(|to| TcpDestination {
        cluster: clusters.of_destination(&to.destination, place.port),
        weight: to.weight,
    });
    destinations.collect()
}

/// The part of a condition that does not depend on the connection.
fn applies(
    place: &Place<'_>,
    service: &VirtualService,
    condition: &virtual_service::TcpMatch,
) -> bool {
    let here = if condition.gateways.is_empty() {
        let mut gateways = service.gateways.iter();
        gateways.any(|gateway| gateway.value == *place.gateway)
    } else {
        condition.gateways.contains(place.gateway)
    };
    let from = condition.source_namespace.as_ref();
    here && condition.port.is_none_or(|port| port == place.port)
        && from.is_none_or(|namespace| *namespace == place.node.namespace)
        && selects(&condition.source_labels, &place.node.labels)
}

/// The route of a listener that leads to one cluster.
pub(super) fn everything_to(cluster: String, origin: Option<Origin>) -> TcpRoute {
    TcpRoute {
        matches: TcpMatch::default(),
        destinations: vec![TcpDestination {
            cluster,
            weight: 100,
        }],
        origin,
    }
}
