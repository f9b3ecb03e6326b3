//! Certificates made for one test, as files and as a server's configuration.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use ringmain_loadgen::{Identity, Tls};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;

/// An authority with what it has signed: `server` for localhost and 127.0.0.1, `expired` for the
/// same a while ago, and `client`.
pub(crate) struct Certificates {
    directory: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // One that names itself like another would be taken for it.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        authority.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap();
        let issuer = Issuer::new(authority, key);
        let certificates = Self { directory };
        fs::write(certificates.authority(), certificate.pem()).unwrap();
        let names = || vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = CertificateParams::new(names()).unwrap();
        certificates.sign("server", server, &issuer);
        let mut expired = CertificateParams::new(names()).unwrap();
        expired.not_before = date_time_ymd(2001, 1, 1);
        expired.not_after = date_time_ymd(2002, 1, 1);
        certificates.sign("expired", expired, &issuer);
        let mut client = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        certificates.sign("client", client, &issuer);
        certificates
    }

    fn sign(&self, name: &str, params: CertificateParams, issuer: &Issuer<'_, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        fs::write(self.certificate(name), certificate.pem()).unwrap();
        fs::write(self.key(name), key.serialize_pem()).unwrap();
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.directory().join("authority.pem")
    }

    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}.pem"))
    }

    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}.key"))
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        Identity {
            certificate: self.certificate(name),
            key: self.key(name),
        }
    }

    /// Trusts the authority.
    pub(crate) fn trust(&self) -> Tls {
        Tls {
            authorities: Some(self.authority()),
            ..Tls::default()
        }
    }

    /// A server with the certificate `name`, which wants one of its clients when `asks`.
    pub(crate) fn server(&self, name: &str, asks: bool) -> ServerConfig {
        let chain = vec![CertificateDer::from_pem_file(self.certificate(name)).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.key(name)).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match asks {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                let authority = CertificateDer::from_pem_file(self.authority()).unwrap();
                roots.add(authority).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        builder.with_single_cert(chain, key).unwrap()
    }
}
