//! What a request's head leads to: a message for an upstream, or an answer of our own.
//!
//! The decision is `ringmain-core`'s; here it is asked, noted in the record, and its outcome is
//! encoded while the head still stands in the buffer. Nothing waits and nothing is sent.

use std::{borrow::Cow, time::Duration};

use ringmain_config::{cluster::Protocol, listener::Direction};
use ringmain_core::{
    failure::Failure,
    header::Edits,
    http1::{Framing, Known, MethodKind, RequestHead, RequestWrite, encode_request},
    http2::{self, Scheme},
    route::{Decision, Request},
    snapshot::{ClusterEntry, ClusterIndex, Listener, Snapshot},
    target,
};
use smallvec::SmallVec;

use crate::{
    downstream::Downstream,
    record::Record,
    upgrade::Wanted,
    upstream::{Message, Outgoing},
    worker::Worker,
};

/// Route's and destination's; there are no more.
pub type EditsList<'t> = SmallVec<[&'t Edits; 2]>;

/// What is done with a request.
pub enum Plan<'t> {
    /// It goes to a cluster.
    Forward(Forwarding<'t>),
    /// It is answered here.
    Answer(LocalAnswer<'t>),
}

/// What is spoken on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl HttpVersion {
    /// To the endpoints of a cluster, for a client that speaks `downstream`.
    fn upstream(cluster: Protocol, downstream: Self) -> Self {
        match cluster {
            Protocol::Http1 => Self::Http1,
            Protocol::Http2 => Self::Http2,
            Protocol::AsClient => downstream,
        }
    }
}

/// A request on its way to a cluster.
pub struct Forwarding<'t> {
    /// Where to.
    pub cluster: ClusterIndex,
    /// The same, looked up.
    pub entry: &'t ClusterEntry,
    /// What is spoken there.
    pub protocol: HttpVersion,
    /// Its head as the upstream gets it. Taken when it is sent.
    pub outgoing: Option<Outgoing>,
    /// Of the body behind it, on both sides.
    pub framing: Framing,
    /// For the answer's framing.
    pub method: MethodKind,
    /// What is to be spoken behind the answer, if the upstream agrees.
    pub upgrade: Option<Box<Wanted>>,
    /// It may be sent a second time (RFC 9110 section 9.2.2).
    pub idempotent: bool,
    /// For the whole exchange.
    pub timeout: Option<Duration>,
    /// To be applied to the answer.
    pub response_edits: EditsList<'t>,
}

/// An answer of our own.
pub struct LocalAnswer<'t> {
    /// Its status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Its body; empty for none.
    pub body: Cow<'t, [u8]>,
    /// Its body is prose.
    pub is_text: bool,
    /// Of the route.
    pub edits: EditsList<'t>,
}

