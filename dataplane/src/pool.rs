//! Upstream connections of one core: which endpoint a request goes to, and over which connection.
//!
//! Each worker has its own pools; nothing here is shared. Idle connections have no buffer, and on a
//! ring a poll pending that begins when the last answer is complete: whether the upstream has
//! closed one, or sent what nobody asked for, is known without a system call when it is reused and
//! once per sweep. The answer to the next request is waited for with the same poll.

mod check_out;
mod room;
mod secure;
mod turnstile;

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::{HashMap, HashSet},
    net::SocketAddr,
    ops::Range,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ringmain_config::{
    cluster::{Cluster, Service},
    endpoint::Workload,
};
use ringmain_core::{
    balance,
    limit::{Counted, Full, Limits, Load, OpenConnections},
    snapshot::{ClusterEntry, ClusterId, ClusterIndex, Endpoint, Endpoints, Snapshot},
};

pub use self::secure::{Spoken, Target};
pub use check_out::{
    Unreached, check_out, connect_for_bytes, open, put_back, room, secure, waiting,
};
pub use room::{Count, Purpose};
pub use turnstile::{Held, Turnstile};

use self::room::Rooms;
use crate::{
    http2::client::Shared,
    io::{deadline::Micros, sleep, stream::Stream},
    metrics::{Edge, WorkerCounters},
    relay::micros,
};

/// Idle connections that one sweep looks at, so that a sweep stays short.
const SWEEP_LOOKS_MAX: usize = 512;
/// Connections that are closed in one turn of the loop. A ring cancels the poll of each and closes
/// it when that has ended: with more at a time than its queues have room for, the runtime would
/// submit while it takes completions.
const CLOSED_AT_ONCE: usize = 64;
/// Between two such turns.
const CLOSING_PAUSE: Duration = Duration::from_millis(1);

/// The clusters that this core has sent requests to.
#[derive(Default)]
pub struct Clusters {
    by_index: RefCell<Vec<Option<Rc<ClusterState>>>>,
    /// Connections in use and idle, of all clusters.
    rooms: Rooms,
    /// Those that nobody is to use any more.
    closing: RefCell<Vec<Connection>>,
    /// [`Self::close`] runs.
    is_closing: Cell<bool>,
    /// The idle connection that the next sweep looks at first, counted over all clusters.
    sweep_from: Cell<usize>,
}

/// A cluster with this core's balancer state and pools.
pub struct ClusterState {
    /// Settings.
    pub cluster: Arc<Cluster>,
    /// Metrics of requests that reach no endpoint of it.
    pub edge: Rc<Edge>,
    id: ClusterId,
    service: Arc<Service>,
    endpoints: Arc<Endpoints>,
    /// Connections of all cores, as far as they are limited.
    open: Arc<OpenConnections>,
    /// What it allows of requests at a time.
    limits: Limits,
    /// Requests of all cores, as far as they are counted.
    load: Arc<Load>,
    balancer: RefCell<balance::State>,
    /// In the order of `endpoints`.
    states: Box<[Rc<EndpointState>]>,
}

/// This core's knowledge of one endpoint.
pub struct EndpointState {
    /// Where it listens.
    pub address: SocketAddr,
    /// Metrics of requests to it.
    pub edge: Rc<Edge>,
    workload: Arc<Workload>,
    service: Arc<Service>,
    active: Cell<u32>,
    /// The one put back last is reused first: the others may then grow old and be closed.
    idle: RefCell<Vec<Idle>>,
    /// Connections of HTTP/2.
    pub shared: Shared,
    /// Where connections are limited.
    pub turnstile: Rc<Turnstile>,
    /// It is in no snapshot any more: connections are not put back.
    gone: Cell<bool>,
}

struct Idle {
    connection: Connection,
    since: Micros,
}

/// An open connection of HTTP/1 or of bytes.
struct Connection {
    stream: Rc<Stream>,
    /// Requests that were sent on it.
    requests: u32,
    count: Count,
    /// Of one that is limited.
    held: Option<Held>,
}

