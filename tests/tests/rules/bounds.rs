//! What a rule allows of connections and requests at a time.

use ringmain_tests::{Io, on_both, origin::Origin, wait::Gate};

use crate::place::{destination_rule, held, ruled};

on_both!(requests_at_a_time, requests_of_a_connection);

fn requests_at_a_time(io: Io) {
    let gate = Gate::new();
    let origin = held(&gate);
    let mesh = ruled(io, &[&origin], "")
        .resource(
            "rule",
            &destination_rule("connectionPool: {http: {http2MaxRequests: 2}}"),
        )
        .start();
    let mut clients = [mesh.client(), mesh.client()];
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    origin.wait_for_requests(2);
    let mut third = mesh.client();
    assert_eq!(third.get("/").status(), 503);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("GET").status(), 200);
    }
    assert_eq!(third.get("/").status(), 200, "there is room again");
    assert_eq!(mesh.proxy.metric("ringmain_upstream_overflows_total"), 1);
    drop((clients, third));
    let mut verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["200 -", "200 -", "200 -", "503 UO"]);
}

fn requests_of_a_connection(io: Io) {
    let origin = Origin::saying("hello");
    let mesh = ruled(io, &[&origin], "")
        .resource(
            "rule",
            &destination_rule("connectionPool: {http: {maxRequestsPerConnection: 3}}"),
        )
        .start();
    let mut client = mesh.client();
    for _ in 0..9 {
        assert_eq!(client.get("/").status(), 200);
    }
    drop(client);
    mesh.finish();
    assert_eq!(origin.connections(), 3);
}
