//! Retries and timeouts, and faults, beside which there are neither.

use std::time::Duration;

use ringmain_config::{
    filter::{Abort, AbortWith, Delay, Fault, Share},
    retry::{RetryOn, RetryPolicy},
};

use super::{HttpAction, HttpRoute, check_rule, rule};
use crate::resource::virtual_service::{HttpForward, ON_DEFAULT, Retries};

const ROUTE: &str = "route: [{destination: {host: a}}]";

fn with(field: &str) -> HttpRoute {
    rule(&format!("{field}\n{ROUTE}"))
}

fn forward(rule: HttpRoute) -> HttpForward {
    match rule.action {
        HttpAction::Route(forward) => forward,
        other => panic!("{other:?}"),
    }
}

fn retries(text: &str) -> Option<Retries> {
    let forward = forward(with(&format!("retries: {text}")));
    forward.retries.map(|retries| *retries)
}

/// Problems of a rule with a destination and this field.
#[track_caller]
fn check_field(field: &str, expected: &[&str]) {
    check_rule(&format!("{field}\n{ROUTE}"), expected);
}

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        on: ON_DEFAULT.to_vec(),
        ..RetryPolicy::default()
    }
}

#[test]
fn a_rule_that_says_nothing_of_retries_leaves_them_to_the_mesh() {
    assert_eq!(forward(with("timeout: 1s")).retries, None);
}

#[test]
fn how_often_and_how_fast_it_is_retried() {
    for (text, expected) in [
        ("{}", RetryPolicy::default()),
        ("{attempts: 0}", RetryPolicy::default()),
        ("{attempts: 3}", policy(3)),
        (
            "{attempts: 3, perTryTimeout: 2s}",
            RetryPolicy {
                per_try_timeout: Some(Duration::from_secs(2)),
                ..policy(3)
            },
        ),
        ("{attempts: 3, perTryTimeout: 0s}", policy(3)),
        (
            "{attempts: 1, backoff: 100ms}",
            RetryPolicy {
                back_off: Duration::from_millis(100),
                ..policy(1)
            },
        ),
    ] {
        let found = retries(text).expect("it is written");
        assert_eq!(found.policy, expected, "{text}");
        assert_eq!(found.avoids_previous_endpoints, None, "{text}");
    }
    for avoids in [true, false] {
        let text = format!("{{attempts: 1, retryIgnorePreviousHosts: {avoids}}}");
        let found = retries(&text).expect("it is written");
        assert_eq!(found.avoids_previous_endpoints, Some(avoids));
    }
}

#[test]
fn what_is_worth_another_try() {
    use RetryOn::*;
    for (words, on, status_codes) in [
        ("", &ON_DEFAULT[..], &[][..]),
        (" ", &ON_DEFAULT, &[]),
        (
            "5xx,gateway-error,reset,reset-before-request",
            &[ServerError, GatewayError, Reset, ResetBeforeRequest],
            &[],
        ),
        (
            "connect-failure, refused-stream ,retriable-4xx",
            &[ConnectFailure, RefusedStream, Retriable4xx],
            &[],
        ),
        (
            "envoy-ratelimited,retriable-status-codes",
            &[EnvoyRatelimited, RetriableStatusCodes],
            &[],
        ),
        (
            "cancelled,deadline-exceeded,internal,resource-exhausted,unavailable",
            &[
                Cancelled,
                DeadlineExceeded,
                Internal,
                ResourceExhausted,
                Unavailable,
            ],
            &[],
        ),
        ("503", &[RetriableStatusCodes], &[503]),
        (
            "503,reset,429,503,reset,retriable-status-codes",
            &[Reset, RetriableStatusCodes],
            &[503, 429],
        ),
    ] {
        let found = retries(&format!("{{attempts: 1, retryOn: '{words}'}}"));
        let policy = found.expect("it is written").policy;
        assert_eq!(policy.on, on, "{words}");
        assert_eq!(policy.status_codes, status_codes, "{words}");
    }
}

