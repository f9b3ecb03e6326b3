//! The contexts of all listeners and clusters of a snapshot.
//!
//! What did not change is used again: sessions can then be resumed. A context whose secrets cannot
//! be used any more stays as it was: a file that is half written must not stop a listener.

use std::{collections::HashMap, sync::Arc};

use ringmain_config::{
    cluster::{Cluster, Transport},
    tls::{ClientCertificate, PeerRules, ServerTls, Trust},
};
use ringmain_core::{
    snapshot::{ListenerId, Snapshot},
    tls::ChainAction,
};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::{context, material::Material, peer::Names};

/// Secrets by name, as far as they could be read.
pub type Materials = HashMap<String, Arc<Material>>;

/// What handshakes are made with.
#[derive(Debug, Default)]
pub struct Contexts {
    servers: HashMap<(ListenerId, Box<str>), Arc<Server>>,
    clients: HashMap<Box<str>, Arc<Client>>,
}

/// Of a chain of a listener.
#[derive(Debug)]
struct Server {
    of: Arc<ServerTls>,
    secrets: Vec<Arc<Material>>,
    config: Arc<ServerConfig>,
    /// In its first certificate.
    own_uri: Option<Box<str>>,
}

/// Of a cluster.
#[derive(Debug)]
pub struct Client {
    of: Arc<Cluster>,
    secrets: Vec<Arc<Material>>,
    /// For each worker.
    configs: Vec<Arc<ClientConfig>>,
}

impl Client {
    /// What the worker with this index begins sessions with.
    pub fn config(&self, worker: usize) -> &Arc<ClientConfig> {
        &self.configs[worker]
    }
}

/// What contexts are made of besides the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Secrets.
    pub materials: &'a Materials,
    /// Authorities that the system trusts.
    pub roots: &'a RootCertStore,
    /// How many workers there are.
    pub workers: usize,
}

impl Contexts {
    /// Those of `snapshot`; and in words what could not be made, which is then as it was in
    /// `before`, or not there at all.
    pub fn make(snapshot: &Snapshot, before: &Self, sources: Sources<'_>) -> (Self, Vec<String>) {
        let mut made = Self::default();
        let mut problems = Vec::new();
        for listener in snapshot.listeners() {
            let chains = listener.tls.iter().flat_map(|tls| tls.list());
            for chain in chains {
                let ChainAction::Terminate(tls, _) = &chain.action else {
                    continue;
                };
                let key = (listener.id, chain.name.clone());
                let held = before.servers.get(&key);
                match server(tls, held, sources) {
                    Ok(server) => drop(made.servers.insert(key, server)),
                    Err(error) => {
                        let (listener, chain) = (&listener.config.name, &chain.name);
                        let place = format!("listener {listener:?} > tls chain {chain:?}");
                        problems.push(problem(&place, &error, held.is_some()));
                        made.servers
                            .extend(held.map(|held| (key, Arc::clone(held))));
                    }
                }
            }
        }
        for (_, entry) in snapshot.clusters() {
            if entry.cluster.transport == Transport::Plaintext {
                continue;
            }
            let key: Box<str> = entry.cluster.name.as_str().into();
            let held = before.clients.get(&key);
            match client(&entry.cluster, held, sources) {
                Ok(client) => drop(made.clients.insert(key, client)),
                Err(error) => {
                    let place = format!("cluster {key:?} > tls");
                    problems.push(problem(&place, &error, held.is_some()));
                    made.clients
                        .extend(held.map(|held| (key, Arc::clone(held))));
                }
            }
        }
        (made, problems)
    }

    /// Some cluster believes whom the system does.
    pub fn ask_for_roots(snapshot: &Snapshot) -> bool {
        snapshot.clusters().any(|(_, entry)| {
            let (Transport::Tls(tls) | Transport::Mesh(tls)) = &entry.cluster.transport else {
                return false;
            };
            matches!(tls.trust, Trust::System { .. })
        })
    }

