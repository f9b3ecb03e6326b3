//! Which tries are made again, where, how often, and what is said of them.

use std::{net::SocketAddr, time::Duration};

use ringmain_tests::{
    Io,
    mesh::{Builder, Mesh},
    on_both,
    origin::{Origin, response},
    place as places,
    wait::Gate,
};

use crate::place::{answer, destination_rule, ruled, silent, statuses};

on_both!(
    by_status,
    attempts_are_numbered,
    as_many_as_allowed,
    rate_limited_answers_are_not,
    resets,
    by_default_only_what_cannot_have_run,
    another_endpoint_is_tried,
    a_slow_try_is_given_up,
    every_try_is_slow,
    the_time_of_a_try_ends_with_the_head,
    the_routes_timeout_covers_all,
    what_may_have_run_is_not_sent_twice,
    no_room_for_further_tries,
);

/// One GET: what the client got and the flags of the log.
fn ask(mesh: Mesh) -> (u16, String) {
    let answer = mesh.client().get("/");
    let line = mesh.finish_one();
    assert_eq!(line.number("response_code"), u64::from(answer.status()));
    (answer.status(), line.get("response_flags").to_owned())
}

fn retries(io: Io, origin: &Origin, on: &str) -> Builder {
    let fields = format!("retries: {{attempts: 2, retryOn: {on:?}, backoff: 1ms}}");
    ruled(io, &[origin], &fields)
}

fn by_status(io: Io) {
    for (on, first, is_retried) in [
        ("5xx", 500, true),
        ("5xx", 503, true),
        ("5xx", 404, false),
        ("gateway-error", 502, true),
        ("gateway-error", 504, true),
        ("gateway-error", 500, false),
        ("retriable-status-codes,418", 418, true),
        ("retriable-status-codes,418", 503, false),
        ("retriable-4xx", 409, true),
        ("retriable-4xx", 404, false),
        ("connect-failure,reset", 503, false),
    ] {
        let origin = Origin::start(move |conversation| {
            while let Ok(request) = conversation.request() {
                let is_first = request.get("x-envoy-attempt-count") == Some("1");
                let status = if is_first { first } else { 200 };
                if !conversation.send(answer(status, "")) {
                    break;
                }
            }
        });
        let (status, flags) = ask(retries(io, &origin, on).start());
        let expected = if is_retried { 200 } else { first };
        assert_eq!((status, flags.as_str()), (expected, "-"), "{on}: {first}");
        assert_eq!(origin.requests().len(), 1 + usize::from(is_retried), "{on}");
    }
}

fn attempts_are_numbered(io: Io) {
    let origin = statuses(&[503, 500, 200]);
    let mesh = retries(io, &origin, "5xx").start();
    let answer = mesh.client().get("/a?b=c");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "200"));
    assert_eq!(mesh.proxy.metric("ringmain_upstream_retries_total"), 2);
    let requests = origin.requests();
    let attempts = requests
        .iter()
        .map(|request| request.get("x-envoy-attempt-count"));
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        [Some("1"), Some("2"), Some("3")]
    );
    for request in &requests {
        assert_eq!(request.line, "GET /a?b=c HTTP/1.1");
        assert_eq!(
            request.get("x-request-id"),
            requests[0].get("x-request-id"),
            "it is the same request"
        );
    }
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

/// The last answer is the client's, and the log says why there was no further one.
fn as_many_as_allowed(io: Io) {
    let origin = statuses(&[500, 502, 503, 200]);
    let mesh = retries(io, &origin, "5xx").start();
    let mut client = mesh.client();
    let answer = client.get("/");
    assert_eq!((answer.status(), answer.text().as_str()), (503, "503"));
    assert_eq!(origin.requests().len(), 3);
    assert_eq!(client.get("/").status(), 200, "the connection goes on");
    drop(client);
    let lines = mesh.finish();
    assert_eq!(lines[0].verdict(), "503 URX");
    assert_eq!(lines[1].verdict(), "200 -");
}

fn rate_limited_answers_are_not(io: Io) {
    let origin = Origin::answering(answer(503, "x-envoy-ratelimited: true\r\n"));
    let outcome = ask(retries(io, &origin, "5xx").start());
    assert_eq!(outcome, (503, "-".to_owned()));
    assert_eq!(origin.requests().len(), 1);
}

/// Ends the first connections behind a request, in order or with a reset; then answers.
fn ending(first: usize, with_reset: bool) -> Origin {
    Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            if conversation.index < first {
                if with_reset {
                    conversation.reset();
                }
                return;
            }
            conversation.send(response("at last"));
        }
    })
}

fn resets(io: Io) {
    for on in ["reset", "5xx", "gateway-error"] {
        for with_reset in [false, true] {
            let origin = ending(2, with_reset);
            assert_eq!(
                ask(retries(io, &origin, on).start()),
                (200, "-".to_owned()),
                "{on}"
            );
        }
    }
    let origin = ending(9, false);
    assert_eq!(
        ask(retries(io, &origin, "reset").start()),
        (503, "UC,URX".to_owned())
    );
    assert_eq!(origin.requests().len(), 3);
    let origin = ending(9, false);
    assert_eq!(
        ask(retries(io, &origin, "connect-failure").start()),
        (503, "UC".to_owned())
    );
    assert_eq!(origin.requests().len(), 1);
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    places::free(places::address())
}

