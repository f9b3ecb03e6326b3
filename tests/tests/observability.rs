//! What the proxy says of requests and of itself: access log, metrics, admin endpoint.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::collections::{BTreeMap, BTreeSet};

use ringmain_tests::{Io, mesh::Mesh, on_both, origin::Origin, place, wait};
use rustix::process::Signal;

on_both!(
    a_line_of_the_access_log,
    the_log_is_reopened,
    the_log_can_be_off,
    the_log_goes_to_standard_output,
    each_request_counts_once,
    bytes_are_counted,
    the_scrape_is_well_formed,
    the_manual_names_every_metric,
    the_admin_endpoint,
    the_rung_is_the_one_asked_for,
);

fn a_line_of_the_access_log(io: Io) {
    let origin = Origin::saying("hello");
    let mesh = Mesh::builder(io)
        .service("shop", &[origin.address()])
        .routes("- name: front\n  route: [{destination: {host: shop.test}}]\n")
        .start();
    let mut client = mesh.client();
    let own = client.address();
    client.exchange(
        "POST /a/../b?c=d HTTP/1.1\r\nhost: Shop.example:8080\r\nuser-agent: test \"1\"\r\n\
         x-request-id: 123\r\nx-forwarded-for: 10.0.0.1\r\ncontent-length: 3\r\n\r\nabc",
    );
    drop(client);
    let (gateway, upstream) = (mesh.gateway, origin.address());
    let line = mesh.finish_one();
    for (name, expected) in [
        ("method", "POST"),
        ("path", "/a/../b?c=d"),
        ("protocol", "HTTP/1.1"),
        ("response_code", "200"),
        ("response_flags", "-"),
        ("response_code_details", "via_upstream"),
        ("connection_termination_details", "-"),
        ("upstream_transport_failure_reason", "-"),
        ("bytes_received", "3"),
        ("bytes_sent", "5"),
        ("user_agent", "test \\x221\\x22"),
        ("request_id", "123"),
        ("authority", "Shop.example:8080"),
        ("upstream_host", &upstream.to_string()),
        ("upstream_cluster", "outbound|80||shop.test"),
        ("downstream_local_address", &gateway.to_string()),
        ("downstream_remote_address", &own.to_string()),
        ("requested_server_name", "-"),
        ("route_name", "front"),
    ] {
        assert_eq!(line.get(name), expected, "{name} in {}", line.text);
    }
    assert!(
        line.number("duration") >= line.number("upstream_service_time"),
        "{}",
        line.text
    );
    let local = line.get("upstream_local_address").rsplit_once(':');
    assert!(
        local.is_some_and(|(_, port)| port.parse::<u16>().is_ok()),
        "{}",
        line.text
    );
    // 2026-11-23T07:37:53.728Z
    let time = line.get("start_time");
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    // Fields are quoted where Istio's format quotes them.
    let tail = format!("\"123\" \"Shop.example:8080\" \"{upstream}\" outbound|80||shop.test ");
    assert!(line.text.contains(&tail), "{}", line.text);
}

fn the_log_is_reopened(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    client.get("/before");
    assert_eq!(mesh.proxy.wait_for_lines(1)[0].get("path"), "/before");
    let log = mesh.directory().join("edge.access.log");
    let old = mesh.directory().join("edge.access.log.1");
    std::fs::rename(&log, &old).unwrap();
    mesh.proxy.process.signal(Signal::HUP);
    wait::until("a new file", || std::fs::metadata(&log).map(drop));
    client.get("/after");
    let lines = mesh.proxy.wait_for_lines(1);
    assert_eq!(lines[0].get("path"), "/after");
    let old = std::fs::read_to_string(old).unwrap();
    assert!(old.lines().count() == 1 && old.contains("/before"), "{old}");
}

fn the_log_can_be_off(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .tune("log", "access", "\"off\"")
        .start();
    assert_eq!(mesh.client().get("/").status(), 200);
    mesh.proxy.wait_for_metric("istio_requests_total", 1);
    assert!(mesh.proxy.process.terminate().success());
    assert!(!mesh.directory().join("edge.access.log").exists());
    assert!(!mesh.proxy.process.out().contains("via_upstream"));
}

fn the_log_goes_to_standard_output(io: Io) {
    let origin = Origin::saying("ok");
    let mut mesh = Mesh::builder(io)
        .all_to("origin", &[origin.address()])
        .tune("log", "access", "\"/dev/stdout\"")
        .start();
    assert_eq!(mesh.client().get("/seen").status(), 200);
    mesh.proxy.process.wait_for("GET /seen HTTP/1.1");
    assert!(mesh.proxy.process.terminate().success());
}

