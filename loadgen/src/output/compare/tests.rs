use super::{super::summary::tests::summary, *};

fn compare(change: impl Fn(&mut Summary)) -> Comparison {
    let old = summary();
    let mut new = summary();
    change(&mut new);
    Comparison::new(("a.json", &old), ("b.json", &new))
}

fn slower(summary: &mut Summary, factor: f64) {
    let slow = |latency: &mut Latency| {
        let slow = |value: u64| (value as f64 * factor) as u64;
        *latency = Latency {
            min: latency.min,
            mean: latency.mean * factor,
            p50: slow(latency.p50),
            p75: slow(latency.p75),
            p90: slow(latency.p90),
            p99: slow(latency.p99),
            p999: slow(latency.p999),
            p9999: slow(latency.p9999),
            max: slow(latency.max),
        };
    };
    summary.latency_us.as_mut().map(slow);
    for interval in &mut summary.intervals {
        for latency in [
            &mut interval.p50_us,
            &mut interval.p90_us,
            &mut interval.p99_us,
        ] {
            *latency = latency.map(|value| (value as f64 * factor) as u64);
        }
    }
}

fn verdict(comparison: &Comparison, figure: &str) -> Verdict {
    let mut figures = comparison.figures.iter();
    figures
        .find(|change| change.figure == figure)
        .unwrap()
        .verdict
}

#[test]
fn verdicts() {
    type Make = fn(&mut Summary);
    let cases: [(Make, &str, Verdict); 13] = [
        (|_| {}, "rate", Verdict::WithinNoise),
        (|_| {}, "p50", Verdict::WithinNoise),
        (|_| {}, "failed", Verdict::WithinNoise),
        (|new| slower(new, 1.3), "p50", Verdict::Worse),
        (|new| slower(new, 1.3), "p90", Verdict::Worse),
        (|new| slower(new, 0.7), "p99", Verdict::Better),
        (|new| slower(new, 1.01), "p50", Verdict::WithinNoise),
        (|new| slower(new, 2.0), "p99.9", Verdict::NotJudged),
        (|new| slower(new, 2.0), "max", Verdict::NotJudged),
        (|new| slower(new, 2.0), "rate", Verdict::WithinNoise),
        (
            |new| {
                new.rate = 1000.0;
                new.intervals
                    .iter_mut()
                    .for_each(|interval| interval.rate /= 2.0);
            },
            "rate",
            Verdict::Worse,
        ),
        (|new| new.failed = 500, "failed", Verdict::Worse),
        (|new| new.intervals.truncate(5), "p50", Verdict::NotJudged),
    ];
    for (index, (make, figure, expected)) in cases.into_iter().enumerate() {
        let comparison = compare(make);
        assert_eq!(verdict(&comparison, figure), expected, "{index}: {figure}");
    }
}

#[test]
fn warnings_name_what_differs() {
    type Make = fn(&mut Summary);
    let cases: [(Make, &[&str]); 10] = [
        (|_| {}, &[]),
        (
            |new| new.intended_rate = Some(4000.0),
            &["the runs differ in pace: A open loop, 2000/s constant, \
                 B open loop, 4000/s constant"],
        ),
        (
            |new| new.mode = Mode::Closed,
            &["the runs differ in pace: A open loop, 2000/s constant, B closed loop"],
        ),
        (
            |new| new.protocol = "h2".to_owned(),
            &["the runs differ in protocol: A http/1.1, B h2"],
        ),
        (
            |new| new.targets[0].body_bytes = 7,
            &[
                "the runs differ in what is requested: A 1 x GET http://127.0.0.1:8080/ with 0 \
               bytes, B 1 x GET http://127.0.0.1:8080/ with 7 bytes",
            ],
        ),
        (
            |new| new.connections = 8,
            &["the runs differ in connections: A 256 of 1 streams, B 8 of 1 streams"],
        ),
        (
            |new| new.workers = 1,
            &["the runs differ in workers: A 2, B 1"],
        ),
        (
            |new| new.duration_s = 10.0,
            &["the runs differ in length: A 30s, B 10s"],
        ),
        (|new| new.interrupted = true, &["B was interrupted"]),
        (
            |new| {
                new.generator.bottleneck = true;
                new.generator.reason = Some("it used 99% of its core".to_owned());
            },
            &[
                "in B the generator was the bottleneck, its figures describe the generator: it \
               used 99% of its core",
            ],
        ),
    ];
    for (make, expected) in cases {
        assert_eq!(compare(make).warnings, expected);
    }
}

#[test]
fn as_text() {
    let text = compare(|new| {
        slower(new, 1.3);
        new.interrupted = true;
    })
    .text();
    let expected = "\
A  a.json, 2026-01-02T03:04:05Z, ringmain 0.1.0
B  b.json, 2026-01-02T03:04:05Z, ringmain 0.1.0

WARNING: B was interrupted

FIGURE  A        B        CHANGE  VERDICT
rate    1999/s   1999/s   +0.0%   within noise
failed  0.0200%  0.0200%  +0.0%   within noise
min     120us    120us    +0.0%   not judged: one number of each run
mean    1.02ms   1.33ms   +30.0%  not judged: one number of each run
p50     800us    1.04ms   +30.0%  WORSE
p75     1.30ms   1.69ms   +30.0%  not judged: one number of each run
p90     1.90ms   2.47ms   +30.0%  WORSE
p99     5.20ms   6.76ms   +30.0%  WORSE
p99.9   9.10ms   11.8ms   +30.0%  not judged: one number of each run
p99.99  18.0ms   23.4ms   +30.0%  not judged: one number of each run
max     21.0ms   27.3ms   +30.0%  not judged: one number of each run
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with(CAVEAT), "{text}");
}

#[test]
fn as_json() {
    let comparison = compare(|new| {
        slower(new, 1.5);
        new.latency_us = None;
    });
    let value = serde_json::to_value(&comparison).unwrap();
    assert_eq!(value["before"]["file"], "a.json");
    assert_eq!(value["warnings"], serde_json::json!([]));
    let median = &value["figures"][4];
    assert_eq!(median["figure"], "p50");
    assert_eq!(median["unit"], "us");
    assert_eq!(median["before"], 800.0);
    assert_eq!(median["after"], serde_json::Value::Null);
    let rate = &value["figures"][0];
    assert_eq!(
        (rate["verdict"].as_str(), rate["reason"].is_null()),
        (Some("within_noise"), true)
    );
}

#[test]
fn streams_are_compared_by_their_bytes() {
    let mut old = summary();
    old.mode = Mode::Stream;
    let mut new = old.clone();
    new.bytes_in *= 2;
    let intervals = new.intervals.iter_mut();
    intervals.for_each(|interval| interval.bytes_in *= 2);
    let comparison = Comparison::new(("a.json", &old), ("b.json", &new));
    let rows: Vec<_> = comparison.figures.iter().map(Change::row).collect();
    assert_eq!(
        rows,
        [
            ["received", "402 KiB/s", "804 KiB/s", "+100.0%", "better"],
            ["sent", "149 KiB/s", "149 KiB/s", "+0.0%", "within noise"],
        ]
    );
}
