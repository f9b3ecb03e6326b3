//! What a peer that does not read makes the proxy hold, and what happens when pipes run out.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use ringmain_tests::{
    Io,
    mesh::Mesh,
    on_both,
    origin::Origin,
    wait::{self, Gate},
};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use socket2::SockRef;

use crate::gateway::{
    builder, connect, echo, echoing, expect_end, finish, finish_one, ping, start,
};

on_both!(
    a_client_that_does_not_read,
    a_server_that_does_not_read,
    without_pipes,
    pipes_for_some,
    out_of_descriptors,
    urgent_bytes_within_much,
);

/// More than the kernel holds for a connection through the proxy: the receive buffers of two
/// sockets and the send buffers of two, which may grow to 32 MiB and 4 MiB each, and a pipe. They
/// grow with a peer that reads, so it is less by far.
const MUCH: usize = 96 << 20;
const HELD_MAX: usize = 80 << 20;
/// What the proxy's own memory may grow by.
const GROWTH_KIB_MAX: u64 = 4096;

/// The byte at a position of what is sent.
fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

/// Sends bytes `0..count`, and counts those that were taken.
fn send(stream: &mut TcpStream, count: usize, taken: &AtomicUsize) {
    let pattern: Vec<u8> = (0..251 * 512).map(byte).collect();
    stream.set_write_timeout(None).unwrap();
    let mut left = count;
    while left > 0 {
        let part = left.min(pattern.len());
        stream.write_all(&pattern[..part]).unwrap();
        taken.fetch_add(part, Ordering::SeqCst);
        left -= part;
    }
    stream.shutdown(Shutdown::Write).unwrap();
}

/// Reads to the end, which comes behind bytes `0..count`.
fn receive(stream: &mut TcpStream, count: usize) {
    let mut chunk = vec![0; 1 << 18];
    let mut at = 0;
    while let length @ 1.. = stream.read(&mut chunk).unwrap() {
        let mut bytes = chunk[..length].iter().enumerate();
        let is_right = bytes.all(|(index, found)| *found == byte(at + index));
        assert!(is_right, "wrong bytes behind {at}");
        at += length;
    }
    assert_eq!(at, count);
}

/// Waits until a number grows no more: whoever makes it grow is held up. A pause that is mistaken
/// for it hides a mistake and makes none.
fn wait_for_standstill(number: &AtomicUsize) -> usize {
    let (mut last, mut times) = (0, 0);
    wait::until("the sender to be held up", || {
        let now = number.load(Ordering::SeqCst);
        times = if now == last { times + 1 } else { 0 };
        last = now;
        if now > 0 && times >= 60 {
            Ok(now)
        } else {
            Err(now)
        }
    })
}

/// Little is held for who does not read, and others are served meanwhile.
fn check_held(mesh: &Mesh, gateway: SocketAddr, before_kib: u64, sent: &AtomicUsize) {
    let held = wait_for_standstill(sent);
    assert!(
        held < HELD_MAX,
        "{held} bytes were taken for a peer that reads none"
    );
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before_kib);
    assert!(
        grown < GROWTH_KIB_MAX,
        "{grown} KiB more with {held} bytes on the way"
    );
    ping(&mut connect(gateway));
}

