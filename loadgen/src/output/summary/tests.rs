use serde_json::Value;

use super::*;

/// Half a minute at 2000 requests per second of which 12 failed, in intervals of a second.
pub(crate) fn summary() -> Summary {
    let latency = Latency {
        min: 120,
        mean: 1021.4,
        p50: 800,
        p75: 1300,
        p90: 1900,
        p99: 5200,
        p999: 9100,
        p9999: 18_000,
        max: 21_000,
    };
    let intervals = (0..30).map(|index| interval(index, latency));
    Summary {
        format: FORMAT,
        program: "ringmain 0.1.0".to_owned(),
        started: "2026-01-02T03:04:05Z".to_owned(),
        mode: Mode::Open,
        latency_from: LatencyFrom::IntendedSendTime,
        arrivals: Some("constant".to_owned()),
        protocol: "http/1.1".to_owned(),
        connections: 256,
        streams: 1,
        connect_per_request: false,
        workers: 2,
        interrupted: false,
        warmup_s: 2.0,
        duration_s: 30.0,
        requests: 60_000,
        answered: 59_991,
        failed: 12,
        errors: BTreeMap::from([("closed".to_owned(), 5), ("timeout".to_owned(), 4)]),
        error_examples: BTreeMap::from([
            (
                "closed".to_owned(),
                "the server closed after 12 bytes".to_owned(),
            ),
            ("timeout".to_owned(), "no answer within 1s".to_owned()),
        ]),
        status: BTreeMap::from([(200, 59_988), (503, 3)]),
        rate: 1998.6,
        intended_rate: Some(2000.0),
        achieved_rate: 1998.6,
        bytes_in: 12_345_678,
        bytes_out: 4_567_890,
        latency_us: Some(latency),
        connect_us: None,
        drained: None,
        generator: Generator {
            bottleneck: false,
            reason: None,
            threads: [0.1, 0.21]
                .map(|ran| ThreadShare { ran, waited: 0.01 })
                .to_vec(),
            cpu_s: 9.2,
            slip_us: Some(Slip {
                p50: 12,
                p99: 80,
                max: 1900,
            }),
            io: "io_uring with DEFER_TASKRUN".to_owned(),
            connections_opened: 14,
            resumed: 3,
            resent: 0,
        },
        targets: vec![TargetSummary {
            url: "http://127.0.0.1:8080/".to_owned(),
            method: Some("GET".to_owned()),
            weight: 1,
            body_bytes: 0,
            requests: 60_000,
            answered: 59_991,
            failed: 12,
            errors: BTreeMap::from([("closed".to_owned(), 5), ("timeout".to_owned(), 4)]),
            status: BTreeMap::from([(200, 59_988), (503, 3)]),
            bytes_in: 12_345_678,
            bytes_out: 4_567_890,
            latency_us: Some(latency),
        }],
        objectives: Vec::new(),
        intervals: intervals.collect(),
    }
}

/// Latencies that swing by some percent, as those of a steady server do.
fn interval(index: u64, latency: Latency) -> Interval {
    let swing = index * 7 % 11;
    let of = |value: u64| Some(value + value * swing / 100);
    Interval {
        start_s: index as f64,
        length_s: 1.0,
        requests: 2000,
        errors: u64::from(index < 9),
        rate: 2000.0 - (index % 3) as f64,
        bytes_in: 411_522,
        bytes_out: 152_263,
        p50_us: of(latency.p50),
        p90_us: of(latency.p90),
        p99_us: of(latency.p99),
    }
}

