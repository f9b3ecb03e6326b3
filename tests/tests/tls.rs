//! A gateway that speaks TLS, and curl and openssl as its clients: neither is ours.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use ringmain_tests::{
    Io,
    access_log::Line,
    certificates::{Authority, Files},
    client::Client,
    curl::{Output, curl},
    mesh::Mesh,
    nginx::Nginx,
    noise::noise,
    on_both,
    origin::Origin,
    wait,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, pem::PemObject},
};

on_both!(
    versions,
    large_bodies,
    a_plain_port_sends_its_clients_to_tls,
    certificates_by_name,
    a_request_for_the_host_of_another_certificate,
    clients_that_are_not_believed,
    clients_that_show_nothing,
    names_of_clients,
    plaintext_and_nonsense,
    certificates_are_swapped,
    sessions_are_resumed,
    what_is_said_of_certificates,
    services_within_tls,
    services_that_are_not_believed,
);

fn simple(files: &Files) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    format!("mode: SIMPLE, serverCertificate: {certificate}, privateKey: {key}")
}

fn mutual(files: &Files, authority: &Authority, more: &str) -> String {
    let text = simple(files).replace("SIMPLE", "MUTUAL");
    let authorities = authority.file();
    format!("{text}, caCertificates: {}{more}", authorities.display())
}

/// A gateway whose port is served so; `make` gets the directory for certificates.
fn mesh(io: Io, origin: &Origin, make: impl FnOnce(&Path) -> Vec<(String, String)>) -> Mesh {
    let builder = Mesh::builder(io).all_to("origin", &[origin.address()]);
    let servers = make(builder.directory());
    let address = builder.gateway();
    let mut text = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge}\n\
                    spec:\n  selector: {app: edge}\n  servers:\n"
        .to_owned();
    for (number, (host, tls)) in servers.iter().enumerate() {
        let (ip, port) = (address.ip(), address.port());
        writeln!(
            text,
            "  - port: {{number: {port}, name: https-{number}, protocol: HTTPS}}\n    \
             bind: {ip:?}\n    hosts: [{host:?}]\n    tls: {{{tls}}}"
        )
        .unwrap();
    }
    builder.resource("gateway", &text).start()
}

fn one(host: &str, tls: String) -> Vec<(String, String)> {
    vec![(host.to_owned(), tls)]
}

/// curl to the gateway by a name, which believes the authority.
fn ask(mesh: &Mesh, authority: &Authority, host: &str, more: &[&str]) -> Output {
    let gateway = mesh.gateway;
    let (ip, port) = (gateway.ip(), gateway.port());
    let resolve = format!("{host}:{port}:{ip}");
    let url = format!("https://{host}:{port}/");
    let authorities = authority.file();
    let fixed = [
        "--resolve",
        &resolve,
        "--cacert",
        authorities.to_str().unwrap(),
        &url,
    ];
    curl(fixed.into_iter().chain(more.iter().copied()))
}

fn check(output: &Output, expected: &str) {
    assert_eq!(output.code, 0, "{}", output.error);
    assert_eq!(output.text(), expected, "{}", output.error);
}

/// Lines of the log of connections that came to no TLS, once there are so many.
fn refused(mesh: &Mesh, count: usize) -> Vec<Line> {
    let metric = "ringmain_tls_handshakes_failed_total";
    mesh.proxy.wait_for_metric(metric, count as u64);
    let lines = wait::until(format!("{count} refused connections in the log"), || {
        let lines = mesh.proxy.log().into_iter();
        let lines: Vec<Line> = lines.filter(|line| line.get("method") == "-").collect();
        match lines.len() >= count {
            true => Ok(lines),
            false => Err(format!("{lines:#?}")),
        }
    });
    for line in &lines {
        assert_eq!(line.verdict(), "0 DPE", "{line:?}");
        let details = line.get("response_code_details");
        assert_eq!(details, "downstream_tls_handshake_failed");
    }
    lines
}

const WHY: &str = "upstream_transport_failure_reason";

