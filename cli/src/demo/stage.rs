//! The mesh itself: its directory, its addresses and its processes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::StatusCode;
use ringmain_config::wire::Query;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Arguments, STOP_PATIENCE,
    addresses::{self, Block},
    cast::{self, GATEWAY},
    files::{self, Place},
    fleet::Fleet,
    http::Http,
    observe::{self, Counts},
    ready::Probe,
    screen::Screen,
};
use crate::{fault::Fault, plane};

/// For all processes to be ready. They need well under a second on an idle machine.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// Of the path of a Unix socket, its final NUL included (`sun_path`, unix(7)).
const SOCKET_PATH_MAX: usize = 108;

/// A running mesh.
#[derive(Debug)]
pub(super) struct Stage {
    directory: TempDir,
    block: Block,
    gateway_port: u16,
    keep: bool,
    is_manual: bool,
    fleet: Fleet,
    http: Http,
}

impl Stage {
    /// Addresses and files; nothing runs yet.
    pub(super) fn new(arguments: &Arguments) -> Result<Self, Fault> {
        let mut directory = tempfile::Builder::new()
            .prefix("ringmain-demo-")
            .tempdir()
            .map_err(|error| {
                Fault::with(
                    format!("cannot make a directory for temporary files: {error}"),
                    "set TMPDIR to a directory that this user may write to",
                )
            })?;
        directory.disable_cleanup(arguments.keep);
        let port = arguments.gateway_port;
        let place = |block| Place {
            directory: directory.path(),
            block,
            gateway_port: port,
            access_log: arguments.keep || arguments.manual,
            is_manual: arguments.manual,
        };
        let block = addresses::claim(|block| cast::addresses(&place(block)), port)
            .map_err(|error| Fault::new(error.to_string()))?;
        files::write(&place(block.number)).map_err(|error| Fault::new(error.to_string()))?;
        let fleet = Fleet::new(directory.path())?;
        let stage = Self {
            directory,
            block,
            gateway_port: port,
            keep: arguments.keep,
            is_manual: arguments.manual,
            fleet,
            http: Http::new(),
        };
        if stage.socket().as_os_str().len() >= SOCKET_PATH_MAX {
            return Err(Fault::with(
                format!(
                    "the path {} is too long for a socket",
                    stage.socket().display()
                ),
                "set TMPDIR to a directory with a shorter path",
            ));
        }
        Ok(stage)
    }

    /// Starts everything and waits until the page answers.
    pub(super) async fn start(&mut self, screen: &mut Screen) -> Result<(), Fault> {
        let resources = self.path("mesh");
        let socket = self.path("control.sock");
        screen.say(&format!(
            "starting the control plane, {} applications, {} proxies for them and a gateway in {}",
            cast::workloads(&self.place()).count(),
            self.proxies() - 1,
            self.directory.path().display(),
        ));
        let control = ["control", "--resources", &resources, "--socket", &socket];
        self.fleet.start(CONTROL, &control)?;
        let probe = (CONTROL.to_owned(), Probe::Socket(self.socket()));
        self.fleet
            .wait(&self.http, vec![probe], READY_PATIENCE)
            .await?;
        let mut probes = self.start_applications()?;
        probes.extend(self.start_proxies()?);
        self.fleet.wait(&self.http, probes, READY_PATIENCE).await?;
        self.first_request().await?;
        screen.say(&format!(
            "{} processes are ready; the page is at {}",
            self.fleet.len(),
            self.page()
        ));
        Ok(())
    }

    fn start_applications(&mut self) -> Result<Vec<(String, Probe)>, Fault> {
        let mut probes = Vec::new();
        for workload in cast::workloads(&self.place()) {
            let address = workload.application(&self.place());
            let outbound = workload.outbound(&self.place());
            let (listen, mesh) = (address.to_string(), outbound.map(|mesh| mesh.to_string()));
            let mut arguments = vec!["demo-app", workload.app, "--listen", &listen];
            arguments.extend(["--version", workload.version]);
            if let Some(mesh) = &mesh {
                arguments.extend(["--mesh", mesh]);
            }
            let name = format!("application {}", workload.name);
            self.fleet.start(&name, &arguments)?;
            probes.push((name, Probe::Http(address, "/health")));
        }
        Ok(probes)
    }

