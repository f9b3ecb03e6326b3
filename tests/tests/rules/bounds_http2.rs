//! What a rule allows at a time where HTTP/2 is spoken, and how many further tries a budget allows.

use std::sync::{Arc, Barrier};

use ringmain_tests::{
    Io,
    mesh::Builder,
    on_both,
    origin::{Origin, response},
    wait::Gate,
};

use crate::{
    place::{answer, destination_rule, full},
    speaks::{Client, Deed, Speaks, WITH_HTTP2, attempt, origin, ruled},
};

on_both!(
    requests_at_a_time,
    requests_that_wait,
    requests_of_a_connection,
    streams_of_a_connection,
    a_budget_for_further_tries,
);

fn limited(io: Io, speaks: Speaks, origin: &Origin, limit: &str) -> Builder {
    let rule = destination_rule(&format!("connectionPool: {{http: {{{limit}}}}}"));
    ruled(io, speaks, &[origin], "").resource("rule", &rule)
}

/// Answers its requests together, when there are so many; others at once.
fn together(speaks: Speaks, count: usize, gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |conversation| match speaks {
        Speaks::Http1 => {
            while conversation.request().is_ok() {
                gate.pass();
                conversation.send(response("hello"));
            }
        }
        Speaks::Http2 => {
            let mut peer = conversation.http2(&[]).unwrap();
            let mut streams = Vec::new();
            while let Ok((stream, request)) = peer.request() {
                conversation.keep(&request);
                streams.push(stream);
                if streams.len() >= count {
                    gate.pass();
                    for stream in streams.drain(..) {
                        peer.answer(stream, "hello");
                    }
                }
            }
        }
    })
}

/// The limit counts streams as it counts requests of HTTP/1.
fn requests_at_a_time(io: Io) {
    for upstream in [Speaks::Http1, Speaks::Http2] {
        let gate = Gate::new();
        let origin = together(upstream, 2, &gate);
        let mesh = limited(io, upstream, &origin, "http2MaxRequests: 2").start();
        let mut client = mesh.http2_client();
        let held = [client.get("/"), client.get("/")];
        origin.wait_for_requests(2);
        let third = client.get("/");
        let answer = client.response(third);
        assert_eq!(answer.status(), 503, "{upstream:?}");
        assert_eq!(answer.get("x-envoy-overloaded"), Some("true"));
        assert_eq!(mesh.client().get("/").status(), 503, "{upstream:?}");
        gate.open();
        for stream in held {
            assert_eq!(client.response(stream).text(), "hello");
        }
        let overflows = mesh.proxy.metric("ringmain_upstream_overflows_total");
        assert_eq!(overflows, 2);
        drop(client);
        let lines = mesh.finish();
        let refused = lines.iter().filter(|line| line.verdict() == "503 UO");
        let refused = refused.inspect(|line| {
            let details = line.get("response_code_details");
            assert_eq!(details, "upstream_reset_before_response_started{overflow}");
        });
        assert_eq!(refused.count(), 2, "{lines:#?}");
        assert_eq!(lines.len(), 4);
    }
}

/// The endpoint takes no connection: one request may wait for it, and no other.
fn requests_that_wait(io: Io) {
    let nobody = Origin::saying("");
    for upstream in [Speaks::Http1, Speaks::Http2] {
        let (listener, hole) = full();
        let mesh = limited(io, upstream, &nobody, "http1MaxPendingRequests: 1")
            .resource("service-s", &upstream.service("s", hole))
            .start();
        let mut waiting = mesh.client();
        waiting.send("GET /waiting HTTP/1.1\r\nhost: a\r\n\r\n");
        mesh.proxy.wait_for_metric("ringmain_requests_active", 1);
        for client in [Speaks::Http1, Speaks::Http2] {
            let answer = Client::of(&mesh, client).get("/refused");
            assert_eq!(answer.status(), 503, "{client:?} {upstream:?}");
        }
        let overflows = mesh.proxy.metric("ringmain_upstream_overflows_total");
        assert_eq!(overflows, 2);
        // Nobody listens any more, which the kernel learns when it asks the next time.
        drop(listener);
        assert_eq!(waiting.response("GET").status(), 503);
        drop(waiting);
        let lines = mesh.finish();
        let verdicts: Vec<_> = lines.iter().map(|line| line.verdict()).collect();
        assert_eq!(verdicts, ["503 UO", "503 UO", "503 UF,URX"], "{upstream:?}");
    }
}

