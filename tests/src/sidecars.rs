//! Two workloads with a sidecar each: `front` calls `back`.

use std::net::SocketAddr;

use crate::{
    Io,
    mesh::Mesh,
    place,
    proxy::{Proxy, Tuning},
};

/// The two sidecars and their control plane.
pub struct Pair {
    /// With the resources of both in the file `sidecars`.
    pub mesh: Mesh,
    /// The sidecar of the caller.
    pub front: Proxy,
    /// The sidecar of the called.
    pub back: Proxy,
    /// Where the application of `front` sends what is for `back`.
    pub egress: SocketAddr,
    /// Where the sidecar of `back` listens for others.
    pub ingress: SocketAddr,
}

impl Pair {
    /// Both are ready, and `front` hears of `back` a moment later. `protocol` is `HTTP` or `TCP`,
    /// or nothing at all; `application` is that of `back`.
    pub fn start(io: Io, protocol: &str, application: SocketAddr) -> Self {
        Self::tuned(io, protocol, application, |_| {})
    }

    /// As [`Self::start`], with more in the tuning files of both.
    pub fn tuned(
        io: Io,
        protocol: &str,
        application: SocketAddr,
        tune: impl Fn(&mut Tuning),
    ) -> Self {
        let (egress, ingress) = (place::free(place::address()), place::free(place::address()));
        let text = resources(protocol, egress, ingress, application);
        let mesh = Mesh::builder(io).resource("sidecars", &text).start();
        let sidecar = |name: &str, address: SocketAddr| {
            let admin = place::free(address.ip());
            let mut tuning = tuning(io, &mesh, name, address, admin);
            tune(&mut tuning);
            let mut proxy = mesh.start_proxy(&tuning, name, admin);
            proxy.wait_until_ready();
            proxy
        };
        let (back, front) = (sidecar("back", ingress), sidecar("front", egress));
        Self {
            mesh,
            front,
            back,
            egress,
            ingress,
        }
    }
}

fn tuning(io: Io, mesh: &Mesh, name: &str, address: SocketAddr, admin: SocketAddr) -> Tuning {
    let mut tuning = Tuning::new(io, name, mesh.directory(), admin);
    let labels = format!("{{ app = {name:?}, version = \"v7\" }}");
    tuning.set("workload", "labels", labels);
    tuning.set("workload", "address", format!("\"{}\"", address.ip()));
    // Who is waited for in vain is waited for shortly.
    tuning.set(
        "limits",
        "protocol_detection_timeout",
        "\"100ms\"".to_owned(),
    );
    tuning
}

fn resources(
    protocol: &str,
    egress: SocketAddr,
    ingress: SocketAddr,
    application: SocketAddr,
) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: back}}
spec:
  selector: {{app: back}}
  ports: [{{name: {name}, port: {egress_port}, targetPort: {ingress_port}}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: front}}
spec:
  workloadSelector: {{labels: {{app: front}}}}
  egress:
  - port: {{number: {egress_port}, name: {name}{protocol}}}
    bind: {front}
    captureMode: NONE
    hosts: [\"./*\"]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: back}}
spec:
  workloadSelector: {{labels: {{app: back}}}}
  ingress:
  - port: {{number: {ingress_port}, name: {name}{protocol}}}
    bind: {back}
    captureMode: NONE
    defaultEndpoint: {application}
  egress:
  - hosts: [\"./*\"]
    captureMode: NONE
    port: {{number: {spare_port}, name: {name}{protocol}}}
    bind: {back}
",
        name = match protocol {
            "" => "main".to_owned(),
            protocol => protocol.to_lowercase(),
        },
        protocol = match protocol {
            "" => String::new(),
            protocol => format!(", protocol: {protocol}"),
        },
        front = egress.ip(),
        back = ingress.ip(),
        egress_port = egress.port(),
        ingress_port = ingress.port(),
        spare_port = place::free(ingress.ip()).port(),
    )
}
