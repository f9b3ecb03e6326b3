//! The mesh's own TLS: what a workload asks of its clients, and what it shows to the services that
//! it calls.

use std::{collections::BTreeSet, sync::Arc};

use ringmain_config::{
    listener::ListenerProtocol,
    tcp::TcpRoute,
    tls::{
        ClientTls, ListenerTls, PeerNames, PeerRules, ServerNameToAsk, TlsAction, TlsChain, Trust,
    },
};

use super::{
    secrets::Secrets,
    server_tls::{of_mesh, texts},
};
use crate::{registry::Service, resource::peer_authentication::MutualTls, world::MeshIdentity};

/// What says that a client speaks the mesh's TLS and not the application's own (ALPN).
const OFFERED: [&str; 5] = [
    "istio",
    "istio-http/1.0",
    "istio-http/1.1",
    "istio-h2",
    "istio-peer-exchange",
];

/// What is spoken in the mesh's TLS at a port for requests, best first. The names without `istio-`
/// are those that other proxies of a mesh agree on.
pub(super) const HTTP_SERVED: [&str; 7] = [
    "istio-h2",
    "h2",
    "istio-http/1.1",
    "http/1.1",
    "istio-http/1.0",
    "istio",
    "istio-peer-exchange",
];

/// The same at a port for bytes.
pub(super) const BYTES_SERVED: [&str; 2] = ["istio", "istio-peer-exchange"];

/// What a client offers for requests, and for bytes.
const HTTP_ASKED: [&str; 2] = ["istio-h2", "h2"];
const BYTES_ASKED: [&str; 1] = ["istio"];

/// TLS of a workload's port, of which `protocol` is spoken inside. `own`: where connections go with
/// a TLS that is not the mesh's, which is the application's; absent under STRICT.
pub(super) fn inbound(
    secrets: &mut Secrets<'_>,
    identity: &MeshIdentity,
    mode: MutualTls,
    protocol: &ListenerProtocol,
    own: Vec<TcpRoute>,
) -> Option<ListenerTls> {
    let accepts_plaintext = match mode {
        MutualTls::Disable => return None,
        MutualTls::Permissive => true,
        MutualTls::Strict => false,
    };
    let alpn: &[&str] = match protocol {
        ListenerProtocol::Tcp { .. } => &BYTES_SERVED,
        ListenerProtocol::Http { .. } | ListenerProtocol::Detect { .. } => &HTTP_SERVED,
    };
    let mesh = TlsChain {
        name: "mesh".to_owned(),
        server_names: Vec::new(),
        // Without a choice what is offered tells nothing apart.
        offered: match accepts_plaintext {
            true => texts(&OFFERED),
            false => Vec::new(),
        },
        action: TlsAction::Terminate {
            tls: Arc::new(of_mesh(secrets, identity, alpn)),
            protocol: protocol.clone(),
        },
        origin: None,
    };
    let mut chains = vec![mesh];
    if accepts_plaintext {
        chains.push(TlsChain {
            name: "application".to_owned(),
            server_names: Vec::new(),
            offered: Vec::new(),
            action: TlsAction::PassThrough { routes: own },
            origin: None,
        });
    }
    Some(ListenerTls {
        accepts_plaintext,
        chains,
    })
}

/// What a client of `service` shows and asks of it: the exact identities of its workloads, or those
/// that its ServiceEntry names. A service whose workloads have none that is known is believed with
/// any of the mesh.
pub(super) fn outbound(
    secrets: &mut Secrets<'_>,
    identity: &MeshIdentity,
    service: &Service,
    [port, subset]: [&str; 2],
    carries_requests: bool,
) -> ClientTls {
    let name = secrets.identity();
    let names = match service.names.is_empty() {
        true => ids(identity, service),
        false => service.names.clone(),
    };
    ClientTls {
        certificate: Some(name.clone()),
        trust: Trust::Rules(PeerRules {
            authorities: vec![name],
            names: match names.is_empty() {
                true => {
                    PeerNames::TrustDomains(identity.trust_domains().map(str::to_owned).collect())
                }
                false => PeerNames::OneOf(names),
            },
            ..PeerRules::default()
        }),
        server_name: ServerNameToAsk::Fixed(format!(
            "outbound_.{port}_.{subset}_.{}",
            service.host
        )),
        alpn: match carries_requests {
            true => texts(&HTTP_ASKED),
            false => texts(&BYTES_ASKED),
        },
        ..ClientTls::default()
    }
}

/// The identities of the workloads of a service that are known by name.
fn ids(identity: &MeshIdentity, service: &Service) -> Vec<String> {
    let accounts: BTreeSet<(&str, &str)> = service.accounts().collect();
    let ids = accounts
        .iter()
        .flat_map(|(namespace, account)| identity.ids(namespace, account));
    ids.collect()
}