/// Whoever asks: the connection ends in order behind its last request, and loses none.
fn requests_of_a_connection(io: Io) {
    for (client, upstream) in WITH_HTTP2 {
        let origin = origin(upstream, |_| Deed::Answer(200));
        let mesh = limited(io, upstream, &origin, "maxRequestsPerConnection: 3").start();
        let mut asking = Client::of(&mesh, client);
        for _ in 0..9 {
            assert_eq!(asking.post("/", b"abc").status(), 200);
        }
        drop(asking);
        assert_eq!(origin.connections(), 3, "{client:?} {upstream:?}");
        origin.wait_for_end_of_connections();
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "200 -");
        }
    }
}

fn streams_of_a_connection(io: Io) {
    let gate = Gate::new();
    let origin = together(Speaks::Http2, 2, &gate);
    let mesh = limited(io, Speaks::Http2, &origin, "maxConcurrentStreams: 2").start();
    let mut client = mesh.http2_client();
    let streams: Vec<_> = (0..6).map(|_| client.get("/")).collect();
    origin.wait_for_requests(6);
    gate.open();
    for stream in streams {
        assert_eq!(client.response(stream).text(), "hello");
    }
    assert_eq!(origin.connections(), 3);
    drop(client);
    assert_eq!(mesh.finish().len(), 6);
}

/// Five requests fail at the same moment; so many of them are tried once more, and the others are
/// told that there is no room.
fn a_budget_for_further_tries(io: Io) {
    for (budget, room) in [
        ("{percent: 40, minRetryConcurrency: 1}", 2),
        ("{percent: 1, minRetryConcurrency: 4}", 4),
        ("{percent: 100, minRetryConcurrency: 0}", 5),
        // Istio's own figures: 20 %, and 3 always.
        ("{}", 3),
    ] {
        let (gate, all) = (Gate::new(), Arc::new(Barrier::new(5)));
        let held = gate.clone();
        let origin = Origin::start(move |conversation| {
            while let Ok(request) = conversation.request() {
                let status = match attempt(&request) {
                    1 => {
                        all.wait();
                        503
                    }
                    _ => {
                        held.pass();
                        200
                    }
                };
                conversation.send(answer(status, ""));
            }
        });
        let fields = "retries: {attempts: 1, retryOn: 5xx, backoff: 1ms}";
        // The budget takes the place of the limit.
        let policy = format!("connectionPool: {{http: {{maxRetries: 1}}}}, retryBudget: {budget}");
        let mesh = ruled(io, Speaks::Http1, &[&origin], fields)
            .resource("rule", &destination_rule(&policy))
            .start();
        let mut client = mesh.http2_client();
        let streams: Vec<_> = (0..5).map(|_| client.get("/")).collect();
        let is_over = |client: &ringmain_tests::http2::Peer| {
            let over = streams
                .iter()
                .filter(|stream| client.stream(**stream).is_over);
            over.count() >= 5 - room
        };
        client.until(is_over).unwrap();
        origin.wait_for_requests(5 + room);
        gate.open();
        let answers: Vec<_> = streams
            .iter()
            .map(|stream| client.response(*stream))
            .collect();
        let served = answers.iter().filter(|answer| answer.status() == 200);
        assert_eq!(served.count(), room, "{budget}");
        let count = |name: &str| mesh.proxy.metric(name) as usize;
        assert_eq!(count("ringmain_upstream_retries_total"), room, "{budget}");
        let overflows = count("ringmain_upstream_retry_overflows_total");
        assert_eq!(overflows, 5 - room, "{budget}");
        drop(client);
        let lines = mesh.finish();
        for line in &lines {
            let verdict = line.verdict();
            assert!(["200 -", "503 UO"].contains(&&*verdict), "{}", line.text);
        }
        let refused = lines.iter().filter(|line| line.verdict() == "503 UO");
        assert_eq!(refused.count(), 5 - room, "{budget}");
    }
}
