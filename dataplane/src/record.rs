//! The record of one request, from its head to its end: what is logged and counted of it.
//!
//! Opened when the head was read, filled on the way, closed exactly once. Dropping an open record
//! closes it too, as [`Failure::DownstreamGone`] unless another failure was noted: a request whose
//! task is dropped is one whose client has gone. So no way out of an exchange can forget to log,
//! and none can log twice.
//!
//! A record lives as long as its request and is kept small. Text is copied only when there is a log
//! to write it to, into an arena that the worker reuses.

mod text;
mod tunnel;

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ringmain_core::{
    access_log::{Outcome, Protocol},
    date::{HTTP_DATE_BYTES, http_date},
    failure::{Failure, Flags},
    metrics::{Reporter, RequestProtocol},
};

pub use self::tunnel::TunnelRecord;

use self::text::{Field, Measured, Text};
use crate::{
    access_log::{LogBuffer, LogSink},
    io::deadline::{Deadlines, Micros},
    metrics::{Answer, Edge, Sample, WorkerCounters, WorkerMetrics, WorkerParts},
};

/// Texts kept for reuse by one worker.
const SPARE_MAX: usize = 64;

/// Where one worker's records go. Belongs to its thread.
pub struct Recorder {
    metrics: WorkerMetrics,
    log: Option<LogBuffer>,
    clock: Rc<Deadlines>,
    /// Wall-clock time of the clock's zero, microseconds since 1970.
    epoch: Cell<u64>,
    /// The wall clock's time as answers say it.
    date: Cell<[u8; HTTP_DATE_BYTES]>,
    /// Where requests go that reach no cluster.
    nowhere: Rc<Edge>,
    #[expect(
        clippy::vec_box,
        reason = "a record holds the box, to stay small itself"
    )]
    spare: RefCell<Vec<Box<Text>>>,
}

impl Recorder {
    /// On the worker's thread. Without a sink nothing is logged.
    pub fn new(metrics: WorkerParts, log: Option<LogSink>, clock: Rc<Deadlines>) -> Self {
        let counters = metrics.counters();
        let recorder = Self {
            metrics: WorkerMetrics::new(metrics),
            log: log.map(|sink| LogBuffer::new(sink, counters)),
            clock,
            epoch: Cell::new(0),
            date: Cell::new(http_date(0)),
            nowhere: Edge::new(Arc::default(), Arc::default()),
            spare: RefCell::default(),
        };
        recorder.set_wall_clock(SystemTime::now());
        recorder
    }

    /// What the worker counts besides requests.
    pub fn counters(&self) -> &WorkerCounters {
        self.metrics.counters()
    }

    /// To be called every second: hands over log lines, lets go of series that nobody counts in,
    /// and follows the wall clock.
    pub fn tick(&self) {
        self.set_wall_clock(SystemTime::now());
        self.metrics.tick();
        if let Some(log) = &self.log {
            log.flush();
        }
    }

    /// A clock before 1970 counts as 1970.
    fn set_wall_clock(&self, now: SystemTime) {
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX);
        self.epoch.set(micros.saturating_sub(self.clock.now()));
        self.date.set(http_date(since_1970.as_secs()));
    }

    /// For the `Date` field of answers (RFC 9110 section 6.6.1): the time up to two seconds ago.
    pub fn date(&self) -> [u8; HTTP_DATE_BYTES] {
        self.date.get()
    }

    fn text(&self) -> Option<Box<Text>> {
        self.log.as_ref()?;
        Some(self.spare.borrow_mut().pop().unwrap_or_default())
    }

    fn give_back(&self, mut text: Box<Text>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX && text.clear() {
            spare.push(text);
        }
    }
}

/// What the access log says of a request's head. Empty: absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Description<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Target as the client sent it.
    pub path: &'a [u8],
    /// `None` when the request was not understood.
    pub protocol: Option<Protocol>,
    /// `Host`.
    pub authority: &'a [u8],
    /// `User-Agent`.
    pub user_agent: &'a [u8],
    /// `X-Request-Id`.
    pub request_id: &'a [u8],
    /// `X-Forwarded-For`.
    pub forwarded_for: &'a [u8],
    /// TLS server name of the client's connection.
    pub server_name: &'a [u8],
    /// Our end of the client's connection.
    pub downstream_local: Option<SocketAddr>,
    /// The client's end.
    pub downstream_remote: Option<SocketAddr>,
}

