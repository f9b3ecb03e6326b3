//! What a request's head leads to: a message for an upstream, or an answer of our own.
//!
//! The decision is `ringmain-core`'s; here it is asked, noted in the record, and its outcome is
//! encoded while the head still stands in the buffer. Nothing waits and nothing is sent.

mod local;
mod outbound;

use std::{borrow::Cow, time::Duration};

use ringmain_config::{cluster::Protocol, listener::Direction};
use ringmain_core::{
    affinity::Affinity,
    failure::Failure,
    filter::{Passage, Then, cors::Cors},
    forwarded::{self, Own, Presented},
    grpc,
    header::{Edits, Headers, underscored},
    hops::Hops,
    http1::{Framing, Known, MethodKind, Reject},
    path::{Made, Refused},
    retry::Policy,
    route::{Decision, Destination, Extras, Forward, Request, Route, RouteTable},
    snapshot::{ClusterEntry, ClusterIndex, Listener, Snapshot},
    target,
};
use smallvec::SmallVec;

pub use local::LocalAnswer;

use crate::{
    downstream::Downstream, record::Record, upgrade::Wanted, upstream::Outgoing, worker::Worker,
};
use outbound::{Outbound, own};

/// Of a request or a response; seldom more.
pub type EditsList<'t> = SmallVec<[&'t Edits; 3]>;

/// What is decided about a request.
pub struct Decided<'t> {
    /// It waits so long before anything else.
    pub delay: Option<Duration>,
    /// Applied to whatever answer it gets, before the route's.
    pub edits: Option<Box<Edits>>,
    /// It is a request of gRPC, whose failures are told in its own way.
    pub is_grpc: bool,
    /// What is done then.
    pub plan: Result<Plan<'t>, Failure>,
}

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
    /// For the whole exchange, once the request has come to its end.
    pub timeout: Option<Duration>,
    /// The same of a call of gRPC whose client says how long it waits, from the request's head on.
    pub grpc_timeout: Option<Duration>,
    /// Its head says which try it is, and each further one is to say so, too.
    pub tells_attempt: bool,
    /// What is done about tries that fail.
    pub retry: Option<&'t Policy>,
    /// What the balancers that hash go by.
    pub hash: Option<u64>,
    /// Copies of it.
    pub mirrors: Vec<Mirrored<'t>>,
    /// To be applied to the answer.
    pub response_edits: EditsList<'t>,
}

/// A copy of a request, for a cluster whose answer nobody waits for.
pub struct Mirrored<'t> {
    /// Where to.
    pub cluster: ClusterIndex,
    /// The same, looked up.
    pub entry: &'t ClusterEntry,
    /// What is spoken there.
    pub protocol: HttpVersion,
    /// Its head as the upstream gets it.
    pub outgoing: Outgoing,
}

impl<'t> Decided<'t> {
    /// Decides about the request at the front of `downstream.received`.
    pub fn about(
        worker: &Worker,
        snapshot: &'t Snapshot,
        listener: &'t Listener,
        downstream: &Downstream,
        record: &mut Record<'_>,
    ) -> Self {
        let mut decided = Self::no_route();
        // A listener that changes what is spoken on it is another one.
        let protocol = downstream.session.protocol(listener);
        if let Some(table) = protocol.and_then(|protocol| protocol.route_table()) {
            let planner = Planner {
                worker,
                snapshot,
                listener,
                downstream,
            };
            decided.is_grpc = planner.is_grpc();
            if decided.is_grpc {
                record.speaks_grpc();
            }
            let plan = planner.plan(table, &mut decided, record);
            decided.plan = match plan {
                Ok(Plan::Answer(local)) if decided.is_grpc => Ok(Plan::Answer(local.for_grpc())),
                plan => plan,
            };
        }
        decided
    }

    /// Nothing routes it.
    pub fn no_route() -> Self {
        Self {
            delay: None,
            edits: None,
            is_grpc: false,
            plan: Err(Failure::NoRoute),
        }
    }

