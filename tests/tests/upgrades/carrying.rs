//! Bytes behind the agreement, from connection to connection, and how that ends.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    thread,
};

use ringmain_tests::{
    Io,
    mesh::Mesh,
    on_both,
    upgrade::{agreeing, echoing, ping, switch},
    wait,
};
use rustix::process::Signal;

on_both!(
    much_both_ways,
    each_direction_ends_by_itself,
    the_server_ends_first,
    the_server_resets,
    the_client_resets,
    a_drain_waits,
    a_drain_ends_after_its_timeout,
    quiet_for_too_long_at_a_gateway,
    idle_ones_are_small,
);

const MUCH: usize = 24 << 20;

fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

/// Bytes there and back, both ways at once.
pub(crate) fn there_and_back(mut writer: impl Write + Send, reader: &mut impl Read, count: usize) {
    thread::scope(|scope| {
        scope.spawn(move || {
            let pattern: Vec<u8> = (0..251 * 256).map(byte).collect();
            let mut left = count;
            while left > 0 {
                let part = left.min(pattern.len());
                writer.write_all(&pattern[..part]).unwrap();
                left -= part;
            }
        });
        let mut chunk = vec![0; 1 << 16];
        let mut at = 0;
        while at < count {
            let most = chunk.len().min(count - at);
            let read = reader.read(&mut chunk[..most]).unwrap();
            assert!(read > 0, "it ended after {at} bytes");
            let mut bytes = chunk[..read].iter().enumerate();
            assert!(bytes.all(|(index, found)| *found == byte(at + index)));
            at += read;
        }
    });
}

fn much_both_ways(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    switch(&mut client);
    let writer = client.wire.stream.try_clone().unwrap();
    there_and_back(writer, &mut client.wire.stream, MUCH);
    client.finish();
    client.expect_end();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 -");
    assert_eq!(line.number("bytes_received"), MUCH as u64);
    assert_eq!(line.number("bytes_sent"), MUCH as u64);
}

fn each_direction_ends_by_itself(io: Io) {
    let origin = agreeing(|conversation| {
        conversation.wait_for_end();
        let count = conversation.wire.unread().len();
        conversation.send(format!("{count} bytes"));
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    switch(&mut client);
    client.send("all of it");
    client.finish();
    assert_eq!(client.wire.bytes(7).unwrap(), b"9 bytes");
    client.expect_end();
    assert_eq!(mesh.finish_one().verdict(), "101 -");
}

fn the_server_ends_first(io: Io) {
    let origin = agreeing(|conversation| {
        conversation.wire.stream.shutdown(Shutdown::Write).unwrap();
        conversation.wait_for_end();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    switch(&mut client);
    client.expect_end();
    client.send("still here");
    drop(client);
    origin.wait_for_end_of_connections();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 -");
    assert_eq!(line.number("bytes_received"), 10);
}

fn the_server_resets(io: Io) {
    let origin = agreeing(|conversation| {
        conversation.wire.bytes(4).unwrap();
        conversation.reset();
    });
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    switch(&mut client);
    client.send("ping");
    client.expect_end();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 UC");
    assert_eq!(line.number("bytes_received"), 4);
}

fn the_client_resets(io: Io) {
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    client.reset();
    origin.wait_for_end_of_connections();
    assert_eq!(mesh.finish_one().verdict(), "101 DC");
}

fn a_drain_waits(io: Io) {
    let origin = echoing();
    let mut mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    mesh.proxy.process.signal(Signal::TERM);
    wait::until(
        "the gateway to accept no more",
        || match TcpStream::connect(mesh.gateway) {
            Ok(_) => Err("it accepts"),
            Err(_) => Ok(()),
        },
    );
    ping(&mut client);
    drop(client);
    assert_eq!(mesh.proxy.process.wait().code(), Some(0));
}

fn a_drain_ends_after_its_timeout(io: Io) {
    let origin = echoing();
    let mut mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("drain_timeout", "\"300ms\"")
        .start();
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    assert_eq!(mesh.proxy.process.terminate().code(), Some(0));
    client.expect_end();
    origin.wait_for_end_of_connections();
    let lines = mesh.proxy.log();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0].verdict(), "101 -");
    let why = lines[0].get("connection_termination_details");
    assert_eq!(why, "drained");
}

fn quiet_for_too_long_at_a_gateway(io: Io) {
    let origin = echoing();
    let mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .limit("stream_idle_timeout", "\"1s\"")
        .start();
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    client.expect_end();
    origin.wait_for_end_of_connections();
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "101 SI");
    assert!(line.number("duration") >= 1000, "{}", line.text);
}

/// What the proxy holds for itself, beside the kernel's sockets.
fn idle_ones_are_small(io: Io) {
    const COUNT: usize = 400;
    const KIB_EACH_MAX: usize = 8;
    let origin = echoing();
    let mesh = Mesh::to(io, &origin);
    let start = |count: usize| -> Vec<_> {
        let mut clients: Vec<_> = (0..count).map(|_| mesh.client()).collect();
        clients.iter_mut().for_each(|client| {
            switch(client);
            ping(client);
        });
        clients
    };
    // What the first ones need is kept for the others.
    let first = start(20);
    let before = mesh.proxy.process.resident_kib();
    let clients = start(COUNT);
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
    assert!(
        grown < (COUNT * KIB_EACH_MAX) as u64,
        "{grown} KiB for {COUNT} idle connections"
    );
    drop((first, clients));
    assert_eq!(mesh.finish().len(), COUNT + 20);
}
