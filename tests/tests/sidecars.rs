//! Workloads that call each other through their sidecars: captured by nobody, the application talks
//! to its sidecar's egress port, and the other's sidecar listens for it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use ringmain_tests::{
    Io, binary,
    client::Client,
    curl::curl,
    on_both,
    origin::{Origin, response},
    place,
    process::Process,
    proxy::Proxy,
    sidecars::Pair,
    wait, yaml,
};

on_both!(
    a_call_through_two_sidecars,
    an_unknown_host_leads_nowhere,
    run_serves_a_directory
);

fn a_call_through_two_sidecars(io: Io) {
    // The application listens where `defaultEndpoint` says: on 127.0.0.1.
    let origin = Origin::at("127.0.0.1".parse().unwrap(), |conversation| {
        while conversation.request().is_ok() {
            conversation.send(response("from back"));
        }
    });
    let mut pair = Pair::start(io, "HTTP", origin.address());
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
    let mut pair = Pair::start(io, "HTTP", origin.address());
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
