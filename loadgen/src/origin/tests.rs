use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{Addresses, serve};
use crate::Io;

fn start(io: Io) -> Addresses {
    let (sender, addresses) = mpsc::channel();
    // It serves until the test's process ends.
    thread::spawn(move || {
        serve(io, Ipv4Addr::LOCALHOST.into(), |all| {
            sender.send(all).unwrap()
        })
    });
    addresses.recv_timeout(Duration::from_secs(30)).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// Sends `request`, whose answer ends the connection; the answer.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn serves_on_every_ring() {
    for io in [Io::Auto, Io::Epoll] {
        let addresses = start(io);
        answers_requests(addresses.http);
        carries_bytes(addresses);
    }
}

fn answers_requests(http: SocketAddr) {
    let length = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.len();
    let end = "HTTP/1.1\r\nconnection: close\r\n\r\n";
    assert_eq!(
        length(&ask(http, &format!("GET /bytes/65536 {end}"))),
        65_536
    );
    assert_eq!(length(&ask(http, &format!("GET /delay/2 {end}"))), 100);
    // Two requests in one segment, the first with a body that is longer than the buffer.
    let body = "x".repeat(100_000);
    let two = format!("POST / HTTP/1.1\r\ncontent-length: 100000\r\n\r\n{body}GET / {end}");
    assert_eq!(ask(http, &two).matches("HTTP/1.1 200").count(), 2);
    assert!(ask(http, "nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut connections = 4;
    loop {
        connections += 1;
        let counts = ask(http, &format!("GET /origin/counts {end}"));
        // A client may learn of an end before the server has taken note of it.
        let closed = connections - 1;
        if counts.ends_with(&format!(
            "{{\"requests\":4,\"connections\":{connections},\"closed\":{closed},\
             \"body_bytes\":100000,\"streams\":0,\"streams_closed\":0,\
             \"echo_bytes\":0,\"sink_bytes\":0,\"source_bytes\":0}}"
        )) {
            break;
        }
        assert!(Instant::now() < deadline, "{counts}");
    }
}

fn carries_bytes(addresses: Addresses) {
    let mut echo = connect(addresses.echo);
    echo.write_all(b"there and back").unwrap();
    echo.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    echo.read_to_string(&mut text).unwrap();
    assert_eq!(text, "there and back");

    let mut sink = connect(addresses.sink);
    sink.write_all(&vec![7; 300_000]).unwrap();
    sink.shutdown(Shutdown::Write).unwrap();
    let mut told = String::new();
    sink.read_to_string(&mut told).unwrap();
    assert_eq!(told, "300000");

    let mut source = connect(addresses.source);
    let mut bytes = vec![1; 1 << 20];
    source.read_exact(&mut bytes).unwrap();
    source.shutdown(Shutdown::Write).unwrap();
    source.read_to_end(&mut bytes).unwrap();
    let given = bytes.len();
    assert!(bytes.iter().all(|byte| *byte == 0));
    let expected = format!(
        "\"streams\":3,\"streams_closed\":3,\"echo_bytes\":14,\"sink_bytes\":300000,\
         \"source_bytes\":{given}}}"
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let counts = ask(
            addresses.http,
            "GET /origin/counts HTTP/1.1\r\nconnection: close\r\n\r\n",
        );
        if counts.ends_with(&expected) {
            break;
        }
        assert!(Instant::now() < deadline, "{counts} instead of {expected}");
    }
}
