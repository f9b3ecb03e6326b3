mod hash;
mod pool;

use std::time::Duration;

use ringmain_config::cluster::Balancer;

use super::super::tls::ClientMode;
use super::{
    super::{
        Resource,
        testing::{self, check},
    },
    DestinationRule, InForce,
};

fn read(spec: &str) -> DestinationRule {
    match &*testing::read("DestinationRule", spec) {
        Resource::DestinationRule(rule) => rule.clone(),
        other => panic!("{other:?}"),
    }
}

/// Balancer, connect timeout and request limit for a subset and port.
#[track_caller]
fn check_settings(
    rule: &DestinationRule,
    subset: &str,
    port: u16,
    expected: (Balancer, Duration, u32),
) {
    let subset = rule.subset(subset).map(|subset| &subset.value);
    let found = rule.settings(subset, port);
    let found = (
        found.balancer.balancer,
        found.connections.connect_timeout,
        found.connections.requests_max,
    );
    assert_eq!(found, expected);
}

#[test]
fn subsets() {
    let rule = read("host: reviews\nsubsets:\n- name: v1\n  labels: {version: v1}\n- name: all");
    assert_eq!(rule.host.as_str(), "reviews.default.svc.cluster.local");
    let subset = rule.subset("v1").expect("it is written");
    assert_eq!(
        subset.labels,
        [("version".to_owned(), "v1".to_owned())].into()
    );
    assert_eq!(subset.span.line, 8);
    assert!(rule.subset("all").expect("it is written").labels.is_empty());
    assert_eq!(rule.subset("v2"), None);
    assert_eq!(rule.settings(None, 9080), InForce::default());
}

#[test]
fn balancers() {
    for (name, expected) in [
        ("LEAST_REQUEST", Balancer::LeastRequest),
        ("LEAST_CONN", Balancer::LeastRequest),
        ("UNSPECIFIED", Balancer::LeastRequest),
        ("ROUND_ROBIN", Balancer::RoundRobin),
        ("RANDOM", Balancer::Random),
    ] {
        let rule = read(&format!(
            "host: a\ntrafficPolicy: {{loadBalancer: {{simple: {name}}}}}"
        ));
        let found = rule.settings(None, 80).balancer;
        assert_eq!((found.balancer, found.hash), (expected, None), "{name}");
    }
}

#[test]
fn a_port_inherits_nothing_and_a_subset_by_blocks() {
    let rule = read(
        "host: a\n\
         trafficPolicy:\n  loadBalancer: {simple: RANDOM}\n  connectionPool:\n    \
         tcp: {connectTimeout: 3s}\n    http: {maxRequestsPerConnection: 5}\n  \
         portLevelSettings:\n  - port: {number: 81}\n    \
         connectionPool: {tcp: {connectTimeout: 1s}}\n\
         subsets:\n\
         - name: balanced\n  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n\
         - name: pooled\n  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 9}}}\n\
         - name: port\n  trafficPolicy:\n    portLevelSettings:\n    \
         - {port: {number: 81}, loadBalancer: {simple: ROUND_ROBIN}}",
    );
    let seconds = Duration::from_secs;
    for (subset, port, expected) in [
        ("", 80, (Balancer::Random, seconds(3), 5)),
        ("", 81, (Balancer::LeastRequest, seconds(1), 0)),
        ("balanced", 80, (Balancer::RoundRobin, seconds(3), 5)),
        ("balanced", 81, (Balancer::RoundRobin, seconds(1), 0)),
        ("pooled", 80, (Balancer::Random, seconds(10), 9)),
        ("port", 80, (Balancer::Random, seconds(3), 5)),
        ("port", 81, (Balancer::RoundRobin, seconds(10), 0)),
    ] {
        check_settings(&rule, subset, port, expected);
    }
}

#[test]
fn idle_timeout_of_http_wins() {
    for (pool, expected) in [
        ("{tcp: {idleTimeout: 5s}}", 5),
        ("{tcp: {idleTimeout: 5s}, http: {idleTimeout: 1m}}", 60),
        ("{}", 3600),
    ] {
        let rule = read(&format!(
            "host: a\ntrafficPolicy: {{connectionPool: {pool}}}"
        ));
        let idle = rule.settings(None, 80).connections.idle_timeout;
        assert_eq!(idle, Duration::from_secs(expected), "{pool}");
    }
}

