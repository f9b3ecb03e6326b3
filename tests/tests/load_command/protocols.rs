//! What is spoken besides HTTP/1.1 over TCP: what the server has seen is what the result says.

use ringmain_tests::{Io, on_both, origin::Origin, place, process::Process};
use serde_json::{Value, json};

use crate::{
    load, measure,
    peer::{CALL, Certificates, HELLO, Peer, Streams, WebSockets},
};

on_both!(
    https_by_alpn,
    clients_with_certificates,
    http2_without_tls,
    grpc_calls,
    websocket_messages,
    bytes_that_come_back,
    streams_of_bytes,
);

/// A run of `requests` that all succeed.
fn all_well(io: Io, requests: u64, arguments: &[&str]) -> Value {
    let requests_text = requests.to_string();
    let mut all = vec!["-n", &requests_text, "--io", io.name()];
    all.extend(arguments);
    let (result, error) = measure(0, &all);
    assert_eq!(error, "");
    assert_eq!(result["errors"], json!({}), "{result}");
    for name in ["requests", "answered"] {
        assert_eq!(result[name], requests, "{result}");
    }
    assert_eq!(result["failed"], 0, "{result}");
    result
}

fn https_by_alpn(io: Io) {
    for (flag, protocol, version, streams) in [
        ("--quiet", "h2 or http/1.1", "HTTP/2.0", "5"),
        ("--http2", "h2", "HTTP/2.0", "5"),
        ("--http1", "http/1.1", "HTTP/1.1", "1"),
    ] {
        let peer = Peer::start();
        let hello = format!("https://{}/hello", peer.tls);
        let authority = peer.certificates.text("authority.pem");
        let arguments = [
            &hello, flag, "-c", "4", "-m", streams, "--cacert", &authority,
        ];
        let result = all_well(io, 200, &arguments);
        assert_eq!(result["protocol"], protocol);
        assert_eq!(result["status"], json!({ "200": 200 }));
        assert_eq!(result["generator"]["connections_opened"], 4);
        let what = format!("GET /hello 200 {version}");
        assert_eq!(peer.saw(200, &what), 4, "{protocol}");
        let bodies = 200 * HELLO.len() as u64;
        let bytes = result["bytes_in"].as_u64().unwrap();
        match version {
            // Its heads have no size that belongs to an answer.
            "HTTP/2.0" => assert_eq!(bytes, bodies),
            _ => assert!(bytes > bodies, "{bytes}"),
        }
    }
}

/// Trust is asked for: by the authority, or not at all.
#[test]
fn servers_that_are_not_trusted() {
    let peer = Peer::start();
    let hello = format!("https://{}/hello", peer.tls);
    let (result, error) = measure(1, &[&hello, "-n", "3", "-c", "1"]);
    assert_eq!(result["errors"], json!({ "tls": 3 }));
    assert!(error.contains("UnknownIssuer"), "{error}");
    all_well(Io::Epoll, 3, &[&hello, "-c", "1", "--insecure"]);
    // The other runs came to no request.
    peer.saw(3, "GET /hello 200 HTTP/2.0");
}

fn clients_with_certificates(io: Io) {
    let peer = Peer::start();
    let private = format!("https://{}/private", peer.tls);
    let [authority, certificate, key] =
        ["authority.pem", "client.pem", "client.key"].map(|name| peer.certificates.text(name));
    let trust = [&private, "-c", "2", "--cacert", &authority];
    let mut known = trust.to_vec();
    known.extend(["--cert", &certificate, "--key", &key]);
    let result = all_well(io, 10, &known);
    assert_eq!(result["status"], json!({ "200": 10 }));
    peer.saw(10, "GET /private 200 HTTP/2.0");
    let lines = peer.nginx.seen(10);
    assert!(
        lines.iter().all(|line| line.ends_with(" CN=client")),
        "{lines:?}"
    );

    let mut unknown = vec!["-n", "10"];
    unknown.extend(trust);
    let (result, _) = measure(0, &unknown);
    assert_eq!(result["status"], json!({ "403": 10 }));
    // One without the other is no certificate.
    let (code, _, error) = load(&[&private, "--cert", &certificate]);
    assert_eq!(code, 2, "{error}");
}

fn http2_without_tls(io: Io) {
    let peer = Peer::start();
    let hello = format!("http://{}/hello", peer.h2c);
    let result = all_well(io, 300, &[&hello, "--http2", "-c", "3", "-m", "10"]);
    assert_eq!(
        (&result["protocol"], &result["streams"]),
        (&json!("h2"), &json!(10))
    );
    assert_eq!(result["bytes_in"], 300 * HELLO.len() as u64);
    assert_eq!(peer.saw(300, "GET /hello 200 HTTP/2.0"), 3);
}

