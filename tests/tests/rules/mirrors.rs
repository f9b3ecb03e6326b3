//! Copies of requests, whose answers nobody waits for.

use ringmain_tests::{Io, on_both, origin::Origin, place as places};

use crate::place::{answer, ruled, silent};

on_both!(
    copies_are_whole,
    the_answer_to_a_copy_does_not_matter,
    none_is_sent,
    long_bodies_are_not_copied
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
        (nobody, Some("ringmain_mirrors_dropped_total")),
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
