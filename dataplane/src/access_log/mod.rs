//! The access log's way from a worker to its file.
//!
//! A worker writes lines into a buffer of its own ([`LogBuffer`]) and hands it over when it is full
//! or a second old; a thread of the supervisor's ([`LogWriter`]) appends it to the file. Between
//! the two lie bounded queues, one pair for each worker: filled buffers one way, empty ones back.
//! When the writer is behind, a worker drops its buffer and counts the lines; it never waits.

mod writer;

use std::{cell::RefCell, sync::Arc, thread::Thread};

use crossbeam::queue::ArrayQueue;
use ringmain_core::access_log::Entry;

use crate::metrics::WorkerCounters;

pub use self::writer::{LogError, LogObserver, LogTarget, LogWriter};

/// A buffer is handed over when it holds this much.
const CHUNK_BYTES: usize = 16 * 1024;
/// Filled buffers of one worker that wait for the writer: 1 MiB, which is 50 ms of a worker that
/// answers 100 000 requests per second.
const CHUNKS_MAX: usize = 64;
/// Empty buffers kept for a worker.
const SPARE_MAX: usize = 4;
/// An empty buffer that grew beyond this, by lines of unusual length, is freed.
const SPARE_BYTES_MAX: usize = 2 * CHUNK_BYTES;

/// Whole lines.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    lines: u64,
}

/// The queues between one worker and the writer.
#[derive(Debug)]
struct Pipe {
    filled: ArrayQueue<Chunk>,
    spare: ArrayQueue<Vec<u8>>,
}

impl Pipe {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            filled: ArrayQueue::new(CHUNKS_MAX),
            spare: ArrayQueue::new(SPARE_MAX),
        })
    }

    /// Gives an empty buffer back to the worker, unless there are enough.
    fn give_back(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= SPARE_BYTES_MAX {
            bytes.clear();
            drop(self.spare.push(bytes));
        }
    }
}

/// A worker's end of the access log, made by [`LogWriter::spawn`] and sent to the worker's thread.
#[derive(Debug)]
pub struct LogSink {
    pipe: Arc<Pipe>,
    writer: Thread,
}

/// Lines that a worker has not yet handed over. Dropping it hands over what is left.
#[derive(Debug)]
pub struct LogBuffer {
    sink: LogSink,
    /// Counts the lines that were dropped.
    counters: Arc<WorkerCounters>,
    chunk: RefCell<Chunk>,
}

impl LogBuffer {
    /// On the worker's thread, whose counters these are.
    pub fn new(sink: LogSink, counters: Arc<WorkerCounters>) -> Self {
        Self {
            sink,
            counters,
            chunk: RefCell::default(),
        }
    }

    /// Adds a line.
    pub fn write(&self, entry: &Entry<'_>) {
        let mut chunk = self.chunk.borrow_mut();
        if chunk.bytes.capacity() == 0 {
            chunk.bytes = self.sink.pipe.spare.pop().unwrap_or_default();
        }
        entry.write(&mut chunk.bytes);
        chunk.lines += 1;
        if chunk.bytes.len() >= CHUNK_BYTES {
            self.hand_over(&mut chunk);
        }
    }

    /// Hands over what there is. To be called every second, so that no line is older than that.
    pub fn flush(&self) {
        let mut chunk = self.chunk.borrow_mut();
        if chunk.lines > 0 {
            self.hand_over(&mut chunk);
        }
    }

    fn hand_over(&self, chunk: &mut Chunk) {
        if let Err(mut refused) = self.sink.pipe.filled.push(std::mem::take(chunk)) {
            self.counters.log_lines_dropped.add(refused.lines);
            refused.bytes.clear();
            refused.lines = 0;
            *chunk = refused;
        }
        // Costs a system call only when the writer sleeps.
        self.sink.writer.unpark();
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The writer's end of a worker's pipe, for a test to look at what a worker hands over.
#[cfg(test)]
pub(crate) struct LogReader(Arc<Pipe>);

#[cfg(test)]
impl LogSink {
    pub(crate) fn read_by_hand() -> (Self, LogReader) {
        let pipe = Pipe::new();
        let reader = LogReader(Arc::clone(&pipe));
        let writer = std::thread::current();
        (Self { pipe, writer }, reader)
    }
}

#[cfg(test)]
impl LogReader {
    /// Everything that was handed over.
    pub(crate) fn text(&self) -> String {
        let chunks = std::iter::from_fn(|| self.chunk());
        let bytes: Vec<u8> = chunks.flat_map(|chunk| chunk.bytes).collect();
        String::from_utf8(bytes).expect("a log is ASCII")
    }

    /// Lines of each chunk that was handed over.
    fn lines(&self) -> Vec<u64> {
        let lines = std::iter::from_fn(|| self.chunk()).map(|chunk| {
            let ends = chunk.bytes.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(ends as u64, chunk.lines);
            chunk.lines
        });
        lines.collect()
    }

    fn chunk(&self) -> Option<Chunk> {
        self.0.filled.pop()
    }

    fn give_back(&self, chunk: Chunk) {
        self.0.give_back(chunk.bytes);
    }

    fn spare(&self) -> usize {
        self.0.spare.len()
    }
}

#[cfg(test)]
mod tests;
