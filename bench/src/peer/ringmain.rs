//! Ringmain: a control plane that reads YAML, and a proxy that it feeds. Only the proxy is
//! measured, and only the proxy has the measured core.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};

use super::{Carries, PATIENCE, Running, Task, Version, fill, free_port};
use crate::{
    bench::Bench,
    certificates,
    process::{Process, Program, wait_until},
};

/// The file of routes.
pub const ROUTES: &str = "routes.yaml";

/// How it is started.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The `ringmain` program.
    pub binary: &'a Path,
    /// For its files; each running one needs its own.
    pub directory: &'a Path,
    /// The proxy's cores.
    pub cores: &'a str,
    /// The control plane's cores; the same twice when it has one.
    pub control_cores: [usize; 2],
    /// `workers.io`.
    pub io: &'static str,
    /// What the proxy runs in: nothing, or valgrind and its options.
    pub wrapper: &'a [&'a OsStr],
    /// Its name in results.
    pub name: &'static str,
    /// Files of resources besides those of the task.
    pub files: &'a [(&'a str, String)],
}

/// A running Ringmain.
#[derive(Debug)]
pub struct Ringmain {
    /// The proxy.
    pub proxy: Running,
    /// The proxy's admin endpoint.
    pub admin: SocketAddr,
    /// The control plane's socket.
    pub socket: PathBuf,
    /// The control plane.
    pub control: Process,
    resources: PathBuf,
}

impl<'a> Setup<'a> {
    /// As a user starts it.
    pub fn new(bench: &'a Bench, directory: &'a Path, cores: &'a str) -> Self {
        Self {
            binary: &bench.binary,
            directory,
            cores,
            control_cores: [bench.arguments.load_core; 2],
            io: "auto",
            wrapper: &[],
            name: "ringmain",
            files: &[],
        }
    }

    /// Starts both planes. Answers carry `generation` when there is one.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(&self, task: &Task, generation: Option<u32>) -> Result<Ringmain> {
        let resources = self.directory.join("resources");
        let (socket, config) = (
            self.directory.join("control.sock"),
            self.directory.join("ringmain.toml"),
        );
        let port = free_port()?;
        fs::create_dir_all(&resources)?;
        for (name, content) in self.files {
            fs::write(resources.join(name), content)?;
        }
        if let Some(table) = task.carries.table() {
            fs::write(resources.join(ROUTES), table.virtual_services(generation))?;
        }
        let template = match task.carries {
            Carries::Http(..) | Carries::Versions(..) => {
                include_str!("../../peers/ringmain/http.yaml")
            }
            Carries::Tls => include_str!("../../peers/ringmain/https.yaml"),
            Carries::Tcp(_) => include_str!("../../peers/ringmain/tcp.yaml"),
        };
        let shown = certificates::make(self.directory)?;
        let upstream = match task.carries.versions() {
            (_, Version::One) => "HTTP",
            (_, Version::Two) => "HTTP2",
        };
        let gateway = fill(
            template,
            &[
                ("PORT", &port),
                ("ORIGIN", &task.origin.port()),
                ("UPSTREAM", &upstream),
                ("CERTIFICATE", &shown.certificate.display()),
                ("KEY", &shown.key.display()),
            ],
        );
        fs::write(resources.join("gateway.yaml"), gateway)?;
        let tuning = fill(
            include_str!("../../peers/ringmain/ringmain.toml"),
            &[
                ("SOCKET", &socket.display()),
                ("IO", &self.io),
                ("WORKERS", &task.workers),
            ],
        );
        fs::write(&config, tuning)?;

        let control = self.control(&resources, &socket)?;
        let mut proxy = Program::on_cores(self.cores, self.wrapper, self.binary, self.name)
            .args([
                OsStr::new("proxy"),
                OsStr::new("--config"),
                config.as_os_str(),
            ])
            .start(self.directory)?;
        wait_until(&mut proxy, PATIENCE, |proxy| {
            proxy.printed().lines().any(|line| line == "ready")
        })?;
        let printed = proxy.printed();
        let admin = printed
            .lines()
            .find_map(|line| line.strip_prefix("admin http://"));
        Ok(Ringmain {
            admin: admin
                .context("the proxy printed no admin address")?
                .parse()?,
            proxy: Running::ready(proxy, port, task.carries)?,
            socket,
            resources,
            control,
        })
    }

    fn control(&self, resources: &Path, socket: &Path) -> Result<Process> {
        let [one, other] = self.control_cores;
        let cores = format!("{one},{other}");
        let mut control = Program::on_cores(&cores, &[], self.binary, "control")
            .args(["control", "--log", "warn", "--resources"])
            .args([
                resources.as_os_str(),
                OsStr::new("--socket"),
                socket.as_os_str(),
            ])
            .start(self.directory)?;
        wait_until(&mut control, PATIENCE, |_| socket.exists())?;
        Ok(control)
    }
}

impl Ringmain {
    /// Replaces a file of resources at once, as an editor or a deployment tool does: when it did.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rewrite(&self, name: &str, content: &str) -> Result<Instant> {
        let file = self.resources.join(name);
        let beside = file.with_extension("new");
        fs::write(&beside, content)?;
        let now = Instant::now();
        fs::rename(&beside, &file).with_context(|| format!("cannot replace {name}"))?;
        Ok(now)
    }

    /// As one of several that are compared.
    pub fn into_running(self) -> Running {
        Running {
            _beside: Some(self.control),
            ..self.proxy
        }
    }

    /// Stops the proxy and waits for its end, then the control plane.
    ///
    /// # Errors
    /// When one does not stop.
    pub fn stop(self) -> Result<()> {
        self.proxy.process.stop(PATIENCE)?;
        self.control.stop(PATIENCE)?;
        Ok(())
    }
}
