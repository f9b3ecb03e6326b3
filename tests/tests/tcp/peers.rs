//! Protocols that are none of the proxy's business, between peers that we did not write: HTTP
//! between curl and nginx, TLS between two ends of OpenSSL.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ringmain_tests::{Io, curl::curl, nginx::Nginx, on_both, place, process::Process};

use crate::gateway::{builder, finish_one};

on_both!(http, tls);

fn http(io: Io) {
    let nginx = Nginx::start("");
    let large: Vec<u8> = (0..3_000_000_usize).map(|at| (at % 251) as u8).collect();
    std::fs::write(nginx.file("large"), &large).unwrap();
    std::fs::write(nginx.file("small"), "hello").unwrap();
    let (builder, gateway) = builder(io, nginx.address(), "connectTimeout: 5s");
    let mesh = builder.start();
    let url = |path: &str| format!("http://{gateway}/{path}");
    let upload = mesh.directory().join("upload");
    std::fs::write(&upload, &large).unwrap();
    let got = mesh.directory().join("got");
    let arguments = [
        // One connection for all of it.
        url("small"),
        "-w".to_owned(),
        " %{num_connects};".to_owned(),
        "--next".to_owned(),
        "--silent".to_owned(),
        "-T".to_owned(),
        upload.to_str().unwrap().to_owned(),
        "-w".to_owned(),
        "%{http_code} %{num_connects};".to_owned(),
        url("copy"),
        "--next".to_owned(),
        "--silent".to_owned(),
        "-o".to_owned(),
        got.to_str().unwrap().to_owned(),
        "-w".to_owned(),
        "%{http_code} %{num_connects}".to_owned(),
        url("large"),
    ];
    let output = curl(arguments);
    assert_eq!(output.code, 0, "{}", output.error);
    assert_eq!(output.text(), "hello 1;201 0;200 0");
    assert!(std::fs::read(&got).unwrap() == large);
    assert!(std::fs::read(nginx.file("copy")).unwrap() == large);
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 -");
    for direction in ["bytes_received", "bytes_sent"] {
        let moved = line.number(direction);
        assert!((3_000_000..3_010_000).contains(&moved), "{}", line.text);
    }
}

/// A certificate for `db.test` that signed itself, and its key.
fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join("db.pem"), directory.join("db.key"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args([
            "-subj",
            "/CN=db.test",
            "-addext",
            "subjectAltName=DNS:db.test",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is there: tests/run installs it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    (certificate, key)
}

/// The server that OpenSSL has for tests: it answers each request with what was agreed on.
fn tls_server(address: SocketAddr, certificate: &Path, key: &Path) -> Process {
    let address = address.to_string();
    let arguments = ["s_server", "-www", "-accept", &address, "-cert"];
    let arguments = arguments.iter().map(Path::new);
    let files = [certificate, Path::new("-key"), key];
    let mut server = Process::start("openssl", arguments.chain(files));
    server.wait_for("ACCEPT");
    server
}

/// The client sees the server's own certificate and nobody in between.
fn tls(io: Io) {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(directory.path());
    let address = place::free(place::address());
    let _server = tls_server(address, &certificate, &key);
    let (builder, gateway) = builder(io, address, "connectTimeout: 5s");
    let mesh = builder.start();
    let mut client = Command::new("timeout")
        .args([
            "20",
            "openssl",
            "s_client",
            "-quiet",
            "-verify_return_error",
        ])
        .args(["-servername", "db.test", "-verify_hostname", "db.test"])
        .args(["-connect", &gateway.to_string(), "-CAfile"])
        .arg(&certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let output = client.wait_with_output().unwrap();
    drop(input);
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{error}");
    assert!(text.starts_with("HTTP/1.0 200 ok\r\n"), "{text}{error}");
    assert!(text.contains("TLSv1.3"), "{text}");
    let line = finish_one(mesh);
    assert_eq!(line.verdict(), "0 -");
    assert!(line.number("bytes_received") > 300, "{}", line.text);
}