/// A request's hold on an endpoint, from the pick to the end of the answer.
pub struct Lease {
    cluster: Rc<ClusterState>,
    /// Position among the cluster's endpoints.
    index: u32,
    purpose: Purpose,
}

impl Lease {
    /// Its request is a copy.
    pub fn for_copy(mut self) -> Self {
        self.purpose = Purpose::Copy;
        self
    }

    /// What its connection is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// This core's knowledge of the endpoint.
    pub fn state(&self) -> &EndpointState {
        &self.cluster.states[self.index()]
    }

    /// The same, to be kept.
    pub fn endpoint(&self) -> Rc<EndpointState> {
        Rc::clone(&self.cluster.states[self.index()])
    }

    /// Settings of its cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster.cluster
    }

    /// How many connections all cores may have to the cluster.
    pub fn connections_max(&self) -> Option<u32> {
        self.cluster.cluster.connections.tcp.connections_max
    }

    /// Room for one more connection to the endpoint; see [`Turnstile::enter`].
    pub fn enter(&self, max: u32) -> Option<Held> {
        self.state().turnstile.enter(&self.cluster.open, max)
    }

    /// Its request begins to wait for a connection.
    fn wait(&self) -> Result<Option<Counted>, Full> {
        self.cluster.limits.wait(&self.cluster.load)
    }

    /// Its position among the endpoints of its cluster.
    pub fn index(&self) -> usize {
        self.index as usize
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let active = &self.state().active;
        active.set(active.get() - 1);
    }
}

/// A connection for one request. It is closed when dropped, unless it is [`put back`](put_back).
pub struct Loan {
    connection: Connection,
    /// It has carried requests before, so the upstream may have closed it meanwhile.
    pub reused: bool,
}

impl Loan {
    /// Its socket.
    pub fn stream(&self) -> &Rc<Stream> {
        &self.connection.stream
    }
}

impl Clusters {
    /// The state of a cluster of the current snapshot.
    pub fn state(&self, index: ClusterIndex, entry: &ClusterEntry) -> Rc<ClusterState> {
        let mut states = self.by_index.borrow_mut();
        let place = index.0 as usize;
        if let Some(Some(state)) = states.get(place)
            && state.is_of(entry)
        {
            return Rc::clone(state);
        }
        if states.len() <= place {
            states.resize_with(place + 1, || None);
        }
        let before = states[place].as_deref();
        let state = Rc::new(ClusterState::new(entry, before, &self.closing));
        states[place] = Some(Rc::clone(&state));
        state
    }

    /// Follows a new snapshot: what is in it keeps its connections, what is not lets them go.
    pub fn adopt(&self, snapshot: &Snapshot) {
        for (place, slot) in self.by_index.borrow_mut().iter_mut().enumerate() {
            let Some(state) = slot else { continue };
            let index = ClusterIndex(u32::try_from(place).expect("it was an index before"));
            let entry = snapshot.cluster(index).filter(|entry| entry.id == state.id);
            match entry {
                Some(entry) if state.is_of(entry) => {}
                Some(entry) => {
                    let state = ClusterState::new(entry, Some(state), &self.closing);
                    *slot = Some(Rc::new(state));
                }
                None => {
                    let mut closing = self.closing.borrow_mut();
                    let endpoints = state.states.iter();
                    endpoints.for_each(|endpoint| endpoint.let_go(&mut closing));
                    drop(closing);
                    *slot = None;
                }
            }
        }
    }

