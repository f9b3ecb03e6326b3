//! curl, nghttp and h2load as clients, nginx and nghttpd as origins: none is ours.

use ringmain_tests::{
    Io,
    curl::curl,
    mesh::Mesh,
    nghttp2::{Load, Nghttpd, h2load, nghttp},
    nginx::Nginx,
    noise::noise,
    on_both,
};

use super::pair::{PAIRS, Pair, Speaks};

on_both!(
    curl_and_nginx,
    curl_waits_for_continue,
    curl_is_refused_while_it_sends,
    nghttp_and_nghttpd,
    h2load_loses_nothing,
    http1_clients_share_a_connection_to_nginx,
);

/// nginx behind a mesh, both as the pair says.
fn start(io: Io, pair: Pair, locations: &str) -> (Mesh, Nginx) {
    let builder = Mesh::builder(io);
    match pair.1 {
        Speaks::Http1 => {
            let nginx = Nginx::start(locations);
            (builder.all_to("files", &[nginx.address()]).start(), nginx)
        }
        Speaks::Http2 => {
            let nginx = Nginx::http2(locations);
            let builder = builder.all_to_http2("files", &[nginx.address()]);
            (builder.start(), nginx)
        }
    }
}

fn protocol(pair: Pair) -> &'static str {
    match pair.0 {
        Speaks::Http1 => "--http1.1",
        Speaks::Http2 => "--http2-prior-knowledge",
    }
}

/// What came of each curl, in the words of `-w`, and how long the log is in the end.
fn curl_and_nginx(io: Io) {
    let bytes = noise(3_000_000);
    for pair in PAIRS {
        let (mesh, nginx) = start(
            io,
            pair,
            "location = /said { return 200 \"$request_method $server_protocol $host $http_te\"; }
             location = /empty { return 204; }
             location = /many { add_header x-a 1; add_header x-b 2; return 200 'x'; }",
        );
        std::fs::write(nginx.file("large"), &bytes).unwrap();
        let upload = mesh.directory().join("upload");
        std::fs::write(&upload, &bytes).unwrap();
        let (upload, version) = (
            upload.to_str().unwrap(),
            match pair.0 {
                Speaks::Http1 => "1.1",
                Speaks::Http2 => "2",
            },
        );
        // curl then says nothing of its length.
        let unknown = match pair.0 {
            Speaks::Http1 => "transfer-encoding: chunked",
            Speaks::Http2 => "content-length:",
        };
        let check = |arguments: &[&str], path: &str, expected: &str| {
            let url = mesh.url(path);
            let fixed = [protocol(pair), "-w", " %{http_code} %{http_version}", &url];
            let output = curl(fixed.iter().chain(arguments));
            assert_eq!(output.code, 0, "{pair:?} {path}: {}", output.error);
            let expected = format!("{expected} {version}");
            assert_eq!(output.text(), expected, "{pair:?} {path}");
        };
        let spoken = match pair.1 {
            Speaks::Http1 => "HTTP/1.1",
            Speaks::Http2 => "HTTP/2.0",
        };
        check(
            &["-H", "host: a.test"],
            "/said",
            &format!("GET {spoken} a.test  200"),
        );
        check(
            &["-H", "te: trailers"],
            "/said",
            &format!("GET {spoken} {} trailers 200", mesh.gateway.ip()),
        );
        check(&[], "/empty", " 204");
        check(&["-o", "/dev/null"], "/none", " 404");
        check(&["-T", upload], "/put", " 201");
        assert!(
            std::fs::read(nginx.file("put")).unwrap() == bytes,
            "{pair:?}"
        );
        check(&["-T", upload, "-H", unknown], "/chunked", " 201");
        assert!(
            std::fs::read(nginx.file("chunked")).unwrap() == bytes,
            "{pair:?}"
        );
        check(&["-X", "DELETE"], "/put", " 204");

        let head = curl(["--head", protocol(pair), &mesh.url("/large")]).text();
        assert!(
            head.to_ascii_lowercase()
                .contains("content-length: 3000000\r\n"),
            "{head}"
        );
        let large = curl([protocol(pair), &mesh.url("/large")]);
        assert!(
            large.code == 0 && large.out == bytes,
            "{pair:?}: {}",
            large.error
        );
        let lines = mesh.finish();
        assert_eq!(lines.len(), 9);
        assert!(
            lines.iter().all(|line| line.get("response_flags") == "-"),
            "{lines:#?}"
        );
    }
}

