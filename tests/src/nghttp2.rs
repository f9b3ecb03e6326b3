//! The programs of nghttp2: a client, a server and a load generator that we did not write.

use std::{
    net::{SocketAddr, TcpStream},
    process::Command,
};

use tempfile::TempDir;

use crate::{place, process::Process, wait};

/// Runs `nghttp`, the client. Its standard output; a panic when it fails.
pub fn nghttp<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    run("nghttp", arguments)
}

/// What `h2load` says of its requests.
#[derive(Debug, PartialEq, Eq)]
pub struct Load {
    /// With an answer of 2xx.
    pub succeeded: u64,
    /// With another or none.
    pub failed: u64,
}

/// Runs `h2load`, the load generator.
pub fn h2load<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Load {
    let text = run("h2load", arguments);
    let number = |before: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with("requests:"));
        let counts = line.unwrap_or_else(|| panic!("no requests in {text}"));
        let mut parts = counts.split([',', ':']).map(str::trim);
        let part = parts.find_map(|part| part.strip_suffix(before));
        let digits = part.unwrap_or_else(|| panic!("no {before} in {counts:?}"));
        digits.parse().unwrap()
    };
    Load {
        succeeded: number(" succeeded"),
        failed: number(" failed") + number(" errored") + number(" timeout"),
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "{program}: {out}\n{error}");
    out
}

/// `nghttpd`, a server of files.
pub struct Nghttpd {
    process: Process,
    address: SocketAddr,
    directory: TempDir,
}

impl Nghttpd {
    /// Serves an empty directory, with these options of its own.
    pub fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = place::free(place::address());
        let (port, ip) = (address.port().to_string(), address.ip().to_string());
        let own = ["--no-tls", "--address", &ip, "--htdocs"];
        let files = directory.path().to_str().unwrap();
        let arguments = [options, &own, &[files, &port]].concat();
        let process = Process::start("nghttpd", arguments);
        let mut server = Self {
            process,
            address,
            directory,
        };
        wait::until("nghttpd to listen", || {
            if !server.process.is_running() {
                panic!("nghttpd has ended: {}", server.process.error());
            }
            TcpStream::connect(address).map(drop)
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes a file below `/`.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.directory.path().join(name), bytes).unwrap();
    }
}