    fn start_proxies(&mut self) -> Result<Vec<(String, Probe)>, Fault> {
        let mut probes = Vec::new();
        for (name, admin) in cast::proxies(&self.place()) {
            let config = self.path(&format!("proxies/{name}.toml"));
            let name = match name {
                GATEWAY => GATEWAY.to_owned(),
                name => format!("proxy {name}"),
            };
            self.fleet.start(&name, &["proxy", "--config", &config])?;
            probes.push((name, Probe::Http(admin, "/ready")));
        }
        Ok(probes)
    }

    /// Every part says that it is ready, so the first request must succeed.
    async fn first_request(&self) -> Result<(), Fault> {
        let gateway = cast::gateway(&self.place());
        let answer = self.http.get(gateway, "/productpage").await;
        match answer {
            Ok((StatusCode::OK, _)) => Ok(()),
            Ok((status, body)) => Err(Fault::new(format!(
                "the first request to {} was answered {status}: {}",
                self.page(),
                body.lines().next().unwrap_or_default()
            ))),
            Err(error) => Err(Fault::new(format!(
                "the first request to {} failed: {error}",
                self.page()
            ))),
        }
    }

    /// Where everything of this run is.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// URL of the page, through the gateway.
    pub(super) fn page(&self) -> String {
        format!("http://{}/productpage", cast::gateway(&self.place()))
    }

    /// Number of proxies, the gateway's included.
    pub(super) fn proxies(&self) -> usize {
        cast::proxies(&self.place()).len()
    }

    /// # Errors
    /// When a process has ended.
    pub(super) fn check(&mut self) -> Result<(), Fault> {
        self.fleet.check()
    }

    /// Makes a file of `shift/` the rule for reviews.
    pub(super) fn shift(&self, file: &str) -> Result<(), Fault> {
        files::shift(self.directory.path(), file).map_err(|error| Fault::new(error.to_string()))
    }

    /// What all proxies have counted.
    pub(super) async fn counts(&self) -> Result<Counts, Fault> {
        let mut counts = Counts::default();
        for (name, admin) in cast::proxies(&self.place()) {
            self.scrape(&mut counts, name, admin).await?;
        }
        Ok(counts)
    }

    /// What the proxy beside the page has counted: the edges to all versions of reviews.
    pub(super) async fn page_counts(&self) -> Result<Counts, Fault> {
        let mut counts = Counts::default();
        let mut proxies = cast::proxies(&self.place()).into_iter();
        if let Some((name, admin)) = proxies.find(|proxy| proxy.0 == observe::REVIEWS_OBSERVER) {
            self.scrape(&mut counts, name, admin).await?;
        }
        Ok(counts)
    }

    async fn scrape(
        &self,
        counts: &mut Counts,
        name: &str,
        admin: std::net::SocketAddr,
    ) -> Result<(), Fault> {
        let answer = self.http.get(admin, "/stats/prometheus").await;
        match answer {
            Ok((StatusCode::OK, text)) => {
                observe::read(counts, name, &text);
                Ok(())
            }
            Ok((status, _)) => Err(Fault::new(format!(
                "the statistics of {name} at {admin} are answered {status}"
            ))),
            Err(error) => Err(Fault::new(format!(
                "the statistics of {name} at {admin} cannot be read: {error}"
            ))),
        }
    }

    /// What the control plane says of itself and its proxies.
    pub(super) async fn status(&self) -> Result<Value, Fault> {
        let socket = self.socket();
        let asked = tokio::task::spawn_blocking(move || plane::ask(&socket, Query::Status)).await;
        asked.map_err(|error| Fault::new(format!("cannot ask the control plane: {error}")))?
    }

    /// Ends every process and removes the directory, unless it is kept.
    pub(super) async fn stop(self, screen: &mut Screen) -> Vec<Fault> {
        let mut faults = self.fleet.stop(STOP_PATIENCE).await;
        if self.keep {
            let path = self.directory.path().display();
            screen.say(&format!("configuration and logs are kept in {path}"));
        } else if let Err(error) = self.directory.close() {
            faults.push(Fault::new(format!("cannot remove the directory: {error}")));
        }
        faults
    }

    fn place(&self) -> Place<'_> {
        Place {
            directory: self.directory.path(),
            block: self.block.number,
            gateway_port: self.gateway_port,
            access_log: self.keep || self.is_manual,
            is_manual: self.is_manual,
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Of a file in the directory, whose path is known to be UTF-8 since the files were written.
    fn path(&self, name: &str) -> String {
        self.directory
            .path()
            .join(name)
            .to_string_lossy()
            .into_owned()
    }
}

const CONTROL: &str = "control plane";
