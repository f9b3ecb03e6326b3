use std::io;

use proptest::prelude::*;
use ringmain_config::{cluster::Service, endpoint::Workload};
use ringmain_core::{http1::reject::Reject, metrics::Labels};

use super::*;
use crate::{
    access_log::LogReader,
    io::ring::Rung,
    metrics::{Registry, RegistryLimits},
};

/// One worker's recorder, and what it has written and counted.
struct Bench {
    recorder: Recorder,
    reader: LogReader,
    registry: Registry,
    cluster: Rc<Edge>,
    endpoint: Rc<Edge>,
}

impl Bench {
    fn new(is_logged: bool) -> Self {
        let workload = |name: &str| {
            Arc::new(Workload {
                name: name.to_owned(),
                ..Workload::default()
            })
        };
        let service = Arc::new(Service {
            name: "reviews".to_owned(),
            ..Service::default()
        });
        let mut registry = Registry::new(workload("own"), RegistryLimits::default());
        let (sink, reader) = LogSink::read_by_hand();
        let parts = registry.add_worker(std::time::Instant::now());
        let recorder = Recorder::new(
            parts,
            is_logged.then_some(sink),
            Deadlines::new(Rung::Epoll),
        );
        recorder.epoch.set(1_606_342_578_400_000);
        Self {
            recorder,
            reader,
            registry,
            cluster: Edge::new(Arc::default(), Arc::clone(&service)),
            endpoint: Edge::new(workload("reviews-v1"), service),
        }
    }

    fn open(&self) -> Record<'_> {
        Record::open(&self.recorder, Reporter::Source, 9_000)
    }

    /// A record as an exchange fills it up to the endpoint.
    fn sent(&self) -> Record<'_> {
        let mut record = self.open();
        record.describe(describe);
        record.route("canary");
        record.cluster("outbound|9080||reviews", &self.cluster);
        record.endpoint(address("10.0.0.2:9080"), &self.endpoint);
        record.upstream_local(|| Some(address("10.0.0.1:5000")));
        record.received(10);
        record
    }

    /// Lines that were written.
    fn log(&self) -> String {
        if let Some(log) = &self.recorder.log {
            log.flush();
        }
        self.reader.text()
    }

    /// Requests that were counted: workload, service, status, flag, number.
    fn counted(&mut self) -> Vec<String> {
        let scrape = self.registry.scrape(std::time::Instant::now());
        let series = scrape.series.iter().map(|series| {
            let Labels::Requests(labels) = &series.labels else {
                return "overflow".to_owned();
            };
            format!(
                "{} {} {} {} {}",
                labels.destination.name,
                labels.service.name,
                labels.status,
                &*labels.flags.text(),
                series.totals.requests()
            )
        });
        series.collect()
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn describe() -> Description<'static> {
    Description {
        method: b"GET",
        path: b"/reviews?id=1",
        protocol: Some(Protocol::Http11),
        authority: b"reviews:9080",
        user_agent: b"curl/8",
        request_id: b"id-1",
        forwarded_for: b"192.0.2.1",
        server_name: b"",
        downstream_local: Some(address("10.0.0.1:80")),
        downstream_remote: Some(address("192.0.2.1:40000")),
    }
}

/// One request, told by `exchange`, is one line and one count.
fn check(exchange: fn(&Bench), line: &str, counted: &str) {
    for is_logged in [true, false] {
        let mut bench = Bench::new(is_logged);
        exchange(&bench);
        let expected = format!("[2020-11-25T22:16:18.409Z] {line}\n");
        assert_eq!(bench.log(), if is_logged { &*expected } else { "" });
        assert_eq!(bench.counted(), [counted]);
        assert_eq!(bench.recorder.counters().requests_active.value(), 0);
    }
}

const TAIL: &str = "\"192.0.2.1\" \"curl/8\" \"id-1\" \"reviews:9080\"";

#[test]
fn a_forwarded_answer() {
    check(
        |bench| {
            let mut record = bench.sent();
            record.upstream_service_time(2_900);
            record.forwarding(200);
            record.sent(1000);
            record.sent(24);
            assert_eq!(bench.recorder.counters().requests_active.value(), 1);
            record.close_at(14_999);
        },
        &format!(
            "\"GET /reviews?id=1 HTTP/1.1\" 200 - via_upstream - \"-\" 10 1024 5 2 {TAIL} \
             \"10.0.0.2:9080\" outbound|9080||reviews 10.0.0.1:5000 10.0.0.1:80 192.0.2.1:40000 - \
             canary"
        ),
        "reviews-v1 reviews 200 - 1",
    );
}

