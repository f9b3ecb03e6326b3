//! Certificates, keys and what is trusted: where a proxy gets them from.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::origin::Origin;

/// A certificate with its key, authorities that are trusted, or both, known by a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Unique in a Document, for example `kubernetes://default/shop-credential`,
    /// `file-cert:/etc/shop/tls.crt~/etc/shop/tls.key` or `default`.
    pub name: String,
    /// Where it comes from.
    pub source: SecretSource,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl Secret {
    /// What may be shown of it: all but a key.
    pub fn redacted(&self) -> Self {
        let source = match &self.source {
            SecretSource::Inline(inline) => SecretSource::Inline(inline.redacted()),
            SecretSource::Files(_) | SecretSource::Workload => self.source.clone(),
        };
        Self {
            source,
            ..self.clone()
        }
    }
}

/// Where the proxy gets a secret from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// Files of the proxy's host, in PEM. They are read and watched by the proxy.
    Files(SecretFiles),
    /// The Document itself.
    Inline(InlineSecret),
    /// The workload's identity: a certificate that the control plane signs for a key that the proxy
    /// makes, and the authorities of the mesh.
    Workload,
}

/// Paths of PEM files; those that are absent are not part of the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretFiles {
    /// The certificate, followed by those that lead to its authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key: PKCS#8, SEC1 or PKCS#1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Authorities that are trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// What those have revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<PathBuf>,
}

/// PEM texts; those that are absent are not part of the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InlineSecret {
    /// As [`SecretFiles::certificate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// As [`SecretFiles::key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Confidential>,
    /// As [`SecretFiles::authorities`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
    /// As [`SecretFiles::revoked`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

impl InlineSecret {
    fn redacted(&self) -> Self {
        Self {
            key: self.key.as_ref().map(|_| Confidential(REDACTED.to_owned())),
            ..self.clone()
        }
    }
}

/// Stands where something is not shown; Envoy's word.
pub const REDACTED: &str = "[redacted]";

/// A text that is written to the wire and to the proxy's own disk, and nowhere else.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidential(pub String);

impl fmt::Debug for Confidential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::{Confidential, InlineSecret, Secret, SecretSource};

    #[test]
    fn keys_are_not_shown() {
        let inline = InlineSecret {
            certificate: Some("C".to_owned()),
            key: Some(Confidential("MIIkey".to_owned())),
            ..InlineSecret::default()
        };
        let secret = Secret {
            name: "a".to_owned(),
            source: SecretSource::Inline(inline.clone()),
            origin: None,
        };
        assert!(!format!("{secret:?}").contains("MIIkey"));
        let shown = serde_json::to_string(&inline.redacted()).unwrap();
        assert_eq!(shown, r#"{"certificate":"C","key":"[redacted]"}"#);
        let sent = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<Secret>(&sent).unwrap(), secret);
    }
}