fn a_client_that_does_not_read(io: Io) {
    let sent = Arc::new(AtomicUsize::new(0));
    let taken = Arc::clone(&sent);
    let origin = Origin::start(move |conversation| match conversation.index {
        0 => send(&mut conversation.wire.stream, MUCH, &taken),
        _ => echo(conversation),
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let before = mesh.proxy.process.resident_kib();
    let mut client = connect(gateway);
    check_held(&mesh, gateway, before, &sent);
    receive(&mut client, MUCH);
    drop(client);
    let lines = finish(mesh, 2);
    assert!(
        lines.iter().all(|line| line.verdict() == "0 -"),
        "{lines:#?}"
    );
    assert_eq!(lines[1].number("bytes_sent"), MUCH as u64);
}

fn a_server_that_does_not_read(io: Io) {
    let gate = Gate::new();
    let reads = gate.clone();
    let origin = Origin::start(move |conversation| {
        if conversation.index > 0 {
            return echo(conversation);
        }
        reads.pass();
        receive(&mut conversation.wire.stream, MUCH);
        conversation.send("all");
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    mesh.proxy
        .wait_for_metric("ringmain_tcp_connections_active", 1);
    let before = mesh.proxy.process.resident_kib();
    let sent = Arc::new(AtomicUsize::new(0));
    let (taken, mut writer) = (Arc::clone(&sent), client.try_clone().unwrap());
    let upload = thread::spawn(move || send(&mut writer, MUCH, &taken));
    check_held(&mesh, gateway, before, &sent);
    gate.open();
    upload.join().unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "all");
    drop(client);
    let lines = finish(mesh, 2);
    assert!(
        lines.iter().all(|line| line.verdict() == "0 -"),
        "{lines:#?}"
    );
    assert_eq!(lines[1].number("bytes_received"), MUCH as u64);
}

/// Bytes `0..count` there and back, both ways at once.
fn there_and_back(client: &mut TcpStream, count: usize) {
    let mut writer = client.try_clone().unwrap();
    let upload = thread::spawn(move || send(&mut writer, count, &AtomicUsize::new(0)));
    receive(client, count);
    upload.join().unwrap();
}

fn without_pipes(io: Io) {
    let origin = echoing();
    let (builder, gateway) = builder(io, origin.address(), "connectTimeout: 5s");
    let mesh = builder.limit("pipes", "0").start();
    there_and_back(&mut connect(gateway), 16 << 20);
    assert_eq!(mesh.proxy.metric("ringmain_pipes_exhausted_total"), 0);
    assert_eq!(finish_one(mesh).number("bytes_sent"), 16 << 20);
}

/// One pipe, and three clients that do not read: one holds the pipe, the others a buffer each.
fn pipes_for_some(io: Io) {
    let sent = Arc::new(AtomicUsize::new(0));
    let taken = Arc::clone(&sent);
    let origin = Origin::start(move |conversation| {
        conversation.wire.stream.read_exact(&mut [0]).unwrap();
        send(&mut conversation.wire.stream, MUCH / 2, &taken);
    });
    let (builder, gateway) = builder(io, origin.address(), "connectTimeout: 5s");
    let mesh = builder.limit("pipes", "1").start();
    let mut clients = [(); 3].map(|()| connect(gateway));
    mesh.proxy
        .wait_for_metric("ringmain_tcp_connections_active", 3);
    let before = mesh.proxy.process.resident_kib();
    for client in &mut clients {
        client.write_all(b"a").unwrap();
        wait_for_standstill(&sent);
    }
    let grown = mesh.proxy.process.resident_kib().saturating_sub(before);
    assert!(
        grown < GROWTH_KIB_MAX,
        "{grown} KiB more for three slow readers"
    );
    mesh.proxy.wait_for_metric("ringmain_pipes_in_use", 1);
    assert!(mesh.proxy.metric("ringmain_pipes_exhausted_total") >= 2);
    // One at a time: none may need what another one holds.
    for mut client in clients.into_iter().rev() {
        receive(&mut client, MUCH / 2);
    }
    let lines = finish(mesh, 3);
    let is_whole = |line: &ringmain_tests::access_log::Line| {
        line.verdict() == "0 -" && line.number("bytes_sent") == MUCH as u64 / 2
    };
    assert!(lines.iter().all(is_whole), "{lines:#?}");
}

/// The kernel gives no pipe: bytes are copied.
fn out_of_descriptors(io: Io) {
    let origin = echoing();
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    ping(&mut client);
    let proxy = Pid::from_raw(i32::try_from(mesh.proxy.process.id()).unwrap());
    let usual = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        maximum: usual.maximum,
    };
    let usual = prlimit(proxy, Resource::Nofile, none).unwrap();
    there_and_back(&mut client, 16 << 20);
    prlimit(proxy, Resource::Nofile, usual).unwrap();
    assert!(mesh.proxy.metric("ringmain_pipes_exhausted_total") > 0);
    drop(client);
    assert_eq!(finish_one(mesh).number("bytes_sent"), (16 << 20) + 1);
}

/// An urgent byte (RFC 9293 section 3.8.5) in the middle of a long transfer is left out or carried,
/// and holds up nobody.
fn urgent_bytes_within_much(io: Io) {
    const PART: usize = 8 << 20;
    let received = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&received);
    let origin = Origin::start(move |conversation| {
        if conversation.index > 0 {
            return echo(conversation);
        }
        let mut chunk = vec![0; 1 << 18];
        while let Ok(count @ 1..) = conversation.wire.stream.read(&mut chunk) {
            counted.fetch_add(count, Ordering::SeqCst);
        }
    });
    let (mesh, gateway) = start(io, &origin, "connectTimeout: 5s");
    let mut client = connect(gateway);
    client.set_write_timeout(Some(wait::PATIENCE)).unwrap();
    for _ in 0..4 {
        client.write_all(&vec![b'a'; PART]).unwrap();
        assert_eq!(SockRef::from(&client).send_out_of_band(b"!").unwrap(), 1);
    }
    client.write_all(&vec![b'a'; PART]).unwrap();
    ping(&mut connect(gateway));
    client.shutdown(Shutdown::Write).unwrap();
    expect_end(client);
    let moved = received.load(Ordering::SeqCst);
    assert!((5 * PART..=5 * PART + 4).contains(&moved), "{moved}");
    let lines = finish(mesh, 2);
    assert!(
        lines.iter().all(|line| line.verdict() == "0 -"),
        "{lines:#?}"
    );
}
