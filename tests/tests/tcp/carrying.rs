//! Bytes arrive as they were sent, whoever ends first.

use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::{Arc, Mutex},
    thread,
};

use ringmain_tests::{
    Io,
    client::Client,
    message::is_reset,
    on_both,
    origin::{Conversation, Origin},
};

use crate::gateway::{connect, echoing, finish_one, ping, start};

on_both!(
    echo,
    the_server_answers_after_the_clients_end,
    the_server_ends_first,
    much_both_ways_at_once,
    a_reset_of_the_server_is_passed_on,
    a_reset_of_the_client_is_passed_on,
);

fn echo(io: Io) {
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    for size in [1, 100, 5000, 100_000] {
        let sent = vec![size as u8; size];
        let mut received = vec![0; size];
        client.write_all(&sent).unwrap();
        client.read_exact(&mut received).unwrap();
        assert!(sent == received, "{size} bytes");
    }
    drop(client);
    let moved = 105_101;
    mesh.proxy
        .wait_for_metric("istio_tcp_sent_bytes_total", moved);
    mesh.proxy
        .wait_for_metric("istio_tcp_received_bytes_total", moved);
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 -", "{}", line.text);
    assert!(
        line.text.contains("\"- - -\" 0 - - - \"-\""),
        "{}",
        line.text
    );
    assert_eq!(line.number("bytes_received"), moved);
    assert_eq!(line.number("bytes_sent"), moved);
    assert_eq!(line.get("upstream_cluster"), "outbound|9000||db.test");
    assert_eq!(line.get("upstream_host"), origin.address().to_string());
    assert_eq!(line.get("downstream_local_address"), gateway.to_string());
}

fn the_server_answers_after_the_clients_end(io: Io) {
    let origin = Origin::start(|conversation: &mut Conversation| {
        let mut all = Vec::new();
        conversation.wire.stream.read_to_end(&mut all).unwrap();
        conversation.send(format!("{} bytes", all.len()));
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "5 bytes");
    assert_eq!(finish_one(mesh).verdict(), "0 -");
}

fn the_server_ends_first(io: Io) {
    let origin = Origin::start(|conversation: &mut Conversation| {
        conversation.send("banner");
        conversation.wire.stream.shutdown(Shutdown::Write).unwrap();
        conversation.wait_for_end();
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    let mut banner = String::new();
    client.read_to_string(&mut banner).unwrap();
    assert_eq!(banner, "banner");
    client.write_all(b"still heard").unwrap();
    drop(client);
    origin.wait_for_end_of_connections();
    assert_eq!(origin.received(0), b"still heard");
    assert_eq!(finish_one(mesh).verdict(), "0 -");
}

fn much_both_ways_at_once(io: Io) {
    const BYTES: usize = 64 << 20;
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let client = connect(gateway);
    let mut writer = client.try_clone().unwrap();
    let byte = |at: usize| (at % 251) as u8;
    let upload = thread::spawn(move || {
        let pattern: Vec<u8> = (0..251 * 1024).map(byte).collect();
        let mut left = BYTES;
        while left > 0 {
            let part = left.min(pattern.len());
            writer.write_all(&pattern[..part]).unwrap();
            left -= part;
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let (mut reader, mut at) = (client, 0);
    let mut chunk = vec![0; 1 << 18];
    while let count @ 1.. = reader.read(&mut chunk).unwrap() {
        let is_right = chunk[..count].iter().enumerate();
        let mut is_right = is_right.map(|(index, found)| *found == byte(at + index));
        assert!(is_right.all(|right| right), "wrong bytes behind {at}");
        at += count;
    }
    upload.join().unwrap();
    assert_eq!(at, BYTES);
    let line = finish_one(mesh);
    assert_eq!(line.number("bytes_received"), BYTES as u64);
    assert_eq!(line.number("bytes_sent"), BYTES as u64);
}

fn a_reset_of_the_server_is_passed_on(io: Io) {
    let origin = Origin::start(|conversation: &mut Conversation| {
        conversation.wire.stream.read_exact(&mut [0]).unwrap();
        conversation.reset();
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    client.write_all(b"a").unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(finish_one(mesh).verdict(), "0 UC");
}

fn a_reset_of_the_client_is_passed_on(io: Io) {
    let seen = Arc::new(Mutex::new(None));
    let end = Arc::clone(&seen);
    let origin = Origin::start(move |conversation: &mut Conversation| {
        let stream = &mut conversation.wire.stream;
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"a").unwrap();
        *end.lock().unwrap() = Some(stream.read(&mut [0]));
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = Client::connect(gateway);
    ping(&mut client.wire.stream);
    client.reset();
    origin.wait_for_end_of_connections();
    let end = seen.lock().unwrap().take().unwrap();
    let error = end.expect_err("the origin saw an end and no reset");
    assert!(is_reset(&error), "{error}");
    assert_eq!(finish_one(mesh).verdict(), "0 DC");
}
