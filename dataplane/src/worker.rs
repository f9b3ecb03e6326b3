//! One core: everything it owns, and its life from the first command to the last connection.
//!
//! A worker shares nothing but its [`Inbox`]. Tasks on it get `&Worker` or an `Rc` of it; there are
//! no thread-locals and no globals. Where a connection goes next is in [`crate::connection`].

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use ringmain_core::{
    http1,
    snapshot::{ListenerId, Snapshot},
};

use crate::{
    access_log::LogSink,
    configuration::Configuration,
    connection::Busy,
    http_policy::HttpPolicy,
    http2,
    inbox::{Command, Inbox},
    io::{
        self,
        buffer::BufferPool,
        deadline::{Deadlines, Micros},
        doorbell::Bell,
        listen::Listener,
        pipe::Pipes,
        ring::Rung,
    },
    listener,
    metrics::{WorkerCounters, WorkerParts},
    pool::Clusters,
    record::Recorder,
    session::{Session, Sessions},
    shelf::Shelf,
    tls::contexts::{Client, Contexts},
};

/// How often a worker looks after what nobody waits for: idle upstream connections, clients that
/// have gone, log lines that are not yet handed over.
const TICK: Duration = Duration::from_secs(1);

/// A listener that is to be closed waits so long for clients to end their handshakes.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(100);

/// A connection that is to end is not closed before it has been quiet for so long.
const CLOSED_WHEN_QUIET_FOR: Micros = 1_000_000;

/// Of [`Worker::busy`]: as many as buffers.
const BUSY_SPARE_MAX: usize = 4096;
/// Of them, those that are freed at once, so that the core is not held up.
const BUSY_TIDIED_MAX: usize = 1024;

/// Between two complaints of a worker.
const COMPLAINT_PAUSE: Micros = 10_000_000;

/// Bounds on what a worker holds and waits for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of request and response heads.
    pub head: http1::Limits,
    /// From a request's first byte to the end of its head.
    pub request_head_timeout: Duration,
    /// From the beginning of a connection until it is known what is spoken on it.
    pub protocol_detection_timeout: Duration,
    /// From the beginning of a connection to the end of its TLS handshake.
    pub tls_handshake_timeout: Duration,
    /// Of a downstream connection without a request.
    pub idle_timeout: Duration,
    /// Of a request or response that does not move.
    pub stream_idle_timeout: Duration,
    /// Of a connection while it is busy.
    pub buffer_bytes: usize,
    /// Bytes of a request's body; 0: no limit.
    pub body_bytes_max: u64,
    /// Bytes of a request's body that are kept for another try.
    pub replay_bytes: usize,
    /// Downstream connections of one worker.
    pub connections_max: u32,
    /// Upstream connections of one worker, in use and idle.
    pub upstream_connections_max: u32,
    /// Copies of requests that one worker has under way, and their connections.
    pub mirrors_max: u32,
    /// Idle upstream connections of one worker to one endpoint.
    pub upstream_idle_max: usize,
    /// Pipes of one worker that hold bytes on their way.
    pub pipes_max: usize,
    /// Of what is open at a listener that the configuration has no more.
    pub drain_timeout: Duration,
    /// Of connections of HTTP/2.
    pub http2: http2::Settings,
}

/// One core's state.
pub struct Worker {
    /// 0 for the first.
    pub index: usize,
    /// What it runs on.
    pub rung: Rung,
    /// Bounds.
    pub limits: Limits,
    /// How messages are read and written.
    pub http: HttpPolicy,
    /// Buffers for receiving and sending.
    pub buffers: Rc<BufferPool>,
    /// What busy connections have left to the next ones.
    pub busy: Shelf<Busy>,
    /// Pipes for moving bytes from socket to socket.
    pub pipes: Pipes,
    /// Deadlines of its sockets.
    pub deadlines: Rc<Deadlines>,
    /// Upstream connections and balancer state.
    pub clusters: Clusters,
    /// Downstream connections.
    pub sessions: Sessions,
    /// Log and metrics of requests.
    pub recorder: Recorder,
    /// Everything else that is counted.
    pub counters: Arc<WorkerCounters>,
    snapshot: RefCell<Rc<Pinned>>,
    /// For the connections of listeners that are gone: the last snapshot that each was in.
    last_snapshots: RefCell<HashMap<ListenerId, Rc<Pinned>>>,
    listeners: RefCell<HashMap<ListenerId, Rc<Listener>>>,
    /// Of all workers, this one's at `index`.
    inboxes: Arc<[Arc<Inbox>]>,
    random: RefCell<fastrand::Rng>,
    /// Listeners that are being closed.
    closing: Cell<u32>,
    draining: Cell<bool>,
    stopping: Cell<bool>,
    /// When it last complained of something that it complains of now and then.
    complained: Cell<Option<Micros>>,
}