    /// Makes room for a connection that is needed now. False when all are in use.
    fn close_oldest_idle(&self, purpose: Purpose) -> bool {
        // Whatever is idle or let go of HTTP/1 stands in the room of requests.
        let with_http1 = purpose == Purpose::Request;
        if with_http1 && self.closing.borrow_mut().pop().is_some() {
            return true;
        }
        let states = self.by_index.borrow();
        let endpoints = states.iter().flatten().flat_map(|state| &state.states);
        let oldest = endpoints
            .filter_map(|endpoint| {
                // The first one was put back first.
                let idle = endpoint.idle.borrow();
                let http1 = idle.first().filter(|_| with_http1);
                let http1 = http1.map(|idle| (idle.since, false));
                let http2 = endpoint.shared.idle_since(purpose);
                let http2 = http2.map(|since| (since, true));
                let (since, is_http2) = http1.into_iter().chain(http2).min()?;
                Some((since, is_http2, endpoint))
            })
            .min_by_key(|(since, ..)| *since);
        let Some((_, is_http2, endpoint)) = oldest else {
            return false;
        };
        match is_http2 {
            true => endpoint.shared.close_oldest_idle(purpose),
            false => drop(endpoint.idle.borrow_mut().remove(0)),
        }
        true
    }

    /// Takes idle connections out that have been so for too long, or that the upstream has closed;
    /// [`Self::close`] closes them.
    pub fn sweep(&self, now: Micros, counters: &WorkerCounters) {
        let mut sweep = Sweep {
            now,
            looks: self.sweep_from.get()..self.sweep_from.get() + SWEEP_LOOKS_MAX,
            seen: 0,
            closing: self.closing.borrow_mut(),
        };
        let mut idle_count = 0;
        for state in self.by_index.borrow().iter().flatten() {
            let timeout = match state.cluster.connections.idle_timeout {
                Duration::ZERO => Micros::MAX,
                timeout => micros(timeout),
            };
            for endpoint in &state.states {
                endpoint.sweep(timeout, &mut sweep);
                let shared = endpoint.shared.sweep(now, timeout);
                idle_count += (endpoint.idle.borrow().len() + shared) as u64;
            }
        }
        let is_over = sweep.looks.end >= sweep.seen;
        self.sweep_from
            .set(if is_over { 0 } else { sweep.looks.end });
        let unused = idle_count + sweep.closing.len() as u64;
        counters.upstream_connections_idle.set(idle_count);
        counters
            .upstream_connections_active
            .set(u64::from(self.rooms.connections()) - unused);
    }

    /// There is something to close, and [`Self::close`] is to be called.
    pub fn begins_to_close(&self) -> bool {
        let is_needed = !self.closing.borrow().is_empty();
        is_needed && !self.is_closing.replace(true)
    }

    /// Closes what was let go, a few at a time.
    pub async fn close(&self) {
        while self.close_some() {
            sleep(CLOSING_PAUSE).await;
        }
        self.is_closing.set(false);
    }

    /// False when none is left.
    fn close_some(&self) -> bool {
        let mut closing = self.closing.borrow_mut();
        let kept = closing.len().saturating_sub(CLOSED_AT_ONCE);
        closing.truncate(kept);
        kept > 0
    }
}

/// A look at the idle connections.
struct Sweep<'a> {
    now: Micros,
    /// Those that are looked at, counted over all clusters.
    looks: Range<usize>,
    /// How many there were so far.
    seen: usize,
    closing: RefMut<'a, Vec<Connection>>,
}

impl ClusterState {
    /// What is not in it any more of what was `before` goes to `closing`.
    fn new(
        entry: &ClusterEntry,
        before: Option<&Self>,
        closing: &RefCell<Vec<Connection>>,
    ) -> Self {
        // What was connected in another way is not used again.
        let is_same = |before: &&Self| {
            before.id == entry.id && before.cluster.transport == entry.cluster.transport
        };
        let before = before.filter(is_same);
        let service = match before {
            Some(before) if before.cluster.service == entry.cluster.service => {
                Arc::clone(&before.service)
            }
            _ => Arc::new(entry.cluster.service.clone()),
        };
        let before = before.map_or(&[][..], |before| &before.states);
        let known: HashMap<_, _> = before.iter().map(|state| (state.address, state)).collect();
        let states: Box<[_]> = entry
            .endpoints
            .iter()
            .map(|endpoint| match known.get(&endpoint.address) {
                Some(state) if state.is_to(&endpoint.workload, &service) => Rc::clone(state),
                _ => EndpointState::new(endpoint, &service),
            })
            .collect();
        let kept: HashSet<_> = states.iter().map(Rc::as_ptr).collect();
        let gone = before.iter().filter(|old| !kept.contains(&Rc::as_ptr(old)));
        gone.for_each(|old| old.let_go(&mut closing.borrow_mut()));
        Self {
            id: entry.id,
            cluster: Arc::clone(&entry.cluster),
            edge: Edge::new(Arc::default(), Arc::clone(&service)),
            service,
            endpoints: Arc::clone(&entry.endpoints),
            open: Arc::clone(&entry.open),
            limits: entry.limits,
            load: Arc::clone(&entry.load),
            balancer: RefCell::new(balance::State::new(entry.cluster.balancer)),
            states,
        }
    }

