//! Which chain of a listener serves a connection of TLS: by the name that the client asks for and
//! the protocols that it offers.

use std::{collections::HashMap, sync::Arc};

use ringmain_config::{
    document::Document,
    tls::{
        ClientCertificate, ClientTls, MinVersion, PeerRules, ServerTls, TlsAction, TlsChain,
        TlsParameters, Trust,
    },
};

use smallvec::SmallVec;

use crate::{
    place::{Place, Problems},
    snapshot::ListenerProtocol,
    tcp::TcpRoutes,
};

/// What is done with a connection whose ClientHello matches.
#[derive(Debug)]
pub struct Chain {
    /// Unique in its listener.
    pub name: Box<str>,
    /// What is done.
    pub action: ChainAction,
}

/// What is done with a connection of TLS.
#[derive(Debug)]
pub enum ChainAction {
    /// It ends here, with these settings, and what is inside is served.
    Terminate(Arc<ServerTls>, ListenerProtocol),
    /// It goes on as it is.
    PassThrough(Arc<TcpRoutes>),
}

impl ChainAction {
    /// What is spoken inside; `None` when it is not looked into.
    pub fn protocol(&self) -> Option<&ListenerProtocol> {
        match self {
            Self::Terminate(_, protocol) => Some(protocol),
            Self::PassThrough(_) => None,
        }
    }

    /// Where connections go that are passed through; `None` when they are not.
    pub fn tcp_routes(&self) -> Option<&Arc<TcpRoutes>> {
        match self {
            Self::Terminate(..) => None,
            Self::PassThrough(routes) => Some(routes),
        }
    }
}

/// What a listener does with connections that begin with a ClientHello, and with those that do not.
#[derive(Debug)]
pub struct Chains {
    /// Connections without TLS are served as the listener's protocol says.
    pub accepts_plaintext: bool,
    /// In the order written.
    list: Box<[Arc<Chain>]>,
    /// What each asks to be offered.
    offered: Box<[Protocols]>,
    exact: HashMap<Box<str>, Places>,
    /// By what stands behind `*`, with its dot.
    suffixes: HashMap<Box<str>, Places>,
    any: Places,
}

/// Names of protocols (ALPN).
type Protocols = Box<[Box<[u8]>]>;

/// Positions of chains, those that ask for a protocol first.
type Places = Vec<u32>;

impl Chains {
    /// Those of a listener at `place`; `compiled` are of `chains`, in their order.
    pub(crate) fn compile(
        chains: &[TlsChain],
        compiled: Vec<Arc<Chain>>,
        accepts_plaintext: bool,
        document: &Document,
        place: &Place<'_>,
        problems: &mut Problems,
    ) -> Self {
        let mut made = Self {
            accepts_plaintext,
            list: compiled.into(),
            offered: chains.iter().map(offered).collect(),
            exact: HashMap::new(),
            suffixes: HashMap::new(),
            any: Vec::new(),
        };
        let mut names: HashMap<&str, ()> = HashMap::new();
        for (position, chain) in (0..).zip(chains) {
            let place = Place::below(place, "tls chain", &chain.name, chain.origin.as_ref());
            if names.insert(&chain.name, ()).is_some() {
                problems.add(&place, "another chain of the listener has this name");
            }
            if chain.server_names.is_empty() {
                made.any.push(position);
            }
            for name in &chain.server_names {
                made.add(name, position, &place, problems);
            }
            if let TlsAction::Terminate { tls, .. } = &chain.action {
                server(tls, document, &place, problems);
            }
        }
        let Self {
            offered,
            exact,
            suffixes,
            any,
            ..
        } = &mut made;
        let places = exact.values_mut().chain(suffixes.values_mut());
        for places in places.chain([any]) {
            places.sort_by_key(|place| offered[*place as usize].is_empty());
        }
        made
    }

    fn add(&mut self, name: &str, position: u32, place: &Place<'_>, problems: &mut Problems) {
        let (map, key) = match name.strip_prefix('*') {
            Some(suffix) if suffix.len() > 1 && suffix.starts_with('.') => {
                (&mut self.suffixes, suffix)
            }
            _ => (&mut self.exact, name),
        };
        let is_name = !key.is_empty() && !key.contains('*') && key == key.to_ascii_lowercase();
        if !is_name {
            let message = format!(
                "{name:?} is not a server name: a host in lower case, or `*.` and a suffix"
            );
            problems.add(place, message);
            return;
        }
        map.entry(key.into()).or_default().push(position);
    }