fn by_default_only_what_cannot_have_run(io: Io) {
    let origin = Origin::saying("hello");
    let endpoints = [nobody(), origin.address()];
    let mesh = Mesh::builder(io).all_to("s", &endpoints).start();
    let mut client = mesh.client();
    for _ in 0..8 {
        assert_eq!(client.get("/").status(), 200);
        let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(client.exchange(post).status(), 200);
    }
    drop(client);
    assert!(mesh.proxy.metric("ringmain_upstream_retries_total") > 0);
    assert_eq!(origin.requests().len(), 16);
    mesh.finish();

    let plain = statuses(&[503, 200]);
    let mesh = Mesh::builder(io).all_to("s", &[plain.address()]).start();
    assert_eq!(ask(mesh), (503, "-".to_owned()));
    // Nothing is tried again when there are to be no retries.
    let fields = "retries: {attempts: 0}";
    let mesh = ruled(io, &[&plain], fields)
        .service("s", &[nobody()])
        .start();
    assert_eq!(ask(mesh), (503, "UF".to_owned()));
}

/// The endpoint that failed is avoided, however the balancer would have chosen.
fn another_endpoint_is_tried(io: Io) {
    let (bad, good) = (statuses(&[503]), statuses(&[200]));
    let fields = "retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}";
    for simple in ["RANDOM", "LEAST_REQUEST", "ROUND_ROBIN"] {
        let policy = format!("loadBalancer: {{simple: {simple}}}");
        let mesh = ruled(io, &[&bad, &good], fields)
            .resource("rule", &destination_rule(&policy))
            .start();
        let mut client = mesh.client();
        for _ in 0..30 {
            assert_eq!(client.get("/").status(), 200, "{simple}");
        }
        drop(client);
        assert!(
            mesh.proxy.metric("ringmain_upstream_retries_total") > 0,
            "{simple}"
        );
        mesh.finish();
    }
}

fn a_slow_try_is_given_up(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.request() {
            if request.get("x-envoy-attempt-count") == Some("1") {
                conversation.wait_for_end();
                return;
            }
            conversation.send(response("fast"));
        }
    });
    let fields = "retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 200ms, backoff: 1ms}";
    let mesh = ruled(io, &[&origin], fields).start();
    let mut client = mesh.client();
    assert_eq!(client.get("/").text(), "fast");
    drop(client);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 -");
    assert!(line.number("duration") >= 200, "{}", line.text);
}

fn every_try_is_slow(io: Io) {
    let origin = silent();
    let fields = "retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 50ms, backoff: 1ms}";
    let mesh = ruled(io, &[&origin], fields).start();
    assert_eq!(mesh.client().get("/").status(), 504);
    origin.wait_for_requests(3);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "504 UT,URX");
    assert!(line.number("duration") >= 150, "{}", line.text);
}

/// What follows the head takes as long as it takes.
fn the_time_of_a_try_ends_with_the_head(io: Io) {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |conversation| {
        drop(conversation.request());
        conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab");
        held.pass();
        conversation.send("cd");
    });
    let fields = "retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 100ms, backoff: 1ms}";
    let mesh = ruled(io, &[&origin], fields).start();
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.wire.head().unwrap().status(), 200);
    assert_eq!(client.wire.exactly(2).unwrap(), b"ab");
    client.expect_silence(Duration::from_millis(300));
    gate.open();
    assert_eq!(client.wire.exactly(2).unwrap(), b"cd");
    drop(client);
    assert_eq!(mesh.finish_one().verdict(), "200 -");
}

fn the_routes_timeout_covers_all(io: Io) {
    let origin = silent();
    let fields =
        "timeout: 300ms\nretries: {attempts: 50, retryOn: 5xx, perTryTimeout: 100ms, backoff: 1ms}";
    let mesh = ruled(io, &[&origin], fields).start();
    assert_eq!(mesh.client().get("/").status(), 504);
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "504 UT");
    assert!(line.number("duration") >= 300, "{}", line.text);
    // As many as begin in that time, however busy the machine is.
    assert!((1..=3).contains(&origin.requests().len()));
}

fn what_may_have_run_is_not_sent_twice(io: Io) {
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    for fields in [
        "",
        "retries: {attempts: 3, retryOn: 'connect-failure,refused-stream'}",
    ] {
        let origin = ending(9, false);
        let mesh = ruled(io, &[&origin], fields).start();
        assert_eq!(mesh.client().exchange(post).status(), 503, "{fields}");
        assert_eq!(mesh.finish_one().verdict(), "503 UC");
        assert_eq!(origin.request().body, b"abc");
    }
}

/// One further try may be under way at a time: who fails beside it has to do without.
fn no_room_for_further_tries(io: Io) {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::start(move |conversation| {
        while let Ok(request) = conversation.request() {
            let is_first = request.get("x-envoy-attempt-count") == Some("1");
            if is_first {
                conversation.send(answer(503, ""));
            } else {
                held.pass();
                conversation.send(answer(200, ""));
            }
        }
    });
    let fields = "retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}";
    let mesh = ruled(io, &[&origin], fields)
        .resource(
            "rule",
            &destination_rule("connectionPool: {http: {maxRetries: 1}}"),
        )
        .start();
    let mut first = mesh.client();
    first.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(2);
    assert_eq!(mesh.client().get("/refused").status(), 503);
    gate.open();
    assert_eq!(first.response("GET").status(), 200);
    drop(first);
    mesh.proxy
        .wait_for_metric("ringmain_upstream_retry_overflows_total", 1);
    let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["200 -", "503 UO"]);
}