    /// Of the chain of this name.
    pub fn server(&self, listener: ListenerId, chain: &str) -> Option<&Arc<ServerConfig>> {
        let found = self.servers.get(&(listener, chain.into()));
        found.map(|server| &server.config)
    }

    /// The URI in the first certificate of the chain of this name.
    pub fn own_uri(&self, listener: ListenerId, chain: &str) -> Option<&str> {
        let found = self.servers.get(&(listener, chain.into()));
        found.and_then(|server| server.own_uri.as_deref())
    }

    /// Of the cluster of this name.
    pub fn client(&self, cluster: &str) -> Option<&Arc<Client>> {
        self.clients.get(cluster)
    }
}

fn problem(place: &str, error: &str, is_held: bool) -> String {
    match is_held {
        true => format!("{place}: {error}; what was there before is still used"),
        false => format!("{place}: {error}; no handshake succeeds until it can be used"),
    }
}

/// Those of `names`; `None` when one is missing.
fn secrets<'n>(
    names: impl Iterator<Item = &'n String>,
    sources: Sources<'_>,
) -> Option<Vec<Arc<Material>>> {
    names
        .map(|name| sources.materials.get(name).cloned())
        .collect()
}

fn are_same(held: &[Arc<Material>], found: &[Arc<Material>]) -> bool {
    let both = || held.iter().zip(found);
    held.len() == found.len() && both().all(|(held, found)| Arc::ptr_eq(held, found))
}

fn authorities(rules: Option<&PeerRules>) -> impl Iterator<Item = &String> {
    rules.into_iter().flat_map(|rules| &rules.authorities)
}

fn server(
    tls: &Arc<ServerTls>,
    held: Option<&Arc<Server>>,
    sources: Sources<'_>,
) -> Result<Arc<Server>, String> {
    let rules = match &tls.client {
        ClientCertificate::Ignored => None,
        ClientCertificate::Optional(rules) | ClientCertificate::Required(rules) => Some(rules),
    };
    let names = tls.certificates.iter().chain(authorities(rules));
    let found = secrets(names, sources);
    if let (Some(held), Some(found)) = (held, &found)
        && *held.of == **tls
        && are_same(&held.secrets, found)
    {
        return Ok(Arc::clone(held));
    }
    let material = |name: &str| sources.materials.get(name).map(|material| &**material);
    let config = context::server(tls, material)?;
    let own = tls.certificates.first().and_then(|name| material(name));
    let names = own.and_then(|own| Names::of(own.chain.first()?));
    let own_uri = names.and_then(|names| names.uris.into_iter().next());
    Ok(Arc::new(Server {
        own_uri: own_uri.map(Into::into),
        of: Arc::clone(tls),
        secrets: found.unwrap_or_default(),
        config,
    }))
}

fn client(
    cluster: &Arc<Cluster>,
    held: Option<&Arc<Client>>,
    sources: Sources<'_>,
) -> Result<Arc<Client>, String> {
    let (Transport::Tls(tls) | Transport::Mesh(tls)) = &cluster.transport else {
        return Err("it speaks no TLS".to_owned());
    };
    let rules = match &tls.trust {
        Trust::Rules(rules) => Some(rules),
        Trust::System { .. } | Trust::Anybody => None,
    };
    let names = tls.certificate.iter().chain(authorities(rules));
    let found = secrets(names, sources);
    if let (Some(held), Some(found)) = (held, &found)
        && held.of.transport == cluster.transport
        && are_same(&held.secrets, found)
    {
        return Ok(Arc::clone(held));
    }
    let material = |name: &str| sources.materials.get(name).map(|material| &**material);
    let configs = context::client(tls, material, sources.roots, sources.workers)?;
    Ok(Arc::new(Client {
        of: Arc::clone(cluster),
        secrets: found.unwrap_or_default(),
        configs,
    }))
}
