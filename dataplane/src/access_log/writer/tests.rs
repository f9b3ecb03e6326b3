use std::{collections::VecDeque, fs, time::Instant};

use super::{super::tests::with_line_of, *};
use crate::{access_log::LogBuffer, metrics::WorkerCounters};

fn spawn(path: &Path, workers: usize) -> (LogWriter, Vec<LogBuffer>) {
    let target = LogTarget::from_path(path);
    let (writer, sinks) = LogWriter::spawn(target, workers).unwrap();
    let buffers = sinks
        .into_iter()
        .map(|sink| LogBuffer::new(sink, Arc::<WorkerCounters>::default()));
    (writer, buffers.collect())
}

fn write(buffer: &LogBuffer, lines: usize) {
    for _ in 0..lines {
        with_line_of(200, |entry| buffer.write(entry));
    }
    buffer.flush();
}

fn wait_until(what: &str, is_reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_reached() {
        assert!(Instant::now() < deadline, "{what} was not reached");
        thread::yield_now();
    }
}

fn lines(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.lines().all(|line| line.len() == 199), "torn: {text}");
    text.lines().count()
}

#[test]
fn several_workers_append_whole_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    fs::write(&path, format!("{}\n", "x".repeat(199))).unwrap();
    let (writer, buffers) = spawn(&path, 3);
    let threads: Vec<_> = buffers
        .into_iter()
        .map(|buffer| {
            thread::spawn(move || {
                for _ in 0..50 {
                    write(&buffer, 20);
                }
                buffer.counters.log_lines_dropped.value()
            })
        })
        .collect();
    let dropped: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    let control = Arc::clone(&writer.control);
    drop(writer);
    let written = control.progress.lines_written.value();
    assert_eq!(written + dropped, 3000);
    assert_eq!(lines(&path) as u64, written + 1);
    assert_eq!(control.progress.bytes_written.value(), written * 200);
}

#[test]
fn a_rotated_log_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let rotated = directory.path().join("access.log.1");
    let (writer, buffers) = spawn(&path, 1);
    write(&buffers[0], 2);
    let progress = &Arc::clone(&writer.control).progress;
    wait_until("2 lines", || progress.lines_written.value() == 2);

    fs::rename(&path, &rotated).unwrap();
    write(&buffers[0], 1);
    wait_until("3 lines", || progress.lines_written.value() == 3);
    writer.reopen();
    wait_until("the new file", || progress.reopened.value() == 1);
    write(&buffers[0], 4);
    drop(writer);
    assert_eq!((lines(&rotated), lines(&path)), (3, 4));
}

#[test]
fn a_failed_reopening_keeps_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let (folder, moved) = (directory.path().join("log"), directory.path().join("old"));
    fs::create_dir(&folder).unwrap();
    let (writer, buffers) = spawn(&folder.join("access.log"), 1);
    fs::rename(&folder, &moved).unwrap();
    writer.reopen();
    let progress = &Arc::clone(&writer.control).progress;
    wait_until("the failure", || progress.errors.value() == 1);
    write(&buffers[0], 1);
    drop(writer);
    assert_eq!(lines(&moved.join("access.log")), 1);
    assert_eq!(progress.reopened.value(), 0);
}

#[test]
fn a_full_disk_loses_lines_and_counts_them() {
    let (writer, buffers) = spawn(Path::new("/dev/full"), 1);
    write(&buffers[0], 3);
    write(&buffers[0], 4);
    let control = Arc::clone(&writer.control);
    drop(writer);
    assert_eq!(control.progress.lines_lost.value(), 7);
    assert_eq!(control.progress.lines_written.value(), 0);
    assert_eq!(control.progress.errors.value(), 2);
}

#[test]
fn a_log_that_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let check = |path: &Path, expected: &str| {
        let Err(error) = LogWriter::spawn(LogTarget::from_path(path), 1) else {
            panic!("{} was opened", path.display());
        };
        assert_eq!(
            error.to_string(),
            format!("access log {}: {expected}", path.display())
        );
    };
    check(
        &directory.path().join("missing/access.log"),
        "No such file or directory (os error 2); create its directory",
    );
    check(
        directory.path(),
        "Is a directory (os error 21); name a file",
    );
}

#[test]
fn targets() {
    let check = |path: &str, expected: LogTarget| {
        assert_eq!(LogTarget::from_path(Path::new(path)), expected);
    };
    check("/dev/stdout", LogTarget::Stdout);
    check("/dev/stderr", LogTarget::Stderr);
    check("/var/log/a", LogTarget::File("/var/log/a".into()));
}

#[test]
fn numbers_have_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, _buffers) = spawn(&directory.path().join("access.log"), 1);
    let names: Vec<_> = writer
        .observer()
        .metrics()
        .iter()
        .map(|metric| metric.family.name)
        .collect();
    assert_eq!(names.len(), 5);
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("ringmain_access_log_") && name.ends_with("_total"))
    );
}

/// Takes what it is told to, call by call.
struct Script {
    taken: Vec<u8>,
    calls: VecDeque<Result<usize, ErrorKind>>,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self
            .calls
            .pop_front()
            .unwrap_or(Ok(usize::MAX))?
            .min(bytes.len());
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_torn_line_does_not_spoil_the_next() {
    // Three chunks are written; lines written, lines lost and failures are counted.
    let check = |calls: &[Result<usize, ErrorKind>], text: &str, expected: [u64; 3]| {
        let script = Script {
            taken: Vec::new(),
            calls: calls.iter().copied().collect(),
        };
        let mut output = Output::new(script, "test".to_owned());
        let progress = Progress::default();
        output.append(b"one\ntwo\n", 2, &progress);
        output.append(b"six\nten\n", 2, &progress);
        output.append(b"end\n", 1, &progress);
        assert_eq!(String::from_utf8(output.sink.taken).unwrap(), text);
        let counted = [
            progress.lines_written.value(),
            progress.lines_lost.value(),
            progress.errors.value(),
        ];
        assert_eq!(counted, expected, "{calls:?}");
    };
    let (full, again, interrupted) = (
        Err(ErrorKind::StorageFull),
        Err(ErrorKind::WouldBlock),
        Err(ErrorKind::Interrupted),
    );
    check(&[], "one\ntwo\nsix\nten\nend\n", [5, 0, 0]);
    check(
        &[Ok(3), interrupted, Ok(2), again],
        "one\ntwo\nsix\nten\nend\n",
        [5, 0, 0],
    );
    check(&[full], "six\nten\nend\n", [3, 2, 1]);
    check(&[Ok(0)], "six\nten\nend\n", [3, 2, 1]);
    check(&[Ok(6), full], "one\ntw\nsix\nten\nend\n", [4, 1, 1]);
    check(&[Ok(4), full], "one\nsix\nten\nend\n", [4, 1, 1]);
    // The line end cannot be written either: it is tried again.
    check(&[Ok(6), full, full], "one\ntw\nend\n", [2, 3, 2]);
    check(&[Ok(2), full, Ok(1), full], "on\nend\n", [1, 4, 2]);
    check(
        &[Ok(2), full, Ok(1), Ok(5), full],
        "on\nsix\nt\nend\n",
        [2, 3, 2],
    );
}
