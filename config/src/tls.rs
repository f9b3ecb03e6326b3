//! TLS as a proxy speaks it: to clients of a listener, and to the endpoints of a cluster.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{listener::ListenerProtocol, origin::Origin, tcp::TcpRoute};

/// What a listener does with connections that begin with a ClientHello, and with those that do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTls {
    /// A connection without TLS is served as the listener's protocol says. If not, it is closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepts_plaintext: bool,
    /// Of those whose names and protocols match the ClientHello, the one with the most exact name
    /// is taken: an exact name, then the longest suffix, then any; of these one that asks for a
    /// protocol before one that does not, then the first. None: the handshake is refused with the
    /// alert `unrecognized_name` (RFC 6066 section 3).
    pub chains: Vec<TlsChain>,
}

/// What is done with a connection whose ClientHello matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsChain {
    /// Unique in its listener. It names the chain as long as it is served in the same way: a
    /// connection stays with it when the listener changes around it.
    pub name: String,
    /// Server names (SNI, RFC 6066 section 3), lower case: exact, or `*.` and a suffix. Empty: any,
    /// and none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub server_names: Vec<String>,
    /// The client must offer one of these protocols (ALPN, RFC 7301). Empty: any, and none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offered: Vec<String>,
    /// What is done with it.
    pub action: TlsAction,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What is done with a connection of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsAction {
    /// It ends here; what is inside is served.
    Terminate {
        /// With what.
        tls: Arc<ServerTls>,
        /// What is spoken inside.
        protocol: ListenerProtocol,
    },
    /// It goes on as it is, as bytes.
    PassThrough {
        /// The first that matches decides. A connection that none matches is closed.
        routes: Vec<TcpRoute>,
    },
}

/// The server's side of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTls {
    /// Secrets with a certificate and a key. The first whose names hold the SNI, and that the
    /// client can verify, is shown; else the first.
    pub certificates: Vec<String>,
    /// What is asked of the client.
    #[serde(default, skip_serializing_if = "ClientCertificate::is_ignored")]
    pub client: ClientCertificate,
    /// What the handshake may agree on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parameters: TlsParameters,
    /// Protocols that are spoken inside, best first (ALPN). Empty: the extension is ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
}

/// What a server asks of its client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// No certificate is asked for.
    #[default]
    Ignored,
    /// One that is sent must pass; none need be.
    Optional(PeerRules),
    /// There is no connection without one that passes.
    Required(PeerRules),
}

impl ClientCertificate {
    fn is_ignored(&self) -> bool {
        *self == Self::Ignored
    }
}

/// Which certificates of a peer pass. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerRules {
    /// Secrets with the authorities one of which it must lead to, and with what those revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
    /// Which names it must have.
    #[serde(skip_serializing_if = "PeerNames::is_any")]
    pub names: PeerNames,
    /// The SHA-256 of its public key (SubjectPublicKeyInfo) in base64 is one of them. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spki_sha256: Vec<String>,
    /// The SHA-256 of the certificate in hexadecimal, lower case and without colons, is one of
    /// them. Empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificate_sha256: Vec<String>,
}

/// Which names a peer's certificate must have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerNames {
    /// Any, and none. Of a server: the name that it is asked for by (RFC 9525).
    #[default]
    Any,
    /// One of its subject alternative names, a DNS name, URI, e-mail or IP address, is one of
    /// these. A DNS name in the certificate may begin with `*.`.
    OneOf(Vec<String>),
    /// It has exactly one URI, a SPIFFE ID of one of these trust domains.
    TrustDomains(Vec<String>),
}

impl PeerNames {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

/// What a handshake may agree on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsParameters {
    /// Oldest version.
    #[serde(skip_serializing_if = "is_default")]
    pub min_version: MinVersion,
    /// TLS 1.3 is not offered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_tls13: bool,
    /// Cipher suites of TLS 1.2 by OpenSSL's names, such as `ECDHE-ECDSA-AES128-GCM-SHA256`. Those
    /// of TLS 1.3 are always the same. Empty: all that are safe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cipher_suites: Vec<String>,
    /// Key exchange groups by OpenSSL's names, such as `X25519`, `P-256`, best first. Empty: all
    /// that are safe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Oldest version of TLS; older ones than these are never spoken (RFC 8996).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum MinVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// The client's side of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientTls {
    /// A secret with the certificate and key that are shown to a server that asks. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Which servers are believed.
    #[serde(skip_serializing_if = "is_default")]
    pub trust: Trust,
    /// Which name the server is asked for by.
    #[serde(skip_serializing_if = "is_default")]
    pub server_name: ServerNameToAsk,
    /// What the handshake may agree on.
    #[serde(skip_serializing_if = "is_default")]
    pub parameters: TlsParameters,
    /// Protocols to offer, best first (ALPN). Empty: those of what is spoken inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
}

/// Which servers a client believes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Whose certificate leads to one of these authorities and has these names.
    Rules(PeerRules),
    /// Whose certificate leads to an authority that the proxy's system trusts, and has one of these
    /// names; when there are none, the name that it is asked for by.
    System {
        /// As of [`PeerNames::OneOf`].
        names: Vec<String>,
    },
    /// Any (`insecureSkipVerify`).
    Anybody,
}

impl Default for Trust {
    fn default() -> Self {
        Self::System { names: Vec::new() }
    }
}

/// Which name a client asks a server for by (SNI).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerNameToAsk {
    /// The authority of the request that is sent, without its port; for bytes, the host of the
    /// cluster's service.
    #[default]
    Authority,
    /// Always this one.
    Fixed(String),
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