fn versions(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        one("*", simple(&own.issue("a.example")))
    });
    let authority = authority.unwrap();
    for (more, expected) in [
        (&["--http2"][..], "hello 200 2"),
        (&["--http1.1"], "hello 200 1.1"),
        (&["--http1.1", "--tls-max", "1.2"], "hello 200 1.1"),
        (&["--http2", "--tls-max", "1.2"], "hello 200 2"),
        (&["--http1.1", "--no-alpn"], "hello 200 1.1"),
        (&["--http1.1", "--tlsv1.3"], "hello 200 1.1"),
    ] {
        let shown = ["-w", " %{http_code} %{http_version}"];
        let more: Vec<&str> = more.iter().chain(&shown).copied().collect();
        check(&ask(&mesh, &authority, "a.example", &more), expected);
    }
    let old = ask(&mesh, &authority, "a.example", &["--tls-max", "1.1"]);
    assert_ne!(old.code, 0);
    assert_eq!(origin.requests().len(), 6);
}

fn large_bodies(io: Io) {
    let origin = Origin::echo();
    let mut authority = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        one("*", simple(&own.issue("a.example")))
    });
    let authority = authority.unwrap();
    let body = noise(5_000_000);
    let file = mesh.directory().join("body");
    fs::write(&file, &body).unwrap();
    let data = format!("@{}", file.display());
    for version in ["--http1.1", "--http2"] {
        let more = [version, "--data-binary", &data, "-H", "expect:"];
        let output = ask(&mesh, &authority, "a.example", &more);
        assert_eq!(output.code, 0, "{}", output.error);
        assert!(output.out == body, "{} bytes came back", output.out.len());
    }
    mesh.finish();
}

fn a_plain_port_sends_its_clients_to_tls(io: Io) {
    let origin = Origin::saying("hello");
    let builder = Mesh::builder(io).all_to("origin", &[origin.address()]);
    let gateway = builder.gateway();
    let (ip, port) = (gateway.ip(), gateway.port());
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: edge}}\nspec:\n  \
         selector: {{app: edge}}\n  servers:\n  - port: {{number: {port}, name: http, \
         protocol: HTTP}}\n    \
         bind: {ip}\n    hosts: [a.example]\n    tls: {{httpsRedirect: true}}\n"
    );
    let mesh = builder.resource("gateway", &text).start();
    let mut client = Client::connect(mesh.gateway);
    let answer = client.exchange("GET /a?b=c HTTP/1.1\r\nHost: a.example:80\r\n\r\n");
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.get("location"), Some("https://a.example/a?b=c"));
    let answer = client.exchange("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
    assert_eq!(answer.status(), 404);
    drop(client);
    assert_eq!(mesh.finish().len(), 2);
    assert!(origin.requests().is_empty());
}

fn certificates_by_name(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        let server = |host: &str, name: &str| (host.to_owned(), simple(&own.issue(name)));
        vec![
            server("a.example", "a.example"),
            server("*.b.example", "*.b.example"),
        ]
    });
    let authority = authority.unwrap();
    for host in ["a.example", "x.b.example"] {
        check(&ask(&mesh, &authority, host, &[]), "hello");
    }
    // Nobody serves it: the client is told so.
    let other = ask(&mesh, &authority, "c.example", &["--insecure"]);
    assert_eq!(other.code, 35, "{}", other.error);
    assert!(other.error.contains("unrecognized name"), "{}", other.error);
    let lines = refused(&mesh, 1);
    assert_eq!(lines[0].get(WHY), "nobody serves the name c.example here");
    assert_eq!(lines[0].get("requested_server_name"), "c.example");
    let lines = mesh.proxy.wait_for_lines(3);
    assert_eq!(lines[0].get("requested_server_name"), "a.example");
    assert_eq!(lines[1].get("requested_server_name"), "x.b.example");
    assert_eq!(origin.requests().len(), 2);
}

fn a_request_for_the_host_of_another_certificate(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        let b = own.issue("b.example");
        vec![
            ("a.example".to_owned(), simple(&own.issue("a.example"))),
            ("b.example".to_owned(), mutual(&b, own, "")),
        ]
    });
    let authority = authority.unwrap();
    for version in ["--http1.1", "--http2"] {
        for (host, expected) in [
            ("a.example", "hello 200"),
            ("b.example", " 421"),
            ("B.EXAMPLE:443", " 421"),
            ("c.example", " 404"),
        ] {
            let field = format!("host: {host}");
            let more = [version, "-H", &field, "-w", " %{http_code}"];
            let output = ask(&mesh, &authority, "a.example", &more);
            assert_eq!(output.code, 0, "{}", output.error);
            let text = output.text();
            assert!(text.ends_with(expected), "{version} {host}: {text}");
        }
    }
    assert_eq!(origin.requests().len(), 2);
    let lines = mesh.finish();
    let misdirected = lines.iter().filter(|line| line.verdict() == "421 NR");
    assert_eq!(misdirected.count(), 4);
}

