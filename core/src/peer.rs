//! Who is at the other end of a connection, by the certificate that it has shown.

use std::fmt;

/// What a verified certificate says of a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its one URI, if that is a workload's SPIFFE ID.
    pub principal: Option<Principal>,
    /// URIs among its subject alternative names (RFC 5280 section 4.2.1.6), in their order.
    pub uris: Vec<String>,
    /// DNS names among them.
    pub dns_names: Vec<String>,
    /// Its subject, as RFC 4514 writes it.
    pub subject: String,
    /// Of its DER form.
    pub sha256: [u8; 32],
    /// Its end, in seconds since 1970.
    pub not_after: u64,
}

/// A workload's identity: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// Without `spiffe://`.
    text: Box<str>,
    /// Where the parts of it end.
    trust_domain: u16,
    namespace: (u16, u16),
    service_account: u16,
}

/// Longest SPIFFE ID (SPIFFE-ID section 2.3).
pub const SPIFFE_ID_BYTES_MAX: usize = 2048;

const SCHEME: &str = "spiffe://";

impl Principal {
    /// Of a SPIFFE ID. `None` when it is not one (SPIFFE-ID section 2), or not a workload's of a
    /// mesh.
    pub fn of_uri(uri: &str) -> Option<Self> {
        if uri.len() > SPIFFE_ID_BYTES_MAX {
            return None;
        }
        let text = uri.strip_prefix(SCHEME)?;
        let mut parts = text.split('/');
        let domain = parts.next().filter(|part| is_trust_domain(part))?;
        let (Some("ns"), Some(namespace), Some("sa"), Some(account), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        if !is_segment(namespace) || !is_segment(account) {
            return None;
        }
        let position = |place: usize| u16::try_from(place).ok();
        let namespace_at = domain.len() + "/ns/".len();
        let namespace_end = namespace_at + namespace.len();
        Some(Self {
            text: text.into(),
            trust_domain: position(domain.len())?,
            namespace: (position(namespace_at)?, position(namespace_end)?),
            service_account: position(namespace_end + "/sa/".len())?,
        })
    }

    /// That of a service account.
    pub fn new(trust_domain: &str, namespace: &str, service_account: &str) -> Option<Self> {
        Self::of_uri(&format!(
            "{SCHEME}{trust_domain}/ns/{namespace}/sa/{service_account}"
        ))
    }

    /// As policies and logs write it: without `spiffe://`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The SPIFFE ID.
    pub fn to_uri(&self) -> String {
        format!("{SCHEME}{}", self.text)
    }

    /// The mesh that it is of.
    pub fn trust_domain(&self) -> &str {
        &self.text[..self.trust_domain.into()]
    }

    /// The workload's namespace.
    pub fn namespace(&self) -> &str {
        &self.text[self.namespace.0.into()..self.namespace.1.into()]
    }

    /// The workload's service account.
    pub fn service_account(&self) -> &str {
        &self.text[self.service_account.into()..]
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Lower case, digits and `.-_`, at most 255 (SPIFFE-ID section 2.1).
fn is_trust_domain(text: &str) -> bool {
    let is_known = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(is_known)
}

/// Letters, digits and `.-_`, but no dot segment (SPIFFE-ID section 2.2).
fn is_segment(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && !matches!(text, "." | "..") && text.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::Principal;

    #[test]
    fn spiffe_ids() {
        let long = format!("spiffe://a/ns/b/sa/{}", "c".repeat(2048));
        for (uri, expected) in [
            (
                "spiffe://cluster.local/ns/default/sa/shop",
                Some(("cluster.local", "default", "shop")),
            ),
            ("spiffe://a/ns/ns/sa/sa", Some(("a", "ns", "sa"))),
            (
                "spiffe://a_b-c/ns/B.x/sa/c_1",
                Some(("a_b-c", "B.x", "c_1")),
            ),
            ("spiffe://A/ns/b/sa/c", None),
            ("spiffe:///ns/b/sa/c", None),
            ("spiffe://a/ns/b/sa/", None),
            ("spiffe://a/ns//sa/c", None),
            ("spiffe://a/ns/../sa/c", None),
            ("spiffe://a/ns/b/sa/c/", None),
            ("spiffe://a/ns/b/sa/c/d", None),
            ("spiffe://a/ns/b%2f/sa/c", None),
            ("spiffe://a:1/ns/b/sa/c", None),
            ("spiffe://u@a/ns/b/sa/c", None),
            ("spiffe://a/ns/b/sa/c?x", None),
            ("spiffe://a/sa/b/ns/c", None),
            ("spiffe://a/b", None),
            ("SPIFFE://a/ns/b/sa/c", None),
            ("https://a/ns/b/sa/c", None),
            (&long, None),
            ("", None),
        ] {
            let found = Principal::of_uri(uri);
            let parts = found.as_ref().map(|own| {
                assert_eq!(own.to_uri(), uri);
                (own.trust_domain(), own.namespace(), own.service_account())
            });
            assert_eq!(parts, expected, "{uri}");
            if let Some((domain, namespace, account)) = expected {
                assert_eq!(Principal::new(domain, namespace, account), found);
            }
        }
    }
}
