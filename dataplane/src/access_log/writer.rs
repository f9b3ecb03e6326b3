//! The thread that appends lines to the access log.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use ringmain_core::metrics::{Family, Kind};
use thiserror::Error;

use super::{LogSink, Pipe};
use crate::metrics::{Counter, Metric};

/// How long a line may wait for a standard output that takes nothing, before it is given up.
const STALL_MAX: Duration = Duration::from_secs(1);
/// Between two tries of such an output.
const STALL_PAUSE: Duration = Duration::from_millis(5);

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to; made when missing, for owner and group to read.
    File(PathBuf),
}

impl LogTarget {
    /// As Istio's `accessLogFile` names it. `/dev/stdout` and `/dev/stderr` are not opened as
    /// files: that fails when they are sockets, as under systemd.
    pub fn from_path(path: &Path) -> Self {
        match path.to_str() {
            Some("/dev/stdout") => Self::Stdout,
            Some("/dev/stderr") => Self::Stderr,
            _ => Self::File(path.to_owned()),
        }
    }

    fn open(&self) -> Result<File, LogError> {
        let opened = match self {
            Self::Stdout => io::stdout().as_fd().try_clone_to_owned().map(as_file),
            Self::Stderr => io::stderr().as_fd().try_clone_to_owned().map(as_file),
            Self::File(path) => OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o640)
                .open(path),
        };
        opened.map_err(|source| LogError::Open {
            target: self.clone(),
            source,
        })
    }
}

fn as_file(descriptor: OwnedFd) -> File {
    File::from(descriptor)
}

impl std::fmt::Display for LogTarget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => formatter.write_str("standard output"),
            Self::Stderr => formatter.write_str("standard error"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

/// Why there is no access log.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file cannot be opened.
    #[error("access log {target}: {source}; {}", remedy(source))]
    Open {
        /// Where it was to go.
        target: LogTarget,
        /// What the system says.
        source: io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("access log: cannot start its thread: {0}; raise the limit on threads")]
    Thread(io::Error),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "create its directory",
        ErrorKind::PermissionDenied => "let the proxy's user write there",
        ErrorKind::IsADirectory => "name a file",
        _ => "name another file, or /dev/stdout",
    }
}

/// What the writer has done. Written by its thread only.
#[derive(Debug, Default)]
struct Progress {
    lines_written: Counter,
    bytes_written: Counter,
    lines_lost: Counter,
    errors: Counter,
    reopened: Counter,
}

#[derive(Debug, Default)]
struct Control {
    progress: Progress,
    reopen: AtomicBool,
    stop: AtomicBool,
}

/// What the writer has done so far.
#[derive(Clone, Debug)]
pub struct LogObserver(Arc<Control>);

impl LogObserver {
    /// Its numbers, for a scrape.
    pub fn metrics(&self) -> Vec<Metric> {
        let progress = &self.0.progress;
        let counter = |name, help, counter: &Counter| {
            let kind = Kind::Counter;
            Metric::new(Family { name, help, kind }, counter.value())
        };
        vec![
            counter(
                "ringmain_access_log_lines_written_total",
                "Access-log lines written.",
                &progress.lines_written,
            ),
            counter(
                "ringmain_access_log_bytes_written_total",
                "Bytes of access log written.",
                &progress.bytes_written,
            ),
            counter(
                "ringmain_access_log_lines_lost_total",
                "Access-log lines lost because the file could not be written.",
                &progress.lines_lost,
            ),
            counter(
                "ringmain_access_log_errors_total",
                "Failures to write or reopen the access log.",
                &progress.errors,
            ),
            counter(
                "ringmain_access_log_reopened_total",
                "Times the access log was opened anew.",
                &progress.reopened,
            ),
        ]
    }
}

/// The writer's thread, as the supervisor holds it. Dropping it writes what was handed over and
/// ends the thread.
#[derive(Debug)]
pub struct LogWriter {
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

impl LogWriter {
    /// Opens the log and starts the thread; one sink for each worker.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread started.
    pub fn spawn(target: LogTarget, workers: usize) -> Result<(Self, Vec<LogSink>), LogError> {
        let file = target.open()?;
        let pipes: Vec<_> = (0..workers).map(|_| Pipe::new()).collect();
        let control = Arc::new(Control::default());
        let thread = {
            let (control, pipes) = (Arc::clone(&control), pipes.clone());
            thread::Builder::new()
                .name("access-log".to_owned())
                .spawn(move || run(&control, &pipes, &target, file))
                .map_err(LogError::Thread)?
        };
        let sinks = pipes.into_iter().map(|pipe| LogSink {
            pipe,
            writer: thread.thread().clone(),
        });
        let sinks = sinks.collect();
        let thread = Some(thread);
        Ok((Self { control, thread }, sinks))
    }

