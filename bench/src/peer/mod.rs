//! The programs that are measured, one file each; their configurations lie in `bench/peers/`.

use std::{
    fs, io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::{
    bench::Bench,
    client::{Client, Connection},
    process::{Process, Program, wait_until},
    table::Table,
};

pub mod envoy;
pub mod haproxy;
pub mod nginx;
pub mod ringmain;

/// How long a program may take to start; under valgrind that is long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// This one.
    #[value(skip)]
    Ringmain,
    /// haproxy.
    Haproxy,
    /// nginx, as a proxy.
    Nginx,
    /// Envoy.
    Envoy,
}

/// What a proxy has to do.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// What it carries.
    pub carries: Carries,
    /// Where to.
    pub origin: SocketAddr,
    /// Cores, and threads that carry.
    pub workers: u32,
}

/// What a proxy carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// HTTP/1.1 by these routes.
    Http(Table, Size),
    /// HTTP by one route, small, of these versions: the client's and the origin's.
    Versions(Version, Version),
    /// HTTP/1.1 by one route, small, the client's within TLS.
    Tls,
    /// Bytes.
    Tcp(Size),
}

/// Of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2 in plain text, with prior knowledge.
    Two,
}

impl Carries {
    /// Its routes, when it is HTTP.
    pub fn table(self) -> Option<Table> {
        match self {
            Self::Http(table, _) => Some(table),
            Self::Versions(..) | Self::Tls => Some(Table::SMALL),
            Self::Tcp(_) => None,
        }
    }

    /// Versions of HTTP: the client's and the origin's.
    pub fn versions(self) -> (Version, Version) {
        match self {
            Self::Http(..) | Self::Tls | Self::Tcp(_) => (Version::One, Version::One),
            Self::Versions(client, origin) => (client, origin),
        }
    }

    /// What most of it is.
    pub fn size(self) -> Size {
        match self {
            Self::Http(_, size) | Self::Tcp(size) => size,
            Self::Versions(..) | Self::Tls => Size::Small,
        }
    }
}

/// What most of it is, where a program can be tuned for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A few KiB at most.
    Small,
    /// 64 KiB or more.
    Large,
}

/// A running proxy.
#[derive(Debug)]
pub struct Running {
    /// Its name in results.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// What its CPU time and memory are read from.
    pub process: Process,
    /// Ends after it.
    _beside: Option<Process>,
}

impl Kind {
    /// In results, and of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringmain => "ringmain",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        }
    }

    /// What makes the program print its version.
    pub fn version_argument(self) -> &'static str {
        match self {
            Self::Ringmain | Self::Envoy => "--version",
            Self::Haproxy | Self::Nginx => "-v",
        }
    }

    /// Takes part where that is carried: nginx has no HTTP/2 towards the origin but for gRPC, and
    /// is not set up for TLS.
    fn can(self, carries: Carries) -> bool {
        self != Self::Nginx || !matches!(carries, Carries::Versions(..) | Carries::Tls)
    }

    /// Starts it, with files in a folder of its own below `directory`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(self, bench: &Bench, directory: &Path, task: &Task) -> Result<Running> {
        let folder = directory.join(format!("{}-{}", self.name(), task.workers));
        fs::create_dir_all(&folder)?;
        let cores = bench.proxy_cores(task.workers);
        match self {
            Self::Ringmain => {
                let setup = ringmain::Setup::new(bench, &folder, &cores);
                Ok(setup.start(task, None)?.into_running())
            }
            Self::Haproxy => haproxy::start(&folder, &cores, task),
            Self::Nginx => nginx::start(&folder, &cores, task),
            Self::Envoy => envoy::start(&folder, &cores, task),
        }
    }
}

impl Bench {
    /// Starts every program that is there.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start_all(&self, directory: &Path, task: &Task) -> Result<Vec<Running>> {
        let kinds = self.contenders.iter().filter(|kind| kind.can(task.carries));
        kinds
            .map(|kind| {
                self.progress.say(format!("starting {}", kind.name()));
                kind.start(self, directory, task)
                    .with_context(|| format!("{} does not start", kind.name()))
            })
            .collect()
    }
}

impl Running {
    /// Takes over a program once it takes what it is to carry.
    fn ready(mut process: Process, port: u16, carries: Carries) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait_until(&mut process, PATIENCE, |_| match carries {
            Carries::Http(table, _) => {
                let client = Connection::open(address);
                let answer = client.and_then(|mut client| client.ask(&table.request(0)));
                answer.is_ok()
            }
            Carries::Versions(..) | Carries::Tls => {
                let client = Client::of(address, carries);
                client.and_then(|mut client| client.ask()).is_ok()
            }
            Carries::Tcp(_) => is_carried(address).is_ok(),
        })?;
        Ok(Self {
            name: process.name,
            address,
            process,
            _beside: None,
        })
    }
}

/// A connection that is ended by the client comes to its end. Then nothing of it is left to be
/// counted by the origin later.
fn is_carried(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// A port that nobody listens on at the moment.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The template of a configuration with its `@NAME@`s replaced.
fn fill(template: &str, values: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), &value.to_string());
    }
    text
}

/// The first line that `program` prints about its version.
pub fn version(program: &str, argument: &str) -> String {
    let command = format!("{program} {argument} 2>&1 | grep . | head -n1");
    let shell = Program::on_cores("0", &[], Path::new("sh"), "sh").args(["-c", &command]);
    shell.output().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn templates_are_filled() {
        macro_rules! template {
            ($file:literal) => {
                include_str!(concat!("../../peers/", $file))
            };
        }
        let proxy = &[
            "PORT", "ORIGIN", "WORKERS", "BUFFER", "CHOICE", "CLIENT", "UPSTREAM",
        ][..];
        let nginx = &[
            "PORT", "ORIGIN", "WORKERS", "MASTER", "DIR", "SERVERS", "BUFFER",
        ];
        let envoy = &[
            "PORT",
            "ORIGIN",
            "VIRTUAL_HOSTS",
            "CODEC",
            "UPSTREAM",
            "TRANSPORT",
        ];
        let https = &["PORT", "ORIGIN", "UPSTREAM", "CERTIFICATE", "KEY"];
        for (template, names) in [
            (template!("haproxy/http.cfg"), proxy),
            (template!("haproxy/tcp.cfg"), proxy),
            (template!("nginx/http.conf"), nginx),
            (template!("nginx/tcp.conf"), nginx),
            (template!("nginx/origin.conf"), nginx),
            (template!("envoy/http.yaml"), envoy),
            (template!("envoy/tcp.yaml"), envoy),
            (template!("ringmain/http.yaml"), proxy),
            (template!("ringmain/https.yaml"), https),
            (template!("ringmain/tcp.yaml"), proxy),
            (
                template!("ringmain/ringmain.toml"),
                &["SOCKET", "IO", "WORKERS"],
            ),
        ] {
            let values: Vec<_> = names.iter().map(|name| (*name, &1_u8 as _)).collect();
            let filled = fill(template, &values);
            assert_ne!(filled, template);
            // A type URL's key begins with the same sign.
            assert!(!filled.replace("\"@type\"", "").contains('@'), "{filled}");
        }
    }
}
