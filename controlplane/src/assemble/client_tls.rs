//! The client's side of TLS: how a cluster's connections are carried.

use ringmain_config::{
    cluster::Transport,
    tls::{ClientTls, PeerNames, PeerRules, ServerNameToAsk, Trust},
};

use super::secrets::{Secrets, Unusable};
use crate::{
    registry::Service,
    resource::{
        metadata::Metadata,
        tls::{Authorities, ClientMode, ClientSettings, KeyPair},
    },
};

/// The settings of `owner` towards a service. ISTIO_MUTUAL is not decided here.
pub(super) fn of_settings(
    secrets: &mut Secrets<'_>,
    settings: &ClientSettings,
    service: Option<&Service>,
    carries_requests: bool,
    owner: &Metadata,
) -> Result<Transport, Unusable> {
    if matches!(settings.mode, ClientMode::Disable | ClientMode::IstioMutual) {
        return Ok(Transport::Plaintext);
    }
    let certificate = match &settings.certificate {
        Some(pair) => Some(secrets.key_pair(pair, owner)?),
        None => None,
    };
    let names = match (settings.names.is_empty(), service) {
        (true, Some(service)) => service.names.clone(),
        _ => settings.names.clone(),
    };
    Ok(Transport::Tls(ClientTls {
        certificate,
        trust: trust(secrets, settings, names, owner)?,
        server_name: match (&settings.server_name, service) {
            (Some(name), _) => ServerNameToAsk::Fixed(name.clone()),
            // Bytes have no host of their own, and a wildcard is nobody's name.
            (None, Some(service)) if !carries_requests && !service.host.contains('*') => {
                ServerNameToAsk::Fixed(service.host.clone())
            }
            (None, _) => ServerNameToAsk::Authority,
        },
        ..ClientTls::default()
    }))
}

fn trust(
    secrets: &mut Secrets<'_>,
    settings: &ClientSettings,
    names: Vec<String>,
    owner: &Metadata,
) -> Result<Trust, Unusable> {
    if settings.trusts_anybody {
        return Ok(Trust::Anybody);
    }
    let authorities = match &settings.authorities {
        // A credential need not bring authorities of its own; those of the system are left then.
        Some(Authorities::Credential(name))
            if settings.mode == ClientMode::Mutual
                && matches!(settings.certificate, Some(KeyPair::Credential(_)))
                && secrets.is_document(name, owner)
                && !secrets.has_authorities(name, owner) =>
        {
            None
        }
        other => other.as_ref(),
    };
    let Some(authorities) = authorities else {
        return Ok(Trust::System { names });
    };
    let revoked = settings.revoked.as_deref();
    Ok(Trust::Rules(PeerRules {
        authorities: secrets.authorities(authorities, revoked, owner)?,
        names: match names.is_empty() {
            true => PeerNames::Any,
            false => PeerNames::OneOf(names),
        },
        ..PeerRules::default()
    }))
}
