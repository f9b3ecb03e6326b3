//! Which routes a place takes: a listener of a Gateway, or a port of a service as its clients see
//! it. Assembly and analysis both ask here, so that what `check` says is what happens.

use std::collections::BTreeMap;

use crate::{
    assemble::domains::intersection,
    registry::Service,
    resource::{
        gateway_api::{Gateway, Listener, Parent, Route, RouteKind},
        host::covers,
        span::{Span, Spanned},
    },
    world::World,
};

/// A listener of a Gateway.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) listener: &'a Spanned<Listener>,
    /// Its place among those of the Gateway that are served.
    pub(crate) index: usize,
}

/// A route at a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attached<'a> {
    pub(crate) route: &'a Route,
    /// Where it says that it is for the host.
    pub(crate) span: Span,
}

/// Why a listener does not take a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its name or port is not the one that the route asks for.
    NotMeant,
    /// `allowedRoutes.kinds`.
    Kind,
    /// `allowedRoutes.namespaces`.
    Namespace,
    /// Neither serves a host of the other.
    NoHost,
}

/// The hosts that a route gets at a listener, with the place of each in the route.
pub(crate) fn hosts<'a>(
    bound: &Bound<'a>,
    route: &'a Route,
    parent: &Spanned<Parent>,
) -> Result<Vec<(&'a str, Span)>, Refusal> {
    let (gateway, listener) = (bound.gateway, &bound.listener.value);
    let section = parent.section.as_ref();
    if section.is_some_and(|section| *section != listener.name)
        || parent.port.is_some_and(|port| port != listener.port)
    {
        return Err(Refusal::NotMeant);
    }
    if !listener.allowed.kinds.contains(&route.kind) {
        return Err(Refusal::Kind);
    }
    let namespaces = &listener.allowed.namespaces;
    if !namespaces.include(&route.metadata.namespace, &gateway.metadata.namespace) {
        return Err(Refusal::Namespace);
    }
    if route.hostnames.is_empty() {
        return Ok(vec![(listener.host(), parent.span)]);
    }
    let common = route.hostnames.iter().filter_map(|host| {
        let common = intersection(listener.host(), &host.value)?;
        Some((common, host.span))
    });
    let hosts: Vec<_> = common.collect();
    match hosts.is_empty() {
        true => Err(Refusal::NoHost),
        false => Ok(hosts),
    }
}

/// A route that a place does not take because it takes an older one of the other kind.
#[derive(Clone, Debug)]
pub(crate) struct Rejected<'a> {
    pub(crate) route: &'a Route,
    /// Where it says that it is for the host.
    pub(crate) span: Span,
    /// One of its hosts.
    pub(crate) host: &'a str,
    /// The route that has this host.
    pub(crate) first: &'a Route,
    /// The host under which it has it.
    pub(crate) first_host: &'a str,
    /// `listener "http"`, `the service`.
    pub(crate) place: String,
}

/// The routes at each host of listeners that share an address, by precedence, and those that are
/// not taken. A host belongs to the listener with the most specific hostname that covers it, and
/// others leave it alone (`Listener.hostname`).
pub(crate) fn by_host<'a>(
    world: &'a World,
    bounds: &[Bound<'a>],
) -> (BTreeMap<&'a str, Vec<Attached<'a>>>, Vec<Rejected<'a>>) {
    let mut by_listener: BTreeMap<&str, Vec<Meant<'_>>> = BTreeMap::new();
    let mut gateways: Vec<&Gateway> = bounds.iter().map(|bound| bound.gateway).collect();
    gateways.dedup_by(|left, right| std::ptr::eq(*left, *right));
    for gateway in gateways {
        for (route, parent) in world.routes_at_gateway(gateway) {
            let of_gateway = bounds.iter();
            for bound in of_gateway.filter(|bound| std::ptr::eq(bound.gateway, gateway)) {
                let mut hosts = hosts(bound, route, parent).unwrap_or_default();
                hosts.retain(|(host, _)| !is_of_another(bound, bounds, host));
                let meant = by_listener.entry(bound.listener.host()).or_default();
                meant.push(Meant { route, hosts });
            }
        }
    }
    let mut by_host: BTreeMap<&str, Vec<Attached<'_>>> = BTreeMap::new();
    let mut rejected = Vec::new();
    for (listener, mut meant) in by_listener {
        // Those of several Gateways; stable.
        meant.sort_by(|left, right| age(left.route).cmp(&age(right.route)));
        rejected.extend(reject(&mut meant, &format!("listener `{listener}`")));
        for Meant { route, hosts } in meant {
            for (host, span) in hosts {
                let routes = by_host.entry(host).or_default();
                routes.push(Attached { route, span });
            }
        }
    }
    by_host.values_mut().for_each(each_once);
    (by_host, rejected)
}