#[test]
fn what_is_wrong_with_retries() {
    for (field, expected) in [
        (
            "retries: {attempts: 1, retryOn: '5xy'}",
            "3:35 error: spec.http[0].retries.retryOn: `5xy` is not a reason to retry; did you \
             mean `5xx`?",
        ),
        (
            "retries: {attempts: 1, retryOn: 'always'}",
            "3:35 error: spec.http[0].retries.retryOn: `always` is not a reason to retry; use \
             status codes and any of 5xx, gateway-error, reset, reset-before-request, \
             connect-failure, stale-connection, refused-stream, retriable-4xx, \
             retriable-status-codes, envoy-ratelimited, cancelled, deadline-exceeded, internal, resource-exhausted, \
             unavailable",
        ),
        (
            "retries: {attempts: 1, retryOn: '5xx,,reset'}",
            "3:35 error: spec.http[0].retries.retryOn: `` is not a reason to retry; use status \
             codes and any of 5xx, gateway-error, reset, reset-before-request, connect-failure, \
             stale-connection, refused-stream, retriable-4xx, retriable-status-codes, envoy-ratelimited, \
             cancelled, deadline-exceeded, internal, resource-exhausted, unavailable",
        ),
        (
            "retries: {attempts: 1, retryOn: '600'}",
            "3:35 error: spec.http[0].retries.retryOn: status 600 is not between 200 and 599",
        ),
        (
            "retries: {attempts: 1, retryOn: '99999999'}",
            "3:35 error: spec.http[0].retries.retryOn: status 99999999 is not between 200 and 599",
        ),
        (
            "retries: {attempts: 1, retryOn: retriable-headers}",
            "3:35 warning: spec.http[0].retries.retryOn: `retriable-headers` has no effect: the \
             API has no field that names the headers",
        ),
        (
            "retries: {attempts: 1, retryOn: 'reset,http3-post-connect-failure'}",
            "3:35 warning: spec.http[0].retries.retryOn: `http3-post-connect-failure` has no \
             effect: HTTP/3 is not spoken to upstreams",
        ),
        (
            "retries: {perTryTimeout: 2s}",
            "3:12 error: spec.http[0].retries: `perTryTimeout` without `attempts`: no request is \
             tried again; add `attempts`, or leave `attempts: 0` alone to have no retries",
        ),
        (
            "retries: {attempts: 0, retryOn: 5xx}",
            "3:12 error: spec.http[0].retries: `retryOn` without `attempts`: no request is tried \
             again; add `attempts`, or leave `attempts: 0` alone to have no retries",
        ),
        (
            "retries: {attempts: -1}",
            "3:23 error: spec.http[0].retries.attempts: -1 is not between 0 and 2147483647",
        ),
        (
            "retries: {attempts: 1, backoff: 0s}",
            "3:35 error: spec.http[0].retries.backoff: `0s` is shorter than 0.001s",
        ),
    ] {
        check_field(field, &[expected]);
    }
}

fn fault(text: &str) -> Option<Fault> {
    with(&format!("fault: {text}")).filters?.fault
}

#[test]
fn faults() {
    let delay = |millis, share| {
        Some(Delay {
            duration: Duration::from_millis(millis),
            share: Share(share),
        })
    };
    let abort = |with, share| {
        Some(Abort {
            with,
            share: Share(share),
        })
    };
    let http = AbortWith::Http;
    for (text, expected_delay, expected_abort) in [
        (
            "{delay: {fixedDelay: 7s, percentage: {value: 100.0}}}",
            delay(7000, 1_000_000),
            None,
        ),
        (
            "{delay: {fixedDelay: 5ms, percentage: {value: 0.1}}}",
            delay(5, 1000),
            None,
        ),
        (
            "{delay: {fixedDelay: 5ms, percent: 3}}",
            delay(5, 30_000),
            None,
        ),
        (
            "{delay: {fixedDelay: 5ms, percent: 3, percentage: {value: 0.0001}}}",
            delay(5, 1),
            None,
        ),
        (
            "{abort: {httpStatus: 500, percentage: {value: 50}}}",
            None,
            abort(http(500), 500_000),
        ),
        (
            "{abort: {grpcStatus: UNAVAILABLE, percent: 1}}",
            None,
            abort(AbortWith::Grpc(14), 10_000),
        ),
        (
            "{abort: {grpcStatus: '0', percent: 1}}",
            None,
            abort(AbortWith::Grpc(0), 10_000),
        ),
        (
            "{delay: {fixedDelay: 1s, percent: 1}, abort: {httpStatus: 404, percent: 2}}",
            delay(1000, 10_000),
            abort(http(404), 20_000),
        ),
        (
            "{delay: {fixedDelay: 1s, percent: 0}, abort: {httpStatus: 404, percent: 2}}",
            None,
            abort(http(404), 20_000),
        ),
    ] {
        let expected = Fault {
            delay: expected_delay,
            abort: expected_abort,
        };
        assert_eq!(fault(text), Some(expected), "{text}");
    }
    for none in [
        "{delay: {fixedDelay: 1s, percentage: {value: 0}}}",
        "{abort: {httpStatus: 500, percentage: {}}}",
    ] {
        assert_eq!(fault(none), None, "{none}");
    }
}

