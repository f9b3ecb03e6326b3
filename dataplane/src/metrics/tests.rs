use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use proptest::prelude::*;
use ringmain_config::{cluster::Service, endpoint::Workload};
use ringmain_core::{
    failure::{Flag, Flags},
    metrics::{Labels, Reporter, RequestProtocol},
};

use super::{
    Answer, Edge, Metric, Registry, RegistryLimits, Sample, Scrape, WorkerMetrics,
    worker::REGISTRATIONS_MAX,
};

const IDLE: Duration = Duration::from_secs(600);

fn workload(name: &str) -> Arc<Workload> {
    Arc::new(Workload {
        name: name.to_owned(),
        ..Workload::default()
    })
}

fn edge(destination: &str) -> Rc<Edge> {
    let service = Service {
        name: destination.to_owned(),
        ..Service::default()
    };
    Edge::new(workload(destination), Arc::new(service))
}

fn answer(status: u16) -> Answer {
    Answer {
        protocol: RequestProtocol::HTTP,
        reporter: Reporter::Source,
        status,
        flags: if status >= 500 {
            Flag::Uf.into()
        } else {
            Flags::NONE
        },
    }
}

const SAMPLE: Sample = Sample {
    duration_micros: 1500,
    request_bytes: 0,
    response_bytes: 42,
};

/// A proxy without threads: its workers and its supervisor, and a clock.
struct Proxy {
    registry: Registry,
    workers: Vec<WorkerMetrics>,
    now: Instant,
}

impl Proxy {
    fn new(workers: usize, series_max: usize) -> Self {
        let now = Instant::now();
        let limits = RegistryLimits {
            series_max,
            idle: IDLE,
        };
        let mut registry = Registry::new(workload("own"), limits);
        let workers = (0..workers)
            .map(|_| WorkerMetrics::new(registry.add_worker(now)))
            .collect();
        Self {
            registry,
            workers,
            now,
        }
    }

    fn scrape(&mut self) -> Scrape {
        self.registry.scrape(self.now)
    }

    /// Requests shown, by destination and status.
    fn shown(&mut self) -> Vec<String> {
        let scrape = self.scrape();
        let line = |(labels, requests): (&Labels, u64)| match labels {
            Labels::Overflow => format!("overflow {requests}"),
            Labels::Connections(labels) => format!("{} tcp", labels.destination.name),
            Labels::Requests(labels) => {
                format!("{} {} {requests}", labels.destination.name, labels.status)
            }
        };
        let series = scrape.series.iter();
        series
            .map(|series| line((&series.labels, series.totals.requests())))
            .collect()
    }

    /// Lets `time` pass in the way a process does: everybody looks after their things now and then.
    fn pass(&mut self, time: Duration) {
        for _ in 0..4 {
            self.now += time / 4;
            self.registry.tick(self.now);
            self.workers.iter().for_each(WorkerMetrics::tick);
        }
    }
}

fn counters(scrape: &Scrape, name: &str) -> Vec<String> {
    let mut text = Vec::new();
    scrape.render(&[], &mut text);
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(str::to_owned).collect()
}

#[test]
fn equal_labels_are_one_series() {
    let mut proxy = Proxy::new(2, 10);
    for (worker, destination, status) in [
        (0, "reviews", 200),
        (1, "reviews", 200),
        (1, "reviews", 503),
        (0, "ratings", 200),
        (0, "reviews", 200),
    ] {
        // A new edge each time, as after a new snapshot: labels count, not where they stand.
        proxy.workers[worker].observe(&edge(destination), answer(status), &SAMPLE);
    }
    assert_eq!(
        proxy.shown(),
        ["reviews 200 3", "ratings 200 1", "reviews 503 1"]
    );
    let scrape = proxy.scrape();
    assert_eq!(
        counters(&scrape, "ringmain_series{"),
        [
            "ringmain_series{worker=\"0\"} 2",
            "ringmain_series{worker=\"1\"} 2"
        ]
    );
    let totals = &scrape.series[0].totals;
    assert_eq!(totals.duration.sum, 4500);
    assert_eq!(totals.duration.buckets[2], 3);
    assert_eq!(totals.request_bytes.buckets[0], 3);
    assert_eq!(totals.response_bytes.sum, 126);
}

