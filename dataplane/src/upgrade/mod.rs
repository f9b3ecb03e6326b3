//! Another protocol behind a request and its answer: WebSocket, or whatever else both sides agree
//! on with an Upgrade of HTTP/1.1 or an extended CONNECT of HTTP/2 (RFC 9110 section 7.8, RFC
//! 8441).
//!
//! Until the upstream has agreed, it is a request like any other ([`crate::exchange`]), with
//! nothing behind its head: what the client sends early is kept, and forgotten when the answer is
//! another one. From then on it is a [`Switched`], which needs neither the large future of requests
//! nor their snapshot, since it may last for days. From socket to socket bytes go through a
//! [`Tunnel`]; where a stream of HTTP/2 is at one end or both, [`streams`] copies them. Either way
//! the record of the request is closed when both directions have ended.

pub mod streams;

use std::{pin::pin, rc::Rc, time::Duration};

use h2::ext;
use ringmain_config::listener::Direction;
use ringmain_core::{
    ending::Ending,
    failure::Failure,
    header::is_token,
    http1::{RequestHead, ResponseHead},
    http2,
    limit::Counted,
};

use self::streams::{Inward, Outward, Passage, Streams};
use crate::{
    call::Call,
    downstream::{Downstream, Wire},
    http2::{
        server::{Client, watch},
        stream::Incoming,
    },
    io::{buffer::Buffer, deadline::Micros},
    plan::HttpVersion,
    pool::Lease,
    record::{Detached, Record},
    relay::micros,
    session::Session,
    tunnel::{Bounds, Tunnel},
    upstream::Upstream,
    worker::Worker,
};

/// Random bits for the `sec-websocket-key` of a client that needs none.
pub fn nonce(worker: &Worker) -> [u8; 16] {
    let bits = u128::from(worker.random()) << 64 | u128::from(worker.random());
    bits.to_be_bytes()
}

/// What a client wants to speak with its upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    protocol: Box<str>,
    /// As the client sent it.
    websocket_key: Option<Box<[u8]>>,
}

impl Wanted {
    /// What a request asks for that is to be sent on in this version of HTTP. Over HTTP/2 only a
    /// GET can ask, and for a protocol without a version (RFC 8441 section 4); any other request
    /// goes on as if it had not asked, which servers may take it for (RFC 9110 section 7.8).
    pub fn of(head: &RequestHead, bytes: &[u8], sent_as: HttpVersion) -> Option<Box<Self>> {
        let protocol = head.upgrade(bytes)?;
        let is_sayable = sent_as == HttpVersion::Http1
            || head.method(bytes) == "GET" && is_token(protocol.as_bytes());
        let is_key = |(name, _): &(&str, &[u8])| name.eq_ignore_ascii_case("sec-websocket-key");
        is_sayable.then(|| {
            Box::new(Self {
                protocol: protocol.into(),
                websocket_key: head.headers(bytes).find(is_key).map(|(_, key)| key.into()),
            })
        })
    }

    /// Its name.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// `:protocol`, where the h2 crate looks for it.
    pub fn extension(&self) -> ext::Protocol {
        (*self.protocol).into()
    }

    /// What makes an answer that came over HTTP/2 one of HTTP/1.
    pub fn agreement(&self) -> http2::Upgrade<'_> {
        http2::Upgrade {
            protocol: &self.protocol,
            websocket_key: self.websocket_key.as_deref(),
        }
    }

    /// The final head of an answer, decoded from `bytes`, agrees to nothing else. With a 101 it
    /// agrees; any other answer is an ordinary one. A client of HTTP/2 would take every 2xx for
    /// agreement (RFC 8441 section 5).
    ///
    /// # Errors
    /// [`Failure::UpgradeRefused`].
    pub fn check(&self, head: &ResponseHead, bytes: &[u8], to_http2: bool) -> Result<(), Failure> {
        let is_right = match head.upgrade(bytes) {
            Some(protocol) => name_of(protocol).eq_ignore_ascii_case(name_of(&self.protocol)),
            None => !(to_http2 && matches!(head.status(), 200..=299)),
        };
        if is_right {
            Ok(())
        } else {
            Err(Failure::UpgradeRefused)
        }
    }
}

