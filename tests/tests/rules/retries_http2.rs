//! Tries where HTTP/2 is spoken on one side or both: what is worth another one, and what is sent
//! again.

use std::sync::mpsc;

use ringmain_tests::{
    Io,
    http2::{Frame, Peer, frame::code, peer},
    mesh::Mesh,
    on_both,
    origin::Origin,
    place as places,
    wait::PATIENCE,
    yaml,
};

use crate::{
    place::{TO_S, destination_rule, indented},
    speaks::{Client, Deed, Speaks, WITH_HTTP2, attempt, origin, ruled},
};

on_both!(
    what_is_tried_again,
    as_often_as_allowed,
    bodies_are_sent_again,
    an_empty_body_that_ends_late,
    long_bodies_are_sent_once,
    refused_while_the_body_comes,
    a_slow_try_ends_its_stream_alone,
    every_try_is_slow,
    another_endpoint_is_tried,
    an_endpoint_that_takes_no_connections,
    no_room_for_further_tries,
);

/// What the origin does with the first try; `retryOn`, `None`: the rule says nothing of retries;
/// what comes of it.
type Row = (Deed, Option<&'static str>, &'static str);

/// Where a request may have run, only a word that says so sends it again.
const ROWS: &[Row] = &[
    (Deed::Answer(503), Some("5xx"), "200 -"),
    (Deed::Answer(503), Some("gateway-error"), "200 -"),
    (Deed::Answer(503), Some("503"), "200 -"),
    (Deed::Answer(503), Some("reset,refused-stream"), "503 -"),
    (Deed::Answer(503), None, "503 -"),
    (Deed::Close, Some("reset"), "200 -"),
    (Deed::Close, Some("5xx"), "200 -"),
    (Deed::Close, Some("refused-stream,unavailable"), "503 UC"),
    (Deed::Close, None, "503 UC"),
    (Deed::Reset, Some("gateway-error"), "200 -"),
    (Deed::Reset, Some("connect-failure"), "503 UC"),
    (Deed::Reset, None, "503 UC"),
    (
        Deed::ResetStream(code::REFUSED_STREAM),
        Some("refused-stream"),
        "200 -",
    ),
    (
        Deed::ResetStream(code::REFUSED_STREAM),
        Some("reset"),
        "200 -",
    ),
    (
        Deed::ResetStream(code::REFUSED_STREAM),
        Some("connect-failure"),
        "503 UR",
    ),
    (Deed::ResetStream(code::REFUSED_STREAM), None, "200 -"),
    (
        Deed::ResetStream(code::INTERNAL_ERROR),
        Some("reset"),
        "200 -",
    ),
    (Deed::ResetStream(code::CANCEL), Some("5xx"), "200 -"),
    (
        Deed::ResetStream(code::INTERNAL_ERROR),
        Some("refused-stream"),
        "503 UR",
    ),
    (Deed::ResetStream(code::INTERNAL_ERROR), None, "503 UR"),
    (Deed::ResetStream(code::CANCEL), None, "503 UR"),
    (Deed::ResetStream(code::ENHANCE_YOUR_CALM), None, "503 UR"),
    (Deed::GoAwayBefore, Some("refused-stream"), "200 -"),
    (Deed::GoAwayBefore, None, "200 -"),
    (Deed::GoAwayBehind(code::NO_ERROR), Some("reset"), "200 -"),
    (Deed::GoAwayBehind(code::NO_ERROR), None, "503 UC"),
    (Deed::GoAwayBehind(code::INTERNAL_ERROR), None, "503 UC"),
];

