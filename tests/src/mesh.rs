//! A control plane and a gateway proxy on resources in a directory, each in its own process.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    Io,
    access_log::Line,
    binary,
    client::Client,
    http2::Peer,
    origin::Origin,
    place,
    process::Process,
    proxy::{Proxy, Tuning},
    wait, yaml,
};

/// What a mesh is made of.
pub struct Builder {
    directory: TempDir,
    address: IpAddr,
    gateway: SocketAddr,
    admin: SocketAddr,
    tuning: Tuning,
}

/// A running mesh with one gateway.
pub struct Mesh {
    /// The control plane; `None` once a test took it away.
    pub control: Option<Process>,
    /// The gateway.
    pub proxy: Proxy,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// The test's own address.
    pub address: IpAddr,
    /// The gateway's tuning file.
    pub tuning: Tuning,
    directory: TempDir,
}

/// Name of the gateway's workload, of its Gateway and of its VirtualService.
pub const GATEWAY: &str = "edge";

impl Builder {
    /// The list of routes of the gateway's VirtualService.
    pub fn routes(self, http: &str) -> Self {
        self.resource("routes", &yaml::virtual_service(GATEWAY, http))
    }

    /// A service `NAME.test` with these endpoints.
    pub fn service(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let text = yaml::service(name, endpoints);
        self.resource(&format!("service-{name}"), &text)
    }

    /// As [`Self::all_to`], to endpoints that speak HTTP/2.
    pub fn all_to_http2(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let routes = yaml::all_to(&format!("{name}.test"));
        let text = yaml::http2_service(name, endpoints);
        self.resource(&format!("service-{name}"), &text)
            .routes(&routes)
    }

    /// A service `NAME.test`, and everything goes to it.
    pub fn all_to(self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let routes = yaml::all_to(&format!("{name}.test"));
        self.service(name, endpoints).routes(&routes)
    }

    /// A file of resources.
    pub fn resource(self, file: &str, text: &str) -> Self {
        write(
            &self
                .directory
                .path()
                .join("mesh")
                .join(format!("{file}.yaml")),
            text,
        );
        self
    }

    /// A key of `[limits]`, its value in TOML.
    pub fn limit(self, key: &str, value: &str) -> Self {
        self.tune("limits", key, value)
    }

    /// A key of the tuning file, its value in TOML.
    pub fn tune(mut self, section: &str, key: &str, value: &str) -> Self {
        self.tuning.set(section, key, value);
        self
    }

    /// Makes the gateway listen at another port.
    pub fn at_port(mut self, port: u16) -> Self {
        self.gateway.set_port(port);
        let text = yaml::gateway(GATEWAY, self.gateway);
        self.resource("gateway", &text)
    }

    /// Where the gateway will listen.
    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The directory of everything.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts both processes, and waits until the gateway is ready.
    pub fn start(self) -> Mesh {
        let mut control = start_control(self.directory.path());
        control.wait_for("control plane listens");
        let mut proxy = Proxy::start(&self.tuning, GATEWAY, self.directory.path(), self.admin);
        proxy.wait_until_ready();
        Mesh {
            control: Some(control),
            proxy,
            gateway: self.gateway,
            address: self.address,
            tuning: self.tuning,
            directory: self.directory,
        }
    }
}

impl Mesh {
    /// A Gateway and no route.
    pub fn builder(io: Io) -> Builder {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("mesh")).unwrap();
        let address = place::address();
        let (gateway, admin) = (place::free(address), place::free(address));
        let mut tuning = Tuning::new(io, GATEWAY, directory.path(), admin);
        tuning.set("workload", "labels", format!("{{ app = {GATEWAY:?} }}"));
        let builder = Builder {
            directory,
            address,
            gateway,
            admin,
            tuning,
        };
        builder.resource("gateway", &yaml::gateway(GATEWAY, gateway))
    }

    /// Everything goes to one origin.
    pub fn to(io: Io, origin: &Origin) -> Self {
        Self::builder(io)
            .all_to("origin", &[origin.address()])
            .start()
    }

    /// Everything goes to one origin that speaks HTTP/2.
    pub fn to_http2(io: Io, origin: &Origin) -> Self {
        Self::builder(io)
            .all_to_http2("origin", &[origin.address()])
            .start()
    }

    /// A client of the gateway that speaks HTTP/2.
    pub fn http2_client(&self) -> Peer {
        Peer::client(self.gateway, &[])
    }

    /// A connection to the gateway.
    pub fn client(&self) -> Client {
        Client::connect(self.gateway)
    }

    /// `http://` and the gateway's address.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway)
    }

    /// The directory of everything: resources in `mesh`, sockets, logs.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The control plane's socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    /// Replaces a file of resources, in one step as an editor does.
    pub fn write(&self, file: &str, text: &str) {
        write(
            &self
                .directory
                .path()
                .join("mesh")
                .join(format!("{file}.yaml")),
            text,
        );
    }

    /// Replaces the gateway's routes and waits until its workers use them.
    pub fn reroute(&self, http: &str) {
        let before = self.proxy.generation();
        self.write("routes", &yaml::virtual_service(GATEWAY, http));
        self.proxy.wait_for_generation_after(before);
    }

    /// Starts a control plane where there is none.
    pub fn start_control(&mut self) {
        let mut control = start_control(self.directory.path());
        control.wait_for("control plane listens");
        self.control = Some(control);
    }

    /// A further proxy of the same control plane, not yet ready.
    pub fn start_proxy(&self, tuning: &Tuning, name: &str, admin: SocketAddr) -> Proxy {
        Proxy::start(tuning, name, self.directory.path(), admin)
    }

    /// What must hold when all clients are gone: nothing is open any more, each request was
    /// counted and logged once, and the proxy ends in order. Returns the access log.
    pub fn finish(mut self) -> Vec<Line> {
        self.proxy
            .wait_for_metric("ringmain_downstream_connections_active", 0);
        self.proxy.wait_for_metric("ringmain_requests_active", 0);
        let counted = self.proxy.metric("istio_requests_total");
        let status = self.proxy.process.terminate();
        let (out, error) = (self.proxy.process.out(), self.proxy.process.error());
        assert_eq!(status.code(), Some(0), "{out}\n{error}");
        assert!(!error.contains("panicked"), "{error}");
        let lines = self.proxy.log();
        assert_eq!(
            lines.len() as u64,
            counted,
            "lines of log and requests counted: {lines:#?}"
        );
        lines
    }

    /// As [`Self::finish`] for a single request; its line.
    pub fn finish_one(self) -> Line {
        let lines = self.finish();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.into_iter().next().unwrap()
    }

    /// Waits until the gateway has no request under way, whatever came of it.
    pub fn wait_until_idle(&self) {
        wait::until_equal("requests under way", 0, || {
            self.proxy.metric("ringmain_requests_active")
        });
    }
}

fn start_control(directory: &Path) -> Process {
    let (resources, socket) = (directory.join("mesh"), directory.join("control.sock"));
    Process::start(
        binary::ringmain(),
        [
            "control".as_ref(),
            "--resources".as_ref(),
            resources.as_os_str(),
            "--socket".as_ref(),
            socket.as_os_str(),
        ],
    )
}

fn write(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, path).unwrap();
}
