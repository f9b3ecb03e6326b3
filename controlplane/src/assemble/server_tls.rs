//! The server's side of TLS as a Document says it.

use std::sync::Arc;

use ringmain_config::{
    listener::ListenerProtocol,
    origin::Origin,
    tls::{
        ClientCertificate, ListenerTls, MinVersion, PeerNames, PeerRules, ServerTls, TlsAction,
        TlsChain, TlsParameters,
    },
};

use super::secrets::{Secrets, Unusable};
use crate::{
    resource::{
        metadata::Metadata,
        tls::{Authorities, KeyPair, ServerMode, ServerSettings},
    },
    world::MeshIdentity,
};

/// What clients of requests may choose among.
pub(super) const HTTP: [&str; 2] = ["h2", "http/1.1"];

/// The settings of `owner` for a port that ends TLS, with these protocols in it.
pub(super) fn of_settings(
    secrets: &mut Secrets<'_>,
    identity: Option<&MeshIdentity>,
    settings: &ServerSettings,
    alpn: &[&str],
    owner: &Metadata,
) -> Result<Arc<ServerTls>, Unusable> {
    if settings.mode == ServerMode::IstioMutual {
        let Some(identity) = identity else {
            return Err("the mesh gives its workloads no identities".to_owned());
        };
        let tls = ServerTls {
            parameters: settings.parameters.clone(),
            ..of_mesh(secrets, identity, alpn)
        };
        return Ok(Arc::new(tls));
    }
    let mut certificates = Vec::new();
    for pair in &settings.certificates {
        certificates.push(secrets.key_pair(pair, owner)?);
    }
    let client = match settings.mode {
        ServerMode::Mutual => ClientCertificate::Required(rules(secrets, settings, owner)?),
        ServerMode::OptionalMutual => ClientCertificate::Optional(rules(secrets, settings, owner)?),
        ServerMode::PassThrough | ServerMode::Simple | ServerMode::IstioMutual => {
            ClientCertificate::Ignored
        }
    };
    Ok(Arc::new(ServerTls {
        certificates,
        client,
        parameters: settings.parameters.clone(),
        alpn: texts(alpn),
    }))
}

fn rules(
    secrets: &mut Secrets<'_>,
    settings: &ServerSettings,
    owner: &Metadata,
) -> Result<PeerRules, Unusable> {
    let of_credential = || {
        let mut pairs = settings.certificates.iter();
        pairs.find_map(|pair| match pair {
            KeyPair::Credential(name) => Some(Authorities::Credential(name.clone())),
            KeyPair::Files { .. } => None,
        })
    };
    let written = settings.authorities.clone().or_else(of_credential);
    let Some(written) = written else {
        return Err("there is no authority to verify clients by".to_owned());
    };
    let revoked = settings.revoked.as_deref();
    Ok(PeerRules {
        authorities: secrets.authorities(&written, revoked, owner)?,
        names: match settings.names.is_empty() {
            true => PeerNames::Any,
            false => PeerNames::OneOf(settings.names.clone()),
        },
        spki_sha256: settings.spki_sha256.clone(),
        certificate_sha256: settings.certificate_sha256.clone(),
    })
}

/// That of the mesh: who connects has an identity of it.
pub(super) fn of_mesh(
    secrets: &mut Secrets<'_>,
    identity: &MeshIdentity,
    alpn: &[&str],
) -> ServerTls {
    let name = secrets.identity();
    let trusted = identity.trust_domains().map(str::to_owned);
    ServerTls {
        certificates: vec![name.clone()],
        client: ClientCertificate::Required(PeerRules {
            authorities: vec![name],
            names: PeerNames::TrustDomains(trusted.collect()),
            ..PeerRules::default()
        }),
        parameters: TlsParameters {
            min_version: MinVersion::Tls12,
            ..TlsParameters::default()
        },
        alpn: texts(alpn),
    }
}

/// Of a listener that takes nothing but TLS, and all of it alike.
pub(super) fn only(
    tls: Arc<ServerTls>,
    protocol: &ListenerProtocol,
    origin: Origin,
) -> ListenerTls {
    ListenerTls {
        accepts_plaintext: false,
        chains: vec![TlsChain {
            name: "own".to_owned(),
            server_names: Vec::new(),
            offered: Vec::new(),
            action: TlsAction::Terminate {
                tls,
                protocol: protocol.clone(),
            },
            origin: Some(origin),
        }],
    }
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
