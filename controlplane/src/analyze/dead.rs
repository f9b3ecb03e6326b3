//! What can never take effect, whoever asks: rules behind a rule that takes every request, subsets
//! without endpoints, servers of two Gateways that contend for a port. It is told from the
//! resources alone, so it holds before any workload has registered itself.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

use ringmain_config::{
    problem::{Problem, Severity},
    route::PathMatch,
};

use super::hidden::{Earlier, Hides};
use crate::resource::{
    Resource,
    destination_rule::DestinationRule,
    gateway::{Gateway, Server},
    metadata::{Labels, Metadata, selects},
    port::Protocol,
    service_entry::ServiceEntry,
    span::{Span, Spanned},
    virtual_service::{HttpMatch, HttpRoute, TcpMatch, VirtualService},
};

/// Every warning of this kind.
pub(super) fn analyze(resources: &[Arc<Resource>]) -> Vec<Problem> {
    let mut findings = Vec::new();
    let mut gateways = Vec::new();
    let mut rules = Vec::new();
    let mut entries = HashMap::new();
    for resource in resources {
        match &**resource {
            Resource::VirtualService(service) => unreachable_rules(service, &mut findings),
            Resource::Gateway(gateway) => gateways.push(gateway),
            Resource::DestinationRule(rule) => rules.push(rule),
            Resource::ServiceEntry(entry) => {
                let hosts = entry.hosts.iter().map(|host| (host.as_str(), entry));
                entries.extend(hosts);
            }
            Resource::WorkloadEntry(_)
            | Resource::Sidecar(_)
            | Resource::Service(_)
            | Resource::Credential(_)
            | Resource::PeerAuthentication(_)
            | Resource::ApiGateway(_)
            | Resource::ApiRoute(_) => {}
        }
    }
    contending_servers(&gateways, &mut findings);
    for rule in rules {
        if let Some(entry) = entries.get(rule.host.as_str()) {
            empty_subsets(rule, entry, &mut findings);
        }
    }
    findings
}

fn warn(
    metadata: &Metadata,
    span: Span,
    path: &str,
    message: String,
    hint: &str,
    findings: &mut Vec<Problem>,
) {
    let problem = metadata.problem(Severity::Warning, span, path, message);
    findings.push(problem.hint(hint));
}

/// `IST0130`: rules after one that takes everything; `IST0131`: conditions that hold only where one
/// of an earlier rule does. Requests and connections come in at different listeners, so their rules
/// do not meet.
fn unreachable_rules(service: &VirtualService, findings: &mut Vec<Problem>) {
    unreachable_http(service, findings);
    unreachable_tcp(service, findings);
}

/// `what` a rule in line `first` takes every one of.
fn behind_all(first: Span, what: &str) -> (String, &'static str) {
    let message = format!(
        "the rule is never used: the one in line {} takes every {what} [IST0130]",
        first.line
    );
    (message, "move that one to the end, or give it a `match`")
}

/// Of a condition that stands in line `first`.
fn again(first: Span) -> (String, &'static str) {
    let message = format!(
        "the condition is never used: the same stands in line {} [IST0131]",
        first.line
    );
    (message, "remove it, or the other one")
}

fn unreachable_http(service: &VirtualService, findings: &mut Vec<Problem>) {
    let metadata = &service.metadata;
    let mut earlier: Earlier<'_, (usize, Span)> = Earlier::default();
    let mut takes_all: Option<Span> = None;
    for (index, rule) in service.http.iter().enumerate() {
        let path = format!("spec.http[{index}]");
        if let Some(first) = takes_all {
            let (message, hint) = behind_all(first, "request");
            warn(metadata, rule.span, &path, message, hint, findings);
            continue;
        }
        for (number, condition) in rule.matches.iter().enumerate() {
            let (message, hint) = match earlier.hides(condition) {
                Some(Hides::Same((_, first))) => again(*first),
                // Of one rule, it says the same with more words.
                Some(Hides::More((of_rule, first))) if *of_rule != index => {
                    let message = format!(
                        "the condition is never used: the one in line {} takes all of its requests \
                         [IST0131]",
                        first.line
                    );
                    (message, "move it before that one, or remove it")
                }
                Some(Hides::More(_)) | None => {
                    earlier.add(condition, (index, condition.span));
                    continue;
                }
            };
            let path = format!("{path}.match[{number}]");
            warn(metadata, condition.span, &path, message, hint, findings);
        }
        if is_unconditional(rule) {
            takes_all = Some(rule.span);
        }
    }
}

