//! Changes of the configuration while traffic flows: none loses a request.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use ringmain_tests::{
    Io,
    binary::run,
    client::Client,
    load::Load,
    mesh::{GATEWAY, Mesh},
    on_both,
    origin::{Origin, response},
    place,
    wait::{self, Gate},
    yaml,
};
use serde_json::Value;

on_both!(
    routes_change_under_load,
    endpoints_change_under_load,
    listeners_come_and_go_under_load,
    a_request_sees_one_configuration,
    a_removed_listener_lets_requests_end,
    bad_files_change_nothing,
    a_listener_moves_to_every_address,
);

fn direct(text: &str) -> String {
    format!("- directResponse: {{status: 200, body: {{string: {text}}}}}\n")
}

/// `ringmain status`: exit code, and the status as JSON.
fn status(mesh: &Mesh) -> (i32, Value) {
    let socket = mesh.socket();
    let (code, out, error) = run(["status", "-o", "json", "--socket", socket.to_str().unwrap()]);
    let value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}\n{error}"));
    (code, value)
}

/// Lets the proxy end; each answer that a client got is in its log.
fn finish(mesh: Mesh, load: Load) {
    let report = load.stop();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.closes, 0, "{report:?}");
    assert_eq!(mesh.finish().len() as u64, report.answered);
}

fn routes_change_under_load(io: Io) {
    let origin = Origin::saying("v0");
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(&yaml::all_to("origin.test"))
        .tune("workers", "count", "2")
        .start();
    let seen = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let texts = Arc::clone(&seen);
    let load = Load::start(mesh.gateway, 8, "/", move |answer| {
        texts.lock().unwrap().insert(answer.text());
        answer.status() == 200 && answer.text().starts_with('v')
    });
    load.wait_for(100);
    for version in 1..=20 {
        // Now through the origin, now without it, the clusters coming and going.
        if version % 2 == 0 {
            mesh.reroute(&yaml::all_to("origin.test"));
        } else {
            mesh.reroute(&direct(&format!("v{version}")));
        }
        load.wait_for(50);
    }
    assert!(
        seen.lock().unwrap().len() >= 11,
        "{:?}",
        seen.lock().unwrap()
    );
    assert!(mesh.proxy.metric("ringmain_snapshots_adopted_total") >= 2 * 21);
    finish(mesh, load);
}

fn endpoints_change_under_load(io: Io) {
    let origins = [
        Origin::saying("a"),
        Origin::saying("b"),
        Origin::saying("c"),
    ];
    let mesh = Mesh::builder(io)
        .all_to("s", &[origins[0].address()])
        .tune("workers", "count", "2")
        .start();
    let load = Load::start(mesh.gateway, 8, "/", |answer| answer.status() == 200);
    load.wait_for(100);
    for round in 0..12 {
        let before = mesh.proxy.generation();
        let (one, two) = (&origins[(round + 1) % 3], &origins[(round + 2) % 3]);
        let endpoints = match round % 2 {
            0 => vec![one.address()],
            _ => vec![one.address(), two.address()],
        };
        mesh.write("service-s", &yaml::service("s", &endpoints));
        mesh.proxy.wait_for_generation_after(before);
        load.wait_for(50);
    }
    let before = mesh.proxy.generation();
    mesh.write("service-s", &yaml::service("s", &[origins[0].address()]));
    mesh.proxy.wait_for_generation_after(before);
    // Endpoints that are gone have no connection any more.
    origins[1].wait_for_end_of_connections();
    origins[2].wait_for_end_of_connections();
    assert!(origins.iter().all(|origin| !origin.requests().is_empty()));
    finish(mesh, load);
}

/// A Gateway with a second server at another port.
fn two_servers(mesh: &Mesh, second: SocketAddr) -> String {
    let (ip, port) = (second.ip().to_string(), second.port());
    yaml::gateway(GATEWAY, mesh.gateway)
        + &format!(
            "  - port: {{number: {port}, name: http-two, protocol: HTTP}}\n    bind: {ip:?}\n    \
             hosts: [\"*\"]\n"
        )
}

fn listeners_come_and_go_under_load(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .tune("workers", "count", "2")
        .start();
    let load = Load::start(mesh.gateway, 6, "/", |answer| answer.text() == "ok");
    for _ in 0..4 {
        let second = place::free(mesh.address);
        let before = mesh.proxy.generation();
        mesh.write("gateway", &two_servers(&mesh, second));
        let between = mesh.proxy.wait_for_generation_after(before);
        let other = Load::start(second, 4, "/", |answer| answer.text() == "ok");
        other.wait_for(20);
        mesh.write("gateway", &yaml::gateway(GATEWAY, mesh.gateway));
        mesh.proxy.wait_for_generation_after(between);
        // Each client was told that its connection closes, and then found nobody.
        let report = other.join();
        assert_eq!(report.failures, Vec::<String>::new());
        assert!(report.closes >= 4, "{report:?}");
        assert_eq!(report.refused, 4, "{report:?}");
        load.wait_for(20);
    }
    let report = load.stop();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.closes, 0);
    mesh.finish();
}