/// All rows as routes of one mesh. The method is none that may be repeated without a word.
fn what_is_tried_again(io: Io) {
    for (client, upstream) in WITH_HTTP2 {
        let rows: Vec<_> = ROWS.iter().filter(|row| row.0.suits(upstream)).collect();
        let deeds: Vec<_> = rows.iter().map(|row| row.0).collect();
        let origin = origin(upstream, move |request| match attempt(request) {
            1 => deeds[row_of(&request.line)],
            _ => Deed::Answer(200),
        });
        let routes: String = rows
            .iter()
            .enumerate()
            .map(|(number, (_, on, _))| {
                let retries = on.map(|on| indented(&retries(on))).unwrap_or_default();
                format!("- match: [{{uri: {{exact: /{number}}}}}]\n{retries}{TO_S}")
            })
            .collect();
        let mesh = ruled(io, upstream, &[&origin], "").routes(&routes).start();
        let mut asking = Client::of(&mesh, client);
        for (number, row) in rows.iter().enumerate() {
            let answer = asking.post(&format!("/{number}"), b"abc");
            let status = answer.status();
            assert!(row.2.starts_with(&status.to_string()), "{row:?}: {status}");
        }
        drop(asking);
        let requests = origin.requests();
        for (number, (line, row)) in mesh.finish().iter().zip(&rows).enumerate() {
            assert_eq!(line.verdict(), row.2, "{client:?} {upstream:?} {row:?}");
            let of_row = requests
                .iter()
                .filter(|request| row_of(&request.line) == number);
            let last = of_row.inspect(|request| assert_eq!(request.body, b"abc"));
            let tries = last.map(attempt).max();
            let expected = if row.2 == "200 -" { 2 } else { 1 };
            assert_eq!(tries, Some(expected), "{client:?} {upstream:?} {row:?}");
        }
    }
}

fn row_of(line: &str) -> usize {
    line.split(' ').nth(1).unwrap()[1..].parse().unwrap()
}

/// Of a route.
fn retries(on: &str) -> String {
    format!("retries: {{attempts: 2, retryOn: {on:?}, backoff: 1ms}}")
}

/// What the last try ended with is the client's, and the log says why there was no further one.
fn as_often_as_allowed(io: Io) {
    for (client, upstream) in WITH_HTTP2 {
        for (deed, on, verdict) in [
            (Deed::Answer(503), "5xx", "503 URX"),
            (Deed::Close, "reset", "503 UC,URX"),
            (
                Deed::ResetStream(code::REFUSED_STREAM),
                "refused-stream",
                "503 UR,URX",
            ),
            (
                Deed::ResetStream(code::INTERNAL_ERROR),
                "reset",
                "503 UR,URX",
            ),
            (Deed::GoAwayBefore, "refused-stream", "503 UR,URX"),
        ] {
            if !deed.suits(upstream) {
                continue;
            }
            let origin = origin(upstream, move |_| deed);
            let mesh = ruled(io, upstream, &[&origin], &retries(on)).start();
            let answer = Client::of(&mesh, client).post("/", b"abc");
            assert_eq!(answer.status(), 503);
            let counted = mesh.proxy.metric("ringmain_upstream_retries_total");
            assert_eq!(counted, 2, "{deed:?}");
            let mut tries: Vec<_> = origin.requests().iter().map(attempt).collect();
            // On a connection that was used before, what was refused is sent once more at once.
            tries.dedup();
            assert_eq!(tries, [1, 2, 3], "{deed:?}");
            let line = mesh.finish_one();
            assert_eq!(line.verdict(), verdict, "{client:?} {upstream:?} {deed:?}");
        }
    }
}

/// Bytes that differ, so that none can be lost, doubled or misplaced unseen.
fn bytes(count: u32) -> Vec<u8> {
    let words = (0..count / 4).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_be_bytes());
    words.collect()
}

fn bodies_are_sent_again(io: Io) {
    for (client, upstream) in WITH_HTTP2 {
        let origin = origin(upstream, |request| match attempt(request) {
            3 => Deed::Answer(200),
            _ => Deed::Answer(503),
        });
        let mesh = ruled(io, upstream, &[&origin], &retries("5xx")).start();
        let mut asking = Client::of(&mesh, client);
        for count in [4, 4_000, 60 << 10] {
            let body = bytes(count);
            let before = origin.requests().len();
            assert_eq!(asking.post("/", &body).status(), 200, "{count} bytes");
            let requests = origin.requests();
            let tries: Vec<_> = requests[before..].iter().map(attempt).collect();
            assert_eq!(tries, [1, 2, 3], "{count} bytes");
            for request in &requests[before..] {
                assert!(request.body == body, "{count} bytes");
                assert_eq!(request.get("content-length"), Some(&*count.to_string()));
            }
        }
        drop(asking);
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "200 -");
        }
    }
}

