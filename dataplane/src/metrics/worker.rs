//! A worker's side of the request metrics: which series there are, and when one is made or let go.
//!
//! All series of a worker are held here; caches elsewhere hold weak references. That leaves one
//! place to forget a series in. The number of series is bounded: when no more can be made, requests
//! are counted in the overflow series, and the caches that hold it are asked again each second.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam::queue::ArrayQueue;
use ringmain_config::endpoint::Workload;
use ringmain_core::{
    failure::Flags,
    metrics::{ConnectionLabels, Labels, Reporter, RequestLabels, RequestProtocol},
};

use super::{
    WorkerCounters,
    series::{Answer, Cells, Edge, Sample, Series},
};

/// Series that wait for the supervisor to see them. It looks every second; a worker that makes more
/// in between counts in the overflow series until then.
pub(super) const REGISTRATIONS_MAX: usize = 1024;

/// What a worker and the supervisor share of the request metrics.
#[derive(Debug)]
pub(super) struct Shared {
    /// New series, from the worker.
    pub(super) registrations: ArrayQueue<Arc<Cells>>,
    /// Raised by the supervisor when it has retired series.
    pub(super) retirements: AtomicU64,
    pub(super) counters: Arc<WorkerCounters>,
}

/// What [`WorkerMetrics`] are made of; made by the registry and sent to the worker's thread.
#[derive(Debug)]
pub struct WorkerParts {
    shared: Arc<Shared>,
    overflow: Arc<Cells>,
    own: Arc<Workload>,
    series_max: usize,
}

impl WorkerParts {
    pub(super) fn new(own: Arc<Workload>, series_max: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                registrations: ArrayQueue::new(REGISTRATIONS_MAX),
                retirements: AtomicU64::new(0),
                counters: Arc::default(),
            }),
            overflow: Cells::new(Labels::Overflow),
            own,
            series_max,
        }
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub(super) fn overflow(&self) -> Arc<Cells> {
        Arc::clone(&self.overflow)
    }

    /// The worker's other numbers. To be written by the worker's thread only.
    pub fn counters(&self) -> Arc<WorkerCounters> {
        Arc::clone(&self.shared.counters)
    }
}

/// The request metrics of one worker. Belongs to its thread.
#[derive(Debug)]
pub struct WorkerMetrics {
    shared: Arc<Shared>,
    series: RefCell<HashMap<Labels, Rc<Series>>>,
    series_max: usize,
    overflow: RefCell<Rc<Series>>,
    overflow_used: Cell<bool>,
    /// Of the supervisor's retirements, up to which they were followed.
    retirements: Cell<u64>,
    /// The workload this proxy stands beside.
    own: Arc<Workload>,
    unknown: Arc<Workload>,
}

impl WorkerMetrics {
    /// On the worker's thread.
    pub fn new(parts: WorkerParts) -> Self {
        Self {
            shared: parts.shared,
            series: RefCell::default(),
            series_max: parts.series_max,
            overflow: RefCell::new(Rc::new(Series(parts.overflow))),
            overflow_used: Cell::new(false),
            retirements: Cell::new(0),
            own: parts.own,
            unknown: Arc::default(),
        }
    }

    /// The worker's other numbers.
    pub fn counters(&self) -> &WorkerCounters {
        &self.shared.counters
    }

    /// Counts one request.
    pub fn observe(&self, edge: &Edge, answer: Answer, sample: &Sample) {
        let find = || self.series(self.labels(edge, answer));
        edge.cache.get_or_insert_with(answer, find).observe(sample);
    }

    /// The series of TCP connections that ended, or not yet, with this flag.
    pub fn of_connections(&self, edge: &Edge, reporter: Reporter, flags: Flags) -> Rc<Series> {
        let answer = Answer {
            reporter,
            protocol: RequestProtocol::HTTP,
            status: 0,
            flags,
        };
        let find = || {
            let (source, destination) = self.ends(edge, reporter);
            self.series(Labels::Connections(ConnectionLabels {
                reporter,
                source,
                destination,
                service: Arc::clone(&edge.service),
                flags,
            }))
        };
        edge.of_connections.get_or_insert_with(answer, find)
    }

    /// The series with these labels, made if need be; the overflow series when it cannot be made.
    pub fn series(&self, labels: Labels) -> Rc<Series> {
        let mut known = self.series.borrow_mut();
        if let Some(series) = known.get(&labels) {
            return Rc::clone(series);
        }
        let cells = Cells::new(labels.clone());
        let registrations = &self.shared.registrations;
        if known.len() >= self.series_max || registrations.push(Arc::clone(&cells)).is_err() {
            self.overflow_used.set(true);
            self.counters().series_refused.increment();
            return Rc::clone(&self.overflow.borrow());
        }
        let series = Rc::new(Series(cells));
        known.insert(labels, Rc::clone(&series));
        self.counters().series.set(known.len() as u64);
        series
    }

    /// Lets go of series that the supervisor has retired. To be called every second or so.
    pub fn tick(&self) {
        let retirements = self.shared.retirements.load(Ordering::Relaxed);
        if self.retirements.replace(retirements) != retirements {
            let mut known = self.series.borrow_mut();
            known.retain(|_, series| !series.0.is_retired());
            self.counters().series.set(known.len() as u64);
        }
        if self.overflow_used.replace(false) {
            // The same cells behind a new reference: the weak ones in caches die, and the next
            // request asks again whether there is room for a series of its own.
            let mut overflow = self.overflow.borrow_mut();
            *overflow = Rc::new(Series(Arc::clone(&overflow.0)));
        }
    }

    /// A client's proxy reports itself and where it sends to; a server's reports itself as the
    /// destination, and does not know yet who asks.
    fn ends(&self, edge: &Edge, reporter: Reporter) -> (Arc<Workload>, Arc<Workload>) {
        let (source, destination) = match reporter {
            Reporter::Source => (&self.own, &edge.destination),
            Reporter::Destination => (&self.unknown, &self.own),
        };
        (Arc::clone(source), Arc::clone(destination))
    }

    fn labels(&self, edge: &Edge, answer: Answer) -> Labels {
        let (source, destination) = self.ends(edge, answer.reporter);
        Labels::Requests(RequestLabels {
            reporter: answer.reporter,
            source,
            destination,
            service: Arc::clone(&edge.service),
            protocol: answer.protocol,
            status: answer.status,
            flags: answer.flags,
        })
    }
}