/// A snapshot while somebody on this core uses it. The last user gives it back to be freed.
pub struct Pinned {
    configuration: Option<Arc<Configuration>>,
    inbox: Arc<Inbox>,
}

impl Pinned {
    fn new(configuration: Arc<Configuration>, inbox: Arc<Inbox>) -> Rc<Self> {
        Rc::new(Self {
            configuration: Some(configuration),
            inbox,
        })
    }

    fn configuration(&self) -> &Configuration {
        let configuration = self.configuration.as_deref();
        configuration.expect("it is taken only by drop")
    }

    /// What handshakes are made with.
    pub fn tls(&self) -> &Contexts {
        &self.configuration().tls
    }
}

impl std::ops::Deref for Pinned {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.configuration().snapshot
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(configuration) = self.configuration.take() {
            self.inbox.retire(configuration);
        }
    }
}

/// What a worker is made of that comes from outside its thread.
pub struct Parts {
    /// 0 for the first.
    pub index: usize,
    /// Bounds.
    pub limits: Limits,
    /// How messages are read and written.
    pub http: HttpPolicy,
    /// Of all workers.
    pub inboxes: Arc<[Arc<Inbox>]>,
    /// What it counts.
    pub metrics: WorkerParts,
    /// Where its access log goes; `None`: nowhere.
    pub log: Option<LogSink>,
    /// Of its random numbers.
    pub seed: u64,
}

impl Worker {
    /// A worker on the calling thread's ring.
    pub fn new(parts: Parts, rung: Rung) -> Rc<Self> {
        let Parts {
            index,
            limits,
            http,
            inboxes,
            metrics,
            log,
            seed,
        } = parts;
        let deadlines = Deadlines::new(rung);
        let counters = metrics.counters();
        let empty = Pinned::new(Arc::default(), Arc::clone(&inboxes[index]));
        Rc::new(Self {
            index,
            rung,
            buffers: BufferPool::new(limits.buffer_bytes),
            busy: Shelf::new(BUSY_SPARE_MAX),
            pipes: Pipes::new(limits.pipes_max),
            limits,
            http,
            recorder: Recorder::new(metrics, log, Rc::clone(&deadlines)),
            deadlines,
            clusters: Clusters::default(),
            sessions: Sessions::default(),
            counters,
            snapshot: RefCell::new(empty),
            last_snapshots: RefCell::default(),
            listeners: RefCell::default(),
            inboxes,
            random: RefCell::new(fastrand::Rng::with_seed(seed)),
            closing: Cell::new(0),
            draining: Cell::new(false),
            stopping: Cell::new(false),
            complained: Cell::new(None),
        })
    }

    /// Works until it is told to stop, or drained.
    pub async fn run(self: Rc<Self>, mut bell: Bell) {
        io::spawn(Rc::clone(&self.deadlines).sweep());
        io::spawn(Rc::clone(&self).tick());
        while bell.rung().await {
            if self.read_inbox().is_break() {
                break;
            }
        }
        self.recorder.tick();
    }

    /// The snapshot for a request that begins now: the newest, unless the listener is in it no
    /// more. Its connections are served to their ends as they were.
    pub fn snapshot(&self, listener: ListenerId) -> Rc<Pinned> {
        let snapshot = self.snapshot.borrow();
        if snapshot.listener(listener).is_none()
            && let Some(last) = self.last_snapshots.borrow().get(&listener)
        {
            return Rc::clone(last);
        }
        Rc::clone(&snapshot)
    }

    /// What sessions with the endpoints of a cluster begin with; `None` when there is nothing that
    /// can be used.
    pub fn tls_client(&self, cluster: &str) -> Option<Arc<Client>> {
        self.snapshot.borrow().tls().client(cluster).cloned()
    }