fn grpc_calls(io: Io) {
    let peer = Peer::start();
    let call = format!("grpc://{}{CALL}", peer.h2c);
    let result = all_well(io, 50, &[&call, "-c", "2", "-m", "3", "--body", "abc"]);
    // The status of a call is grpc-status, which comes behind the message.
    assert_eq!(result["status"], json!({ "0": 50 }));
    // A message has five bytes before it.
    assert_eq!(
        (&result["bytes_in"], &result["bytes_out"]),
        (&json!(250), &json!(400))
    );
    assert_eq!(peer.saw(50, &format!("GET {CALL} 200 HTTP/2.0")), 2);

    let peer = Peer::start();
    let call = format!("grpcs://{}{CALL}", peer.tls);
    let authority = peer.certificates.text("authority.pem");
    let result = all_well(io, 20, &[&call, "-c", "2", "--cacert", &authority]);
    assert_eq!(result["status"], json!({ "0": 20 }));
    let unknown = format!("grpcs://{}/no.Such/Call", peer.tls);
    let arguments = [&unknown, "-n", "5", "-c", "1", "--cacert", &authority];
    let (result, _) = measure(0, &arguments);
    // HTTP's 404 is gRPC's UNIMPLEMENTED.
    assert_eq!(result["status"], json!({ "12": 5 }));
    assert_eq!(result["failed"], 5);
    assert_eq!(peer.nginx.seen(25).len(), 25);
}

/// Directly, and under the TLS of nginx.
fn websocket_messages(io: Io) {
    let server = WebSockets::start();
    let upgrade = format!(
        "location /upgrade {{
            proxy_pass http://{};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}",
        server.address()
    );
    let peer = Peer::with(&upgrade);
    let authority = peer.certificates.text("authority.pem");
    let secure = format!("wss://{}/upgrade", peer.tls);
    let direct = format!("ws://{}/", server.address());
    for (round, arguments) in [
        &[&direct, "-c", "4", "--body-size", "70000"][..],
        &[
            &secure,
            "-c",
            "4",
            "--body-size",
            "70000",
            "--cacert",
            &authority,
        ],
    ]
    .iter()
    .enumerate()
    {
        let result = all_well(io, 100, arguments);
        assert_eq!(result["protocol"], "websocket");
        assert_eq!(result["generator"]["connections_opened"], 4);
        assert_eq!(server.messages(), 100 * (round as u64 + 1));
        assert!(result["bytes_in"].as_u64().unwrap() > 7_000_000, "{result}");
    }
}

/// Sends back what comes, until the end.
fn echo() -> Origin {
    Origin::start(|conversation| {
        let mut sent = 0;
        while matches!(conversation.wire.fill(), Ok(true)) {
            let rest = conversation.wire.unread()[sent..].to_vec();
            sent += rest.len();
            if !conversation.send(rest) {
                return;
            }
        }
    })
}

fn bytes_that_come_back(io: Io) {
    let origin = echo();
    let target = format!("tcp-echo://{}", origin.address());
    let result = all_well(io, 100, &[&target, "-c", "4", "--body-size", "10000"]);
    assert_eq!(result["protocol"], "tcp-echo");
    for name in ["bytes_in", "bytes_out"] {
        assert_eq!(result[name], 1_000_000, "{name}");
    }
    assert_eq!(
        (origin.received_bytes(), origin.connections()),
        (1_000_000, 4)
    );
}

/// Each direction by itself and both at once: whatever was sent has arrived when the run is over.
fn streams_of_bytes(io: Io) {
    for (direction, sends, receives) in [
        ("send", true, false),
        ("receive", false, true),
        ("both", true, true),
    ] {
        let server = Streams::start(receives);
        let target = format!("tcp-stream://{}", server.address());
        let arguments = [
            &target,
            "--direction",
            direction,
            "-d",
            "100ms",
            "-c",
            "2",
            "--io",
            io.name(),
        ];
        let (result, error) = measure(0, &arguments);
        assert_eq!((error.as_str(), &result["mode"]), ("", &json!("stream")));
        assert_eq!(result["protocol"], format!("tcp-stream {direction}"));
        assert_eq!(result["errors"], json!({}));
        assert_eq!(result["drained"]["cut"], 0, "{result}");
        let moved = |name: &str| {
            let drained = &result["drained"][name];
            result[name].as_u64().unwrap() + drained.as_u64().unwrap()
        };
        let [bytes_in, bytes_out] = ["bytes_in", "bytes_out"].map(moved);
        assert_eq!(
            (bytes_in, bytes_out),
            (server.sent(), server.received()),
            "{direction}"
        );
        assert_eq!(
            (bytes_in > 0, bytes_out > 0),
            (receives, sends),
            "{direction}"
        );
    }
}

/// `openssl s_server -rev` sends each line back turned round. This one stays the same.
#[test]
fn bytes_that_come_back_over_tls() {
    let address = place::free(place::address());
    let certificates = Certificates::new(address);
    let accept = address.to_string();
    let [certificate, key, authority] =
        ["server.pem", "server.key", "authority.pem"].map(|name| certificates.text(name));
    let arguments = [
        "s_server",
        "-rev",
        "-accept",
        &accept,
        "-cert",
        &certificate,
        "-key",
        &key,
    ];
    let mut openssl = Process::start("openssl", arguments);
    openssl.wait_for("ACCEPT");
    let target = format!("tls-echo://{address}");
    let line = ["--body", "level\n"];
    let mut arguments = vec![target.as_str(), "-c", "1", "--cacert", &authority];
    arguments.extend(line);
    let result = all_well(Io::Epoll, 20, &arguments);
    assert_eq!(
        (&result["bytes_in"], &result["bytes_out"]),
        (&json!(120), &json!(120))
    );
}