#[test]
fn the_reporter_decides_who_is_the_source() {
    let mut proxy = Proxy::new(1, 10);
    let edge = edge("reviews");
    for reporter in [Reporter::Source, Reporter::Destination] {
        let answer = Answer {
            protocol: RequestProtocol::HTTP,
            reporter,
            status: 200,
            flags: Flags::NONE,
        };
        proxy.workers[0].observe(&edge, answer, &SAMPLE);
    }
    let scrape = proxy.scrape();
    let ends: Vec<_> = scrape
        .series
        .iter()
        .map(|series| match &series.labels {
            Labels::Requests(labels) => (&*labels.source.name, &*labels.destination.name),
            Labels::Connections(labels) => (&*labels.source.name, &*labels.destination.name),
            Labels::Overflow => ("overflow", "overflow"),
        })
        .collect();
    assert_eq!(ends, [("own", "reviews"), ("", "own")]);
}

#[test]
fn more_series_than_the_limit_overflow() {
    let mut proxy = Proxy::new(1, 2);
    let edges = ["a", "b", "c", "d"].map(edge);
    for edge in &edges {
        proxy.workers[0].observe(edge, answer(200), &SAMPLE);
        proxy.workers[0].observe(edge, answer(200), &SAMPLE);
    }
    assert_eq!(proxy.shown(), ["overflow 4", "a 200 2", "b 200 2"]);
    let scrape = proxy.scrape();
    assert_eq!(
        counters(&scrape, "ringmain_series_refused_total{"),
        ["ringmain_series_refused_total{worker=\"0\"} 2"]
    );

    // When idle ones have made room, the caches that hold the overflow series ask again.
    proxy.pass(IDLE / 2);
    proxy.workers[0].observe(&edges[1], answer(200), &SAMPLE);
    proxy.pass(IDLE);
    proxy.workers[0].observe(&edges[2], answer(200), &SAMPLE);
    assert_eq!(proxy.shown(), ["overflow 4", "b 200 3", "c 200 1"]);
}

#[test]
fn a_full_registration_queue_overflows_for_a_moment() {
    let mut proxy = Proxy::new(1, 10 * REGISTRATIONS_MAX);
    let edges: Vec<_> = (0..=REGISTRATIONS_MAX)
        .map(|index| edge(&format!("{index}")))
        .collect();
    for edge in &edges {
        proxy.workers[0].observe(edge, answer(200), &SAMPLE);
    }
    assert_eq!(proxy.shown().len(), REGISTRATIONS_MAX + 1);
    proxy.workers[0].observe(&edges[REGISTRATIONS_MAX], answer(200), &SAMPLE);
    assert_eq!(proxy.shown()[0], "overflow 2");
    proxy.workers[0].tick();
    proxy.workers[0].observe(&edges[REGISTRATIONS_MAX], answer(200), &SAMPLE);
    assert_eq!(proxy.shown().len(), REGISTRATIONS_MAX + 2);
    assert_eq!(proxy.shown()[0], "overflow 2");
}

#[test]
fn idle_series_expire_and_come_back() {
    let mut proxy = Proxy::new(2, 10);
    let (old, busy) = (edge("old"), edge("busy"));
    for worker in &proxy.workers {
        worker.observe(&old, answer(200), &SAMPLE);
    }
    proxy.workers[0].observe(&busy, answer(200), &SAMPLE);
    assert_eq!(proxy.shown(), ["old 200 2", "busy 200 1"]);

    proxy.pass(IDLE / 2);
    proxy.workers[0].observe(&busy, answer(200), &SAMPLE);
    proxy.pass(IDLE * 3 / 4);
    assert_eq!(proxy.shown(), ["busy 200 2"]);
    proxy.pass(IDLE / 8);
    let scrape = proxy.scrape();
    assert_eq!((scrape.expired_series, scrape.expired_requests), (1, 2));
    assert_eq!(proxy.registry.held(), 2, "busy and overflow");

    proxy.workers[1].observe(&old, answer(200), &SAMPLE);
    assert_eq!(proxy.shown(), ["busy 200 2", "old 200 1"]);
}

