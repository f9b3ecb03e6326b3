//! TLS as a client, on rustls with aws-lc-rs.
//!
//! A [`Client`] is what a plan says about TLS, read and checked once for each worker: whom to
//! trust, who this side is, what ALPN offers, and the sessions to resume, which are never shared
//! between workers. It makes a [`Session`] for each connection; the socket is the transport's
//! business.
//!
//! Keys are agreed on with X25519 first, as other load generators do; hybrid post-quantum exchange
//! would be a third of a handshake's cost and is not offered.

mod duplex;
mod session;
mod stream;
mod tickets;

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
    client::{
        Resumption, UnbufferedClientConnection, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::plan::{Identity, PlanError, Tls};

pub(crate) use duplex::{Receiver, Sender, split};
pub(crate) use session::{Phase, Session, Sink};
pub(crate) use stream::{Stream, cut_off, refused};

/// Makes sessions.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    /// Asked for and verified instead of the host.
    name: Option<ServerName<'static>>,
}

impl Client {
    /// `alpn`: protocols to offer, best first; none when empty.
    ///
    /// # Errors
    /// [`PlanError::Tls`] with the file that cannot be used.
    pub(crate) fn new(tls: &Tls, alpn: &[&[u8]]) -> Result<Self, PlanError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = verifier(tls, &provider)?;
        let name = tls.server_name.as_deref().map(server_name).transpose();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse("its versions", error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &tls.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (certificates, key) = read_identity(identity)?;
                let subject = identity.certificate.display();
                builder
                    .with_client_auth_cert(certificates, key)
                    .map_err(|error| refuse(subject, mismatch(error, &identity.key)))?
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = match tls.full_handshakes {
            true => Resumption::disabled(),
            false => Resumption::store(Arc::new(tickets::Tickets::default())),
        };
        Ok(Self {
            config: Arc::new(config),
            name: name?,
        })
    }

    /// A session that has not begun, with a server that is known as `host`.
    ///
    /// # Errors
    /// When `host` is neither a name nor an address.
    pub(crate) fn session(&self, host: &str) -> Result<Session, PlanError> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => server_name(host)?,
        };
        let config = Arc::clone(&self.config);
        let connection = UnbufferedClientConnection::new(config, name);
        connection
            .map(Session::new)
            .map_err(|error| refuse(host, error))
    }
}

/// Why a handshake or a record was refused, with what a user can do about it.
pub(crate) fn reason(error: &Error) -> String {
    let remedy = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; name its authority with --cacert, or verify nothing with --insecure"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; the name to expect can be given with --server-name",
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            "; the server speaks none of the protocols that ALPN offers"
        }
        Error::InvalidMessage(_) => "; is the port one that speaks TLS?",
        _ => "",
    };
    format!("{error}{remedy}")
}

fn refuse(subject: impl fmt::Display, reason: impl fmt::Display) -> PlanError {
    PlanError::Tls {
        subject: subject.to_string(),
        reason: reason.to_string(),
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, PlanError> {
    ServerName::try_from(name.to_owned()).map_err(|error| refuse(format!("{name:?}"), error))
}

fn verifier(
    tls: &Tls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, PlanError> {
    if tls.insecure {
        return Ok(Arc::new(Anyone(Arc::clone(provider))));
    }
    let (subject, roots) = match &tls.authorities {
        Some(path) => {
            let subject = path.display().to_string();
            let mut roots = RootCertStore::empty();
            for certificate in read_certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| refuse(&subject, error))?;
            }
            (subject, roots)
        }
        None => ("the authorities of this host".to_owned(), host_roots()?),
    };
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    match verifier {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(refuse(subject, error)),
    }
}

/// What this host trusts: `SSL_CERT_FILE`, `SSL_CERT_DIR`, or where its distribution keeps them.
fn host_roots() -> Result<RootCertStore, PlanError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A host may have some that no verifier can use; the others count.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let cause = match found.errors.first() {
        Some(error) => format!(" ({error})"),
        None => String::new(),
    };
    let text = format!(
        "none was found{cause}; install ca-certificates, or give --cacert FILE or --insecure"
    );
    Err(refuse("the authorities of this host", text))
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PlanError> {
    let subject = path.display().to_string();
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| refuse(&subject, error))?;
    match certificates.is_empty() {
        true => Err(refuse(subject, "it holds no certificate in PEM form")),
        false => Ok(certificates),
    }
}

type Chain = Vec<CertificateDer<'static>>;

fn read_identity(identity: &Identity) -> Result<(Chain, PrivateKeyDer<'static>), PlanError> {
    let certificates = read_certificates(&identity.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&identity.key).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => refuse(
            identity.key.display(),
            "it holds no private key in PEM form that is not encrypted",
        ),
        error => refuse(identity.key.display(), error),
    })?;
    Ok((certificates, key))
}

fn mismatch(error: Error, key: &Path) -> String {
    match error {
        Error::InconsistentKeys(_) => {
            format!("its public key is not that of {}", key.display())
        }
        error => error.to_string(),
    }
}

/// Believes every certificate. Whether the peer holds the certificate's key is verified all the
/// same: a handshake is to cost what it costs.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
