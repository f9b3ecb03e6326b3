//! What handshakes are made with: settings and secrets, put together once for all of them.

use std::{fmt, sync::Arc};

use ringmain_config::tls::{
    ClientCertificate, ClientTls, MinVersion, ServerTls, TlsParameters, Trust,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::{
    material::Material,
    peer::Names,
    verify::{OfClients, OfServers, Rules},
};

/// Tickets for later sessions that a handshake of TLS 1.3 ends with: each resumption gives another.
const TICKETS: usize = 1;
/// Sessions with servers that a worker keeps for each context.
const SESSIONS_MAX: usize = 256;

/// What a cipher suite of TLS 1.2 is called by OpenSSL, which the APIs do as well.
const SUITES: [(&str, SupportedCipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        aws_lc_rs::cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The server's side.
///
/// # Errors
/// What of it cannot be used, in words that follow the name of its chain. `material` finds a
/// secret's.
pub fn server<'m>(
    tls: &ServerTls,
    material: impl Fn(&str) -> Option<&'m Material>,
) -> Result<Arc<ServerConfig>, String> {
    let provider = provider(&tls.parameters)?;
    let mut shown = Vec::with_capacity(tls.certificates.len());
    for name in &tls.certificates {
        let material = material(name).ok_or_else(|| missing(name))?;
        shown.push(certificate(&provider, name, material)?);
    }
    if shown.is_empty() {
        return Err("it has no certificate to show".to_owned());
    }
    let rules = |rules: &ringmain_config::tls::PeerRules| {
        let found: Option<Vec<&Material>> = rules
            .authorities
            .iter()
            .map(|name| material(name))
            .collect();
        let found = found.ok_or_else(|| missing(&rules.authorities.join(", ")))?;
        Rules::new(&provider, rules, found.into_iter())
    };
    let (verifier, asks) = match &tls.client {
        ClientCertificate::Ignored => (WebPkiClientVerifier::no_client_auth(), false),
        ClientCertificate::Optional(own) => {
            (Arc::new(OfClients::new(rules(own)?, false)) as _, true)
        }
        ClientCertificate::Required(own) => {
            (Arc::new(OfClients::new(rules(own)?, true)) as _, true)
        }
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(&tls.parameters))
        .map_err(|error| error.to_string())?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Shown(shown)));
    config.alpn_protocols = tls
        .alpn
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // A session that is resumed is not verified again: whoever's certificate has been revoked or
    // has expired would go on. So only sessions of clients that show none are.
    if !asks {
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        config.send_tls13_tickets = TICKETS;
    }
    Ok(Arc::new(config))
}

/// The client's side, one for each of `workers`, which keep sessions of their own.
///
/// # Errors
/// As [`server`]. `roots` are those that the system trusts; `alpn` is offered when the settings say
/// nothing of it.
pub fn client<'m>(
    tls: &ClientTls,
    material: impl Fn(&str) -> Option<&'m Material>,
    roots: &RootCertStore,
    workers: usize,
) -> Result<Vec<Arc<ClientConfig>>, String> {
    let provider = provider(&tls.parameters)?;
    let rules = match &tls.trust {
        Trust::Rules(rules) => {
            let found: Option<Vec<&Material>> = rules
                .authorities
                .iter()
                .map(|name| material(name))
                .collect();
            let found = found.ok_or_else(|| missing(&rules.authorities.join(", ")))?;
            Some(Rules::new(&provider, rules, found.into_iter())?)
        }
        Trust::System { names } => Some(Rules::of_roots(&provider, roots.clone(), names.clone())),
        Trust::Anybody => None,
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(&tls.parameters))
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OfServers::new(&provider, rules)));
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let material = material(name).ok_or_else(|| missing(name))?;
            let own = certificate(&provider, name, material)?;
            builder.with_client_cert_resolver(Arc::new(Own(own.key)))
        }
    };
    config.alpn_protocols = tls
        .alpn
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let configs = (0..workers).map(|_| {
        let mut config = config.clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Arc::new(config)
    });
    Ok(configs.collect())
}

fn missing(name: &str) -> String {
    format!("the secret {name:?} is not there yet")
}

fn versions(parameters: &TlsParameters) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::with_capacity(2);
    if !parameters.without_tls13 {
        versions.push(&TLS13);
    }
    if parameters.min_version == MinVersion::Tls12 {
        versions.push(&TLS12);
    }
    versions
}

fn provider(parameters: &TlsParameters) -> Result<Arc<CryptoProvider>, String> {
    let mut provider = aws_lc_rs::default_provider();
    if !parameters.cipher_suites.is_empty() {
        let mut wanted = Vec::new();
        for name in &parameters.cipher_suites {
            let found = SUITES.iter().find(|(known, _)| known == name);
            let Some((_, suite)) = found else {
                let known: Vec<_> = SUITES.iter().map(|(known, _)| *known).collect();
                let known = known.join(", ");
                return Err(format!(
                    "{name} is not a cipher suite that is safe; {known} are"
                ));
            };
            wanted.push(*suite);
        }
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || wanted.contains(suite));
    }
    if !parameters.groups.is_empty() {
        let mut wanted = Vec::new();
        for name in &parameters.groups {
            wanted.push(match name.as_str() {
                "X25519" => aws_lc_rs::kx_group::X25519,
                "P-256" => aws_lc_rs::kx_group::SECP256R1,
                "P-384" => aws_lc_rs::kx_group::SECP384R1,
                "X25519MLKEM768" => aws_lc_rs::kx_group::X25519MLKEM768,
                other => {
                    return Err(format!(
                        "{other} is not a group that is known; X25519, P-256, P-384 and \
                         X25519MLKEM768 are"
                    ));
                }
            });
        }
        provider.kx_groups = wanted;
    }
    Ok(Arc::new(provider))
}

/// A certificate and what it is good for.
#[derive(Debug)]
struct Certificate {
    key: Arc<CertifiedKey>,
    names: Names,
}

fn certificate(
    provider: &CryptoProvider,
    name: &str,
    material: &Material,
) -> Result<Certificate, String> {
    let (Some(leaf), Some(key)) = (material.chain.first(), &material.key) else {
        return Err(format!("the secret {name:?} lacks a certificate or a key"));
    };
    let key = CertifiedKey::from_der(material.chain.clone(), key.clone_key(), provider);
    let key = key.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("the key of the secret {name:?} is not that of its certificate")
        }
        error => format!("the secret {name:?} cannot be used: {error}"),
    })?;
    Ok(Certificate {
        key: Arc::new(key),
        names: Names::of(leaf).unwrap_or_default(),
    })
}

/// What a server shows.
struct Shown(Vec<Certificate>);

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|own| own.names.list());
        formatter.debug_list().entries(names).finish()
    }
}

impl ResolvesServerCert for Shown {
    /// The first that the client can verify and whose names hold the one that it asks for; else the
    /// first that it can verify; else the first.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let can_verify = |own: &&Certificate| own.key.key.choose_scheme(schemes).is_some();
        let named = hello.server_name().and_then(|name| {
            let verified = self.0.iter().filter(can_verify);
            verified.into_iter().find(|own| own.names.hold(name))
        });
        let found = named.or_else(|| self.0.iter().find(can_verify));
        let found = found.or_else(|| self.0.first())?;
        Some(Arc::clone(&found.key))
    }
}

/// What a client shows to whoever asks.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl rustls::client::ResolvesClientCert for Own {
    fn resolve(
        &self,
        _: &[&[u8]],
        schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let can_verify = self.0.key.choose_scheme(schemes).is_some();
        can_verify.then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