#[test]
fn a_routes_own_answer() {
    check(
        |bench| {
            let mut record = bench.open();
            record.describe(describe);
            record.route("moved");
            record.answering(301);
            record.close_at(9_000);
        },
        &format!(
            "\"GET /reviews?id=1 HTTP/1.1\" 301 - direct_response - \"-\" 0 0 0 - {TAIL} \"-\" - - \
             10.0.0.1:80 192.0.2.1:40000 - moved"
        ),
        "  301 - 1",
    );
}

#[test]
fn no_endpoint_answers() {
    check(
        |bench| {
            let mut record = bench.sent();
            record.transport_failure(&io::Error::from_raw_os_error(111));
            record.fail(Failure::ConnectFailed);
            record.sent(19);
            record.close_at(10_000);
        },
        &format!(
            "\"GET /reviews?id=1 HTTP/1.1\" 503 UF \
             upstream_reset_before_response_started{{remote_connection_failure}} - \
             \"Connection refused (os error 111)\" 10 19 1 - {TAIL} \"10.0.0.2:9080\" \
             outbound|9080||reviews 10.0.0.1:5000 10.0.0.1:80 192.0.2.1:40000 - canary"
        ),
        "reviews-v1 reviews 503 UF 1",
    );
    check(
        |bench| {
            let mut record = bench.open();
            record.cluster("outbound|9080||reviews", &bench.cluster);
            record.fail(Failure::NoEndpoint);
            record.close_at(9_000);
        },
        "\"- - -\" 503 UH no_healthy_upstream - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" \
         outbound|9080||reviews - - - - -",
        " reviews 503 UH 1",
    );
}

#[test]
fn a_further_try_that_succeeds_forgets_the_first() {
    check(
        |bench| {
            let mut record = bench.sent();
            record.transport_failure(&io::Error::from_raw_os_error(111));
            record.upstream_service_time(7_000);
            record.endpoint(address("10.0.0.3:9080"), &bench.endpoint);
            record.forwarding(204);
            record.close_at(9_000);
        },
        &format!(
            "\"GET /reviews?id=1 HTTP/1.1\" 204 - via_upstream - \"-\" 10 0 0 - {TAIL} \
             \"10.0.0.3:9080\" outbound|9080||reviews - 10.0.0.1:80 192.0.2.1:40000 - canary"
        ),
        "reviews-v1 reviews 204 - 1",
    );
}

#[test]
fn what_is_not_http() {
    check(
        |bench| {
            let mut record = bench.open();
            record.fail(Failure::BadRequest(Reject::RequestLine));
            record.termination("http1.request_line");
            assert_eq!(bench.recorder.counters().requests_rejected.value(), 1);
            record.close_at(9_000);
        },
        &format!(
            "\"- - -\" {} DPE {} http1.request_line \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - \
             - - - - -",
            Reject::RequestLine.status(),
            Reject::RequestLine.reason()
        ),
        &format!("  {} DPE 1", Reject::RequestLine.status()),
    );
}

#[test]
fn an_answer_cut_short_keeps_its_status_and_the_first_cause() {
    let line = |details: &str| {
        format!(
            "\"- - -\" 200 UC {details} - \"-\" 0 5 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - - - - -"
        )
    };
    check(
        |bench| {
            let mut record = bench.open();
            record.forwarding(200);
            record.sent(5);
            record.fail(Failure::UpstreamTruncated);
            record.fail(Failure::DownstreamGone);
            record.close_at(9_000);
        },
        &line("upstream_reset_after_response_started{connection_termination}"),
        "  200 UC 1",
    );
}

/// Durations of dropped records are those of the test, so only their beginning is looked at.
#[test]
fn a_dropped_record_is_a_client_that_has_gone() {
    let check = |fill: fn(&mut Record<'_>), line: &str, counted: &str| {
        let mut bench = Bench::new(true);
        let mut record = bench.open();
        fill(&mut record);
        drop(record);
        let log = bench.log();
        assert_eq!(log.lines().count(), 1);
        assert!(log.contains(&format!("\"- - -\" {line} - \"-\" ")), "{log}");
        assert_eq!(bench.counted(), [counted]);
    };
    let gone = "DC downstream_remote_disconnect";
    check(|_| (), &format!("0 {gone}"), "  0 DC 1");
    check(
        |record| record.forwarding(200),
        &format!("200 {gone}"),
        "  200 DC 1",
    );
    check(
        |record| record.fail(Failure::RouteTimeout),
        "504 UT response_timeout",
        "  504 UT 1",
    );
}

#[test]
fn closing_without_an_answer_is_not_success() {
    check(
        |bench| bench.open().close_at(9_000),
        "\"- - -\" 0 DC downstream_remote_disconnect - \"-\" 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\" \
         - - - - - -",
        "  0 DC 1",
    );
}