/// One request.
#[must_use = "dropping a record closes it as a client that has gone"]
pub struct Record<'w> {
    recorder: &'w Recorder,
    /// `None` until it is closed other than by being dropped.
    closed: Option<Micros>,
    noted: Noted,
}

/// A record on its way from one task to another. It is not closed before it is
/// [attached](Self::attach) again.
#[must_use = "a request is recorded by its record only"]
pub struct Detached(Noted);

/// What is noted of a request.
struct Noted {
    reporter: Reporter,
    /// With what is known of its status.
    protocol: RequestProtocol,
    opened: Micros,
    /// `None`: no cluster was reached.
    edge: Option<Rc<Edge>>,
    /// Of the answer that was begun, 0 when none was.
    status: u16,
    /// `None` until there is an answer or a failure.
    outcome: Option<Outcome>,
    /// What happened to it besides its outcome.
    further_flags: Flags,
    bytes_received: u64,
    bytes_sent: u64,
    /// `None` when nothing is logged.
    text: Option<Box<Text>>,
}

impl<'w> Record<'w> {
    /// A request whose first byte was read at `opened`, through a listener that reports as
    /// `reporter`.
    pub fn open(recorder: &'w Recorder, reporter: Reporter, opened: Micros) -> Self {
        recorder.counters().requests_active.increment();
        let mut noted = Noted::new(reporter, opened);
        noted.text = recorder.text();
        Detached(noted).attach(recorder)
    }

    /// What the request says. `describe` is called only when it is logged.
    pub fn describe<'a>(&mut self, describe: impl FnOnce() -> Description<'a>) {
        if let Some(text) = &mut self.noted.text {
            text.describe(&describe());
        }
    }

    /// The id that the proxy gave a request that had none.
    pub fn request_id(&mut self, id: &[u8]) {
        self.note(Field::RequestId, id);
    }

    /// It is a request of gRPC.
    pub fn speaks_grpc(&mut self) {
        self.noted.protocol = RequestProtocol::GRPC;
    }

    /// What the client is told as `grpc-status`, where the request is of gRPC.
    pub fn grpc_status(&mut self, status: impl FnOnce() -> Option<u32>) {
        if self.noted.protocol != RequestProtocol::HTTP
            && let Some(status) = status()
        {
            self.noted.protocol = RequestProtocol::told(status);
        }
    }

    /// The route that matched.
    pub fn route(&mut self, name: &str) {
        self.note(Field::Route, name.as_bytes());
    }

    /// The cluster the route leads to, and its edge without an endpoint.
    pub fn cluster(&mut self, name: &str, edge: &Rc<Edge>) {
        self.note(Field::Cluster, name.as_bytes());
        self.noted.edge = Some(Rc::clone(edge));
    }

    /// The endpoint that is tried now, and its edge. What an earlier one did is forgotten.
    pub fn endpoint(&mut self, address: SocketAddr, edge: &Rc<Edge>) {
        self.noted.edge = Some(Rc::clone(edge));
        if let Some(text) = &mut self.noted.text {
            text.upstream_host = Some(address);
            text.upstream_local = None;
            text.upstream_service_time = None;
            text.set(Field::TransportFailure, b"");
        }
    }

    /// Our end of the connection to the endpoint. `address` is called only when it is logged.
    pub fn upstream_local(&mut self, address: impl FnOnce() -> Option<SocketAddr>) {
        if let Some(text) = &mut self.noted.text {
            text.upstream_local = address();
        }
    }

    /// From the request's last byte sent upstream to the head of its response.
    pub fn upstream_service_time(&mut self, micros: Micros) {
        if let Some(text) = &mut self.noted.text {
            text.upstream_service_time = Some(micros);
        }
    }

    /// Why the connection to the endpoint failed, in the system's words.
    pub fn transport_failure(&mut self, reason: &std::io::Error) {
        if self.noted.text.is_some() {
            self.note(Field::TransportFailure, reason.to_string().as_bytes());
        }
    }

    /// Why the proxy ends the client's connection.
    pub fn termination(&mut self, details: &'static str) {
        if let Some(text) = &mut self.noted.text {
            text.termination = details;
        }
    }

    /// Bytes of the request's body have arrived.
    pub fn received(&mut self, bytes: u64) {
        self.noted.bytes_received += bytes;
    }

    /// Bytes of the response's body were sent.
    pub fn sent(&mut self, bytes: u64) {
        self.noted.bytes_sent += bytes;
    }

    /// The final head of an upstream's answer goes to the client. A failure noted before is
    /// forgotten: a further try succeeded.
    pub fn forwarding(&mut self, status: u16) {
        self.noted.status = status;
        self.noted.outcome = Some(Outcome::ViaUpstream);
    }

    /// A route's own answer goes to the client.
    pub fn answering(&mut self, status: u16) {
        self.noted.status = status;
        self.noted.outcome = Some(Outcome::DirectResponse);
    }

    /// The request has failed for good. Its status is the failure's, unless an answer was begun;
    /// of several failures the first stays, being the cause of the others.
    pub fn fail(&mut self, failure: Failure) {
        if matches!(self.noted.outcome, Some(Outcome::Failed(_))) {
            return;
        }
        if self.noted.status == 0 {
            self.noted.status = failure.facts().status;
        }
        if matches!(failure, Failure::BadRequest(_)) {
            self.recorder.counters().requests_rejected.increment();
        }
        self.noted.outcome = Some(Outcome::Failed(failure));
    }

    /// The client is told so of its failure, which is not always the failure's own status: gRPC's
    /// stands in other fields.
    pub fn telling(&mut self, status: u16) {
        self.noted.status = status;
    }

    /// Something happened to it that the log says beside its outcome.
    pub fn flag(&mut self, flags: Flags) {
        self.noted.further_flags = self.noted.further_flags.and(flags);
    }

    /// The response was sent to its end, or the failure that was noted is all there is to say.
    pub fn close(self) {
        let now = self.recorder.clock.now();
        self.close_at(now);
    }

    /// [`Self::close`] at a time that was just asked for.
    pub fn close_at(mut self, now: Micros) {
        self.closed = Some(now);
    }

    fn note(&mut self, field: Field, value: &[u8]) {
        if let Some(text) = &mut self.noted.text {
            text.set(field, value);
        }
    }
}

