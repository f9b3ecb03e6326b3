//! A TCP connection from its accept to its end: one endpoint, bytes in both directions.
//!
//! Decide, pick an endpoint, connect, carry, close the record. The two directions (`way.rs`) run at
//! the same time on one task and know of each other only through [`Tunnel`]. Nothing is timed per
//! operation: the worker's tick looks at each tunnel once a second ([`Tunnel::look_after`]).
//!
//! A connection whose HTTP/1 was upgraded to something else is carried by a [`Tunnel`], too; it
//! comes from [`crate::upgrade`].

mod way;

use std::{cell::Cell, net::IpAddr, pin::pin, rc::Rc};

use ringmain_config::{cluster::TcpConnections, listener::Direction};
use ringmain_core::{
    ending::Ending,
    limit::OpenConnection,
    metrics::Reporter,
    snapshot::{Listener, Snapshot},
    tcp::Incoming,
};

use self::way::Way;
use crate::{
    io::{buffer::Buffer, deadline::Micros, race::join, stream::Stream},
    metrics::Series,
    pool::{self, Lease, Loan},
    record::TunnelRecord,
    relay::micros,
    session::Session,
    worker::Worker,
};

/// Serves a connection to its end. `place` is that of [`Worker::open`].
pub async fn serve(worker: Rc<Worker>, session: Rc<Session>, place: usize) {
    let opened = worker.now();
    let snapshot = worker.snapshot(session.listener);
    let listener = snapshot.listener(session.listener);
    let direction = listener.map_or(Direction::Gateway, |listener| listener.config.direction);
    let mut record = TunnelRecord::open(&worker.recorder, Reporter::of(direction), opened);
    record.describe(|| (session.stream.local_address().ok(), session.peer));
    let connected = match listener {
        Some(listener) => {
            let connect = connect(&worker, &session, &snapshot, listener, &mut record);
            Box::pin(connect).await
        }
        None => Err(Ending::NoRoute),
    };
    drop(snapshot);
    let ending = match connected {
        Ok((lease, upstream, limits)) => {
            let stream = Rc::clone(upstream.0.stream());
            let bounds = Bounds::of(&limits);
            let tunnel = Tunnel::new(stream, Some(record.established()), worker.now(), &bounds);
            session.set_tunnel(Some(Rc::clone(&tunnel)));
            if session.stream.was_stopped() {
                // While the endpoint was being connected to, there was no tunnel to end.
                tunnel.end(&session.stream, Ending::Drained);
            }
            let ending = Box::pin(tunnel.carry(&worker, &session, None, None)).await;
            session.set_tunnel(None);
            let (received, sent) = tunnel.moved();
            record.moved(received, sent);
            drop((lease, upstream));
            ending
        }
        Err(ending) => ending,
    };
    record.close(ending);
    drop(session);
    worker.close(place);
}

/// The connection to the endpoint, and its place in the cluster's limit.
type Connected = (Loan, OpenConnection);

/// Decides where the connection goes, and connects there.
async fn connect(
    worker: &Rc<Worker>,
    session: &Session,
    snapshot: &Snapshot,
    listener: &Listener,
    record: &mut TunnelRecord<'_>,
) -> Result<(Lease, Connected, TcpConnections), Ending> {
    let Some(routes) = session.tcp_routes(listener) else {
        return Err(Ending::NoRoute);
    };
    let local = || -> Option<IpAddr> { Some(session.stream.local_address().ok()?.ip()) };
    let incoming = Incoming {
        source: session.peer.ip(),
        destination: routes.needs_destination().then(local).flatten(),
    };
    let destination = routes.decide(&incoming, worker.random());
    let index = destination.ok_or(Ending::NoRoute)?.cluster;
    let entry = snapshot.cluster(index).ok_or(Ending::NoCluster)?;
    let cluster = worker.clusters.state(index, entry);
    record.cluster(&cluster.cluster.name, &cluster.edge);
    let lease = cluster.pick(None, &[], &mut || worker.random());
    let lease = lease.ok_or(Ending::NoEndpoint)?;
    record.endpoint(lease.state().address, &lease.state().edge);
    let upstream = pool::connect_for_bytes(worker, &lease).await;
    let upstream = upstream.map_err(|(ending, error)| {
        if let Some(error) = error {
            record.transport_failure(&error);
        }
        ending
    })?;
    record.upstream_local(|| upstream.0.stream().local_address().ok());
    let limits = cluster.cluster.connections.tcp;
    Ok((lease, upstream, limits))
}