/// curl waits half a minute for it, longer than it may run at all. nginx says it over HTTP/1 only.
fn curl_waits_for_continue(io: Io) {
    for pair in [PAIRS[0], PAIRS[2]] {
        let (mesh, nginx) = start(io, pair, "");
        let file = mesh.directory().join("upload");
        std::fs::write(&file, noise(100_000)).unwrap();
        let output = curl([
            protocol(pair),
            "--expect100-timeout",
            "30",
            "-H",
            "Expect: 100-continue",
            "-T",
            file.to_str().unwrap(),
            "-w",
            "%{http_code}",
            &mesh.url("/file"),
        ]);
        assert_eq!(
            (output.code, output.text().as_str()),
            (0, "201"),
            "{pair:?}"
        );
        assert!(std::fs::read(nginx.file("file")).unwrap() == noise(100_000));
        mesh.finish_one();
    }
}

/// nginx says 413 when it sees the head. curl 7.88 forgets such an answer over HTTP/2, with or
/// without a proxy between the two.
fn curl_is_refused_while_it_sends(io: Io) {
    for pair in [PAIRS[0], PAIRS[1]] {
        let small = "location /small { client_max_body_size 1k; proxy_pass http://127.0.0.1:1; }";
        let (mesh, _nginx) = start(io, pair, small);
        let file = mesh.directory().join("upload");
        std::fs::write(&file, noise(500_000)).unwrap();
        let output = curl([
            protocol(pair),
            "-H",
            "Expect:",
            "-T",
            file.to_str().unwrap(),
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &mesh.url("/small"),
        ]);
        assert_eq!(output.text(), "413", "{pair:?}: {}", output.error);
        assert_eq!(mesh.finish_one().verdict(), "413 -", "{pair:?}");
    }
}

fn nghttp_and_nghttpd(io: Io) {
    let server = Nghttpd::start(&["--trailer", "x-sum: 1", "--echo-upload"]);
    server.write("hello", b"hello, world\n");
    let mesh = Mesh::builder(io)
        .all_to_http2("files", &[server.address()])
        .start();
    let (url, file) = (mesh.url("/hello"), mesh.directory().join("upload"));
    let bytes = noise(300_000);
    std::fs::write(&file, &bytes).unwrap();
    let file = file.to_str().unwrap();

    assert_eq!(nghttp([url.as_str()]), "hello, world\n");
    let verbose = nghttp(["-v", "-n", &url]);
    assert!(verbose.contains("x-sum: 1"), "trailers: {verbose}");
    // Ten at once on one connection.
    assert_eq!(nghttp(["-m", "10", &url]), "hello, world\n".repeat(10));
    // A body in many small frames, of unknown length, with trailers behind it.
    let echoed = nghttp([
        "-v",
        "-n",
        "-d",
        file,
        "--no-content-length",
        "--trailer",
        "x-t: 1",
        &url,
    ]);
    assert!(echoed.contains(":status: 200"), "{echoed}");
    // Without dynamic table, with small frames and windows.
    let small = nghttp(["-d", file, "--window-bits", "8", "-c", "0", &url]);
    assert_eq!(small.len(), String::from_utf8_lossy(&bytes).len());
    let lines = mesh.finish();
    assert_eq!(lines.len(), 14);
    assert!(
        lines.iter().all(|line| line.verdict() == "200 -"),
        "{lines:#?}"
    );
}

/// Eight connections with a hundred streams each. nginx ends a connection of HTTP/2 after a
/// thousand requests, and one of HTTP/1, too.
fn h2load_loses_nothing(io: Io) {
    const REQUESTS: usize = 4000;
    for pair in [PAIRS[2], PAIRS[3]] {
        let (mesh, nginx) = start(io, pair, "");
        std::fs::write(nginx.file("file"), noise(2000)).unwrap();
        let (count, url) = (REQUESTS.to_string(), mesh.url("/file"));
        let load = h2load(["-n", &count, "-c", "8", "-m", "100", &url]);
        let expected = Load {
            succeeded: REQUESTS as u64,
            failed: 0,
        };
        assert_eq!(load, expected, "{pair:?}");
        let lines = mesh.finish();
        assert_eq!(lines.len(), REQUESTS, "{pair:?}");
        assert!(
            lines.iter().all(|line| line.verdict() == "200 -"),
            "{pair:?}"
        );
    }
}

fn http1_clients_share_a_connection_to_nginx(io: Io) {
    let (mesh, nginx) = start(
        io,
        PAIRS[1],
        "location /who { return 200 \"$connection \"; }",
    );
    let output = curl([
        "--http1.1",
        "--parallel",
        "--parallel-immediate",
        "--parallel-max",
        "50",
        &mesh.url("/who?[1-200]"),
    ]);
    assert_eq!(output.code, 0, "{}", output.error);
    let text = output.text();
    let connections: Vec<_> = text.split_whitespace().collect();
    assert_eq!(connections.len(), 200);
    assert!(
        connections.iter().all(|number| *number == connections[0]),
        "{connections:?}"
    );
    drop(nginx);
    assert_eq!(mesh.finish().len(), 200);
}