/// What the request began with decides, also when the answer comes long after.
fn a_request_sees_one_configuration(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("ok"));
        }
    });
    let routes = |value: &str| {
        format!(
            "- headers: {{response: {{set: {{x-generation: {value}}}}}}}\n  \
             route: [{{destination: {{host: origin.test}}}}]\n"
        )
    };
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .routes(&routes("old"))
        .start();
    let mut client = mesh.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    mesh.reroute(&routes("new"));
    mesh.reroute(&direct("gone"));
    mesh.reroute(&routes("newest"));
    gate.open();
    assert_eq!(client.response("GET").get("x-generation"), Some("old"));
    assert_eq!(client.get("/").get("x-generation"), Some("newest"));
    drop(client);
    assert_eq!(mesh.finish().len(), 2);
}

fn a_removed_listener_lets_requests_end(io: Io) {
    let gate = Gate::new();
    let ready = gate.clone();
    let origin = Origin::start(move |conversation| {
        while conversation.request().is_ok() {
            ready.pass();
            conversation.send(response("ok"));
        }
    });
    let mesh = Mesh::to(io, &origin);
    let (mut busy, mut idle) = (mesh.client(), mesh.client());
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    origin.wait_for_requests(1);
    idle.expect_silence(Duration::from_millis(50));
    let before = mesh.proxy.generation();
    std::fs::remove_file(mesh.directory().join("mesh/gateway.yaml")).unwrap();
    mesh.proxy.wait_for_generation_after(before);
    wait::until("the listener to be closed", || {
        match TcpStream::connect(mesh.gateway) {
            Ok(_) => Err("it accepts"),
            Err(_) => Ok(()),
        }
    });
    idle.expect_end();
    gate.open();
    let answer = busy.response("GET");
    assert_eq!(answer.text(), "ok");
    assert!(answer.closes());
    busy.expect_end();
    // And comes back.
    mesh.write("gateway", &yaml::gateway(GATEWAY, mesh.gateway));
    wait::until("the listener to be back", || {
        TcpStream::connect(mesh.gateway).map(drop)
    });
    assert_eq!(mesh.client().get("/").text(), "ok");
    mesh.finish();
}

fn bad_files_change_nothing(io: Io) {
    let mesh = Mesh::builder(io).routes(&direct("good")).start();
    let load = Load::start(mesh.gateway, 4, "/", |answer| answer.text() == "good");
    assert_eq!(status(&mesh).0, 0);
    let generation = mesh.proxy.generation();
    let good = yaml::virtual_service(GATEWAY, &direct("good"));
    let bad = [
        // Half-written.
        good[..good.len() / 2].to_owned(),
        "{".to_owned(),
        "\0\0\0".to_owned(),
        good.replace("directResponse", "directRepsonse"),
        good.replace("status: 200", "status: many"),
        good.replace("gateways: [edge]", "gateways: 7"),
        good.clone() + "---\n" + &good,
    ];
    for text in &bad {
        mesh.write("routes", text);
        let problem = wait::until("the problem to be shown", || match status(&mesh) {
            (1, value) => Ok(value["source"].to_string()),
            (code, value) => Err(format!("{code} {value}")),
        });
        assert!(problem.contains("routes.yaml"), "{problem}");
        load.wait_for(20);
        assert_eq!(mesh.proxy.generation(), generation, "{text}");
        mesh.write("routes", &good);
        wait::until("the problem to be gone", || match status(&mesh) {
            (0, _) => Ok(()),
            (code, value) => Err(format!("{code} {value}")),
        });
    }
    finish(mesh, load);
}

/// The same port, now of one address, now of all of them, which include it.
fn a_listener_moves_to_every_address(io: Io) {
    let mesh = Mesh::builder(io)
        .routes(&direct("ok"))
        .at_port(place::free_everywhere())
        .start();
    let other = SocketAddr::new(place::address(), mesh.gateway.port());
    assert!(TcpStream::connect(other).is_err());
    let before = mesh.proxy.generation();
    mesh.write(
        "gateway",
        &yaml::gateway_at(GATEWAY, "0.0.0.0", mesh.gateway.port()),
    );
    let between = mesh.proxy.wait_for_generation_after(before);
    let mut client = Client::connect(other);
    assert_eq!(client.get("/").text(), "ok");
    drop(client);
    assert_eq!(mesh.client().get("/").text(), "ok");
    mesh.write("gateway", &yaml::gateway(GATEWAY, mesh.gateway));
    mesh.proxy.wait_for_generation_after(between);
    assert_eq!(mesh.client().get("/").text(), "ok");
    assert!(TcpStream::connect(other).is_err());
    mesh.finish();
}