    fn add_edits(&mut self, dropped: &[&str], appended: impl Iterator<Item = (String, String)>) {
        let edits = self.edits.get_or_insert_default();
        let more = dropped.iter().copied();
        edits.dropped = edits.dropped.iter().chain(more).collect();
        let more = appended.map(|(name, value)| (name.into(), value.into()));
        edits.appended = edits.appended.iter().cloned().chain(more).collect();
    }

    /// CORS: an origin may read the answer.
    fn grant(&mut self, fields: impl Iterator<Item = (&'static str, Vec<u8>)>) {
        let fields = fields.map(|(name, value)| {
            let value = String::from_utf8_lossy(&value).into_owned();
            (name.to_owned(), value)
        });
        self.add_edits(&Cors::REPLACED, fields);
    }
}

/// What goes into the head that an upstream gets, besides what the route says.
struct Sent<'a> {
    raw_path: &'a str,
    underscored: Option<&'a Edits>,
    own: &'a Own<'a>,
    scheme: &'static str,
}

/// What a decision is made of.
struct Planner<'a, 't> {
    worker: &'a Worker,
    snapshot: &'t Snapshot,
    listener: &'t Listener,
    downstream: &'a Downstream,
}

impl<'t> Planner<'_, 't> {
    fn plan(
        &self,
        table: &'t RouteTable,
        decided: &mut Decided<'t>,
        record: &mut Record<'_>,
    ) -> Result<Plan<'t>, Failure> {
        let head = self.downstream.head();
        let message = &self.downstream.request;
        let path = match self.path()? {
            Made::Path(path) => path,
            Made::Redirect(path) => return self.unescaped(&path, decided.is_grpc),
        };
        let authority = message.authority(head);
        let session = &self.downstream.session;
        if session.secured().is_some() && session.is_misdirected(self.listener, host(authority)) {
            return Err(Failure::Misdirected);
        }
        let underscored = self.underscored()?;
        let direction = self.listener.config.direction;
        let scheme = self.scheme(direction);
        let own = own((self.worker, direction), self.downstream, scheme, record);
        let (set, append) = (own.set(), own.append());
        let headers = Presented {
            received: message.view(head),
            untrusted: own.untrusted(&self.worker.http.untrusted),
            dropped: underscored.as_ref().map(|edits| &edits.dropped),
            set: &set,
            append: append.as_slice(),
        };
        let request = Request {
            method: message.method(head),
            scheme,
            authority,
            path: &path,
            query: message.query(head),
            headers: &headers,
            listener_port: self.listener.config.address.port(),
        };
        let decision = table.decide(&request, self.worker.random());
        let (Decision::Forward { route, .. }
        | Decision::Redirect { route, .. }
        | Decision::Direct { route, .. }) = decision
        else {
            return Err(Failure::NoRoute);
        };
        record.route(&route.name);
        if let Decision::Forward { destination, .. } = decision {
            self.note_cluster(destination, record);
        }
        if let Some(extras) = &route.extras
            && let Some(answer) = self.filter(extras, route, &request, decided)?
        {
            return Ok(Plan::Answer(answer));
        }
        match decision {
            Decision::Forward {
                forward,
                destination,
                ..
            } => {
                let raw_path = match &path {
                    Cow::Borrowed(same) => same,
                    Cow::Owned(_) => message.path(head),
                };
                let to = (route, forward, destination);
                let sent = Sent {
                    raw_path,
                    underscored: underscored.as_ref(),
                    own: &own,
                    scheme,
                };
                self.forward(to, &request, sent, decided)
            }
            Decision::Redirect { redirect, .. } => {
                let location =
                    target::location(redirect, route, &request).map_err(Failure::BadPath)?;
                Ok(Plan::Answer(LocalAnswer::redirect(
                    redirect.status,
                    location,
                    route,
                )))
            }
            Decision::Direct { direct, .. } => Ok(Plan::Answer(LocalAnswer::direct(direct, route))),
            Decision::NoRoute { .. } => Err(Failure::NoRoute),
        }
    }

    /// The path that routes see and the upstream gets.
    fn path(&self) -> Result<Made<'_>, Failure> {
        let (message, head) = (&self.downstream.request, self.downstream.head());
        let policy = self.worker.http.path;
        let made = match policy.is_default() {
            true => message.canonical_path(head).map(Made::Path),
            false => policy.make(message.path(head)),
        };
        made.map_err(Failure::BadPath)
    }

    /// For the record, whatever becomes of the request.
    fn note_cluster(&self, destination: &Destination, record: &mut Record<'_>) {
        let entry = self.snapshot.cluster(destination.cluster);
        if let (Some(entry), None) = (entry, &destination.answer) {
            let state = self.worker.clusters.state(destination.cluster, entry);
            record.cluster(&state.cluster.name, &state.edge);
        }
    }

    fn scheme(&self, direction: Direction) -> &'static str {
        let (message, head) = (&self.downstream.request, self.downstream.head());
        let proto = message.header(head, Known::XForwardedProto);
        let connection = match self.downstream.session.secured() {
            Some(secured) if secured.is_ended => "https",
            Some(_) | None => "http",
        };
        forwarded::scheme(direction, self.worker.http.trusted_hops, proto, connection)
    }

    /// Sends the client to a path without escaped slashes. Clients of gRPC follow no redirect.
    fn unescaped(&self, path: &str, is_grpc: bool) -> Result<Plan<'t>, Failure> {
        if is_grpc {
            return Err(Failure::BadPath(Refused::EscapedSlash));
        }
        let (message, head) = (&self.downstream.request, self.downstream.head());
        let scheme = self.scheme(self.listener.config.direction);
        let (authority, query) = (message.authority(head), message.query(head));
        let location = target::unescaped(scheme, authority, path, query);
        Ok(Plan::Answer(LocalAnswer::to_unescaped(location)))
    }

    /// Fields that are not sent on because of their names.
    fn underscored(&self) -> Result<Option<Edits>, Failure> {
        let (message, head) = (&self.downstream.request, self.downstream.head());
        let names = message.headers(head).map(|(name, _)| name);
        let dropped = underscored(self.worker.http.underscores, names)
            .map_err(|_| Failure::BadRequest(Reject::HeaderUnderscore))?;
        Ok(dropped.map(|dropped| Edits {
            dropped,
            ..Edits::default()
        }))
    }

    /// What the request meets before the route's action; `Some` when that answers it.
    fn filter<H: Headers + ?Sized>(
        &self,
        extras: &'t Extras,
        route: &'t Route,
        request: &Request<'_, H>,
        decided: &mut Decided<'t>,
    ) -> Result<Option<LocalAnswer<'t>>, Failure> {
        let mut random = || self.worker.random();
        let Passage { delay, then } = extras.filters.request(request, &mut random);
        decided.delay = delay;
        let cors = extras.filters.cors.as_ref();
        match (then, cors) {
            (Then::Abort(with), _) => Err(Failure::FaultAbort(with)),
            (Then::Preflight(granted), Some(cors)) => {
                let fields = cors.preflight_fields(&granted);
                decided.grant(fields.map(|(name, value)| (name, value.to_vec())));
                Ok(Some(LocalAnswer::empty(200, route)))
            }
            (Then::PreflightRefused | Then::Preflight(_), _) => {
                Ok(Some(LocalAnswer::empty(200, route)))
            }
            (Then::ContinueGranted(granted), Some(cors)) => {
                let fields = cors.response_fields(&granted);
                decided.grant(fields.map(|(name, value)| (name, value.to_vec())));
                Ok(None)
            }
            (Then::Continue | Then::ContinueGranted(_), _) => Ok(None),
        }
    }

    fn forward<H: Headers + ?Sized>(
        &self,
        (route, forward, destination): (&'t Route, &'t Forward, &'t Destination),
        request: &Request<'_, H>,
        sent: Sent<'_>,
        decided: &mut Decided<'t>,
    ) -> Result<Plan<'t>, Failure> {
        if let Hops::End(status) = sent.own.hops() {
            return Ok(Plan::Answer(LocalAnswer::empty(status, route)));
        }
        if let Some(answer) = &destination.answer {
            return Err(Failure::NoBackend(answer.status));
        }
        let head = self.downstream.head();
        let message = &self.downstream.request;
        let cluster = self.snapshot.cluster(destination.cluster);
        let entry = cluster.ok_or(Failure::NoCluster)?;
        let path = target::path(route, forward, request.path).map_err(Failure::BadPath)?;
        let timeout = route.timeout;
        let grpc_timeout = match decided.is_grpc {
            true => grpc::call_timeout(request.headers, timeout),
            false => None,
        };
        let retry = route.retry.as_deref();
        let try_timeout = retry.and_then(|policy| policy.per_try_timeout);
        let mut edits: EditsList<'_> = sent.underscored.into_iter().collect();
        for more in target::request_edits(route, Some(destination)) {
            edits.push(more);
        }
        let outbound = Outbound {
            message,
            head,
            raw_path: sent.raw_path,
            canonical_path: request.path,
            path: &path,
            query: request.query,
            authority: target::authority(route, forward, destination, request.authority),
            edits,
            scheme: sent.scheme,
            // An upstream has the time of a try.
            timeout: [try_timeout, grpc_timeout.or(timeout)]
                .into_iter()
                .flatten()
                .min(),
            own: sent.own,
        };
        let protocol = self.protocol(entry);
        let upgrade = Wanted::of(message, head, protocol);
        let outgoing = outbound.encode(self.worker, protocol, upgrade.as_deref())?;
        let mut forwarding = Forwarding {
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
            timeout,
            grpc_timeout,
            retry,
            tells_attempt: sent.own.tells_attempt(),
            hash: None,
            mirrors: Vec::new(),
            response_edits: target::response_edits(route, Some(destination)).collect(),
        };
        if let Some(key) = &entry.cluster.hash {
            let random = &mut || self.worker.random();
            let peer = self.downstream.session.peer.ip();
            let client = sent.own.client().unwrap_or(peer);
            let affinity = Affinity::of(key, request, client, random);
            forwarding.hash = affinity.hash;
            if let Some(value) = affinity.set_cookie {
                decided.add_edits(&[], [("set-cookie".to_owned(), value)].into_iter());
            }
        }
        if let Some(extras) = &route.extras {
            forwarding.mirrors = self.mirrors(extras, &outbound)?;
        }
        Ok(Plan::Forward(forwarding))
    }

    fn mirrors(
        &self,
        extras: &Extras,
        outbound: &Outbound<'_>,
    ) -> Result<Vec<Mirrored<'t>>, Failure> {
        let mut random = || self.worker.random();
        let drawn = extras
            .drawn_mirrors(&mut random)
            .collect::<SmallVec<[_; 2]>>();
        let mut mirrors = Vec::with_capacity(drawn.len());
        for mirror in drawn {
            // One that leads nowhere takes nothing away from the request.
            let Some(entry) = self.snapshot.cluster(mirror.cluster) else {
                continue;
            };
            let protocol = self.protocol(entry);
            mirrors.push(Mirrored {
                cluster: mirror.cluster,
                entry,
                protocol,
                outgoing: outbound.encode(self.worker, protocol, None)?,
            });
        }
        Ok(mirrors)
    }

    fn protocol(&self, entry: &ClusterEntry) -> HttpVersion {
        HttpVersion::upstream(entry.cluster.protocol, self.downstream.wire.version())
    }

    /// It is spoken over HTTP/2 only.
    fn is_grpc(&self) -> bool {
        let message = &self.downstream.request;
        let content_type = || message.header(self.downstream.head(), Known::ContentType);
        self.downstream.wire.version() == HttpVersion::Http2
            && content_type().is_some_and(grpc::is_grpc)
    }
}

/// An authority without its port.
fn host(authority: &str) -> &str {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        Some(_) | None => authority,
    }
}

/// RFC 9110 section 9.2.2. Methods that we do not know are not.
fn is_idempotent(method: &str) -> bool {
    matches!(
        method,
        "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE"
    )
}