    /// The chain for a client that asks for `server_name` and offers the protocols of `alpn`.
    pub fn select<'a>(
        &self,
        server_name: Option<&str>,
        alpn: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Option<&Arc<Chain>> {
        let first = |places: &Places| {
            let found = places.iter().find(|place| {
                let asked = &self.offered[**place as usize];
                asked.is_empty()
                    || asked
                        .iter()
                        .any(|asked| alpn.clone().any(|offered| offered == &**asked))
            });
            found.map(|place| &self.list[*place as usize])
        };
        let named = server_name.and_then(|name| self.places(name).find_map(first));
        named.or_else(|| first(&self.any))
    }

    /// The chains for a name, the most exact ones first.
    fn places(&self, name: &str) -> impl Iterator<Item = &Places> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let exact = self.exact.get(&*name);
        let dots = name.match_indices('.').map(|(at, _)| at);
        let suffixes: SmallVec<[&Places; 2]> = dots
            .filter_map(|at| self.suffixes.get(&name[at..]))
            .collect();
        exact.into_iter().chain(suffixes)
    }

    /// The chain of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Chain>> {
        self.list.iter().find(|chain| &*chain.name == name)
    }

    /// In the order written.
    pub fn list(&self) -> &[Arc<Chain>] {
        &self.list
    }

    /// A request for `host`, without a port, that came on a connection of `own` was misdirected: a
    /// client that asks for this name in its ClientHello is served by another chain, maybe with
    /// another certificate and other rules for clients (RFC 9110 section 15.5.20).
    pub fn is_misdirected(&self, own: &Chain, host: &str) -> bool {
        let best = self.places(host).next().unwrap_or(&self.any);
        let own = |place: &u32| self.list[*place as usize].name == own.name;
        !best.is_empty() && !best.iter().any(own)
    }

    /// It does what `other` does, whose listener has the same settings.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let both = || self.list.iter().zip(&other.list);
        self.list.len() == other.list.len()
            && both().all(|(own, other)| match (&own.action, &other.action) {
                (ChainAction::Terminate(_, own), ChainAction::Terminate(_, other)) => {
                    own.is_same(other)
                }
                (ChainAction::PassThrough(own), ChainAction::PassThrough(other)) => {
                    Arc::ptr_eq(own, other)
                }
                (ChainAction::Terminate(..), _) | (ChainAction::PassThrough(_), _) => false,
            })
    }
}

fn offered(chain: &TlsChain) -> Protocols {
    let names = chain.offered.iter();
    names.map(|name| name.as_bytes().into()).collect()
}

/// Reports what is wrong with the server's side of TLS.
fn server(tls: &ServerTls, document: &Document, place: &Place<'_>, problems: &mut Problems) {
    if tls.certificates.is_empty() {
        problems.add(place, "it has no certificate to show");
    }
    for name in &tls.certificates {
        secret(name, document, place, problems);
    }
    match &tls.client {
        ClientCertificate::Ignored => {}
        ClientCertificate::Optional(rules) | ClientCertificate::Required(rules) => {
            peer(rules, document, place, problems);
        }
    }
    parameters(&tls.parameters, place, problems);
}

fn parameters(tls: &TlsParameters, place: &Place<'_>, problems: &mut Problems) {
    if tls.without_tls13 && tls.min_version == MinVersion::Tls13 {
        let message = "no version of TLS is left: the newest is older than the oldest";
        problems.add(place, message);
    }
}

/// Reports what is wrong with the client's side of TLS.
pub(crate) fn client(
    tls: &ClientTls,
    document: &Document,
    place: &Place<'_>,
    problems: &mut Problems,
) {
    let place = Place::below(place, "tls", "", None);
    if let Some(name) = &tls.certificate {
        secret(name, document, &place, problems);
    }
    match &tls.trust {
        Trust::Rules(rules) => peer(rules, document, &place, problems),
        Trust::System { .. } | Trust::Anybody => {}
    }
    parameters(&tls.parameters, &place, problems);
}

/// Reports what is wrong with rules for a peer.
fn peer(rules: &PeerRules, document: &Document, place: &Place<'_>, problems: &mut Problems) {
    if rules.authorities.is_empty() {
        problems.add(
            place,
            "it has no authorities by which to verify certificates",
        );
    }
    for name in &rules.authorities {
        secret(name, document, place, problems);
    }
}