/// All the ways a request can end; each is one line and one count, with the same words.
fn each_request_counts_once(io: Io) {
    let origin = Origin::start(|conversation| {
        while let Ok(request) = conversation.request() {
            let target = request.line.split(' ').nth(1).unwrap();
            match target {
                "/close" => return,
                "/bad" => {
                    conversation.send("bad");
                    return conversation.wait_for_end();
                }
                "/cut" => {
                    conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx");
                    return;
                }
                "/wait" => return conversation.wait_for_end(),
                "/500" => conversation.send("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
                _ => conversation.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
            };
        }
    });
    let nobody = place::free(place::address());
    let mesh = Mesh::builder(io)
        .service("origin", &[origin.address()])
        .service("nobody", &[nobody])
        .routes(
            "- match: [{uri: {prefix: /o/}}]\n  rewrite: {uri: /}\n  timeout: 300ms\n  \
             route: [{destination: {host: origin.test}}]\n\
             - match: [{uri: {exact: /nobody}}]\n  route: [{destination: {host: nobody.test}}]\n\
             - match: [{uri: {exact: /direct}}]\n  directResponse: {status: 203}\n\
             - match: [{uri: {exact: /redirect}}]\n  redirect: {uri: /x}\n",
        )
        .start();
    let plan = [
        ("/o/", "200 -", 5),
        ("/o/500", "500 -", 2),
        ("/o/close", "503 UC", 3),
        ("/o/bad", "502 UPE", 1),
        ("/o/cut", "200 UC", 2),
        ("/o/wait", "504 UT", 1),
        ("/nobody", "503 UF,URX", 2),
        ("/direct", "203 -", 2),
        ("/redirect", "301 -", 1),
        ("/nowhere", "404 NR", 2),
    ];
    let mut expected = BTreeMap::new();
    for (path, verdict, times) in plan {
        for _ in 0..times {
            let mut client = mesh.client();
            client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
            drop(client.wire.response("GET"));
        }
        *expected.entry(verdict.to_owned()).or_default() += times;
    }
    let mut bad = mesh.client();
    bad.send("GET\r\n\r\n");
    bad.response("GET");
    expected.insert("400 DPE".to_owned(), 1_u64);
    let mut gone = mesh.client();
    gone.send("POST /o/ HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx");
    wait::until_equal("the body's beginning", true, || {
        (0..origin.connections()).any(|index| origin.received(index).ends_with(b"\r\n\r\nx"))
    });
    gone.reset();
    expected.insert("0 DC".to_owned(), 1);
    drop(bad);

    mesh.proxy
        .wait_for_metric("istio_requests_total", expected.values().sum());
    let metrics = mesh.proxy.metrics();
    for (verdict, count) in &expected {
        let (code, flags) = verdict.split_once(' ').unwrap();
        let labels = [("response_code", code), ("response_flags", flags)];
        for name in [
            "istio_requests_total",
            "istio_request_duration_milliseconds_count",
        ] {
            assert_eq!(metrics.sum(name, &labels), *count, "{name} of {verdict}");
        }
    }
    let sample = metrics
        .named("istio_requests_total")
        .into_iter()
        .find(|sample| sample.labels["response_code"] == "500");
    let labels = &sample.unwrap().labels;
    for (name, value) in [
        ("reporter", "source"),
        ("source_workload", "edge"),
        ("source_app", "edge"),
        ("source_canonical_service", "edge"),
        ("source_workload_namespace", "default"),
        ("destination_service", "origin.test"),
        ("destination_service_name", "origin.test"),
        ("destination_service_namespace", "default"),
        ("destination_workload", "unknown"),
        ("request_protocol", "http"),
        ("connection_security_policy", "unknown"),
        ("grpc_response_status", ""),
    ] {
        assert_eq!(labels.get(name).map(String::as_str), Some(value), "{name}");
    }
    let mut logged = BTreeMap::new();
    for line in mesh.finish() {
        *logged.entry(line.verdict()).or_default() += 1_u64;
    }
    assert_eq!(logged, expected);
}

fn bytes_are_counted(io: Io) {
    let origin = Origin::echo();
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for length in [10, 1000, 100_000] {
        client.send(format!(
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"
        ));
        client.send("x".repeat(length));
        assert_eq!(client.response("POST").body.len(), length);
    }
    drop(client);
    mesh.proxy.wait_for_metric("istio_request_bytes_count", 3);
    for name in ["istio_request_bytes", "istio_response_bytes"] {
        let metrics = mesh.proxy.metrics();
        assert_eq!(metrics.sum(&format!("{name}_sum"), &[]), 101_010, "{name}");
        let bucket = format!("{name}_bucket");
        assert_eq!(metrics.sum(&bucket, &[("le", "10")]), 1, "{name}");
        assert_eq!(metrics.sum(&bucket, &[("le", "1000")]), 2, "{name}");
        assert_eq!(metrics.sum(&bucket, &[("le", "+Inf")]), 3, "{name}");
    }
    mesh.finish();
}

fn the_scrape_is_well_formed(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let mut client = mesh.client();
    for _ in 0..20 {
        client.get("/");
    }
    drop(client);
    mesh.proxy.wait_for_metric("istio_requests_total", 20);
    let answer = mesh.proxy.ask("GET", "/stats/prometheus");
    assert!(
        answer
            .get("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let text = answer.text();
    let typed: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let mut series = BTreeSet::new();
    for sample in mesh.proxy.metrics().samples() {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| {
                sample
                    .name
                    .strip_suffix(end)
                    .filter(|base| typed.contains(base))
            })
            .unwrap_or(&sample.name);
        assert!(typed.contains(base), "{} has no type", sample.name);
        assert!(
            text.contains(&format!("# HELP {base} ")),
            "{base} has no help"
        );
        assert!(
            series.insert(format!("{} {:?}", sample.name, sample.labels)),
            "twice: {sample:?}"
        );
    }
    let metrics = mesh.proxy.metrics();
    for name in [
        "istio_request_duration_milliseconds",
        "istio_request_bytes",
        "istio_response_bytes",
    ] {
        let buckets = metrics.named(&format!("{name}_bucket"));
        let values: Vec<_> = buckets.iter().map(|sample| sample.value).collect();
        assert!(
            values.windows(2).all(|pair| pair[0] <= pair[1]),
            "{name}: {values:?}"
        );
        assert_eq!(buckets.last().unwrap().labels["le"], "+Inf");
        assert_eq!(values.last(), Some(&20.0));
    }
    mesh.finish();
}

fn the_manual_names_every_metric(io: Io) {
    let origin = Origin::saying("hello");
    let mesh = Mesh::to(io, &origin);
    assert_eq!(mesh.client().get("/").status(), 200);
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let text = mesh.proxy.ask("GET", "/stats/prometheus").text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: Vec<_> = types.filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"ringmain_mirrors_sent_total"), "{names:?}");
    for name in names {
        assert!(manual.contains(&format!("`{name}`")), "{name}");
    }
    mesh.finish();
}