/// Each is refused, the log says why, and nothing goes on.
fn clients_that_are_not_believed(io: Io) {
    let origin = Origin::saying("hello");
    let mut authorities = None;
    let mut shown = Vec::new();
    let mesh = mesh(io, &origin, |directory| {
        let own = Authority::new(directory, "own");
        let other = Authority::new(directory, "other");
        let server = own.issue("a.example");
        let revoked = own.issue("revoked.example");
        let list = own.revoke(&[&revoked]);
        shown = vec![
            (own.issue_expired("c.example"), "Expired"),
            (own.issue_early("c.example"), "NotValidYet"),
            (other.issue("c.example"), "UnknownIssuer"),
            (revoked, "Revoked"),
        ];
        let tls = mutual(&server, &own, &format!(", caCrl: {}", list.display()));
        authorities = Some((own, other));
        one("*", tls)
    });
    let (own, _other) = authorities.unwrap();
    let good = own.issue("c.example");
    let as_client = |files: &Files| {
        let (certificate, key) = (files.certificate.to_str(), files.key.to_str());
        let more = ["--cert", certificate.unwrap(), "--key", key.unwrap()];
        ask(&mesh, &own, "a.example", &more)
    };
    check(&as_client(&good), "hello");
    for (count, (files, why)) in (1..).zip(&shown) {
        let output = as_client(files);
        assert_ne!(output.code, 0, "{why}: {}", output.text());
        let lines = refused(&mesh, count);
        let reason = lines[count - 1].get(WHY);
        assert!(reason.contains(why), "{reason}");
    }
    assert_eq!(origin.requests().len(), 1);
}

fn clients_that_show_nothing(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        let (a, b) = (own.issue("a.example"), own.issue("b.example"));
        let optional = mutual(&b, own, "").replace("MUTUAL", "OPTIONAL_MUTUAL");
        vec![
            ("a.example".to_owned(), mutual(&a, own, "")),
            ("b.example".to_owned(), optional),
        ]
    });
    let authority = authority.unwrap();
    let output = ask(&mesh, &authority, "a.example", &[]);
    assert_ne!(output.code, 0, "{}", output.text());
    let lines = refused(&mesh, 1);
    let reason = lines[0].get(WHY);
    assert!(reason.contains("peer sent no certificates"), "{reason}");
    check(&ask(&mesh, &authority, "b.example", &[]), "hello");
    assert_eq!(origin.requests().len(), 1);
}

fn names_of_clients(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let wanted = "spiffe://cluster.local/ns/shop/sa/web";
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        let server = own.issue("a.example");
        let names = format!(", subjectAltNames: [{wanted:?}]");
        one("*", mutual(&server, own, &names))
    });
    let authority = authority.unwrap();
    for (name, is_believed) in [
        (wanted, true),
        ("spiffe://cluster.local/ns/shop/sa/web2", false),
        ("web.example", false),
    ] {
        let files = authority.issue(name);
        let (certificate, key) = (files.certificate.to_str(), files.key.to_str());
        let more = ["--cert", certificate.unwrap(), "--key", key.unwrap()];
        let output = ask(&mesh, &authority, "a.example", &more);
        assert_eq!(output.code == 0, is_believed, "{name}: {}", output.error);
    }
    let lines = refused(&mesh, 2);
    let reason = lines[0].get(WHY);
    let expected =
        format!("its names are spiffe://cluster.local/ns/shop/sa/web2, but {wanted} is expected");
    assert!(reason.contains(&expected), "{reason}");
    assert_eq!(origin.requests().len(), 1);
}

fn plaintext_and_nonsense(io: Io) {
    let origin = Origin::saying("hello");
    let mesh = mesh(io, &origin, |directory| {
        let own = Authority::new(directory, "own");
        one("*", simple(&own.issue("a.example")))
    });
    for (count, (bytes, why)) in (1..).zip([
        (
            &b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"[..],
            "plaintext where TLS is required",
        ),
        (
            b"\x16\x03\x01\x00\x05\x02\0\0\0\0",
            "what came is no ClientHello",
        ),
    ]) {
        let mut client = Client::connect(mesh.gateway);
        client.send(bytes);
        let lines = refused(&mesh, count);
        assert_eq!(lines[count - 1].get(WHY), why);
    }
    assert!(origin.requests().is_empty());
}

