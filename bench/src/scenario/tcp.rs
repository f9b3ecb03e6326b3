//! Bytes without a protocol: streams that are limited by copying, and messages that are limited by
//! calls.

use anyhow::Result;

use super::CONNECTIONS;
use crate::{
    bench::Bench,
    load::{Direction, What},
    origin::Origin,
    peer::{Carries, Size, Task},
    report::{Column, Outline, Report},
    turns::{Comparison, Stage},
};

pub(super) const OUTLINE: Outline = Outline {
    name: "tcp",
    title: "streams and messages over TCP",
    about: "Streams over 4 connections as fast as they go, to the origin (up) and from it (down); \
            messages of 64 B over 64 connections that the origin sends back.",
    columns: &[
        Column::spread("cpu_ns_per_kib", "CPU ns/KiB", 0),
        Column::median("mib_per_second", "MiB/s", 0),
        Column::spread("cpu_us_per_request", "CPU us/message", 1),
        Column::median("requests_per_second", "messages/s", 0),
        Column::median("core_percent", "of its core %", 0),
        Column::median("half_rate", "half load/s", 0),
        Column::median("half_p50_us", "p50 us", 0),
        Column::spread("half_p99_us", "p99 us", 0),
        Column::median("rss_bytes", "RSS MiB", 1).per(1_048_576.0),
    ],
    charts: &["cpu_ns_per_kib", "cpu_us_per_request"],
};

const STREAMS: u32 = 4;
const MESSAGE_BYTES: u32 = 64;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    for case in ["stream up", "stream down", "echo 64 B"] {
        let directory = bench.directory()?;
        let directory = directory.path();
        let origin = Origin::start(bench, directory)?;
        let services = origin.tcp()?;
        let (what, address, connections, size) = match case {
            "stream up" => (
                What::Stream(Direction::Up),
                services.sink,
                STREAMS,
                Size::Large,
            ),
            "stream down" => (
                What::Stream(Direction::Down),
                services.source,
                STREAMS,
                Size::Large,
            ),
            _ => (
                What::Echo(MESSAGE_BYTES),
                services.echo,
                CONNECTIONS,
                Size::Small,
            ),
        };
        let half_load = matches!(what, What::Echo(_));
        let task = Task {
            carries: Carries::Tcp(size),
            origin: address,
            workers: 1,
        };
        let comparison = Comparison {
            case,
            what,
            connections,
            half_load,
        };
        let stage = Stage {
            bench,
            directory,
            contenders: &bench.start_all(directory, &task)?,
            origin: &origin,
        };
        comparison.run(stage, report)?;
    }
    Ok(())
}