    /// Opens the file anew, after it was renamed by a log rotation. When that fails, the old one is
    /// written to further. Returns at once.
    pub fn reopen(&self) {
        self.control.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// For scrapes, which may go on after the writer is gone.
    pub fn observer(&self) -> LogObserver {
        LogObserver(Arc::clone(&self.control))
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for LogWriter {
    /// Waits for the thread to write what is left.
    fn drop(&mut self) {
        self.control.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("access log: its thread has panicked");
        }
    }
}

fn run(control: &Control, pipes: &[Arc<Pipe>], target: &LogTarget, file: File) {
    let mut output = Output::new(file, target.to_string());
    loop {
        // Looked at before the queues: what was handed over before the stop is then still written.
        let is_stopping = control.stop.load(Ordering::Acquire);
        if control.reopen.swap(false, Ordering::Acquire) {
            reopen(control, target, &mut output);
        }
        let mut is_idle = true;
        for pipe in pipes {
            // One of each in turn, so that a busy worker does not starve the others.
            if let Some(chunk) = pipe.filled.pop() {
                is_idle = false;
                output.append(&chunk.bytes, chunk.lines, &control.progress);
                pipe.give_back(chunk.bytes);
            }
        }
        if is_idle && is_stopping {
            return;
        }
        if is_idle {
            thread::park();
        }
    }
}

fn reopen(control: &Control, target: &LogTarget, output: &mut Output<File>) {
    match target.open() {
        Ok(file) => {
            *output = Output::new(file, target.to_string());
            control.progress.reopened.increment();
        }
        Err(error) => {
            control.progress.errors.increment();
            tracing::warn!("cannot reopen, so the old file is written to further: {error}");
        }
    }
}

/// What lines are appended to.
struct Output<W> {
    sink: W,
    name: String,
    /// The last chunk was not written whole: the next begins with a line end.
    is_torn: bool,
    /// The last write failed, and that was reported.
    is_failing: bool,
}

impl<W: Write> Output<W> {
    fn new(sink: W, name: String) -> Self {
        Self {
            sink,
            name,
            is_torn: false,
            is_failing: false,
        }
    }

    /// Writes whole lines, or counts them as lost.
    fn append(&mut self, bytes: &[u8], lines: u64, progress: &Progress) {
        match self.write_lines(bytes) {
            Ok(()) => {
                progress.lines_written.add(lines);
                progress.bytes_written.add(bytes.len() as u64);
                if std::mem::take(&mut self.is_failing) {
                    let lost = progress.lines_lost.value();
                    tracing::warn!("access log {}: written again, {lost} lines lost", self.name);
                }
            }
            Err((written, error)) => {
                let whole = bytes[..written]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count() as u64;
                progress.lines_written.add(whole);
                progress.bytes_written.add(written as u64);
                progress.lines_lost.add(lines - whole);
                progress.errors.increment();
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(
                        "access log {}: {error}; lines are lost until it can be written again",
                        self.name
                    );
                }
            }
        }
    }

    /// On failure also says how much of `bytes` was written.
    fn write_lines(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        if self.is_torn {
            self.write_some(b"\n").map_err(|error| (0, error))?;
            self.is_torn = false;
        }
        let mut written = 0;
        while written < bytes.len() {
            match self.write_some(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) => {
                    self.is_torn = written > 0 && bytes[written - 1] != b'\n';
                    return Err((written, error));
                }
            }
        }
        Ok(())
    }

    /// One write that takes at least a byte. A standard output that somebody made non-blocking is
    /// waited for.
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stalled = Duration::ZERO;
        loop {
            match self.sink.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && stalled < STALL_MAX => {
                    thread::park_timeout(STALL_PAUSE);
                    stalled += STALL_PAUSE;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests;