impl<'t> Plan<'t> {
    /// Decides about the request at the front of `downstream.received`.
    ///
    /// # Errors
    /// When its path is refused or nothing routes it.
    pub fn make(
        worker: &Worker,
        snapshot: &'t Snapshot,
        listener: &'t Listener,
        downstream: &Downstream,
        record: &mut Record<'_>,
    ) -> Result<Self, Failure> {
        let head = downstream.head();
        let message = &downstream.request;
        let path = message.canonical_path(head).map_err(Failure::BadPath)?;
        let raw_path = match path {
            Cow::Borrowed(same) => same,
            Cow::Owned(_) => message.path(head),
        };
        let headers = message.view(head);
        let request = Request {
            method: message.method(head),
            scheme: "http",
            authority: message.authority(head),
            path: &path,
            query: message.query(head),
            headers: &headers,
            listener_port: listener.config.address.port(),
        };
        let Some(table) = listener.protocol.route_table() else {
            // A listener that changes what is spoken on it is another one.
            return Err(Failure::NoRoute);
        };
        match table.decide(&request, worker.random()) {
            Decision::Forward {
                route,
                forward,
                destination,
                ..
            } => {
                record.route(&route.name);
                let entry = snapshot
                    .cluster(destination.cluster)
                    .ok_or(Failure::NoCluster)?;
                let sent_path = target::path(route, forward, &path).map_err(Failure::BadPath)?;
                let outbound = Outbound {
                    message,
                    head,
                    raw_path,
                    path: &sent_path,
                    query: request.query,
                    authority: target::authority(route, forward, destination, request.authority),
                    edits: target::request_edits(route, Some(destination)).collect(),
                    direction: listener.config.direction,
                    peer: downstream,
                };
                let protocol = entry.cluster.protocol;
                let protocol = HttpVersion::upstream(protocol, downstream.wire.version());
                let upgrade = Wanted::of(message, head, protocol);
                let outgoing = outbound.encode(worker, protocol, upgrade.as_deref(), record)?;
                Ok(Self::Forward(Forwarding {
                    cluster: destination.cluster,
                    entry,
                    protocol,
                    outgoing: Some(outgoing),
                    framing: message.framing(),
                    method: match upgrade {
                        Some(_) => MethodKind::Upgrade,
                        None => message.method_kind(),
                    },
                    upgrade,
                    idempotent: is_idempotent(request.method),
                    timeout: route.timeout,
                    response_edits: target::response_edits(route, Some(destination)).collect(),
                }))
            }
            Decision::Redirect {
                route, redirect, ..
            } => {
                record.route(&route.name);
                let location =
                    target::location(redirect, route, &request).map_err(Failure::BadPath)?;
                Ok(Self::Answer(LocalAnswer {
                    status: redirect.status,
                    location: Some(location),
                    body: Cow::Borrowed(b""),
                    is_text: false,
                    edits: target::response_edits(route, None).collect(),
                }))
            }
            Decision::Direct { route, direct, .. } => {
                record.route(&route.name);
                Ok(Self::Answer(LocalAnswer {
                    status: direct.status,
                    location: None,
                    body: Cow::Borrowed(&direct.body),
                    is_text: std::str::from_utf8(&direct.body).is_ok(),
                    edits: target::response_edits(route, None).collect(),
                }))
            }
            Decision::NoRoute { .. } => Err(Failure::NoRoute),
        }
    }
}

/// RFC 9110 section 9.2.2. Methods that we do not know are not.
fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
    )
}

/// A request's head on its way out.
struct Outbound<'a> {
    message: &'a RequestHead,
    head: &'a [u8],
    /// As received.
    raw_path: &'a str,
    /// As sent on.
    path: &'a str,
    query: Option<&'a str>,
    authority: &'a str,
    edits: EditsList<'a>,
    direction: Direction,
    peer: &'a Downstream,
}

impl Outbound<'_> {
    /// Writes it, with the fields that every proxy of a mesh adds: a request id and the scheme
    /// where they are missing, the client's address at a gateway, the original path of a rewrite.
    fn encode(
        &self,
        worker: &Worker,
        protocol: HttpVersion,
        upgrade: Option<&Wanted>,
        record: &mut Record<'_>,
    ) -> Result<Outgoing, Failure> {
        let request_id;
        let original;
        let mut set: SmallVec<[(&str, &[u8]); 3]> = SmallVec::new();
        if self.message.header(self.head, Known::XRequestId).is_none() {
            request_id = uuid(worker.random(), worker.random());
            record.request_id(&request_id);
            set.push((Known::XRequestId.name(), &request_id));
        }
        let is_gateway = self.direction == Direction::Gateway;
        if is_gateway
            || self
                .message
                .header(self.head, Known::XForwardedProto)
                .is_none()
        {
            set.push((Known::XForwardedProto.name(), b"http"));
        }
        let target = self.target();
        if self.path != self.raw_path {
            original = self.message.path_and_query(self.head);
            set.push((Known::XEnvoyOriginalPath.name(), original.as_bytes()));
        }
        let mut append: SmallVec<[(&str, &[u8]); 1]> = SmallVec::new();
        if is_gateway {
            append.push((
                Known::XForwardedFor.name(),
                self.peer.peer_text().as_bytes(),
            ));
        }
        let write = RequestWrite {
            target: &target,
            authority: self.authority,
            edits: &self.edits,
            set: &set,
            append: &append,
            framing: match upgrade {
                // Its length, which can only be 0, says nothing that matters.
                Some(_) => Framing::None,
                None => self.message.framing(),
            },
            expect_continue: self.message.expects_continue(),
            upgrade: upgrade.map(Wanted::protocol),
        };
        match protocol {
            HttpVersion::Http1 => {
                let mut outgoing = worker.buffers.take();
                encode_request(outgoing.tail(), self.message, self.head, &write);
                Ok(Outgoing::Http1(outgoing))
            }
            HttpVersion::Http2 => {
                let head = http2::request(self.message, self.head, &write, Scheme::Http);
                let mut head = head.map_err(Failure::BadRequest)?;
                if let Some(upgrade) = upgrade {
                    head.extensions_mut().insert(upgrade.extension());
                }
                Ok(Outgoing::Http2(Box::new(Message {
                    head,
                    payload: Vec::new(),
                    trailers: Vec::new(),
                })))
            }
        }
    }

    fn target(&self) -> Cow<'_, str> {
        match self.query {
            None => Cow::Borrowed(self.path),
            Some(_) if self.path == self.raw_path => self.message.path_and_query(self.head),
            Some(query) => Cow::Owned(format!("{}?{query}", self.path)),
        }
    }
}

