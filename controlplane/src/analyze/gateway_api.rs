//! Routes of the Gateway API that are attached to nothing, lead nowhere, or are never used. In
//! Kubernetes their `status` would say so.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
};

use super::{Findings, did_you_mean};
use crate::{
    assemble::gateway_api::{
        attach::{self, Attached, Bound, Refusal},
        contested, listeners, origin_of,
        precedence::{Place, in_order},
        two_kinds,
    },
    registry::Service,
    resource::{
        gateway_api::{
            BackendReference, Gateway, Match, Parent, ParentKind, Route, RouteKind, RuleAction,
        },
        host::full_name,
        port::Protocol,
        span::Spanned,
        virtual_service::VirtualService,
    },
};

impl Findings<'_> {
    /// What one route names.
    pub(super) fn api_route(&mut self, route: &Route) {
        for (index, parent) in route.parents.iter().enumerate() {
            let path = format!("spec.parentRefs[{index}]");
            match parent.kind {
                ParentKind::Gateway => self.parent_gateway(route, parent, &path),
                ParentKind::Service => self.parent_service(route, parent, &path),
                ParentKind::ServiceEntry => self.parent_entry(route, parent, &path),
            }
        }
        for (rule_index, rule) in route.rules.iter().enumerate() {
            let path = format!("spec.rules[{rule_index}]");
            for mirror in &rule.mirrors {
                let path = format!("{path}.filters[{}].requestMirror.backendRef", mirror.filter);
                self.backend(route, &mirror.reference, &path, "no copy is sent to it");
            }
            let RuleAction::Forward(forward) = &rule.action else {
                continue;
            };
            let fate = match route.kind {
                RouteKind::Http => "its share of requests is answered 500",
                RouteKind::Grpc => "its share of calls is answered UNAVAILABLE",
            };
            for (index, backend) in forward.backends.iter().enumerate() {
                let path = format!("{path}.backendRefs[{index}]");
                self.backend(route, &backend.reference, &path, fate);
            }
        }
    }

    fn parent_gateway(&mut self, route: &Route, parent: &Spanned<Parent>, path: &str) {
        let (metadata, span) = (&route.metadata, parent.span);
        let name = format!("{}/{}", parent.namespace, parent.name);
        let named = |gateway: &&Gateway| {
            let metadata = &gateway.metadata;
            metadata.namespace == parent.namespace && metadata.name == parent.name
        };
        let Some(gateway) = self.world.api_gateways().find(named) else {
            let message = format!(
                "there is no Gateway {name} of gateway.networking.k8s.io: the route is not \
                 attached to it"
            );
            let hint = self.hint_for_gateway(parent, &name);
            self.warn_missing(metadata, span, path, message, hint);
            return;
        };
        let mut refused = Vec::new();
        for (index, listener) in gateway.listeners.iter().enumerate() {
            let bound = Bound {
                gateway,
                listener,
                index,
            };
            match attach::hosts(&bound, route, parent) {
                Ok(_) => return,
                Err(Refusal::NotMeant) => {}
                Err(refusal) => refused.push((bound, refusal)),
            }
        }
        let Some((bound, refusal)) = refused.first() else {
            let (message, hint) = no_listener(parent, gateway);
            self.warn(metadata, span, path, message, Some(hint));
            return;
        };
        let (message, hint) = refused_by(bound, *refusal, route);
        self.warn(metadata, span, path, message, Some(hint));
    }

    fn hint_for_gateway(&self, parent: &Parent, name: &str) -> Option<String> {
        let mut gateways = self.world.gateways();
        let is_istio = gateways.any(|gateway| {
            let metadata = &gateway.metadata;
            metadata.namespace == parent.namespace && metadata.name == parent.name
        });
        if is_istio {
            let hint = "there is one of networking.istio.io, which takes VirtualServices only";
            return Some(hint.to_owned());
        }
        let names: Vec<_> = self
            .world
            .api_gateways()
            .map(|gateway| format!("{}/{}", gateway.metadata.namespace, gateway.metadata.name))
            .collect();
        did_you_mean(name, names.iter().map(String::as_str))
    }

    /// Of a VirtualService that names a Gateway of the Gateway API.
    pub(super) fn hint_for_other_api(&self, namespace: &str, name: &str) -> Option<String> {
        let mut gateways = self.world.api_gateways();
        let named = gateways.find(|gateway| {
            gateway.metadata.namespace == namespace && gateway.metadata.name == name
        });
        named.map(|_| {
            "there is one of gateway.networking.k8s.io, which takes HTTPRoutes and GRPCRoutes only"
                .to_owned()
        })
    }

    fn parent_service(&mut self, route: &Route, parent: &Spanned<Parent>, path: &str) {
        let host = full_name(&parent.name, &parent.namespace);
        match self.world.registry().service(&host) {
            Some(service) => self.parent_port(route, parent, service, path),
            None => {
                let message = format!(
                    "no Service or ServiceEntry has the host {host}: the route is not attached to \
                     it"
                );
                let services = self.world.registry().services();
                let hint = did_you_mean(&host, services.map(|service| service.host.as_str()));
                self.warn_missing(&route.metadata, parent.span, path, message, hint);
            }
        }
    }

    fn parent_entry(&mut self, route: &Route, parent: &Spanned<Parent>, path: &str) {
        let world = self.world;
        let mut hosts = world.hosts_with_routes();
        let named = hosts.find_map(|host| {
            let mut routes = world.routes_at_host(host);
            let is_meant = routes.any(|(_, other)| std::ptr::eq(other, parent));
            is_meant.then(|| world.registry().service(host))
        });
        match named {
            Some(Some(service)) => self.parent_port(route, parent, service, path),
            Some(None) => {}
            None => {
                let message = format!(
                    "there is no ServiceEntry {}/{}: the route is not attached to it",
                    parent.namespace, parent.name
                );
                self.warn_missing(&route.metadata, parent.span, path, message, None);
            }
        }
    }

    fn parent_port(
        &mut self,
        route: &Route,
        parent: &Spanned<Parent>,
        service: &Service,
        path: &str,
    ) {
        let Some(port) = parent.port else { return };
        let problem = match service.port(port) {
            None => "it has no such port",
            Some(found) if !found.protocol.is_http() => "what is spoken there is not HTTP",
            Some(_) => return,
        };
        let message = format!(
            "the route is not attached to port {port} of {}: {problem}",
            service.host
        );
        let hint = Some(format!("its ports are {}", ports(service)));
        self.warn(&route.metadata, parent.span, path, message, hint);
    }

    fn backend(&mut self, route: &Route, reference: &BackendReference, path: &str, fate: &str) {
        let (Some(host), Some(port)) = (&reference.host, &reference.port) else {
            // Said where it was read.
            return;
        };
        let metadata = &route.metadata;
        let registry = self.world.registry();
        let Some(service) = registry.service(host) else {
            let message = format!(
                "no Service or ServiceEntry has the host {}; {fate}",
                host.value
            );
            let hosts = registry.services().map(|service| service.host.as_str());
            let hint = did_you_mean(host, hosts);
            self.warn_missing(metadata, host.span, &format!("{path}.name"), message, hint);
            return;
        };
        let path = format!("{path}.port");
        match service.port(port.value) {
            None => {
                let message = format!("{} has no port {}; {fate}", service.host, port.value);
                let hint = Some(format!("its ports are {}", ports(service)));
                self.warn(metadata, port.span, &path, message, hint);
            }
            Some(found) if route.kind == RouteKind::Grpc && found.protocol == Protocol::Http => {
                self.grpc_port(route, service, port, &path);
            }
            Some(_) => {}
        }
    }

    /// A port of which HTTP/1.1 is said, and calls that are sent in HTTP/2.
    fn grpc_port(&mut self, route: &Route, service: &Service, port: &Spanned<u16>, path: &str) {
        let metadata = &route.metadata;
        let client = &metadata.namespace;
        let rules = self
            .world
            .rules_of(client, &service.namespace, &service.host);
        let in_force = rules.first().map(|rule| rule.settings(None, port.value));
        if in_force.is_some_and(|rule| rule.upgrades || rule.follows_client) {
            return;
        }
        let message = format!(
            "port {} of {} is said to speak HTTP/1.1, which carries no gRPC: calls of this route \
             are sent in HTTP/2 all the same",
            port.value, service.host
        );
        let hint = "write `appProtocol: kubernetes.io/h2c` at the port if it speaks HTTP/2";
        self.warn(metadata, port.span, path, message, Some(hint.to_owned()));
    }

    /// What shows only where routes meet.
    pub(super) fn gateway_api_places(&mut self) {
        let world = self.world;
        self.problems.extend(contested(world));
        let gateways: Vec<_> = world.api_gateways().collect();
        for (address, bounds) in listeners(&gateways) {
            self.same_listeners(&bounds, address.port());
            let (by_host, rejected) = attach::by_host(world, &bounds);
            self.problems.extend(rejected.iter().map(two_kinds));
            for (host, attached) in by_host {
                self.meeting(&attached, host);
            }
        }
        for host in world.hosts_with_routes() {
            if let Some(service) = world.registry().service(host) {
                self.clients(service);
            }
        }
    }

    /// Listeners of two Gateways; those of one were compared when it was read.
    fn same_listeners(&mut self, bounds: &[Bound<'_>], port: u16) {
        let mut first: HashMap<&str, &Bound<'_>> = HashMap::new();
        for bound in bounds {
            let host = bound.listener.host();
            let Some(other) = first.get(host) else {
                first.insert(host, bound);
                continue;
            };
            let message = format!(
                "port {port} for `{host}` is a listener of {} already: a proxy that serves both \
                 merges their routes",
                other.gateway.metadata.origin
            );
            let path = format!("spec.listeners[{}]", bound.index);
            let hint = "give it another `hostname` or `port`, or the Gateways `addresses`";
            let (metadata, span) = (&bound.gateway.metadata, bound.listener.span);
            self.warn(metadata, span, &path, message, Some(hint.to_owned()));
        }
    }

    /// What clients of a service get, in each namespace that has routes for it.
    fn clients(&mut self, service: &Service) {
        let world = self.world;
        let routes = world.routes_at_host(&service.host);
        let namespaces: BTreeSet<&str> = routes
            .map(|(route, _)| route.metadata.namespace.as_str())
            .collect();
        let http = service.ports.iter().filter(|port| port.protocol.is_http());
        for port in http {
            for namespace in &namespaces {
                let attached = attach::for_client(world, service, port.number, namespace);
                self.rules_beside(service, namespace, &attached);
                let (attached, rejected) = attach::of_one_kind(attached, &service.host);
                self.problems.extend(rejected.iter().map(two_kinds));
                self.meeting(&attached, &service.host);
            }
        }
    }

    /// A VirtualService for a host that has routes.
    fn rules_beside(&mut self, service: &Service, namespace: &str, attached: &[Attached<'_>]) {
        let Some(origin) = origin_of(attached) else {
            return;
        };
        let visible = |_: &VirtualService, _: &str| true;
        let Some((rules, host)) = self.world.mesh_rules_of(&service.host, visible) else {
            return;
        };
        let mut message = format!("clients of {}", service.host);
        if namespace != service.namespace {
            let _ = write!(message, " in namespace {namespace}");
        }
        let _ = write!(
            message,
            " take its rules from {origin}: those of this VirtualService are not used"
        );
        let hint = "a host takes its rules from one API: merge the two";
        let span = super::written(rules, host);
        self.warn(
            &rules.metadata,
            span,
            "spec.hosts",
            message,
            Some(hint.to_owned()),
        );
    }

    /// Routes of one host: matches that another always goes before.
    fn meeting(&mut self, attached: &[Attached<'_>], host: &str) {
        let mut earlier: HashMap<&Match, Place<'_>> = HashMap::new();
        let mut everything: Option<Place<'_>> = None;
        for place in in_order(attached) {
            let before = earlier.get(&place.matched.value);
            let (first, reason) = match (before, &everything) {
                (Some(first), _) => (first, "asks for the same and goes before it"),
                (None, Some(first)) => (first, "takes every request and goes before it"),
                (None, None) => {
                    earlier.insert(&place.matched.value, place);
                    if place.matched.takes_everything() {
                        everything = Some(place);
                    }
                    continue;
                }
            };
            let origin = first.route.metadata.origin_at(first.matched.span);
            let message = format!("the match is never used for {host}: {origin} {reason}");
            let path = format!(
                "spec.rules[{}].matches[{}]",
                place.rule_index, place.match_index
            );
            let hint = "remove one of the two, or let this one ask for more";
            let metadata = &place.route.metadata;
            self.warn(
                metadata,
                place.matched.span,
                &path,
                message,
                Some(hint.to_owned()),
            );
        }
    }
}

/// Of a parent that names a listener or port which the Gateway has not.
fn no_listener(parent: &Parent, gateway: &Gateway) -> (String, String) {
    let mut wanted = String::from("no listener for HTTP");
    if let Some(section) = &parent.section {
        let _ = write!(wanted, " named `{section}`");
    }
    if let Some(port) = parent.port {
        let _ = write!(wanted, " at port {port}");
    }
    let message = format!(
        "{} has {wanted}: the route is not attached to it",
        gateway.metadata.origin
    );
    let listeners: Vec<_> = gateway
        .listeners
        .iter()
        .map(|listener| format!("`{}` at port {}", listener.name, listener.port))
        .collect();
    let hint = match listeners.is_empty() {
        true => "it has no listener for HTTP".to_owned(),
        false => format!("its listeners are {}", listeners.join(", ")),
    };
    (message, hint)
}

/// Of the first listener that a parent means, when none takes the route.
fn refused_by(bound: &Bound<'_>, refusal: Refusal, route: &Route) -> (String, String) {
    let listener = bound.listener;
    let origin = bound.gateway.metadata.origin_at(listener.span);
    let (reason, hint) = match refusal {
        Refusal::Kind => (
            format!("it takes no {}", route.kind.name()),
            format!("add {} to its `allowedRoutes.kinds`", route.kind.name()),
        ),
        Refusal::Namespace => (
            format!(
                "it takes no routes of namespace {}",
                route.metadata.namespace
            ),
            "write `allowedRoutes: {namespaces: {from: All}}` in the listener".to_owned(),
        ),
        Refusal::NoHost | Refusal::NotMeant => (
            format!(
                "it serves `{}`, and none of the route's hosts",
                listener.host()
            ),
            "add a host to `hostnames` that the listener serves".to_owned(),
        ),
    };
    let message = format!(
        "the route is not attached to listener `{}` of {origin}: {reason}",
        listener.name
    );
    (message, hint)
}

fn ports(service: &Service) -> String {
    let ports = service.ports.iter().map(|port| port.number.to_string());
    ports.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