#[test]
fn what_is_counted_between_hiding_and_letting_go_is_shown() {
    let mut proxy = Proxy::new(1, 10);
    let edge = edge("late");
    proxy.workers[0].observe(&edge, answer(200), &SAMPLE);
    assert_eq!(proxy.shown(), ["late 200 1"]);
    proxy.now += IDLE;
    assert!(proxy.shown().is_empty());

    // The worker has not looked yet: it counts in the retired series.
    proxy.workers[0].observe(&edge, answer(200), &SAMPLE);
    assert_eq!(proxy.shown(), ["late 200 2"]);
    // Now it lets go, and makes a new one of the same labels.
    proxy.workers[0].tick();
    proxy.workers[0].observe(&edge, answer(200), &SAMPLE);
    assert_eq!(proxy.shown(), ["late 200 3"]);
    assert_eq!(proxy.scrape().expired_requests, 0);
}

#[test]
fn an_answer_of_every_kind_does_not_grow_a_cache() {
    let mut proxy = Proxy::new(1, 1000);
    let edge = edge("fickle");
    for round in 1..=3 {
        for status in 200..500 {
            proxy.workers[0].observe(&edge, answer(status), &SAMPLE);
        }
        let shown = proxy.shown();
        assert_eq!(shown.len(), 300);
        assert!(
            shown
                .iter()
                .all(|line| line.ends_with(&format!(" {round}")))
        );
    }
    assert!(edge.cache.len() <= 16, "{}", edge.cache.len());
}

#[test]
fn text() {
    let mut proxy = Proxy::new(1, 10);
    let edge = edge("reviews");
    proxy.workers[0].observe(&edge, answer(200), &SAMPLE);
    proxy.workers[0].observe(
        &edge,
        answer(200),
        &Sample {
            duration_micros: 4_000_000_000,
            request_bytes: 3,
            response_bytes: 5,
        },
    );
    proxy.workers[0].counters().requests_active.set(7);
    let mut text = Vec::new();
    proxy.scrape().render(
        &[
            Metric::build("1.2.3"),
            Metric::fact(
                "ringmain_io",
                "What it runs on.",
                vec![("backend", "a\"b".into())],
            ),
            Metric::moment(
                "ringmain_then",
                "When.",
                Some(UNIX_EPOCH + Duration::from_micros(12_000_345)),
            ),
        ],
        &mut text,
    );
    let text = String::from_utf8(text).unwrap();
    let own = "reporter=\"source\",source_workload=\"own\"";
    // Labels between the first two and the last are the same everywhere, and tested in core.
    let short = |line: &str| match line.split_once(own) {
        Some((name, rest)) => {
            let le = rest.split_once("le=").map(|(_, le)| format!(",le={le}"));
            let rest = le.unwrap_or_else(|| rest[rest.find('}').unwrap()..].to_owned());
            format!("{name}own{rest}")
        }
        None => line.to_owned(),
    };
    let lines: Vec<_> = text.lines().map(short).collect();
    let has = |expected: &[&str]| {
        let found = lines
            .windows(expected.len())
            .any(|window| window == expected);
        assert!(found, "{expected:#?} in {lines:#?}");
    };
    has(&["# TYPE ringmain_then gauge", "ringmain_then 12.000345"]);
    has(&[
        "# HELP istio_build Version of the component.",
        "# TYPE istio_build gauge",
        "istio_build{component=\"proxy\",tag=\"1.2.3\"} 1",
        "# HELP ringmain_io What it runs on.",
        "# TYPE ringmain_io gauge",
        "ringmain_io{backend=\"a\\\"b\"} 1",
    ]);
    has(&[
        "# TYPE ringmain_requests_active gauge",
        "ringmain_requests_active{worker=\"0\"} 7",
    ]);
    has(&[
        "# TYPE istio_requests_total counter",
        "istio_requests_total{own} 2",
        "# HELP istio_request_duration_milliseconds Time from a request's first byte read to its \
         response's last byte sent.",
        "# TYPE istio_request_duration_milliseconds histogram",
        "istio_request_duration_milliseconds_bucket{own,le=\"0.5\"} 0",
        "istio_request_duration_milliseconds_bucket{own,le=\"1\"} 0",
        "istio_request_duration_milliseconds_bucket{own,le=\"5\"} 1",
    ]);
    has(&[
        "istio_request_duration_milliseconds_bucket{own,le=\"3600000\"} 1",
        "istio_request_duration_milliseconds_bucket{own,le=\"+Inf\"} 2",
        "istio_request_duration_milliseconds_sum{own} 4000001.500",
        "istio_request_duration_milliseconds_count{own} 2",
        "# HELP istio_request_bytes Size of request bodies.",
        "# TYPE istio_request_bytes histogram",
        "istio_request_bytes_bucket{own,le=\"0.5\"} 1",
        "istio_request_bytes_bucket{own,le=\"1\"} 1",
        "istio_request_bytes_bucket{own,le=\"5\"} 2",
    ]);
    has(&[
        "istio_response_bytes_sum{own} 47",
        "istio_response_bytes_count{own} 2",
    ]);
    for line in &lines {
        let count = lines.iter().filter(|other| *other == line).count();
        assert_eq!(count, 1, "{line} stands there more than once");
    }
}