/// Its head says that it is empty, and a frame of its own that it has ended.
fn an_empty_body_that_ends_late(io: Io) {
    for upstream in [Speaks::Http1, Speaks::Http2] {
        let origin = origin(upstream, |request| match attempt(request) {
            2 => Deed::Answer(200),
            _ => Deed::Answer(503),
        });
        let mesh = ruled(io, upstream, &[&origin], &retries("5xx")).start();
        let mut client = mesh.http2_client();
        let mut fields = peer::request("POST", "/");
        fields.push(("content-length", "0"));
        let stream = client.begin(fields, false);
        // The head has been looked at by itself.
        client.ping();
        client.send(&Frame::data(stream, [], true));
        assert_eq!(client.response(stream).status(), 200);
        drop(client);
        assert_eq!(origin.requests().len(), 2);
        assert_eq!(mesh.finish_one().verdict(), "200 -");
    }
}

/// What is longer than is kept of it has one try, and its answer is the client's.
fn long_bodies_are_sent_once(io: Io) {
    let body = bytes(200 << 10);
    for (client, upstream) in WITH_HTTP2 {
        let origin = origin(upstream, |_| Deed::Answer(503));
        let mesh = ruled(io, upstream, &[&origin], &retries("5xx"))
            .limit("replay_bytes", "65536")
            .start();
        let mut asking = Client::of(&mesh, client);
        assert_eq!(asking.post("/", &body).status(), 503);
        assert!(origin.request().body == body);
        drop(asking);
        assert_eq!(mesh.finish_one().verdict(), "503 -");
    }
}

/// The first try is refused when half of the body has gone out: the other half goes to the second
/// try, behind the first one once more.
fn refused_while_the_body_comes(io: Io) {
    let body = bytes(8_000);
    for client in [Speaks::Http1, Speaks::Http2] {
        let (refused, heard) = mpsc::channel();
        let origin = Origin::start(move |conversation| {
            let mut peer = conversation.http2(&[]).unwrap();
            while let Ok((stream, request)) = peer.request_head() {
                if attempt(&request) == 1 {
                    let half = peer.until(|peer| peer.stream(stream).message.body.len() == 4_000);
                    half.unwrap();
                    peer.send(&Frame::reset(stream, code::REFUSED_STREAM));
                    continue;
                }
                refused.send(()).unwrap();
                peer.until(|peer| peer.stream(stream).is_over).unwrap();
                conversation.keep(&peer.stream(stream).message);
                peer.answer(stream, "whole");
            }
        });
        let mesh = ruled(io, Speaks::Http2, &[&origin], "").start();
        let answer = match Client::of(&mesh, client) {
            Client::Http1(mut client) => {
                client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8000\r\n\r\n");
                client.send(&body[..4_000]);
                heard.recv_timeout(PATIENCE).unwrap();
                client.send(&body[4_000..]);
                client.response("POST")
            }
            Client::Http2(mut client) => {
                let stream = client.post("/");
                client.send_body(stream, &body[..4_000], false);
                heard.recv_timeout(PATIENCE).unwrap();
                client.send_body(stream, &body[4_000..], true);
                client.response(stream)
            }
        };
        assert_eq!(answer.text(), "whole", "{client:?}");
        assert!(origin.request().body == body);
        assert_eq!(origin.connections(), 1);
        assert_eq!(mesh.finish_one().verdict(), "200 -");
    }
}

/// The connection goes on to carry the next try.
fn a_slow_try_ends_its_stream_alone(io: Io) {
    for client in [Speaks::Http1, Speaks::Http2] {
        let origin = origin(Speaks::Http2, |request| match attempt(request) {
            1 => Deed::Silence,
            _ => Deed::Answer(200),
        });
        let fields = "retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 200ms, backoff: 1ms}";
        let mesh = ruled(io, Speaks::Http2, &[&origin], fields).start();
        assert_eq!(Client::of(&mesh, client).post("/", b"abc").status(), 200);
        assert_eq!(origin.connections(), 1);
        let requests = origin.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests.iter().all(|request| request.body == b"abc"));
        let line = mesh.finish_one();
        assert_eq!(line.verdict(), "200 -");
        assert!(line.number("duration") >= 200, "{}", line.text);
    }
}

