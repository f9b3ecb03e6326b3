use ringmain_config::retry::{RetryOn, RetryPolicy};

use super::*;
use crate::http1::Reject;

fn policy(on: &[RetryOn]) -> Policy {
    let source = RetryPolicy {
        attempts: 2,
        on: on.to_vec(),
        status_codes: vec![418, 503],
        ..RetryPolicy::default()
    };
    Policy::compile(&source).unwrap()
}

/// On a connection that was made for it.
fn failed(failure: Failure, sent: bool) -> Ended {
    let on = Connection {
        sent,
        ..Connection::default()
    };
    Ended::Failed { failure, on }
}

/// The words that ask for another try, each alone.
fn wanting(ended: Ended) -> Vec<RetryOn> {
    let words = ALL.into_iter();
    let wants = |word: &RetryOn| policy(&[*word]).verdict(ended, 0, true) == Verdict::Again;
    words.filter(wants).collect()
}

use RetryOn::{
    Cancelled, ConnectFailure, DeadlineExceeded, EnvoyRatelimited, GatewayError, Internal,
    RefusedStream, Reset, ResetBeforeRequest, ResourceExhausted, Retriable4xx,
    RetriableStatusCodes, ServerError, StaleConnection, Unavailable,
};

const ALL: [RetryOn; 15] = [
    ServerError,
    GatewayError,
    Reset,
    ResetBeforeRequest,
    StaleConnection,
    ConnectFailure,
    RefusedStream,
    Retriable4xx,
    RetriableStatusCodes,
    EnvoyRatelimited,
    Cancelled,
    DeadlineExceeded,
    Internal,
    ResourceExhausted,
    Unavailable,
];

#[test]
fn after_a_failure() {
    let resets = [ServerError, GatewayError, Reset];
    let with = |others: &[RetryOn]| [&resets[..], others].concat();
    for (failure, sent, expected) in [
        (
            Failure::ConnectFailed,
            false,
            with(&[ResetBeforeRequest, ConnectFailure]),
        ),
        (
            Failure::ConnectTimeout,
            false,
            with(&[ResetBeforeRequest, ConnectFailure]),
        ),
        (Failure::UpstreamClosed, false, with(&[ResetBeforeRequest])),
        (Failure::UpstreamClosed, true, with(&[])),
        (Failure::UpstreamReset, true, with(&[])),
        (Failure::StreamRefused, true, with(&[RefusedStream])),
        (
            Failure::StreamRefused,
            false,
            with(&[ResetBeforeRequest, RefusedStream]),
        ),
        (Failure::UpstreamProtocol, true, with(&[])),
        (Failure::BadResponse(Reject::Version), true, with(&[])),
        (Failure::PerTryTimeout, true, with(&[])),
        (Failure::RouteTimeout, true, vec![]),
        (Failure::UpstreamIdle, true, vec![]),
        (Failure::UpstreamTruncated, true, vec![]),
        (Failure::UpstreamResetWithin, true, vec![]),
        (Failure::BadResponseBody(Reject::ChunkSize), true, vec![]),
        (Failure::UpgradeRefused, true, vec![]),
        (Failure::NoEndpoint, false, vec![]),
        (Failure::Overflow, false, vec![]),
        (Failure::NoCluster, false, vec![]),
        (Failure::DownstreamGone, true, vec![]),
        (Failure::RequestBodyTimeout, true, vec![]),
    ] {
        let found = wanting(failed(failure, sent));
        assert_eq!(found, expected, "{failure:?} {sent}");
    }
}

/// On a connection that was kept.
#[test]
fn after_a_connection_was_found_closed() {
    for (failure, is_stale, is_idempotent, expected) in [
        (Failure::UpstreamClosed, true, true, true),
        (Failure::UpstreamClosed, true, false, false),
        (Failure::UpstreamClosed, false, true, false),
        (Failure::StreamRefused, true, false, true),
        (Failure::UpstreamReset, true, true, false),
        (Failure::PerTryTimeout, true, true, false),
        (Failure::UpstreamTruncated, true, true, false),
    ] {
        let ended = Ended::Failed {
            failure,
            on: Connection {
                sent: true,
                is_stale,
                is_idempotent,
            },
        };
        let is_wanted = wanting(ended).contains(&StaleConnection);
        assert_eq!(is_wanted, expected, "{ended:?}");
        assert_eq!(Policy::is_at_once(ended), expected, "{ended:?}");
    }
}

#[test]
fn after_a_head() {
    let head = |status| Head {
        status,
        ..Head::default()
    };
    let grpc = |grpc_status| Head {
        grpc_status: Some(grpc_status),
        ..head(200)
    };
    let limited = |status| Head {
        is_rate_limited: true,
        ..head(status)
    };
    for (head, expected) in [
        (head(200), vec![]),
        (head(404), vec![]),
        (head(409), vec![Retriable4xx]),
        (head(418), vec![RetriableStatusCodes]),
        (head(500), vec![ServerError]),
        (head(502), vec![ServerError, GatewayError]),
        (
            head(503),
            vec![ServerError, GatewayError, RetriableStatusCodes],
        ),
        (head(504), vec![ServerError, GatewayError]),
        (head(505), vec![ServerError]),
        (head(599), vec![ServerError]),
        (grpc(0), vec![]),
        (grpc(1), vec![Cancelled]),
        (grpc(4), vec![DeadlineExceeded]),
        (grpc(8), vec![ResourceExhausted]),
        (grpc(13), vec![Internal]),
        (grpc(14), vec![Unavailable]),
        (grpc(2), vec![]),
        (limited(429), vec![EnvoyRatelimited]),
        (limited(503), vec![EnvoyRatelimited]),
    ] {
        assert_eq!(wanting(Ended::Answered(head)), expected, "{head:?}");
    }
}