/// A worker that counts while the supervisor scrapes and expires: nothing is lost or counted twice.
#[test]
fn counting_beside_a_reader() {
    const REQUESTS: u64 = 200_000;
    let mut now = Instant::now();
    let limits = RegistryLimits {
        series_max: 3,
        idle: IDLE,
    };
    let mut registry = Registry::new(workload("own"), limits);
    let parts = registry.add_worker(now);
    let is_done = Arc::new(AtomicBool::new(false));
    let owner = {
        let is_done = Arc::clone(&is_done);
        thread::spawn(move || {
            let metrics = WorkerMetrics::new(parts);
            let mut edges = ["a", "b", "c", "d"].map(edge);
            for index in 0..REQUESTS {
                let which = usize::try_from(index / 7 % 4).unwrap();
                if index % 1000 == 0 {
                    edges[which] = edge("a");
                }
                metrics.observe(&edges[which], answer(200), &SAMPLE);
                if index % 64 == 0 {
                    metrics.tick();
                }
            }
            is_done.store(true, Ordering::Release);
        })
    };
    let mut before = 0;
    loop {
        let was_done = is_done.load(Ordering::Acquire);
        now += IDLE / 3;
        registry.scrape(now);
        let counted = registry.counted();
        assert!(
            before <= counted && counted <= REQUESTS,
            "{before} {counted}"
        );
        before = counted;
        if was_done {
            break;
        }
    }
    owner.join().unwrap();
    registry.scrape(now);
    assert_eq!(registry.counted(), REQUESTS);
}

#[derive(Clone, Debug)]
enum Step {
    Observe {
        worker: usize,
        edge: usize,
        status: u16,
    },
    /// The edges of a worker are made anew, as for a new snapshot.
    Renew(usize),
    TickWorker(usize),
    TickRegistry(u32),
    Scrape(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..2usize;
    prop_oneof![
        6 => (worker.clone(), 0..4usize, prop::sample::select(vec![200, 404, 503]))
            .prop_map(|(worker, edge, status)| Step::Observe { worker, edge, status }),
        1 => worker.clone().prop_map(Step::Renew),
        2 => worker.prop_map(Step::TickWorker),
        2 => (0..500u32).prop_map(Step::TickRegistry),
        2 => (0..500u32).prop_map(Step::Scrape),
    ]
}

proptest! {
    /// Whatever comes between, every observation is in one place.
    #[test]
    fn no_count_is_lost_or_doubled(steps in prop::collection::vec(step(), 0..200)) {
        let mut proxy = Proxy::new(2, 3);
        let make = || ["a", "b", "c", "d"].map(edge);
        let mut edges = [make(), make()];
        let mut observed = 0;
        for step in steps {
            match step {
                Step::Observe { worker, edge, status } => {
                    proxy.workers[worker].observe(&edges[worker][edge], answer(status), &SAMPLE);
                    observed += 1;
                }
                Step::Renew(worker) => edges[worker] = make(),
                Step::TickWorker(worker) => proxy.workers[worker].tick(),
                Step::TickRegistry(seconds) => {
                    proxy.now += Duration::from_secs(seconds.into());
                    proxy.registry.tick(proxy.now);
                }
                Step::Scrape(seconds) => {
                    proxy.now += Duration::from_secs(seconds.into());
                    proxy.scrape();
                    prop_assert_eq!(proxy.registry.counted(), observed);
                }
            }
        }
        // Left alone, all of them expire but the overflow series.
        proxy.pass(IDLE * 4);
        let scrape = proxy.scrape();
        let shown: u64 = scrape.series.iter().map(|series| series.totals.requests()).sum();
        prop_assert_eq!(shown + scrape.expired_requests, observed);
        prop_assert!(scrape.series.iter().all(|series| series.labels == Labels::Overflow));
        prop_assert_eq!(proxy.registry.held(), 1);
    }
}
