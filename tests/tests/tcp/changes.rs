//! What becomes of connections when the configuration changes under them.

use ringmain_tests::{Io, mesh::Mesh, on_both};

use crate::gateway::{
    all_to, builder, connect, echo, echoing, expect_end, finish, ping, service, start,
};

on_both!(
    rules_are_for_new_connections,
    a_removed_listener_lets_connections_go_on_for_a_while,
);

/// Replaces a file, or removes it, and waits until the gateway follows.
fn change(mesh: &Mesh, file: &str, text: Option<&str>) {
    let before = mesh.proxy.generation();
    match text {
        Some(text) => mesh.write(file, text),
        None => std::fs::remove_file(mesh.directory().join(format!("mesh/{file}.yaml"))).unwrap(),
    }
    mesh.proxy.wait_for_generation_after(before);
}

fn rules_are_for_new_connections(io: Io) {
    let (first, second) = (echoing(), ringmain_tests::origin::Origin::start(echo));
    let (mesh, gateway) = start(io, &first, "connectTimeout: 5s");
    let mut old = connect(gateway);
    ping(&mut old);
    let other = service("other", &[second.address()], "connectTimeout: 5s");
    // Its cluster goes, too.
    change(
        &mesh,
        "rules",
        Some(&format!("{other}---\n{}", all_to("other"))),
    );
    let mut new = connect(gateway);
    ping(&mut new);
    ping(&mut old);
    assert_eq!((first.connections(), second.connections()), (1, 1));
    drop((old, new));
    let lines = finish(mesh, 2);
    assert!(
        lines.iter().all(|line| line.verdict() == "0 -"),
        "{lines:#?}"
    );
}

fn a_removed_listener_lets_connections_go_on_for_a_while(io: Io) {
    let origin = echoing();
    let (builder, gateway) = builder(io, origin.address(), "connectTimeout: 5s");
    let mesh = builder.limit("drain_timeout", "\"3s\"").start();
    let (mut busy, quiet) = (connect(gateway), connect(gateway));
    ping(&mut busy);
    change(&mesh, "bytes", None);
    ping(&mut busy);
    expect_end(busy);
    expect_end(quiet);
    origin.wait_for_end_of_connections();
    for line in finish(mesh, 2) {
        assert_eq!(line.verdict(), "0 -");
        let why = line.get("connection_termination_details");
        assert_eq!(why, "drained", "{}", line.text);
    }
}