#[test]
fn a_text_is_reused_without_its_content() {
    let bench = Bench::new(true);
    bench.sent().close_at(9_000);
    assert_eq!(bench.recorder.spare.borrow().len(), 1);
    bench.log();
    let mut record = bench.open();
    assert!(bench.recorder.spare.borrow().is_empty());
    record.answering(200);
    record.close_at(9_000);
    assert_eq!(
        bench.log(),
        "[2020-11-25T22:16:18.409Z] \"- - -\" 200 - direct_response - \"-\" 0 0 0 - \"-\" \"-\" \
         \"-\" \"-\" \"-\" - - - - - -\n"
    );

    let long = vec![b'a'; 100_000];
    let mut record = bench.open();
    record.describe(|| Description {
        path: &long,
        user_agent: &long,
        authority: &long,
        ..Description::default()
    });
    record.close_at(9_000);
    assert!(
        bench.recorder.spare.borrow().is_empty(),
        "too large to keep"
    );
    assert!(bench.log().len() < 13_000);
}

#[test]
fn the_wall_clock_is_followed() {
    let bench = Bench::new(true);
    let zero = |micros: u64| {
        let before = bench.recorder.clock.now();
        bench
            .recorder
            .set_wall_clock(UNIX_EPOCH + std::time::Duration::from_micros(micros));
        let epoch = bench.recorder.epoch.get();
        assert!(epoch <= micros.saturating_sub(before), "{epoch}");
        epoch
    };
    assert!(zero(1_700_000_000_000_000) > 1_600_000_000_000_000);
    assert!(zero(1_500_000_000_000_000) < 1_600_000_000_000_000);
    bench
        .recorder
        .set_wall_clock(UNIX_EPOCH - std::time::Duration::from_secs(1));
    assert_eq!(bench.recorder.epoch.get(), 0);
}

/// A record lives in the future of every request under way.
#[test]
fn size() {
    assert!(size_of::<Record<'_>>() <= 80, "{}", size_of::<Record<'_>>());
}

proptest! {
    #[test]
    fn every_record_is_one_line_and_one_count(
        stories in prop::collection::vec(prop::collection::vec(0..8u8, 0..6), 0..20),
    ) {
        let mut bench = Bench::new(true);
        for story in &stories {
            let mut record = Some(bench.sent());
            for step in story {
                let Some(open) = &mut record else { break };
                match step {
                    0 => open.forwarding(200),
                    1 => open.answering(404),
                    2 => open.fail(Failure::UpstreamClosed),
                    3 => open.fail(Failure::RouteTimeout),
                    4 => open.endpoint(address("10.0.0.3:9080"), &bench.endpoint),
                    5 => open.describe(|| Description { path: b"/\n\" 200", ..describe() }),
                    6 => record = None,
                    _ => record.take().expect("it is open").close(),
                }
            }
        }
        prop_assert_eq!(bench.log().lines().count(), stories.len());
        prop_assert_eq!(bench.recorder.counters().requests_active.value(), 0);
        let counted: u64 = bench
            .registry
            .scrape(std::time::Instant::now())
            .series
            .iter()
            .map(|series| series.totals.requests())
            .sum();
        prop_assert_eq!(counted, stories.len() as u64);
    }
}

/// What was told last counts: trailers stand behind a head. What is not gRPC has no such status.
#[test]
fn calls_of_grpc_have_their_status() {
    for (is_grpc, told, status, expected) in [
        (true, &[Some(0_u32)][..], 200, "grpc 0"),
        (true, &[Some(0), Some(14)], 200, "grpc 14"),
        (true, &[Some(5), None], 200, "grpc 5"),
        (true, &[], 200, "grpc 2"),
        (true, &[], 503, "grpc 14"),
        (false, &[Some(14)], 200, "http "),
    ] {
        let mut bench = Bench::new(false);
        let mut record = bench.sent();
        if is_grpc {
            record.speaks_grpc();
        }
        record.forwarding(status);
        told.iter().for_each(|told| record.grpc_status(|| *told));
        record.detach().attach(&bench.recorder).close();
        let scrape = bench.registry.scrape(std::time::Instant::now());
        let mut text = Vec::new();
        scrape.series[0].labels.write(&mut text);
        let text = String::from_utf8(text).unwrap();
        let (protocol, code) = expected.split_once(' ').unwrap();
        for (label, value) in [
            ("request_protocol", protocol),
            ("grpc_response_status", code),
        ] {
            let label = format!("{label}=\"{value}\"");
            assert!(text.contains(&label), "{is_grpc} {told:?} {status}: {text}");
        }
    }
}
