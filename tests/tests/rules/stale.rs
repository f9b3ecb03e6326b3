//! Connections that were kept and turn out to be closed, and what an upstream hears of the try it
//! gets.

use ringmain_tests::{
    Io,
    client::Client as Http1Client,
    message::Message,
    on_both,
    origin::{Origin, response},
    sidecars::Pair,
};

use crate::speaks::{Client, Deed, Speaks, attempt, origin, ruled};

on_both!(
    once_more_on_a_new_connection,
    no_further_tries_are_none,
    what_may_have_run_is_not_repeated,
    an_application_hears_of_its_callers_tries,
    a_try_behind_one_that_took_too_long,
);

const BOTH: [Speaks; 2] = [Speaks::Http1, Speaks::Http2];

/// Ends the connection on which `/close` comes for the first time, having read it.
fn closing(speaks: Speaks) -> Origin {
    origin(speaks, |request| {
        match request.line.contains("/close") && attempt(request) == 1 {
            true => Deed::Close,
            false => Deed::Answer(200),
        }
    })
}

fn attempts(requests: &[Message]) -> Vec<u32> {
    requests.iter().map(attempt).collect()
}

fn once_more_on_a_new_connection(io: Io) {
    for upstream in BOTH {
        for client in BOTH {
            let origin = closing(upstream);
            let mesh = ruled(io, upstream, &[&origin], "").start();
            let mut client = Client::of(&mesh, client);
            assert_eq!(client.get("/").status(), 200);
            assert_eq!(client.get("/close").status(), 200, "{upstream:?}");
            drop(client);
            assert_eq!(attempts(&origin.requests()), [1, 1, 2], "{upstream:?}");
            assert_eq!(origin.connections(), 2, "{upstream:?}");
            for name in ["retries", "stale_retries"] {
                let name = format!("ringmain_upstream_{name}_total");
                assert_eq!(mesh.proxy.metric(&name), 1, "{upstream:?}: {name}");
            }
            for line in mesh.finish() {
                assert_eq!(line.verdict(), "200 -", "{upstream:?}: {}", line.text);
            }
        }
    }
}

fn no_further_tries_are_none(io: Io) {
    for upstream in BOTH {
        let origin = closing(upstream);
        let mesh = ruled(io, upstream, &[&origin], "retries: {attempts: 0}").start();
        let mut client = Client::of(&mesh, Speaks::Http1);
        assert_eq!(client.get("/").status(), 200);
        assert_eq!(client.get("/close").status(), 503, "{upstream:?}");
        drop(client);
        assert_eq!(origin.requests().len(), 2, "{upstream:?}");
        let metrics = mesh.proxy.metrics();
        assert_eq!(metrics.sum("ringmain_upstream_stale_retries_total", &[]), 0);
        let lines = mesh.finish();
        assert_eq!(lines[1].verdict(), "503 UC", "{upstream:?}");
    }
}

/// POST may not be sent twice, with a body or without.
fn what_may_have_run_is_not_repeated(io: Io) {
    for upstream in BOTH {
        for (client, body) in [
            (Speaks::Http1, &b""[..]),
            (Speaks::Http1, b"body"),
            (Speaks::Http2, b"body"),
        ] {
            let origin = closing(upstream);
            let mesh = ruled(io, upstream, &[&origin], "").start();
            let mut client = Client::of(&mesh, client);
            assert_eq!(client.get("/").status(), 200);
            assert_eq!(client.post("/close", body).status(), 503, "{upstream:?}");
            drop(client);
            assert_eq!(origin.requests().len(), 2, "{upstream:?}");
            let lines = mesh.finish();
            assert_eq!(lines[1].verdict(), "503 UC", "{upstream:?}");
        }
    }
}

/// The tries that the sidecar of the called makes are its own affair.
fn an_application_hears_of_its_callers_tries(io: Io) {
    let origin = Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
        while let Ok(request) = conversation.request() {
            let is_closed = conversation.index == 0 && request.line.contains("/close");
            if is_closed || !conversation.send(response("")) {
                return;
            }
        }
    });
    let pair = Pair::start(io, "HTTP", origin.address());
    let mut client = Http1Client::connect(pair.ingress);
    let ask = |client: &mut Http1Client, path: &str, fields: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: back\r\n{fields}\r\n");
        assert_eq!(client.exchange(request).status(), 200, "{path}");
    };
    ask(&mut client, "/", "");
    ask(&mut client, "/close", "x-envoy-attempt-count: 7\r\n");
    let counts: Vec<_> = origin
        .requests()
        .iter()
        .map(|request| request.get("x-envoy-attempt-count").map(str::to_owned))
        .collect();
    let seven = Some("7".to_owned());
    assert_eq!(counts, [None, seven.clone(), seven]);
    assert_eq!(origin.connections(), 2);
    assert_eq!(pair.back.metric("ringmain_upstream_stale_retries_total"), 1);
}

/// It says so; one behind an answer does not, and nor does a client of the gateway.
fn a_try_behind_one_that_took_too_long(io: Io) {
    const NAME: &str = "x-envoy-is-timeout-retry";
    for upstream in BOTH {
        for first in [Deed::Silence, Deed::Answer(503)] {
            let origin = origin(upstream, move |request| match attempt(request) {
                1 => first,
                _ => Deed::Answer(200),
            });
            let fields = "retries: {attempts: 2, retryOn: 5xx, perTryTimeout: 1s, backoff: 1ms}";
            let mesh = ruled(io, upstream, &[&origin], fields).start();
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{NAME}: true\r\n\r\n");
            assert_eq!(mesh.client().exchange(request).status(), 200);
            origin.wait_for_requests(2);
            let requests = origin.requests();
            let said = requests.iter().map(|request| request.get(NAME));
            let second = (first == Deed::Silence).then_some("true");
            assert_eq!(said.collect::<Vec<_>>(), [None, second], "{upstream:?}");
            assert_eq!(attempts(&requests), [1, 2], "{upstream:?} {first:?}");
            mesh.finish_one();
        }
    }
}