/// The certificate that the gateway shows for a name, as text of its fingerprint.
fn fingerprint(mesh: &Mesh) -> String {
    let script = format!(
        "openssl s_client -connect {} -servername a.example </dev/null 2>/dev/null \
         | openssl x509 -noout -fingerprint -sha256",
        mesh.gateway
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A connection that stays open for as long as a test likes.
fn connect(mesh: &Mesh, authority: &Authority) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority.file()).unwrap();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "a.example".try_into().unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, TcpStream::connect(mesh.gateway).unwrap())
}

/// A connection that is open stays open, and the next one is shown the new certificate.
fn certificates_are_swapped(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let mut first = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        let files = first.insert(own.issue("a.example"));
        one("*", simple(files))
    });
    let (authority, first) = (authority.unwrap(), first.unwrap());
    let before = fingerprint(&mesh);
    assert!(before.contains("ingerprint"), "{before}");
    let mut client = connect(&mesh, &authority);
    let mut exchange = || {
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            .unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"hello") {
            let mut bytes = [0; 1024];
            let count = client.read(&mut bytes).unwrap();
            assert_ne!(count, 0, "{}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&bytes[..count]);
        }
    };
    exchange();
    let second = authority.issue("a.example");
    // One after the other: between the two they do not fit each other.
    fs::rename(&second.certificate, &first.certificate).unwrap();
    fs::rename(&second.key, &first.key).unwrap();
    wait::until("another certificate", || {
        let now = fingerprint(&mesh);
        match now != before && now.contains("ingerprint") {
            true => Ok(()),
            false => Err(now),
        }
    });
    exchange();
    drop(client);
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(origin.connections(), 1);
}

fn sessions_are_resumed(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        let (a, b) = (own.issue("a.example"), own.issue("b.example"));
        vec![
            ("a.example".to_owned(), simple(&a)),
            ("b.example".to_owned(), mutual(&b, own, "")),
        ]
    });
    let authority = authority.unwrap();
    let client = authority.issue("c.example");
    let file = mesh.directory().join("session");
    for (host, version, is_resumed) in [
        ("a.example", "-tls1_3", true),
        ("a.example", "-tls1_2", true),
        // Whose certificate was verified is verified again.
        ("b.example", "-tls1_3", false),
    ] {
        let connect = |session: &str| {
            let script = format!(
                "(printf 'GET / HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n'; \
                 cat) | openssl s_client -connect {} -servername {host} {version} -ign_eof \
                 -cert {} -key {} {session} {} 2>&1",
                mesh.gateway,
                client.certificate.display(),
                client.key.display(),
                file.display(),
            );
            let mut shell = Command::new("sh");
            let shell = shell.args(["-c", &script]).stdin(Stdio::null());
            String::from_utf8_lossy(&shell.output().unwrap().stdout).into_owned()
        };
        let first = connect("-sess_out");
        assert!(first.contains("hello"), "{host} {version}: {first}");
        if !file.exists() {
            assert!(!is_resumed, "{host} {version} gave no session: {first}");
            continue;
        }
        let second = connect("-sess_in");
        assert!(second.contains("hello"), "{host} {version}: {second}");
        assert_eq!(second.contains("Reused, "), is_resumed, "{second}");
        fs::remove_file(&file).unwrap();
    }
    let resumed = mesh.proxy.metric("ringmain_tls_handshakes_resumed_total");
    assert_eq!(resumed, 2);
}

