//! nginx, which answers `/hello` with five bytes and `/big` with a MiB, and writes down what it
//! saw.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::certificates::Certificates;

pub(crate) const HELLO: &str = "hello";
pub(crate) const BIG_BYTES: usize = 1 << 20;

/// A process of its own, ended when it is dropped.
pub(crate) struct Nginx {
    process: Child,
    address: SocketAddr,
    directory: TempDir,
}

/// One request, as nginx saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// As in `HTTP/2.0`.
    pub(crate) protocol: String,
    /// Empty without TLS.
    pub(crate) tls: String,
    pub(crate) is_resumed: bool,
    pub(crate) connection: u64,
    /// Of the request's body.
    pub(crate) bytes: u64,
}

impl Nginx {
    /// `listen` is what follows the address, such as `ssl http2`; `settings` are further lines.
    pub(crate) fn start(certificates: &Certificates, listen: &str, settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["files", "temp"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        fs::write(directory.path().join("files/big"), vec![b'x'; BIG_BYTES]).unwrap();
        let address = free_address();
        let text = configuration(certificates, address, listen, settings);
        let file = directory.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        let process = Command::new(program())
            .args(["-e", "stderr", "-p"])
            .arg(directory.path())
            .arg("-c")
            .arg(file)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is needed: tests/run installs it");
        let mut nginx = Self {
            process,
            address,
            directory,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            let ended = nginx.process.try_wait().unwrap();
            assert!(ended.is_none(), "nginx has ended: {ended:?}");
            assert!(Instant::now() < deadline, "nginx does not listen");
            thread::yield_now();
        }
        nginx
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw up to now and has not told before. It writes a request down once it has sent the
    /// answer, which may be a little later than it is read: `requests` are waited for.
    pub(crate) fn seen(&self, requests: usize) -> Vec<Seen> {
        let file = self.directory.path().join("temp/access.log");
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = fs::read_to_string(&file).unwrap();
            if text.lines().count() >= requests || Instant::now() > deadline {
                fs::write(&file, "").unwrap();
                return text.lines().map(Seen::parse).collect();
            }
            thread::yield_now();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Seen {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap();
        Self {
            protocol: next().to_owned(),
            tls: next().trim_matches('-').to_owned(),
            is_resumed: next() == "r",
            connection: next().parse().unwrap(),
            bytes: next().parse().unwrap_or(0),
        }
    }
}

fn program() -> &'static str {
    // Where Debian has it, which is not on every user's path.
    match std::path::Path::new("/usr/sbin/nginx").exists() {
        true => "/usr/sbin/nginx",
        false => "nginx",
    }
}

/// nginx does not tell which port the kernel gave it. On an address that no other test uses, one
/// that was free a moment ago still is.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low] = ((std::process::id() % 0xffff) as u16).to_be_bytes();
    let host = [127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed)];
    let listener = TcpListener::bind(SocketAddr::from((host, 0))).unwrap();
    listener.local_addr().unwrap()
}

/// One process in the foreground, nothing outside its directory.
fn configuration(
    certificates: &Certificates,
    address: SocketAddr,
    listen: &str,
    settings: &str,
) -> String {
    let certificate = certificates.certificate("server");
    let key = certificates.key("server");
    let authority = certificates.authority();
    format!(
        "daemon off;
master_process off;
pid temp/nginx.pid;
error_log stderr crit;
events {{ worker_connections 512; }}
http {{
    log_format seen '$server_protocol $ssl_protocol- $ssl_session_reused '
        '$connection $content_length';
    access_log temp/access.log seen;
    default_type application/octet-stream;
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {};
    ssl_certificate_key {};
    ssl_client_certificate {};
    server {{
        listen {address} {listen};
        root files;
        location = /hello {{ return 200 '{HELLO}'; }}
        {settings}
    }}
}}
",
        certificate.display(),
        key.display(),
        authority.display()
    )
}
