//! The listeners of a snapshot, with what is spoken on them and within their TLS.

use std::sync::Arc;

use ringmain_config::{
    document::Document,
    listener as config,
    tcp::TcpRoute,
    tls::{TlsAction, TlsChain},
};

use super::{
    Listener, ListenerId, ListenerProtocol, SLOT_BITS,
    compile::{Clusters, Compiler, Tables, listener_place},
};
use crate::{
    place::Place,
    route::RouteTable,
    tcp::TcpRoutes,
    tls::{Chain, ChainAction, Chains},
};

/// The listeners of the new snapshot.
pub(super) struct Listeners {
    pub(super) list: Vec<Arc<Listener>>,
    pub(super) slots: Slots,
}

/// What is to be used again of a listener, or of a chain, when its settings are the same.
type Held<'h> = Option<&'h ListenerProtocol>;

impl<'a> Compiler<'a> {
    pub(super) fn listeners(&mut self, tables: &Tables<'a>, clusters: &Clusters) -> Listeners {
        let document = self.document;
        self.check_addresses();
        let mut slots = Slots::default();
        let held: Vec<Option<&Arc<Listener>>> = document
            .listeners
            .iter()
            .map(|(name, part)| {
                let held = self.previous.listener_named(name)?;
                let is_same = held.config.address == part.value.address
                    && is_alike(&held.protocol, &part.value.protocol);
                is_same.then_some(held)
            })
            .collect();
        for held in held.iter().flatten() {
            slots.take(held.id.slot());
        }
        let mut listeners = Vec::with_capacity(document.listeners.len());
        for (part, held) in document.listeners.values().zip(held) {
            let config = &part.value;
            // Of another content nothing can be used again, but its id.
            let same = held.filter(|held| Arc::ptr_eq(&held.config, config));
            let held_protocol = same.map(|held| &held.protocol);
            let spoken = &config.protocol;
            let protocol = self.protocol(config, spoken, held_protocol, (tables, clusters));
            let chains = self.chains(config, same, (tables, clusters));
            self.check_policies(config);
            let (Some(protocol), Some(tls)) = (protocol, chains) else {
                continue;
            };
            let listener = match same {
                Some(held) if is_same(held, &protocol, tls.as_ref()) => held.clone(),
                _ => Arc::new(Listener {
                    id: held.map_or_else(|| self.listener_id(&mut slots), |held| held.id),
                    config: config.clone(),
                    protocol,
                    tls,
                }),
            };
            slots.positions[listener.id.slot()] = u32::try_from(listeners.len()).ok();
            listeners.push(listener);
        }
        Listeners {
            list: listeners,
            slots,
        }
    }

    fn check_policies(&mut self, listener: &config::Listener) {
        let Document {
            authentications,
            authorizations,
            ..
        } = self.document;
        let place = listener_place(listener);
        if let Some(name) = &listener.authentication
            && !authentications.contains_key(name)
        {
            let place = Place::below(&place, "authentication", name, None);
            let names = authentications.keys().map(String::as_str);
            let message = "no such authentication";
            self.problems.add_missing(&place, message, name, names);
        }
        if let Some(name) = &listener.authorization
            && !authorizations.contains_key(name)
        {
            let place = Place::below(&place, "authorization", name, None);
            let names = authorizations.keys().map(String::as_str);
            let message = "no such authorization";
            self.problems.add_missing(&place, message, name, names);
        }
    }

    fn listener_id(&mut self, slots: &mut Slots) -> ListenerId {
        let slot = slots.take_free() as u64;
        ListenerId(self.id() << SLOT_BITS | slot)
    }

