//! What in a world has no effect or leads nowhere, although each resource is sound by itself.
//!
//! All of it is a warning: the world is used, and only requests that come there fail. Codes in
//! brackets are those of `istioctl analyze`, for whoever knows them.

mod dead;
mod gateway_api;
mod hidden;
mod merged;
mod tls;

use std::collections::{BTreeMap, BTreeSet};

use ringmain_config::problem::{Problem, Severity, nearest};

use crate::{
    registry::Service,
    resource::{
        Resource,
        destination_rule::DestinationRule,
        gateway::Gateway,
        host::{covers, overlaps},
        metadata::Metadata,
        sidecar::Sidecar,
        span::{Span, Spanned},
        tls::ClientMode,
        virtual_service::{Destination, GatewayReference, HttpAction, VirtualService},
    },
    world::{World, is_for_mesh},
};

/// How much of a mesh a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it: what a resource names and is not there does not exist.
    Mesh,
    /// Files out of it: what they name may stand in another one.
    Files,
}

/// Every warning, in the order of their place.
pub fn analyze(world: &World, extent: Extent) -> Vec<Problem> {
    let mut findings = Findings {
        world,
        extent,
        problems: world.conflicts().iter().cloned().collect(),
    };
    for resource in world.resources() {
        match &**resource {
            Resource::VirtualService(service) => findings.virtual_service(service),
            Resource::DestinationRule(rule) => {
                findings.destination_rule(rule);
                findings.tls_of_rule(rule);
            }
            Resource::Gateway(gateway) => findings.credentials_of_gateway(gateway),
            Resource::PeerAuthentication(policy) => findings.strictness_without_identity(policy),
            Resource::ServiceEntry(_)
            | Resource::WorkloadEntry(_)
            | Resource::Sidecar(_)
            | Resource::Service(_)
            | Resource::Credential(_)
            | Resource::ApiGateway(_) => {}
            Resource::ApiRoute(route) => findings.api_route(route),
        }
    }
    findings.mesh_conflicts();
    findings.sidecar_conflicts();
    findings.gateway_api_places();
    findings.merged_rules();
    findings.problems.extend(dead::analyze(world.resources()));
    findings.problems.into_iter().collect()
}

struct Findings<'a> {
    world: &'a World,
    extent: Extent,
    /// Sorted by severity, file and line.
    problems: BTreeSet<Problem>,
}

