//! Copies of requests, whose answers nobody waits for.

use ringmain_tests::{
    Io,
    http2::frame::setting,
    mesh::{Builder, Mesh},
    on_both,
    origin::Origin,
    place as places, yaml,
};

use crate::place::{answer, destination_rule, ruled, silent};

on_both!(
    copies_are_whole,
    the_answer_to_a_copy_does_not_matter,
    none_is_sent,
    long_bodies_are_not_copied,
    copies_that_wait_hold_up_nothing,
    limits_of_the_mirror_hold_for_copies,
    copies_without_an_answer,
);

const MIRROR: &str = "mirrors: [{destination: {host: m.test}, percentage: {value: 100}}]";

fn post(body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST /p?q HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn copies_are_whole(io: Io) {
    let (origin, mirror) = (Origin::echo(), Origin::saying("mirror"));
    let mesh = ruled(io, &[&origin], MIRROR)
        .service("m", &[mirror.address()])
        .start();
    let mut client = mesh.client();
    let large: Vec<u8> = (0..60_u32 << 10).map(|byte| (byte % 251) as u8).collect();
    for (number, body) in [&b""[..], b"abc", &large].into_iter().enumerate() {
        let answer = match number {
            0 => client.get("/g"),
            _ => client.exchange(post(body)),
        };
        assert!(answer.body == body);
        mirror.wait_for_requests(number + 1);
        let (request, copy) = (&origin.requests()[number], &mirror.requests()[number]);
        assert_eq!(copy.line, request.line);
        assert!(copy.body == body, "{number}");
        assert_eq!(copy.get("x-request-id"), request.get("x-request-id"));
    }
    mesh.proxy.wait_for_metric("ringmain_mirrors_sent_total", 3);
    assert_eq!(mesh.proxy.metric("ringmain_mirrors_dropped_total"), 0);
    drop(client);
    assert_eq!(mesh.finish().len(), 3, "copies are not logged");
}

fn the_answer_to_a_copy_does_not_matter(io: Io) {
    let origin = Origin::saying("hello");
    let (failing, quiet) = (Origin::answering(answer(500, "")), silent());
    let nobody = places::free(places::address());
    for (address, counter) in [
        (failing.address(), Some("ringmain_mirrors_sent_total")),
        (quiet.address(), None),
        (nobody, Some("ringmain_mirrors_failed_total")),
    ] {
        let mesh = ruled(io, &[&origin], MIRROR)
            .service("m", &[address])
            .start();
        let mut client = mesh.client();
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), "hello");
        }
        assert_eq!(client.exchange(post(b"abc")).text(), "hello");
        if let Some(counter) = counter {
            mesh.proxy.wait_for_metric(counter, 4);
        }
        drop(client);
        for line in mesh.finish() {
            assert_eq!(line.verdict(), "200 -");
        }
    }
    assert_eq!(failing.requests().len(), 4);
}

fn none_is_sent(io: Io) {
    let (origin, mirror) = (Origin::saying("hello"), Origin::saying("mirror"));
    let mesh = ruled(io, &[&origin], &MIRROR.replace("100", "0"))
        .service("m", &[mirror.address()])
        .start();
    let mut client = mesh.client();
    for _ in 0..50 {
        assert_eq!(client.get("/").status(), 200);
    }
    drop(client);
    mesh.finish();
    assert_eq!(mirror.connections(), 0);
}

fn long_bodies_are_not_copied(io: Io) {
    let (origin, mirror) = (Origin::saying("hello"), Origin::saying("mirror"));
    let mesh = ruled(io, &[&origin], MIRROR)
        .service("m", &[mirror.address()])
        .start();
    let body = vec![b'x'; 200 << 10];
    assert_eq!(mesh.client().exchange(post(&body)).status(), 200);
    mesh.proxy
        .wait_for_metric("ringmain_mirrors_dropped_total", 1);
    assert!(origin.request().body == body);
    mesh.finish();
    assert_eq!(mirror.connections(), 0);
}

/// Mirrors that take copies and never answer, one of each protocol, and service `m.test` at them.
fn holes() -> [(Origin, String); 2] {
    let http1 = silent();
    let http2 = Origin::start(|conversation| {
        // One stream: each copy needs a connection of its own.
        let Ok(mut peer) = conversation.http2(&[(setting::MAX_CONCURRENT_STREAMS, 1)]) else {
            return;
        };
        while let Ok((_, request)) = peer.request() {
            conversation.keep(&request);
        }
    });
    let first = yaml::service("m", &[http1.address()]);
    let second = yaml::http2_service("m", &[http2.address()]);
    [(http1, first), (http2, second)]
}

/// Sends 50 requests, which are answered whatever becomes of their copies: five of these are sent.
fn check_hole(builder: Builder, mirror: &Origin) {
    let mesh: Mesh = builder.start();
    let mut client = mesh.client();
    for number in 0..50 {
        let answer = match number % 2 {
            0 => client.get("/"),
            _ => client.exchange(post(b"abc")),
        };
        assert_eq!(answer.status(), 200, "request {number}");
    }
    mirror.wait_for_requests(5);
    let dropped = "ringmain_mirrors_dropped_total";
    mesh.proxy.wait_for_metric(dropped, 45);
    let metric = |name: &str| mesh.proxy.metric(&format!("ringmain_mirrors_{name}"));
    assert_eq!(metric("active"), 5);
    assert_eq!((metric("sent_total"), metric("failed_total")), (5, 0));
    assert_eq!(mesh.proxy.metric("ringmain_upstream_overflows_total"), 0);
    drop(client);
    for line in mesh.finish() {
        assert_eq!(line.verdict(), "200 -");
    }
    assert_eq!(mirror.connections(), 5);
}

/// They have room of their own, however little there is for requests.
fn copies_that_wait_hold_up_nothing(io: Io) {
    for (mirror, service) in holes() {
        let origin = Origin::saying("hello");
        let builder = ruled(io, &[&origin], MIRROR)
            .resource("service-m", &service)
            .limit("upstream_connections", "1")
            .limit("mirrors", "5");
        check_hole(builder, &mirror);
    }
}

fn limits_of_the_mirror_hold_for_copies(io: Io) {
    for (mirror, service) in holes() {
        let origin = Origin::saying("hello");
        let rule = destination_rule("connectionPool: {http: {http2MaxRequests: 5}}");
        let rule = rule.replace("s.test", "m.test");
        let builder = ruled(io, &[&origin], MIRROR)
            .resource("service-m", &service)
            .resource("rule-m", &rule.replace("{name: s}", "{name: m}"));
        check_hole(builder, &mirror);
    }
}

/// They were sent, and nobody knows what became of them.
fn copies_without_an_answer(io: Io) {
    let origin = Origin::saying("hello");
    let mirror = Origin::start(|conversation| drop(conversation.request()));
    let mesh = ruled(io, &[&origin], MIRROR)
        .service("m", &[mirror.address()])
        .start();
    let mut client = mesh.client();
    for _ in 0..3 {
        assert_eq!(client.get("/").status(), 200);
    }
    let metric = |name: &str| format!("ringmain_mirrors_{name}_total");
    mesh.proxy.wait_for_metric(&metric("failed"), 3);
    assert_eq!(mesh.proxy.metric(&metric("sent")), 3);
    assert_eq!(mesh.proxy.metric(&metric("dropped")), 0);
    drop(client);
    mesh.finish();
}