#[test]
fn tls_of_a_port_and_of_a_subset() {
    let rule = read(
        "host: a\n\
         trafficPolicy:\n  tls: {mode: SIMPLE}\n  \
         portLevelSettings: [{port: {number: 81}, loadBalancer: {simple: RANDOM}}]\n\
         subsets:\n- {name: off, trafficPolicy: {tls: {mode: DISABLE}}}\n\
         - {name: other, trafficPolicy: {loadBalancer: {simple: RANDOM}}}",
    );
    for (subset, port, mode) in [
        ("", 80, Some(ClientMode::Simple)),
        ("", 81, None),
        ("off", 80, Some(ClientMode::Disable)),
        ("other", 80, Some(ClientMode::Simple)),
    ] {
        let subset = rule.subset(subset).map(|subset| &subset.value);
        let settings = rule.settings(subset, port);
        assert_eq!(settings.tls.map(|tls| tls.mode), mode, "{subset:?} {port}");
    }
}

#[test]
fn what_is_not_supported_yet() {
    let later = |name: &str, instead: &str| format!("`{name}` is not supported yet: {instead}");
    for (policy, place, name, instead) in [
        (
            "outlierDetection: {consecutive5xxErrors: 5}",
            "2:17 warning: spec.trafficPolicy.outlierDetection",
            "outlierDetection",
            "failing endpoints stay in use",
        ),
        (
            "proxyProtocol: {version: V2}",
            "2:17 warning: spec.trafficPolicy.proxyProtocol",
            "proxyProtocol",
            "connections begin without such a header",
        ),
        (
            "loadBalancer: {simple: PASSTHROUGH}",
            "2:40 warning: spec.trafficPolicy.loadBalancer.simple",
            "PASSTHROUGH",
            "endpoints are chosen by LEAST_REQUEST",
        ),
    ] {
        let expected = format!("{place}: {}", later(name, instead));
        check(
            "DestinationRule",
            &format!("host: a\ntrafficPolicy: {{{policy}}}"),
            &[&expected],
        );
    }
}

#[test]
fn what_is_wrong() {
    for (spec, expected) in [
        ("subsets: []", "1:1 error: spec.host: `host` is missing"),
        (
            "host: '*'",
            "1:7 error: spec.host: `*` is not a host of its own; name a domain: `*.example.com`",
        ),
        (
            "host: a\nsubsets: [{name: v1}, {name: v1}]",
            "2:23 error: spec.subsets[1]: two subsets are named `v1`",
        ),
        (
            "host: a\nsubsets: [{labels: {a: b}}]",
            "2:11 error: spec.subsets[0].name: `name` is missing",
        ),
        (
            "host: a\nsubsets: [{name: v1, labels: {version: 1}}]",
            "2:40 error: spec.subsets[0].labels.version: expected text, found the \
number `1`; put it in quotes: \"1\"",
        ),
        (
            "host: a\nsubset: []",
            "2:1 error: spec.subset: there is no field `subset`; did you mean `subsets`?",
        ),
        (
            "host: a\ntrafficPolicy: {loadBalancer: {simple: ROUNDROBIN}}",
            "2:40 error: spec.trafficPolicy.loadBalancer.simple: `ROUNDROBIN` is not \
one of `UNSPECIFIED`, `LEAST_REQUEST`, `LEAST_CONN`, `ROUND_ROBIN`, \
`RANDOM`, `PASSTHROUGH`; did you mean `ROUND_ROBIN`?",
        ),
        (
            "host: a\ntrafficPolicy: {connectionPool: {tcp: {connectTimeout: 10us}}}",
            "2:56 error: spec.trafficPolicy.connectionPool.tcp.connectTimeout: `10us` \
is shorter than 0.001s",
        ),
        (
            "host: a\ntrafficPolicy: {portLevelSettings: [{port: {number: 1}}, {port: \
{number: 1}}]}",
            "2:58 error: spec.trafficPolicy.portLevelSettings[1]: port 1 stands here twice",
        ),
    ] {
        check("DestinationRule", spec, &[expected]);
    }
}
