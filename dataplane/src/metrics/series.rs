//! The cells of requests alike, and how a request finds its own without a search.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use ringmain_config::{cluster::Service, endpoint::Workload};
use ringmain_core::{
    failure::Flags,
    metrics::{Labels, Reporter, RequestProtocol, duration_bucket, size_bucket},
};
use smallvec::SmallVec;

use super::owned::{Counter, Histogram, HistogramTotals};

/// Kinds of answer that one [`SeriesCache`] remembers. An endpoint has two or three; one that
/// answers with every status there is only makes the cache useless, not large.
const CACHED_MAX: usize = 16;

/// What is measured of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// From the request's first byte to the response's last, in microseconds.
    pub duration_micros: u64,
    /// Of the request's body.
    pub request_bytes: u64,
    /// Of the response's body.
    pub response_bytes: u64,
}

/// The numbers of one series, as the worker that counts and the supervisor that reads share them.
/// Aligned so that no two workers' series lie on one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Cells {
    pub(super) labels: Labels,
    /// Set by the supervisor: its owner forgets the series when it next tidies up. Counting into it
    /// until then is fine, since the supervisor reads it until the owner has let go.
    retired: AtomicBool,
    duration: Histogram,
    request_bytes: Histogram,
    response_bytes: Histogram,
    connections: Connections,
}

/// What is counted of TCP connections.
#[derive(Debug, Default)]
struct Connections {
    opened: Counter,
    closed: Counter,
    sent_bytes: Counter,
    received_bytes: Counter,
}

impl Cells {
    pub(super) fn new(labels: Labels) -> Arc<Self> {
        Arc::new(Self {
            labels,
            retired: AtomicBool::new(false),
            duration: Histogram::default(),
            request_bytes: Histogram::default(),
            response_bytes: Histogram::default(),
            connections: Connections::default(),
        })
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }
}

/// What a series held when it was read, or several of equal labels together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// In microseconds.
    pub duration: HistogramTotals,
    /// In bytes.
    pub request_bytes: HistogramTotals,
    /// In bytes.
    pub response_bytes: HistogramTotals,
    /// Of TCP connections.
    pub connections: ConnectionTotals,
}

/// What a series held of TCP connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTotals {
    /// Opened, or that were to be.
    pub opened: u64,
    /// Ended.
    pub closed: u64,
    /// By the destination.
    pub sent_bytes: u64,
    /// By the destination.
    pub received_bytes: u64,
}

impl Totals {
    /// How many requests. There is no cell of its own for it: it is the number of durations, so the
    /// two cannot disagree.
    pub fn requests(&self) -> u64 {
        self.duration.count()
    }

    /// A number that changes whenever something is counted.
    pub fn activity(&self) -> u64 {
        let ConnectionTotals {
            opened,
            closed,
            sent_bytes,
            received_bytes,
        } = self.connections;
        let moved = sent_bytes.wrapping_add(received_bytes);
        (self.requests() + opened + closed).wrapping_add(moved)
    }

    pub(super) fn read(&mut self, cells: &Cells) {
        let connections = &cells.connections;
        self.connections.opened += connections.opened.value();
        self.connections.closed += connections.closed.value();
        self.connections.sent_bytes += connections.sent_bytes.value();
        self.connections.received_bytes += connections.received_bytes.value();
        self.duration.read(&cells.duration);
        self.request_bytes.read(&cells.request_bytes);
        self.response_bytes.read(&cells.response_bytes);
    }
}

/// A series as its worker holds it.
#[derive(Debug)]
pub struct Series(pub(super) Arc<Cells>);

impl Series {
    /// A TCP connection was opened.
    pub fn opened(&self) {
        self.0.connections.opened.increment();
    }

    /// A TCP connection has ended.
    pub fn closed(&self) {
        self.0.connections.closed.increment();
    }

    /// So many bytes went to a client.
    pub fn sent(&self, bytes: u64) {
        self.0.connections.sent_bytes.add(bytes);
    }

    /// So many bytes came from a client.
    pub fn received(&self, bytes: u64) {
        self.0.connections.received_bytes.add(bytes);
    }

    /// Counts one request.
    pub fn observe(&self, sample: &Sample) {
        let Sample {
            duration_micros,
            request_bytes,
            response_bytes,
        } = *sample;
        self.0
            .duration
            .observe(duration_bucket(duration_micros), duration_micros);
        self.0
            .request_bytes
            .observe(size_bucket(request_bytes), request_bytes);
        self.0
            .response_bytes
            .observe(size_bucket(response_bytes), response_bytes);
    }
}

/// What tells the series of one [`Edge`] apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which end reports.
    pub reporter: Reporter,
    /// Of gRPC or not, and with which status.
    pub protocol: RequestProtocol,
    /// 0 when no response was begun.
    pub status: u16,
    /// What went wrong.
    pub flags: Flags,
}

/// Series by answer. It does not keep a series alive: one that was retired is looked up anew.
#[derive(Debug, Default)]
pub struct SeriesCache(RefCell<Slots>);

#[derive(Debug, Default)]
struct Slots {
    slots: SmallVec<[(Answer, Weak<Series>); 2]>,
    /// Overwritten next when all are taken.
    next: usize,
}

impl SeriesCache {
    /// The series of an answer, from `find` when it is not remembered.
    pub fn get_or_insert_with(
        &self,
        answer: Answer,
        find: impl FnOnce() -> Rc<Series>,
    ) -> Rc<Series> {
        let mut slots = self.0.borrow_mut();
        let known = slots.slots.iter().position(|(known, _)| *known == answer);
        if let Some(series) = known.and_then(|index| slots.slots[index].1.upgrade()) {
            return series;
        }
        let series = find();
        let slot = (answer, Rc::downgrade(&series));
        match known {
            Some(index) => slots.slots[index] = slot,
            None if slots.slots.len() < CACHED_MAX => slots.slots.push(slot),
            None => {
                let index = slots.next;
                slots.slots[index] = slot;
                slots.next = (index + 1) % CACHED_MAX;
            }
        }
        series
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.borrow().slots.len()
    }
}

/// Where requests go, as their metrics tell it: one for each endpoint, and one for each cluster for
/// requests that reached none. It belongs to one worker and is made anew when what it names
/// changes.
#[derive(Debug, Default)]
pub struct Edge {
    pub(super) destination: Arc<Workload>,
    pub(super) service: Arc<Service>,
    pub(super) cache: SeriesCache,
    pub(super) of_connections: SeriesCache,
}

impl Edge {
    /// To a workload that is part of a service. Either may be `default()`, which is unknown.
    pub fn new(destination: Arc<Workload>, service: Arc<Service>) -> Rc<Self> {
        Rc::new(Self {
            destination,
            service,
            cache: SeriesCache::default(),
            of_connections: SeriesCache::default(),
        })
    }
}
