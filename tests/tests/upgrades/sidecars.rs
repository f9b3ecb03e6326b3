//! Upgrades through the sidecars of both ends. A quiet one stays: of those who speak on it nobody
//! waits for anything.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use http::HeaderMap;
use ringmain_tests::{
    Io,
    client::Client,
    http2::{Peer, peer},
    on_both,
    origin::{Origin, response},
    sidecars::Pair,
    upgrade::{AGREEMENT, REQUEST, agreed, echo, ping},
    wait,
};

use super::{http2::connect_to, websocket};

on_both!(quiet_ones_stay, websocket_through_both);

/// Agrees to what asks for another protocol, and sends back what comes; answers `/hello`; else says
/// nothing.
fn application() -> Origin {
    Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
        while let Ok(request) = conversation.head() {
            if request.get("upgrade").is_some() {
                conversation.send(AGREEMENT);
                return echo(conversation);
            }
            if !request.line.contains("/hello") {
                return conversation.wait_for_end();
            }
            conversation.send(response("hello"));
        }
    })
}

fn wait_until_known(pair: &Pair) {
    let mut client = Client::connect(pair.egress);
    let call = "GET /hello HTTP/1.1\r\nhost: back\r\n\r\n";
    wait::until("back to be known", || match client.exchange(call) {
        answer if answer.status() == 200 => Ok(()),
        answer => Err(answer.text()),
    });
}

/// Four times as long as a request may be quiet, which others show to be so.
const QUIET: Duration = Duration::from_millis(2_000);

fn quiet_ones_stay(io: Io) {
    let origin = application();
    let mut pair = Pair::tuned(io, "HTTP", origin.address(), |tuning| {
        tuning.set("limits", "stream_idle_timeout", "\"500ms\"");
    });
    wait_until_known(&pair);
    let mut http1 = Client::connect(pair.egress);
    http1.send(REQUEST.replace("host: a", "host: back"));
    agreed(&mut http1);
    ping(&mut http1);
    let url = "http://back/up";
    let mut http2 = connect_to(pair.egress, url, "echo", HeaderMap::new());
    assert_eq!(http2.status, 200);
    // A request that gets no answer in that time, of either version, is given up.
    let mut asking = Client::connect(pair.egress);
    let answer = asking.exchange("GET /quiet HTTP/1.1\r\nhost: back\r\n\r\n");
    assert_eq!(answer.status(), 504);
    let mut asking = Peer::client(pair.egress, &[]);
    let head = peer::request("GET", "/quiet").into_iter();
    let head = head.map(|(name, value)| match name {
        ":authority" => (name, "back"),
        _ => (name, value),
    });
    let stream = asking.begin(head, true);
    assert_eq!(asking.response(stream).status(), 504);
    drop(asking);
    http1.expect_silence(QUIET);
    ping(&mut http1);
    http2.socket.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    http2.socket.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
    drop((http1, http2));
    for proxy in [&pair.front, &pair.back] {
        proxy.wait_for_metric("ringmain_requests_active", 0);
    }
    assert!(pair.front.process.terminate().success());
    assert!(pair.back.process.terminate().success());
    let lines = pair.front.log();
    let switched: Vec<_> = lines
        .iter()
        .filter(|line| line.get("path") == "/up")
        .collect();
    assert_eq!(switched.len(), 2);
    for line in switched {
        assert!(line.number("duration") >= 2_000, "{}", line.text);
        assert!(!line.get("response_flags").contains("SI"), "{}", line.text);
    }
    pair.mesh.finish();
}

fn websocket_through_both(io: Io) {
    for protocol in ["HTTP", ""] {
        let origin = Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
            let stream = conversation.wire.stream.try_clone().unwrap();
            if let Ok(socket) = tungstenite::accept(stream) {
                websocket::echo(socket);
            }
        });
        let mut pair = Pair::start(io, protocol, origin.address());
        let mut socket = wait::until("back to be known", || {
            let stream = TcpStream::connect(pair.egress).unwrap();
            stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
            let made = tungstenite::client("ws://back/chat", stream);
            made.map(|(socket, _)| socket)
                .map_err(|error| error.to_string())
        });
        websocket::ping_pong(&mut socket, 100);
        websocket::megabyte(&mut socket);
        websocket::close(socket);
        for proxy in [&mut pair.front, &mut pair.back] {
            proxy.wait_for_metric("ringmain_requests_active", 0);
            assert!(proxy.process.terminate().success());
            assert_eq!(proxy.log().last().unwrap().verdict(), "101 -", "{protocol}");
        }
        pair.mesh.finish();
    }
}
