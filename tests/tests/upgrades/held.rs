//! What the proxy holds for upgraded connections on which nothing moves: no buffer.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use http::HeaderMap;
use ringmain_tests::{
    Io,
    client::Client,
    mesh::Mesh,
    on_both,
    upgrade::{echoing, ping, switch},
};

use crate::{
    http2::{self, connect},
    streams::{echoing_streams, to_http2},
};

on_both!(quiet_ones_hold_no_buffers);

const COUNT: usize = 20;

fn quiet_ones_hold_no_buffers(io: Io) {
    for is_http2 in [false, true] {
        let origin = echoing();
        let mesh = match is_http2 {
            false => Mesh::to(io, &origin),
            true => to_http2(io, echoing_streams()).start(),
        };
        let clients: Vec<_> = (0..COUNT).map(|_| from_http1(&mesh)).collect();
        nothing_is_held(&mesh, COUNT, is_http2);
        let streams: Vec<_> = (0..COUNT).map(|_| from_http2(&mesh)).collect();
        nothing_is_held(&mesh, 2 * COUNT, is_http2);
        for mut client in clients {
            ping(&mut client);
        }
        for mut stream in streams {
            ping_stream(&mut stream.socket);
        }
        assert_eq!(mesh.finish().len(), 2 * COUNT);
    }
}

fn nothing_is_held(mesh: &Mesh, count: usize, to_http2: bool) {
    mesh.proxy
        .wait_for_metric("ringmain_requests_active", count as u64);
    mesh.proxy.wait_for_turns(2);
    let held = mesh.proxy.metric("ringmain_buffers_in_use");
    assert_eq!(held, 0, "of {count}, to HTTP/2: {to_http2}");
}

fn from_http1(mesh: &Mesh) -> Client {
    let mut client = mesh.client();
    switch(&mut client);
    ping(&mut client);
    client
}

fn from_http2(mesh: &Mesh) -> http2::Stream {
    let mut stream = connect(mesh.gateway, "echo", HeaderMap::new());
    assert_eq!(stream.status, 200);
    ping_stream(&mut stream.socket);
    stream
}

fn ping_stream(socket: &mut UnixStream) {
    socket.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
}