    /// Microseconds since the worker started.
    pub fn now(&self) -> Micros {
        self.deadlines.now()
    }

    /// 64 random bits.
    pub fn random(&self) -> u64 {
        self.random.borrow_mut().u64(..)
    }

    /// A worker that has fewer connections than this one.
    pub fn less_loaded(&self) -> Option<&Inbox> {
        if self.inboxes.len() == 1 {
            return None;
        }
        let own = self.inboxes[self.index].load();
        let least = self.inboxes.iter().min_by_key(|inbox| inbox.load())?;
        (least.load() < own).then_some(least)
    }

    /// A downstream connection begins; the place is for [`Self::close`].
    pub fn open(&self, session: Rc<Session>) -> usize {
        let place = self.sessions.add(session);
        self.counters.downstream_connections_total.increment();
        self.connections_changed();
        place
    }

    /// A downstream connection has ended.
    pub fn close(&self, place: usize) {
        self.sessions.remove(place);
        self.connections_changed();
        if self.draining.get() && self.sessions.count() == 0 {
            // The drain may be over; `run` must notice.
            self.inbox().wake();
        }
    }

    fn connections_changed(&self) {
        let count = self.sessions.count();
        self.inbox().set_connections(count);
        self.counters
            .downstream_connections_active
            .set(count.into());
    }

    fn inbox(&self) -> &Arc<Inbox> {
        &self.inboxes[self.index]
    }

    fn read_inbox(self: &Rc<Self>) -> std::ops::ControlFlow<()> {
        if let Some((number, configuration)) = self.inbox().take_configuration() {
            self.adopt(configuration);
            self.inbox().set_adopted(number);
        }
        // To be known before the handed sockets are looked at: there are no more after them.
        let is_last = self.inboxes.iter().all(|inbox| !inbox.accepts());
        while let Some((id, accepted)) = self.inbox().next_handed() {
            listener::admit(self, id, accepted);
        }
        while let Some(command) = self.inbox().next_command() {
            match command {
                Command::Listen(id, socket) => self.listen(id, socket),
                Command::Unlisten(id) => {
                    self.unlisten(id);
                    io::spawn(Rc::clone(self).cut_later(id));
                }
                Command::Drain => self.drain(),
                Command::Stop if self.stopping.get() => return std::ops::ControlFlow::Break(()),
                Command::Stop => self.stop(),
            }
        }
        if self.draining.get() && is_last && self.sessions.count() == 0 {
            return std::ops::ControlFlow::Break(());
        }
        std::ops::ControlFlow::Continue(())
    }

    /// Requests from now on see `configuration`; those under way keep theirs.
    fn adopt(&self, configuration: Arc<Configuration>) {
        self.clusters.adopt(&configuration.snapshot);
        let snapshot = Pinned::new(configuration, Arc::clone(self.inbox()));
        let before = self.snapshot.replace(Rc::clone(&snapshot));
        let mut last = self.last_snapshots.borrow_mut();
        for listener in before.listeners() {
            if snapshot.listener(listener.id).is_none() {
                last.insert(listener.id, Rc::clone(&before));
            }
        }
        last.retain(|&id, _| snapshot.listener(id).is_none());
        drop(last);
        self.counters.snapshots_adopted.increment();
    }

    fn listen(self: &Rc<Self>, id: ListenerId, socket: std::net::TcpListener) {
        match Listener::new(socket) {
            Ok(listener) => {
                self.listeners.borrow_mut().insert(id, Rc::clone(&listener));
                io::spawn(listener::accept(Rc::clone(self), id, listener));
            }
            Err(error) => tracing::error!("worker {}: listener {}: {error}", self.index, id.0),
        }
    }

    /// Connections of the listener end with their current request, or when they have been quiet.
    fn unlisten(self: &Rc<Self>, id: ListenerId) {
        if let Some(listener) = self.listeners.borrow_mut().remove(&id) {
            listener.begin_no_more();
            self.closing.set(self.closing.get() + 1);
            io::spawn(Rc::clone(self).close_listener(id, listener));
        }
    }

