//! Ringmain: a control plane that reads YAML, and a proxy that it feeds. Only the proxy is
//! measured, and only the proxy has the measured core.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{PATIENCE, Peer, fill, free_port};
use crate::{
    client::fetch,
    process::{Process, Program, wait_until},
    table::Table,
};

/// How it is started.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The `ringmain` program.
    pub binary: &'a Path,
    /// For its files; each running one needs its own.
    pub directory: &'a Path,
    /// The proxy's core.
    pub core: usize,
    /// The control plane's core.
    pub control_core: usize,
    /// `workers.io`.
    pub io: &'static str,
    /// What the proxy runs in: nothing, or valgrind and its options.
    pub wrapper: &'a [&'a OsStr],
}

/// A running Ringmain.
#[derive(Debug)]
pub struct Ringmain {
    /// The proxy.
    pub proxy: Peer,
    /// The proxy's admin endpoint.
    pub admin: SocketAddr,
    routes: PathBuf,
    control: Process,
}

impl Setup<'_> {
    /// Starts both planes before `origin`.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(
        &self,
        table: Table,
        generation: Option<u32>,
        origin: SocketAddr,
    ) -> Result<Ringmain> {
        let resources = self.directory.join("resources");
        let (socket, config) = (
            self.directory.join("control.sock"),
            self.directory.join("ringmain.toml"),
        );
        let routes = resources.join("routes.yaml");
        let port = free_port()?;
        fs::create_dir_all(&resources)?;
        let gateway = fill(
            include_str!("../../peers/ringmain/gateway.yaml"),
            &[("PORT", &port), ("ORIGIN", &origin.port())],
        );
        fs::write(resources.join("gateway.yaml"), gateway)?;
        fs::write(&routes, table.virtual_services(generation))?;
        let tuning = fill(
            include_str!("../../peers/ringmain/ringmain.toml"),
            &[("SOCKET", &socket.display()), ("IO", &self.io)],
        );
        fs::write(&config, tuning)?;

        let mut control = Program::on_core(self.control_core, &[], self.binary, "control")
            .args([
                OsStr::new("control"),
                OsStr::new("--log"),
                OsStr::new("warn"),
            ])
            .args([OsStr::new("--resources"), resources.as_os_str()])
            .args([OsStr::new("--socket"), socket.as_os_str()])
            .start(self.directory)?;
        wait_until(&mut control, PATIENCE, |_| socket.exists())?;
        let mut proxy = Program::on_core(self.core, self.wrapper, self.binary, "ringmain")
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
            proxy: Peer::answering(proxy, port)?,
            routes,
            control,
        })
    }
}

impl Ringmain {
    /// Replaces the file of routes at once, as an editor or a deployment tool does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rewrite(&self, table: Table, generation: u32) -> Result<()> {
        let beside = self.routes.with_extension("new");
        fs::write(&beside, table.virtual_services(Some(generation)))?;
        fs::rename(&beside, &self.routes).context("cannot replace the file of routes")
    }

    /// The sum of a metric's samples on `/stats/prometheus`.
    ///
    /// # Errors
    /// When the admin endpoint does not answer.
    pub fn metric(&self, name: &str) -> Result<f64> {
        Ok(sum(&fetch(self.admin, "/stats/prometheus")?, name))
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

fn sum(scrape: &str, name: &str) -> f64 {
    let samples = scrape.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let is_it = series.split('{').next() == Some(name);
        is_it.then(|| value.parse::<f64>().ok())?
    });
    samples.sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn sums_samples() {
        let scrape = "# TYPE a counter\na{worker=\"0\"} 2\na{worker=\"1\"} 3\na_total 7\nb 1\n";
        assert!((sum(scrape, "a") - 5.0).abs() < 1e-9);
        assert!((sum(scrape, "b") - 1.0).abs() < 1e-9);
        assert!(sum(scrape, "c").abs() < 1e-9);
    }
}
