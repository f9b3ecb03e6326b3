//! Servers that are not ours, for what is spoken besides HTTP/1.1 over TCP.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use ringmain_tests::{nginx::Nginx, place};
use tempfile::TempDir;
use tungstenite::Message;

/// The bytes of `/hello`.
pub(crate) const HELLO: &str = "hello, world\n";

/// Certificates that openssl made: an authority, and signed by it `server` for one address and
/// `client`.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn new(server: SocketAddr) -> Self {
        let certificates = Self(tempfile::tempdir().unwrap());
        // Instead of what the host's configuration would add.
        let plain = "[req]\ndistinguished_name = name\n[name]\n";
        std::fs::write(certificates.file("plain.cnf"), plain).unwrap();
        certificates.make("authority", &["basicConstraints=critical,CA:TRUE"]);
        let host = format!("subjectAltName=IP:{}", server.ip());
        let leaf = "basicConstraints=critical,CA:FALSE";
        certificates.make("server", &[leaf, &host]);
        certificates.make("client", &[leaf, "extendedKeyUsage=clientAuth"]);
        certificates
    }

    fn make(&self, name: &str, extensions: &[&str]) {
        let [certificate, key] = [format!("{name}.pem"), format!("{name}.key")];
        let mut openssl = Command::new("openssl");
        openssl.current_dir(self.0.path());
        openssl.args(["req", "-x509", "-config", "plain.cnf", "-days", "2"]);
        openssl.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-nodes", "-keyout", &key, "-out", &certificate]);
        openssl.args(["-subj", &format!("/CN={name}")]);
        if name != "authority" {
            openssl.args(["-CA", "authority.pem", "-CAkey", "authority.key"]);
        }
        for extension in extensions {
            openssl.args(["-addext", extension]);
        }
        let output = openssl.output().expect("openssl is there");
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// As an argument.
    pub(crate) fn text(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }
}

/// nginx with HTTP/1.1 and HTTP/2, over TLS and without, that writes down what it has seen.
pub(crate) struct Peer {
    pub(crate) nginx: Nginx,
    pub(crate) certificates: Certificates,
    /// HTTP/1.1 and HTTP/2 by ALPN. `/private` is for clients with a certificate.
    pub(crate) tls: SocketAddr,
    /// HTTP/2 with prior knowledge.
    pub(crate) h2c: SocketAddr,
}

/// The path of a unary call that is answered with an empty message.
pub(crate) const CALL: &str = "/echo.Echo/Say";

impl Peer {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// `locations` are further ones.
    pub(crate) fn with(locations: &str) -> Self {
        let [tls, h2c] = [(); 2].map(|()| place::free(place::address()));
        let certificates = Certificates::new(tls);
        let [certificate, key, authority] =
            ["server.pem", "server.key", "authority.pem"].map(|name| certificates.text(name));
        // A call is a POST, to which files answer 405: then it is made a GET of the same file.
        let nginx = Nginx::start(&format!(
            "listen {tls} ssl http2;
        listen {h2c} http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_client_certificate {authority};
        ssl_verify_client optional;
        access_log temp/seen.log seen;
        location = /private {{ if ($ssl_client_verify != SUCCESS) {{ return 403; }} }}
        location = {CALL} {{
            default_type application/grpc;
            add_trailer grpc-status 0;
            error_page 405 =200 $uri;
        }}
        {locations}"
        ));
        std::fs::create_dir(nginx.file("echo.Echo")).unwrap();
        // An empty message, not compressed.
        std::fs::write(nginx.file(&CALL[1..]), [0; 5]).unwrap();
        for name in ["hello", "private"] {
            std::fs::write(nginx.file(name), HELLO).unwrap();
        }
        Self {
            nginx,
            certificates,
            tls,
            h2c,
        }
    }

    /// What it wrote down about its only run so far, which has sent this many requests: what each
    /// of them was in these words, and how many connections they came on.
    pub(crate) fn saw(&self, requests: usize, what: &str) -> usize {
        let lines = self.nginx.seen(requests);
        assert_eq!(lines.len(), requests, "{lines:?}");
        let connections: BTreeSet<_> = lines
            .iter()
            .map(|line| {
                let words: Vec<_> = line.splitn(6, ' ').collect();
                assert_eq!(words[..4].join(" "), what, "{line}");
                words[4]
            })
            .collect();
        connections.len()
    }
}

/// A WebSocket server on the tungstenite crate that sends every message back.
pub(crate) struct WebSockets {
    server: Server,
    messages: Arc<AtomicU64>,
}

impl WebSockets {
    pub(crate) fn start() -> Self {
        let messages = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&messages);
        let server = Server::start(move |stream| {
            let mut socket = tungstenite::accept(stream).map_err(|error| error.to_string())?;
            // A client may leave at any time.
            while let Ok(Message::Binary(payload)) = socket.read() {
                count.fetch_add(1, Ordering::SeqCst);
                let sent = socket.send(Message::Binary(payload));
                sent.map_err(|error| error.to_string())?;
            }
            Ok(())
        });
        Self { server, messages }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::SeqCst)
    }
}

/// Takes all bytes that come, and sends some for as long as they do.
pub(crate) struct Streams {
    server: Server,
    received: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Streams {
    pub(crate) fn start(sends: bool) -> Self {
        let (received, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counts = (Arc::clone(&received), Arc::clone(&sent));
        let server = Server::start(move |stream| stream_both_ways(stream, sends, &counts));
        Self {
            server,
            received,
            sent,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

/// `counts`: bytes received and sent.
fn stream_both_ways(
    mut stream: TcpStream,
    sends: bool,
    (received, sent): &(Arc<AtomicU64>, Arc<AtomicU64>),
) -> Result<(), String> {
    let mut reader = stream.try_clone().map_err(|error| error.to_string())?;
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let mut bytes = [0; 50_000];
            loop {
                match reader.read(&mut bytes) {
                    Ok(0) => return Ok(()),
                    Ok(count) => received.fetch_add(count as u64, Ordering::SeqCst),
                    Err(error) => return Err(format!("receiving: {error}")),
                };
            }
        });
        while sends && !reading.is_finished() {
            let count = stream.write(&[b'x'; 30_000]);
            let count = count.map_err(|error| format!("sending: {error}"))?;
            sent.fetch_add(count as u64, Ordering::SeqCst);
        }
        reading.join().expect("nothing in it panics")
    })
}

/// Serves each connection on a thread of its own, until it is dropped. Then all connections must
/// have come to their ends, and none with an error.
struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    /// What went wrong, of every connection.
    accepting: Option<JoinHandle<Vec<String>>>,
}

impl Server {
    fn start(serve: impl Fn(TcpStream) -> Result<(), String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (serve, over) = (Arc::new(serve), Arc::clone(&is_over));
        let accepting = thread::spawn(move || {
            let mut serving = Vec::new();
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let serve = Arc::clone(&serve);
                serving.push(thread::spawn(move || {
                    serve(stream.map_err(|error| format!("accepting: {error}"))?)
                }));
            }
            let ends = serving.into_iter().map(|serving| serving.join());
            ends.filter_map(|end| match end {
                Ok(end) => end.err(),
                Err(_) => Some("a thread panicked".to_owned()),
            })
            .collect()
        });
        Self {
            address,
            is_over,
            accepting: Some(accepting),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            // What failed already says more.
            return;
        }
        self.is_over.store(true, Ordering::SeqCst);
        // So that it sees that.
        TcpStream::connect(self.address).unwrap();
        let accepting = self.accepting.take().expect("it is dropped once");
        assert_eq!(accepting.join().unwrap(), [""; 0]);
    }
}
