//! Which version of HTTP a service is spoken to: by its port's name, `appProtocol`, the
//! DestinationRule and the client, as the origin sees it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{fmt::Write as _, net::SocketAddr, net::TcpStream};

use ringmain_tests::{
    Io,
    client::Client,
    http2::{Peer, peer},
    mesh::Mesh,
    on_both,
    origin::{Conversation, Origin, response},
    sidecars::Pair,
    wait,
};

on_both!(ports_and_rules, a_rule_comes_and_goes, through_two_sidecars,);

/// Answers with the version that it is spoken to.
fn either(conversation: &mut Conversation) {
    if begins_as_http2(&conversation.wire.stream) {
        let mut peer = conversation.http2(&[]).unwrap();
        while let Ok((stream, request)) = peer.request() {
            conversation.keep(&request);
            peer.answer(stream, "2");
        }
    } else {
        while conversation.request().is_ok() && conversation.send(response("1")) {}
    }
}

fn begins_as_http2(stream: &TcpStream) -> bool {
    let mut begin = [0; 3];
    while matches!(stream.peek(&mut begin), Ok(1..3)) {}
    begin == *b"PRI"
}

/// One request of each version to this path and host: the versions that the origin saw.
fn versions(address: SocketAddr, host: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let first = Client::connect(address).exchange(request);
    let mut client = Peer::client(address, &[]);
    let head = peer::request("GET", path).into_iter();
    let head = head.map(|(name, value)| match name {
        ":authority" => (name, host),
        _ => (name, value),
    });
    let stream = client.begin(head, true);
    let second = client.response(stream);
    format!("{}, {}", first.text(), second.text())
}

/// Ports, settings of `connectionPool.http`, and what the origin sees of a client of HTTP/1.1 and
/// of one of HTTP/2.
const ROWS: &[(&str, &str, &str)] = &[
    ("name: http", "", "1, 1"),
    ("name: http-web", "", "1, 1"),
    ("name: http2", "", "2, 2"),
    ("name: http2-web", "", "2, 2"),
    ("name: grpc", "", "2, 2"),
    ("name: grpc-web", "", "1, 2"),
    // A gateway does not guess.
    ("name: web", "", "1, 1"),
    ("name: web, appProtocol: http", "", "1, 1"),
    ("name: web, appProtocol: http2", "", "2, 2"),
    ("name: web, appProtocol: grpc", "", "2, 2"),
    ("name: http, appProtocol: kubernetes.io/h2c", "", "2, 2"),
    ("name: http2, appProtocol: kubernetes.io/ws", "", "1, 1"),
    ("name: http", "h2UpgradePolicy: UPGRADE", "2, 2"),
    ("name: http", "h2UpgradePolicy: DO_NOT_UPGRADE", "1, 1"),
    ("name: http", "h2UpgradePolicy: DEFAULT", "1, 1"),
    ("name: web", "h2UpgradePolicy: UPGRADE", "2, 2"),
    ("name: grpc", "h2UpgradePolicy: DO_NOT_UPGRADE", "2, 2"),
    ("name: http", "useClientProtocol: true", "1, 2"),
    ("name: http2", "useClientProtocol: true", "1, 2"),
    (
        "name: http",
        "h2UpgradePolicy: UPGRADE, useClientProtocol: true",
        "1, 2",
    ),
    (
        "name: http",
        "h2UpgradePolicy: UPGRADE, useClientProtocol: false",
        "2, 2",
    ),
];

fn rule(name: &str, policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}}}\n\
         spec: {{host: {name}, trafficPolicy: {{{policy}}}}}\n---\n"
    )
}

