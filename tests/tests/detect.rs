//! Ports that do not say what is spoken on them: two workloads, each through its own sidecar.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use ringmain_tests::{
    Io, on_both,
    origin::{Conversation, Origin},
    sidecars::Pair,
    wait,
};

on_both!(http_and_bytes_on_one_port, a_server_that_speaks_first);

/// Answers a request of HTTP/1, and sends everything else back.
fn either(conversation: &mut Conversation) {
    let stream = &mut conversation.wire.stream;
    let mut chunk = vec![0; 1 << 16];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        let answer: &[u8] = match chunk.starts_with(b"GET ") {
            true => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            false => &chunk[..count],
        };
        if stream.write_all(answer).is_err() {
            break;
        }
    }
}

fn start(io: Io, origin: &Origin) -> Pair {
    let pair = Pair::start(io, "", origin.address());
    wait::until("back to be known", || {
        let clusters = pair.front.ask("GET", "/clusters").text();
        let is_known = clusters.contains(&pair.ingress.to_string());
        if is_known { Ok(()) } else { Err(clusters) }
    });
    pair
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    stream
}

fn expect(client: &mut TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected, "{}", bytes.escape_ascii());
}

fn http_and_bytes_on_one_port(io: Io) {
    let origin = Origin::at("127.0.0.1".parse().unwrap(), either);
    let mut pair = start(io, &origin);
    // The beginning of a request may come in parts.
    for parts in [
        &[&b"GET / HTTP/1.1\r\nhost: back\r\n\r\n"[..]][..],
        &[b"GE", b"T", b" ", b"/ HTTP/1.1\r\nhost: back\r\n\r\n"],
    ] {
        let mut client = connect(pair.egress);
        client.set_nodelay(true).unwrap();
        for part in parts {
            client.write_all(part).unwrap();
        }
        expect(&mut client, b"HTTP/1.1 200 OK\r\n");
    }
    for bytes in [
        &b"\0\x01\x02"[..],
        b"HELO there\r\n",
        b"\x16\x03\x01\x02\0",
        b"P",
    ] {
        let mut client = connect(pair.egress);
        client.write_all(bytes).unwrap();
        expect(&mut client, bytes);
    }
    drop(origin);
    assert!(pair.front.process.terminate().success());
    assert!(pair.back.process.terminate().success());
    for proxy in [&pair.front, &pair.back] {
        let lines = proxy.log();
        let requests = lines.iter().filter(|line| line.get("method") == "GET");
        assert_eq!((lines.len(), requests.count()), (6, 2), "{lines:#?}");
    }
    pair.mesh.finish();
}

fn a_server_that_speaks_first(io: Io) {
    let origin = Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
        let stream = &mut conversation.wire.stream;
        stream.write_all(b"220 hello\r\n").unwrap();
        drop(stream.read(&mut [0; 64]));
    });
    let pair = start(io, &origin);
    let mut client = connect(pair.egress);
    expect(&mut client, b"220 hello\r\n");
}
