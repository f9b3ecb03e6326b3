//! What a secret holds, read from PEM (RFC 7468).

use std::fmt;

use ringmain_config::secret::InlineSecret;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{self, PemObject},
};

/// Certificates, a key, and what is trusted, as far as a secret holds them.
#[derive(Default)]
pub struct Material {
    /// The certificate to show, followed by those that lead to its authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: Option<PrivateKeyDer<'static>>,
    /// Authorities that are trusted.
    pub authorities: Vec<CertificateDer<'static>>,
    /// What those have revoked.
    pub revoked: Vec<CertificateRevocationListDer<'static>>,
}

impl Clone for Material {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.as_ref().map(PrivateKeyDer::clone_key),
            authorities: self.authorities.clone(),
            revoked: self.revoked.clone(),
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Material")
            .field("chain", &self.chain.len())
            .field("has_key", &self.key.is_some())
            .field("authorities", &self.authorities.len())
            .field("revoked", &self.revoked.len())
            .finish()
    }
}

/// PEM texts by what they hold, each with where it comes from, for messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts<'a> {
    /// Of the certificate and those that lead to its authority.
    pub certificate: Option<(&'a str, &'a [u8])>,
    /// Of its key.
    pub key: Option<(&'a str, &'a [u8])>,
    /// Of authorities.
    pub authorities: Option<(&'a str, &'a [u8])>,
    /// Of lists of what was revoked.
    pub revoked: Option<(&'a str, &'a [u8])>,
}

impl<'a> Texts<'a> {
    /// Those of a secret that stands in a Document.
    pub fn of(secret: &'a InlineSecret) -> Self {
        let text = |name, text: &'a Option<String>| {
            let text = text.as_ref()?;
            Some((name, text.as_bytes()))
        };
        Self {
            certificate: text("its certificate", &secret.certificate),
            key: secret.key.as_ref().map(|key| ("its key", key.0.as_bytes())),
            authorities: text("its authorities", &secret.authorities),
            revoked: text("its revocation list", &secret.revoked),
        }
    }
}

impl Material {
    /// Reads all that is there.
    ///
    /// # Errors
    /// Where there is not what should be, or what is there cannot be read. Of a key nothing is
    /// said.
    pub fn read(texts: &Texts<'_>) -> Result<Self, String> {
        let mut material = Self::default();
        if let Some((from, text)) = texts.certificate {
            material.chain = all(from, text, "certificate")?;
        }
        if let Some((from, text)) = texts.key {
            let key = PrivateKeyDer::from_pem_slice(text);
            material.key = Some(key.map_err(|error| why(from, "private key", &error))?);
        }
        if let Some((from, text)) = texts.authorities {
            material.authorities = all(from, text, "certificate")?;
        }
        if let Some((from, text)) = texts.revoked {
            material.revoked = all(from, text, "revocation list")?;
        }
        Ok(material)
    }
}

fn all<T: PemObject>(from: &str, text: &[u8], what: &str) -> Result<Vec<T>, String> {
    let read: Result<Vec<T>, _> = T::pem_slice_iter(text).collect();
    let read = read.map_err(|error| why(from, what, &error))?;
    match read.is_empty() {
        true => Err(format!(
            "there is no {what} in {from}; it must be PEM (RFC 7468)"
        )),
        false => Ok(read),
    }
}

fn why(from: &str, what: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => {
            format!("there is no {what} in {from}; it must be PEM (RFC 7468)")
        }
        other => format!("the {what} in {from} cannot be read: {other}"),
    }
}
