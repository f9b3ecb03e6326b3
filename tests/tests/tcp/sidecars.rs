//! TCP between two workloads, each through its own sidecar.

use ringmain_tests::{Io, on_both, origin::Origin, sidecars::Pair, wait};

use crate::gateway::{connect, echo, ping};

on_both!(a_connection_through_two_sidecars);

fn a_connection_through_two_sidecars(io: Io) {
    // The application listens where `defaultEndpoint` says.
    let origin = Origin::at("127.0.0.1".parse().unwrap(), echo);
    let Pair {
        mesh,
        mut front,
        mut back,
        egress,
        ingress,
    } = Pair::start(io, "TCP", origin.address());
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
