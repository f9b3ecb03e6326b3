//! Limits on requests, what is spoken, and the budget of retries.

use std::time::Duration;

use ringmain_config::{
    cluster::{HttpConnections, KeepAlive},
    retry::RetryBudget,
};

use super::{InForce, check, read};

fn in_force(policy: &str) -> InForce {
    read(&format!("host: a\ntrafficPolicy: {policy}")).settings(None, 80)
}

fn http(text: &str) -> InForce {
    in_force(&format!("{{connectionPool: {{http: {text}}}}}"))
}

#[test]
fn limits_on_requests() {
    let none = HttpConnections::default();
    for (text, expected) in [
        ("{}", none),
        (
            "{http1MaxPendingRequests: 1, http2MaxRequests: 2, maxRetries: 3, \
             maxConcurrentStreams: 4}",
            HttpConnections {
                pending_max: Some(1),
                active_max: Some(2),
                retries_max: Some(3),
                streams_max: Some(4),
                keep_alive: None,
            },
        ),
        (
            "{http1MaxPendingRequests: 0, http2MaxRequests: 0, maxRetries: 0, \
             maxConcurrentStreams: 0}",
            none,
        ),
        (
            "{http2KeepAlive: {interval: 30s, timeout: 5s}}",
            HttpConnections {
                keep_alive: Some(KeepAlive {
                    interval: Duration::from_secs(30),
                    timeout: Duration::from_secs(5),
                }),
                ..none
            },
        ),
    ] {
        assert_eq!(http(text).connections.http, expected, "{text}");
    }
}

#[test]
fn what_is_spoken() {
    for (text, upgrades, follows_client) in [
        ("{}", false, false),
        ("{h2UpgradePolicy: DEFAULT}", false, false),
        ("{h2UpgradePolicy: DO_NOT_UPGRADE}", false, false),
        ("{h2UpgradePolicy: UPGRADE}", true, false),
        ("{useClientProtocol: true}", false, true),
        ("{useClientProtocol: false}", false, false),
        (
            "{h2UpgradePolicy: UPGRADE, useClientProtocol: true}",
            true,
            true,
        ),
    ] {
        let found = http(text);
        assert_eq!(
            (found.upgrades, found.follows_client),
            (upgrades, follows_client),
            "{text}"
        );
    }
}

#[test]
fn budgets_of_retries() {
    for (text, share, concurrency_min) in [
        ("{}", 2000, 3),
        ("{percent: 0}", 0, 3),
        ("{percent: 12.5, minRetryConcurrency: 0}", 1250, 0),
        ("{percent: 100, budgetInterval: 0s}", 10_000, 3),
    ] {
        let expected = RetryBudget {
            share,
            concurrency_min,
        };
        let found = in_force(&format!("{{retryBudget: {text}}}")).retry_budget;
        assert_eq!(found, Some(expected), "{text}");
    }
    assert_eq!(in_force("{}").retry_budget, None);
}

#[test]
fn a_port_keeps_the_budget_since_it_can_have_none_of_its_own() {
    let rule = read(
        "host: a\n\
         trafficPolicy:\n  \
         connectionPool: {http: {maxRetries: 1, h2UpgradePolicy: UPGRADE}}\n  \
         loadBalancer: {consistentHash: {useSourceIp: true}}\n  \
         retryBudget: {percent: 10}\n  \
         portLevelSettings:\n  - {port: {number: 81}, connectionPool: {http: {maxRetries: 2}}}\n\
         subsets:\n\
         - name: own\n  trafficPolicy: {retryBudget: {percent: 30}}\n\
         - name: pooled\n  trafficPolicy: {connectionPool: {http: {http2MaxRequests: 9}}}\n\
         - name: balanced\n  trafficPolicy: {loadBalancer: {simple: RANDOM}}",
    );
    // Retries at a time, whether HTTP/1.1 is upgraded, whether a hash chooses, percent of budget.
    for (subset, port, expected) in [
        ("", 80, (Some(1), true, true, 10)),
        ("", 81, (Some(2), false, false, 10)),
        ("own", 80, (Some(1), true, true, 30)),
        ("own", 81, (Some(2), false, false, 30)),
        ("pooled", 80, (None, false, true, 10)),
        ("balanced", 80, (Some(1), true, false, 10)),
    ] {
        let subset_named = rule.subset(subset).map(|subset| &subset.value);
        let found = rule.settings(subset_named, port);
        let found = (
            found.connections.http.retries_max,
            found.upgrades,
            found.balancer.hash.is_some(),
            found.retry_budget.map_or(0, |budget| budget.share / 100),
        );
        assert_eq!(found, expected, "{subset} {port}");
    }
}

#[test]
fn what_is_wrong_with_limits() {
    for (policy, expected) in [
        (
            "connectionPool: {http: {maxRetries: -1}}",
            "2:53 error: spec.trafficPolicy.connectionPool.http.maxRetries: -1 is not between 0 \
             and 2147483647",
        ),
        (
            "connectionPool: {http: {h2UpgradePolicy: ALWAYS}}",
            "2:58 error: spec.trafficPolicy.connectionPool.http.h2UpgradePolicy: `ALWAYS` is not \
             one of `DEFAULT`, `DO_NOT_UPGRADE`, `UPGRADE`",
        ),
        (
            "connectionPool: {http: {http2KeepAlive: {interval: 1s}}}",
            "2:57 error: spec.trafficPolicy.connectionPool.http.http2KeepAlive.timeout: `timeout` \
             is missing",
        ),
        (
            "connectionPool: {tcp: {maxConnectionDuration: 1s}}",
            "2:63 warning: spec.trafficPolicy.connectionPool.tcp.maxConnectionDuration: \
             `maxConnectionDuration` holds for connections of TCP ports only so far: those that \
             carry HTTP are not limited by it",
        ),
        (
            "retryBudget: {percent: 101}",
            "2:40 error: spec.trafficPolicy.retryBudget.percent: 101 is not between 0 and 100",
        ),
        (
            "retryBudget: {budgetInterval: 10s}",
            "2:47 warning: spec.trafficPolicy.retryBudget.budgetInterval: `budgetInterval` is not \
             supported yet: the share is of the requests under way, not of those of a period",
        ),
    ] {
        let spec = format!("host: a\ntrafficPolicy: {{{policy}}}");
        check("DestinationRule", &spec, &[expected]);
    }
}