fn the_admin_endpoint(io: Io) {
    let origin = Origin::saying("ok");
    let mesh = Mesh::to(io, &origin);
    let proxy = &mesh.proxy;
    assert_eq!(proxy.ask("GET", "/ready").text().trim(), "LIVE");
    let listeners = proxy.ask("GET", "/listeners").text();
    assert!(
        listeners.contains(&format!("::{}", mesh.gateway)),
        "{listeners}"
    );
    let clusters = proxy.ask("GET", "/clusters").text();
    assert!(
        clusters.contains(&format!("outbound|80||origin.test::{}::", origin.address())),
        "{clusters}"
    );
    let dump = proxy.ask("GET", "/config_dump").text();
    for part in [
        "routes.yaml",
        "outbound|80||origin.test",
        &mesh.gateway.to_string(),
    ] {
        assert!(dump.contains(part), "{part} is not in {dump}");
    }
    let info = proxy.info();
    assert_eq!(info["state"], "LIVE");
    assert_eq!(info["source"], "control_plane");
    assert_eq!(info["control_plane"]["connection"]["state"], "connected");
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/nothing", 404),
        ("GET", "/quitquitquit", 405),
        ("POST", "/ready", 405),
        ("POST", "/healthcheck/fail", 200),
        ("GET", "/ready", 503),
        ("POST", "/healthcheck/ok", 200),
        ("GET", "/ready", 200),
        ("HEAD", "/ready", 200),
    ] {
        assert_eq!(proxy.ask(method, path).status(), status, "{method} {path}");
    }
    // Traffic never reaches it, nor it traffic.
    assert_eq!(mesh.client().get("/ready").text(), "ok");
    mesh.finish_one();
}

fn the_rung_is_the_one_asked_for(io: Io) {
    let mesh = Mesh::builder(io).start();
    let shown = mesh.proxy.info()["io"].as_str().unwrap().to_owned();
    let is_epoll = shown.contains("epoll");
    assert_eq!(is_epoll, io == Io::Epoll, "{shown}");
    assert_eq!(
        mesh.proxy
            .metrics()
            .sum("ringmain_io_backend", &[("backend", &shown)]),
        1
    );
    mesh.finish();
}
