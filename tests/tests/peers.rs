//! curl as client and nginx as origin: neither is ours.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use ringmain_tests::{Io, curl::curl, mesh::Mesh, nginx::Nginx, on_both};

on_both!(get);

fn get(io: Io) {
    let nginx = Nginx::start("");
    std::fs::write(nginx.file("hello"), "hello, world\n").unwrap();
    let mesh = Mesh::builder(io)
        .all_to("files", &[nginx.address()])
        .start();
    let output = curl([mesh.url("/hello")]);
    assert_eq!(
        (output.code, output.text().as_str()),
        (0, "hello, world\n"),
        "{}",
        output.error
    );
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 -");
}
