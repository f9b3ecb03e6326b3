//! What a request leaves behind.

use std::{hint::black_box, time::Duration};

use ringmain_core::{
    access_log::{Entry, Outcome, Protocol},
    failure::Flags,
};

use super::Run;

/// Of a browser's request through a gateway.
pub(super) fn line() -> Run {
    let address = |text: &str| Some(text.parse().unwrap());
    let entry = Entry {
        start_unix_millis: 1_795_426_534_409,
        method: b"GET",
        path: b"/productpage?u=normal&lang=en",
        protocol: Some(Protocol::Http11),
        status: 200,
        outcome: Outcome::ViaUpstream,
        further_flags: Flags::NONE,
        termination_details: "",
        transport_failure: b"",
        bytes_received: 0,
        bytes_sent: 5183,
        duration: Duration::from_micros(24_900),
        upstream_service_time: Some(Duration::from_millis(23)),
        forwarded_for: b"10.44.1.23",
        user_agent: b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
            Chrome/130.0.0.0 Safari/537.36",
        request_id: b"0b52ab2e-8f0a-4b2a-9f07-0d1b0c0e5b11",
        authority: b"bookinfo.example:8080",
        upstream_host: address("10.44.1.27:9080"),
        cluster: b"outbound|9080||productpage.bookinfo.example",
        upstream_local: address("10.44.1.23:37652"),
        downstream_local: address("10.0.45.184:8080"),
        downstream_remote: address("10.44.1.23:46520"),
        server_name: b"",
        route: b"bookinfo",
    };
    let mut out = Vec::new();
    Box::new(move |times| {
        for _ in 0..times {
            out.clear();
            black_box(&entry).write(&mut out);
            black_box(&out);
        }
    })
}