/// As scripts find it: a change of this table is a change of the interface.
#[test]
fn the_json_has_these_fields() {
    let mut summary = summary();
    summary.objectives = vec![super::super::Objective::Errors(0).judge(&summary)];
    let value: Value = serde_json::from_str(&summary.to_json()).unwrap();
    let fields = [
        ("/format", "number"),
        ("/program", "string"),
        ("/started", "string"),
        ("/mode", "string"),
        ("/latency_from", "string"),
        ("/arrivals", "string"),
        ("/protocol", "string"),
        ("/connections", "number"),
        ("/streams", "number"),
        ("/connect_per_request", "boolean"),
        ("/workers", "number"),
        ("/interrupted", "boolean"),
        ("/warmup_s", "number"),
        ("/duration_s", "number"),
        ("/requests", "number"),
        ("/answered", "number"),
        ("/failed", "number"),
        ("/errors", "object"),
        ("/errors/timeout", "number"),
        ("/error_examples", "object"),
        ("/error_examples/timeout", "string"),
        ("/status", "object"),
        ("/status/200", "number"),
        ("/rate", "number"),
        ("/intended_rate", "number"),
        ("/achieved_rate", "number"),
        ("/bytes_in", "number"),
        ("/bytes_out", "number"),
        ("/latency_us/min", "number"),
        ("/latency_us/mean", "number"),
        ("/latency_us/p50", "number"),
        ("/latency_us/p75", "number"),
        ("/latency_us/p90", "number"),
        ("/latency_us/p99", "number"),
        ("/latency_us/p999", "number"),
        ("/latency_us/p9999", "number"),
        ("/latency_us/max", "number"),
        ("/connect_us", "null"),
        ("/drained", "null"),
        ("/generator/bottleneck", "boolean"),
        ("/generator/reason", "null"),
        ("/generator/threads/0/ran", "number"),
        ("/generator/threads/0/waited", "number"),
        ("/generator/cpu_s", "number"),
        ("/generator/slip_us/p50", "number"),
        ("/generator/slip_us/p99", "number"),
        ("/generator/slip_us/max", "number"),
        ("/generator/io", "string"),
        ("/generator/connections_opened", "number"),
        ("/generator/resumed", "number"),
        ("/generator/resent", "number"),
        ("/targets/0/url", "string"),
        ("/targets/0/method", "string"),
        ("/targets/0/weight", "number"),
        ("/targets/0/body_bytes", "number"),
        ("/targets/0/requests", "number"),
        ("/targets/0/answered", "number"),
        ("/targets/0/failed", "number"),
        ("/targets/0/errors", "object"),
        ("/targets/0/status", "object"),
        ("/targets/0/bytes_in", "number"),
        ("/targets/0/bytes_out", "number"),
        ("/targets/0/latency_us", "object"),
        ("/objectives/0/objective", "string"),
        ("/objectives/0/unit", "string"),
        ("/objectives/0/limit", "number"),
        ("/objectives/0/measured", "number"),
        ("/objectives/0/held", "boolean"),
        ("/intervals/0/start_s", "number"),
        ("/intervals/0/length_s", "number"),
        ("/intervals/0/requests", "number"),
        ("/intervals/0/errors", "number"),
        ("/intervals/0/rate", "number"),
        ("/intervals/0/bytes_in", "number"),
        ("/intervals/0/bytes_out", "number"),
        ("/intervals/0/p50_us", "number"),
        ("/intervals/0/p90_us", "number"),
        ("/intervals/0/p99_us", "number"),
    ];
    for (path, kind) in fields {
        let found = value.pointer(path).map(kind_of);
        assert_eq!(found, Some(kind), "{path}");
    }
    // Nothing beside them at the top: what is printed is described.
    let described: Vec<_> = fields
        .iter()
        .map(|(path, _)| path.split('/').nth(1).unwrap())
        .collect();
    for name in value.as_object().unwrap().keys() {
        assert!(described.contains(&name.as_str()), "{name}");
    }
}

/// Every name of the JSON stands in the reference.
#[test]
fn the_reference_has_every_field() {
    let reference = include_str!("../../../../docs/load.md");
    let mut summary = summary();
    summary.objectives = vec![super::super::Objective::Errors(0).judge(&summary)];
    summary.connect_us = summary.latency_us;
    summary.drained = Some(Drained::default());
    // Kinds of errors and statuses are no names of fields.
    summary.errors.clear();
    summary.error_examples.clear();
    summary.status.clear();
    summary.targets[0].errors.clear();
    summary.targets[0].status.clear();
    let mut values = vec![serde_json::to_value(&summary).unwrap()];
    while let Some(value) = values.pop() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    // `latency_us`, `generator.io`, `generator.`...
                    let ways = [
                        format!("`{name}`"),
                        format!(".{name}`"),
                        format!("`{name}."),
                    ];
                    assert!(ways.iter().any(|way| reference.contains(way)), "{name}");
                    values.push(value);
                }
            }
            Value::Array(all) => values.extend(all),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for kind in crate::ErrorKind::ALL {
        assert!(
            reference.contains(&format!("`{}`", kind.name())),
            "{kind:?}"
        );
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn words_of_the_json() {
    let value: Value = serde_json::from_str(&summary().to_json()).unwrap();
    assert_eq!(value["mode"], "open");
    assert_eq!(value["latency_from"], "intended_send_time");
    let mut closed = summary();
    closed.mode = Mode::Closed;
    closed.latency_from = LatencyFrom::SendTime;
    closed.intended_rate = None;
    closed.latency_us = None;
    let value: Value = serde_json::from_str(&closed.to_json()).unwrap();
    assert_eq!(value["mode"], "closed");
    assert_eq!(value["latency_from"], "send_time");
    assert_eq!(value["intended_rate"], Value::Null);
    assert_eq!(value["latency_us"], Value::Null);
}

#[test]
fn what_is_written_is_read() {
    let summary = summary();
    assert_eq!(Summary::from_json(&summary.to_json()), Ok(summary));
}

#[test]
fn other_documents_are_refused() {
    for (text, part) in [
        ("", "EOF"),
        ("{}", "missing field `format`"),
        ("{\"format\": 99}", "its format is 99"),
        ("{\"format\": 1}", "missing field"),
        ("[1]", "invalid"),
    ] {
        let error = Summary::from_json(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
        assert!(error.starts_with("not a result of"), "{error}");
    }
}

#[test]
fn latencies_of_a_histogram() {
    let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).unwrap();
    assert_eq!(Latency::of(&histogram), None);
    for value in 1..=1000 {
        histogram.record(value).unwrap();
    }
    let latency = Latency::of(&histogram).unwrap();
    assert_eq!(
        latency.figures(),
        [
            1.0, 500.5, 500.0, 750.0, 900.0, 990.0, 999.0, 1000.0, 1000.0
        ]
    );
}