impl Findings<'_> {
    fn error(&mut self, metadata: &Metadata, span: Span, path: &str, message: &str, hint: &str) {
        let problem = metadata.problem(Severity::Error, span, path, message);
        self.problems.insert(problem.hint(hint));
    }

    fn warn(
        &mut self,
        metadata: &Metadata,
        span: Span,
        path: &str,
        message: String,
        hint: Option<String>,
    ) {
        let problem = metadata.problem(Severity::Warning, span, path, message);
        self.problems.insert(Problem { hint, ..problem });
    }

    /// As [`Self::warn`], of something that is named and not there.
    fn warn_missing(
        &mut self,
        metadata: &Metadata,
        span: Span,
        path: &str,
        message: String,
        hint: Option<String>,
    ) {
        if self.extent == Extent::Mesh {
            self.warn(metadata, span, path, message, hint);
        }
    }

    fn virtual_service(&mut self, service: &VirtualService) {
        self.gateway_references(service);
        self.tcp_rules(service);
        for (rule_index, rule) in service.http.iter().enumerate() {
            let HttpAction::Route(forward) = &rule.action else {
                continue;
            };
            for (index, destination) in forward.destinations.iter().enumerate() {
                let path = format!("spec.http[{rule_index}].route[{index}].destination");
                self.destination(&service.metadata, &destination.destination, &path, ANSWERED);
                self.unnamed_port(service, &destination.destination, &path);
            }
            for mirror in &forward.mirrors {
                let path = match mirror.index {
                    Some(index) => format!("spec.http[{rule_index}].mirrors[{index}].destination"),
                    None => format!("spec.http[{rule_index}].mirror"),
                };
                self.destination(&service.metadata, &mirror.destination, &path, DROPPED);
            }
        }
    }

    fn tcp_rules(&mut self, service: &VirtualService) {
        for (rule_index, rule) in service.tcp.iter().enumerate() {
            for (index, destination) in rule.destinations.iter().enumerate() {
                let path = format!("spec.tcp[{rule_index}].route[{index}].destination");
                self.destination(&service.metadata, &destination.destination, &path, CLOSED);
            }
        }
        for (rule_index, rule) in service.tls.iter().enumerate() {
            for (index, destination) in rule.destinations.iter().enumerate() {
                let path = format!("spec.tls[{rule_index}].route[{index}].destination");
                self.destination(&service.metadata, &destination.destination, &path, CLOSED);
            }
        }
    }

    /// `IST0101`, `IST0132`
    fn gateway_references(&mut self, service: &VirtualService) {
        for (index, reference) in service.gateways.iter().enumerate() {
            let GatewayReference::Gateway { namespace, name } = &reference.value else {
                continue;
            };
            let path = format!("spec.gateways[{index}]");
            let mut gateways = self.world.gateways();
            let found = gateways.find(|gateway| {
                gateway.metadata.namespace == *namespace && gateway.metadata.name == *name
            });
            let Some(gateway) = found else {
                let message = format!("there is no Gateway {namespace}/{name}");
                let names: Vec<_> = self
                    .world
                    .gateways()
                    .map(|gateway| {
                        format!("{}/{}", gateway.metadata.namespace, gateway.metadata.name)
                    })
                    .collect();
                let wanted = format!("{namespace}/{name}");
                let hint = self
                    .hint_for_other_api(namespace, name)
                    .or_else(|| did_you_mean(&wanted, names.iter().map(String::as_str)));
                self.warn_missing(&service.metadata, reference.span, &path, message, hint);
                continue;
            };
            self.hosts_at_gateway(service, gateway);
        }
    }

    fn hosts_at_gateway(&mut self, service: &VirtualService, gateway: &Gateway) {
        let scopes = || gateway.servers.iter().flat_map(|server| &server.hosts);
        for (index, host) in service.hosts.iter().enumerate() {
            let served = scopes().any(|scope| {
                scope.namespace.includes(&service.metadata.namespace) && overlaps(&scope.host, host)
            });
            if served {
                continue;
            }
            let list: Vec<_> = scopes().map(|scope| scope.to_string()).collect();
            let message = format!(
                "no server of {} serves the host {} for namespace {}",
                gateway.metadata.origin, host.value, service.metadata.namespace
            );
            let hint = Some(format!("its servers serve {}", list.join(", ")));
            let path = format!("spec.hosts[{index}]");
            self.warn(&service.metadata, host.span, &path, message, hint);
        }
    }

    /// `IST0101`: host, port, subset. `fate`: of what is sent to a destination that is not there.
    fn destination(
        &mut self,
        metadata: &Metadata,
        destination: &Destination,
        path: &str,
        fate: &str,
    ) {
        let host = &destination.host;
        let Some(service) = self.world.registry().service(host) else {
            let message = format!(
                "no Service or ServiceEntry has the host {}; {fate}",
                host.value
            );
            let hosts = self.world.registry().services();
            let hint = did_you_mean(host, hosts.map(|service| service.host.as_str()));
            self.warn_missing(metadata, host.span, &format!("{path}.host"), message, hint);
            return;
        };
        self.destination_port(metadata, destination, service, path, fate);
        if let Some(subset) = &destination.subset {
            self.subset(metadata, service, subset, path, fate);
        }
    }

    /// Which listener a rule without a port is used at is not known here, so only a written one is
    /// looked at. `IST0112`
    fn destination_port(
        &mut self,
        metadata: &Metadata,
        destination: &Destination,
        service: &Service,
        path: &str,
        fate: &str,
    ) {
        let ports = || {
            let numbers: Vec<_> = service
                .ports
                .iter()
                .map(|port| port.number.to_string())
                .collect();
            numbers.join(", ")
        };
        let Some(written) = &destination.port else {
            return;
        };
        let path = format!("{path}.port");
        let (message, hint) = match service.port(written.value) {
            None => (
                format!("{} has no port {}; {fate}", service.host, written.value),
                format!("its ports are {}", ports()),
            ),
            Some(port) if port.protocol.is_tls() => {
                if fate == CLOSED || self.is_within_tls(destination, port.number) {
                    return;
                }
                (
                    format!(
                        "port {} of {} speaks {}, and is sent to in plain text",
                        port.number, service.host, port.protocol
                    ),
                    "add a DestinationRule for it with `trafficPolicy.tls.mode: SIMPLE`".to_owned(),
                )
            }
            Some(_) => return,
        };
        self.warn(metadata, written.span, &path, message, Some(hint));
    }

    /// Some DestinationRule has TLS for it.
    fn is_within_tls(&self, to: &Destination, port: u16) -> bool {
        self.world.rules_anywhere(&to.host).any(|rule| {
            let subset = to.subset.as_ref().and_then(|name| rule.subset(name));
            let in_force = rule.settings(subset.map(|subset| &subset.value), port);
            let settings = in_force.tls;
            settings.is_some_and(|settings| settings.mode != ClientMode::Disable)
        })
    }

    /// Without a port, that of the listener is meant, unless there is only one. `IST0112`
    fn unnamed_port(&mut self, rules: &VirtualService, to: &Destination, path: &str) {
        let world = self.world;
        let Some(service) = world.registry().service(&to.host) else {
            return;
        };
        if to.port.is_some() || service.ports.len() < 2 {
            return;
        }
        let is_named = |gateway: &&Gateway| {
            let Metadata {
                namespace, name, ..
            } = &gateway.metadata;
            let own = GatewayReference::Gateway {
                namespace: namespace.clone(),
                name: name.clone(),
            };
            rules.gateways.iter().any(|named| named.value == own)
        };
        let gateways = world.gateways().filter(is_named);
        let servers = gateways.flat_map(|gateway| &gateway.servers);
        let mut ports = servers
            .filter(|server| server.port.protocol.is_http())
            .map(|server| server.port.number);
        let Some(port) = ports.find(|port| service.port(*port).is_none()) else {
            return;
        };
        let message = format!(
            "{} has several ports and none is named: that of the gateway is meant, {port}, which \
             it has not; {ANSWERED}",
            service.host
        );
        let numbers = service.ports.iter().map(|port| port.number.to_string());
        let numbers = numbers.collect::<Vec<_>>().join(", ");
        let hint = Some(format!("add `port: {{number: N}}`, one of {numbers}"));
        self.warn(&rules.metadata, to.host.span, path, message, hint);
    }

    fn subset(
        &mut self,
        metadata: &Metadata,
        service: &Service,
        subset: &Spanned<String>,
        path: &str,
        fate: &str,
    ) {
        let rules: Vec<_> = self.world.rules_anywhere(&service.host).collect();
        if rules.is_empty() && self.extent == Extent::Files {
            return;
        }
        if rules.iter().any(|rule| rule.subset(subset).is_some()) {
            return;
        }
        let message = format!(
            "no DestinationRule of {} has a subset {}; {fate}",
            service.host, subset.value
        );
        let names = rules
            .iter()
            .flat_map(|rule| &rule.subsets)
            .map(|subset| subset.name.as_str());
        let hint = did_you_mean(subset, names)
            .or_else(|| Some(format!("add it to a DestinationRule for {}", service.host)));
        self.warn(
            metadata,
            subset.span,
            &format!("{path}.subset"),
            message,
            hint,
        );
    }

    /// `IST0174`
    fn destination_rule(&mut self, rule: &DestinationRule) {
        let world = self.world;
        let services: Vec<_> = world
            .registry()
            .services()
            .filter(|service| covers(&rule.host, &service.host))
            .collect();
        if services.is_empty() {
            let message = format!(
                "no Service or ServiceEntry has the host {}",
                rule.host.value
            );
            let hosts = world.registry().services();
            let hint = did_you_mean(&rule.host, hosts.map(|service| service.host.as_str()));
            self.warn_missing(&rule.metadata, rule.host.span, "spec.host", message, hint);
        }
    }

    /// `IST0109`
    fn mesh_conflicts(&mut self) {
        let world = self.world;
        for (host, services) in world.mesh_hosts() {
            let Some((first, rest)) = services.split_first() else {
                continue;
            };
            for other in rest.iter().filter(|other| is_for_mesh(other)) {
                let message = format!(
                    "the host {host} has rules for the mesh in {} already",
                    first.metadata.origin
                );
                let span = written(other, host);
                let hint = Some(
                    "a host takes its rules for the mesh from one VirtualService: \
                                 merge the two"
                        .to_owned(),
                );
                self.warn(&other.metadata, span, "spec.hosts", message, hint);
            }
        }
    }

    /// `IST0110`, `IST0111`
    fn sidecar_conflicts(&mut self) {
        let world = self.world;
        let mut first: BTreeMap<_, &Sidecar> = BTreeMap::new();
        for sidecar in world.sidecars() {
            let metadata = &sidecar.metadata;
            let key = (&metadata.namespace, &sidecar.selector);
            let Some(other) = first.get(&key) else {
                first.insert(key, sidecar);
                continue;
            };
            let message = format!("{} is for the same workloads", other.metadata.origin);
            let span = Span {
                line: metadata.origin.line,
                column: 1,
            };
            let hint = Some("that one is used; merge the two".to_owned());
            self.warn(metadata, span, "spec.workloadSelector", message, hint);
        }
    }
}

/// What becomes of a request whose destination is not there, of a copy, and of a connection.
const ANSWERED: &str = "requests to it are answered 503";
const DROPPED: &str = "copies of requests for it are dropped";
const CLOSED: &str = "connections to it are closed";

fn written(service: &VirtualService, host: &str) -> Span {
    let mut hosts = service.hosts.iter();
    let written = hosts.find(|written| written.value == host);
    written.map_or_else(Span::default, |written| written.span)
}

fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|candidate| format!("did you mean {candidate}?"))
}

#[cfg(test)]
mod tests;