/// Without its version (RFC 9110 section 7.8).
fn name_of(protocol: &str) -> &str {
    protocol.split('/').next().unwrap_or(protocol)
}

/// The client's end.
enum Near {
    /// Its connection, and what has come on it.
    Http1(Buffer),
    /// A stream of it.
    Http2 {
        client: Rc<Client>,
        incoming: Option<Box<Incoming>>,
    },
}

/// A connection or stream whose client was told that another protocol is spoken on it.
pub struct Switched {
    worker: Rc<Worker>,
    session: Rc<Session>,
    call: Rc<Call>,
    near: Near,
    far: Upstream,
    /// What has come from the upstream's connection of HTTP/1.
    behind: Box<Buffer>,
    /// It counts among what the endpoint is busy with.
    _lease: Lease,
    /// It counts among the requests of its cluster.
    active: Option<Counted>,
    record: Option<(Detached, Direction)>,
}

impl Switched {
    /// What has become of the request of `downstream`. `behind` stood behind the answer's head.
    pub fn new(
        worker: &Rc<Worker>,
        downstream: &mut Downstream,
        lease: Lease,
        far: Upstream,
        behind: Box<Buffer>,
    ) -> Self {
        let near = match &mut downstream.wire {
            Wire::Http1 => Near::Http1(downstream.received.take()),
            Wire::Http2 { client, incoming } => Near::Http2 {
                client: Rc::clone(client),
                incoming: incoming.take(),
            },
        };
        Self {
            worker: Rc::clone(worker),
            session: Rc::clone(&downstream.session),
            call: Rc::clone(&downstream.call),
            near,
            far,
            behind,
            _lease: lease,
            active: None,
            record: None,
        }
    }

    /// It counts as `active` until it ends.
    pub fn counts(&mut self, active: Option<Counted>) {
        self.active = active;
    }

    /// The request's record, which is closed when this ends. `direction` is the listener's.
    pub fn hand_over(&mut self, record: Record<'_>, direction: Direction) {
        self.record = Some((record.detach(), direction));
    }

    /// Carries what both sides say until they have said it all.
    pub async fn carry(mut self: Box<Self>) {
        let Some((record, direction)) = self.record.take() else {
            return;
        };
        let worker = Rc::clone(&self.worker);
        let mut record = record.attach(&worker.recorder);
        let bounds = bounds(worker.limits.stream_idle_timeout, direction);
        // Bounds of requests, which this is no more.
        self.session.stream.keep_alive();
        match &self.far {
            Upstream::Http1(loan) => {
                loan.stream().deadline().clear();
                loan.stream().keep_alive();
            }
            Upstream::Http2(loan) => loan.keep_alive(),
        }
        if let Near::Http1(_) = self.near {
            self.session.stream.deadline().clear();
        }
        let session = Rc::clone(&self.session);
        let carried = match (&self.near, &self.far) {
            (Near::Http1(_), Upstream::Http1(_)) => Box::pin(self.tunnel(bounds)).await,
            _ => Box::pin(self.streams(bounds)).await,
        };
        let (ending, (received, sent)) = carried;
        // To a stream it looks as if the client had gone.
        let ending = match ending {
            Ending::DownstreamReset if session.was_cut() => Ending::Drained,
            ending => ending,
        };
        record.received(received);
        record.sent(sent);
        note(&mut record, ending);
        record.close();
    }

