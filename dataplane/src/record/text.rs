//! What a record keeps for the log only: text in one arena, addresses, times.

use std::{net::SocketAddr, ops::Range, time::Duration};

use ringmain_core::{
    access_log::{Entry, FIELD_BYTES_MAX, Outcome, Protocol},
    failure::Flags,
};

use super::Description;
use crate::{io::deadline::Micros, metrics::Sample};

/// An arena that grew beyond this is not kept.
const ARENA_BYTES_MAX: usize = 8 * 1024;

/// The fields that are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Method,
    Path,
    Authority,
    UserAgent,
    RequestId,
    ForwardedFor,
    ServerName,
    Cluster,
    Route,
    TransportFailure,
}

const FIELDS: usize = Field::TransportFailure as usize + 1;

/// What else an entry is made of.
pub(super) struct Measured {
    pub(super) start_unix_millis: u64,
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    /// Beside those of the outcome.
    pub(super) further_flags: Flags,
    pub(super) sample: Sample,
}

/// What a record keeps for the log only.
#[derive(Debug, Default)]
pub(super) struct Text {
    arena: Vec<u8>,
    /// Where in the arena each field is; an absent one is empty.
    spans: [Range<u32>; FIELDS],
    protocol: Option<Protocol>,
    downstream_local: Option<SocketAddr>,
    downstream_remote: Option<SocketAddr>,
    pub(super) upstream_host: Option<SocketAddr>,
    pub(super) upstream_local: Option<SocketAddr>,
    pub(super) upstream_service_time: Option<Micros>,
    pub(super) termination: &'static str,
}

impl Text {
    pub(super) fn describe(&mut self, description: &Description<'_>) {
        self.set(Field::Method, description.method);
        self.set(Field::Path, description.path);
        self.set(Field::Authority, description.authority);
        self.set(Field::UserAgent, description.user_agent);
        self.set(Field::RequestId, description.request_id);
        self.set(Field::ForwardedFor, description.forwarded_for);
        self.set(Field::ServerName, description.server_name);
        self.protocol = description.protocol;
        self.downstream_local = description.downstream_local;
        self.downstream_remote = description.downstream_remote;
    }

    /// Sets a field. Of a long value only as much is kept as is logged, and a byte more to tell.
    pub(super) fn set(&mut self, field: Field, value: &[u8]) {
        let value = &value[..value.len().min(FIELD_BYTES_MAX + 1)];
        let start = self.arena.len();
        self.arena.extend_from_slice(value);
        let position = |at: usize| u32::try_from(at).expect("an arena holds a few long fields");
        self.spans[field as usize] = position(start)..position(self.arena.len());
    }

    /// The entry to log.
    pub(super) fn entry(&self, measured: &Measured) -> Entry<'_> {
        Entry {
            start_unix_millis: measured.start_unix_millis,
            method: self.field(Field::Method),
            path: self.field(Field::Path),
            protocol: self.protocol,
            status: measured.status,
            outcome: measured.outcome,
            further_flags: measured.further_flags,
            termination_details: self.termination,
            transport_failure: self.field(Field::TransportFailure),
            bytes_received: measured.sample.request_bytes,
            bytes_sent: measured.sample.response_bytes,
            duration: Duration::from_micros(measured.sample.duration_micros),
            upstream_service_time: self.upstream_service_time.map(Duration::from_micros),
            forwarded_for: self.field(Field::ForwardedFor),
            user_agent: self.field(Field::UserAgent),
            request_id: self.field(Field::RequestId),
            authority: self.field(Field::Authority),
            upstream_host: self.upstream_host,
            cluster: self.field(Field::Cluster),
            upstream_local: self.upstream_local,
            downstream_local: self.downstream_local,
            downstream_remote: self.downstream_remote,
            server_name: self.field(Field::ServerName),
            route: self.field(Field::Route),
        }
    }

    /// Makes it ready for another request; `false` when it is too large to be kept.
    pub(super) fn clear(&mut self) -> bool {
        let mut arena = std::mem::take(&mut self.arena);
        arena.clear();
        let is_kept = arena.capacity() <= ARENA_BYTES_MAX;
        *self = Self {
            arena,
            ..Self::default()
        };
        is_kept
    }

    fn field(&self, field: Field) -> &[u8] {
        let span = &self.spans[field as usize];
        &self.arena[span.start as usize..span.end as usize]
    }
}
