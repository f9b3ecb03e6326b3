//! TCP between two workloads, each through its own sidecar.

use std::net::SocketAddr;

use ringmain_tests::{
    Io,
    mesh::Mesh,
    on_both,
    origin::Origin,
    place,
    proxy::{Proxy, Tuning},
    wait,
};

use crate::gateway::{connect, echo, ping};

on_both!(a_connection_through_two_sidecars);

/// `front` connects to `back`; both have a sidecar.
fn resources(egress: SocketAddr, ingress: SocketAddr, application: SocketAddr) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: back}}
spec:
  selector: {{app: back}}
  ports: [{{name: tcp, port: {egress_port}, targetPort: {ingress_port}}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: front}}
spec:
  workloadSelector: {{labels: {{app: front}}}}
  egress:
  - port: {{number: {egress_port}, name: tcp, protocol: TCP}}
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
  - port: {{number: {ingress_port}, name: tcp, protocol: TCP}}
    bind: {back}
    captureMode: NONE
    defaultEndpoint: {application}
",
        front = egress.ip(),
        back = ingress.ip(),
        egress_port = egress.port(),
        ingress_port = ingress.port(),
    )
}

fn sidecar(io: Io, mesh: &Mesh, name: &str, address: SocketAddr) -> Proxy {
    let admin = place::free(address.ip());
    let mut tuning = Tuning::new(io, name, mesh.directory(), admin);
    let labels = format!("{{ app = {name:?}, version = \"v7\" }}");
    tuning.set("workload", "labels", labels);
    tuning.set("workload", "address", format!("\"{}\"", address.ip()));
    let mut proxy = mesh.start_proxy(&tuning, name, admin);
    proxy.wait_until_ready();
    proxy
}

fn a_connection_through_two_sidecars(io: Io) {
    // The application listens where `defaultEndpoint` says.
    let origin = Origin::at("127.0.0.1".parse().unwrap(), echo);
    let (egress, ingress) = (place::free(place::address()), place::free(place::address()));
    let text = resources(egress, ingress, origin.address());
    let mesh = Mesh::builder(io).resource("sidecars", &text).start();
    let mut back = sidecar(io, &mesh, "back", ingress);
    let mut front = sidecar(io, &mesh, "front", egress);
    // `front` may hear of `back` a moment after it is ready.
    let known = "outbound|";
    wait::until("back to be known", || {
        let clusters = front.ask("GET", "/clusters").text();
        let is_known = clusters.contains(known) && clusters.contains(&ingress.to_string());
        if is_known { Ok(()) } else { Err(clusters) }
    });
    let mut client = connect(egress);
    for _ in 0..10 {
        ping(&mut client);
    }
    drop(client);
    for (proxy, reporter) in [(&front, "source"), (&back, "destination")] {
        proxy.wait_for_metric("ringmain_tcp_connections_active", 0);
        let metrics = proxy.metrics();
        for (name, value) in [
            ("istio_tcp_connections_opened_total", 1),
            ("istio_tcp_connections_closed_total", 1),
            ("istio_tcp_received_bytes_total", 10),
            ("istio_tcp_sent_bytes_total", 10),
        ] {
            let labels = [
                ("reporter", reporter),
                ("request_protocol", "tcp"),
                ("response_flags", "-"),
                ("destination_workload", "back"),
                ("destination_app", "back"),
                ("destination_version", "v7"),
                ("destination_service", "back.default.svc.cluster.local"),
            ];
            assert_eq!(metrics.sum(name, &labels), value, "{name} of {reporter}");
        }
    }
    let of_front = front.metrics();
    let source = [("source_workload", "front"), ("source_version", "v7")];
    let opened = of_front.sum("istio_tcp_connections_opened_total", &source);
    assert_eq!(opened, 1);
    assert!(front.process.terminate().success());
    assert!(back.process.terminate().success());
    for (proxy, cluster) in [
        (
            &front,
            format!("outbound|{}||back.default.svc.cluster.local", egress.port()),
        ),
        (&back, format!("inbound|{}||", ingress.port())),
    ] {
        let lines = proxy.log();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert_eq!(lines[0].verdict(), "0 -");
        assert_eq!(lines[0].get("upstream_cluster"), cluster);
        assert_eq!(lines[0].number("bytes_sent"), 10);
    }
    mesh.finish();
}
