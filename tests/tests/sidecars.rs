//! Workloads that call each other through their sidecars: captured by nobody, the application talks
//! to its sidecar's egress port, and the other's sidecar listens for it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::net::SocketAddr;

use ringmain_tests::{
    Io, binary,
    client::Client,
    curl::curl,
    mesh::Mesh,
    on_both,
    origin::{Origin, response},
    place,
    process::Process,
    proxy::{Proxy, Tuning},
    wait, yaml,
};

on_both!(
    a_call_through_two_sidecars,
    an_unknown_host_leads_nowhere,
    run_serves_a_directory
);

/// `front` calls `back`; both have a sidecar.
struct Pair {
    mesh: Mesh,
    front: Proxy,
    back: Proxy,
    /// Where the application of `front` sends its requests.
    egress: SocketAddr,
}

fn pair(io: Io, application: SocketAddr) -> Pair {
    let (front, back) = (place::address(), place::address());
    let egress = place::free(front);
    let ingress = place::free(back);
    let text = format!(
        "apiVersion: v1
kind: Service
metadata: {{name: back}}
spec:
  selector: {{app: back}}
  ports: [{{name: http, port: {egress_port}, targetPort: {ingress_port}}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: front}}
spec:
  workloadSelector: {{labels: {{app: front}}}}
  egress:
  - port: {{number: {egress_port}, name: http, protocol: HTTP}}
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
  - port: {{number: {ingress_port}, name: http, protocol: HTTP}}
    bind: {back}
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:{application_port}
  egress:
  - hosts: [\"./*\"]
    captureMode: NONE
    port: {{number: {spare_port}, name: http, protocol: HTTP}}
    bind: {back}
",
        ingress_port = ingress.port(),
        egress_port = egress.port(),
        application_port = application.port(),
        spare_port = place::free(back).port(),
    );
    let mesh = Mesh::builder(io).resource("sidecars", &text).start();
    let start = |name: &str, address: SocketAddr| {
        let admin = place::free(address.ip());
        let mut tuning = Tuning::new(io, name, mesh.directory(), admin);
        tuning.set(
            "workload",
            "labels",
            format!("{{ app = {name:?}, version = \"v7\" }}"),
        );
        tuning.set("workload", "address", format!("\"{}\"", address.ip()));
        let mut proxy = mesh.start_proxy(&tuning, name, admin);
        proxy.wait_until_ready();
        proxy
    };
    let back = start("back", ingress);
    let front = start("front", egress);
    Pair {
        mesh,
        front,
        back,
        egress,
    }
}

fn a_call_through_two_sidecars(io: Io) {
    // The application listens where `defaultEndpoint` says: on 127.0.0.1.
    let origin = Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
        while conversation.request().is_ok() {
            conversation.send(response("from back"));
        }
    });
    let mut pair = pair(io, origin.address());
    let mut client = Client::connect(pair.egress);
    let call = "GET /a HTTP/1.1\r\nhost: back\r\nx-forwarded-for: 10.0.0.1\r\n\r\n";
    // `front` may hear of `back` a moment after it is ready.
    wait::until("back to be known", || match client.exchange(call) {
        answer if answer.status() == 200 => Ok(()),
        answer => Err(answer.text()),
    });
    let before = origin.requests().len();
    for _ in 0..9 {
        assert_eq!(client.exchange(call).text(), "from back");
    }
    drop(client);
    let request = &origin.requests()[before];
    assert_eq!(
        request.get("x-forwarded-for"),
        Some("10.0.0.1"),
        "sidecars leave it alone"
    );
    assert!(request.get("x-request-id").is_some());
    // Both ends report, each from its side.
    let ok = |reporter| [("reporter", reporter), ("response_code", "200")];
    let count =
        |proxy: &Proxy, reporter| proxy.metrics().sum("istio_requests_total", &ok(reporter));
    wait::until_equal("requests at the source", 10, || {
        count(&pair.front, "source")
    });
    wait::until_equal("requests at the destination", 10, || {
        count(&pair.back, "destination")
    });
    let metrics = pair.front.metrics();
    let sample = metrics.named("istio_requests_total");
    let sample = sample
        .iter()
        .find(|sample| sample.labels["response_code"] == "200")
        .unwrap();
    for (name, value) in [
        ("source_app", "front"),
        ("source_version", "v7"),
        ("destination_workload", "back"),
        ("destination_app", "back"),
        ("destination_version", "v7"),
        ("destination_service", "back.default.svc.cluster.local"),
        ("destination_service_name", "back"),
    ] {
        assert_eq!(sample.labels[name], value, "{name}");
    }
    assert!(pair.front.process.terminate().success());
    assert!(pair.back.process.terminate().success());
    let (source, destination) = (pair.front.log(), pair.back.log());
    let id = source.last().unwrap().get("request_id").to_owned();
    assert_eq!(destination.last().unwrap().get("request_id"), id);
    pair.mesh.finish();
}

fn an_unknown_host_leads_nowhere(io: Io) {
    let origin = Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
        drop(conversation.request());
    });
    let mut pair = pair(io, origin.address());
    let mut client = Client::connect(pair.egress);
    let answer = client.exchange("GET / HTTP/1.1\r\nhost: nowhere.test\r\n\r\n");
    assert!([404, 502].contains(&answer.status()), "{answer:?}");
    drop(client);
    assert_eq!(origin.connections(), 0);
    assert!(pair.front.process.terminate().success());
    pair.mesh.finish();
}

/// The one command of the README, as its reader runs it.
fn run_serves_a_directory(io: Io) {
    let origin = Origin::saying("hello");
    let directory = tempfile::tempdir().unwrap();
    let resources = directory.path().join("mesh");
    std::fs::create_dir(&resources).unwrap();
    let gateway = place::free(place::address());
    let text = [
        yaml::gateway("edge", gateway),
        yaml::service("origin", &[origin.address()]),
        yaml::virtual_service("edge", &yaml::all_to("origin.test")),
    ];
    std::fs::write(resources.join("mesh.yaml"), text.join("---\n")).unwrap();
    let config = directory.path().join("ringmain.toml");
    let admin = place::free(gateway.ip());
    std::fs::write(
        &config,
        format!(
            "[workers]\ncount = 1\npin = false\nio = {:?}\n[admin]\nlisten = \"{admin}\"\n",
            io.name()
        ),
    )
    .unwrap();
    let mut run = Process::start(
        binary::ringmain(),
        [
            "run".as_ref(),
            "--resources".as_ref(),
            resources.as_os_str(),
            "--config".as_ref(),
            config.as_os_str(),
        ],
    );
    run.wait_for("ready");
    let output = curl([format!("http://{gateway}/")]);
    assert_eq!(
        (output.code, output.text().as_str()),
        (0, "hello"),
        "{}",
        output.error
    );
    assert!(run.terminate().success());
    assert!(run.out().contains("GET / HTTP/1.1"), "{}", run.out());
    assert!(std::net::TcpStream::connect(gateway).is_err());
    assert!(std::net::TcpStream::connect(admin).is_err());
}