/// A service for each row, all of them on one origin.
fn ports_and_rules(io: Io) {
    let origin = Origin::start(either);
    let (ip, target) = (origin.address().ip(), origin.address().port());
    let mut resources = format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: origin}}\n\
         spec: {{address: {ip}, labels: {{app: origin}}}}\n---\n"
    );
    let mut routes = String::new();
    for (number, (port, http, _)) in ROWS.iter().enumerate() {
        let name = format!("s{number}");
        write!(
            resources,
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  \
             selector: {{app: origin}}\n  \
             ports: [{{{port}, port: 80, targetPort: {target}}}]\n---\n"
        )
        .unwrap();
        // Of the whole service, and of the port alone.
        resources += &match (http.is_empty(), number % 2) {
            (true, _) => String::new(),
            (false, 0) => rule(&name, &format!("connectionPool: {{http: {{{http}}}}}")),
            (false, _) => rule(
                &name,
                &format!(
                    "portLevelSettings: [{{port: {{number: 80}}, \
                     connectionPool: {{http: {{{http}}}}}}}]"
                ),
            ),
        };
        write!(
            routes,
            "- match: [{{uri: {{exact: /{number}}}}}]\n  \
             route: [{{destination: {{host: {name}}}}}]\n"
        )
        .unwrap();
    }
    let mesh = Mesh::builder(io)
        .resource("services", &resources)
        .routes(&routes)
        .start();
    for (number, row) in ROWS.iter().enumerate() {
        let seen = versions(mesh.gateway, "a", &format!("/{number}"));
        assert_eq!(seen, row.2, "{row:?}");
    }
    let lines = mesh.finish();
    assert_eq!(lines.len(), 2 * ROWS.len());
    assert!(
        lines.iter().all(|line| line.verdict() == "200 -"),
        "{lines:#?}"
    );
}

/// Requests that are made after a change know it, and connections of the other version are used no
/// more.
fn a_rule_comes_and_goes(io: Io) {
    let origin = Origin::start(either);
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for (policy, expected) in [
        ("h2UpgradePolicy: UPGRADE", "2"),
        ("h2UpgradePolicy: DO_NOT_UPGRADE", "1"),
        ("useClientProtocol: true", "1"),
        ("h2UpgradePolicy: UPGRADE", "2"),
    ] {
        let before = mesh.proxy.generation();
        let text = rule(
            "origin.test",
            &format!("connectionPool: {{http: {{{policy}}}}}"),
        );
        mesh.write("rule", &text);
        mesh.proxy.wait_for_generation_after(before);
        for _ in 0..3 {
            assert_eq!(client.get("/").text(), expected, "{policy}");
        }
    }
    drop(client);
    mesh.finish();
}

/// What the mesh is told, and what it finds out by itself, at both sidecars.
fn through_two_sidecars(io: Io) {
    for (protocol, expected) in [("HTTP", "1, 1"), ("HTTP2", "2, 2"), ("", "1, 2")] {
        let origin = Origin::at("127.0.0.1".parse().unwrap(), either);
        let mut pair = Pair::start(io, protocol, origin.address());
        // `front` may hear of `back` a moment after it is ready.
        wait::until(
            format!("back to be spoken to as {expected}"),
            || match versions(pair.egress, "back", "/") {
                seen if seen == expected => Ok(()),
                seen => Err(seen),
            },
        );
        assert!(pair.front.process.terminate().success());
        assert!(pair.back.process.terminate().success());
        let versions = |lines: Vec<ringmain_tests::access_log::Line>| {
            let served = lines.into_iter().rev().take(2);
            let mut versions: Vec<_> = served.map(|line| line.get("protocol").to_owned()).collect();
            versions.reverse();
            versions.join(", ")
        };
        assert_eq!(versions(pair.front.log()), "HTTP/1.1, HTTP/2");
        let between = match protocol {
            "HTTP" => "HTTP/1.1, HTTP/1.1",
            "HTTP2" => "HTTP/2, HTTP/2",
            _ => "HTTP/1.1, HTTP/2",
        };
        assert_eq!(versions(pair.back.log()), between, "{protocol}");
        pair.mesh.finish();
    }
}
