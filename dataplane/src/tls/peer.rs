//! What a certificate says, for policies, logs and those behind.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use ringmain_core::peer::{Peer, Principal};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// The names of a certificate, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// URIs.
    pub uris: Vec<String>,
    /// DNS names, in lower case.
    pub dns: Vec<String>,
    /// E-mail and IP addresses.
    pub others: Vec<String>,
}

impl Names {
    /// The subject alternative names of a certificate (RFC 5280 section 4.2.1.6). `None`: it cannot
    /// be read.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self::within(&certificate))
    }

    fn within(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        for extension in certificate.extensions() {
            let ParsedExtension::SubjectAlternativeName(list) = extension.parsed_extension() else {
                continue;
            };
            for name in &list.general_names {
                match name {
                    GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                    GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
                    GeneralName::RFC822Name(name) => names.others.push((*name).to_owned()),
                    GeneralName::IPAddress(bytes) => names.others.extend(address(bytes)),
                    _ => {}
                }
            }
        }
        names
    }

    /// All of them, for a message.
    pub fn list(&self) -> String {
        let all = self.uris.iter().chain(&self.dns).chain(&self.others);
        let all: Vec<&str> = all.map(String::as_str).collect();
        match all.is_empty() {
            true => "none".to_owned(),
            false => all.join(", "),
        }
    }

    /// One of them is `wanted`. A DNS name may begin with `*.`, which stands for one label.
    pub fn hold(&self, wanted: &str) -> bool {
        let matches = |name: &String| {
            let name = name.as_str();
            match name.strip_prefix("*.") {
                Some(suffix) => wanted.split_once('.').is_some_and(|(first, rest)| {
                    !first.is_empty() && rest.eq_ignore_ascii_case(suffix)
                }),
                None => name.eq_ignore_ascii_case(wanted),
            }
        };
        self.uris.iter().any(|uri| uri == wanted)
            || self.others.iter().any(|other| other == wanted)
            || self.dns.iter().any(matches)
    }

    /// The workload's identity, when there is exactly one URI and it is one (X509-SVID section 2).
    pub fn principal(&self) -> Option<Principal> {
        match self.uris.as_slice() {
            [uri] => Principal::of_uri(uri),
            _ => None,
        }
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    Some(four.or(sixteen).ok()?.to_string())
}

/// What a certificate that was verified says of who has shown it.
pub fn peer(der: &[u8]) -> Option<Peer> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = Names::within(&certificate);
    let not_after = certificate.validity().not_after.timestamp();
    Some(Peer {
        principal: names.principal(),
        uris: names.uris,
        dns_names: names.dns,
        subject: certificate.subject().to_string(),
        sha256: sha256(der),
        not_after: u64::try_from(not_after).unwrap_or(0),
    })
}

/// A hash.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = digest(&SHA256, bytes);
    hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
}