/// How long a connection that carries bytes may last. [`Micros::MAX`]: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Without a byte in either direction, while both peers can send and have taken all there was
    /// for them.
    pub quiet: Micros,
    /// Without a byte when a peer has sent its last one, or does not take what there is for it.
    pub stuck: Micros,
    /// In all.
    pub age: Micros,
}

impl Bounds {
    /// Of TCP: it is all the same why it is quiet.
    fn of(limits: &TcpConnections) -> Self {
        let idle = match limits.idle_timeout.is_zero() {
            true => Micros::MAX,
            false => micros(limits.idle_timeout),
        };
        Self {
            quiet: idle,
            stuck: idle,
            age: limits.duration_max.map_or(Micros::MAX, micros),
        }
    }

    /// Without a byte. `is_stuck`: a peer can send none any more, or takes none.
    pub fn idle(&self, is_stuck: bool) -> Micros {
        if is_stuck { self.stuck } else { self.quiet }
    }
}

/// A connection that carries bytes, as its two directions and the worker's tick see it.
pub struct Tunnel {
    upstream: Rc<Stream>,
    /// Where bytes count while they move, if they do.
    series: Option<Rc<Series>>,
    to_endpoint: Cell<u64>,
    to_client: Cell<u64>,
    /// Bytes of both directions when the tick last looked.
    seen: Cell<u64>,
    /// When the tick last saw that bytes had moved.
    moved_at: Cell<Micros>,
    bounds: Bounds,
    opened: Micros,
    /// Directions in which there is something that the receiver has not taken yet.
    sending: Cell<u8>,
    /// Why it was ended, by whoever was first.
    ending: Cell<Option<Ending>>,
    /// Some direction has ended, and the kernel asks the peers whether they are still there.
    half_closed: Cell<bool>,
    is_probed: Cell<bool>,
}

impl Tunnel {
    /// One to `upstream` that begins now, which is `opened`.
    pub fn new(
        upstream: Rc<Stream>,
        series: Option<Rc<Series>>,
        opened: Micros,
        bounds: &Bounds,
    ) -> Rc<Self> {
        Rc::new(Self {
            upstream,
            series,
            to_endpoint: Cell::new(0),
            to_client: Cell::new(0),
            seen: Cell::new(0),
            moved_at: Cell::new(opened),
            bounds: *bounds,
            opened,
            sending: Cell::new(0),
            ending: Cell::new(None),
            half_closed: Cell::new(false),
            is_probed: Cell::new(false),
        })
    }

    /// Bytes that came from the client, and that went to it.
    pub fn moved(&self) -> (u64, u64) {
        (self.to_endpoint.get(), self.to_client.get())
    }

    /// Carries bytes until both directions have ended. `from_client` and `from_endpoint` have come
    /// already; in boxes, since most connections have none.
    pub async fn carry(
        &self,
        worker: &Worker,
        session: &Session,
        from_client: Option<Box<Buffer>>,
        from_endpoint: Option<Box<Buffer>>,
    ) -> Ending {
        let upload = Way {
            worker,
            tunnel: self,
            source: &session.stream,
            target: &self.upstream,
            moved: &self.to_endpoint,
            counted: Series::received,
            source_lost: Ending::DownstreamReset,
            target_lost: Ending::UpstreamReset,
        };
        let download = Way {
            worker,
            tunnel: self,
            source: &self.upstream,
            target: &session.stream,
            moved: &self.to_client,
            counted: Series::sent,
            source_lost: Ending::UpstreamReset,
            target_lost: Ending::DownstreamReset,
        };
        let (upload, download) = (upload.run(from_client), download.run(from_endpoint));
        join(pin!(upload), pin!(download), |()| {}).await;
        self.ending.get().unwrap_or(Ending::Closed)
    }

