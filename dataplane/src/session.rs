//! A downstream connection as the worker sees it from outside: where it comes from, and whether it
//! waits for a request.

use std::{
    cell::{Cell, OnceCell, RefCell},
    net::IpAddr,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
};

use ringmain_core::{
    ending::Ending,
    peer::Peer,
    snapshot::{Listener, ListenerId, ListenerProtocol},
    tcp::TcpRoutes,
    tls::Chain,
    xfcc,
};

use crate::{
    call::Call,
    http2::server::Control,
    io::{
        deadline::Micros,
        stream::{PeerState, Stream},
    },
    tunnel::Tunnel,
};

/// One downstream connection.
pub struct Session {
    /// Its socket.
    pub stream: Rc<Stream>,
    /// Where it was accepted.
    pub listener: ListenerId,
    /// Who connected.
    pub peer: SocketAddr,
    /// Its address as text, once it was needed.
    peer_text: OnceCell<String>,
    /// The request that is being served, on a connection of HTTP/1.
    pub call: Rc<Call>,
    serving: RefCell<Serving>,
    /// Since when it has waited for a request; `None` while it serves one.
    idle_since: Cell<Option<Micros>>,
    was_cut: Cell<bool>,
    /// Of a connection of TLS.
    secured: OnceCell<Box<Secured>>,
}

/// What is known of a connection of TLS.
#[derive(Debug)]
pub struct Secured {
    /// The chain of its listener that serves it.
    pub chain: Box<str>,
    /// What the client asked for (SNI).
    pub server_name: Option<String>,
    /// The protocol inside that was agreed on (ALPN).
    pub alpn: Option<Box<[u8]>>,
    /// Whose certificate was shown and verified.
    pub peer: Option<Peer>,
    /// It ends here.
    pub is_ended: bool,
    /// The URI in the certificate that was shown to the client.
    own_uri: Option<Box<str>>,
    /// See [`Self::element`].
    element: OnceCell<String>,
}

impl Secured {
    /// Of one that is passed through by `chain`.
    pub fn passed(chain: &Chain, server_name: Option<String>) -> Self {
        Self {
            chain: chain.name.clone(),
            server_name,
            alpn: None,
            peer: None,
            is_ended: false,
            own_uri: None,
            element: OnceCell::new(),
        }
    }

    /// Of one that ends here.
    pub fn ended(
        chain: &Chain,
        server_name: Option<String>,
        alpn: Option<Box<[u8]>>,
        peer: Option<Peer>,
    ) -> Self {
        Self {
            alpn,
            peer,
            is_ended: true,
            ..Self::passed(chain, server_name)
        }
    }

    /// In whose name the client was answered.
    #[must_use]
    pub fn shown(mut self, own_uri: Option<&str>) -> Self {
        self.own_uri = own_uri.map(Into::into);
        self
    }

    /// What is said of the client's certificate to those behind; `None` when it has shown none.
    pub fn element(&self) -> Option<&str> {
        let peer = self.peer.as_ref()?;
        let element = || xfcc::element(self.own_uri.as_deref(), peer);
        Some(self.element.get_or_init(element))
    }
}

/// What it is busy with.
#[derive(Default)]
enum Serving {
    /// Requests, one after the other.
    #[default]
    Http1,
    /// Requests, many at a time.
    Http2(Rc<Control>),
    /// Bytes.
    Tunnel(Rc<Tunnel>),
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(stream: Stream, listener: ListenerId, peer: SocketAddr) -> Rc<Self> {
        let (serving, idle_since) = (RefCell::default(), Cell::new(None));
        Rc::new(Self {
            stream: Rc::new(stream),
            listener,
            peer,
            peer_text: OnceCell::new(),
            call: Rc::default(),
            serving,
            idle_since,
            was_cut: Cell::new(false),
            secured: OnceCell::new(),
        })
    }

    /// The client's address, for `x-forwarded-for`.
    pub fn peer_text(&self) -> &str {
        let text = || text_of(self.peer.ip().to_canonical());
        self.peer_text.get_or_init(text)
    }

    /// It carries TLS.
    pub fn set_secured(&self, secured: Secured) {
        let is_first = self.secured.set(Box::new(secured)).is_ok();
        debug_assert!(is_first, "a connection begins TLS once");
    }

    /// What is known of its TLS; `None` when it has none.
    pub fn secured(&self) -> Option<&Secured> {
        self.secured.get().map(|secured| &**secured)
    }