    /// From socket to socket.
    async fn tunnel(mut self: Box<Self>, bounds: Bounds) -> (Ending, (u64, u64)) {
        let (Near::Http1(received), Upstream::Http1(loan)) = (&mut self.near, &self.far) else {
            return (Ending::Closed, (0, 0));
        };
        let boxed = |bytes: &mut Buffer| (!bytes.is_empty()).then(|| Box::new(bytes.take()));
        let (received, behind) = (boxed(received), boxed(&mut self.behind));
        let (worker, session) = (&self.worker, &self.session);
        let tunnel = Tunnel::new(Rc::clone(loan.stream()), None, worker.now(), &bounds);
        session.set_tunnel(Some(Rc::clone(&tunnel)));
        if session.stream.was_stopped() {
            // It was cut before there was a tunnel to end.
            tunnel.end(&session.stream, Ending::Drained);
        }
        let carry = tunnel.carry(worker, session, received, behind);
        let ending = Box::pin(carry).await;
        session.set_tunnel(None);
        (ending, tunnel.moved())
    }

    /// With a stream at one end or both.
    async fn streams(mut self: Box<Self>, bounds: Bounds) -> (Ending, (u64, u64)) {
        let streams = Streams::new(&self.worker, &self.call, bounds);
        let client = match &self.near {
            Near::Http1(_) => None,
            Near::Http2 { client, .. } => Some(Rc::clone(client)),
        };
        let from_client = match &mut self.near {
            Near::Http1(received) => Inward::Socket(&self.session.stream, received.take()),
            Near::Http2 { incoming, .. } => Inward::Stream(incoming.as_deref_mut()),
        };
        let to_client = match &client {
            None => Outward::Socket(&self.session.stream),
            Some(client) => Outward::Stream(client.outlet()),
        };
        let outlet = match &self.far {
            Upstream::Http1(_) => None,
            Upstream::Http2(loan) => loan.outlet.clone(),
        };
        let (from_endpoint, to_endpoint) = match &mut self.far {
            Upstream::Http1(loan) => {
                let stream = loan.stream();
                let inward = Inward::Socket(stream, self.behind.take());
                (inward, Some(Outward::Socket(stream)))
            }
            Upstream::Http2(loan) => {
                let inward = Inward::Stream(loan.incoming.as_mut());
                (inward, outlet.as_deref().map(Outward::Stream))
            }
        };
        let Some(to_endpoint) = to_endpoint else {
            return (Ending::UpstreamReset, (0, 0));
        };
        let carry = pin!(async {
            let upload = Passage {
                from: from_client,
                to: to_endpoint,
            };
            let download = Passage {
                from: from_endpoint,
                to: to_client,
            };
            streams.carry(upload, download).await
        });
        let ending = match &client {
            None => carry.await,
            Some(client) => watch(client, carry, || streams.client_has_gone()).await,
        };
        (ending, streams.moved())
    }
}

/// A sidecar cuts nothing that is merely quiet: its clients and servers know best, and the kernel
/// asks whether they are there. At a gateway, where anybody may connect, it lasts as long as any
/// other stream on which nothing moves. A peer that has sent its last byte, or takes none, is not
/// merely quiet.
fn bounds(stream_idle_timeout: Duration, direction: Direction) -> Bounds {
    let idle = match stream_idle_timeout {
        timeout if timeout.is_zero() => Micros::MAX,
        timeout => micros(timeout),
    };
    Bounds {
        quiet: match direction {
            Direction::Gateway => idle,
            Direction::Inbound | Direction::Outbound => Micros::MAX,
        },
        stuck: idle,
        age: Micros::MAX,
    }
}

/// What the log says of the end. The status stays that of the answer.
fn note(record: &mut Record<'_>, ending: Ending) {
    match ending {
        Ending::Closed => {}
        Ending::DownstreamReset => record.fail(Failure::DownstreamGone),
        Ending::Idle => record.fail(Failure::UpstreamIdle),
        Ending::UpstreamReset => record.fail(Failure::UpstreamTruncated),
        Ending::Drained | Ending::TooOld => record.termination(ending.facts().termination),
        // A connection that has none of these ends carries nothing.
        Ending::NoRoute
        | Ending::NoCluster
        | Ending::NoEndpoint
        | Ending::Overflow
        | Ending::ConnectFailed
        | Ending::ConnectTimeout
        | Ending::HandshakeFailed => {}
    }
}

#[cfg(test)]
mod tests;
