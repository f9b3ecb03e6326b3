//! A client that never stops sending, and takes every answer, is not the only one that is served.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    io::{Read, Write},
    net::Shutdown,
    thread::{self, JoinHandle},
};

use ringmain_tests::{Io, client::Client, mesh::Mesh, on_both, origin::Origin, wait};

on_both!(others_are_served, what_is_due_happens);

/// Requests without end, which the proxy answers itself.
struct Flood {
    client: Client,
    threads: [JoinHandle<()>; 2],
}

impl Flood {
    fn start(mesh: &Mesh) -> Self {
        let client = mesh.client();
        let mut reading = client.wire.stream.try_clone().unwrap();
        let mut writing = client.wire.stream.try_clone().unwrap();
        let reader = thread::spawn(move || {
            let mut answers = vec![0; 1 << 20];
            while matches!(reading.read(&mut answers), Ok(1..)) {}
        });
        let writer = thread::spawn(move || {
            let requests = "GET /gone HTTP/1.1\r\nhost: a\r\n\r\n".repeat(10_000);
            while writing.write_all(requests.as_bytes()).is_ok() {}
        });
        Self {
            client,
            threads: [reader, writer],
        }
    }

    fn stop(self) {
        self.client.wire.stream.shutdown(Shutdown::Both).unwrap();
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

fn start(io: Io) -> (Origin, Mesh) {
    let origin = Origin::saying("never");
    let mesh = Mesh::builder(io)
        .routes("- match: [{uri: {exact: /gone}}]\n  directResponse: {status: 204}\n")
        .service("origin", &[origin.address()])
        .limit("request_head_timeout", "\"200ms\"")
        .tune("log", "access", "\"off\"")
        .start();
    (origin, mesh)
}

fn others_are_served(io: Io) {
    let (_origin, mut mesh) = start(io);
    let flood = Flood::start(&mesh);
    for _ in 0..5 {
        assert_eq!(mesh.client().get("/gone").status(), 204);
    }
    flood.stop();
    assert!(mesh.proxy.process.terminate().success());
}

/// Deadlines pass, and the worker's tick comes.
fn what_is_due_happens(io: Io) {
    let (_origin, mut mesh) = start(io);
    let flood = Flood::start(&mesh);
    let turns = mesh.proxy.metric("ringmain_worker_turns_total");
    let mut slow = mesh.client();
    slow.send("GET / HTTP/1.1\r\nhost:");
    assert_eq!(slow.response("GET").status(), 408);
    wait::until("the worker's tick", || {
        match mesh.proxy.metric("ringmain_worker_turns_total") {
            now if now > turns => Ok(()),
            now => Err(now),
        }
    });
    flood.stop();
    assert!(mesh.proxy.process.terminate().success());
}
