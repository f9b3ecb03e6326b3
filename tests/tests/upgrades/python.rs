//! WebSocket with Python's websockets at both ends, which compresses and sends in pieces.

use std::net::SocketAddr;

use ringmain_tests::{Io, mesh::Mesh, on_both, place, process::Process, python};

on_both!(compressed_and_in_pieces);

fn serve() -> (Process, SocketAddr) {
    let address = place::address();
    let mut server = python::start("upgrades/server.py", &[&address.to_string()]);
    let line = server.wait_for("port ");
    let port = line.trim_start_matches("port ").parse().unwrap();
    (server, SocketAddr::new(address, port))
}

fn compressed_and_in_pieces(io: Io) {
    let (_server, address) = serve();
    let mesh = Mesh::builder(io).all_to("origin", &[address]).start();
    let url = format!("ws://{}/chat", mesh.gateway);
    let mut client = python::start("upgrades/client.py", &[&url]);
    client.wait_for("closed with 1000");
    assert_eq!(client.wait().code(), Some(0));
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 -");
    assert!(
        line.get("user_agent").contains("websockets"),
        "{}",
        line.text
    );
}
