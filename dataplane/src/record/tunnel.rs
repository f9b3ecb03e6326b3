//! The record of one TCP connection, from its accept to its end: what is logged and counted of it.

use std::{io, net::SocketAddr, rc::Rc};

use ringmain_core::{access_log::Outcome, ending::Ending, failure::Flags, metrics::Reporter};

use super::{
    Description, Recorder,
    text::{Field, Measured, Text},
};
use crate::{
    io::deadline::Micros,
    metrics::{Edge, Sample, Series},
};

/// One connection. Dropping it closes it, as [`Ending::Drained`] unless another ending was noted.
#[must_use = "dropping a record closes it"]
pub struct TunnelRecord<'w> {
    recorder: &'w Recorder,
    reporter: Reporter,
    opened: Micros,
    /// `None`: no cluster was reached.
    edge: Option<Rc<Edge>>,
    is_established: bool,
    ending: Ending,
    received: u64,
    sent: u64,
    /// `None` when nothing is logged.
    text: Option<Box<Text>>,
}

impl<'w> TunnelRecord<'w> {
    /// A connection that was accepted at `opened`, through a listener that reports as `reporter`.
    pub fn open(recorder: &'w Recorder, reporter: Reporter, opened: Micros) -> Self {
        recorder.counters().tcp_connections_active.increment();
        Self {
            recorder,
            reporter,
            opened,
            edge: None,
            is_established: false,
            ending: Ending::Drained,
            received: 0,
            sent: 0,
            text: recorder.text(),
        }
    }

    /// Who connected to what. `describe` is called only when it is logged.
    pub fn describe<'d>(&mut self, describe: impl FnOnce() -> Description<'d>) {
        if let Some(text) = &mut self.text {
            text.describe(&describe());
        }
    }

    /// The cluster the route leads to, and its edge without an endpoint.
    pub fn cluster(&mut self, name: &str, edge: &Rc<Edge>) {
        self.note(Field::Cluster, name.as_bytes());
        self.edge = Some(Rc::clone(edge));
    }

    /// The endpoint that is connected to, and its edge.
    pub fn endpoint(&mut self, address: SocketAddr, edge: &Rc<Edge>) {
        self.edge = Some(Rc::clone(edge));
        if let Some(text) = &mut self.text {
            text.upstream_host = Some(address);
        }
    }

    /// Our end of the connection to the endpoint. `address` is called only when it is logged.
    pub fn upstream_local(&mut self, address: impl FnOnce() -> Option<SocketAddr>) {
        if let Some(text) = &mut self.text {
            text.upstream_local = address();
        }
    }

    /// Why the endpoint cannot be connected to, in the system's words.
    pub fn transport_failure(&mut self, reason: &io::Error) {
        if self.text.is_some() {
            self.note(Field::TransportFailure, reason.to_string().as_bytes());
        }
    }

    /// The endpoint is connected to. The series is where the bytes are to be counted as they move.
    pub fn established(&mut self) -> Rc<Series> {
        self.is_established = true;
        let series = self.series(Flags::NONE);
        series.opened();
        series
    }

    /// Bytes that came from the client, and that went to it.
    pub fn moved(&mut self, received: u64, sent: u64) {
        (self.received, self.sent) = (received, sent);
    }

    /// It ended like this.
    pub fn close(mut self, ending: Ending) {
        self.ending = ending;
    }

    fn series(&self, flags: Flags) -> Rc<Series> {
        let edge = self.edge.as_deref().unwrap_or(&self.recorder.nowhere);
        self.recorder
            .metrics
            .of_connections(edge, self.reporter, flags)
    }

    fn note(&mut self, field: Field, value: &[u8]) {
        if let Some(text) = &mut self.text {
            text.set(field, value);
        }
    }
}

impl Drop for TunnelRecord<'_> {
    fn drop(&mut self) {
        let recorder = self.recorder;
        let facts = self.ending.facts();
        let series = self.series(facts.flags);
        if !self.is_established {
            series.opened();
        }
        series.closed();
        recorder.counters().tcp_connections_active.decrement();
        let now = recorder.clock.now();
        if let (Some(mut text), Some(log)) = (self.text.take(), &recorder.log) {
            text.termination = facts.termination;
            log.write(&text.entry(&Measured {
                start_unix_millis: recorder.epoch.get().saturating_add(self.opened) / 1000,
                status: 0,
                outcome: Outcome::Carried(self.ending),
                further_flags: Flags::NONE,
                sample: Sample {
                    duration_micros: now.saturating_sub(self.opened),
                    request_bytes: self.received,
                    response_bytes: self.sent,
                },
            }));
            recorder.give_back(text);
        }
    }
}