    fn is_of(&self, entry: &ClusterEntry) -> bool {
        Arc::ptr_eq(&self.cluster, &entry.cluster) && Arc::ptr_eq(&self.endpoints, &entry.endpoints)
    }

    /// Chooses an endpoint for a request; `None` when there is none. Those at the positions that
    /// were `tried` are taken only when there is no other. `hash` is what the balancers that hash
    /// go by.
    pub fn pick(
        self: &Rc<Self>,
        hash: Option<u64>,
        tried: &[usize],
        random: &mut impl FnMut() -> u64,
    ) -> Option<Lease> {
        let active = |index: usize| self.states[index].active.get();
        let mut balancer = self.balancer.borrow_mut();
        let was_tried = |index: usize| tried.contains(&index);
        let mut index = balancer.pick(&self.endpoints, hash, active, was_tried, random);
        if index.is_none() && !tried.is_empty() {
            index = balancer.pick(&self.endpoints, hash, active, |_| false, random);
        }
        let index = index?;
        let active = &self.states[index].active;
        active.set(active.get() + 1);
        Some(Lease {
            cluster: Rc::clone(self),
            index: u32::try_from(index).expect("endpoints are fewer than addresses"),
            purpose: Purpose::Request,
        })
    }
}

impl EndpointState {
    fn new(endpoint: &Endpoint, service: &Arc<Service>) -> Rc<Self> {
        Rc::new(Self {
            address: endpoint.address,
            edge: Edge::new(Arc::clone(&endpoint.workload), Arc::clone(service)),
            workload: Arc::clone(&endpoint.workload),
            service: Arc::clone(service),
            active: Cell::new(0),
            idle: RefCell::default(),
            shared: Shared::default(),
            turnstile: Rc::default(),
            gone: Cell::new(false),
        })
    }

    fn is_to(&self, workload: &Arc<Workload>, service: &Arc<Service>) -> bool {
        Arc::ptr_eq(&self.service, service) && self.workload == *workload
    }

    fn let_go(&self, closing: &mut Vec<Connection>) {
        self.gone.set(true);
        let mut idle = self.idle.borrow_mut();
        closing.extend(idle.drain(..).map(|idle| idle.connection));
        self.shared.let_go();
    }

    fn sweep(&self, timeout: Micros, sweep: &mut Sweep<'_>) {
        let mut idle = self.idle.borrow_mut();
        let gone = idle.extract_if(.., |idle| {
            let is_looked_at = sweep.looks.contains(&sweep.seen);
            sweep.seen += 1;
            let is_old = sweep.now.saturating_sub(idle.since) >= timeout;
            is_old || is_looked_at && !idle.connection.stream.stayed_silent()
        });
        sweep.closing.extend(gone.map(|idle| idle.connection));
    }

    /// Looks at each connection, however fresh it is: bytes that stand behind the last answer would
    /// be taken for the answer to the next request, whoever sends it.
    fn take_idle(&self) -> Option<Connection> {
        loop {
            let Idle { connection, .. } = self.idle.borrow_mut().pop()?;
            if connection.stream.stayed_silent() {
                return Some(connection);
            }
        }
    }
}
