//! Which certificates of peers pass, and why others do not.

use std::{fmt, sync::Arc};

use data_encoding::{BASE64, HEXLOWER};
use ringmain_config::tls::{PeerNames, PeerRules};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

use super::{
    material::Material,
    peer::{Names, sha256},
};

/// What is asked of a peer's certificate.
#[derive(Debug)]
pub struct Rules {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    revoked: Vec<CertRevocationList<'static>>,
    names: PeerNames,
    spki_sha256: Vec<String>,
    certificate_sha256: Vec<String>,
}

/// A reason that has no name in rustls.
#[derive(Debug)]
struct Reason(String);

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Reason {}

fn refused(reason: String) -> Error {
    let other = OtherError(Arc::new(Reason(reason)));
    Error::InvalidCertificate(CertificateError::Other(other))
}

impl Rules {
    /// Those of `rules`; `materials` are of its authorities.
    ///
    /// # Errors
    /// What cannot be used of them.
    pub fn new<'m>(
        provider: &Arc<CryptoProvider>,
        rules: &PeerRules,
        materials: impl Iterator<Item = &'m Material>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut revoked = Vec::new();
        for material in materials {
            for authority in &material.authorities {
                let added = roots.add(authority.clone());
                added.map_err(|error| format!("an authority cannot be used: {error}"))?;
            }
            for list in &material.revoked {
                let list = OwnedCertRevocationList::from_der(list);
                let list =
                    list.map_err(|error| format!("a revocation list cannot be used: {error}"))?;
                revoked.push(list.into());
            }
        }
        Ok(Self {
            provider: Arc::clone(provider),
            roots,
            revoked,
            names: rules.names.clone(),
            spki_sha256: rules.spki_sha256.clone(),
            certificate_sha256: rules.certificate_sha256.clone(),
        })
    }

    /// Those of a client that believes these roots, and one of `names` or, without them, the name
    /// that it asks for.
    pub fn of_roots(
        provider: &Arc<CryptoProvider>,
        roots: RootCertStore,
        names: Vec<String>,
    ) -> Self {
        Self {
            provider: Arc::clone(provider),
            roots,
            revoked: Vec::new(),
            names: match names.is_empty() {
                true => PeerNames::Any,
                false => PeerNames::OneOf(names),
            },
            spki_sha256: Vec::new(),
            certificate_sha256: Vec::new(),
        }
    }

    /// `asked`: the name that a server was asked for by.
    fn verify(
        &self,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        asked: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let certificate = EndEntityCert::try_from(der).map_err(|error| invalid(&error))?;
        let usage = match asked {
            Some(_) => KeyUsage::server_auth(),
            None => KeyUsage::client_auth(),
        };
        let lists: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
        // Without lists there are no options.
        let revocation = RevocationOptionsBuilder::new(&lists).ok();
        let revocation = revocation.map(|builder| {
            builder
                .with_status_policy(UnknownStatusPolicy::Allow)
                .build()
        });
        certificate
            .verify_for_usage(
                self.provider.signature_verification_algorithms.all,
                &self.roots.roots,
                intermediates,
                now,
                usage,
                revocation,
                None,
            )
            .map_err(|error| invalid(&error))?;
        self.check_pins(der, &certificate)?;
        self.check_names(der, &certificate, asked)
    }

    fn check_pins(
        &self,
        der: &CertificateDer<'_>,
        certificate: &EndEntityCert<'_>,
    ) -> Result<(), Error> {
        if !self.certificate_sha256.is_empty() {
            let hash = HEXLOWER.encode(&sha256(der));
            if !self.certificate_sha256.contains(&hash) {
                return Err(refused(format!(
                    "its SHA-256 {hash} is not one of those allowed"
                )));
            }
        }
        if !self.spki_sha256.is_empty() {
            let hash = BASE64.encode(&sha256(&certificate.subject_public_key_info()));
            if !self.spki_sha256.contains(&hash) {
                let message =
                    format!("the SHA-256 of its key, {hash}, is not one of those allowed");
                return Err(refused(message));
            }
        }
        Ok(())
    }

    fn check_names(
        &self,
        der: &CertificateDer<'_>,
        certificate: &EndEntityCert<'_>,
        asked: Option<&ServerName<'_>>,
    ) -> Result<(), Error> {
        let names = || Names::of(der).unwrap_or_default();
        match (&self.names, asked) {
            (PeerNames::Any, None) => Ok(()),
            (PeerNames::Any, Some(asked)) => {
                let valid = certificate.verify_is_valid_for_subject_name(asked);
                valid.map_err(|_| wrong_name(&names(), &asked.to_str()))
            }
            (PeerNames::OneOf(wanted), _) => {
                let names = names();
                match wanted.iter().any(|wanted| names.hold(wanted)) {
                    true => Ok(()),
                    false => Err(wrong_name(&names, &wanted.join(" or "))),
                }
            }
            (PeerNames::TrustDomains(domains), _) => {
                let names = names();
                let principal = names.principal();
                let is_known = principal.is_some_and(|principal| {
                    let own = principal.trust_domain();
                    domains.iter().any(|domain| domain == own)
                });
                match is_known {
                    true => Ok(()),
                    false => {
                        let wanted =
                            format!("a SPIFFE ID of the trust domain {}", domains.join(" or "));
                        Err(wrong_name(&names, &wanted))
                    }
                }
            }
        }
    }
}

fn wrong_name(names: &Names, wanted: &str) -> Error {
    refused(format!(
        "its names are {}, but {wanted} is expected",
        names.list()
    ))
}

fn invalid(error: &webpki::Error) -> Error {
    use webpki::Error as Why;
    let known = match error {
        Why::CertExpired { .. } => CertificateError::Expired,
        Why::CertNotValidYet { .. } => CertificateError::NotValidYet,
        Why::UnknownIssuer => CertificateError::UnknownIssuer,
        Why::CertRevoked => CertificateError::Revoked,
        Why::BadDer | Why::BadDerTime | Why::TrailingData(_) => CertificateError::BadEncoding,
        other => return refused(format!("it does not pass: {other}")),
    };
    Error::InvalidCertificate(known)
}

/// A server's rules for its clients.
#[derive(Debug)]
pub struct OfClients {
    rules: Rules,
    is_required: bool,
    hints: Vec<DistinguishedName>,
}

impl OfClients {
    /// `is_required`: a client without a certificate is refused.
    pub fn new(rules: Rules, is_required: bool) -> Self {
        let hints = rules.roots.subjects();
        Self {
            rules,
            is_required,
            hints,
        }
    }
}

impl ClientCertVerifier for OfClients {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.rules.verify(end_entity, intermediates, None, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.rules.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.rules.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.rules.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// A client's rules for its servers.
#[derive(Debug)]
pub struct OfServers {
    /// `None`: any server is believed.
    rules: Option<Rules>,
    provider: Arc<CryptoProvider>,
}

impl OfServers {
    /// Without rules any server is believed.
    pub fn new(provider: &Arc<CryptoProvider>, rules: Option<Rules>) -> Self {
        Self {
            rules,
            provider: Arc::clone(provider),
        }
    }
}

impl ServerCertVerifier for OfServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(rules) = &self.rules {
            rules.verify(end_entity, intermediates, Some(server_name), now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