/// A random UUID (RFC 9562 section 5.4) as text.
fn uuid(high: u64, low: u64) -> [u8; 36] {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let parts = [high >> 32, high, low >> 32, low].map(|part| hex(part as u32));
    let mut text = [b'-'; 36];
    text[..8].copy_from_slice(&parts[0]);
    text[9..13].copy_from_slice(&parts[1][..4]);
    text[14..18].copy_from_slice(&parts[1][4..]);
    text[19..23].copy_from_slice(&parts[2][..4]);
    text[24..28].copy_from_slice(&parts[2][4..]);
    text[28..].copy_from_slice(&parts[3]);
    text
}

/// Eight hexadecimal digits, all at once: this runs for nearly every request.
fn hex(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let pairs = u64::from(number);
    let pairs = (pairs << 16 | pairs) & 0x0000_ffff_0000_ffff;
    let pairs = (pairs << 8 | pairs) & (0xff * 0x0001_0001_0001_0001);
    let digits = (pairs << 4 | pairs) & (0x0f * EACH);
    // One for each digit above nine.
    let letters = (digits + 6 * EACH) >> 4 & EACH;
    (digits + u64::from(b'0') * EACH + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

impl LocalAnswer<'_> {
    /// The answer to a request that failed: its status and a sentence that says why.
    pub fn failure(failure: Failure) -> Self {
        let body = format!("{} ({})\n", failure.sentence(), failure.facts().details);
        Self {
            status: failure.facts().status,
            location: None,
            body: Cow::Owned(body.into_bytes()),
            is_text: true,
            edits: EditsList::new(),
        }
    }

    /// Its header fields: what it needs itself, and what the route adds.
    pub fn headers(&self) -> SmallVec<[(&str, &[u8]); 4]> {
        let mut headers: SmallVec<[(&str, &[u8]); 4]> = SmallVec::new();
        if let Some(location) = &self.location {
            headers.push(("location", location.as_bytes()));
        }
        if self.is_text && !self.body.is_empty() {
            headers.push(("content-type", b"text/plain; charset=utf-8"));
        }
        for edits in &self.edits {
            headers.retain(|(name, _)| !edits.dropped.iter().any(|dropped| **dropped == **name));
            let appended = edits.appended.iter();
            headers.extend(appended.map(|(name, value)| (&**name, value.as_bytes())));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::{hex, uuid};

    #[test]
    fn numbers_are_written_as_digits() {
        let walking = (0..32).map(|bit| 1_u32 << bit);
        let digits = (0..16).map(|digit| digit * 0x1111_1111);
        for number in walking.chain(digits).chain([0x0123_4567, 0x89ab_cdef]) {
            assert_eq!(hex(number), *format!("{number:08x}").as_bytes());
        }
    }

    #[test]
    fn uuids_are_of_version_four() {
        let text = uuid(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        assert_eq!(&text, b"01234567-89ab-4def-bedc-ba9876543210");
    }
}