#[test]
fn beside_a_fault_nothing_is_mended() {
    let abort = "fault: {abort: {httpStatus: 500, percent: 1}}";
    let disabled = Some(Box::new(Retries::default()));
    assert_eq!(forward(with(abort)).retries, disabled);
    check_field(
        &format!("{abort}\ntimeout: 1s\nretries: {{attempts: 1}}"),
        &[
            "4:12 warning: spec.http[0].timeout: `timeout` has no effect beside `fault`; remove \
             it, or the fault when the test is over",
            "5:12 warning: spec.http[0].retries: `retries` has no effect beside `fault`; remove \
             it, or the fault when the test is over",
        ],
    );
    // One that is switched off is none.
    let off = with("timeout: 1s\nfault: {abort: {httpStatus: 500, percent: 0}}");
    assert_eq!(off.timeout, Some(Duration::from_secs(1)));
    assert_eq!(forward(off).retries, None);
}

#[test]
fn what_is_wrong_with_faults() {
    for (field, expected) in [
        (
            "fault: {}",
            "3:10 error: spec.http[0].fault: it injects nothing; add `delay` or `abort`",
        ),
        (
            "fault: {delay: {percent: 1}}",
            "3:18 error: spec.http[0].fault.delay.fixedDelay: `fixedDelay` is missing",
        ),
        (
            "fault: {delay: {fixedDelay: 1s}}",
            "3:18 warning: spec.http[0].fault.delay: no share of requests is written: none is \
             delayed; add `percentage: {value: 100}`",
        ),
        (
            "fault: {abort: {httpStatus: 500}}",
            "3:18 warning: spec.http[0].fault.abort: no share of requests is written: none is \
             aborted; add `percentage: {value: 100}`",
        ),
        (
            "fault: {abort: {percent: 1}}",
            "3:18 error: spec.http[0].fault.abort: it says not what to answer; add `httpStatus` \
             or `grpcStatus`",
        ),
        (
            "fault: {abort: {percent: 1, httpStatus: 500, grpcStatus: INTERNAL}}",
            "3:60 error: spec.http[0].fault.abort.grpcStatus: `httpStatus` and `grpcStatus` exclude \
             each other; remove one of them",
        ),
        (
            "fault: {abort: {percent: 1, http2Error: PROTOCOL_ERROR}}",
            "3:43 error: spec.http[0].fault.abort.http2Error: a request is not aborted with an \
             error of HTTP/2, which a client of HTTP/1.1 could not be told; use `httpStatus` or \
             `grpcStatus`",
        ),
        (
            "fault: {abort: {percent: 1, httpStatus: 600}}",
            "3:43 error: spec.http[0].fault.abort.httpStatus: 600 is not between 200 and 599",
        ),
        (
            "fault: {abort: {percent: 1, grpcStatus: UNAVAIL}}",
            "3:43 error: spec.http[0].fault.abort.grpcStatus: `UNAVAIL` is not a status of gRPC; \
             use a name like `UNAVAILABLE`, or its number: \"14\"",
        ),
        (
            "fault: {abort: {percent: 1, grpcStatus: '17'}}",
            "3:43 error: spec.http[0].fault.abort.grpcStatus: `17` is not a status of gRPC; use a \
             name like `UNAVAILABLE`, or its number: \"14\"",
        ),
        (
            "fault: {abort: {percent: 1, grpcStatus: INTERNEL}}",
            "3:43 error: spec.http[0].fault.abort.grpcStatus: `INTERNEL` is not a status of gRPC; \
             did you mean `INTERNAL`?",
        ),
        (
            "fault: {abort: {percentage: {value: 101}, httpStatus: 500}}",
            "3:39 error: spec.http[0].fault.abort.percentage.value: 101 is not between 0 and 100",
        ),
        (
            "fault: {abort: {httpStatsu: 555, percent: 1}}",
            "3:19 error: spec.http[0].fault.abort.httpStatsu: there is no field `httpStatsu`; \
             did you mean `httpStatus`?",
        ),
    ] {
        check_field(field, &[expected]);
    }
}

#[test]
fn what_an_answer_of_the_proxy_cannot_have() {
    let fault = "fault: {abort: {httpStatus: 500, percent: 1}}";
    check_rule(
        &format!("directResponse: {{status: 200}}\n{fault}"),
        &[
            "4:10 error: spec.http[0].fault: `fault` and `directResponse` exclude each other; \
             remove one of them",
        ],
    );
    for (field, place) in [
        (
            "retries: {attempts: 1}",
            "4:12 warning: spec.http[0].retries: `retries`",
        ),
        (
            "timeout: 1s",
            "4:12 warning: spec.http[0].timeout: `timeout`",
        ),
        (
            "mirror: {host: b}",
            "4:11 warning: spec.http[0].mirror: `mirror`",
        ),
        (
            "headers: {request: {remove: [a]}, response: {remove: [b]}}",
            "4:22 warning: spec.http[0].headers.request: `headers.request`",
        ),
    ] {
        let expected =
            format!("{place} has no effect with `redirect`: nothing is sent on; remove it");
        check_rule(&format!("redirect: {{uri: /b}}\n{field}"), &[&expected]);
    }
}
