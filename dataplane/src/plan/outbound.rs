//! A request's head on its way to an upstream.

use std::{borrow::Cow, time::Duration};

use ringmain_config::listener::Direction;
use ringmain_core::{
    failure::Failure,
    forwarded::{Client, Own},
    header::Headers,
    hops::Hops,
    http1::{Framing, Known, RequestHead, RequestWrite, encode_request},
    http2::{self, Scheme},
};

use super::{EditsList, HttpVersion};
use crate::{
    downstream::Downstream,
    record::Record,
    session::Secured,
    upgrade::Wanted,
    upstream::{Message, Outgoing},
    worker::Worker,
};

/// A request's head on its way out.
pub(super) struct Outbound<'a> {
    pub(super) message: &'a RequestHead,
    pub(super) head: &'a [u8],
    /// As received.
    pub(super) raw_path: &'a str,
    /// As routes see it.
    pub(super) canonical_path: &'a str,
    /// As sent on.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) authority: &'a str,
    pub(super) edits: EditsList<'a>,
    /// See [`ringmain_core::forwarded::scheme`].
    pub(super) scheme: &'static str,
    /// For the head of its answer.
    pub(super) timeout: Option<Duration>,
    /// What the proxy says itself; the same of all copies.
    pub(super) own: &'a Own<'a>,
}

/// What the proxy says of the request at the front of `downstream`.
pub(super) fn own<'a>(
    (worker, direction): (&Worker, Direction),
    downstream: &'a Downstream,
    scheme: &'static str,
    record: &mut Record<'_>,
) -> Own<'a> {
    let (message, head) = (&downstream.request, downstream.head());
    let request_id = request_id((message, head), worker, record);
    let has_proto = || message.header(head, Known::XForwardedProto).is_some();
    let hops = Hops::of(
        message.method(head),
        message.header(head, Known::MaxForwards),
    );
    let from = || (downstream.peer_text(), client(worker, downstream));
    let own = Own::of((direction, scheme), request_id, has_proto, hops, from);
    let shown = downstream.session.secured().and_then(Secured::element);
    let received = || {
        let view = message.view(head);
        let value = view.value(Known::XForwardedClientCert.name());
        value.map(|value| value.into_owned())
    };
    own.with_certificate(worker.http.forward_client_cert, shown, received)
}

/// Whoever made the request, as far as that is believed at a gateway.
fn client(worker: &Worker, downstream: &Downstream) -> Client {
    let hops = worker.http.trusted_hops;
    let view = downstream.request.view(downstream.head());
    let named = (hops > 0).then(|| view.value(Known::XForwardedFor.name()));
    let value = named.flatten();
    Client::of(downstream.session.peer.ip(), hops, value.as_deref())
}

/// An id for a request that has none.
fn request_id(
    (message, head): (&RequestHead, &[u8]),
    worker: &Worker,
    record: &mut Record<'_>,
) -> Option<[u8; 36]> {
    let has_none = message.header(head, Known::XRequestId).is_none();
    has_none.then(|| {
        let id = uuid(worker.random(), worker.random());
        record.request_id(&id);
        id
    })
}

impl Outbound<'_> {
    /// Writes it, with the fields that every proxy of a mesh adds: a request id and the scheme
    /// where they are missing, the number of the try towards other workloads, the client's address
    /// at a gateway, the original path of a rewrite.
    pub(super) fn encode(
        &self,
        worker: &Worker,
        protocol: HttpVersion,
        upgrade: Option<&Wanted>,
    ) -> Result<Outgoing, Failure> {
        let original;
        let mut expected = itoa::Buffer::new();
        let mut set = self.own.set();
        if self.own.tells_attempt() {
            // The first try; a further one says so itself.
            set.push((Known::XEnvoyAttemptCount, b"1"));
        }
        if self.path != self.canonical_path {
            original = with_query(self.canonical_path, self.query);
            set.push((Known::XEnvoyOriginalPath, original.as_bytes()));
        }
        if let Some(timeout) = self.timeout {
            let millis = expected.format(timeout.as_millis()).as_bytes();
            set.push((Known::XEnvoyExpectedTimeout, millis));
        }
        let (target, append) = (self.target(), self.own.append());
        let write = RequestWrite {
            target: &target,
            authority: self.authority,
            untrusted: self.own.untrusted(&worker.http.untrusted),
            edits: &self.edits,
            set: &set,
            append: append.as_slice(),
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
                let scheme = match self.scheme {
                    "https" => Scheme::Https,
                    _ => Scheme::Http,
                };
                let head = http2::request(self.message, self.head, &write, scheme);
                let mut head = head.map_err(Failure::BadRequest)?;
                if let Some(upgrade) = upgrade {
                    head.extensions_mut().insert(upgrade.extension());
                }
                Ok(Outgoing::Http2(Box::new(Message::new(head))))
            }
        }
    }

    fn target(&self) -> Cow<'_, str> {
        match self.query {
            None => Cow::Borrowed(self.path),
            Some(_) if self.path == self.raw_path => self.message.path_and_query(self.head),
            Some(_) => with_query(self.path, self.query),
        }
    }
}

fn with_query<'a>(path: &'a str, query: Option<&str>) -> Cow<'a, str> {
    match query {
        None => Cow::Borrowed(path),
        Some(query) => Cow::Owned(format!("{path}?{query}")),
    }
}

/// A random UUID (RFC 9562 section 5.4) as text.
fn uuid(high: u64, low: u64) -> [u8; 36] {
    let high = high & !0xf000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let [first, second] = [high >> 32, high].map(|part| hex(part as u32));
    let [third, last] = [low >> 32, low].map(|part| hex(part as u32));
    let mut text = [b'-'; 36];
    text[..8].copy_from_slice(&first);
    text[9..13].copy_from_slice(&second[..4]);
    text[14..18].copy_from_slice(&second[4..]);
    text[19..23].copy_from_slice(&third[..4]);
    text[24..28].copy_from_slice(&third[4..]);
    text[28..].copy_from_slice(&last);
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