/// A route and the hosts that a place would give it, with the place of each in the route.
struct Meant<'a> {
    route: &'a Route,
    hosts: Vec<(&'a str, Span)>,
}

/// HTTPRoutes and GRPCRoutes are not merged: of two with a host in common, the first is taken and
/// all of the other is not (`GRPCRouteSpec.hostnames`). `routes` are in the order of their age.
fn reject<'a>(routes: &mut Vec<Meant<'a>>, place: &str) -> Vec<Rejected<'a>> {
    let mut rejected = Vec::new();
    let mut kinds = routes.iter().map(|meant| meant.route.kind);
    if kinds
        .next()
        .is_none_or(|first| kinds.all(|kind| kind == first))
    {
        return rejected;
    }
    let mut taken: Vec<(&'a Route, &'a str)> = Vec::new();
    routes.retain(|Meant { route, hosts }| {
        let in_common = hosts.iter().find_map(|(host, span)| {
            let is_same = |(first, first_host): &&(&Route, &str)| {
                first.kind != route.kind && intersection(first_host, host).is_some()
            };
            Some((taken.iter().find(is_same)?, *host, *span))
        });
        let Some((&(first, first_host), host, span)) = in_common else {
            taken.extend(hosts.iter().map(|(host, _)| (*route, *host)));
            return true;
        };
        rejected.push(Rejected {
            route,
            span,
            host,
            first,
            first_host,
            place: place.to_owned(),
        });
        false
    });
    rejected
}

/// A route may name a parent twice, or be taken by several listeners. Its entries are neighbours.
fn each_once(routes: &mut Vec<Attached<'_>>) {
    routes.dedup_by(|left, right| std::ptr::eq(left.route, right.route));
}

/// A listener with a more specific hostname has `host`.
pub(crate) fn is_of_another(bound: &Bound<'_>, bounds: &[Bound<'_>], host: &str) -> bool {
    let own = bound.listener.host();
    let mut hosts = bounds.iter().map(|other| other.listener.host());
    hosts.any(|other| other != own && covers(own, other) && covers(other, host))
}

/// The order of routes of which neither is more specific: the older, then by namespace and name. A
/// file without `creationTimestamp` is newer than any with one, and as old as any other without.
fn age(route: &Route) -> (bool, Option<&str>, &str, &str, RouteKind) {
    let metadata = &route.metadata;
    let creation = metadata.creation.as_deref();
    (
        creation.is_none(),
        creation,
        &metadata.namespace,
        &metadata.name,
        route.kind,
    )
}

/// The routes that a client in `namespace` has for a service at one of its ports, by precedence.
/// Those of the client's own namespace go instead of those of the service's namespace (GEP-1426);
/// any other namespace's are for clients there.
pub(crate) fn for_client<'a>(
    world: &'a World,
    service: &Service,
    port: u16,
    namespace: &str,
) -> Vec<Attached<'a>> {
    let own = |wanted: &str| -> Vec<Attached<'a>> {
        let mut routes: Vec<Attached<'_>> = Vec::new();
        for (route, parent) in world.routes_at_host(&service.host) {
            let is_own = route.metadata.namespace == wanted;
            if is_own && parent.port.is_none_or(|named| named == port) {
                let span = parent.span;
                routes.push(Attached { route, span });
            }
        }
        each_once(&mut routes);
        routes
    };
    let of_client = own(namespace);
    match of_client.is_empty() {
        true => own(&service.namespace),
        false => of_client,
    }
}

/// Those of `routes`, which are for the clients of one `host`, that are taken, and the others.
pub(crate) fn of_one_kind<'a>(
    routes: Vec<Attached<'a>>,
    host: &'a str,
) -> (Vec<Attached<'a>>, Vec<Rejected<'a>>) {
    let mut meant: Vec<Meant<'_>> = routes
        .iter()
        .map(|attached| Meant {
            route: attached.route,
            hosts: vec![(host, attached.span)],
        })
        .collect();
    let rejected = reject(&mut meant, "a service");
    let taken = meant.into_iter().flat_map(|Meant { route, hosts }| {
        let hosts = hosts.into_iter();
        hosts.map(move |(_, span)| Attached { route, span })
    });
    (taken.collect(), rejected)
}