    /// To be called every second: ends what is quiet or old for too long, and sees to it that a
    /// peer that has gone is noticed.
    pub fn look_after(&self, client: &Stream, now: Micros) {
        let moved = self.to_endpoint.get() + self.to_client.get();
        if self.seen.replace(moved) != moved {
            self.moved_at.set(now);
        } else if self.half_closed.get() && !self.is_probed.replace(true) {
            client.probe();
            self.upstream.probe();
        }
        let is_stuck = self.half_closed.get() || self.sending.get() > 0;
        let idle = self.bounds.idle(is_stuck);
        let until = self.opened.saturating_add(self.bounds.age);
        if let Some(ending) = due(now, self.moved_at.get(), idle, until) {
            self.end(client, ending);
        }
    }

    /// Ends it now, in both directions.
    pub fn end(&self, client: &Stream, ending: Ending) {
        if self.ending.get().is_none() {
            self.ending.set(Some(ending));
        }
        client.abort();
        self.upstream.abort();
    }
}

/// Why a connection is over whose bytes moved last at `moved_at`, which may be later than `now` was
/// read.
fn due(now: Micros, moved_at: Micros, idle: Micros, until: Micros) -> Option<Ending> {
    if now >= until {
        Some(Ending::TooOld)
    } else if now.saturating_sub(moved_at) >= idle {
        Some(Ending::Idle)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Ending, Micros, Session, Stream, Tunnel, Way, connect, due, serve};

    #[test]
    fn what_is_quiet_or_old_is_due() {
        const NEVER: Micros = Micros::MAX;
        for (now, moved_at, idle, until, expected) in [
            (100, 90, 11, NEVER, None),
            (100, 90, 10, NEVER, Some(Ending::Idle)),
            (100, 90, 10, 100, Some(Ending::TooOld)),
            (100, 90, NEVER, 101, None),
            // It moved after the clock was read.
            (100, 101, 10, NEVER, None),
        ] {
            assert_eq!(
                due(now, moved_at, idle, until),
                expected,
                "{now} {moved_at} {idle}"
            );
        }
    }

    /// Of the future that a function of three arguments returns.
    fn bytes_of<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// What one connection makes the worker allocate, beside its buffers and pipes. A quiet one has
    /// neither these nor the futures of its directions.
    #[test]
    fn bytes_of_a_connection() {
        type Direction = &'static Way<'static>;
        let carrying = bytes_of(
            |tunnel: &'static Tunnel, (worker, session), (first, second)| {
                tunnel.carry(worker, session, first, second)
            },
        );
        let quiet = bytes_of(serve)
            + carrying
            + size_of::<(Session, Tunnel, Stream)>()
            + 3 * size_of::<[usize; 2]>();
        let copying = bytes_of(|way: Direction, (), ()| way.copy());
        let moving = bytes_of(|way: Direction, (), ()| way.splice());
        let connecting = bytes_of(
            |(worker, session, snapshot), listener, record: &'static mut _| {
                connect(worker, session, snapshot, listener, record)
            },
        );
        for (what, bytes, bytes_max) in [
            ("a quiet connection", quiet, 1600),
            ("a direction that copies", copying, 512),
            ("a direction that moves", moving, 256),
            ("connecting, until it is done", connecting, 2688),
        ] {
            assert!(bytes <= bytes_max, "{what} takes {bytes} bytes");
        }
    }
}