fn every_try_is_slow(io: Io) {
    for (client, upstream) in WITH_HTTP2 {
        let origin = origin(upstream, |_| Deed::Silence);
        let fields = "retries: {attempts: 1, retryOn: 5xx, perTryTimeout: 50ms, backoff: 1ms}";
        let mesh = ruled(io, upstream, &[&origin], fields).start();
        assert_eq!(Client::of(&mesh, client).get("/").status(), 504);
        origin.wait_for_requests(2);
        let line = mesh.finish_one();
        assert_eq!(line.verdict(), "504 UT,URX", "{client:?} {upstream:?}");
        let details = line.get("response_code_details");
        assert_eq!(details, "upstream_per_try_timeout", "{}", line.text);
    }
}

/// The endpoint that failed is avoided, however the balancer would have chosen.
fn another_endpoint_is_tried(io: Io) {
    for (client, upstream) in WITH_HTTP2 {
        let bad = match upstream {
            Speaks::Http1 => origin(upstream, |_| Deed::Answer(503)),
            Speaks::Http2 => origin(upstream, |_| Deed::ResetStream(code::REFUSED_STREAM)),
        };
        let good = origin(upstream, |_| Deed::Answer(200));
        let fields = "retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}";
        let mesh = ruled(io, upstream, &[&bad, &good], fields)
            .resource("rule", &destination_rule("loadBalancer: {simple: RANDOM}"))
            .start();
        let mut asking = Client::of(&mesh, client);
        for _ in 0..30 {
            assert_eq!(asking.post("/", b"abc").status(), 200);
        }
        drop(asking);
        assert!(!bad.requests().is_empty(), "half of the requests go there");
        assert_eq!(good.requests().len(), 30);
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "200 -");
            assert_eq!(line.get("upstream_host"), good.address().to_string());
        }
    }
}

/// Nothing was sent, so it is tried elsewhere although the rule says nothing of retries.
fn an_endpoint_that_takes_no_connections(io: Io) {
    let nobody = places::free(places::address());
    for client in [Speaks::Http1, Speaks::Http2] {
        let origin = origin(Speaks::Http2, |_| Deed::Answer(200));
        let mesh = ruled(io, Speaks::Http2, &[&origin], "")
            .resource(
                "service-s",
                &yaml::http2_service("s", &[nobody, origin.address()]),
            )
            .start();
        let mut asking = Client::of(&mesh, client);
        for _ in 0..8 {
            assert_eq!(asking.post("/", b"abc").status(), 200, "{client:?}");
        }
        drop(asking);
        let requests = origin.requests();
        assert_eq!(requests.len(), 8);
        assert!(requests.iter().any(|request| attempt(request) == 2));
        assert!(requests.iter().all(|request| request.body == b"abc"));
        mesh.finish();
    }
}

/// One further try may be under way at a time: who fails beside it has to do without.
fn no_room_for_further_tries(io: Io) {
    let origin = Origin::start(|conversation| {
        let mut peer = conversation.http2(&[]).unwrap();
        let mut held = None;
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            match request.line.split(' ').nth(1) {
                Some("/held") if attempt(&request) == 2 => held = Some(stream),
                Some("/free") => {
                    peer.answer(stream, "free");
                    peer.answer(held.unwrap(), "held");
                }
                _ => {
                    peer.send(&Frame::headers(stream, [(":status", "503")], true));
                }
            }
        }
    });
    let mesh: Mesh = ruled(io, Speaks::Http2, &[&origin], &retries("5xx"))
        .resource(
            "rule",
            &destination_rule("connectionPool: {http: {maxRetries: 1}}"),
        )
        .start();
    let mut client: Peer = mesh.http2_client();
    let held = client.begin(peer::request("GET", "/held"), true);
    origin.wait_for_requests(2);
    let refused = client.get("/refused");
    assert_eq!(client.response(refused).status(), 503);
    let free = client.get("/free");
    assert_eq!(client.response(free).text(), "free");
    assert_eq!(client.response(held).text(), "held");
    let overflows = "ringmain_upstream_retry_overflows_total";
    assert_eq!(mesh.proxy.metric(overflows), 1);
    drop(client);
    let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["200 -", "200 -", "503 UO"]);
}
