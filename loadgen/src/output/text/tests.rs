use std::time::Duration;

use super::{
    super::{
        objective::{Figure, Objective},
        summary::tests::summary,
    },
    *,
};

#[test]
fn a_whole_run() {
    let mut summary = summary();
    let limit = Duration::from_millis(5);
    summary.connect_us = summary.latency_us;
    summary.objectives = vec![
        Objective::Latency(Figure::P99, limit).judge(&summary),
        Objective::Errors(20).judge(&summary),
    ];
    let expected = "\
open loop, latency from the intended send time
GET http://127.0.0.1:8080/
http/1.1, 256 connections, 2 workers, measured after 2s of warm-up

duration   30s
requests   60000
rate       1999/s answered of 2000/s intended
failed     12 (0.0200%)
status     200: 59988, 503: 3
bytes in   11.8 MiB (402 KiB/s)
bytes out  4.36 MiB (149 KiB/s)
generator  busiest worker ran 21% of the time, requests late by 12us (p50), 80us (p99), 1.90ms \
(max), io_uring with DEFER_TASKRUN, 14 connections opened, 3 by TLS resumption

TIMES    min    mean    p50    p75     p90     p99     p99.9   p99.99  max
latency  120us  1.02ms  800us  1.30ms  1.90ms  5.20ms  9.10ms  18.0ms  21.0ms
connect  120us  1.02ms  800us  1.30ms  1.90ms  5.20ms  9.10ms  18.0ms  21.0ms

ERROR    COUNT  THE FIRST OF THEM
closed   5      the server closed after 12 bytes
timeout  4      no answer within 1s

OBJECTIVE         MEASURED  VERDICT
--max-p99 5.00ms  5.20ms    MISSED
--max-errors 20   12        held
";
    assert_eq!(text(&summary), expected);
}

#[test]
fn a_closed_loop() {
    let mut closed = summary();
    closed.mode = Mode::Closed;
    closed.intended_rate = None;
    closed.generator.slip_us = None;
    closed.connections = 1;
    closed.workers = 1;
    let text = text(&closed);
    assert!(
        text.starts_with("closed loop, latency from the time of sending ("),
        "{text}"
    );
    assert!(
        text.contains("\nhttp/1.1, 1 connection, 1 worker, "),
        "{text}"
    );
    assert!(text.contains("\nrate       1999/s\n"), "{text}");
    assert!(!text.contains("late by"), "{text}");
}

#[test]
fn a_stream() {
    let mut stream = summary();
    stream.mode = Mode::Stream;
    stream.protocol = "tcp-stream send".to_owned();
    stream.targets[0].method = None;
    stream.targets[0].url = "tcp-stream://127.0.0.1:9".to_owned();
    stream.latency_us = None;
    let text = text(&stream);
    assert!(text.starts_with("streams of bytes"), "{text}");
    assert!(text.contains("\ntcp-stream://127.0.0.1:9\n"), "{text}");
    assert!(!text.contains("requests  "), "{text}");
    assert!(!text.contains("nothing was answered"), "{text}");
}

/// Doubts stand between what was asked and what came of it.
#[test]
fn doubts_come_first() {
    let mut doubtful = summary();
    doubtful.generator.bottleneck = true;
    doubtful.generator.reason = Some("it used 99% of its core".to_owned());
    doubtful.interrupted = true;
    doubtful.latency_us = None;
    let text = text(&doubtful);
    let (before, after) = text.split_once("\nduration").unwrap();
    assert!(
        before.contains(
            "\nWARNING: the generator was the bottleneck, these figures describe it and not what \
             it measured: it used 99% of its core\n"
        ),
        "{text}"
    );
    assert!(before.contains("WARNING: interrupted after 30s"), "{text}");
    assert!(after.contains("no latency: nothing was answered"), "{text}");
}

#[test]
fn several_targets_have_a_table() {
    let mut several = summary();
    several.targets.push(several.targets[0].clone());
    several.targets[1].url = "http://127.0.0.1:8080/b".to_owned();
    several.targets[1].weight = 3;
    several.targets[1].body_bytes = 2048;
    several.targets[1].latency_us = None;
    let text = text(&several);
    for line in [
        "GET http://127.0.0.1:8080/b with 2.00 KiB, weight 3",
        "http://127.0.0.1:8080/   60000     12      800us  5.20ms  21.0ms",
        "http://127.0.0.1:8080/b  60000     12      -      -       -",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}