impl Record<'_> {
    /// The request goes on elsewhere.
    pub fn detach(self) -> Detached {
        let mut record = ManuallyDrop::new(self);
        let nothing = Noted::new(record.noted.reporter, record.noted.opened);
        Detached(std::mem::replace(&mut record.noted, nothing))
    }
}

impl Detached {
    /// The record again. `recorder` is the one that it was of.
    pub fn attach(self, recorder: &Recorder) -> Record<'_> {
        Record {
            recorder,
            closed: None,
            noted: self.0,
        }
    }
}

impl Noted {
    fn new(reporter: Reporter, opened: Micros) -> Self {
        Self {
            reporter,
            protocol: RequestProtocol::HTTP,
            opened,
            edge: None,
            status: 0,
            outcome: None,
            further_flags: Flags::NONE,
            bytes_received: 0,
            bytes_sent: 0,
            text: None,
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let recorder = self.recorder;
        if self.closed.is_none() || self.noted.outcome.is_none() {
            self.fail(Failure::DownstreamGone);
        }
        let now = self.closed.unwrap_or_else(|| recorder.clock.now());
        let outcome = self
            .noted
            .outcome
            .unwrap_or(Outcome::Failed(Failure::DownstreamGone));
        let sample = Sample {
            duration_micros: now.saturating_sub(self.noted.opened),
            request_bytes: self.noted.bytes_received,
            response_bytes: self.noted.bytes_sent,
        };
        let answer = Answer {
            reporter: self.noted.reporter,
            protocol: self.noted.protocol.ended(self.noted.status),
            status: self.noted.status,
            flags: outcome.flags().and(self.noted.further_flags),
        };
        let edge = self.noted.edge.as_deref().unwrap_or(&recorder.nowhere);
        recorder.metrics.observe(edge, answer, &sample);
        recorder.counters().requests_active.decrement();
        if let (Some(text), Some(log)) = (self.noted.text.take(), &recorder.log) {
            log.write(&text.entry(&Measured {
                start_unix_millis: recorder.epoch.get().saturating_add(self.noted.opened) / 1000,
                status: self.noted.status,
                outcome,
                further_flags: self.noted.further_flags,
                sample,
            }));
            recorder.give_back(text);
        }
    }
}

#[cfg(test)]
mod tests;