fn unreachable_tcp(service: &VirtualService, findings: &mut Vec<Problem>) {
    let metadata = &service.metadata;
    let everything = TcpMatch::default();
    let mut earlier: HashMap<&TcpMatch, Span> = HashMap::new();
    let mut takes_all: Option<Span> = None;
    for (index, rule) in service.tcp.iter().enumerate() {
        let path = format!("spec.tcp[{index}]");
        if let Some(first) = takes_all {
            let (message, hint) = behind_all(first, "connection");
            warn(metadata, rule.span, &path, message, hint, findings);
            continue;
        }
        for (number, condition) in rule.matches.iter().enumerate() {
            let Some(first) = earlier.get(&condition.value) else {
                earlier.insert(&condition.value, condition.span);
                continue;
            };
            let (message, hint) = again(*first);
            let path = format!("{path}.match[{number}]");
            warn(metadata, condition.span, &path, message, hint, findings);
        }
        let mut matches = rule.matches.iter();
        if rule.matches.is_empty() || matches.any(|written| written.value == everything) {
            takes_all = Some(rule.span);
        }
    }
}

/// Such a rule takes every request.
pub(super) fn is_unconditional(rule: &HttpRoute) -> bool {
    let takes_all = |condition: &Spanned<HttpMatch>| {
        let every_path = match &condition.uri {
            PathMatch::Any => true,
            PathMatch::Prefix(prefix) | PathMatch::ElementPrefix(prefix) => prefix == "/",
            PathMatch::Exact(_) | PathMatch::Regex(_) => false,
        };
        // What is left once these are set aside must be empty.
        let rest = || HttpMatch {
            name: String::new(),
            uri: PathMatch::Any,
            ignore_uri_case: false,
            ..condition.value.clone()
        };
        every_path && rest() == HttpMatch::default()
    };
    rule.matches.is_empty() || rule.matches.iter().any(takes_all)
}

/// `IST0173`: a ServiceEntry with endpoints of its own says all there is to know of them.
fn empty_subsets(rule: &DestinationRule, entry: &ServiceEntry, findings: &mut Vec<Problem>) {
    if entry.endpoints.is_empty() {
        return;
    }
    let fate = match entry.ports.iter().all(|port| port.protocol.is_tcp()) {
        true => "connections to it are closed",
        false => "requests to it are answered 503",
    };
    for (index, subset) in rule.subsets.iter().enumerate() {
        let in_subset = |labels: &Labels| selects(&subset.labels, labels);
        if entry
            .endpoints
            .iter()
            .any(|endpoint| in_subset(&endpoint.labels))
        {
            continue;
        }
        let message = format!(
            "no endpoint of {} has the labels of subset {}: {fate} [IST0173]",
            entry.metadata.origin, subset.name
        );
        let path = format!("spec.subsets[{index}].labels");
        let hint = "give the labels to an endpoint";
        warn(&rule.metadata, subset.span, &path, message, hint, findings);
    }
}

/// Where a server listens, for the proxies of a selector.
type Place<'a> = (&'a Labels, Option<IpAddr>, u16);

/// `IST0145`: Gateways for the same proxies that want one port for different protocols, or that
/// serve one host on it.
fn contending_servers(gateways: &[&Gateway], findings: &mut Vec<Problem>) {
    let mut earlier: BTreeMap<Place<'_>, Claims<'_>> = BTreeMap::new();
    for gateway in gateways {
        for (index, server) in gateway.servers.iter().enumerate() {
            let place = (&gateway.selector, server.bind, server.port.number);
            let claims = earlier.entry(place).or_insert_with(|| Claims {
                protocol: server.port.protocol,
                gateway,
                hosts: HashMap::new(),
            });
            claims.add(gateway, index, server, findings);
        }
    }
}

/// What earlier servers want of a place.
struct Claims<'a> {
    protocol: Protocol,
    /// The first that wanted the place.
    gateway: &'a Gateway,
    /// By the host as shown, who serves it.
    hosts: HashMap<String, &'a Gateway>,
}