/// Reports a secret that is not there.
fn secret(name: &str, document: &Document, place: &Place<'_>, problems: &mut Problems) {
    if !document.secrets.contains_key(name) {
        let place = Place::below(place, "secret", name, None);
        let names = document.secrets.keys().map(String::as_str);
        problems.add_missing(&place, "no such secret", name, names);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ringmain_config::{
        document::Document,
        tls::{TlsAction, TlsChain},
    };

    use super::{Arc, Chain, ChainAction, Chains, Place, Problems};
    use crate::tcp::TcpRoutes;

    fn chain(name: &str, server_names: &[&str], offered: &[&str]) -> TlsChain {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        TlsChain {
            name: name.to_owned(),
            server_names: texts(server_names),
            offered: texts(offered),
            action: TlsAction::PassThrough { routes: Vec::new() },
            origin: None,
        }
    }

    fn compile(chains: &[TlsChain]) -> (Chains, Result<(), Vec<String>>) {
        let mut problems = Problems::default();
        let action = || ChainAction::PassThrough(Arc::<TcpRoutes>::default());
        let compiled = chains.iter().map(|chain| {
            let name = chain.name.as_str().into();
            Arc::new(Chain {
                name,
                action: action(),
            })
        });
        let place = Place::top("listener", "l", None);
        let document = Document::default();
        let compiled = compiled.collect();
        let made = Chains::compile(chains, compiled, false, &document, &place, &mut problems);
        let text = |list: Vec<_>| list.iter().map(ToString::to_string).collect();
        (made, problems.finish().map_err(text))
    }

    fn all() -> Vec<TlsChain> {
        vec![
            chain("exact", &["a.example", "b.example"], &[]),
            chain("wide", &["*.example"], &[]),
            chain("narrow", &["*.in.example"], &[]),
            chain("rest", &[], &[]),
            chain("mesh", &[], &["istio", "istio-h2"]),
            chain("exact mesh", &["a.example"], &["istio"]),
        ]
    }

    #[test]
    fn the_most_exact_chain_is_taken() {
        let (chains, result) = compile(&all());
        result.unwrap();
        for (name, alpn, expected) in [
            (Some("a.example"), "", "exact"),
            (Some("A.Example"), "", "exact"),
            (Some("a.example."), "", "exact"),
            (Some("a.example"), "h2 istio", "exact mesh"),
            (Some("a.example"), "h2 istio-h2", "exact"),
            (Some("b.example"), "istio", "exact"),
            (Some("c.example"), "", "wide"),
            (Some("c.d.example"), "", "wide"),
            (Some("c.in.example"), "", "narrow"),
            (Some("in.example"), "", "wide"),
            (Some("example"), "", "rest"),
            (Some("other"), "h2", "rest"),
            (Some("other"), "istio-h2", "mesh"),
            (None, "", "rest"),
            (None, "istio", "mesh"),
        ] {
            let alpn = alpn.split(' ').map(str::as_bytes);
            let found = chains.select(name, alpn).unwrap();
            assert_eq!(&*found.name, expected, "{name:?}");
        }
        let (none, _) = compile(&[chain("a", &["a.example"], &["istio"])]);
        for (name, alpn) in [
            (Some("a.example"), "h2"),
            (Some("b"), "istio"),
            (None, "istio"),
        ] {
            let alpn = [alpn.as_bytes()].into_iter();
            assert!(none.select(name, alpn).is_none(), "{name:?}");
        }
    }

    #[test]
    fn requests_for_the_names_of_other_chains_are_misdirected() {
        let (chains, _) = compile(&all());
        for (own, host, expected) in [
            ("exact", "a.example", false),
            ("exact mesh", "a.example", false),
            ("exact", "A.EXAMPLE", false),
            ("wide", "a.example", true),
            ("rest", "a.example", true),
            ("exact", "c.example", true),
            ("wide", "c.in.example", true),
            ("narrow", "c.in.example", false),
            ("rest", "other", false),
            ("mesh", "other", false),
            ("wide", "other", true),
        ] {
            let own = chains.named(own).unwrap();
            assert_eq!(
                chains.is_misdirected(own, host),
                expected,
                "{} {host}",
                own.name
            );
        }
    }

    /// Nobody else would serve it better.
    #[test]
    fn requests_for_hosts_of_nobody_are_not_misdirected() {
        let (chains, _) = compile(&[chain("a", &["a.example"], &[])]);
        let own = chains.named("a").unwrap();
        assert!(!chains.is_misdirected(own, "b.example"));
    }

    #[test]
    fn what_is_wrong_with_chains() {
        let (_, result) = compile(&[
            chain("a", &["*", "A.example", "a.*.b"], &[]),
            chain("a", &[], &[]),
        ]);
        let found = result.unwrap_err();
        let counts = found.iter().fold(BTreeMap::new(), |mut counts, text| {
            *counts
                .entry(text.contains("not a server name"))
                .or_insert(0) += 1;
            counts
        });
        assert_eq!(counts, BTreeMap::from([(true, 3), (false, 1)]), "{found:?}");
    }
}