    /// Its chain, as `listener` has it now.
    fn chain<'l>(&self, listener: &'l Listener) -> Option<&'l Arc<Chain>> {
        listener.tls.as_ref()?.named(&self.secured()?.chain)
    }

    /// What is spoken on it; `None` when `listener` serves such connections no more.
    pub fn protocol<'l>(&self, listener: &'l Listener) -> Option<&'l ListenerProtocol> {
        match self.secured() {
            None => Some(&listener.protocol),
            Some(_) => self.chain(listener)?.action.protocol(),
        }
    }

    /// Where it goes if it carries bytes; `None` when it does not.
    pub fn tcp_routes<'l>(&self, listener: &'l Listener) -> Option<&'l Arc<TcpRoutes>> {
        match self.secured() {
            None => listener.protocol.tcp_routes(),
            Some(_) => {
                let action = &self.chain(listener)?.action;
                let within = || action.protocol()?.tcp_routes();
                action.tcp_routes().or_else(within)
            }
        }
    }

    /// A client that asks for `host` in its ClientHello is served by another chain.
    pub fn is_misdirected(&self, listener: &Listener, host: &str) -> bool {
        let chains = listener.tls.as_ref();
        let own = self.chain(listener);
        chains
            .zip(own)
            .is_some_and(|(chains, own)| chains.is_misdirected(own, host))
    }

    /// It waits for a request from `now` on.
    pub fn set_idle(&self, now: Micros) {
        self.idle_since.set(Some(now));
    }

    /// Bytes of a request have arrived.
    pub fn set_busy(&self) {
        self.idle_since.set(None);
    }

    /// It carries bytes from now on.
    pub fn set_tunnel(&self, tunnel: Option<Rc<Tunnel>>) {
        *self.serving.borrow_mut() = tunnel.map_or(Serving::Http1, Serving::Tunnel);
    }

    /// It carries requests of HTTP/2 from now on.
    pub fn set_http2(&self, control: Option<Rc<Control>>) {
        *self.serving.borrow_mut() = control.map_or(Serving::Http1, Serving::Http2);
    }

    /// To be called every second.
    pub fn look_after(&self, now: Micros) {
        match &*self.serving.borrow() {
            Serving::Http1 => self.give_up_if_gone(),
            // Its task reads all the time, and notices.
            Serving::Http2(_) => {}
            Serving::Tunnel(tunnel) => tunnel.look_after(&self.stream, now),
        }
    }

    /// Ends the wait for the upstream when the client has gone: nobody is there to take the answer.
    ///
    /// A client that has only finished sending still wants its answer, and on the wire looks like
    /// one that has closed. So it is asked: the kernel probes it from now on, and a host that has
    /// forgotten the connection resets it.
    fn give_up_if_gone(&self) {
        if !self.call.is_waiting() {
            return;
        }
        match self.stream.peer_state() {
            PeerState::Open => {}
            PeerState::Finished => self.stream.probe(),
            PeerState::Gone => self.call.cut(),
        }
    }

    /// Its client may still send, and so has not closed it.
    pub fn client_is_open(&self) -> bool {
        match &*self.serving.borrow() {
            Serving::Http1 => matches!(self.stream.peer_state(), PeerState::Open),
            // Its task reads all the time, and ends what has no client.
            Serving::Http2(_) | Serving::Tunnel(_) => true,
        }
    }

    /// It was ended by [`Self::cut`], and not by its client.
    pub fn was_cut(&self) -> bool {
        self.was_cut.get()
    }

    /// Ends the connection now, and the requests on it.
    pub fn cut(&self) {
        self.was_cut.set(true);
        self.stream.abort();
        match &*self.serving.borrow() {
            Serving::Http1 => self.call.cut(),
            // Its requests see their streams end.
            Serving::Http2(control) => control.end(),
            Serving::Tunnel(tunnel) => tunnel.end(&self.stream, Ending::Drained),
        }
    }

    /// Closes it if it has waited for a request since `before`, and none is arriving right now. One
    /// of HTTP/2 is told to end as soon as its requests have.
    pub fn close_if_idle(&self, before: Micros) {
        if let Serving::Http2(control) = &*self.serving.borrow() {
            // The client is told which of its requests are still answered.
            return control.end();
        }
        if self.idle_since.get().is_some_and(|since| since <= before) && self.stream.is_quiet() {
            self.stream.stop_reading();
        }
    }
}

/// The downstream connections of one core.
#[derive(Default)]
pub struct Sessions {
    places: RefCell<Vec<Option<Rc<Session>>>>,
    free: RefCell<Vec<usize>>,
    count: Cell<u32>,
}

impl Sessions {
    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// Adds one; the place is for [`Self::remove`].
    pub fn add(&self, session: Rc<Session>) -> usize {
        self.count.set(self.count.get() + 1);
        let mut places = self.places.borrow_mut();
        if let Some(place) = self.free.borrow_mut().pop() {
            places[place] = Some(session);
            return place;
        }
        places.push(Some(session));
        places.len() - 1
    }

    /// Forgets one.
    pub fn remove(&self, place: usize) {
        self.count.set(self.count.get() - 1);
        self.places.borrow_mut()[place] = None;
        self.free.borrow_mut().push(place);
    }

    /// Calls `visit` with each.
    pub fn each(&self, mut visit: impl FnMut(&Session)) {
        for session in self.places.borrow().iter().flatten() {
            visit(session);
        }
    }
}

/// As `Display` writes it; at a tenth of its cost when a client connects for each request.
fn text_of(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else {
        return address.to_string();
    };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::text_of;

    #[test]
    fn addresses_are_written_as_usual() {
        for octets in [[0, 0, 0, 0], [127, 0, 0, 1], [10, 99, 200, 9], [255; 4]] {
            let address = Ipv4Addr::from(octets);
            assert_eq!(text_of(IpAddr::V4(address)), address.to_string());
        }
        assert_eq!(text_of(IpAddr::V6(Ipv6Addr::LOCALHOST)), "::1");
    }
}
