use std::time::Duration;

use ringmain_core::{access_log::Outcome, failure::Flags};

use super::*;

/// An entry whose line is `length` bytes long, at least 138.
pub(super) fn with_line_of(length: usize, write: impl FnOnce(&Entry<'_>)) {
    let line = |path: &[u8]| {
        let mut out = Vec::new();
        entry(path).write(&mut out);
        out.len()
    };
    let path = vec![b'a'; length - line(b"a") + 1];
    assert_eq!(line(&path), length);
    write(&entry(&path));
}

fn entry(path: &[u8]) -> Entry<'_> {
    Entry {
        start_unix_millis: 0,
        method: b"GET",
        path,
        protocol: None,
        status: 200,
        outcome: Outcome::ViaUpstream,
        further_flags: Flags::NONE,
        termination_details: "",
        transport_failure: b"",
        bytes_received: 0,
        bytes_sent: 0,
        duration: Duration::ZERO,
        upstream_service_time: None,
        forwarded_for: b"",
        user_agent: b"",
        request_id: b"",
        authority: b"",
        upstream_host: None,
        cluster: b"",
        upstream_local: None,
        downstream_local: None,
        downstream_remote: None,
        server_name: b"",
        route: b"",
    }
}

/// A worker's end whose other end is read by hand.
fn buffer() -> (LogBuffer, LogReader, Arc<WorkerCounters>) {
    let (sink, reader) = LogSink::read_by_hand();
    let counters = Arc::<WorkerCounters>::default();
    (
        LogBuffer::new(sink, Arc::clone(&counters)),
        reader,
        counters,
    )
}

fn write(buffer: &LogBuffer, lines: usize, length: usize) {
    for _ in 0..lines {
        with_line_of(length, |entry| buffer.write(entry));
    }
}

#[test]
fn lines_are_handed_over_by_the_chunk() {
    let check = |lines: usize, length: usize, expected: &[u64]| {
        let (buffer, reader, _) = buffer();
        write(&buffer, lines, length);
        assert_eq!(reader.lines(), expected, "{lines} lines of {length} bytes");
    };
    check(15, 1024, &[]);
    check(16, 1024, &[16]);
    check(40, 1024, &[16, 16]);
    // A chunk may be larger by the line that filled it.
    check(6, 4000, &[5]);
}

#[test]
fn a_flush_hands_over_what_there_is() {
    let (buffer, reader, counters) = buffer();
    buffer.flush();
    assert!(reader.lines().is_empty());
    write(&buffer, 3, 200);
    buffer.flush();
    buffer.flush();
    assert_eq!(reader.lines(), [3]);
    write(&buffer, 1, 200);
    drop(buffer);
    assert_eq!(reader.lines(), [1]);
    assert_eq!(counters.log_lines_dropped.value(), 0);
}

#[test]
fn when_the_writer_is_behind_lines_are_dropped_and_counted() {
    let (buffer, reader, counters) = buffer();
    for _ in 0..CHUNKS_MAX + 3 {
        write(&buffer, 2, 200);
        buffer.flush();
    }
    assert_eq!(counters.log_lines_dropped.value(), 6);
    // What comes after is not mixed up with what was dropped.
    assert_eq!(reader.lines(), [2; CHUNKS_MAX]);
    write(&buffer, 5, 200);
    buffer.flush();
    assert_eq!(reader.lines(), [5]);
    assert_eq!(counters.log_lines_dropped.value(), 6);
}

#[test]
fn empty_buffers_come_back() {
    let (buffer, reader, _) = buffer();
    write(&buffer, 1, 200);
    buffer.flush();
    let first = reader.chunk().unwrap();
    let address = first.bytes.as_ptr();
    reader.give_back(first);
    write(&buffer, 1, 200);
    buffer.flush();
    assert_eq!(reader.chunk().unwrap().bytes.as_ptr(), address);

    // Large ones are freed.
    reader.give_back(Chunk {
        bytes: Vec::with_capacity(SPARE_BYTES_MAX + 1),
        lines: 0,
    });
    assert_eq!(reader.spare(), 0);
    for _ in 0..2 * SPARE_MAX {
        reader.give_back(Chunk::default());
    }
    assert_eq!(reader.spare(), SPARE_MAX);
}