fn what_is_said_of_certificates(io: Io) {
    let origin = Origin::saying("hello");
    let mut authority = None;
    let mesh = mesh(io, &origin, |directory| {
        let own = authority.insert(Authority::new(directory, "own"));
        let server = own.issue("a.example");
        let tls = mutual(&server, own, "").replace("MUTUAL", "OPTIONAL_MUTUAL");
        one("*", tls)
    });
    let authority = authority.unwrap();
    let files = authority.issue("spiffe://cluster.local/ns/shop/sa/web");
    let (certificate, key) = (files.certificate.to_str(), files.key.to_str());
    let forged = ["-H", "x-forwarded-client-cert: By=x;URI=spiffe://root"];
    let shown = ["--cert", certificate.unwrap(), "--key", key.unwrap()];
    check(&ask(&mesh, &authority, "a.example", &forged), "hello");
    let both: Vec<&str> = forged.iter().chain(&shown).copied().collect();
    check(&ask(&mesh, &authority, "a.example", &both), "hello");
    let requests = origin.requests();
    assert_eq!(requests[0].get("x-forwarded-client-cert"), None);
    let said = requests[1].get("x-forwarded-client-cert").unwrap();
    let (hash, rest) = said.split_once(';').unwrap();
    assert_eq!(hash.len(), "Hash=".len() + 64, "{said}");
    assert!(rest.starts_with("Subject=\""), "{said}");
    assert!(
        rest.ends_with(";URI=spiffe://cluster.local/ns/shop/sa/web"),
        "{said}"
    );
    for request in &requests {
        assert_eq!(request.get("x-forwarded-proto"), Some("https"));
    }
    mesh.finish();
}

/// A gateway in plain text whose service is reached within TLS, and what answers there.
fn before_nginx(io: Io, tls: impl FnOnce(&Authority, &Authority) -> String) -> (Mesh, Nginx) {
    let builder = Mesh::builder(io);
    let directory = builder.directory();
    let (own, other) = (
        Authority::new(directory, "own"),
        Authority::new(directory, "other"),
    );
    let files = own.issue("origin.test");
    let nginx = Nginx::tls(&files.certificate, &files.key, &own.file());
    fs::write(nginx.file("hello"), "hello").unwrap();
    let rule = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: origin}}\n\
         spec:\n  host: origin.test\n  trafficPolicy: {{tls: {{{}}}}}\n",
        tls(&own, &other)
    );
    let builder = builder.all_to("origin", &[nginx.address()]);
    let mesh = builder.resource("rule", &rule).start();
    (mesh, nginx)
}

fn client_pair(files: &Files) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    format!("clientCertificate: {certificate}, privateKey: {key}")
}

fn services_within_tls(io: Io) {
    let authorities = |own: &Authority| format!("caCertificates: {}", own.file().display());
    let simple = |own: &Authority, _: &Authority| format!("mode: SIMPLE, {}", authorities(own));
    let mutual = |own: &Authority, _: &Authority| {
        let pair = client_pair(&own.issue("c.example"));
        format!("mode: MUTUAL, {pair}, {}", authorities(own))
    };
    for is_mutual in [false, true] {
        let (mesh, _nginx) = match is_mutual {
            false => before_nginx(io, simple),
            true => before_nginx(io, mutual),
        };
        // Nginx demands a certificate for this path only.
        let path = if is_mutual { "/shown/hello" } else { "/hello" };
        for _ in 0..3 {
            check(&curl([mesh.url(path)]), "hello");
        }
        // One connection is kept, with the tickets that come on it.
        let opened = mesh.proxy.metric("ringmain_upstream_connections_total");
        assert_eq!(opened, 1);
        mesh.finish();
    }
}

fn services_that_are_not_believed(io: Io) {
    for (more, why) in [
        ("", "UnknownIssuer"),
        (", subjectAltNames: [other.test]", "UnknownIssuer"),
    ] {
        let (mesh, nginx) = before_nginx(io, |_, other| {
            let other = other.file();
            format!("mode: SIMPLE, caCertificates: {}{more}", other.display())
        });
        let output = curl(["-w", " %{http_code}", &mesh.url("/hello")]);
        assert!(output.text().ends_with(" 503"), "{}", output.text());
        let line = mesh.finish_one();
        assert!(line.verdict().starts_with("503 UF"), "{line:?}");
        assert!(line.get(WHY).contains(why), "{line:?}");
        drop(nginx);
    }
    let (mesh, _nginx) = before_nginx(io, |own, _| {
        let own = own.file();
        let names = "subjectAltNames: [other.test]";
        format!("mode: SIMPLE, caCertificates: {}, {names}", own.display())
    });
    let output = curl(["-w", " %{http_code}", &mesh.url("/hello")]);
    assert!(output.text().ends_with(" 503"), "{}", output.text());
    let line = mesh.finish_one();
    let why = "its names are origin.test, but other.test is expected";
    assert!(line.get(WHY).contains(why), "{line:?}");
}