    /// Closes a listener when the handshakes that had begun have ended: those connections are
    /// accepted meanwhile, as always.
    async fn close_listener(self: Rc<Self>, id: ListenerId, listener: Rc<Listener>) {
        io::sleep(HANDSHAKE_GRACE).await;
        listener::accept_waiting(&self, id, &listener);
        listener.close();
        self.closing.set(self.closing.get() - 1);
        self.accepts_no_more();
    }

    /// Cuts what is still open at a listener when that is gone for the drain timeout: a connection
    /// that carries bytes never comes to the end of a request, and each one keeps the last snapshot
    /// of its listener. A listener that is only told to accept no more stays in the configuration,
    /// and its connections are left alone.
    async fn cut_later(self: Rc<Self>, id: ListenerId) {
        io::sleep(self.limits.drain_timeout).await;
        if self.snapshot.borrow().listener(id).is_some() {
            return;
        }
        self.sessions.each(|session| {
            if session.listener == id {
                session.cut();
            }
        });
    }

    /// Says so once it is true. None of the workers ends while another one may hand it a
    /// connection.
    fn accepts_no_more(&self) {
        if self.draining.get() && self.closing.get() == 0 {
            self.inbox().set_accepts_no_more();
            self.inboxes.iter().for_each(|inbox| inbox.wake());
        }
    }

    fn drain(self: &Rc<Self>) {
        self.draining.set(true);
        let ids: Vec<_> = self.listeners.borrow().keys().copied().collect();
        for id in ids {
            self.unlisten(id);
        }
        self.close_quiet();
        self.accepts_no_more();
    }

    /// Cuts what is open; each request under way ends by itself then, and is recorded.
    fn stop(self: &Rc<Self>) {
        self.stopping.set(true);
        if !self.draining.get() {
            self.drain();
        }
        self.sessions.each(Session::cut);
    }

    /// It has not complained for a while: what goes wrong many times a second is counted each time
    /// and logged now and then.
    pub fn may_complain(&self) -> bool {
        let now = self.now();
        let may = self
            .complained
            .get()
            .is_none_or(|last| now - last >= COMPLAINT_PAUSE);
        if may {
            self.complained.set(Some(now));
        }
        may
    }

    /// Answers on this connection say that it will be closed.
    pub fn is_closing(&self, session: &Session) -> bool {
        self.draining.get() || self.snapshot.borrow().listener(session.listener).is_none()
    }

    /// Closes connections that are to end and have waited for a request for a while. One that just
    /// had an answer may have its next request on the way, and the answer to that says `close`.
    fn close_quiet(&self) {
        let before = self.now().saturating_sub(CLOSED_WHEN_QUIET_FOR);
        self.sessions.each(|session| {
            if self.is_closing(session) {
                session.close_if_idle(before);
            }
        });
    }

    /// Lets go of the snapshots of listeners that are gone and have no connection any more.
    fn forget_listeners(&self) {
        let mut last = self.last_snapshots.borrow_mut();
        if last.is_empty() || self.closing.get() > 0 {
            return;
        }
        let mut used = HashSet::new();
        self.sessions.each(|session| {
            used.insert(session.listener);
        });
        let listeners = self.listeners.borrow();
        // A snapshot comes before the order to close.
        last.retain(|id, _| used.contains(id) || listeners.contains_key(id));
    }

    async fn tick(self: Rc<Self>) {
        let mut memory = io::memory::Watch::default();
        loop {
            io::sleep(TICK).await;
            self.counters.turns.increment();
            let now = self.now();
            self.clusters.sweep(now, &self.counters);
            if self.clusters.begins_to_close() {
                let worker = Rc::clone(&self);
                io::spawn(async move { worker.clusters.close().await });
            }
            self.sessions.each(|session| session.look_after(now));
            self.close_quiet();
            self.forget_listeners();
            self.recorder.tick();
            self.buffers.tidy();
            self.busy.tidy(BUSY_TIDIED_MAX);
            self.pipes.tidy();
            self.counters.pipes_in_use.set(self.pipes.in_use() as u64);
            self.counters
                .buffers_in_use
                .set(self.buffers.in_use() as u64);
            self.counters.buffers_spare.set(self.buffers.spare() as u64);
            if memory.is_due((self.buffers.in_use() + self.buffers.spare()) as u64) {
                io::memory::give_back();
            }
        }
    }
}