impl<'a> Claims<'a> {
    fn add(
        &mut self,
        gateway: &'a Gateway,
        index: usize,
        server: &Spanned<Server>,
        findings: &mut Vec<Problem>,
    ) {
        let protocol = server.port.protocol;
        // All that is HTTP shares a listener, and so does all that is bytes.
        let is_alike = protocol.is_http() && self.protocol.is_http()
            || protocol.is_tcp() && self.protocol.is_tcp();
        if protocol != self.protocol && !is_alike {
            let message = format!(
                "port {} is {} already for {} [IST0145]",
                server.port.number, self.protocol, self.gateway.metadata.origin
            );
            let path = format!("spec.servers[{index}].port");
            let hint = "choose another port";
            warn(
                &gateway.metadata,
                server.port.span,
                &path,
                message,
                hint,
                findings,
            );
            return;
        }
        for (number, host) in server.hosts.iter().enumerate() {
            let other = self.hosts.entry(host.to_string()).or_insert(gateway);
            if other.metadata.origin == gateway.metadata.origin {
                continue;
            }
            let message = format!(
                "{} is served on port {} by {} already [IST0145]",
                host.value, server.port.number, other.metadata.origin
            );
            let path = format!("spec.servers[{index}].hosts[{number}]");
            let hint = "serve a host by one Gateway";
            warn(&gateway.metadata, host.span, &path, message, hint, findings);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::resource::parse;

    /// Findings in documents of namespace `default`, each as kind and spec.
    #[track_caller]
    fn check(documents: &[(&str, &str)], expected: &[&str]) {
        let text: String = documents
            .iter()
            .enumerate()
            .map(|(index, (kind, spec))| {
                format!(
                    "---\n{{apiVersion: networking.istio.io/v1, kind: {kind}, metadata: {{name: \
                     n{index}}}, spec: {{{spec}}}}}\n"
                )
            })
            .collect();
        let loaded = parse("f", &text);
        assert!(!loaded.has_errors(), "{:?}", loaded.problems);
        let findings = super::analyze(&loaded.resources);
        let shown: Vec<String> = findings
            .iter()
            .map(|problem| format!("{} {}: {}", problem.line, problem.path, problem.message))
            .collect();
        assert_eq!(shown, expected, "{text}");
    }

    const ROUTE: &str = "route: [{destination: {host: a}}]";

    #[test]
    fn rules_behind_one_that_takes_every_request() {
        let dead = "2 VirtualService default/n0 > spec.http[1]: the rule is never used: the one in \
                    line 2 takes every request [IST0130]";
        for (first, expected) in [
            ("", &[dead][..]),
            ("match: [{}], ", &[dead]),
            ("match: [{uri: {prefix: /}}], ", &[dead]),
            ("match: [{uri: {prefix: /a}}, {name: all}], ", &[dead]),
            ("match: [{uri: {prefix: /a}}], ", &[]),
            ("match: [{port: 80}], ", &[]),
            ("match: [{uri: {prefix: /}, sourceLabels: {a: b}}], ", &[]),
            ("match: [{gateways: [mesh]}], ", &[]),
        ] {
            let http = format!("hosts: [a], http: [{{{first}{ROUTE}}}, {{{ROUTE}}}]");
            check(&[("VirtualService", &http)], expected);
        }
    }

    #[test]
    fn conditions_that_stand_twice() {
        let rule = |condition: &str| format!("{{match: [{condition}], {ROUTE}}}");
        let http = |second: &str| {
            let first = rule("{name: x, uri: {exact: /a}}, {port: 80}");
            format!("hosts: [a], http: [{first}, {}]", rule(second))
        };
        check(
            &[(
                "VirtualService",
                &http("{uri: {exact: /b}}, {uri: {exact: /a}}"),
            )],
            &[
                "2 VirtualService default/n0 > spec.http[1].match[1]: the condition is never used: \
               the same stands in line 2 [IST0131]",
            ],
        );
        check(
            &[("VirtualService", &http("{uri: {exact: /a}, port: 80}"))],
            &[
                "2 VirtualService default/n0 > spec.http[1].match[0]: the condition is never used: \
               the one in line 2 takes all of its requests [IST0131]",
            ],
        );
        check(
            &[(
                "VirtualService",
                &http("{uri: {prefix: /a}}, {uri: {exact: /a/b}}"),
            )],
            &[],
        );
    }

    #[test]
    fn connections_have_rules_of_their_own() {
        let tcp = |first: &str, second: &str| {
            let rule = |condition: &str| format!("{{{condition}{ROUTE}}}");
            let (first, second) = (rule(first), rule(second));
            format!("hosts: [a], http: [{{{ROUTE}}}], tcp: [{first}, {second}]")
        };
        let dead = "2 VirtualService default/n0 > spec.tcp[1]: the rule is never used: the one in \
                    line 2 takes every connection [IST0130]";
        let again = "2 VirtualService default/n0 > spec.tcp[1].match[0]: the condition is never \
                     used: the same stands in line 2 [IST0131]";
        let office = "match: [{sourceSubnet: 10.0.0.0/8, port: 5432}], ";
        for (first, second, expected) in [
            ("", office, &[dead][..]),
            ("match: [{}], ", office, &[dead]),
            ("match: [{port: 1}, {}], ", "", &[dead]),
            (office, "", &[]),
            (office, office, &[again]),
            (
                office,
                "match: [{port: 5432, sourceSubnet: 10.0.0.0/8}, {port: 1}], ",
                &[again],
            ),
            (office, "match: [{sourceSubnet: 10.0.0.0/8}], ", &[]),
            (
                "match: [{destinationSubnets: [10.0.0.1]}], ",
                "match: [{destinationSubnets: [10.0.0.2]}], ",
                &[],
            ),
            (
                "match: [{sourceLabels: {app: a}}], ",
                "match: [{sourceNamespace: a}], ",
                &[],
            ),
        ] {
            check(&[("VirtualService", &tcp(first, second))], expected);
        }
    }

    #[test]
    fn subsets_without_endpoints() {
        let entry = "hosts: [a.b], ports: [{number: 80, name: http}], resolution: STATIC, \
                     endpoints: [{address: 10.0.0.1, labels: {version: v1}}]";
        let rule = "host: a.b, subsets: [{name: v1, labels: {version: v1}}, {name: all}, {name: \
                    v2, labels: {version: v2}}]";
        check(
            &[("ServiceEntry", entry), ("DestinationRule", rule)],
            &[
                "4 DestinationRule default/n1 > spec.subsets[2].labels: no endpoint of \
                 ServiceEntry default/n0 (f:2) has the labels of subset v2: requests to it are \
                 answered 503 [IST0173]",
            ],
        );
        let bytes = entry.replace("name: http", "name: db, protocol: TCP");
        check(
            &[("ServiceEntry", &bytes), ("DestinationRule", rule)],
            &[
                "4 DestinationRule default/n1 > spec.subsets[2].labels: no endpoint of \
                 ServiceEntry default/n0 (f:2) has the labels of subset v2: connections to it are \
                 closed [IST0173]",
            ],
        );
        // Workloads that a selector chooses may register themselves later.
        let selecting = "hosts: [a.b], ports: [{number: 80, name: http}], resolution: STATIC, \
                         workloadSelector: {labels: {app: a}}";
        check(
            &[("ServiceEntry", selecting), ("DestinationRule", rule)],
            &[],
        );
    }

    #[test]
    fn gateways_that_contend_for_a_port() {
        let gateway = |selector: &str, protocol: &str, host: &str| {
            format!(
                "selector: {{app: {selector}}}, servers: [{{port: {{number: 80, name: p, \
                 protocol: {protocol}}}, hosts: [{host}]}}]"
            )
        };
        let first = gateway("edge", "HTTP", "a.b");
        for (second, expected) in [
            (gateway("edge", "HTTP", "b.c"), &[][..]),
            (gateway("edge", "HTTP2", "b.c"), &[]),
            (gateway("edge", "GRPC", "b.c"), &[]),
            (gateway("other", "TCP", "a.b"), &[]),
            (
                gateway("edge", "TCP", "b.c"),
                &[
                    "4 Gateway default/n1 > spec.servers[0].port: port 80 is HTTP already for \
                   Gateway default/n0 (f:2) [IST0145]",
                ],
            ),
            (
                gateway("edge", "HTTP", "a.b"),
                &[
                    "4 Gateway default/n1 > spec.servers[0].hosts[0]: */a.b is served on port 80 \
                     by Gateway default/n0 (f:2) already [IST0145]",
                ],
            ),
        ] {
            check(&[("Gateway", &first), ("Gateway", &second)], expected);
        }
    }
}