    fn protocol(
        &mut self,
        listener: &Arc<config::Listener>,
        spoken: &config::ListenerProtocol,
        held: Held<'_>,
        (tables, clusters): (&Tables<'a>, &Clusters),
    ) -> Option<ListenerProtocol> {
        match spoken {
            config::ListenerProtocol::Http { route_table } => self
                .http(listener, route_table, tables)
                .map(ListenerProtocol::Http),
            config::ListenerProtocol::Tcp { routes } => {
                let held = held.and_then(ListenerProtocol::tcp_routes);
                self.tcp(listener, routes, held, clusters)
                    .map(ListenerProtocol::Tcp)
            }
            config::ListenerProtocol::Detect {
                route_table,
                routes,
            } => {
                let table = self.http(listener, route_table, tables);
                let held = held.and_then(ListenerProtocol::tcp_routes);
                let routes = self.tcp(listener, routes, held, clusters);
                let both = table.zip(routes);
                both.map(|(table, routes)| ListenerProtocol::Detect(table, routes))
            }
        }
    }

    /// `None`: something is wrong with them. `Some(None)`: the listener has no TLS.
    fn chains(
        &mut self,
        listener: &Arc<config::Listener>,
        same: Option<&Arc<Listener>>,
        compiled: (&Tables<'a>, &Clusters),
    ) -> Option<Option<Chains>> {
        let Some(tls) = &listener.tls else {
            return Some(None);
        };
        let mut chains = Vec::with_capacity(tls.chains.len());
        for chain in &tls.chains {
            let held = same.and_then(|same| same.tls.as_ref()?.named(&chain.name));
            let action = self.chain_action(listener, chain, held, compiled)?;
            chains.push(Arc::new(Chain {
                name: chain.name.as_str().into(),
                action,
            }));
        }
        let place = listener_place(listener);
        let accepts_plaintext = tls.accepts_plaintext;
        let document = self.document;
        let problems = &mut self.problems;
        Some(Some(Chains::compile(
            &tls.chains,
            chains,
            accepts_plaintext,
            document,
            &place,
            problems,
        )))
    }

    fn chain_action(
        &mut self,
        listener: &Arc<config::Listener>,
        chain: &TlsChain,
        held: Option<&Arc<Chain>>,
        compiled: (&Tables<'a>, &Clusters),
    ) -> Option<ChainAction> {
        match &chain.action {
            TlsAction::Terminate { tls, protocol } => {
                let held = held.and_then(|held| held.action.protocol());
                let protocol = self.protocol(listener, protocol, held, compiled)?;
                Some(ChainAction::Terminate(Arc::clone(tls), protocol))
            }
            TlsAction::PassThrough { routes } => {
                let held = held.and_then(|held| held.action.tcp_routes());
                self.tcp(listener, routes, held, compiled.1)
                    .map(ChainAction::PassThrough)
            }
        }
    }

    fn http(
        &mut self,
        listener: &config::Listener,
        route_table: &str,
        tables: &Tables<'a>,
    ) -> Option<Arc<RouteTable>> {
        match tables.get(route_table) {
            Some(table) => table.clone(),
            None => {
                let place = listener_place(listener);
                let place = Place::below(&place, "route table", route_table, None);
                let names = tables.keys().copied();
                let message = "no such route table";
                self.problems
                    .add_missing(&place, message, route_table, names);
                None
            }
        }
    }

    fn tcp(
        &mut self,
        listener: &Arc<config::Listener>,
        routes: &[TcpRoute],
        held: Option<&Arc<TcpRoutes>>,
        clusters: &Clusters,
    ) -> Option<Arc<TcpRoutes>> {
        if let Some(routes) = held
            && clusters.still_has_all(routes.clusters(), self.previous)
        {
            return Some(routes.clone());
        }
        let place = listener_place(listener);
        let routes = TcpRoutes::compile(routes, &place, clusters, &mut self.problems);
        routes.map(Arc::new)
    }
}

/// What `held` was made of is the same, and so is what it leads to.
fn is_same(held: &Listener, protocol: &ListenerProtocol, tls: Option<&Chains>) -> bool {
    let is_same_tls = match (&held.tls, tls) {
        (Some(held), Some(tls)) => held.is_same(tls),
        (held, tls) => held.is_none() && tls.is_none(),
    };
    is_same_tls && held.protocol.is_same(protocol)
}

/// Connections that one accepted can be served by the other.
fn is_alike(held: &ListenerProtocol, config: &config::ListenerProtocol) -> bool {
    use config::ListenerProtocol as Config;
    match config {
        Config::Http { .. } => matches!(held, ListenerProtocol::Http(_)),
        Config::Tcp { .. } => matches!(held, ListenerProtocol::Tcp(_)),
        Config::Detect { .. } => matches!(held, ListenerProtocol::Detect(..)),
    }
}

/// Slots of listener ids.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) positions: Vec<Option<u32>>,
    taken: Vec<bool>,
    /// No slot below it is free.
    searched: usize,
}

impl Slots {
    fn take(&mut self, slot: usize) {
        if slot >= self.taken.len() {
            self.taken.resize(slot + 1, false);
            self.positions.resize(slot + 1, None);
        }
        self.taken[slot] = true;
    }

    fn take_free(&mut self) -> usize {
        while self.taken.get(self.searched).is_some_and(|taken| *taken) {
            self.searched += 1;
        }
        self.take(self.searched);
        self.searched
    }
}