/// Istio's default does not retry a plain 503.
#[test]
fn verdicts() {
    let istio = [
        ConnectFailure,
        RefusedStream,
        Unavailable,
        Cancelled,
        RetriableStatusCodes,
    ];
    let istio = Policy::compile(&RetryPolicy {
        attempts: 2,
        on: istio.to_vec(),
        ..RetryPolicy::default()
    });
    let istio = istio.unwrap();
    let answered = |status| {
        Ended::Answered(Head {
            status,
            ..Head::default()
        })
    };
    let unconnected = failed(Failure::ConnectFailed, false);
    for (ended, further, is_replayable, expected) in [
        (answered(503), 0, true, Verdict::Final),
        (unconnected, 0, true, Verdict::Again),
        (unconnected, 1, true, Verdict::Again),
        (unconnected, 2, true, Verdict::Exhausted),
        (unconnected, 0, false, Verdict::NotReplayable),
        (unconnected, 2, false, Verdict::NotReplayable),
        (answered(503), 2, false, Verdict::Final),
    ] {
        let found = istio.verdict(ended, further, is_replayable);
        assert_eq!(found, expected, "{ended:?} {further} {is_replayable}");
        let is_flagged = expected == Verdict::Exhausted;
        assert_eq!(found.flags().has(Flag::Urx), is_flagged);
    }
}

#[test]
fn policies_that_never_try_again_are_none() {
    let source = |attempts, on: &[RetryOn]| RetryPolicy {
        attempts,
        on: on.to_vec(),
        ..RetryPolicy::default()
    };
    assert_eq!(Policy::compile(&source(0, &[Reset])), None);
    assert_eq!(Policy::compile(&source(2, &[])), None);
    assert!(Policy::compile(&source(1, &[Reset])).is_some());
    // A time for the only try is a policy too, and nothing is retried by it.
    for (attempts, on) in [(0, &[Reset][..]), (2, &[])] {
        let timed = RetryPolicy {
            per_try_timeout: Some(Duration::from_secs(1)),
            ..source(attempts, on)
        };
        let timed = Policy::compile(&timed).unwrap();
        assert_eq!(timed.per_try_timeout, Some(Duration::from_secs(1)));
        let ended = failed(Failure::ConnectFailed, false);
        assert_eq!(timed.verdict(ended, 0, true), Verdict::Final);
        assert!(!timed.needs_replay(true, true));
    }
}

/// Whether a copy of the body is kept follows from what [`Policy::verdict`] can say: no word may
/// ask for another try after the body was sent when no copy was kept for it.
#[test]
fn copies_are_kept_where_they_can_be_needed() {
    let sent = |failure| failed(failure, true);
    let mut ends = vec![
        sent(Failure::UpstreamClosed),
        sent(Failure::PerTryTimeout),
        Ended::Answered(Head {
            is_rate_limited: true,
            ..Head::default()
        }),
    ];
    ends.extend((200..600).map(|status| {
        Ended::Answered(Head {
            status,
            ..Head::default()
        })
    }));
    let of_grpc = (0..17).map(|status| {
        Ended::Answered(Head {
            status: 200,
            grpc_status: Some(status),
            ..Head::default()
        })
    });
    let of_grpc: Vec<Ended> = of_grpc.collect();
    for word in ALL {
        let policy = policy(&[word]);
        let wants = |ends: &[Ended]| {
            ends.iter()
                .any(|ended| policy.verdict(*ended, 0, true) == Verdict::Again)
        };
        let refused = wants(&[sent(Failure::StreamRefused)]);
        for (is_grpc, to_http2) in [(false, false), (false, true), (true, false), (true, true)] {
            let expected = wants(&ends) || (is_grpc && wants(&of_grpc)) || (to_http2 && refused);
            assert_eq!(policy.needs_replay(is_grpc, to_http2), expected, "{word:?}");
        }
    }
    let without_codes = RetryPolicy {
        attempts: 1,
        on: vec![RetriableStatusCodes],
        ..RetryPolicy::default()
    };
    let without_codes = Policy::compile(&without_codes).unwrap();
    assert!(!without_codes.needs_replay(true, true));
}

#[test]
fn back_off_grows_and_is_spread() {
    let policy = policy(&[Reset]);
    let millis = |number, random| policy.back_off(number, random).as_micros() as f64 / 1000.0;
    for (number, longest) in [(1, 25.0), (2, 75.0), (3, 175.0), (4, 250.0), (40, 250.0)] {
        assert_eq!(millis(number, 0), 0.0);
        assert_eq!(millis(number, 1 << 63), longest / 2.0);
        assert!(millis(number, u64::MAX) < longest + 0.001);
        assert!(millis(number, u64::MAX) > longest - 0.01);
    }
    let least = Duration::from_millis(500);
    let with_minimum = RetryPolicy {
        attempts: 9,
        on: vec![Reset],
        back_off: least,
        back_off_is_minimum: true,
        ..RetryPolicy::default()
    };
    let with_minimum = Policy::compile(&with_minimum).unwrap();
    for number in [1, 2, 40] {
        assert_eq!(with_minimum.back_off(number, 0), least);
        assert_eq!(with_minimum.back_off(number, 1 << 63), least * 5 / 4);
        assert!(with_minimum.back_off(number, u64::MAX) < least * 3 / 2);
        assert_eq!(with_minimum.back_off_bounds(number), (least, least * 3 / 2));
    }
    let endless = RetryPolicy {
        attempts: 1,
        on: vec![Reset],
        back_off: Duration::MAX,
        ..RetryPolicy::default()
    };
    let endless = Policy::compile(&endless).unwrap();
    assert!(endless.back_off(3, u64::MAX) > Duration::from_secs(3600));
}
